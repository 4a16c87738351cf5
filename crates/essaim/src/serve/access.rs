//! How the roles of this process reach the API: over the router in the process, or with a kubeconfig.

use essaim_apiserver::UserInfo;
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};

use super::api::Api;
use crate::{configuration::Configuration, error::Error};

/// Makes clients. Each role gets its own, because a client works one request after the other through its queue.
pub(crate) enum Access {
    /// In this process, as a named user with that user's rights.
    InProcess(std::sync::Arc<essaim_apiserver::ApiServer>),
    /// Over the network, with the rights that the kubeconfig gives.
    Remote(Box<Config>),
}

impl Access {
    /// The way to the API that this configuration describes.
    pub(crate) async fn new(configuration: &Configuration, api: Option<&Api>) -> Result<Self, Error> {
        match (api, &configuration.kubeconfig) {
            (Some(api), _) => Ok(Self::InProcess(api.server.clone())),
            (None, Some(path)) => {
                let unusable = |error: kube::config::KubeconfigError| Error::Kubeconfig(error.into());
                let file = Kubeconfig::read_from(path).map_err(unusable)?;
                let config =
                    Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.map_err(unusable)?;
                Ok(Self::Remote(Box::new(config)))
            }
            (None, None) => Err(Error::Configuration("no API: neither the role api nor --kubeconfig".into())),
        }
    }

    /// A client for a role.
    pub(crate) fn client(&self, user: &str) -> Result<Client, Error> {
        match self {
            Self::InProcess(server) => {
                let user = UserInfo { name: user.to_owned(), ..UserInfo::default() };
                Ok(Client::new(server.in_process(user), "default"))
            }
            Self::Remote(config) => {
                Client::try_from((**config).clone()).map_err(|error| Error::Kubeconfig(error.into()))
            }
        }
    }
}
