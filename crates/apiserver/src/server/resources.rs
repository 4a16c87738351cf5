//! Requests about objects: reads the parameters, calls the registry, writes the answer.

use std::{sync::Arc, time::Duration};

use axum::{body::Body, response::Response};
use futures::StreamExt as _;
use http::{Method, StatusCode, header, request::Parts};
use tokio_util::sync::CancellationToken;

use super::{attributes::method_not_allowed, metrics::Labels, service::Service};
use crate::{
    ApiError, UserInfo,
    audit::Trail,
    auth::{Attributes, Target},
    catalogue::Resource,
    error::Cause,
    registry::{
        DeleteOptions, Deleted, ListOptions, Part, Patch, Scope, Underway, WatchOptions, WriteOptions, Written,
    },
    wire::{
        decode,
        negotiate::{Offer, negotiate},
        output::{self, Style},
        path::ResourcePath,
        query::Query,
        watch_frames,
    },
};

/// A watch without a wish of its own ends after this long, or up to twice as long, so that clients spread out.
const SHORTEST_WATCH: Duration = Duration::from_mins(30);

/// One request about objects of one resource.
pub(super) struct ResourceRequest<'a> {
    pub(super) service: &'a Service,
    pub(super) user: &'a Arc<UserInfo>,
    pub(super) parts: &'a Parts,
    pub(super) query: &'a Query,
    pub(super) scope: Scope,
    pub(super) name: Option<&'a str>,
    pub(super) part: Part,
}

impl<'a> ResourceRequest<'a> {
    /// Finds the resource that the path names.
    pub(super) fn find(
        service: &'a Service,
        user: &'a Arc<UserInfo>,
        parts: &'a Parts,
        query: &'a Query,
        path: &'a ResourcePath,
    ) -> Result<Self, ApiError> {
        let resource = service.registry.catalogue.find(&path.group, served_version(path), &path.resource);
        let resource = resource.ok_or_else(ApiError::no_such_path)?;
        let misplaced = if resource.namespaced {
            path.namespace.is_none() && path.name.is_some()
        } else {
            path.namespace.is_some()
        };
        let part = match path.subresource.as_deref() {
            None => Part::Main,
            Some("status") if resource.has_status => Part::Status,
            Some("scale") if resource.has_scale => Part::Scale,
            Some(_) => return Err(ApiError::no_such_path()),
        };
        if misplaced {
            return Err(ApiError::no_such_path());
        }
        let scope = Scope { resource, namespace: path.namespace.clone() };
        Ok(Self { service, user, parts, query, scope, name: path.name.as_deref(), part })
    }

    /// Carries it out.
    pub(super) async fn answer(
        self,
        labels: &Labels,
        body: Body,
        stop: CancellationToken,
    ) -> Result<Response, ApiError> {
        let deprecation = self.scope.resource.deprecation_warning.clone();
        let mut response = match (&self.parts.method, self.name, self.part) {
            (&Method::GET, Some(name), _) => self.get(name).await,
            (&Method::GET, None, Part::Main) if self.query.flag("watch") => self.watch(labels, stop).await,
            (&Method::GET, None, Part::Main) => self.list().await,
            (&Method::POST, None, Part::Main) => self.create(body).await,
            (&Method::PUT, Some(name), _) => self.update(name, body).await,
            (&Method::PATCH, Some(name), _) => self.patch(name, body).await,
            (&Method::DELETE, Some(name), Part::Main) => self.delete(name, body).await,
            (&Method::DELETE, None, Part::Main) => self.delete_collection(body).await,
            _ => Err(method_not_allowed()),
        }?;
        if let Some(warning) = deprecation {
            output::warn(&mut response, &[warning]);
        }
        Ok(response)
    }

    fn style(&self, offer: Offer) -> Result<Style, ApiError> {
        Style::new(negotiate(&self.parts.headers, offer)?, self.query, &self.parts.headers)
    }

    fn needs(&self, verb: &str) -> Result<(), ApiError> {
        if self.scope.resource.verbs.contains(&verb) { Ok(()) } else { Err(method_not_allowed()) }
    }

    async fn get(&self, name: &str) -> Result<Response, ApiError> {
        self.needs("get")?;
        let style = self.style(Offer::Objects)?;
        let object = self.service.registry.get(&self.scope, name, self.part).await?;
        output::object(StatusCode::OK, &self.scope.resource, &object, &style, self.service.now())
    }

    async fn list(&self) -> Result<Response, ApiError> {
        self.needs("list")?;
        let style = self.style(Offer::Objects)?;
        if self.query.optional_flag("sendInitialEvents").is_some() {
            let message = "Forbidden: sendInitialEvents is forbidden for list";
            return Err(invalid_option("ListOptions", "sendInitialEvents", "FieldValueForbidden", message));
        }
        let list = self.service.registry.list(&self.scope, self.list_options()?).await?;
        output::list(&self.scope.resource, list, &style, self.service.now())
    }

    fn list_options(&self) -> Result<ListOptions, ApiError> {
        Ok(ListOptions {
            selectors: self.query.selectors()?,
            limit: usize::try_from(self.query.number("limit")?.unwrap_or_default()).unwrap_or(usize::MAX),
            continue_token: self.query.owned("continue"),
            resource_version: self.query.owned("resourceVersion"),
            resource_version_match: self.query.owned("resourceVersionMatch"),
        })
    }

    async fn watch(&self, labels: &Labels, stop: CancellationToken) -> Result<Response, ApiError> {
        self.needs("watch")?;
        let style = self.style(Offer::Watch)?;
        let options = WatchOptions {
            selectors: self.query.selectors()?,
            resource_version: self.query.owned("resourceVersion"),
            resource_version_match: self.query.owned("resourceVersionMatch"),
            bookmarks: self.query.flag("allowWatchBookmarks"),
            send_initial_events: self.query.optional_flag("sendInitialEvents"),
            timeout: Some(self.query.timeout()?.unwrap_or_else(spread_out)),
        };
        match self.service.registry.watch(&self.scope, options).await {
            Ok(events) => {
                let events = self.service.metrics.follow(&self.scope.resource.series, labels, events);
                let events = events.take_until(stop.cancelled_owned()).boxed();
                let clock = self.service.registry.clock.clone();
                Ok(watch_frames::respond(self.scope.resource.clone(), events, style, clock))
            }
            Err(error) if error.code == 410 => Ok(watch_frames::failed(&error)),
            Err(error) => Err(error),
        }
    }

    async fn create(&self, body: Body) -> Result<Response, ApiError> {
        self.needs("create")?;
        let style = self.style(Offer::Objects)?;
        let bytes = decode::read(body).await?;
        let document = decode::object(&self.parts.headers, &bytes)?;
        let resource = &self.scope.resource;
        if resource.namespaced && self.scope.namespace.is_none() && resource.verbs.contains(&"list") {
            return Err(method_not_allowed());
        }
        self.note_name(document.value["metadata"]["name"].as_str());
        if !resource.verbs.contains(&"list") {
            let (namespace, now) = (self.scope.namespace.as_deref(), self.service.now());
            let reviews = &self.service.reviews;
            let review = reviews.answer(resource, namespace, self.user, document.value, now).await?;
            return output::write(StatusCode::CREATED, &review, &style);
        }
        let written =
            Box::pin(self.service.registry.create(&self.scope, document, &self.write_options().await?)).await?;
        self.note_generated(&written);
        self.written(&written, &style)
    }

    async fn update(&self, name: &str, body: Body) -> Result<Response, ApiError> {
        self.needs("update")?;
        let style = self.style(Offer::Objects)?;
        let bytes = decode::read(body).await?;
        let document = decode::object(&self.parts.headers, &bytes)?;
        let mut options = self.write_options().await?;
        let makes = self.part == Part::Main && self.scope.resource.is_made_by_put();
        let creation = self.creation(name);
        options.update_only = makes && !self.service.authorizer.allows(self.user, &creation).await?;
        let written = Box::pin(self.service.registry.update(&self.scope, name, self.part, document, &options)).await;
        let written = written.map_err(|error| match error.code {
            404 if options.update_only => creation.forbidden(self.user),
            _ => error,
        })?;
        self.written(&written, &style)
    }

    async fn patch(&self, name: &str, body: Body) -> Result<Response, ApiError> {
        self.needs("patch")?;
        let style = self.style(Offer::Objects)?;
        let bytes = decode::read(body).await?;
        let patch = decode::patch(&self.parts.headers, &bytes, self.scope.resource.built_in)?;
        let mut options = self.write_options().await?;
        self.check_apply(&patch)?;
        // An apply makes what is not there, which is another right than to change what is.
        let creation = self.creation(name);
        options.update_only = self.part == Part::Main
            && matches!(patch, Patch::Apply(_))
            && !self.service.authorizer.allows(self.user, &creation).await?;
        let written = Box::pin(self.service.registry.patch(&self.scope, name, self.part, patch, &options)).await;
        let written = written.map_err(|error| match error.code {
            404 if options.update_only => creation.forbidden(self.user),
            _ => error,
        })?;
        self.written(&written, &style)
    }

    /// To make the object of that name, in the words of rules.
    fn creation(&self, name: &str) -> Attributes {
        let Resource { group, plural, .. } = &*self.scope.resource;
        Attributes {
            verb: "create".into(),
            namespace: self.scope.namespace.clone().unwrap_or_default(),
            target: Target::Resource {
                group: group.clone(),
                resource: plural.clone(),
                subresource: String::new(),
                name: name.into(),
            },
        }
    }

    /// An apply needs a manager who owns the fields; nothing else may be forced.
    fn check_apply(&self, patch: &Patch) -> Result<(), ApiError> {
        let apply = matches!(patch, Patch::Apply(_));
        if apply && self.query.text("fieldManager").is_none() {
            let message = "Required value: is required for apply patch";
            return Err(invalid_option("PatchOptions", "fieldManager", "FieldValueRequired", message));
        }
        if !apply && self.query.optional_flag("force").is_some() {
            let message = "Forbidden: may not be specified for non-apply patch";
            return Err(invalid_option("PatchOptions", "force", "FieldValueForbidden", message));
        }
        Ok(())
    }

    async fn delete(&self, name: &str, body: Body) -> Result<Response, ApiError> {
        self.needs("delete")?;
        let style = self.style(Offer::Objects)?;
        let bytes = decode::read(body).await?;
        let options = self.delete_options(&bytes)?;
        match Box::pin(self.service.registry.delete(&self.scope, name, &options)).await? {
            Deleted::Gone(status) => output::write(StatusCode::OK, &status, &style),
            Deleted::Pending(object) => {
                output::object(StatusCode::OK, &self.scope.resource, &object, &style, self.service.now())
            }
        }
    }

    async fn delete_collection(&self, body: Body) -> Result<Response, ApiError> {
        self.needs("deletecollection")?;
        let style = self.style(Offer::Objects)?;
        let bytes = decode::read(body).await?;
        let options = self.delete_options(&bytes)?;
        let list = self.list_options()?;
        let deleted = Box::pin(self.service.registry.delete_collection(&self.scope, list, &options)).await?;
        output::list(&self.scope.resource, deleted, &style, self.service.now())
    }

    /// Tells the audit log the name of a new object, which the path does not.
    fn note_name(&self, name: Option<&str>) {
        if let (Some(trail), Some(name)) = (self.parts.extensions.get::<Arc<Trail>>(), name) {
            trail.named(name);
        }
    }

    /// The same for a name that was generated; looked for only where somebody wants to know it.
    fn note_generated(&self, written: &Written) {
        if self.parts.extensions.get::<Arc<Trail>>().is_some()
            && let Ok(object) = written.object.value()
        {
            self.note_name(object["metadata"]["name"].as_str());
        }
    }

    fn written(&self, written: &Written, style: &Style) -> Result<Response, ApiError> {
        let status = if written.created { StatusCode::CREATED } else { StatusCode::OK };
        let mut response = output::object(status, &self.scope.resource, &written.object, style, self.service.now())?;
        output::warn(&mut response, &written.warnings);
        Ok(response)
    }

    async fn write_options(&self) -> Result<WriteOptions, ApiError> {
        let namespace = self.scope.namespace.as_deref();
        Ok(WriteOptions {
            guard: self.service.authorizer.guard(self.user, &self.scope.resource, namespace).await?,
            dry_run: self.query.dry_run()?,
            field_manager: self.field_manager()?,
            field_validation: self.query.field_validation()?,
            force: self.query.flag("force"),
            update_only: false,
            user: Some(self.user.clone()),
            underway: Some(self.underway()),
        })
    }

    /// Never nothing: a write without it would pass by the webhooks.
    fn underway(&self) -> Arc<Underway> {
        let begins = || Arc::new(Underway::until(tokio::time::Instant::now() + self.service.gate.limits.handler));
        self.parts.extensions.get().cloned().unwrap_or_else(begins)
    }

    /// What a deletion is to do, from the body or the parameters.
    fn delete_options(&self, bytes: &[u8]) -> Result<DeleteOptions, ApiError> {
        let served = &self.scope.resource.served_api_versions;
        let options = decode::delete_options(&self.parts.headers, bytes, self.query, served)?;
        Ok(DeleteOptions { user: Some(self.user.clone()), underway: Some(self.underway()), ..options })
    }

    /// The parameter, or the product of the user agent.
    fn field_manager(&self) -> Result<String, ApiError> {
        let Some(manager) = self.query.text("fieldManager") else {
            let agent =
                self.parts.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
            let product = agent.split('/').next().unwrap_or_default();
            let product: String = product.chars().filter(|letter| !letter.is_control()).take(128).collect();
            return Ok(if product.is_empty() { "unknown".into() } else { product });
        };
        if manager.len() > 128 {
            return Err(invalid_option(
                "Options",
                "fieldManager",
                "FieldValueTooLong",
                "Too long: may not be more than 128 bytes",
            ));
        }
        if manager.chars().any(char::is_control) {
            let message = format!("Invalid value: {manager:?}: should only contain printable characters");
            return Err(invalid_option("Options", "fieldManager", "FieldValueInvalid", &message));
        }
        Ok(manager.to_owned())
    }
}

/// A parameter that is refused.
fn invalid_option(kind: &str, field: &str, reason: &str, message: &str) -> ApiError {
    let cause = Cause { reason: reason.into(), message: message.into(), field: field.into() };
    ApiError::invalid("meta.k8s.io", kind, "", vec![cause])
}

/// The version in which the resource is served. `kubectl auth whoami` of 1.27 knows only the beta of its review.
fn served_version(path: &ResourcePath) -> &str {
    let review = path.group == "authentication.k8s.io" && path.resource == "selfsubjectreviews";
    if review && path.version == "v1beta1" { "v1" } else { &path.version }
}

/// Between one and two times the shortest.
fn spread_out() -> Duration {
    let extra = getrandom::u32().map_or(0, |random| u64::from(random) % SHORTEST_WATCH.as_secs());
    SHORTEST_WATCH + Duration::from_secs(extra)
}
