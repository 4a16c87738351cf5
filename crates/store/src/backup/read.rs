//! Takes a backup apart, and believes nothing of it that its digests do not vouch for.

use std::io::{ErrorKind, Read};

use bytes::{Buf as _, Bytes, BytesMut};

use super::format::{
    self, BackupError, Chain, Contents, DIGEST_LEN, FORMAT, HEAD_LEN, Header, Kind, MAGIC, PAYLOAD_BYTES, START_LEN,
};
use crate::model::{Key, Record, Revision};

/// So much is read at a time.
const CHUNK: usize = 256 << 10;

/// Where in the file the next bytes belong.
#[derive(Debug)]
enum Stage {
    Start,
    Blocks(Chain),
    Ended,
}

/// What was told so far.
#[derive(Debug)]
struct Told {
    header: Header,
    objects: u64,
    bytes: u64,
    oldest: Revision,
    last: Option<Key>,
}

/// What a block said.
#[derive(Debug)]
enum Part {
    Header,
    Records(Vec<Record>),
    End,
}

/// Verifies a backup while it arrives; keeps at most one block of it.
#[derive(Debug)]
pub struct Checker {
    waiting: BytesMut,
    stage: Stage,
    told: Option<Told>,
    blocks: u64,
    taken: u64,
}

impl Default for Checker {
    fn default() -> Self {
        Self { waiting: BytesMut::new(), stage: Stage::Start, told: None, blocks: 0, taken: 0 }
    }
}

impl Checker {
    /// Takes the next bytes.
    ///
    /// Errors: everything but [`BackupError::Cut`], as soon as it shows.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), BackupError> {
        self.take_in(bytes);
        while self.part()?.is_some() {}
        Ok(())
    }

    /// How many records were vouched for so far, and of how many.
    pub fn progress(&self) -> (u64, u64) {
        self.told.as_ref().map_or((0, 0), |told| (told.objects, told.header.objects))
    }

    /// What it was, once everything was taken.
    ///
    /// Errors: [`BackupError::Cut`] if that was not all of it.
    pub fn finish(self) -> Result<Contents, BackupError> {
        let Self { stage: Stage::Ended, told: Some(told), .. } = self else {
            return Err(BackupError::Cut { bytes: self.taken });
        };
        let Told { header: Header { made, revision, objects: _, store }, objects, bytes, oldest, last: _ } = told;
        Ok(Contents { made, store, revision, objects, bytes, oldest })
    }

    fn take_in(&mut self, bytes: &[u8]) {
        self.taken += bytes.len() as u64;
        self.waiting.extend_from_slice(bytes);
    }

    /// The next part, if all of it is here.
    fn part(&mut self) -> Result<Option<Part>, BackupError> {
        match self.stage {
            Stage::Start => self.start(),
            Stage::Blocks(chain) => self.block(chain),
            Stage::Ended if self.waiting.is_empty() => Ok(None),
            Stage::Ended => Err(self.damaged("something follows its end")),
        }
    }

    fn start(&mut self) -> Result<Option<Part>, BackupError> {
        let known = self.waiting.len().min(MAGIC.len());
        if self.waiting[..known] != MAGIC[..known] {
            return Err(BackupError::Foreign);
        }
        let Some(start) = self.waiting.first_chunk::<START_LEN>() else { return Ok(None) };
        let found = start.last_chunk().map_or(0, |format| u32::from_be_bytes(*format));
        if found != FORMAT {
            return Err(BackupError::Format { found });
        }
        let chain = Chain::start(start);
        self.waiting.advance(START_LEN);
        self.block(chain)
    }

    fn block(&mut self, chain: Chain) -> Result<Option<Part>, BackupError> {
        self.stage = Stage::Blocks(chain);
        let Some(head) = self.waiting.first_chunk::<HEAD_LEN>().copied() else { return Ok(None) };
        let [kind, length @ ..] = head;
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        let (Some(kind), ..=PAYLOAD_BYTES) = (Kind::of(kind), length) else {
            return Err(self.damaged("it is not one that was written"));
        };
        if self.waiting.len() < HEAD_LEN + length + DIGEST_LEN {
            return Ok(None);
        }
        self.waiting.advance(HEAD_LEN);
        let payload = self.waiting.split_to(length).freeze();
        let found = self.waiting.split_to(DIGEST_LEN);
        let chain = chain.add(&head, &payload);
        if found != chain.bytes() {
            return Err(self.damaged("its digest is another"));
        }
        self.blocks += 1;
        self.stage = Stage::Blocks(chain);
        self.read(kind, &payload).map(Some)
    }

    /// What a block says that its digest vouches for; it may still be nonsense, if nonsense was written.
    fn read(&mut self, kind: Kind, payload: &Bytes) -> Result<Part, BackupError> {
        let told = match (kind, &mut self.told) {
            (Kind::Header, told @ None) => format::decode_header(payload).map(|header| {
                let oldest = header.revision;
                *told = Some(Told { header, objects: 0, bytes: 0, oldest, last: None });
                Part::Header
            }),
            (Kind::Records, Some(told)) => told.records(payload).map(Part::Records),
            (Kind::End, Some(told)) => {
                let whole = format::decode_end(payload) == Some((told.objects, told.bytes));
                (whole && told.objects == told.header.objects).then_some(Part::End)
            }
            _ => None,
        };
        if matches!(told, Some(Part::End)) {
            self.stage = Stage::Ended;
        }
        // The block was counted already.
        told.ok_or(BackupError::Damaged { block: self.blocks, what: "it contradicts what came before" })
    }

    fn damaged(&self, what: &'static str) -> BackupError {
        BackupError::Damaged { block: self.blocks + 1, what }
    }
}

impl Told {
    /// `None` unless they are what a store can hold, in the order of their keys.
    fn records(&mut self, payload: &Bytes) -> Option<Vec<Record>> {
        let (mut rest, mut records) = (payload.clone(), Vec::new());
        while !rest.is_empty() {
            let (record, behind) = format::decode_record(&rest)?;
            let revisions = [Revision(1), record.created, record.modified, self.header.revision];
            if !revisions.is_sorted() || self.last.as_ref().is_some_and(|last| *last >= record.key) {
                return None;
            }
            self.objects += 1;
            self.bytes += (record.key.as_str().len() + record.value.len()) as u64;
            self.oldest = self.oldest.min(record.created);
            self.last = Some(record.key.clone());
            records.push(record);
            rest = behind;
        }
        Some(records)
    }
}

/// A backup that is read from a file.
#[derive(Debug)]
pub struct Reader<R> {
    source: R,
    checker: Checker,
    chunk: Vec<u8>,
}

impl<R: Read> Reader<R> {
    /// Reads nothing yet.
    pub fn new(source: R) -> Self {
        Self { source, checker: Checker::default(), chunk: vec![0; CHUNK] }
    }

    /// The next records; nothing at the end, which was then verified. After an error nothing of it may be used.
    pub(crate) fn records(&mut self) -> Result<Option<Vec<Record>>, BackupError> {
        loop {
            match self.checker.part()? {
                Some(Part::Records(records)) => return Ok(Some(records)),
                Some(Part::Header | Part::End) => continue,
                None => {}
            }
            match self.source.read(&mut self.chunk) {
                Ok(0) if matches!(self.checker.stage, Stage::Ended) => return Ok(None),
                Ok(0) => return Err(BackupError::Cut { bytes: self.checker.taken }),
                Ok(count) => self.checker.take_in(&self.chunk[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Makes sure, once the last records were taken, that they are those of a backup that was verified before.
    pub(crate) fn finish(self, verified: &Contents) -> Result<(), BackupError> {
        let Checker { blocks: block, .. } = self.checker;
        match self.checker.finish()? {
            contents if contents == *verified => Ok(()),
            _ => Err(BackupError::Damaged { block, what: "it is not the backup that was verified a moment ago" }),
        }
    }
}

/// Verifies a whole backup, and shows each record to `look`.
///
/// Errors: the first of the backup, or of `look`.
pub fn check<E: From<BackupError>>(
    source: impl Read,
    mut look: impl FnMut(&Record) -> Result<(), E>,
) -> Result<Contents, E> {
    let mut reader = Reader::new(source);
    while let Some(records) = reader.records()? {
        records.iter().try_for_each(&mut look)?;
    }
    Ok(reader.checker.finish()?)
}
