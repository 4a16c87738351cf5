//! How a backup looks as bytes. All integers are big-endian.
//!
//! ```text
//! file:    magic [8] │ format u32 │ header │ records … │ end
//! block:   kind u8 │ length u32 │ payload │ digest [32]
//! header:  made u64 │ revision u64 │ objects u64 │ store's identity
//! records: (key length u16 │ value length u32 │ created u64 │ modified u64 │ key │ value) …
//! end:     objects u64 │ bytes of keys and values u64
//! ```
//!
//! A block's digest is the SHA-256 of the digest before it, its kind, length and payload; the first stands on magic and format. So
//! each digest vouches for all that came before it, and the last one for the whole. Changing any of this means raising [`FORMAT`].

use std::io;

use bytes::Bytes;
use ring::digest::{Context, SHA256};

use crate::model::{Key, Record, Revision};

/// No text begins like this, and a transfer that changes ends of lines is noticed.
pub(super) const MAGIC: &[u8; 8] = b"\x8eesbk\r\n\x1a";
pub(super) const FORMAT: u32 = 1;
pub(super) const START_LEN: usize = MAGIC.len() + 4;
/// Kind and length of a block.
pub(super) const HEAD_LEN: usize = 5;
pub(super) const DIGEST_LEN: usize = 32;
/// A block of records takes no more once it holds so many bytes.
pub(super) const BLOCK_BYTES: usize = 256 << 10;
/// No payload is longer: a block that is nearly full, and one record of the greatest size.
pub(super) const PAYLOAD_BYTES: usize = 2 << 20;
const RECORD_HEAD: usize = 22;

/// Why a backup cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// It is something else.
    #[error("this is no backup of a store")]
    Foreign,
    /// A later version made it.
    #[error("the backup is in format {found}, this version reads {FORMAT}")]
    Format {
        /// Its format.
        found: u32,
    },
    /// It ends too early: whatever made it was interrupted.
    #[error("the backup was cut short after {bytes} bytes: make another")]
    Cut {
        /// How much of it is there.
        bytes: u64,
    },
    /// Its bytes are not those that were written.
    #[error("the backup is damaged in its block {block}: {what}")]
    Damaged {
        /// Counted from 1, which is the header.
        block: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// Its bytes could not be read.
    #[error("cannot read the backup")]
    Io(#[from] io::Error),
}

/// What a backup holds, and of what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// When it was made, in milliseconds since 1970.
    pub made: u64,
    /// The identity of the store.
    pub store: String,
    /// Which revision of the store it shows.
    pub revision: Revision,
    /// How many records it has.
    pub objects: u64,
    /// How many bytes keys and values take.
    pub bytes: u64,
    /// The least revision in any record; the revision of the store if there is none.
    pub oldest: Revision,
}

/// What stands before the records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) made: u64,
    pub(super) revision: Revision,
    pub(super) objects: u64,
    pub(super) store: String,
}

/// What a block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Header,
    Records,
    End,
}

impl Kind {
    pub(super) fn number(self) -> u8 {
        match self {
            Self::Header => 1,
            Self::Records => 2,
            Self::End => 3,
        }
    }

    pub(super) fn of(number: u8) -> Option<Self> {
        [Self::Header, Self::Records, Self::End].into_iter().find(|kind| kind.number() == number)
    }
}

/// The digest of everything so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chain([u8; DIGEST_LEN]);

impl Chain {
    /// On magic and format.
    pub(super) fn start(start: &[u8]) -> Self {
        Self(digest(&[start]))
    }

    /// With one block more; `head` is its kind and length.
    pub(super) fn add(self, head: &[u8], payload: &[u8]) -> Self {
        Self(digest(&[&self.0, head, payload]))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

fn digest(parts: &[&[u8]]) -> [u8; DIGEST_LEN] {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part);
    }
    let mut bytes = [0; DIGEST_LEN];
    bytes.copy_from_slice(context.finish().as_ref());
    bytes
}

pub(super) fn start() -> Vec<u8> {
    [MAGIC.as_slice(), &FORMAT.to_be_bytes()].concat()
}

pub(super) fn encode_header(header: &Header) -> Vec<u8> {
    let Header { made, revision, objects, store } = header;
    let numbers = [*made, revision.0, *objects].map(u64::to_be_bytes).concat();
    [numbers.as_slice(), store.as_bytes()].concat()
}

pub(super) fn decode_header(payload: &[u8]) -> Option<Header> {
    let (made, rest) = take_u64(payload)?;
    let (revision, rest) = take_u64(rest)?;
    let (objects, store) = take_u64(rest)?;
    Some(Header { made, revision: Revision(revision), objects, store: String::from_utf8(store.to_vec()).ok()? })
}

pub(super) fn encode_record(payload: &mut Vec<u8>, record: &Record) {
    let Record { key, value, created, modified } = record;
    let key = key.as_str().as_bytes();
    // Both are far below: `limits` saw them.
    payload.extend_from_slice(&u16::try_from(key.len()).unwrap_or(u16::MAX).to_be_bytes());
    payload.extend_from_slice(&u32::try_from(value.len()).unwrap_or(u32::MAX).to_be_bytes());
    payload.extend_from_slice(&created.0.to_be_bytes());
    payload.extend_from_slice(&modified.0.to_be_bytes());
    payload.extend_from_slice(key);
    payload.extend_from_slice(value);
}

/// The first record and what follows it. Its value is a part of the payload's buffer.
pub(super) fn decode_record(payload: &Bytes) -> Option<(Record, Bytes)> {
    let (key_len, rest) = payload.split_first_chunk()?;
    let (value_len, rest) = rest.split_first_chunk()?;
    let (created, rest) = take_u64(rest)?;
    let (modified, rest) = take_u64(rest)?;
    let key_len = usize::from(u16::from_be_bytes(*key_len));
    let value_len = usize::try_from(u32::from_be_bytes(*value_len)).ok()?;
    let (key, rest) = rest.split_at_checked(key_len)?;
    rest.split_at_checked(value_len)?;
    let key = Key::new(std::str::from_utf8(key).ok()?);
    let value_at = RECORD_HEAD + key_len;
    let value = payload.slice(value_at..value_at + value_len);
    let record = Record { key, value, created: Revision(created), modified: Revision(modified) };
    Some((record, payload.slice(value_at + value_len..)))
}

pub(super) fn encode_end(objects: u64, bytes: u64) -> Vec<u8> {
    [objects, bytes].map(u64::to_be_bytes).concat()
}

pub(super) fn decode_end(payload: &[u8]) -> Option<(u64, u64)> {
    let (objects, rest) = take_u64(payload)?;
    let (bytes, rest) = take_u64(rest)?;
    rest.is_empty().then_some((objects, bytes))
}

fn take_u64(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u64::from_be_bytes(*number), rest))
}
