//! Messages that ask a question: reviews and requests for tokens.

use k8s_pb::api::{
    authentication::v1::{
        BoundObjectReference, SelfSubjectReview, TokenRequest, TokenRequestSpec, TokenReview, TokenReviewSpec,
    },
    authorization::v1::{
        ExtraValue, LocalSubjectAccessReview, NonResourceAttributes, ResourceAttributes, SelfSubjectAccessReview,
        SelfSubjectAccessReviewSpec, SelfSubjectRulesReview, SelfSubjectRulesReviewSpec, SubjectAccessReview,
        SubjectAccessReviewSpec,
    },
};
use serde_json::Value;

use super::{ToJson, to_json};

to_json! {
    TokenRequest { metadata => "metadata", spec => "spec" }
    TokenRequestSpec {
        audiences => "audiences", expiration_seconds => "expirationSeconds", bound_object_ref => "boundObjectRef",
    }
    BoundObjectReference { kind => "kind", api_version => "apiVersion", name => "name", u_id => "uid" }
    TokenReview { metadata => "metadata", spec => "spec" }
    TokenReviewSpec { token => "token", audiences => "audiences" }
    SelfSubjectReview { metadata => "metadata" }
    SelfSubjectAccessReview { metadata => "metadata", spec => "spec" }
    SelfSubjectAccessReviewSpec {
        resource_attributes => "resourceAttributes", non_resource_attributes => "nonResourceAttributes",
    }
    SubjectAccessReview { metadata => "metadata", spec => "spec" }
    LocalSubjectAccessReview { metadata => "metadata", spec => "spec" }
    SubjectAccessReviewSpec {
        resource_attributes => "resourceAttributes", non_resource_attributes => "nonResourceAttributes", user => "user",
        groups => "groups", extra => "extra", uid => "uid",
    }
    ResourceAttributes {
        namespace => "namespace", verb => "verb", group => "group", version => "version", resource => "resource",
        subresource => "subresource", name => "name",
    }
    NonResourceAttributes { path => "path", verb => "verb" }
    SelfSubjectRulesReview { metadata => "metadata", spec => "spec" }
    SelfSubjectRulesReviewSpec { namespace => "namespace" }
}

impl ToJson for ExtraValue {
    fn to_json(self) -> Option<Value> {
        self.items.to_json()
    }
}
