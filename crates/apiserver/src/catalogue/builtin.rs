//! The kinds that are there without a CustomResourceDefinition, from the data files of the schema crate.

use std::sync::Arc;

use essaim_schema::{FieldPath, SelectableField, builtin::Builtin, openapi};

use super::{EVENTS_GROUP, Resource, ResourceName, api_version, stored_head};

/// The group and kind of a resource, and its selectable fields: label and path.
type Selectable = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

/// Fields that field selectors may name, where they stand in the served form.
const SELECTABLE: &[Selectable] = &[
    ("", "Secret", &[("type", ".type")]),
    ("", "Namespace", &[("name", ".metadata.name"), ("status.phase", ".status.phase")]),
    (
        "",
        "Event",
        &[
            ("involvedObject.kind", ".involvedObject.kind"),
            ("involvedObject.namespace", ".involvedObject.namespace"),
            ("involvedObject.name", ".involvedObject.name"),
            ("involvedObject.uid", ".involvedObject.uid"),
            ("involvedObject.apiVersion", ".involvedObject.apiVersion"),
            ("involvedObject.resourceVersion", ".involvedObject.resourceVersion"),
            ("involvedObject.fieldPath", ".involvedObject.fieldPath"),
            ("reason", ".reason"),
            ("reportingComponent", ".reportingComponent"),
            ("source", ".source.component"),
            ("type", ".type"),
        ],
    ),
    (
        EVENTS_GROUP,
        "Event",
        &[
            ("regarding.kind", ".regarding.kind"),
            ("regarding.namespace", ".regarding.namespace"),
            ("regarding.name", ".regarding.name"),
            ("regarding.uid", ".regarding.uid"),
            ("regarding.apiVersion", ".regarding.apiVersion"),
            ("regarding.resourceVersion", ".regarding.resourceVersion"),
            ("regarding.fieldPath", ".regarding.fieldPath"),
            ("reason", ".reason"),
            ("reportingController", ".reportingController"),
            ("type", ".type"),
        ],
    ),
];

/// One entry for each built-in kind. Their identities are the first numbers.
pub(super) fn resources() -> Vec<Arc<Resource>> {
    essaim_schema::builtin::all()
        .iter()
        .zip(1..)
        .map(|(builtin, identity)| Arc::new(resource(builtin, identity)))
        .collect()
}

fn resource(builtin: &Builtin, identity: u64) -> Resource {
    let Builtin { group, version, kind, plural, singular, .. } = builtin;
    let own = api_version(group, version);
    let is_event = plural == "events";
    let storage_group = if is_event || group.is_empty() { "core" } else { group };
    Resource {
        group: group.clone(),
        version: version.clone(),
        kind: kind.clone(),
        list_kind: format!("{kind}List"),
        plural: plural.clone(),
        singular: singular.clone(),
        short_names: builtin.short_names.clone(),
        categories: builtin.categories.clone(),
        namespaced: builtin.namespaced,
        has_status: builtin.status,
        has_scale: false,
        verbs: verbs(builtin),
        built_in: true,
        storage_prefix: format!("/registry/{storage_group}/{plural}/"),
        stored_head: stored_head(&own, kind),
        storage_api_version: if is_event { "v1".into() } else { own.clone() },
        storage_schema: None,
        conversion: None,
        schema: builtin.schema.clone(),
        merge_schema: Arc::new(essaim_structured_merge::Schema::from_openapi(builtin.schema.json())),
        columns: builtin.columns.clone(),
        scale: None,
        selectable_fields: selectable_fields(group, kind),
        deprecation_warning: None,
        served_api_versions: if is_event { vec!["v1".into(), "events.k8s.io/v1".into()] } else { vec![own] },
        identity,
        series: ResourceName::new(group, version, plural),
        definition: None,
    }
}

/// Reviews are only created and never stored; everything else does everything, but namespaces do not go together.
fn verbs(builtin: &Builtin) -> &'static [&'static str] {
    let has = |wanted: &str| builtin.verbs.iter().any(|verb| verb == wanted);
    match (has("list"), has("deletecollection")) {
        (true, true) => openapi::ALL_VERBS,
        (true, false) => &["create", "delete", "get", "list", "patch", "update", "watch"],
        (false, _) => &["create"],
    }
}

fn selectable_fields(group: &str, kind: &str) -> Vec<SelectableField> {
    let fields =
        SELECTABLE.iter().find(|(of, name, _)| (*of, *name) == (group, kind)).map_or(&[][..], |(_, _, fields)| *fields);
    let fields = fields.iter().filter_map(|(label, path)| Some(((*label).to_owned(), FieldPath::parse(path)?)));
    fields.map(|(label, path)| SelectableField { label, path }).collect()
}

#[cfg(test)]
mod tests {
    use crate::catalogue::{Catalogue, DEFINITIONS_PREFIX, EXTENSIONS_GROUP, SECRETS_PREFIX};

    #[test]
    fn kinds_lie_where_others_look_for_them() {
        let prefix = |group, plural| Catalogue::new().find(group, "v1", plural).unwrap().storage_prefix.clone();
        assert_eq!(prefix("", "secrets"), SECRETS_PREFIX);
        assert_eq!(prefix(EXTENSIONS_GROUP, "customresourcedefinitions"), DEFINITIONS_PREFIX);
    }

    #[test]
    fn each_kind_has_the_verbs_that_its_file_names() {
        for (builtin, resource) in essaim_schema::builtin::all().iter().zip(super::resources()) {
            assert_eq!(resource.verbs, builtin.verbs, "{}", builtin.kind);
        }
    }
}
