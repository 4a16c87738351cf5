//! The roles `controllers` and `gateway`.

use std::sync::Arc;

use essaim_api::names;
use essaim_backend::swarm::Swarm as SwarmBackend;
use essaim_controllers::{
    Context, Journal, Prober,
    leader::{Candidate, Timing},
};
use essaim_directory::FileDirectory;
use essaim_gateway::{Gateway, Limits, Options, SiteKey as GatewayKey};
use essaim_plan::notebook::{Reach, Site, service_name};
use essaim_swarm::{Swarm, SwarmOff};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{access::Access, api::Api, hold, site_key};
use crate::{
    configuration::{Configuration, DIRECTORY_FILE, Role, StoreAt, SwarmAt},
    error::Error,
};

/// The controllers' user in the API of the same process.
pub(super) const CONTROLLERS: &str = "essaim:controllers";
/// The gateway's.
pub(super) const GATEWAY: &str = "essaim:gateway";
/// Makes the site key at the first start, and nothing else.
const BOOTSTRAP: &str = "essaim:bootstrap";

type Roles = JoinSet<Result<(), Error>>;

/// Starts the reconcilers.
pub(crate) async fn start_controllers(
    running: &mut Roles,
    configuration: &Configuration,
    access: &Access,
    journal: Arc<Journal>,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    match &configuration.swarm {
        SwarmAt::Off => start_with(SwarmOff, running, configuration, access, journal, shutdown).await,
        SwarmAt::Url(url) => {
            let options = essaim_swarm::Options::new(crate::now, service_name);
            let swarm = Swarm::connect(Some(url), options).map_err(|error| Error::Swarm(error.into()))?;
            start_with(swarm, running, configuration, access, journal, shutdown).await
        }
    }
}

async fn start_with<S: SwarmBackend>(
    swarm: S,
    running: &mut Roles,
    configuration: &Configuration,
    access: &Access,
    journal: Arc<Journal>,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let key = site_key::obtain(&access.client(BOOTSTRAP)?, true).await?;
    let context = Context {
        client: access.client(CONTROLLERS)?,
        swarm,
        directory: directory(configuration)?,
        site: Site { key, reach: configuration.reach.clone() },
        prober: Prober::new(configuration.reach.clone()),
        journal,
        clock: Arc::new(crate::now),
        checkpoint: hold::checkpoint(configuration.hold_at_step),
    };
    let context = Arc::new(context);
    // Where the store is this process's own, nobody else can act on it; and a start after a crash need not wait for a lease to run out.
    if configuration.roles.contains(&Role::Api) && configuration.store == StoreAt::File {
        running.spawn(async move {
            essaim_controllers::run(context, shutdown).await;
            Ok(())
        });
        return Ok(());
    }
    let candidate = candidate(context.client.clone())?;
    running.spawn(async move {
        candidate.lead(shutdown, |stop| essaim_controllers::run(context.clone(), stop)).await;
        Ok(())
    });
    Ok(())
}

/// This process, among others that run controllers on the same API.
fn candidate(client: kube::Client) -> Result<Candidate, Error> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(Error::Random)?;
    // The name of the machine is for people; the random part tells processes apart.
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    Ok(Candidate {
        client,
        namespace: names::SYSTEM_NAMESPACE.into(),
        lease: names::CONTROLLERS_LEASE.into(),
        identity: format!("{}_{}", host.trim(), hex::encode(random)),
        clock: Arc::new(crate::now),
        timing: Timing::default(),
    })
}

/// The accounts; a first start writes an empty file that says what belongs there, but not where somebody named a file of accounts.
fn directory(configuration: &Configuration) -> Result<FileDirectory, Error> {
    let path = &configuration.directory;
    if !path.exists() && *path == configuration.data_dir.join(DIRECTORY_FILE) {
        let text = "# Who may have notebooks: users: [{login, uid, gid, groups: [{name, gid}], home}]\nusers: []\n";
        std::fs::write(path, text).map_err(|source| Error::Write { path: path.into(), source })?;
    }
    FileDirectory::open(path).map_err(|error| Error::Directory(error.into()))
}

/// Starts the gateway: plain HTTP on loopback or behind a proxy, TLS elsewhere.
pub(crate) async fn start_gateway(
    running: &mut Roles,
    configuration: &Configuration,
    access: &Access,
    api: Option<&Api>,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let key = site_key::obtain(&access.client(BOOTSTRAP)?, false).await?;
    let session_key = GatewayKey::try_new(key.session_key()).map_err(|error| Error::Gateway(error.into()))?;
    let options = Options {
        reach: match configuration.reach {
            Reach::HostPorts | Reach::Both(_) => essaim_gateway::Reach::Host,
            Reach::Overlay(_) => essaim_gateway::Reach::Overlay,
        },
        site_key: session_key,
        clock: Arc::new(crate::now),
        secure_cookies: configuration.secure_cookies,
        limits: Limits::default(),
        upstream_token: Arc::new(move |uid| key.notebook_token(uid)),
    };
    let gateway = Gateway::new(access.client(GATEWAY)?, options);
    let bound = TcpListener::bind(configuration.gateway).await;
    let listener = bound.map_err(|source| Error::Listen { address: configuration.gateway.to_string(), source })?;
    let tls = match (configuration.gateway_plain, api) {
        (true, _) => None,
        (false, Some(api)) => Some(api.tls.config()),
        (false, None) => {
            let words = "a gateway without the role api serves plain HTTP behind a proxy that ends TLS: add --gateway-behind-proxy";
            return Err(Error::Configuration(words.into()));
        }
    };
    tracing::info!(gateway = %configuration.gateway, tls = tls.is_some(), "the gateway is ready");
    running
        .spawn(async move { gateway.run(listener, tls, shutdown).await.map_err(|error| Error::Gateway(error.into())) });
    Ok(())
}
