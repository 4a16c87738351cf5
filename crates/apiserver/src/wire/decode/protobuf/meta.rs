//! Messages of the meta API: what every object carries.

use jiff::Timestamp;
use k8s_pb::apimachinery::pkg::apis::meta::v1::{
    DeleteOptions, FieldsV1, LabelSelector, LabelSelectorRequirement, ManagedFieldsEntry, MicroTime, ObjectMeta,
    OwnerReference, Preconditions, Time,
};
use serde_json::Value;

use super::{ToJson, to_json};

to_json! {
    ObjectMeta {
        name => "name", generate_name => "generateName", namespace => "namespace", uid => "uid",
        resource_version => "resourceVersion", creation_timestamp => "creationTimestamp",
        deletion_timestamp => "deletionTimestamp", deletion_grace_period_seconds => "deletionGracePeriodSeconds",
        labels => "labels", annotations => "annotations", owner_references => "ownerReferences",
        finalizers => "finalizers", managed_fields => "managedFields",
    }
    OwnerReference {
        api_version => "apiVersion", kind => "kind", name => "name", uid => "uid", controller => "controller",
        block_owner_deletion => "blockOwnerDeletion",
    }
    ManagedFieldsEntry {
        manager => "manager", operation => "operation", api_version => "apiVersion", time => "time",
        fields_type => "fieldsType", fields_v1 => "fieldsV1", subresource => "subresource",
    }
    DeleteOptions {
        grace_period_seconds => "gracePeriodSeconds", preconditions => "preconditions",
        orphan_dependents => "orphanDependents", propagation_policy => "propagationPolicy", dry_run => "dryRun",
    }
    Preconditions { uid => "uid", resource_version => "resourceVersion" }
    LabelSelector { match_labels => "matchLabels", match_expressions => "matchExpressions" }
    LabelSelectorRequirement { key => "key", operator => "operator", values => "values" }
}

impl ToJson for Time {
    fn to_json(self) -> Option<Value> {
        let at = moment(self.seconds, None)?;
        Some(at.to_string().into())
    }
}

impl ToJson for MicroTime {
    fn to_json(self) -> Option<Value> {
        let at = moment(self.seconds, self.nanos)?;
        Some(at.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string().into())
    }
}

impl ToJson for FieldsV1 {
    fn to_json(self) -> Option<Value> {
        serde_json::from_slice(&self.raw?).ok()
    }
}

/// Go writes an absent time as an empty message.
fn moment(seconds: Option<i64>, nanos: Option<i32>) -> Option<Timestamp> {
    let seconds = seconds.filter(|seconds| *seconds != 0)?;
    Timestamp::new(seconds, nanos.unwrap_or_default()).ok()
}
