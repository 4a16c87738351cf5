//! The role `api`: the store, the API server over it, what must be there from the start.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use axum::response::IntoResponse;
use essaim_api::names;
use essaim_apiserver::{
    ApiServer, AuditLog, AuditSettings, IssuedTokens, Oidc, Options, RawHandler, StaticToken, Tls, UserInfo, tls,
    tls::Endpoint,
};
use essaim_controllers::Journal;
use serde_json::Value;
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{backup, roles, store::Opened};
use crate::{
    configuration::{Audit, Configuration, Oidc as OidcSettings, Token},
    error::Error,
};

/// The roles of a site.
const ROLES: &str = include_str!("../../manifests/roles.yaml");

/// The API server of this process and what it stands on.
pub(crate) struct Api {
    pub(crate) server: Arc<ApiServer>,
    pub(crate) tls: Tls,
    store: Opened,
}

/// Opens the store and starts the server; its objects are in place when this returns.
pub(crate) async fn start(configuration: &Configuration, journal: Arc<Journal>) -> Result<Api, Error> {
    let store = Opened::open(configuration).await?;
    let sealed = store.sealed(&configuration.data_dir).await?;
    let mut options = Options::new(Arc::new(crate::now));
    options.url = Some(endpoint(configuration.listen).url);
    options.tokens = tokens(&configuration.tokens)?;
    options.issued_tokens =
        Some(IssuedTokens { namespace: names::SYSTEM_NAMESPACE.into(), secret_type: names::TOKEN_SECRET_TYPE.into() });
    let key = tls::service_account_key(&configuration.data_dir);
    options.service_account_key = Some(key.map_err(|error| Error::ApiServer(error.into()))?);
    options.oidc = configuration.oidc.as_ref().map(oidc).transpose()?;
    options.audit = configuration.audit.as_ref().map(audit).transpose()?;
    options.bootstrap_manifests = manifests()?;
    options.raw_handlers = vec![reconciles(journal), backup::handler(store.engine())];
    let server = ApiServer::start(sealed, options).await.map_err(|error| Error::ApiServer(error.into()))?;
    let tls = tls::ensure(&configuration.data_dir, &endpoint(configuration.listen), crate::now());
    Ok(Api { server: Arc::new(server), tls: tls.map_err(|error| Error::ApiServer(error.into()))?, store })
}

impl Api {
    /// Serves the API on a socket until the token is cancelled.
    pub(crate) async fn listen(
        &self,
        running: &mut JoinSet<Result<(), Error>>,
        address: SocketAddr,
        shutdown: CancellationToken,
    ) -> Result<(), Error> {
        let bound = TcpListener::bind(address).await;
        let listener = bound.map_err(|source| Error::Listen { address: address.to_string(), source })?;
        let (server, tls) = (self.server.clone(), self.tls.clone());
        running.spawn(async move {
            server.serve(listener, tls, shutdown).await.map_err(|error| Error::ApiServer(error.into()))
        });
        Ok(())
    }

    /// Ends watches, and closes the store once its last batch is on disk.
    pub(crate) fn close(self) {
        self.server.stop();
        self.store.close();
    }
}

fn endpoint(listen: SocketAddr) -> Endpoint {
    let reachable =
        if listen.ip().is_unspecified() { SocketAddr::new([127, 0, 0, 1].into(), listen.port()) } else { listen };
    Endpoint { names: vec![listen.ip().to_string()], url: format!("https://{reachable}") }
}

fn tokens(tokens: &[Token]) -> Result<Vec<StaticToken>, Error> {
    let known = |token: &Token| {
        let mut token_sha256 = [0; 32];
        hex::decode_to_slice(&token.sha256, &mut token_sha256).map_err(|_| {
            Error::Configuration(format!("the token of {:?} needs a sha256 of 64 hexadecimal digits", token.user))
        })?;
        let user = UserInfo { name: token.user.clone(), groups: token.groups.clone(), ..UserInfo::default() };
        Ok(StaticToken { token_sha256, user })
    };
    tokens.iter().map(known).collect()
}

/// The identity provider, with its authority read from its file.
fn oidc(settings: &OidcSettings) -> Result<Oidc, Error> {
    let settings = settings.clone();
    let read = |path: PathBuf| std::fs::read_to_string(&path).map_err(|source| Error::Read { path, source });
    Ok(Oidc {
        issuer: settings.issuer,
        audiences: [vec![settings.client_id], settings.audiences].concat(),
        username_claim: settings.username_claim,
        username_prefix: settings.username_prefix,
        groups_claim: settings.groups_claim,
        groups_prefix: settings.groups_prefix,
        required_claims: settings.required_claims,
        ca_pem: settings.ca_file.map(read).transpose()?,
    })
}

/// The audit log. What the platform's own roles read is left out: it would drown what people do.
fn audit(settings: &Audit) -> Result<AuditLog, Error> {
    let settings = AuditSettings {
        path: settings.path.clone(),
        max_bytes: settings.max_bytes,
        max_files: settings.max_files,
        quiet_users: [roles::CONTROLLERS, roles::GATEWAY].map(str::to_owned).into(),
    };
    AuditLog::open(settings).map_err(|error| Error::ApiServer(error.into()))
}

/// The kinds of the platform, then its roles.
fn manifests() -> Result<Vec<Value>, Error> {
    let unreadable = |error: Box<dyn std::error::Error + Send + Sync>| Error::ApiServer(error);
    let kinds = essaim_api::definitions().into_iter().map(serde_json::to_value);
    let mut manifests = kinds.collect::<Result<Vec<_>, _>>().map_err(|error| unreadable(error.into()))?;
    manifests.extend(serde_yaml::from_multiple::<Value>(ROLES).map_err(|error| unreadable(error.into()))?);
    Ok(manifests)
}

/// What the controllers of this process remember of their last passes.
fn reconciles(journal: Arc<Journal>) -> RawHandler {
    RawHandler::new(names::RECONCILES_PATH, move |_| {
        let entries = journal.entries();
        async move { Ok(axum::Json(entries).into_response()) }
    })
}

#[cfg(test)]
mod tests;
