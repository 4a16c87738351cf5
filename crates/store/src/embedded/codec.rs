//! How records and changes look as rows of the file. All integers are big-endian.
//!
//! ```text
//! object: created u64 │ modified u64 │ value
//! event:  at u64 │ kind u8 │ key length u32 │ value length u32 │ key │ value │ [created u64 │ modified u64 │ previous value]
//! ```
//!
//! The bracket is there unless the kind is "created". Changing any of this means raising `disk::FORMAT`.

use crate::model::{Change, ChangeKind, Key, Record, Revision};

/// What an object's row says.
pub(super) struct ObjectRow<'a> {
    pub(super) created: Revision,
    pub(super) modified: Revision,
    pub(super) value: &'a [u8],
}

/// What an event's row says.
pub(super) struct EventRow<'a> {
    pub(super) at: u64,
    pub(super) kind: ChangeKind,
    pub(super) key: &'a str,
    pub(super) value: &'a [u8],
    pub(super) previous: Option<ObjectRow<'a>>,
}

pub(super) fn encode_object(created: Revision, modified: Revision, value: &[u8]) -> Vec<u8> {
    let mut row = Vec::with_capacity(16 + value.len());
    put_object(&mut row, created, modified, value);
    row
}

pub(super) fn encode_event(at: u64, change: &Change) -> Vec<u8> {
    let Change { revision: _, kind, key, value, previous } = change;
    let key = Key::as_str(key).as_bytes();
    let previous_len = previous.as_ref().map_or(0, |record| 16 + record.value.len());
    let mut row = Vec::with_capacity(17 + key.len() + value.len() + previous_len);
    row.extend_from_slice(&at.to_be_bytes());
    row.push(encode_kind(*kind));
    row.extend_from_slice(&encode_len(key).to_be_bytes());
    row.extend_from_slice(&encode_len(value).to_be_bytes());
    row.extend_from_slice(key);
    row.extend_from_slice(value);
    if let Some(Record { key: _, value, created, modified }) = previous {
        put_object(&mut row, *created, *modified, value);
    }
    row
}

pub(super) fn decode_object(row: &[u8]) -> Option<ObjectRow<'_>> {
    let (created, rest) = take_u64(row)?;
    let (modified, value) = take_u64(rest)?;
    Some(ObjectRow { created: Revision(created), modified: Revision(modified), value })
}

pub(super) fn decode_event(row: &[u8]) -> Option<EventRow<'_>> {
    let (at, rest) = take_u64(row)?;
    let (kind, rest) = rest.split_first()?;
    let kind = decode_kind(*kind)?;
    let (key_len, rest) = take_len(rest)?;
    let (value_len, rest) = take_len(rest)?;
    let (key, rest) = rest.split_at_checked(key_len)?;
    let (value, rest) = rest.split_at_checked(value_len)?;
    let previous = match kind {
        ChangeKind::Created if rest.is_empty() => None,
        ChangeKind::Created => return None,
        ChangeKind::Updated | ChangeKind::Deleted => Some(decode_object(rest)?),
    };
    Some(EventRow { at, kind, key: std::str::from_utf8(key).ok()?, value, previous })
}

fn put_object(row: &mut Vec<u8>, created: Revision, modified: Revision, value: &[u8]) {
    row.extend_from_slice(&created.0.to_be_bytes());
    row.extend_from_slice(&modified.0.to_be_bytes());
    row.extend_from_slice(value);
}

/// Keys and values are far below 4 GiB: `limits` saw them.
fn encode_len(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

fn encode_kind(kind: ChangeKind) -> u8 {
    match kind {
        ChangeKind::Created => 0,
        ChangeKind::Updated => 1,
        ChangeKind::Deleted => 2,
    }
}

fn decode_kind(kind: u8) -> Option<ChangeKind> {
    Some(match kind {
        0 => ChangeKind::Created,
        1 => ChangeKind::Updated,
        2 => ChangeKind::Deleted,
        _ => return None,
    })
}

fn take_u64(row: &[u8]) -> Option<(u64, &[u8])> {
    let (number, rest) = row.split_first_chunk()?;
    Some((u64::from_be_bytes(*number), rest))
}

fn take_len(row: &[u8]) -> Option<(usize, &[u8])> {
    let (number, rest) = row.split_first_chunk()?;
    Some((usize::try_from(u32::from_be_bytes(*number)).ok()?, rest))
}
