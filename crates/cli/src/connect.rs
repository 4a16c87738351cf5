//! From a kubeconfig to a client.

use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};

use crate::{Connection, Error};

/// A client for the API that the kubeconfig names.
pub(crate) async fn client(connection: &Connection) -> Result<Client, Error> {
    let file = match &connection.kubeconfig {
        Some(path) => Kubeconfig::read_from(path),
        None => Kubeconfig::read(),
    };
    let options = KubeConfigOptions { context: connection.context.clone(), ..KubeConfigOptions::default() };
    let config =
        Config::from_custom_kubeconfig(file.map_err(Error::Kubeconfig)?, &options).await.map_err(Error::Kubeconfig)?;
    Client::try_from(config).map_err(Error::Client)
}
