//! A moment as a stream of bytes, made block by block while somebody takes them.

use std::ops::Bound;

use bytes::Bytes;

use super::{
    Moment,
    format::{self, BLOCK_BYTES, Chain, Header, Kind},
};
use crate::model::Key;

/// What comes next.
#[derive(Debug)]
enum Stage {
    Header,
    /// The records behind this key.
    Records(Option<Key>),
    Done,
}

/// The bytes of a backup, in blocks of about 256 KiB.
///
/// Holds one block at a time: how fast it is taken costs no memory but what the [`Moment`] keeps.
#[derive(Debug)]
pub struct Backup {
    moment: Moment,
    made: u64,
    store: String,
    stage: Stage,
    chain: Chain,
    objects: u64,
    bytes: u64,
}

impl Backup {
    /// A backup of a moment of the store with this identity; `made` is the time now, in milliseconds since 1970.
    pub fn new(moment: Moment, store: impl Into<String>, made: u64) -> Self {
        let chain = Chain::start(&format::start());
        Self { moment, made, store: store.into(), stage: Stage::Header, chain, objects: 0, bytes: 0 }
    }

    fn header(&mut self) -> Bytes {
        let (revision, objects) = (self.moment.revision(), self.moment.objects());
        let header = Header { made: self.made, revision, objects, store: self.store.clone() };
        let block = self.block(Kind::Header, &format::encode_header(&header));
        [format::start(), block].concat().into()
    }

    /// The records behind a key, and the last of them; nothing if there are none.
    fn records(&mut self, after: Option<&Key>) -> Option<(Bytes, Key)> {
        let start = after.map_or(Bound::Unbounded, |key| Bound::Excluded(key.as_str()));
        let mut payload = Vec::with_capacity(BLOCK_BYTES);
        let mut last = None;
        let objects = self.moment.objects.clone();
        for (key, record) in objects.range::<_, str>((start, Bound::Unbounded)) {
            format::encode_record(&mut payload, record);
            self.objects += 1;
            self.bytes += (key.as_str().len() + record.value.len()) as u64;
            last = Some(key.clone());
            if payload.len() >= BLOCK_BYTES {
                break;
            }
        }
        let last = last?;
        Some((self.block(Kind::Records, &payload).into(), last))
    }

    fn block(&mut self, kind: Kind, payload: &[u8]) -> Vec<u8> {
        // A payload is bounded by a block and one record.
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        let head = [&[kind.number()], length.to_be_bytes().as_slice()].concat();
        self.chain = self.chain.add(&head, payload);
        [head.as_slice(), payload, self.chain.bytes()].concat()
    }
}

impl Iterator for Backup {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        match std::mem::replace(&mut self.stage, Stage::Done) {
            Stage::Header => {
                self.stage = Stage::Records(None);
                Some(self.header())
            }
            Stage::Records(after) => {
                if let Some((block, last)) = self.records(after.as_ref()) {
                    self.stage = Stage::Records(Some(last));
                    return Some(block);
                }
                Some(self.block(Kind::End, &format::encode_end(self.objects, self.bytes)).into())
            }
            Stage::Done => None,
        }
    }
}
