//! Which resources exist: the built-in kinds, and one entry per served version of each CustomResourceDefinition.
//!
//! Readers take a snapshot; a changed CustomResourceDefinition swaps the whole table at once, so that a request sees
//! either the old schema everywhere or the new one.

mod builtin;
mod definitions;

use std::sync::Arc;

use essaim_schema::{Columns, FieldPath, Scale, SelectableField, Structural, openapi::ResourceDoc};
use essaim_store::{Key, Revision};
use tokio::sync::watch;

pub(crate) use definitions::{Custom, Definitions};

use crate::registry::Converter;

/// The group of CustomResourceDefinition.
pub(crate) const EXTENSIONS_GROUP: &str = "apiextensions.k8s.io";
/// The group of the webhooks that are asked about writes.
pub(crate) const WEBHOOKS_GROUP: &str = "admissionregistration.k8s.io";
/// The group of the newer form of Event.
pub(crate) const EVENTS_GROUP: &str = "events.k8s.io";
/// The group of Role and its like.
pub(crate) const RBAC_GROUP: &str = "rbac.authorization.k8s.io";

/// Where the store keeps every Secret, for whoever seals them there.
pub const SECRETS_PREFIX: &str = "/registry/core/secrets/";
/// Where the store keeps every CustomResourceDefinition. Of two that want the same names the one that was created first has them, so their
/// order matters to whoever moves them.
pub const DEFINITIONS_PREFIX: &str = "/registry/apiextensions.k8s.io/customresourcedefinitions/";

/// One resource in one version, with everything that requests about it need.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own, as in discovery documents")]
#[derive(Debug)]
pub(crate) struct Resource {
    /// Empty for core.
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) kind: String,
    pub(crate) list_kind: String,
    pub(crate) plural: String,
    pub(crate) singular: String,
    pub(crate) short_names: Vec<String>,
    pub(crate) categories: Vec<String>,
    pub(crate) namespaced: bool,
    /// `/status` exists: the main resource does not write status, and generation counts spec changes.
    pub(crate) has_status: bool,
    /// `/scale` exists.
    pub(crate) has_scale: bool,
    /// What clients may do: `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    pub(crate) verbs: &'static [&'static str],
    /// Built-in kinds take strategic merge patches and unconditional updates.
    pub(crate) built_in: bool,
    /// Where its objects lie: `/registry/<group or core>/<storage plural>/`. Both Event groups share one.
    pub(crate) storage_prefix: String,
    /// `apiVersion` of the stored form.
    pub(crate) storage_api_version: String,
    /// How the stored text of an object begins that is stored in this version: apiVersion, kind, and the opened metadata.
    pub(crate) stored_head: String,
    /// The schema of the stored form, where that is another version of the same kind.
    pub(crate) storage_schema: Option<Structural>,
    /// Who converts what is stored in another version, where versions differ in more than `apiVersion`.
    pub(crate) conversion: Option<Arc<Converter>>,
    /// Prunes, fills in defaults and validates.
    pub(crate) schema: Structural,
    /// How server-side apply merges.
    pub(crate) merge_schema: Arc<essaim_structured_merge::Schema>,
    /// The cells of a Table.
    pub(crate) columns: Columns,
    /// Where the numbers of `/scale` stand.
    pub(crate) scale: Option<Scale>,
    /// The fields that field selectors may name, beside `metadata.name` and `metadata.namespace`.
    pub(crate) selectable_fields: Vec<SelectableField>,
    /// For the `Warning` header, if this version is deprecated.
    pub(crate) deprecation_warning: Option<String>,
    /// `apiVersion` of every version in which the resource is served.
    pub(crate) served_api_versions: Vec<String>,
    /// Equal for two entries exactly if they read stored objects alike; names parsed objects in the cache.
    pub(crate) identity: u64,
    /// What is kept where it is kept for long, such as in figures.
    pub(crate) series: Arc<ResourceName>,
    /// The CustomResourceDefinition it comes from.
    pub(crate) definition: Option<DefinitionRef>,
}

/// Which resource in which version, and nothing else of it.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct ResourceName {
    /// Empty for core.
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) plural: String,
}

impl ResourceName {
    pub(crate) fn new(group: &str, version: &str, plural: &str) -> Arc<Self> {
        Arc::new(Self { group: group.to_owned(), version: version.to_owned(), plural: plural.to_owned() })
    }
}

/// The CustomResourceDefinition that an entry was made from.
#[derive(Clone, Debug)]
pub(crate) struct DefinitionRef {
    /// Where it is stored.
    pub(crate) key: Key,
    /// Which state of it.
    pub(crate) revision: Revision,
    /// It is being deleted: nothing new may be created.
    pub(crate) terminating: bool,
}

impl Resource {
    /// `group/version`, or just the version in the core group.
    pub(crate) fn api_version(&self) -> String {
        api_version(&self.group, &self.version)
    }

    /// Whether the resource is this one, whatever the version.
    pub(crate) fn is(&self, group: &str, plural: &str) -> bool {
        self.group == group && self.plural == plural
    }

    /// Whether its objects are service accounts, for which tokens can be asked.
    pub(crate) fn has_tokens(&self) -> bool {
        self.built_in && self.is("", "serviceaccounts")
    }

    /// Whether a PUT also makes what is not there, as Kubernetes allows it for these kinds and for no other that is served here.
    pub(crate) fn is_made_by_put(&self) -> bool {
        let kind = (self.group.as_str(), self.kind.as_str());
        let made = matches!(kind, ("coordination.k8s.io", "Lease") | ("" | EVENTS_GROUP, "Event") | (RBAC_GROUP, _));
        self.built_in && made
    }

    /// What it adds to the OpenAPI document of its group and version.
    pub(crate) fn doc(&self) -> ResourceDoc<'_> {
        ResourceDoc {
            kind: &self.kind,
            plural: &self.plural,
            namespaced: self.namespaced,
            schema: self.schema.json(),
            verbs: self.verbs.to_vec(),
            status: self.has_status,
            scale: self.has_scale,
            strategic_merge: self.built_in,
        }
    }

    /// Where a selectable field stands.
    pub(crate) fn selectable(&self, label: &str) -> Option<&FieldPath> {
        self.selectable_fields.iter().find(|field| field.label == label).map(|field| &field.path)
    }
}

/// `group/version`, or just the version in the core group.
pub(crate) fn api_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

/// How the text of an object begins, as the registry stores it.
pub(crate) fn stored_head(api_version: &str, kind: &str) -> String {
    format!(r#"{{"apiVersion":{api_version:?},"kind":{kind:?},"metadata":{{"#)
}

/// What exists at one moment.
#[derive(Debug, Default)]
pub(crate) struct Table {
    /// Sorted by group and version, in discovery's order.
    pub(crate) resources: Arc<Vec<Arc<Resource>>>,
    /// The picture of the store that it was made from.
    revision: Revision,
}

impl Table {
    /// The resource of that name in that version.
    pub(crate) fn find(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<Resource>> {
        let found = |one: &&Arc<Resource>| one.plural == plural && one.version == version && one.group == group;
        self.resources.iter().find(found)
    }

    /// The resource of that kind; `api_version` as in objects and owner references.
    pub(crate) fn find_kind(&self, api_version: &str, kind: &str) -> Option<&Arc<Resource>> {
        self.resources.iter().find(|one| one.kind == kind && one.api_version() == api_version)
    }

    /// The resource through which to look at stored text: in the version of the text if that is served, so that nothing has to be
    /// converted; else in the version that is stored now, if that is served; else in any.
    pub(crate) fn storing(&self, key: &Key, text: &[u8]) -> Option<&Arc<Resource>> {
        let stores = |one: &&Arc<Resource>| key.as_str().starts_with(&one.storage_prefix);
        let served = || self.resources.iter().filter(stores);
        let in_its_version =
            served().find(|one| one.conversion.is_some() && text.starts_with(one.stored_head.as_bytes()));
        in_its_version.or_else(|| served().find(|one| one.storage_schema.is_none())).or_else(|| served().next())
    }

    /// One entry for each place where objects lie, whatever the number of versions.
    pub(crate) fn storages(&self) -> impl Iterator<Item = &Arc<Resource>> {
        let stores = |one: &Arc<Resource>| one.verbs.contains(&"list");
        let first = move |at: usize, one: &Arc<Resource>| {
            self.resources
                .iter()
                .take(at)
                .all(|earlier| !stores(earlier) || earlier.storage_prefix != one.storage_prefix)
        };
        self.resources.iter().enumerate().filter(move |(at, one)| stores(one) && first(*at, one)).map(|(_, one)| one)
    }
}

/// The table of resources.
pub(crate) struct Catalogue {
    table: watch::Sender<Arc<Table>>,
}

impl Catalogue {
    /// The built-in kinds.
    pub(crate) fn new() -> Self {
        let table = Table { resources: Arc::new(sorted(builtin::resources())), revision: Revision::default() };
        Self { table: watch::Sender::new(Arc::new(table)) }
    }

    /// All resources, in discovery's order.
    pub(crate) fn snapshot(&self) -> Arc<Vec<Arc<Resource>>> {
        self.table.borrow().resources.clone()
    }

    /// What exists now.
    pub(crate) fn table(&self) -> Arc<Table> {
        self.table.borrow().clone()
    }

    /// The resource of that name in that version.
    pub(crate) fn find(&self, group: &str, version: &str, plural: &str) -> Option<Arc<Resource>> {
        self.table.borrow().find(group, version, plural).cloned()
    }

    /// Tells when the table is another one.
    pub(crate) fn changes(&self) -> watch::Receiver<Arc<Table>> {
        self.table.subscribe()
    }

    /// Puts the entries of all CustomResourceDefinitions in place of those before, unless they are from an older picture.
    pub(crate) fn replace_custom(&self, custom: Vec<Arc<Resource>>, revision: Revision) {
        self.table.send_if_modified(|table| {
            if revision < table.revision {
                return false;
            }
            let built_in = table.resources.iter().filter(|one| one.built_in).cloned();
            let resources = sorted(built_in.chain(custom).collect());
            *table = Arc::new(Table { resources: Arc::new(resources), revision });
            true
        });
    }
}

/// Discovery's order: core first, groups by name, the preferred version first, then by name.
fn sorted(mut resources: Vec<Arc<Resource>>) -> Vec<Arc<Resource>> {
    resources.sort_by(|left, right| {
        let group = left.group.cmp(&right.group);
        group
            .then_with(|| definitions::version_order(&left.version, &right.version))
            .then_with(|| left.plural.cmp(&right.plural))
    });
    resources
}
