//! Rules from outside: what the composition root wants to fill in or refuse in the objects of its own kinds.
//!
//! They run after defaults and before validation, in the order given. They are pure: what they need is in the request.

use essaim_schema::Structural;
use serde_json::Value;

use super::{Part, Registry, Scope, WriteOptions};
use crate::{ApiError, UserInfo};

/// What is done to the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// It is new.
    Create,
    /// It stands there and changes, by an update or a patch.
    Update,
    /// It is to go.
    Delete,
}

/// One write, before it is validated.
#[derive(Clone, Copy, Debug)]
pub struct AdmissionRequest<'a> {
    /// What is done.
    pub operation: Operation,
    /// API group, empty for core.
    pub group: &'a str,
    /// Version of the request.
    pub version: &'a str,
    /// The kind of the object.
    pub kind: &'a str,
    /// The plural, as in the path.
    pub resource: &'a str,
    /// `status` or `scale`, empty for the object itself.
    pub subresource: &'a str,
    /// `None` for cluster-scoped objects.
    pub namespace: Option<&'a str>,
    /// The object's name.
    pub name: &'a str,
    /// What is to be stored; on deletion what stands there.
    pub object: &'a Value,
    /// What stands there, unless the object is new.
    pub old: Option<&'a Value>,
    /// Who asks; nobody for the server's own tasks, such as garbage collection.
    pub user: Option<&'a UserInfo>,
    /// Nothing will be stored.
    pub dry_run: bool,
}

/// What is done to an object, and by whom.
#[derive(Clone, Copy)]
pub(super) struct Act<'a> {
    pub(super) part: Part,
    pub(super) operation: Operation,
    pub(super) user: Option<&'a UserInfo>,
    pub(super) dry_run: bool,
}

/// A rule about writes.
pub trait Admission: Send + Sync + 'static {
    /// Refuses the write, or gives the object to store in its place (ignored on deletion), or has nothing to say.
    fn admit(&self, request: &AdmissionRequest<'_>) -> Result<Option<Value>, ApiError>;
}

impl WriteOptions {
    /// What a write with these parameters does.
    pub(super) fn act(&self, part: Part, operation: Operation) -> Act<'_> {
        Act { part, operation, user: self.user.as_deref(), dry_run: self.dry_run }
    }
}

impl Part {
    /// As in the path and in `managedFields`; nothing for the object itself.
    pub(super) fn subresource(self) -> Option<&'static str> {
        match self {
            Self::Main => None,
            Self::Status => Some("status"),
            Self::Scale => Some("scale"),
        }
    }
}

impl Registry {
    /// Asks every rule; what one changed gets its defaults again and goes on to the next.
    pub(super) fn admit(
        &self,
        scope: &Scope,
        act: Act<'_>,
        mut object: Value,
        old: Option<&Value>,
    ) -> Result<Value, ApiError> {
        let (resource, Act { part, operation, user, dry_run }) = (&scope.resource, act);
        for rule in &self.admission {
            let request = AdmissionRequest {
                operation,
                group: &resource.group,
                version: &resource.version,
                kind: &resource.kind,
                resource: &resource.plural,
                subresource: part.subresource().unwrap_or_default(),
                namespace: scope.namespace.as_deref(),
                name: super::object::meta(&object, "name"),
                object: &object,
                old,
                user,
                dry_run,
            };
            if let Some(mut changed) = rule.admit(&request)? {
                complete(&resource.schema, &mut changed);
                object = changed;
            }
        }
        Ok(object)
    }
}

/// Removes what the schema does not know, fills in defaults, removes the other nulls; gives the paths that were unknown.
pub(super) fn complete(schema: &Structural, object: &mut Value) -> Vec<String> {
    let unknown = schema.prune(object);
    schema.default(object);
    schema.prune_nulls(object);
    unknown
}
