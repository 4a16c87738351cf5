//! New objects.

use essaim_store::{Key, Mutation, Precondition};
use serde_json::Value;

use super::{
    Document, Operation, Part, Registry, Scope, WriteOptions, Written,
    admission::{ClientWrite, Passed},
    codec::{self, Codec},
    commit::Failure,
    conversion::{self, Views, Without},
    decode, limits, managers, metadata,
    names::generate,
    object::{is_deleting, meta, set_meta},
    strategy,
};
use crate::{ApiError, error::Cause};

/// How often a generated name is drawn again.
const ATTEMPTS: usize = 8;
/// How often a write goes again because its namespace or definition was changed meanwhile, which says nothing about it.
const PATIENCE: usize = 1_000;

/// An object on its way to be created.
pub(super) struct Draft {
    pub(super) object: Value,
    /// For the answer.
    pub(super) warnings: Vec<String>,
    /// `managedFields` are settled, as server-side apply does.
    pub(super) owned: bool,
}

/// Makes the draft again from what the client sent, once the schema under which it was read is another one: what the old
/// schema did not know is not in the draft any more.
pub(super) type Again<'a> = &'a (dyn Fn(&Scope) -> Result<Draft, ApiError> + Send + Sync);

impl Draft {
    fn read(body: Document, scope: &Scope, options: &WriteOptions) -> Result<Self, ApiError> {
        let mut incoming = decode::body(body, &scope.resource)?;
        decode::check_namespace(&mut incoming.object, scope)?;
        if !meta(&incoming.object, "resourceVersion").is_empty() {
            return Err(ApiError::bad_request("resourceVersion should not be set on objects to be created"));
        }
        let warnings = decode::judge(incoming.complaints, options.field_validation)?;
        Ok(Self { object: incoming.object, warnings, owned: false })
    }
}

impl Registry {
    /// Makes an object.
    pub(crate) async fn create(
        &self,
        scope: &Scope,
        body: Document,
        options: &WriteOptions,
    ) -> Result<Written, ApiError> {
        managers::check_name(&options.field_manager)?;
        // The schemas of built-in kinds stay as they are.
        let sent = (!scope.resource.built_in).then(|| body.clone());
        let draft = Draft::read(body, scope, options)?;
        let Some(sent) = sent else { return self.create_draft(scope, draft, options, None).await };
        let again = |scope: &Scope| Draft::read(sent.clone(), scope, options);
        self.create_draft(scope, draft, options, Some(&again)).await
    }

    /// Makes an object that was read and found well-formed.
    pub(super) async fn create_draft(
        &self,
        scope: &Scope,
        draft: Draft,
        options: &WriteOptions,
        again: Option<Again<'_>>,
    ) -> Result<Written, ApiError> {
        let mut scope = scope.clone();
        let generated = meta(&draft.object, "name").is_empty() && !meta(&draft.object, "generateName").is_empty();
        let Draft { mut object, mut warnings, owned } = draft;
        let mut names = ATTEMPTS;
        for _ in 0..PATIENCE {
            if generated {
                let name =
                    generate(meta(&object, "generateName")).map_err(|error| ApiError::internal(error.to_string()))?;
                set_meta(&mut object, "name", name);
            }
            let name = meta(&object, "name").to_owned();
            let key = codec::key(&scope.resource, scope.namespace.as_deref(), &name);
            match self.create_once(&scope, &key, &mut object, owned, options).await {
                Ok(mut written) => {
                    written.warnings.splice(..0, warnings);
                    if !options.dry_run && scope.resource.built_in && scope.resource.is("", "namespaces") {
                        self.furnish(&name).await;
                    }
                    return self.settled(&scope, written, options.dry_run).await;
                }
                Err(Failure::Refused(error)) => return Err(error),
                Err(Failure::Lost(lost)) if lost == key && !generated => return Err(scope.already_exists(&name)),
                Err(Failure::Lost(lost)) if lost == key => {
                    names -= 1;
                    if names == 0 {
                        return Err(scope.already_exists(&name));
                    }
                }
                Err(Failure::Lost(lost)) => {
                    let before = scope.resource.identity;
                    scope = self.renewed(scope, &lost).await?;
                    if let Some(again) = again.filter(|_| scope.resource.identity != before) {
                        Draft { object, warnings, .. } = again(&scope)?;
                    }
                }
            }
        }
        Err(ApiError::too_many_requests())
    }

    /// `draft` may be handed in again, whatever became of it: rules never see what they made of it themselves.
    async fn create_once(
        &self,
        scope: &Scope,
        key: &Key,
        draft: &mut Value,
        owned: bool,
        options: &WriteOptions,
    ) -> Result<Written, Failure> {
        let (resource, now) = (&scope.resource, (self.clock)());
        let mut preconditions = vec![Precondition::Absent(key.clone())];
        preconditions.extend(self.place(scope, meta(draft, "name")).await?);

        metadata::set_on_create(draft, now, strategy::counts_generations(resource));
        *draft = strategy::prepare_create(std::mem::take(draft), resource)?;
        let act = options.act(Part::Main, Operation::Create);
        let passed = self.admit(scope, act, draft.clone(), None).await?;
        let Passed { mut object, mut warnings, rests_on } = passed;
        preconditions.extend(rests_on);
        options.guard.check(&object)?;
        let mut errors = metadata::validate(&object, strategy::name_rule(resource));
        errors.extend(strategy::validate(&object, None, resource));
        errors.extend(strategy::validate_schema(resource, &object, None));
        scope.refuse(meta(&object, "name"), &errors)?;
        if !owned {
            let now = metadata::seconds(now);
            let record = |views: &Views| managers::record(resource, Part::Main, options, None, &object, &now, views);
            object = conversion::across(resource, Without::GoOn, record).await?;
        }
        self.ask_about_write(scope, Part::Main, &object, None, options).await?;
        let (bytes, object) = conversion::encode(object, resource).await?;
        limits::check_size(bytes.len())?;

        if options.dry_run && self.fetch(key).await?.is_some() {
            return Err(Failure::Lost(key.clone()));
        }
        let write = ClientWrite { scope, act, object: &object, old: None };
        let outcome = self.commit_write(preconditions, Mutation::Put(key.clone(), bytes.clone()), &write).await?;
        warnings.extend(outcome.warnings);
        let object =
            if options.dry_run { object.into() } else { Codec::written(&bytes, object, outcome.revision, resource) };
        Ok(Written { object, created: true, warnings })
    }

    /// What must stay as it is around a new object: its namespace and its definition.
    async fn place(&self, scope: &Scope, name: &str) -> Result<Vec<Precondition>, ApiError> {
        let mut preconditions: Vec<_> = scope.definition_precondition().into_iter().collect();
        if scope.resource.definition.as_ref().is_some_and(|definition| definition.terminating) {
            let message = "create not allowed while custom resource definition is terminating";
            return Err(ApiError::new(405, "MethodNotAllowed", message));
        }
        let Some(namespace) = scope.namespace.as_deref().filter(|_| scope.resource.namespaced) else {
            return Ok(preconditions);
        };
        let namespaces = self.namespaces_resource()?;
        let key = codec::key(&namespaces, None, namespace);
        let record = self.fetch(&key).await?.ok_or_else(|| ApiError::not_found("", "namespaces", namespace))?;
        if is_deleting(&self.codec.value(&record, &namespaces)?) {
            return Err(scope.terminating(name, namespace));
        }
        preconditions.push(Precondition::ModifiedAt(key, record.modified));
        Ok(preconditions)
    }
}

impl Scope {
    /// The schema with which the object was checked must be the current one.
    pub(super) fn definition_precondition(&self) -> Option<Precondition> {
        let definition = self.resource.definition.as_ref()?;
        Some(Precondition::ModifiedAt(definition.key.clone(), definition.revision))
    }

    /// 422 with every error, unless there is none.
    pub(super) fn refuse(&self, name: &str, errors: &[essaim_schema::FieldError]) -> Result<(), ApiError> {
        if errors.is_empty() {
            return Ok(());
        }
        let causes = errors.iter().map(|error| Cause {
            reason: error.reason.as_str().into(),
            message: error.message(),
            field: if error.path.is_empty() { "<nil>".into() } else { error.path.clone() },
        });
        Err(ApiError::invalid(&self.resource.group, &self.resource.kind, name, causes.collect()))
    }

    fn already_exists(&self, name: &str) -> ApiError {
        ApiError::already_exists(&self.resource.group, &self.resource.plural, name)
    }

    /// 403 in the words that clients look for: a controller must not take it for a lack of rights.
    fn terminating(&self, name: &str, namespace: &str) -> ApiError {
        let resource = &self.resource;
        let detail = format!("unable to create new content in namespace {namespace} because it is being terminated");
        let mut error = forbidden(resource, name, &detail);
        error.causes.push(Cause {
            reason: "NamespaceTerminating".into(),
            message: format!("namespace {namespace} is being terminated"),
            field: "metadata.namespace".into(),
        });
        error
    }
}

/// 403 about one object.
pub(super) fn forbidden(resource: &crate::catalogue::Resource, name: &str, detail: &str) -> ApiError {
    forbidden_in(&resource.group, &resource.plural, name, detail)
}

/// The same, for whoever knows only what it is called.
pub(super) fn forbidden_in(group: &str, plural: &str, name: &str, detail: &str) -> ApiError {
    let qualified = if group.is_empty() { plural.to_owned() } else { format!("{plural}.{group}") };
    ApiError::forbidden(format!("{qualified} {name:?} is forbidden: {detail}")).about(group, plural, name)
}
