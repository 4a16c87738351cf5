//! Rules from outside: what the composition root wants to fill in or refuse in the objects of its own kinds.
//!
//! They run after defaults and before validation, in the order given. They are pure: what they need is in the request, also
//! the collections that they rest on, which then have to stand so when the write is committed. Rules that sum up what is
//! there are quotas, in `quota`.

use essaim_schema::Structural;
use essaim_store::Precondition;
use serde_json::Value;

use super::{Collection, Looks, Part, Registry, Scope, WriteOptions, commit::Failure, create::forbidden_in};
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
    /// The collections that the rule rests on.
    pub looks: &'a Looks,
}

impl AdmissionRequest<'_> {
    /// 403 about this object, in the words of Kubernetes: `widgets.example.dev "a" is forbidden: …`.
    pub fn forbidden(&self, detail: &str) -> ApiError {
        forbidden_in(self.group, self.resource, self.name, detail)
    }
}

/// What a rule has to say to a write that it lets through.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Admitted {
    /// The object to store in place of the one in the request; ignored on deletion.
    pub object: Option<Value>,
    /// Sentences for the client, which get there as `Warning` headers; ignored on deletion.
    pub warnings: Vec<String>,
}

impl Admitted {
    /// Nothing to say.
    pub fn unchanged() -> Self {
        Self::default()
    }

    /// The object to store in place of the one in the request.
    pub fn with(object: Value) -> Self {
        Self { object: Some(object), warnings: Vec::new() }
    }

    /// Says this to the client, too.
    #[must_use]
    pub fn and_warn(mut self, warning: impl Into<String>) -> Self {
        self.warnings.push(warning.into());
        self
    }
}

/// A rule about writes.
pub trait Admission: Send + Sync + 'static {
    /// The collections that the rule looks at besides the object; see [`AdmissionRequest::looks`].
    ///
    /// Asked once. A decision that looked at one is carried out only if the collection still stands so, else made again.
    /// Writes of `status` do not count as changes: a rule must not decide by the status of what it rests on.
    fn rests_on(&self) -> Vec<Collection> {
        Vec::new()
    }

    /// Refuses the write, or lets it through, changed or not. May be asked several times about one write.
    fn admit(&self, request: &AdmissionRequest<'_>) -> Result<Admitted, ApiError>;
}

/// What is done to an object, and by whom.
#[derive(Clone, Copy)]
pub(super) struct Act<'a> {
    pub(super) part: Part,
    pub(super) operation: Operation,
    pub(super) user: Option<&'a UserInfo>,
    pub(super) dry_run: bool,
}

/// A client's write, as rules see it.
#[derive(Clone, Copy)]
pub(super) struct ClientWrite<'a> {
    pub(super) scope: &'a Scope,
    pub(super) act: Act<'a>,
    pub(super) object: &'a Value,
    pub(super) old: Option<&'a Value>,
}

impl<'a> ClientWrite<'a> {
    pub(super) fn request(&self, looks: &'a Looks) -> AdmissionRequest<'a> {
        let Self { scope, act: Act { part, operation, user, dry_run }, object, old } = *self;
        let resource = &scope.resource;
        AdmissionRequest {
            operation,
            group: &resource.group,
            version: &resource.version,
            kind: &resource.kind,
            resource: &resource.plural,
            subresource: part.subresource().unwrap_or_default(),
            namespace: scope.namespace.as_deref(),
            name: super::object::meta(object, "name"),
            object,
            old,
            user,
            dry_run,
            looks,
        }
    }
}

/// What all rules let through.
pub(super) struct Passed {
    pub(super) object: Value,
    pub(super) warnings: Vec<String>,
    /// What must still hold when it is stored.
    pub(super) rests_on: Vec<Precondition>,
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
    /// Asks every rule. What is not committed is answered only if it rests on what stands there now.
    pub(super) async fn admit(
        &self,
        scope: &Scope,
        act: Act<'_>,
        object: Value,
        old: Option<&Value>,
    ) -> Result<Passed, Failure> {
        let looks = self.look(&self.admission_rests_on).await?;
        let outcome = self.ask_rules(scope, act, object, old, &looks);
        if (outcome.is_err() || act.dry_run)
            && let Some(key) = self.stale(&looks.preconditions()).await?
        {
            return Err(Failure::Lost(key));
        }
        Ok(outcome?)
    }

    /// What a rule changed gets its defaults again and goes on to the next one.
    fn ask_rules(
        &self,
        scope: &Scope,
        act: Act<'_>,
        mut object: Value,
        old: Option<&Value>,
        looks: &Looks,
    ) -> Result<Passed, ApiError> {
        let mut warnings = Vec::new();
        for rule in &self.admission {
            let write = ClientWrite { scope, act, object: &object, old };
            let admitted = rule.admit(&write.request(looks))?;
            warnings.extend(admitted.warnings);
            if let Some(mut changed) = admitted.object {
                complete(&scope.resource.schema, &mut changed);
                object = changed;
            }
        }
        Ok(Passed { object, warnings, rests_on: looks.preconditions() })
    }
}

/// Removes what the schema does not know, fills in defaults, removes the other nulls; gives the paths that were unknown.
pub(super) fn complete(schema: &Structural, object: &mut Value) -> Vec<String> {
    let unknown = schema.prune(object);
    schema.default(object);
    schema.prune_nulls(object);
    unknown
}
