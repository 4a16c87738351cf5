//! Objects on their way out.
//!
//! What is stored is what clients see, save for the revision, as long as the schema has not changed since. Then a read
//! neither parses JSON nor writes it: it copies the stored text and puts the revision in.

use std::sync::Arc;

use bytes::Bytes;
use essaim_store::Revision;
use serde_json::Value;

use super::object::set_meta;
use crate::{ApiError, catalogue::Resource};

/// An object as a resource serves it.
#[derive(Clone, Debug)]
pub(crate) enum Presented {
    /// The stored text, and what has to be put into it.
    Stored(Stored),
    /// An object that is not stored in this form.
    Value(Arc<Value>),
}

/// Stored text that clients may see.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    text: Bytes,
    /// Where the revision goes: behind the brace that opens `metadata`.
    split: usize,
    /// What the object shows as its revision.
    shown: Revision,
}

impl Presented {
    /// The stored text, if that is what the resource serves: it starts as the resource's objects do (kind, version), and
    /// was written under the present schema, so that nothing has to be filled in or left out.
    ///
    /// `written` is the revision of that text, `shown` the one that clients are to see.
    pub(super) fn as_stored(text: &Bytes, written: Revision, shown: Revision, resource: &Resource) -> Option<Self> {
        let schema_since = resource.definition.as_ref().map(|definition| definition.revision);
        let current = schema_since.is_none_or(|since| written > since);
        let split = resource.stored_head.len();
        let served = current && text.starts_with(resource.stored_head.as_bytes());
        served.then(|| Self::Stored(Stored { text: text.clone(), split, shown }))
    }

    /// The JSON text, behind what `out` holds already.
    pub(crate) fn write_to(&self, out: &mut Vec<u8>) {
        match self {
            Self::Stored(stored) => stored.write_to(out),
            Self::Value(value) => out.extend_from_slice(value.to_string().as_bytes()),
        }
    }

    /// About how long the text is, in bytes.
    pub(crate) fn size_hint(&self) -> usize {
        match self {
            Self::Stored(stored) => stored.text.len() + REVISION_BYTES,
            Self::Value(_) => 1024,
        }
    }

    /// The object, to change it.
    pub(crate) fn into_value(self) -> Result<Value, ApiError> {
        match self {
            Self::Stored(stored) => stored.value(),
            Self::Value(value) => Ok(Arc::unwrap_or_clone(value)),
        }
    }

    /// The object, to look into it.
    pub(crate) fn value(&self) -> Result<Arc<Value>, ApiError> {
        match self {
            Self::Stored(stored) => stored.value().map(Arc::new),
            Self::Value(value) => Ok(value.clone()),
        }
    }
}

impl From<Value> for Presented {
    fn from(value: Value) -> Self {
        Self::Value(Arc::new(value))
    }
}

/// `"resourceVersion":"…",` with the largest number.
const REVISION_BYTES: usize = 42;

impl Stored {
    fn write_to(&self, out: &mut Vec<u8>) {
        let (head, tail) = self.text.split_at(self.split);
        out.reserve(self.text.len() + REVISION_BYTES);
        out.extend_from_slice(head);
        out.extend_from_slice(br#""resourceVersion":""#);
        out.extend_from_slice(self.shown.0.to_string().as_bytes());
        // Something follows: no object is without a name.
        out.extend_from_slice(br#"","#);
        out.extend_from_slice(tail);
    }

    #[cfg(test)]
    pub(super) fn text(&self) -> &Bytes {
        &self.text
    }

    fn value(&self) -> Result<Value, ApiError> {
        let mut value: Value = serde_json::from_slice(&self.text).map_err(ApiError::internal)?;
        set_meta(&mut value, "resourceVersion", self.shown.0.to_string());
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use essaim_store::Revision;
    use serde_json::Value;

    use super::Presented;
    use crate::catalogue::Catalogue;

    const TEXT: &str =
        r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"m"},"data":{"metadata":"{\"name\""}}"#;

    fn presented(text: &'static str) -> Option<Presented> {
        let maps = Catalogue::new().find("", "v1", "configmaps")?;
        Presented::as_stored(&Bytes::from_static(text.as_bytes()), Revision(7), Revision(9), &maps)
    }

    #[test]
    fn the_text_and_the_value_are_the_same_object() {
        let presented = presented(TEXT).unwrap();
        let mut text = b"before ".to_vec();
        presented.write_to(&mut text);
        let read: Value = serde_json::from_slice(&text["before ".len()..]).unwrap();
        assert_eq!(read, *presented.value().unwrap());
        assert_eq!(read["metadata"], serde_json::json!({"name": "m", "resourceVersion": "9"}));
        assert!(text.len() - "before ".len() <= presented.size_hint());
    }

    #[test]
    fn another_kind_version_or_order_is_not_served_as_stored() {
        for other in [
            r#"{"apiVersion":"v2","kind":"ConfigMap","metadata":{"name":"m"}}"#,
            r#"{"apiVersion":"v1","kind":"Secret","metadata":{"name":"m"}}"#,
            r#"{"apiVersion":"v1","data":{},"kind":"ConfigMap","metadata":{"name":"m"}}"#,
        ] {
            assert!(presented(other).is_none(), "{other}");
        }
    }
}
