//! The start: open the registry, put in place what must be there, then be ready.
//!
//! May be repeated at any moment: every manifest is a server-side apply, which changes nothing where nothing differs.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use essaim_store::Store;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{ApiServer, Options, StartError, limits::Gate, metrics::Metrics, service::Service, tls};
use crate::{
    ApiError,
    auth::{AccountTokens, Authenticator, Authorizer, IssuedIndex, OidcProvider, Reviews, default_manifests},
    registry::{Admission, Document, FieldValidation, Part, Patch, Registry, Scope, WriteOptions},
};

/// Owns the fields of the objects that are there from the start.
const FIELD_MANAGER: &str = "essaim-bootstrap";
/// How long a CustomResourceDefinition may take to be served.
const ESTABLISHED_WITHIN: Duration = Duration::from_secs(30);

impl ApiServer {
    /// Opens the store's objects, applies the bootstrap manifests and answers from then on.
    pub async fn start(store: Arc<dyn Store>, options: Options) -> Result<Self, StartError> {
        let stop = CancellationToken::new();
        let mut admission = options.admission;
        admission.extend(options.issued_tokens.clone().map(|place| Arc::new(place) as Arc<dyn Admission>));
        let registry = Registry::new(store, options.clock, admission).with_quotas(options.quotas);
        // Webhooks that hang leave half of the places to writes that they have no part in.
        let registry = Arc::new(registry.with_webhook_places(options.limits.writes.div_ceil(2)));
        registry.open().await.map_err(StartError::Open)?;
        let mut tasks = tokio::task::JoinSet::new();
        registry.spawn_tasks(&mut tasks, &stop);
        let key = options.service_account_key.or_else(tls::passing_service_account_key);
        let accounts = key.and_then(|key| AccountTokens::new(registry.clone(), &key)).map(Arc::new);
        let issued = options.issued_tokens.clone().map(|place| IssuedIndex::new(registry.clone(), place));
        let oidc = options.oidc.map(OidcProvider::new).transpose().map_err(StartError::Oidc)?;
        let authenticator =
            Arc::new(Authenticator { configured: options.tokens, issued, accounts: accounts.clone(), oidc });
        let authorizer = Arc::new(Authorizer::new(registry.clone(), options.issued_tokens));
        let service = Arc::new(Service {
            reviews: Reviews::new(authenticator.clone(), authorizer.clone()),
            registry,
            authenticator,
            accounts,
            authorizer,
            openapi: crate::wire::openapi::OpenApi::default(),
            url: options.url,
            gate: Gate::new(options.limits),
            metrics: Metrics::new(),
            raw_handlers: options.raw_handlers,
            audit: options.audit,
            ready: AtomicBool::new(false),
            stop: stop.clone(),
        });
        let server = Self { service, stop, _tasks: tasks };
        let defaults = default_manifests().map_err(StartError::Open)?;
        for manifest in defaults.into_iter().chain(options.bootstrap_manifests) {
            server.put_in_place(manifest).await?;
        }
        server.service.ready.store(true, Ordering::Release);
        Ok(server)
    }

    async fn put_in_place(&self, manifest: Value) -> Result<(), StartError> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (kind, name) = (text(&manifest["kind"]), text(&manifest["metadata"]["name"]));
        let applied = Box::pin(self.apply(manifest, &kind, &name)).await;
        applied.map_err(|source| StartError::Bootstrap { kind: kind.clone(), name: name.clone(), source })?;
        if kind == "CustomResourceDefinition" {
            return self.established(&name).await;
        }
        Ok(())
    }

    async fn apply(&self, manifest: Value, kind: &str, name: &str) -> Result<(), ApiError> {
        let registry = &self.service.registry;
        let api_version = manifest["apiVersion"].as_str().unwrap_or_default();
        let resource = registry.catalogue.table().find_kind(api_version, kind).cloned();
        let resource = resource.ok_or_else(|| ApiError::bad_request(format!("no kind {kind:?} in {api_version:?}")))?;
        let namespace = manifest["metadata"]["namespace"].as_str().map(str::to_owned).filter(|_| resource.namespaced);
        let scope = Scope { resource, namespace };
        let options = WriteOptions {
            field_manager: FIELD_MANAGER.into(),
            field_validation: FieldValidation::Strict,
            force: true,
            ..WriteOptions::default()
        };
        let patch = Patch::Apply(Document { value: manifest, duplicates: Vec::new() });
        registry.patch(&scope, name, Part::Main, patch, &options).await.map(drop)
    }

    /// Waits until the CustomResourceDefinition says that it is served.
    async fn established(&self, name: &str) -> Result<(), StartError> {
        let deadline = tokio::time::Instant::now() + ESTABLISHED_WITHIN;
        let mut changes = self.service.registry.catalogue.changes();
        loop {
            let conditions = self.conditions(name).await;
            if conditions.iter().any(|one| one["type"] == "Established" && one["status"] == "True") {
                return Ok(());
            }
            // The condition is written after the catalogue changed, so a second look soon after is worth it.
            let _ = tokio::time::timeout(Duration::from_millis(50), changes.changed()).await;
            if tokio::time::Instant::now() > deadline {
                return Err(StartError::NotEstablished {
                    name: name.into(),
                    reason: Value::from(conditions).to_string(),
                });
            }
        }
    }

    async fn conditions(&self, name: &str) -> Vec<Value> {
        let registry = &self.service.registry;
        let resource = registry.catalogue.find(crate::catalogue::EXTENSIONS_GROUP, "v1", "customresourcedefinitions");
        let Some(resource) = resource else { return Vec::new() };
        let scope = Scope { resource, namespace: None };
        let found = registry.get(&scope, name, Part::Main).await;
        let object = found.and_then(|found| found.value()).unwrap_or_default();
        object["status"]["conditions"].as_array().cloned().unwrap_or_default()
    }
}
