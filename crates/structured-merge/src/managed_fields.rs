//! `metadata.managedFields`: who owns which fields.

use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::field_set::FieldSet;

/// More owners than this nobody has; each write would compare all of them with one another.
const MAX_ENTRIES: usize = 500;

/// How a manager wrote. Appliers are listed first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// An apply patch.
    Apply,
    /// Anything else.
    Update,
}

impl Operation {
    /// The word in `managedFields`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Apply => "Apply",
            Self::Update => "Update",
        }
    }
}

/// What one manager owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Name of the manager.
    pub manager: String,
    /// How it wrote.
    pub operation: Operation,
    /// The version in which it wrote.
    pub api_version: String,
    /// When it last changed something.
    pub time: Option<String>,
    /// The subresource that it wrote to.
    pub subresource: Option<String>,
    /// What it owns.
    pub fields: FieldSet,
}

/// All owners of an object.
///
/// *Invariant*: no two entries have the same [owner](Entry::same_owner).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ManagedFields {
    entries: Vec<Entry>,
}

impl Entry {
    /// Whether both stand for the same owner. An applier stays the same when it changes versions.
    pub fn same_owner(&self, other: &Self) -> bool {
        self.manager == other.manager
            && self.operation == other.operation
            && self.subresource == other.subresource
            && (self.operation == Operation::Apply || self.api_version == other.api_version)
    }

    fn sort_key(&self) -> (Operation, Option<&str>, &str, &str, Option<&str>) {
        (self.operation, self.time.as_deref(), &self.manager, &self.api_version, self.subresource.as_deref())
    }

    fn encode(&self) -> Value {
        let mut entry = Map::new();
        let mut set = |key: &str, value: Value| entry.insert(key.to_owned(), value);
        set("manager", self.manager.as_str().into());
        set("operation", self.operation.as_str().into());
        set("apiVersion", self.api_version.as_str().into());
        if let Some(time) = &self.time {
            set("time", time.as_str().into());
        }
        set("fieldsType", "FieldsV1".into());
        set("fieldsV1", self.fields.to_fields_v1());
        if let Some(subresource) = &self.subresource {
            set("subresource", subresource.as_str().into());
        }
        Value::Object(entry)
    }

    fn decode(index: usize, entry: &Value) -> Result<Self> {
        let invalid = |message| Error::ManagedFields { index, message };
        let text =
            |key: &str| entry.get(key).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
        let operation = match text("operation").as_deref() {
            Some("Apply") => Operation::Apply,
            Some("Update") => Operation::Update,
            _ => return Err(invalid("operation must be `Apply` or `Update`")),
        };
        if text("fieldsType").as_deref() != Some("FieldsV1") {
            return Err(invalid("fieldsType must be `FieldsV1`"));
        }
        let fields = entry.get("fieldsV1").filter(|fields| !fields.is_null());
        Ok(Self {
            manager: text("manager").unwrap_or_default(),
            operation,
            api_version: text("apiVersion").ok_or_else(|| invalid("apiVersion must not be empty"))?,
            time: text("time"),
            subresource: text("subresource"),
            fields: fields.map_or_else(|| Ok(FieldSet::default()), FieldSet::from_fields_v1)?,
        })
    }
}

impl ManagedFields {
    /// Reads `metadata.managedFields`. Of two entries for the same owner the later one counts.
    ///
    /// # Errors
    ///
    /// If an entry cannot be read, or if there are too many.
    pub fn decode(entries: &Value) -> Result<Self> {
        let mut managed = Self::default();
        for (index, entry) in entries.as_array().into_iter().flatten().enumerate() {
            if index == MAX_ENTRIES {
                return Err(Error::ManagedFields { index, message: "there are too many entries" });
            }
            managed.put(Entry::decode(index, entry)?);
        }
        Ok(managed)
    }

    /// The list as `metadata.managedFields` holds it, in Kubernetes' order: appliers first, then oldest first.
    pub fn encode(&self) -> Value {
        let mut entries: Vec<_> = self.entries.iter().collect();
        entries.sort_by(|left, right| left.sort_key().cmp(&right.sort_key()));
        entries.into_iter().map(Entry::encode).collect()
    }

    /// The owners.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Whether nobody owns anything.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Adds an entry in place of the one its owner had, and returns that one.
    pub(crate) fn put(&mut self, entry: Entry) -> Option<Entry> {
        let previous = self.take(&entry);
        self.entries.push(entry);
        previous
    }

    /// Removes the entry of an owner.
    pub(crate) fn take(&mut self, owner: &Entry) -> Option<Entry> {
        let position = self.entries.iter().position(|entry| entry.same_owner(owner))?;
        Some(self.entries.remove(position))
    }

    /// Changes what everybody owns, and forgets those who are left with nothing.
    pub(crate) fn map_fields(&mut self, change: impl Fn(&Entry) -> FieldSet) {
        for entry in &mut self.entries {
            entry.fields = change(entry);
        }
        self.entries.retain(|entry| !entry.fields.is_empty());
    }

    pub(crate) fn retain(&mut self, keep: impl Fn(&Entry) -> bool) {
        self.entries.retain(keep);
    }
}
