//! Conflicts between managers, in the words that Kubernetes uses.

use std::fmt;

use crate::managed_fields::{Entry, Operation};
use crate::path::Path;

/// A field that a patch would change and that another manager owns.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Conflict {
    /// Who owns the field.
    pub manager: String,
    /// How the owner last wrote.
    pub operation: Operation,
    /// The version in which the owner wrote.
    pub api_version: String,
    /// The subresource that the owner wrote to.
    pub subresource: Option<String>,
    /// When the owner last wrote.
    pub time: Option<String>,
    /// The field; its `Display` is the `field` of the status cause.
    pub path: Path,
}

impl Conflict {
    pub(crate) fn new(owner: &Entry, path: Path) -> Self {
        let Entry { manager, operation, api_version, subresource, time, fields: _ } = owner.clone();
        Self { manager, operation, api_version, subresource, time, path }
    }

    /// The message of the status cause: `conflict with "mgr" using v1 at 2026-01-01T00:00:00Z`.
    pub fn message(&self) -> String {
        format!("conflict with {}", self.owner())
    }

    fn owner(&self) -> String {
        let manager = format!("{:?}", self.manager);
        let subresource = self.subresource.as_ref().map(|subresource| format!("with subresource {subresource:?}"));
        let version = (self.operation == Operation::Update).then(|| format!("using {}", self.api_version));
        let time = self.time.as_ref().filter(|_| version.is_some()).map(|time| format!("at {time}"));
        [Some(manager), subresource, version, time].into_iter().flatten().collect::<Vec<_>>().join(" ")
    }
}

/// `conflict with "mgr" using v1: .spec.image`.
impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.message(), self.path)
    }
}

/// The message for all conflicts of a patch, grouped by owner in the order given.
pub(crate) fn summary(conflicts: &[Conflict]) -> String {
    if let [conflict] = conflicts {
        return format!("Apply failed with 1 conflict: {conflict}");
    }
    let mut lines = Vec::new();
    let same_owner = |left: &Conflict, right: &Conflict| left.owner() == right.owner();
    for group in conflicts.chunk_by(same_owner) {
        lines.extend(group.first().map(|conflict| format!("conflicts with {}:", conflict.owner())));
        lines.extend(group.iter().map(|conflict| format!("- {}", conflict.path)));
    }
    format!("Apply failed with {} conflicts: {}", conflicts.len(), lines.join("\n"))
}
