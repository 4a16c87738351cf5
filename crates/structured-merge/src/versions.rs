//! Owners who wrote in another version than the present request.
//!
//! What somebody owns is written in the words of a version. Where versions have different forms, a change is looked at in each
//! version in which somebody owns something.

use serde_json::{Map, Value};

use crate::compare::{Comparison, compare};
use crate::context::UpdateContext;
use crate::error::{Error, Result};
use crate::managed_fields::{Entry, ManagedFields};
use crate::schema::{Schema, TypeRef};

/// The object in the versions of its owners.
pub trait Versions {
    /// The form of the object in a version; nothing if all versions have the form that the context names.
    fn schema(&self, version: &str) -> Option<&Schema>;

    /// An object, without `managedFields`, in a version that has a schema. Nothing if that cannot be known: then the owners in that
    /// version keep what they own, and nothing can be applied.
    ///
    /// # Errors
    ///
    /// [`Error::Unconverted`] for "not yet": the caller finds it out and calls again.
    fn convert(&self, object: &Value, version: &str) -> Result<Option<Value>>;
}

/// All versions have one form and differ in `apiVersion` only.
#[derive(Debug, Clone, Copy)]
pub struct OneForm;

impl Versions for OneForm {
    fn schema(&self, _: &str) -> Option<&Schema> {
        None
    }

    fn convert(&self, _: &Value, _: &str) -> Result<Option<Value>> {
        Ok(None)
    }
}

/// The form of the object in a version.
pub(crate) fn form<'v>(scope: &UpdateContext<'v>, versions: &'v dyn Versions, version: &str) -> &'v TypeRef {
    other_form(scope, versions, version).unwrap_or_else(|| scope.schema.root())
}

/// The same where it is another one than that of the request.
pub(crate) fn other_form<'v>(
    scope: &UpdateContext<'v>,
    versions: &'v dyn Versions,
    version: &str,
) -> Option<&'v TypeRef> {
    versions.schema(version).filter(|_| version != scope.api_version).map(Schema::root)
}

/// An object in another version, where not to know it is an error.
pub(crate) fn converted(versions: &dyn Versions, object: &Value, version: &str) -> Result<Value> {
    versions.convert(object, version)?.ok_or_else(|| Error::Unconverted(version.to_owned()))
}

/// What a write changes, as the owners see it.
pub(crate) struct Changes {
    /// In the version of the request.
    pub(crate) own: Comparison,
    /// In the other versions; nothing where it cannot be known.
    others: Vec<(String, Option<Comparison>)>,
}

impl Changes {
    /// Compares the object before and after a write, in each version in which one of them owns something.
    pub(crate) fn of(
        managed: &ManagedFields,
        before: &Value,
        after: &Value,
        scope: &UpdateContext<'_>,
        versions: &dyn Versions,
    ) -> Result<Self> {
        let own = compare(scope.schema.root(), before, after);
        if own.is_same() {
            return Ok(Self { own, others: Vec::new() });
        }
        let mut seen: Vec<&str> = Vec::new();
        let mut views = Vec::new();
        for entry in managed.entries() {
            let version = entry.api_version.as_str();
            let Some(form) = other_form(scope, versions, version).filter(|_| !seen.contains(&version)) else {
                continue;
            };
            seen.push(version);
            views.push((version, form, view(versions, before, version), view(versions, after, version)));
        }
        // All were asked for, so that whoever has to find them out can do it together.
        let others = views.into_iter().map(|(version, form, before, after)| {
            let seen = before?.zip(after?).map(|(before, after)| compare(form, &before, &after));
            Ok((version.to_owned(), seen))
        });
        Ok(Self { own, others: others.collect::<Result<_>>()? })
    }

    /// The same as if some fields, and all below them, did not exist.
    pub(crate) fn exclude(self, fields: &crate::field_set::FieldSet) -> Self {
        let others = self.others.into_iter().map(|(version, seen)| (version, seen.map(|seen| seen.exclude(fields))));
        Self { own: self.own.exclude(fields), others: others.collect() }
    }

    /// What an owner sees of it; nothing if that cannot be known.
    pub(crate) fn seen_by(&self, owner: &Entry) -> Option<&Comparison> {
        match self.others.iter().find(|(version, _)| *version == owner.api_version) {
            Some((_, seen)) => seen.as_ref(),
            None => Some(&self.own),
        }
    }
}

/// What was not there is not there in any version.
pub(crate) fn view(versions: &dyn Versions, object: &Value, version: &str) -> Result<Option<Value>> {
    if object.as_object().is_some_and(Map::is_empty) {
        return Ok(Some(object.clone()));
    }
    versions.convert(object, version)
}
