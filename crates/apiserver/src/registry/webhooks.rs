//! Asking the site's webhooks about writes: after everything else was checked, before the commit.
//!
//! ```text
//! configurations (cached list) ─► hooks, compiled once ─► rules, selectors, conditions ─► all that are concerned, at once ─► first refusal
//! ```
//!
//! A write that goes round again because somebody was faster is asked about again: it is about another object then. The server's own
//! writes are not asked about, since nobody could repair a server that waits for a webhook that waits for the server:
//! bootstrap manifests, default accounts, states of namespaces and definitions, the garbage collector, and the objects of a namespace or definition
//! whose deletion was asked about. Configurations of webhooks are not asked about either, so that a broken one can be taken away.
//!
//! Bounds: the time of each webhook, and what is left of the request's; as many requests waiting as there are places.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::future::join_all;
use serde_json::{Value, json};
use tokio::{sync::Semaphore, time::Instant};

use super::{
    DeleteOptions, FieldValidation, Operation, Part, Registry, Scope, Underway, WriteOptions, codec, create::forbidden,
    object::meta, scale,
};
use crate::{
    ApiError, UserInfo,
    catalogue::{Resource, WEBHOOKS_GROUP, api_version},
    heavy,
    webhook::{Caller, Hook, Request, Review, Verdict},
};

/// Requests that may wait for webhooks at once, unless the server's limits say otherwise.
const PLACES: usize = 100;
/// Left of a request's time for its commit and its answer.
const RESERVE: Duration = Duration::from_millis(500);

/// The hooks of the newest configurations, and the connections to them.
pub(super) struct Webhooks {
    caller: Caller,
    /// A std mutex: it is held while a changed configuration is compiled, which happens once.
    compiled: Mutex<(Configurations, Arc<Vec<Hook>>)>,
    places: Semaphore,
}

type Configurations = Arc<Vec<Arc<Value>>>;

impl Default for Webhooks {
    fn default() -> Self {
        Self { caller: Caller::default(), compiled: Mutex::default(), places: Semaphore::new(PLACES) }
    }
}

impl Webhooks {
    fn compile(&self, configurations: Configurations) -> Arc<Vec<Hook>> {
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&compiled.0, &configurations) {
            let hooks = configurations.iter().flat_map(|one| Hook::of(one)).collect();
            *compiled = (configurations, Arc::new(hooks));
        }
        compiled.1.clone()
    }
}

/// For whom something is done, and the request that it is part of.
#[derive(Clone, Copy)]
struct Asker<'a> {
    user: &'a UserInfo,
    underway: &'a Underway,
}

/// What is about to happen to an object.
struct Question<'a> {
    scope: &'a Scope,
    asker: Asker<'a>,
    part: Part,
    operation: Operation,
    /// Null on deletion.
    object: Value,
    /// Null on creation.
    old: Value,
    name: &'a str,
    dry_run: bool,
    /// `CreateOptions` or the like.
    options: Value,
}

/// A webhook that has to be asked, and what about.
struct Call<'a> {
    hook: &'a Hook,
    uid: String,
    body: Value,
}

impl Registry {
    /// Lets so many requests at once wait for webhooks.
    pub(crate) fn with_webhook_places(mut self, places: usize) -> Self {
        self.webhooks.places = Semaphore::new(places.clamp(1, Semaphore::MAX_PERMITS));
        self
    }

    /// Asks about an object that is about to be stored, in place of `live` if there was one.
    pub(super) async fn ask_about_write(
        &self,
        scope: &Scope,
        part: Part,
        object: &Value,
        live: Option<&Value>,
        options: &WriteOptions,
    ) -> Result<(), ApiError> {
        let Some((hooks, asker)) = self.hooks_for(scope, options.user.as_deref(), options.underway.as_deref()).await?
        else {
            return Ok(());
        };
        let operation = if live.is_some() { Operation::Update } else { Operation::Create };
        let shown = |object: &Value| match part {
            Part::Scale => scale::to_change(object, &scope.resource),
            Part::Main | Part::Status => Ok(object.clone()),
        };
        let question = Question {
            scope,
            asker,
            part,
            operation,
            object: shown(object)?,
            old: live.map(shown).transpose()?.unwrap_or_default(),
            name: meta(object, "name"),
            dry_run: options.dry_run,
            options: write_options(operation, options),
        };
        Box::pin(self.ask_hooks(&hooks, &question)).await
    }

    /// Asks about an object that is about to be deleted.
    pub(super) async fn ask_about_deletion(
        &self,
        scope: &Scope,
        live: &Value,
        options: &DeleteOptions,
    ) -> Result<(), ApiError> {
        let Some((hooks, asker)) = self.hooks_for(scope, options.user.as_deref(), options.underway.as_deref()).await?
        else {
            return Ok(());
        };
        let question = Question {
            scope,
            asker,
            part: Part::Main,
            operation: Operation::Delete,
            object: Value::Null,
            old: live.clone(),
            name: meta(live, "name"),
            dry_run: options.dry_run,
            options: delete_options(options),
        };
        Box::pin(self.ask_hooks(&hooks, &question)).await
    }

    /// Every webhook there is, unless nobody needs to be asked.
    async fn hooks_for<'a>(
        &self,
        scope: &Scope,
        user: Option<&'a UserInfo>,
        underway: Option<&'a Underway>,
    ) -> Result<Option<(Arc<Vec<Hook>>, Asker<'a>)>, ApiError> {
        let Some((user, underway)) = user.zip(underway) else { return Ok(None) };
        let resource = self.catalogue.find(WEBHOOKS_GROUP, "v1", "validatingwebhookconfigurations");
        let Some(resource) = resource.filter(|_| scope.resource.group != WEBHOOKS_GROUP) else { return Ok(None) };
        let configurations = self.cached_list(&resource).await?;
        if configurations.is_empty() {
            return Ok(None);
        }
        Ok(Some((self.webhooks.compile(configurations), Asker { user, underway })))
    }

    async fn ask_hooks(&self, hooks: &[Hook], question: &Question<'_>) -> Result<(), ApiError> {
        let calls = self.calls(hooks, question).await?;
        if calls.is_empty() {
            return Ok(());
        }
        // Webhooks that do not answer must not take every place; those who may do everything pass, as elsewhere.
        let places = &self.webhooks.places;
        let place = if question.asker.user.is_master() { None } else { Some(places.try_acquire()) };
        let _place = place.transpose().map_err(|_| ApiError::too_many_requests())?;
        let until = question.asker.underway.until;
        let until = until.checked_sub(RESERVE).unwrap_or(until);
        let answers = join_all(calls.iter().map(|call| self.call(call, until))).await;
        for (call, answer) in calls.iter().zip(answers) {
            match answer {
                Ok(verdict) => {
                    question.asker.underway.warn(verdict.warnings);
                    verdict.denial.map_or(Ok(()), Err)?;
                }
                Err(causes) if call.hook.is_optional => {
                    tracing::warn!(webhook = call.hook.name, causes, "a webhook failed and is ignored");
                }
                Err(why) => {
                    let message =
                        format!("Internal error occurred: failed calling webhook {:?}: {why}", call.hook.name);
                    return Err(ApiError::new(500, "InternalError", message));
                }
            }
        }
        Ok(())
    }

    async fn call(&self, call: &Call<'_>, until: Instant) -> Result<Verdict, String> {
        let Call { hook, uid, body } = call;
        let within = hook.timeout.min(until.saturating_duration_since(Instant::now()));
        let query = format!("timeout={}s", within.as_millis().div_ceil(1000));
        let answer = self.webhooks.caller.call(&hook.client_config, &query, body, within).await;
        let answer = answer.map_err(|error| format!("failed to call webhook: {error}"))?;
        Verdict::read(&answer, uid, &hook.name).map_err(|why| format!("received invalid webhook response: {why}"))
    }

    /// The webhooks that are concerned.
    async fn calls<'a>(&self, hooks: &'a [Hook], question: &Question<'_>) -> Result<Vec<Call<'a>>, ApiError> {
        let resource = &question.scope.resource;
        let others = self.other_versions(resource);
        let others: Vec<&str> = others.iter().map(String::as_str).collect();
        let request = question.request(&others);
        let mut namespace = None;
        let mut calls = Vec::new();
        for hook in hooks {
            let Some(version) = hook.version(&request) else { continue };
            if hook.selects_namespaces() {
                if namespace.is_none() {
                    namespace = Some(self.namespace_of(question).await?);
                }
                if namespace.iter().flatten().any(|namespace| !hook.selects_namespace(namespace)) {
                    continue;
                }
            }
            if hook.selects_object(&question.object, &question.old) {
                let (object, old) = question.objects(version).await?;
                calls.extend(question.call(hook, version, &object, &old)?);
            }
        }
        Ok(calls)
    }

    /// The other versions into which objects can be converted.
    fn other_versions(&self, resource: &Resource) -> Vec<String> {
        if resource.built_in {
            return Vec::new();
        }
        let table = self.catalogue.table();
        let same = table.resources.iter().filter(|one| one.is(&resource.group, &resource.plural));
        same.filter(|one| one.version != resource.version).map(|one| one.version.clone()).collect()
    }

    /// Whose labels count; nothing for objects beside the namespaces, which no selector leaves out. A Namespace counts as
    /// it is about to be.
    async fn namespace_of(&self, question: &Question<'_>) -> Result<Option<Value>, ApiError> {
        if question.scope.resource.is("", "namespaces") {
            let itself = if question.object.is_null() { &question.old } else { &question.object };
            return Ok(Some(itself.clone()));
        }
        let Some(name) = question.scope.namespace.as_deref() else { return Ok(None) };
        let namespaces = self.namespaces_resource()?;
        let record = self.fetch(&codec::key(&namespaces, None, name)).await?;
        let record = record.ok_or_else(|| ApiError::not_found("", "namespaces", name))?;
        Ok(Some(self.codec.value(&record, &namespaces)?))
    }
}

impl Question<'_> {
    /// What rules look at.
    fn request<'b>(&'b self, other_versions: &'b [&'b str]) -> Request<'b> {
        let Resource { group, version, plural, namespaced, .. } = &*self.scope.resource;
        Request {
            operation: self.operation(),
            group,
            version,
            other_versions,
            resource: plural,
            subresource: self.part.subresource().unwrap_or_default(),
            namespaced: *namespaced,
        }
    }

    fn operation(&self) -> &'static str {
        match self.operation {
            Operation::Create => "CREATE",
            Operation::Update => "UPDATE",
            Operation::Delete => "DELETE",
        }
    }

    /// The call, if the conditions say so.
    fn call<'h>(
        &self,
        hook: &'h Hook,
        version: &str,
        object: &Value,
        old: &Value,
    ) -> Result<Option<Call<'h>>, ApiError> {
        let request = self.described(version);
        if hook.is_conditional() {
            let bytes = heavy::weight(object) + heavy::weight(old);
            match heavy::run(bytes, || hook.conditions_hold(object, old, &request)) {
                Ok(true) => {}
                Ok(false) => return Ok(None),
                Err(causes) if hook.is_optional => {
                    tracing::warn!(webhook = hook.name, causes, "the conditions of a webhook failed and it is ignored");
                    return Ok(None);
                }
                Err(why) => return Err(forbidden(&self.scope.resource, self.name, &why)),
            }
        }
        if self.dry_run && !hook.takes_dry_runs {
            let message = format!("admission webhook {:?} does not support dry run", hook.name);
            return Err(ApiError::bad_request(message));
        }
        let uid = uuid::Uuid::new_v4().to_string();
        let review = Review { uid: uid.clone(), request };
        Ok(Some(Call { hook, uid, body: review.with_objects(object, old) }))
    }

    /// The object as it is to be and as it was, as the webhook wants to see them; a scale is the same in all versions.
    async fn objects(&self, version: &str) -> Result<(Value, Value), ApiError> {
        let resource = &self.scope.resource;
        let (mut object, mut old) = (self.object.clone(), self.old.clone());
        if self.part == Part::Scale || version == resource.version {
            return Ok((object, old));
        }
        let to = api_version(&resource.group, version);
        let mut there: Vec<_> = [&mut object, &mut old].into_iter().filter(|one| !one.is_null()).collect();
        if let Some(converter) = &resource.conversion {
            let asked = there.iter_mut().map(|one| std::mem::take(*one)).collect();
            for (place, converted) in there.into_iter().zip(converter.convert(asked, &to).await?) {
                *place = converted;
            }
        } else {
            for one in there {
                one["apiVersion"] = to.as_str().into();
            }
        }
        Ok((object, old))
    }

    /// The request without its objects, which is what conditions see.
    fn described(&self, version: &str) -> Value {
        let Resource { group, kind, plural, version: own, .. } = &*self.scope.resource;
        let kind = |version: &str| match self.part {
            Part::Scale => json!({"group": "autoscaling", "version": "v1", "kind": "Scale"}),
            Part::Main | Part::Status => json!({"group": group, "version": version, "kind": kind}),
        };
        let resource = |version: &str| json!({"group": group, "version": version, "resource": plural});
        let mut request = json!({
            "kind": kind(version), "resource": resource(version), "requestKind": kind(own), "requestResource": resource(own),
            "name": self.name, "operation": self.operation(), "userInfo": self.asker.user, "dryRun": self.dry_run,
            "options": self.options,
        });
        if let Some(subresource) = self.part.subresource() {
            request["subResource"] = subresource.into();
            request["requestSubResource"] = subresource.into();
        }
        // A Namespace lies in itself.
        let own_name = self.scope.resource.is("", "namespaces").then_some(self.name);
        if let Some(namespace) = self.scope.namespace.as_deref().or(own_name) {
            request["namespace"] = namespace.into();
        }
        request
    }
}

fn write_options(operation: Operation, options: &WriteOptions) -> Value {
    let kind = if operation == Operation::Create { "CreateOptions" } else { "UpdateOptions" };
    let validation = match options.field_validation {
        FieldValidation::Ignore => "Ignore",
        FieldValidation::Warn => "Warn",
        FieldValidation::Strict => "Strict",
    };
    let mut written = json!({
        "kind": kind, "apiVersion": "meta.k8s.io/v1", "fieldManager": options.field_manager, "fieldValidation": validation,
    });
    if options.dry_run {
        written["dryRun"] = json!(["All"]);
    }
    written
}

fn delete_options(options: &DeleteOptions) -> Value {
    let mut written = json!({"kind": "DeleteOptions", "apiVersion": "meta.k8s.io/v1"});
    if options.dry_run {
        written["dryRun"] = json!(["All"]);
    }
    if let Some(policy) = &options.propagation_policy {
        written["propagationPolicy"] = policy.as_str().into();
    }
    for (field, value) in [("uid", &options.uid), ("resourceVersion", &options.resource_version)] {
        if let Some(value) = value {
            written["preconditions"][field] = value.as_str().into();
        }
    }
    written
}
