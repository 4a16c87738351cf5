//! CustomResourceDefinitions as entries of the table: which names each one gets, and what its versions serve.
//!
//! Pure: the registry reads the objects and writes their status. Names are given to whoever was created first, so that
//! the same objects always give the same table.

use std::{cmp::Ordering, collections::HashMap, sync::Arc};

use essaim_schema::{Definition, FieldError, Names, Scope, Version, openapi};
use essaim_store::{Key, Record, Revision};
use essaim_structured_merge as merge;
use serde_json::Value;

use super::{DefinitionRef, Resource, ResourceName, api_version, stored_head};
use crate::{registry::Converter, webhook::Caller};

/// One CustomResourceDefinition and what became of it.
pub(crate) struct Custom {
    /// `metadata.name`.
    pub(crate) name: String,
    /// The object as stored.
    pub(crate) object: Value,
    pub(crate) key: Key,
    pub(crate) revision: Revision,
    /// Read and checked, or why it cannot be served.
    pub(crate) definition: Result<Arc<Compiled>, Vec<FieldError>>,
    /// Why its names were refused: a reason and a message.
    pub(crate) conflict: Option<(&'static str, String)>,
}

/// A definition whose schemas were read, and the identity of each of its versions in the cache.
pub(crate) struct Compiled {
    spec: Value,
    pub(crate) definition: Definition,
    /// In the order of the versions.
    merge_schemas: Vec<Arc<merge::Schema>>,
    converter: Option<Arc<Converter>>,
    first_identity: u64,
}

/// Reads CustomResourceDefinitions, and keeps what it read until their `spec` changes.
#[derive(Default)]
pub(crate) struct Definitions {
    compiled: HashMap<Key, Arc<Compiled>>,
    last_identity: u64,
    /// Asks the webhooks of all of them.
    caller: Arc<Caller>,
}

/// Identities below belong to the built-in kinds.
const FIRST_IDENTITY: u64 = 1_000;

impl Definitions {
    /// Reads all of them, and settles who gets which names.
    ///
    /// The names of the built-in kinds are taken already.
    pub(crate) fn read(&mut self, records: &[Record], known: &[Arc<Resource>]) -> Vec<Custom> {
        let mut records: Vec<_> = records.iter().collect();
        records.sort_by_key(|record| record.created);
        let mut taken: Vec<(String, Names)> =
            known.iter().filter(|one| one.built_in).map(|one| built_in_names(one)).collect();
        let mut all = Vec::new();
        let mut kept = HashMap::new();
        for record in records {
            let Ok(object) = serde_json::from_slice::<Value>(&record.value) else {
                tracing::error!(key = record.key.as_str(), "the bytes of a CustomResourceDefinition are no object");
                continue;
            };
            let definition = self.compile(&record.key, &object);
            if let Ok(compiled) = &definition {
                kept.insert(record.key.clone(), compiled.clone());
            }
            let conflict = definition.as_ref().ok().and_then(|one| conflict(&taken, &one.definition));
            if let (Ok(one), None) = (&definition, &conflict) {
                taken.push((one.definition.group.clone(), one.definition.names.clone()));
            }
            let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            all.push(Custom { name, object, key: record.key.clone(), revision: record.modified, definition, conflict });
        }
        self.compiled = kept;
        all
    }

    fn compile(&mut self, key: &Key, object: &Value) -> Result<Arc<Compiled>, Vec<FieldError>> {
        if let Some(known) = self.compiled.get(key).filter(|known| known.spec == object["spec"]) {
            return Ok(known.clone());
        }
        let definition = Definition::from_crd(object)?;
        let first_identity = self.last_identity.max(FIRST_IDENTITY) + 1;
        self.last_identity = first_identity + definition.versions.len() as u64;
        let merge_schemas =
            definition.versions.iter().map(|version| Arc::new(merge::Schema::from_openapi(version.schema.json())));
        let merge_schemas = merge_schemas.collect();
        let converter = Converter::new(&definition, &self.caller).map(Arc::new);
        let spec = object["spec"].clone();
        Ok(Arc::new(Compiled { spec, definition, merge_schemas, converter, first_identity }))
    }
}

impl Custom {
    /// Its entries of the table; none if it cannot be served.
    pub(crate) fn resources(&self) -> Vec<Arc<Resource>> {
        let Ok(compiled) = &self.definition else { return Vec::new() };
        if self.conflict.is_some() {
            return Vec::new();
        }
        let origin = DefinitionRef {
            key: self.key.clone(),
            revision: self.revision,
            terminating: self.object["metadata"]["deletionTimestamp"].is_string(),
        };
        let served = (0..compiled.definition.versions.len()).filter(|at| compiled.definition.versions[*at].served);
        served.map(|at| Arc::new(resource(compiled, at, &origin))).collect()
    }
}

fn resource(compiled: &Compiled, at: usize, origin: &DefinitionRef) -> Resource {
    let definition = &compiled.definition;
    let (Definition { group, names, .. }, version) = (definition, &definition.versions[at]);
    let storage = definition.storage_version().unwrap_or(version);
    let served = definition.served_by_priority();
    Resource {
        group: group.clone(),
        version: version.name.clone(),
        kind: names.kind.clone(),
        list_kind: names.list_kind.clone(),
        plural: names.plural.clone(),
        singular: names.singular.clone(),
        short_names: names.short_names.clone(),
        categories: names.categories.clone(),
        namespaced: definition.scope == Scope::Namespaced,
        has_status: version.status,
        has_scale: version.scale.is_some(),
        verbs: openapi::ALL_VERBS,
        built_in: false,
        storage_prefix: format!("/registry/{group}/{}/", names.plural),
        stored_head: stored_head(&api_version(group, &version.name), &names.kind),
        storage_api_version: api_version(group, &storage.name),
        storage_schema: (storage.name != version.name).then(|| storage.schema.clone()),
        conversion: compiled.converter.clone(),
        schema: version.schema.clone(),
        merge_schema: compiled.merge_schemas[at].clone(),
        columns: version.columns.clone(),
        scale: version.scale.clone(),
        selectable_fields: version.selectable_fields.clone(),
        deprecation_warning: deprecation_warning(definition, version),
        served_api_versions: served.into_iter().map(|name| api_version(group, name)).collect(),
        identity: compiled.first_identity + at as u64,
        series: ResourceName::new(group, &version.name, &names.plural),
        definition: Some(origin.clone()),
    }
}

/// The warning of a deprecated version: its own, or the usual one with the version to use instead, if there is a newer one.
fn deprecation_warning(definition: &Definition, version: &Version) -> Option<String> {
    if !version.deprecated {
        return None;
    }
    let usual = || {
        let Definition { group, names, .. } = definition;
        let (old, kind) = (&version.name, &names.kind);
        let newer = |one: &&Version| one.served && !one.deprecated && version_order(&one.name, old).is_lt();
        let newest =
            definition.versions.iter().filter(newer).min_by(|one, other| version_order(&one.name, &other.name));
        let advice = newest.map(|one| format!("; use {group}/{} {kind}", one.name)).unwrap_or_default();
        format!("{group}/{old} {kind} is deprecated{advice}")
    };
    Some(version.deprecation_warning.clone().unwrap_or_else(usual))
}

fn built_in_names(resource: &Resource) -> (String, Names) {
    let names = Names {
        plural: resource.plural.clone(),
        singular: resource.singular.clone(),
        kind: resource.kind.clone(),
        list_kind: resource.list_kind.clone(),
        short_names: resource.short_names.clone(),
        categories: Vec::new(),
    };
    (resource.group.clone(), names)
}

/// Whether another definition of the group has one of the names.
fn conflict(taken: &[(String, Names)], definition: &Definition) -> Option<(&'static str, String)> {
    let mine = &definition.names;
    let others = taken.iter().filter(|(group, _)| *group == definition.group).map(|(_, names)| names);
    let others: Vec<_> = others.collect();
    let names_of = |names: &Names, wanted: &str| {
        names.plural == wanted || names.singular == wanted || names.short_names.iter().any(|short| short == wanted)
    };
    let named = |wanted: &str| others.iter().any(|names| names_of(names, wanted));
    let kinded = |wanted: &str| others.iter().any(|names| names.kind == wanted || names.list_kind == wanted);
    let short = mine.short_names.iter().find(|short| named(short));
    let found = [
        ("PluralConflict", Some(&mine.plural).filter(|name| named(name))),
        ("SingularConflict", Some(&mine.singular).filter(|name| named(name))),
        ("ShortNamesConflict", short),
        ("KindConflict", Some(&mine.kind).filter(|kind| kinded(kind))),
        ("ListKindConflict", Some(&mine.list_kind).filter(|kind| kinded(kind))),
    ];
    found.into_iter().find_map(|(reason, name)| Some((reason, format!("\"{}\" is already in use", name?))))
}

/// Kubernetes' order of versions: released before beta before alpha, each newest first; other names last.
pub(super) fn version_order(left: &str, right: &str) -> Ordering {
    match (version_rank(left), version_rank(right)) {
        (Some(left), Some(right)) => right.cmp(&left),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => left.cmp(right),
    }
}

/// `v2beta3` as (stability, 2, 3); greater is preferred.
fn version_rank(version: &str) -> Option<(u8, u32, u32)> {
    let rest = version.strip_prefix('v')?;
    let digits = rest.len() - rest.trim_start_matches(|letter: char| letter.is_ascii_digit()).len();
    let (major, rest) = rest.split_at(digits);
    let major = major.parse().ok()?;
    if rest.is_empty() {
        return Some((2, major, 0));
    }
    let (stability, minor) = match rest.strip_prefix("beta") {
        Some(minor) => (1, minor),
        None => (0, rest.strip_prefix("alpha")?),
    };
    Some((stability, major, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::version_order;

    #[test]
    fn versions_are_ordered_as_kubernetes_prefers_them() {
        let mut versions = ["foo1", "v1alpha1", "v2beta1", "v10", "v1", "v2beta2", "v2", "bar", "v11alpha2"];
        versions.sort_by(|left, right| version_order(left, right));
        assert_eq!(versions, ["v10", "v2", "v1", "v2beta2", "v2beta1", "v11alpha2", "v1alpha1", "bar", "foo1"]);
    }
}
