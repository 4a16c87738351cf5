//! Server-side apply.

use serde_json::{Map, Value};

use crate::adapt::adapt;
use crate::compare::Comparison;
use crate::conflict::Conflict;
use crate::context::{ApplyContext, UpdateContext};
use crate::error::{Error, Result};
use crate::fields_of::fields_of;
use crate::last_applied;
use crate::managed_fields::{Entry, ManagedFields, Operation};
use crate::merge::merge;
use crate::object;
use crate::prune::prune_across;
use crate::record;
use crate::remove::remove;
use crate::validate::validate;
use crate::versions::{Changes, OneForm, Versions};

/// What an apply patch leads to.
#[derive(Debug, Clone, PartialEq)]
pub struct Applied {
    /// The object to store.
    pub object: Value,
    /// Whether it differs from the live one in more than times; if not, nothing needs to be written.
    pub changed: bool,
}

/// Merges what a manager wants into what is stored.
///
/// `live` is what is stored now, `None` if nothing is; `applied` is the patch.
///
/// # Guarantees
///
/// - Afterwards the manager owns exactly what `applied` says. What it owned before, no longer says and nobody else owns is removed.
/// - A field that others own and that would change is a conflict, or is taken from them with `force`. A field that
///   would keep its value is owned together.
/// - If no field changes, the object is the live one with its times.
/// - What only the server sets (`uid`, `resourceVersion` and so on) is never merged.
///
/// # Assumptions
///
/// The caller has checked the patch's preconditions (`uid`, `resourceVersion`), and puts back what `reset_fields` names.
///
/// # Errors
///
/// [`Error::Conflicts`], and the other variants for patches that cannot be merged.
pub fn apply(live: Option<&Value>, applied: &Value, ctx: &ApplyContext<'_>) -> Result<Applied> {
    apply_across(live, applied, ctx, &OneForm)
}

/// The same for an object whose versions have different forms.
///
/// # Errors
///
/// What [`Versions::convert`] gives, besides.
pub fn apply_across(
    live: Option<&Value>,
    applied: &Value,
    ctx: &ApplyContext<'_>,
    versions: &dyn Versions,
) -> Result<Applied> {
    check(applied, ctx)?;
    let attempt = |force| attempt(live, applied, ctx, versions, force);
    let attempt = match attempt(ctx.force) {
        Err(Error::Conflicts(conflicts)) => match last_applied::unexcused(conflicts, live, ctx) {
            remaining if remaining.is_empty() => attempt(true),
            remaining => Err(Error::Conflicts(remaining)),
        },
        outcome => outcome,
    };
    let mut object = attempt?;
    last_applied::sync(&mut object, applied, ctx);
    let changed = live.is_none_or(|live| !object::same_ignoring_times(live, &object));
    Ok(Applied { object, changed })
}

fn check(applied: &Value, ctx: &ApplyContext<'_>) -> Result<()> {
    object::check(applied)?;
    if ctx.manager.is_empty() {
        return Err(Error::ManagerRequired);
    }
    if object::managed_fields(applied).is_some() {
        return Err(Error::ManagedFieldsInPatch);
    }
    let version = applied.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
    if version != ctx.api_version {
        return Err(Error::VersionMismatch { patch: version.to_owned(), expected: ctx.api_version.to_owned() });
    }
    validate(ctx.schema.root(), applied)
}

fn attempt(
    live: Option<&Value>,
    applied: &Value,
    ctx: &ApplyContext<'_>,
    versions: &dyn Versions,
    force: bool,
) -> Result<Value> {
    let scope = ctx.as_update();
    let (form, reset) = (ctx.schema.root(), scope.reset_set());
    let before = live.map_or_else(|| Value::Object(Map::new()), object::without_managed_fields);
    let wanted = remove(form, &object::without_server_set(applied), &reset);
    let mut managed = owners(live, &scope, versions)?;
    let mut entry = record::owner(&scope, Operation::Apply);
    entry.fields = fields_of(form, &wanted).difference(&object::unowned());
    let last = managed.take(&entry);

    let merged = merge(form, &before, &wanted);
    let after = match &last {
        Some(last) => {
            let last = Entry { fields: last.fields.recursive_difference(&reset), ..last.clone() };
            let owners: Vec<_> = managed.entries().iter().chain([&entry]).collect();
            prune_across(merged, &last, &owners, &scope, versions)?
        }
        None => merged,
    };
    let changes = Changes::of(&managed, &before, &after, &scope, versions)?;
    let conflicts = conflicts(&managed, &changes);
    if !force && !conflicts.is_empty() {
        return Err(Error::Conflicts(conflicts));
    }
    let managed = record::record_apply(managed, entry, last, &changes, ctx.now);
    let mut stored = if changes.own.is_same() && live.is_some() { before } else { after };
    object::set_managed_fields(&mut stored, managed.encode());
    Ok(stored)
}

/// The owners of the live object, or the one who stands for what has none.
fn owners(live: Option<&Value>, scope: &UpdateContext<'_>, versions: &dyn Versions) -> Result<ManagedFields> {
    let Some(live) = live else {
        return Ok(ManagedFields::default());
    };
    let stored = object::managed_fields(live).and_then(|entries| ManagedFields::decode(entries).ok());
    let live = object::without_managed_fields(live);
    match stored.filter(|managed| !managed.is_empty()) {
        Some(managed) => adapt(managed, &live, scope, versions),
        None => record::before_first_apply(&live, scope),
    }
}

/// What others own and would see changed, owner by owner.
fn conflicts(managed: &ManagedFields, changes: &Changes) -> Vec<Conflict> {
    let of = |owner: &Entry| {
        let written = changes.seen_by(owner).map(Comparison::written).unwrap_or_default();
        let paths = owner.fields.intersection(&written).paths();
        paths.into_iter().map(|path| Conflict::new(owner, path)).collect::<Vec<_>>()
    };
    let mut conflicts: Vec<_> = managed.entries().iter().flat_map(of).collect();
    conflicts.sort();
    conflicts
}
