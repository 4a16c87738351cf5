//! Changes of objects that stand there.
//!
//! One loop serves updates, patches and scale: look at what stands there, make the proposal, check it, commit it under
//! the condition that nothing changed meanwhile. A client that named a revision loses with 409, another one goes round again.

use essaim_store::{Key, Mutation, Precondition, Record};
use serde_json::Value;

use super::{
    Document, Operation, Part, Registry, Scope, WriteOptions, Written,
    admission::{ClientWrite, Passed},
    codec::{self, Codec},
    commit::Failure,
    conversion::{self, Views, Without},
    create::Draft,
    decode, limits, managers, metadata,
    object::{copy_top, finalizers, is_deleting, meta, spec_finalizers},
    patch::is_absent,
    scale, strategy,
};
use crate::{ApiError, error::Cause};

/// How often a write that names no revision looks again when somebody else was faster. Those who lost once take turns, so that
/// only newcomers and the server's own tasks can be faster again.
const ATTEMPTS: usize = 64;

/// How often a PUT that may create goes from "update" to "create" and back when others make and delete the object meanwhile.
const BACK_AND_FORTH: usize = 3;

/// What a client wants to stand there.
#[derive(Clone)]
pub(super) struct Proposal {
    pub(super) object: Value,
    pub(super) warnings: Vec<String>,
    /// `managedFields` are settled, as server-side apply does.
    pub(super) owned: bool,
}

impl Proposal {
    fn read(body: Document, scope: &Scope, name: &str, options: &WriteOptions) -> Result<Self, ApiError> {
        let mut incoming = decode::body(body, &scope.resource)?;
        decode::check_name(&mut incoming.object, name)?;
        decode::check_namespace(&mut incoming.object, scope)?;
        let warnings = decode::judge(incoming.complaints, options.field_validation)?;
        Ok(Self { object: incoming.object, warnings, owned: false })
    }
}

/// What stands there: the record, and what clients see of it.
struct Standing {
    record: Record,
    live: Value,
}

impl Registry {
    /// Replaces an object, its status or its scale.
    pub(crate) async fn update(
        &self,
        scope: &Scope,
        name: &str,
        part: Part,
        body: Document,
        options: &WriteOptions,
    ) -> Result<Written, ApiError> {
        scope.check_part(part)?;
        managers::check_name(&options.field_manager)?;
        if part == Part::Scale {
            return self.update_scale(scope, name, &body.value, options).await;
        }
        // The schemas of built-in kinds stay as they are.
        let sent = (!scope.resource.built_in).then(|| body.clone());
        let read = Proposal::read(body, scope, name, options)?;
        if part != Part::Main || options.update_only || !scope.resource.is_made_by_put() {
            return self.replace(scope, name, part, options, &read, sent.as_ref()).await;
        }
        for _ in 0..BACK_AND_FORTH {
            match self.replace(scope, name, part, options, &read, sent.as_ref()).await {
                Err(error) if is_absent(&error, scope) => {}
                answer => return answer,
            }
            if !meta(&read.object, "uid").is_empty() {
                return Err(scope.other_uid(name, meta(&read.object, "uid"), ""));
            }
            let draft = Draft { object: read.object.clone(), warnings: read.warnings.clone(), owned: false };
            match self.create_draft(scope, draft, options, None).await {
                Err(error) if error.reason == "AlreadyExists" => {}
                answer => return answer,
            }
        }
        Err(scope.conflict(name))
    }

    /// Puts an object in place of the one that stands there. `sent` is what it was read from; read again if the schema
    /// becomes another one meanwhile, since what the old one did not know is not in the object any more.
    async fn replace(
        &self,
        scope: &Scope,
        name: &str,
        part: Part,
        options: &WriteOptions,
        read: &Proposal,
        sent: Option<&Document>,
    ) -> Result<Written, ApiError> {
        let unconditional = matches!(meta(&read.object, "resourceVersion"), "" | "0");
        if unconditional && !strategy::unconditional_update(&scope.resource) {
            let key = codec::key(&scope.resource, scope.namespace.as_deref(), name);
            let found = self.fetch(&key).await?.is_some();
            return Err(if found { scope.revision_required(name) } else { scope.not_found(name) });
        }
        self.modify(scope, name, part, options, |current, _, _| match sent {
            Some(sent) if current.resource.identity != scope.resource.identity => {
                Proposal::read(sent.clone(), current, name, options)
            }
            _ => Ok(read.clone()),
        })
        .await
    }

    /// Replaces the numbers of an object's scale.
    async fn update_scale(
        &self,
        scope: &Scope,
        name: &str,
        body: &Value,
        options: &WriteOptions,
    ) -> Result<Written, ApiError> {
        let written = self.modify(scope, name, Part::Scale, options, |scope, live, _| {
            let object = scale::into_object(live, body, &scope.resource)?;
            Ok(Proposal { object, warnings: Vec::new(), owned: false })
        });
        let written = written.await?;
        written.scale(&scope.resource)
    }

    /// Changes an object to what `propose` makes of it, which may be asked several times.
    pub(super) async fn modify(
        &self,
        scope: &Scope,
        name: &str,
        part: Part,
        options: &WriteOptions,
        propose: impl Fn(&Scope, &Value, &Views) -> Result<Proposal, ApiError> + Send + Sync,
    ) -> Result<Written, ApiError> {
        let mut scope = scope.clone();
        let key = codec::key(&scope.resource, scope.namespace.as_deref(), name);
        let mut turn = self.turns.join(&key).await;
        for _ in 0..ATTEMPTS {
            let record = self.fetch(&key).await?.ok_or_else(|| scope.not_found(name))?;
            let live = self.live(&record, &scope.resource).await?;
            let proposal = |views: &Views| propose(&scope, &live, views);
            let proposal = conversion::across(&scope.resource, Without::Fail, proposal).await?;
            match self.modify_once(&scope, &key, part, options, &Standing { record, live }, proposal).await {
                Ok(written) => return self.settled(&scope, written, options.dry_run).await,
                Err(Failure::Refused(error)) => return Err(error),
                Err(Failure::Lost(lost)) if lost == key => {
                    if turn.is_none() {
                        turn = Some(self.turns.queue(&key).await);
                    }
                }
                Err(Failure::Lost(lost)) => scope = self.renewed(scope, &lost).await?,
            }
        }
        Err(scope.conflict(name))
    }

    async fn modify_once(
        &self,
        scope: &Scope,
        key: &Key,
        part: Part,
        options: &WriteOptions,
        standing: &Standing,
        proposal: Proposal,
    ) -> Result<Written, Failure> {
        let Standing { record, live } = standing;
        let Proposal { object, mut warnings, owned } = proposal;
        check_preconditions(scope, &object, live)?;
        let checked = Box::pin(self.checked(scope, part, options, object, live, owned)).await?;
        let Passed { object, warnings: said, rests_on } = checked;
        warnings.extend(said);
        self.ask_about_write(scope, part, &object, Some(live), options).await?;
        let resource = &scope.resource;
        if essaim_structured_merge::same_ignoring_times(live, &object) && is_current(record, resource) {
            // Nothing is committed that would fail: under another schema it may be a change after all.
            self.still_defined(scope)?;
            if let Some(lost) = self.stale(&rests_on).await? {
                return Err(Failure::Lost(lost));
            }
            return Ok(Written { object: self.presented(record, resource).await?, created: false, warnings });
        }
        let (bytes, object) = conversion::encode(object, resource).await?;
        limits::check_size(bytes.len())?;
        let mut preconditions = vec![Precondition::ModifiedAt(key.clone(), record.modified)];
        preconditions.extend(scope.definition_precondition());
        preconditions.extend(rests_on);
        let finished = is_finished(&object);
        let mutation = if finished { Mutation::Delete(key.clone()) } else { Mutation::Put(key.clone(), bytes.clone()) };
        let write = ClientWrite { scope, act: options.act(part, Operation::Update), object: &object, old: Some(live) };
        let outcome = self.commit_write(preconditions, mutation, &write).await?;
        warnings.extend(outcome.warnings);
        let object = if options.dry_run {
            object.into()
        } else if finished {
            let mut object = object;
            super::object::set_meta(&mut object, "resourceVersion", outcome.revision.to_string());
            object.into()
        } else {
            Codec::written(&bytes, object, outcome.revision, resource)
        };
        Ok(Written { object, created: false, warnings })
    }

    /// The schema under which the object was read must be that of this moment.
    fn still_defined(&self, scope: &Scope) -> Result<(), Failure> {
        let resource = &scope.resource;
        let Some(definition) = &resource.definition else { return Ok(()) };
        let now = self.catalogue.find(&resource.group, &resource.version, &resource.plural);
        if now.is_some_and(|now| now.identity == resource.identity) {
            return Ok(());
        }
        Err(Failure::Lost(definition.key.clone()))
    }

    /// The object to store: only what this part may write, completed, admitted, valid, with its owners.
    async fn checked(
        &self,
        scope: &Scope,
        part: Part,
        options: &WriteOptions,
        object: Value,
        live: &Value,
        owned: bool,
    ) -> Result<Passed, Failure> {
        let (resource, now) = (&scope.resource, (self.clock)());
        let mut object = match part {
            Part::Status => only_status(&object, live),
            Part::Main | Part::Scale => object,
        };
        metadata::set_on_update(&mut object, live);
        if part != Part::Status {
            if resource.has_status {
                copy_top(&mut object, "status", live);
            }
            object = strategy::prepare_update(object, live, resource)?;
        }
        let Passed { mut object, warnings, rests_on } =
            self.admit(scope, options.act(part, Operation::Update), object, Some(live)).await?;
        options.guard.check(&object)?;
        if strategy::counts_generations(resource) && metadata::differs_in_substance(&object, live, resource.has_status)
        {
            metadata::next_generation(&mut object, live);
        }
        let mut errors = metadata::validate_update(&object, live);
        errors.extend(metadata::validate(&object, strategy::name_rule(resource)));
        errors.extend(strategy::validate(&object, Some(live), resource));
        errors.extend(strategy::validate_schema(resource, &object, Some(live)));
        scope.refuse(meta(live, "name"), &errors)?;
        if !owned {
            let now = metadata::seconds(now);
            let record = |views: &Views| managers::record(resource, part, options, Some(live), &object, &now, views);
            object = conversion::across(resource, Without::GoOn, record).await?;
        }
        Ok(Passed { object, warnings, rests_on })
    }
}

/// The standing object with the status of another one; its owners too, which server-side apply has settled.
fn only_status(object: &Value, live: &Value) -> Value {
    let mut new = live.clone();
    copy_top(&mut new, "status", object);
    super::object::copy_meta(&mut new, "managedFields", object);
    new
}

/// The revision and uid that a client named must be those that stand there.
fn check_preconditions(scope: &Scope, object: &Value, live: &Value) -> Result<(), ApiError> {
    let name = meta(live, "name");
    match meta(object, "resourceVersion") {
        "" | "0" => {}
        given if given != meta(live, "resourceVersion") => return Err(scope.conflict(name)),
        _ => {}
    }
    match meta(object, "uid") {
        "" => Ok(()),
        given if given != meta(live, "uid") => Err(scope.other_uid(name, given, meta(live, "uid"))),
        _ => Ok(()),
    }
}

/// Whether an object that is being deleted has nothing left to wait for.
pub(super) fn is_finished(object: &Value) -> bool {
    is_deleting(object) && finalizers(object).is_empty() && spec_finalizers(object).is_empty()
}

/// Whether the bytes are in today's storage version: else even an unchanged object is written, which migrates it.
fn is_current(record: &Record, resource: &crate::catalogue::Resource) -> bool {
    let start = format!("{{\"apiVersion\":{:?}", resource.storage_api_version);
    record.value.starts_with(start.as_bytes())
        || codec::decode_stored(record)
            .is_ok_and(|stored| super::object::top(&stored, "apiVersion") == resource.storage_api_version)
}

impl Scope {
    fn revision_required(&self, name: &str) -> ApiError {
        let cause = Cause {
            reason: "FieldValueInvalid".into(),
            message: "Invalid value: 0x0: must be specified for an update".into(),
            field: "metadata.resourceVersion".into(),
        };
        ApiError::invalid(&self.resource.group, &self.resource.kind, name, vec![cause])
    }

    /// 409 for an object that was deleted and made again.
    pub(super) fn other_uid(&self, name: &str, wanted: &str, found: &str) -> ApiError {
        let detail = format!("Precondition failed: UID in precondition: {wanted}, UID in object meta: {found}");
        ApiError::conflict(&self.resource.group, &self.resource.plural, name, &detail)
    }
}
