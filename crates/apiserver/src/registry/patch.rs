//! Patches of all four types: each becomes a proposal for the loop in `update`.

use serde_json::Value;

use super::{
    Document, Part, Patch, Registry, Scope, WriteOptions, Written,
    create::Draft,
    decode, json_patch, limits, managers, metadata,
    object::{meta, metadata_mut, set_meta},
    scale, strategic,
    update::Proposal,
};
use crate::{ApiError, catalogue::Resource};

/// How often an apply goes from "create" to "update" and back when others make and delete the object meanwhile.
const ATTEMPTS: usize = 3;

impl Registry {
    /// Changes an object, its status or its scale by a patch; server-side apply also makes it.
    pub(crate) async fn patch(
        &self,
        scope: &Scope,
        name: &str,
        part: Part,
        patch: Patch,
        options: &WriteOptions,
    ) -> Result<Written, ApiError> {
        scope.check_part(part)?;
        managers::check_name(&options.field_manager)?;
        if matches!(patch, Patch::Strategic(_)) && !scope.resource.built_in {
            return Err(unsupported());
        }
        let written = match &patch {
            Patch::Apply(document) => self.apply(scope, name, part, document, options).await?,
            _ => {
                self.modify(scope, name, part, options, |scope, live| proposal(scope, live, part, &patch, options))
                    .await?
            }
        };
        match part {
            Part::Scale => written.scale(&scope.resource),
            Part::Main | Part::Status => Ok(written),
        }
    }

    /// Server-side apply: merges into what stands there, or makes the object.
    async fn apply(
        &self,
        scope: &Scope,
        name: &str,
        part: Part,
        document: &Document,
        options: &WriteOptions,
    ) -> Result<Written, ApiError> {
        let (wanted, warnings) = wanted(scope, name, part, document, options)?;
        for _ in 0..ATTEMPTS {
            let modified = self.modify(scope, name, part, options, |scope, live| {
                self.applied(scope, part, &wanted, live, options).map(|object| Proposal {
                    object,
                    warnings: warnings.clone(),
                    owned: true,
                })
            });
            match modified.await {
                Err(error) if is_absent(&error, scope) && part == Part::Main && !options.update_only => {}
                answer => return answer,
            }
            if !meta(&wanted, "uid").is_empty() {
                return Err(scope.other_uid(name, meta(&wanted, "uid"), ""));
            }
            let draft = |scope: &Scope| {
                let now = metadata::seconds((self.clock)());
                let mut object = managers::apply(&scope.resource, part, options, None, &wanted, &now)?.object;
                decode::tidy(&mut object, &scope.resource)?;
                Ok(Draft { object, warnings: warnings.clone(), owned: true })
            };
            match self.create_draft(scope, draft(scope)?, options, Some(&draft)).await {
                Err(error) if error.reason == "AlreadyExists" => {}
                answer => return answer,
            }
        }
        Err(scope.conflict(name))
    }

    fn applied(
        &self,
        scope: &Scope,
        part: Part,
        wanted: &Value,
        live: &Value,
        options: &WriteOptions,
    ) -> Result<Value, ApiError> {
        let resource = &scope.resource;
        let now = metadata::seconds((self.clock)());
        let (config, guard) = match part {
            Part::Scale => (scale::applied(live, wanted, resource)?, wanted),
            Part::Main | Part::Status => (wanted.clone(), wanted),
        };
        check_guard(scope, guard, live)?;
        let mut object = managers::apply(resource, part, options, Some(live), &config, &now)?.object;
        decode::tidy(&mut object, resource)?;
        Ok(object)
    }
}

/// What an apply patch says, checked as far as that is possible without the object.
fn wanted(
    scope: &Scope,
    name: &str,
    part: Part,
    document: &Document,
    options: &WriteOptions,
) -> Result<(Value, Vec<String>), ApiError> {
    let Document { value, duplicates } = document;
    limits::check_depth(value)?;
    let mut wanted = value.clone();
    if part != Part::Scale {
        let kind = super::object::top(&wanted, "kind");
        if kind.is_empty() {
            return Err(ApiError::bad_request("Object 'Kind' is missing in the body"));
        }
        if kind != scope.resource.kind {
            let (kind, expected) = (kind.to_owned(), &scope.resource.kind);
            return Err(ApiError::bad_request(format!(
                "{kind} in version {:?} cannot be handled as a {expected}",
                scope.resource.api_version()
            )));
        }
        decode::check_name(&mut wanted, name)?;
        decode::check_namespace(&mut wanted, scope)?;
    }
    let complaints = duplicates.iter().map(|path| format!("duplicate field {path:?}")).collect();
    Ok((wanted, decode::judge(complaints, options.field_validation)?))
}

/// The revision and uid that a patch names must be those that stand there.
fn check_guard(scope: &Scope, wanted: &Value, live: &Value) -> Result<(), ApiError> {
    let name = meta(live, "name");
    let revision = meta(wanted, "resourceVersion");
    if !revision.is_empty() && revision != meta(live, "resourceVersion") {
        return Err(scope.conflict(name));
    }
    let uid = meta(wanted, "uid");
    if !uid.is_empty() && uid != meta(live, "uid") {
        return Err(scope.other_uid(name, uid, meta(live, "uid")));
    }
    Ok(())
}

/// What a patch makes of the object that stands there.
fn proposal(
    scope: &Scope,
    live: &Value,
    part: Part,
    patch: &Patch,
    options: &WriteOptions,
) -> Result<Proposal, ApiError> {
    if part == Part::Scale {
        let patched = patched(patch, &scale::to_change(live, &scope.resource)?)?;
        let object = scale::into_object(live, &patched, &scope.resource)?;
        return Ok(Proposal { object, warnings: Vec::new(), owned: false });
    }
    let mut object = patched(patch, live)?;
    check_identity(&mut object, scope, live)?;
    let mut complaints = decode::tidy(&mut object, &scope.resource)?;
    let (duplicates, text) = said(patch);
    complaints.extend(duplicates.iter().map(|path| format!("duplicate field {path:?}")));
    let warnings = decode::judge_patch(complaints, options.field_validation, &text)?;
    Ok(Proposal { object, warnings, owned: false })
}

fn patched(patch: &Patch, object: &Value) -> Result<Value, ApiError> {
    match patch {
        Patch::Json(patch) => json_patch::apply(patch, object),
        Patch::Merge(document) => {
            limits::check_depth(&document.value)?;
            if !document.value.is_object() {
                return Err(ApiError::bad_request("a merge patch must be an object"));
            }
            Ok(json_patch::merge(&document.value, object))
        }
        Patch::Strategic(document) => {
            limits::check_depth(&document.value)?;
            strategic::merge(&document.value, object)
        }
        Patch::Apply(_) => Err(ApiError::internal("an apply patch came where it is not merged")),
    }
}

/// The repeated fields of a patch, and its text for a refusal.
fn said(patch: &Patch) -> (&[String], Value) {
    match patch {
        Patch::Json(patch) => (&[], serde_json::to_value(patch).unwrap_or_default()),
        Patch::Merge(document) | Patch::Strategic(document) | Patch::Apply(document) => {
            (&document.duplicates, document.value.clone())
        }
    }
}

/// A patch cannot make another object of it.
fn check_identity(object: &mut Value, scope: &Scope, live: &Value) -> Result<(), ApiError> {
    decode::check_kind(object, &scope.resource)?;
    if meta(object, "name").is_empty() {
        let error = essaim_schema::FieldError::required("metadata.name", "name or generateName is required");
        return scope.refuse(meta(live, "name"), &[error]);
    }
    decode::check_name(object, meta(live, "name"))?;
    decode::check_namespace(object, scope)?;
    // A patch that takes the revision away names none.
    if object.get("metadata").and_then(|metadata| metadata.get("resourceVersion")).is_some_and(Value::is_null) {
        metadata_mut(object).remove("resourceVersion");
    }
    if meta(object, "uid").is_empty() {
        set_meta(object, "uid", meta(live, "uid"));
    }
    Ok(())
}

/// Whether it is the object itself that is not there.
pub(super) fn is_absent(error: &ApiError, scope: &Scope) -> bool {
    let Resource { plural, .. } = &*scope.resource;
    error.code == 404 && error.subject.as_ref().is_some_and(|subject| subject.kind == *plural)
}

/// 415 with what is possible, as kubectl shows it.
fn unsupported() -> ApiError {
    let message = "the body of the request was in an unknown format - accepted media types include: \
                   application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml";
    ApiError::new(415, "UnsupportedMediaType", message)
}
