//! Records in `managedFields` what a write did.

use serde_json::Value;

use crate::context::UpdateContext;
use crate::error::Result;
use crate::field_set::FieldSet;
use crate::managed_fields::{Entry, ManagedFields, Operation};
use crate::object;
use crate::versions::{Changes, OneForm, Versions};

/// Owner of what was there before ownership was tracked.
const BEFORE_FIRST_APPLY: &str = "before-first-apply";
/// Owner of what the oldest updaters owned.
const ANCIENT_CHANGES: &str = "ancient-changes";
/// How many updaters are remembered one by one.
const MAX_UPDATERS: usize = 10;

/// The owners after an ordinary write from `live` to `new`: its manager owns what changed, and others no longer do.
pub(crate) fn record_update(
    mut managed: ManagedFields,
    live: &Value,
    new: &Value,
    ctx: &UpdateContext<'_>,
    versions: &dyn Versions,
) -> Result<ManagedFields> {
    let changes = Changes::of(&managed, live, new, ctx, versions)?.exclude(&ctx.reset_set());
    release(&mut managed, &changes);

    let fields = changes.own.written().difference(&object::unowned());
    if !fields.is_empty() {
        let mut entry = Entry { time: Some(ctx.now.to_owned()), ..owner(ctx, Operation::Update) };
        let before = managed.take(&entry).map(|previous| previous.fields).unwrap_or_default();
        entry.fields = fields.union(&before);
        managed.put(entry);
    }
    Ok(cap_updaters(managed))
}

/// The owners after an apply: its manager has `entry` in place of `last`, and others no longer own what it changed.
pub(crate) fn record_apply(
    mut managed: ManagedFields,
    mut entry: Entry,
    last: Option<Entry>,
    changes: &Changes,
    now: &str,
) -> ManagedFields {
    release(&mut managed, changes);
    // Who changed nothing keeps the time of the last change; a new co-owner has only this time.
    let kept_time = last.and_then(|last| last.time).filter(|_| changes.own.is_same());
    entry.time = kept_time.or_else(|| Some(now.to_owned()));
    if !entry.fields.is_empty() {
        managed.put(entry);
    }
    managed
}

/// Nobody owns any more what has another value now.
fn release(managed: &mut ManagedFields, changes: &Changes) {
    managed.map_fields(|entry| match changes.seen_by(entry) {
        Some(seen) => entry.fields.difference(&seen.written().union(&seen.removed)),
        None => entry.fields.clone(),
    });
}

/// The owner of what `live` holds although nobody says who wrote it.
pub(crate) fn before_first_apply(live: &Value, ctx: &UpdateContext<'_>) -> Result<ManagedFields> {
    let nothing = Value::Object(serde_json::Map::new());
    let ctx = UpdateContext { manager: BEFORE_FIRST_APPLY, ..*ctx };
    record_update(ManagedFields::default(), &nothing, live, &ctx, &OneForm)
}

/// The entry of the manager in `ctx`, without fields and time.
pub(crate) fn owner(ctx: &UpdateContext<'_>, operation: Operation) -> Entry {
    Entry {
        manager: ctx.manager.to_owned(),
        operation,
        api_version: ctx.api_version.to_owned(),
        time: None,
        subresource: ctx.subresource.map(str::to_owned),
        fields: FieldSet::default(),
    }
}

/// Merges the oldest updaters, version by version, until there are few enough.
fn cap_updaters(mut managed: ManagedFields) -> ManagedFields {
    let mut updaters: Vec<_> =
        managed.entries().iter().filter(|entry| entry.operation == Operation::Update).cloned().collect();
    let Some(mut surplus) = updaters.len().checked_sub(MAX_UPDATERS) else {
        return managed;
    };
    // Times are in one format and zone, so that their text has their order. What was merged before is the oldest.
    updaters.sort_by_key(|entry| (entry.manager != ANCIENT_CHANGES, entry.time.clone(), entry.manager.clone()));
    let mut oldest: Vec<Entry> = Vec::new();
    for updater in updaters {
        if surplus == 0 {
            break;
        }
        let Some(bucket) = oldest.iter_mut().find(|bucket| bucket.api_version == updater.api_version) else {
            oldest.push(updater);
            continue;
        };
        managed.take(bucket);
        managed.take(&updater);
        let fields = bucket.fields.union(&updater.fields);
        *bucket = Entry { manager: ANCIENT_CHANGES.to_owned(), subresource: None, fields, ..updater };
        managed.put(bucket.clone());
        surplus -= 1;
    }
    managed
}
