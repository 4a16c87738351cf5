//! An API server by itself, for trying clients against it: `standalone DATA_DIR HOST:PORT`.

use std::{error::Error, path::PathBuf, sync::Arc};

use essaim_apiserver::{ApiServer, Options, tls};
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let (Some(data_dir), Some(listen)) = (args.next().map(PathBuf::from), args.next()) else {
        return Err("usage: standalone DATA_DIR HOST:PORT".into());
    };
    #[expect(clippy::disallowed_methods, reason = "an example is its own composition root")]
    let clock: essaim_apiserver::Clock = Arc::new(Timestamp::now);
    std::fs::create_dir_all(&data_dir)?;
    let store = essaim_store::Embedded::open(data_dir.join("store.redb"), essaim_store::Options::default())?;
    let listener = TcpListener::bind(&listen).await?;
    let address = listener.local_addr()?;
    let endpoint = tls::Endpoint { names: vec![address.ip().to_string()], url: format!("https://{address}") };
    let tls = tls::ensure(&data_dir, &endpoint, clock())?;
    let mut options = Options::new(clock);
    options.service_account_key = Some(tls::service_account_key(&data_dir)?);
    let server = ApiServer::start(store, options).await?;
    let shutdown = CancellationToken::new();
    let serve = server.serve(listener, tls, shutdown.clone());
    let interrupted = async {
        let _ = tokio::signal::ctrl_c().await;
        shutdown.cancel();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        served = serve => served?,
        () = interrupted => {}
    }
    Ok(())
}
