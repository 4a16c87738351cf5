//! Ownership after an ordinary create, update or patch.

use serde_json::{Map, Value};

use crate::adapt::adapt;
use crate::context::UpdateContext;
use crate::error::Result;
use crate::managed_fields::ManagedFields;
use crate::object;
use crate::record;
use crate::versions::{OneForm, Versions};

/// The object to store: `new` with `metadata.managedFields` brought up to date.
///
/// `live` is what is stored now, `None` on create; `new` is the outcome of the write.
///
/// # Guarantees
///
/// - The content of `new` is not changed.
/// - A write that changes no field keeps the entries and their times.
/// - `managedFields: []` or `[{}]` in `new` forgets all owners. Otherwise owners given there count if they can be
///   read, except on a subresource; else those of `live`.
/// - An object that exists without owners stays without, until somebody applies.
///
/// # Errors
///
/// If `new` is no object or nested too deeply.
pub fn update(live: Option<&Value>, new: &Value, ctx: &UpdateContext<'_>) -> Result<Value> {
    update_across(live, new, ctx, &OneForm)
}

/// The same for an object whose versions have different forms.
///
/// # Errors
///
/// What [`Versions::convert`] gives, besides.
pub fn update_across(
    live: Option<&Value>,
    new: &Value,
    ctx: &UpdateContext<'_>,
    versions: &dyn Versions,
) -> Result<Value> {
    object::check(new)?;
    let managed = inherited(live, new, ctx);
    let mut stored = object::without_managed_fields(new);
    if managed.is_empty() && live.is_some() {
        return Ok(stored);
    }
    let live = live.map_or_else(|| Value::Object(Map::new()), object::without_managed_fields);
    let managed = adapt(managed, &live, ctx, versions)?;
    let managed = record::record_update(managed, &live, &stored, ctx, versions)?;
    object::set_managed_fields(&mut stored, managed.encode());
    Ok(stored)
}

/// The owners before the write.
fn inherited(live: Option<&Value>, new: &Value, ctx: &UpdateContext<'_>) -> ManagedFields {
    let decode = |object: &Value| ManagedFields::decode(object::managed_fields(object)?).ok();
    let given = object::managed_fields(new).filter(|_| ctx.subresource.is_none());
    if given.is_some_and(is_reset) {
        return ManagedFields::default();
    }
    let given = given.and_then(|entries| ManagedFields::decode(entries).ok()).filter(|managed| !managed.is_empty());
    given.or_else(|| decode(live?)).unwrap_or_default()
}

fn is_reset(entries: &Value) -> bool {
    match entries.as_array().map(Vec::as_slice) {
        Some([]) => true,
        Some([entry]) => entry.as_object().is_some_and(Map::is_empty),
        _ => false,
    }
}
