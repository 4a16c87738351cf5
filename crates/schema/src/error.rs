//! What is wrong with one field, in the words of Kubernetes.

use std::fmt;

use serde_json::Value;

/// Why a field was refused. [`Reason::as_str`] is the `reason` of a cause in a `Status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The value breaks a rule.
    Invalid,
    /// The field must be there.
    Required,
    /// The value is none of the allowed ones.
    NotSupported,
    /// The value stands in a list that admits it once.
    Duplicate,
    /// The value is of another type.
    TypeInvalid,
    /// The text is longer than allowed.
    TooLong,
    /// The list or map has more entries than allowed.
    TooMany,
    /// The field may not be set here.
    Forbidden,
    /// The value refers to something that is not there.
    NotFound,
    /// The check itself failed.
    InternalError,
}

impl Reason {
    /// The word that stands in `details.causes[].reason`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "FieldValueInvalid",
            Self::Required => "FieldValueRequired",
            Self::NotSupported => "FieldValueNotSupported",
            Self::Duplicate => "FieldValueDuplicate",
            Self::TypeInvalid => "FieldValueTypeInvalid",
            Self::TooLong => "FieldValueTooLong",
            Self::TooMany => "FieldValueTooMany",
            Self::Forbidden => "FieldValueForbidden",
            Self::NotFound => "FieldValueNotFound",
            Self::InternalError => "InternalError",
        }
    }

    /// The words that open the message.
    fn title(self) -> &'static str {
        match self {
            Self::Invalid | Self::TypeInvalid => "Invalid value",
            Self::Required => "Required value",
            Self::NotSupported => "Unsupported value",
            Self::Duplicate => "Duplicate value",
            Self::TooLong => "Too long",
            Self::TooMany => "Too many",
            Self::Forbidden => "Forbidden",
            Self::NotFound => "Not found",
            Self::InternalError => "Internal error",
        }
    }

    fn shows_value(self) -> bool {
        matches!(
            self,
            Self::Invalid | Self::TypeInvalid | Self::NotSupported | Self::Duplicate | Self::TooMany | Self::NotFound
        )
    }
}

/// One refused field. `Display` gives `path: message`, as in the message of a `Status`.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldError {
    /// Why.
    pub reason: Reason,
    /// Where, as `spec.containers[0].name`; empty for the object as a whole.
    pub path: String,
    /// What stood there.
    pub bad_value: Option<Value>,
    /// The rule, in words.
    pub detail: String,
}

/// A fault of a schema itself; paths such as `properties[spec].type` count from the schema's root.
pub type Violation = FieldError;

impl FieldError {
    /// A value that breaks a rule.
    pub fn invalid(path: impl Into<String>, value: &Value, detail: impl Into<String>) -> Self {
        Self { reason: Reason::Invalid, path: path.into(), bad_value: Some(value.clone()), detail: detail.into() }
    }

    /// A field that must be there.
    pub fn required(path: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { reason: Reason::Required, path: path.into(), bad_value: None, detail: detail.into() }
    }

    /// A field that may not be set here.
    pub fn forbidden(path: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { reason: Reason::Forbidden, path: path.into(), bad_value: None, detail: detail.into() }
    }

    /// A value that may stand only once.
    pub fn duplicate(path: impl Into<String>, value: &Value) -> Self {
        Self { reason: Reason::Duplicate, path: path.into(), bad_value: Some(value.clone()), detail: String::new() }
    }

    /// A value outside the allowed ones, which are listed as JSON texts.
    pub fn not_supported(path: impl Into<String>, value: &Value, supported: &[Value]) -> Self {
        let supported: Vec<String> = supported.iter().map(quoted).collect();
        let detail = format!("supported values: {}", supported.join(", "));
        Self { reason: Reason::NotSupported, path: path.into(), bad_value: Some(value.clone()), detail }
    }

    /// The message without the path: the `message` of a cause, whose `field` is the path.
    pub fn message(&self) -> String {
        let title = self.reason.title();
        let value = self.bad_value.as_ref().filter(|_| self.reason.shows_value());
        match (value, self.detail.as_str()) {
            (None, "") => title.to_owned(),
            (None, detail) => format!("{title}: {detail}"),
            (Some(value), "") => format!("{title}: {}", shown(value)),
            (Some(value), detail) => format!("{title}: {}: {detail}", shown(value)),
        }
    }

    /// The same error, seen from a place further up.
    #[must_use]
    pub fn under(mut self, prefix: &str) -> Self {
        self.path = match (prefix, self.path.as_str()) {
            (prefix, "") => prefix.to_owned(),
            ("", path) => path.to_owned(),
            (prefix, path) if path.starts_with('[') => format!("{prefix}{path}"),
            (prefix, path) => format!("{prefix}.{path}"),
        };
        self
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.path.is_empty() { "<nil>" } else { &self.path };
        write!(f, "{path}: {}", self.message())
    }
}

/// JSON texts are what users wrote, so values are shown as JSON.
fn shown(value: &Value) -> String {
    value.to_string()
}

fn quoted(value: &Value) -> String {
    match value {
        Value::String(_) => value.to_string(),
        other => Value::String(other.to_string()).to_string(),
    }
}
