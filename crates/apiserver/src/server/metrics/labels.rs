//! The words by which requests are told apart.

use std::{fmt, sync::Arc};

use http::{HeaderMap, Method, header};
use prometheus_client::encoding::{EncodeLabel as _, EncodeLabelSet, LabelSetEncoder};

use super::Lumped;
use crate::{
    catalogue::{Catalogue, ResourceName},
    wire::{
        path::{ResourcePath, Target},
        query::Query,
    },
};

const COMPONENT: &str = "apiserver";
const OTHER: &str = "other";
/// Paths that are no resources and yet named, as the subresource, as Kubernetes does; only their first segment counts.
const PATHS: [&str; 9] =
    ["/api", "/apis", "/healthz", "/livez", "/metrics", "/openapi", "/openid", "/readyz", "/version"];
const SUBRESOURCES: [&str; 3] = ["status", "scale", "token"];

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::server) struct Labels {
    verb: &'static str,
    resource: Arc<ResourceName>,
    subresource: &'static str,
    scope: &'static str,
    dry_run: bool,
}

impl Labels {
    /// Of a request whose path or query could not be read.
    pub(in crate::server) fn unreadable(method: &Method) -> Self {
        Self {
            verb: by_method(method),
            resource: ResourceName::new("", "", OTHER),
            subresource: "",
            scope: "",
            dry_run: false,
        }
    }

    pub(in crate::server) fn of(
        target: &Target,
        method: &Method,
        headers: &HeaderMap,
        query: &Query,
        catalogue: &Catalogue,
    ) -> Self {
        let dry_run = query.text("dryRun") == Some("All");
        let path = match target {
            Target::Resource(path) => path,
            Target::Discovery(_) => return Self::of_path("/apis", method),
            Target::NonResource(path) => return Self::of_path(path, method),
        };
        let verb = verb(method, path.name.is_some(), headers, query);
        let known = catalogue.find(&path.group, &path.version, &path.resource);
        let resource = known.map_or_else(|| ResourceName::new("", "", OTHER), |resource| resource.series.clone());
        Self { verb, resource, subresource: subresource(path), scope: scope(path, method), dry_run }
    }

    fn of_path(path: &str, method: &Method) -> Self {
        let under =
            |known: &&&str| path.strip_prefix(**known).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        let subresource = PATHS.iter().find(under).copied().unwrap_or(OTHER);
        let resource = ResourceName::new("", "", "");
        Self { verb: by_method(method), resource, subresource, scope: "", dry_run: false }
    }

    #[cfg(test)]
    pub(super) fn about(resource: Arc<ResourceName>) -> Self {
        Self { verb: "GET", resource, subresource: "", scope: "cluster", dry_run: false }
    }

    pub(super) fn is_watch(&self) -> bool {
        self.verb == "WATCH"
    }
}

impl Lumped for Labels {
    fn other(&self) -> Self {
        Self { resource: ResourceName::new("", "", OTHER), ..self.clone() }
    }
}

fn by_method(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "HEAD" => "HEAD",
        _ => OTHER,
    }
}

fn verb(method: &Method, named: bool, headers: &HeaderMap, query: &Query) -> &'static str {
    match (method.as_str(), named) {
        ("GET", false) if query.flag("watch") => "WATCH",
        ("GET", false) => "LIST",
        ("DELETE", false) => "DELETECOLLECTION",
        ("PATCH", _) => {
            let media_type =
                headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
            if media_type.starts_with("application/apply-patch") { "APPLY" } else { "PATCH" }
        }
        _ => by_method(method),
    }
}

fn subresource(path: &ResourcePath) -> &'static str {
    let Some(given) = path.subresource.as_deref() else { return "" };
    SUBRESOURCES.into_iter().find(|known| *known == given).unwrap_or(OTHER)
}

fn scope(path: &ResourcePath, method: &Method) -> &'static str {
    match (&path.name, &path.namespace) {
        (Some(_), _) => "resource",
        _ if method == Method::POST => "resource",
        (None, Some(_)) => "namespace",
        (None, None) => "cluster",
    }
}

/// Writes labels; which resource is three of them.
struct Writer<'a, 'b>(&'a mut LabelSetEncoder<'b>);

impl Writer<'_, '_> {
    fn label(&mut self, name: &str, value: &str) -> fmt::Result {
        (name, value).encode(self.0.encode_label())
    }

    fn resource(&mut self, resource: &ResourceName) -> fmt::Result {
        self.label("group", &resource.group)?;
        self.label("version", &resource.version)?;
        self.label("resource", &resource.plural)
    }

    fn request(&mut self, labels: &Labels) -> fmt::Result {
        self.label("verb", labels.verb)?;
        self.resource(&labels.resource)?;
        self.label("subresource", labels.subresource)?;
        self.label("scope", labels.scope)?;
        self.label("component", COMPONENT)
    }
}

impl EncodeLabelSet for Labels {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        let mut writer = Writer(encoder);
        writer.request(self)?;
        writer.label("dry_run", if self.dry_run { "All" } else { "" })
    }
}

/// How it was answered.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Answered {
    pub(super) labels: Labels,
    pub(super) code: u16,
}

impl Lumped for Answered {
    fn other(&self) -> Self {
        Self { labels: self.labels.other(), code: self.code }
    }
}

impl EncodeLabelSet for Answered {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        self.labels.encode(encoder)?;
        Writer(encoder).label("code", &self.code.to_string())
    }
}

/// A watch that is open.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Watched(pub(super) Labels);

impl Lumped for Watched {
    fn other(&self) -> Self {
        Self(self.0.other())
    }
}

impl EncodeLabelSet for Watched {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        Writer(encoder).request(&self.0)
    }
}

/// Of which resource the events are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Followed(pub(super) Arc<ResourceName>);

impl Lumped for Followed {
    fn other(&self) -> Self {
        Self(ResourceName::new("", "", OTHER))
    }
}

impl EncodeLabelSet for Followed {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        Writer(encoder).resource(&self.0)
    }
}
