//! Messages of the kinds that hold something: core, events, leases, roles.

use k8s_pb::api::{
    coordination::v1::{Lease, LeaseSpec},
    core::v1::{
        ConfigMap, Event, EventSeries, EventSource, LocalObjectReference, Namespace, NamespaceCondition, NamespaceSpec,
        NamespaceStatus, ObjectReference, Secret, ServiceAccount,
    },
    events::v1 as events,
    rbac::v1::{AggregationRule, ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject},
};

use super::to_json;

to_json! {
    Namespace { metadata => "metadata", spec => "spec", status => "status" }
    NamespaceStatus { phase => "phase", conditions => "conditions" }
    NamespaceCondition {
        r#type => "type", status => "status", last_transition_time => "lastTransitionTime", reason => "reason",
        message => "message",
    }
    NamespaceSpec { finalizers => "finalizers" }
    ConfigMap { metadata => "metadata", immutable => "immutable", data => "data", binary_data => "binaryData" }
    Secret { metadata => "metadata", immutable => "immutable", data => "data", string_data => "stringData", r#type => "type" }
    ServiceAccount {
        metadata => "metadata", secrets => "secrets", image_pull_secrets => "imagePullSecrets",
        automount_service_account_token => "automountServiceAccountToken",
    }
    ObjectReference {
        kind => "kind", namespace => "namespace", name => "name", uid => "uid", api_version => "apiVersion",
        resource_version => "resourceVersion", field_path => "fieldPath",
    }
    LocalObjectReference { name => "name" }
    Event {
        metadata => "metadata", involved_object => "involvedObject", reason => "reason", message => "message",
        source => "source", first_timestamp => "firstTimestamp", last_timestamp => "lastTimestamp", count => "count",
        r#type => "type", event_time => "eventTime", series => "series", action => "action", related => "related",
        reporting_component => "reportingComponent", reporting_instance => "reportingInstance",
    }
    EventSource { component => "component", host => "host" }
    EventSeries { count => "count", last_observed_time => "lastObservedTime" }
    events::Event {
        metadata => "metadata", event_time => "eventTime", series => "series", reporting_controller => "reportingController",
        reporting_instance => "reportingInstance", action => "action", reason => "reason", regarding => "regarding",
        related => "related", note => "note", r#type => "type", deprecated_source => "deprecatedSource",
        deprecated_first_timestamp => "deprecatedFirstTimestamp", deprecated_last_timestamp => "deprecatedLastTimestamp",
        deprecated_count => "deprecatedCount",
    }
    events::EventSeries { count => "count", last_observed_time => "lastObservedTime" }
    Lease { metadata => "metadata", spec => "spec" }
    LeaseSpec {
        holder_identity => "holderIdentity", lease_duration_seconds => "leaseDurationSeconds", acquire_time => "acquireTime",
        renew_time => "renewTime", lease_transitions => "leaseTransitions", strategy => "strategy",
        preferred_holder => "preferredHolder",
    }
    Role { metadata => "metadata", rules => "rules" }
    ClusterRole { metadata => "metadata", rules => "rules", aggregation_rule => "aggregationRule" }
    RoleBinding { metadata => "metadata", subjects => "subjects", role_ref => "roleRef" }
    ClusterRoleBinding { metadata => "metadata", subjects => "subjects", role_ref => "roleRef" }
    Subject { kind => "kind", api_group => "apiGroup", name => "name", namespace => "namespace" }
    RoleRef { api_group => "apiGroup", kind => "kind", name => "name" }
    PolicyRule {
        verbs => "verbs", api_groups => "apiGroups", resources => "resources", resource_names => "resourceNames",
        non_resource_ur_ls => "nonResourceURLs",
    }
    AggregationRule { cluster_role_selectors => "clusterRoleSelectors" }
}
