//! Questions about rights: reviews are created, answered in their status, and never stored.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    Authenticator, UserInfo,
    authenticate::Identity,
    authorize::{Attributes, Authorizer, Target},
};
use crate::{ApiError, catalogue::Resource};

/// Answers reviews.
pub(crate) struct Reviews {
    authenticator: Arc<Authenticator>,
    authorizer: Arc<Authorizer>,
}

impl Reviews {
    pub(crate) fn new(authenticator: Arc<Authenticator>, authorizer: Arc<Authorizer>) -> Self {
        Self { authenticator, authorizer }
    }

    /// The review with its answer in the status.
    pub(crate) async fn answer(
        &self,
        resource: &Resource,
        namespace: Option<&str>,
        asker: &UserInfo,
        mut review: Value,
        now: Timestamp,
    ) -> Result<Value, ApiError> {
        if review.get("kind").and_then(Value::as_str) != Some(&resource.kind) {
            return Err(ApiError::bad_request(format!("the body must be a {}", resource.kind)));
        }
        let spec = &review["spec"];
        let status = match resource.plural.as_str() {
            "selfsubjectreviews" => json!({"userInfo": asker}),
            "selfsubjectaccessreviews" => self.access(asker, spec).await?,
            "subjectaccessreviews" => self.access(&subject(spec), spec).await?,
            "localsubjectaccessreviews" => self.local_access(namespace, spec).await?,
            "selfsubjectrulesreviews" => self.rules(asker, spec).await?,
            "tokenreviews" => self.token(spec, now).await?,
            _ => return Err(ApiError::no_such_path()),
        };
        review["status"] = status;
        review["metadata"] = json!({"creationTimestamp": null});
        Ok(review)
    }

    async fn access(&self, user: &UserInfo, spec: &Value) -> Result<Value, ApiError> {
        let request = attributes(spec).ok_or_else(|| {
            ApiError::bad_request("exactly one of spec.resourceAttributes and spec.nonResourceAttributes must be there")
        })?;
        let allowed = self.authorizer.allows(user, &request).await?;
        Ok(json!({"allowed": allowed}))
    }

    async fn local_access(&self, namespace: Option<&str>, spec: &Value) -> Result<Value, ApiError> {
        if spec["resourceAttributes"]["namespace"].as_str() != namespace {
            return Err(ApiError::bad_request(
                "spec.resourceAttributes.namespace must be the namespace of the request",
            ));
        }
        self.access(&subject(spec), spec).await
    }

    async fn rules(&self, user: &UserInfo, spec: &Value) -> Result<Value, ApiError> {
        let namespace = spec["namespace"].as_str().filter(|namespace| !namespace.is_empty());
        let namespace = namespace.ok_or_else(|| ApiError::bad_request("no namespace on request"))?;
        let rules = self.authorizer.rules(user, namespace).await?;
        let (on_paths, on_resources): (Vec<_>, Vec<_>) =
            rules.into_iter().partition(|rule| !rule.non_resource_urls.is_empty());
        Ok(json!({"resourceRules": on_resources, "nonResourceRules": on_paths, "incomplete": false}))
    }

    async fn token(&self, spec: &Value, now: Timestamp) -> Result<Value, ApiError> {
        let token = spec["token"].as_str().unwrap_or_default();
        let wanted = texts(&spec["audiences"]);
        match self.authenticator.by_token(token, &wanted, now).await {
            Ok(Identity { user, .. }) if wanted.is_empty() => Ok(json!({"authenticated": true, "user": user})),
            Ok(Identity { user, audiences }) => {
                Ok(json!({"authenticated": true, "user": user, "audiences": audiences}))
            }
            Err(error) if error.code == 401 => Ok(json!({"authenticated": false, "user": {}, "error": error.message})),
            Err(error) => Err(error),
        }
    }
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Whom the review is about.
fn subject(spec: &Value) -> UserInfo {
    let name = spec["user"].as_str().unwrap_or_default().to_owned();
    UserInfo { name, groups: texts(&spec["groups"]), ..UserInfo::default() }
}

fn attributes(spec: &Value) -> Option<Attributes> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (resource, path) = (&spec["resourceAttributes"], &spec["nonResourceAttributes"]);
    match (resource.is_object(), path.is_object()) {
        (true, false) => Some(Attributes {
            verb: text(&resource["verb"]),
            namespace: text(&resource["namespace"]),
            target: Target::Resource {
                group: text(&resource["group"]),
                resource: text(&resource["resource"]),
                subresource: text(&resource["subresource"]),
                name: text(&resource["name"]),
            },
        }),
        (false, true) => Some(Attributes::path(&text(&path["verb"]), &text(&path["path"]))),
        _ => None,
    }
}
