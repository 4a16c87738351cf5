//! The format: what was written is read again, and nothing else is.

use std::{io::Read as _, sync::Arc};

use bytes::Bytes;

use super::{Backup, BackupError, Checker, Contents, Moment, REVISION_GAP, check, format, revision_after};
use crate::{
    memory::Objects,
    model::{Key, Record, Revision},
};

const MADE: u64 = 1_700_000_000_123;

fn record(path: &str, value: &[u8], created: u64, modified: u64) -> Record {
    let value = Bytes::copy_from_slice(value);
    Record { key: Key::new(path), value, created: Revision(created), modified: Revision(modified) }
}

fn moment(records: &[Record], revision: u64) -> Moment {
    let objects: Objects = records.iter().map(|record| (record.key.clone(), Arc::new(record.clone()))).collect();
    Moment { objects, revision: Revision(revision) }
}

fn file(moment: Moment) -> Vec<u8> {
    Backup::new(moment, "store-a", MADE).flatten().collect()
}

fn read(file: &[u8]) -> Result<(Vec<Record>, Contents), BackupError> {
    let mut records = Vec::new();
    let contents = check(file, |record| {
        records.push(record.clone());
        Ok::<_, BackupError>(())
    })?;
    Ok((records, contents))
}

fn small() -> Vec<Record> {
    vec![record("/a/x", b"one", 3, 7), record("/a/y", b"", 4, 4), record("/b/\u{e9}", &[0, 255, 10], 5, 9)]
}

#[test]
fn what_is_read_is_what_was_written() {
    let (records, contents) = read(&file(moment(&small(), 11))).unwrap();
    assert_eq!(records, small());
    let (store, revision, oldest) = ("store-a".to_owned(), Revision(11), Revision(3));
    assert_eq!(contents, Contents { made: MADE, store, revision, objects: 3, bytes: 4 + 3 + 4 + 5 + 3, oldest });
    let (records, contents) = read(&file(moment(&[], 11))).unwrap();
    assert_eq!((records.len(), contents.objects, contents.oldest), (0, 0, Revision(11)));
}

#[test]
fn large_records_make_blocks_of_their_own_and_small_ones_share() {
    let value = |n: usize| vec![b'v'; if n.is_multiple_of(50) { 3 << 19 } else { 1_300 }];
    let records: Vec<Record> = (0..500).map(|n| record(&format!("/a/{n:04}"), &value(n), 1, n as u64 + 1)).collect();
    let blocks: Vec<Bytes> = Backup::new(moment(&records, 500), "store-a", MADE).collect();
    assert!(blocks.iter().all(|block| block.len() < format::PAYLOAD_BYTES), "memory is bounded by a block");
    assert!((10..80).contains(&blocks.len()), "{} blocks", blocks.len());
    assert_eq!(read(&blocks.concat()).unwrap().0, records);
}

#[test]
fn it_does_not_matter_in_which_pieces_it_arrives() {
    let file = file(moment(&small(), 11));
    for size in [1, 2, 7, 100, file.len()] {
        let mut checker = Checker::default();
        file.chunks(size).for_each(|piece| checker.feed(piece).unwrap());
        assert_eq!(checker.progress(), (3, 3));
        assert_eq!(checker.finish().unwrap().objects, 3, "pieces of {size}");
    }
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let file = file(moment(&small(), 11));
    for length in 0..file.len() {
        let cut = read(&file[..length]);
        assert!(matches!(cut, Err(BackupError::Cut { bytes }) if bytes == length as u64), "{length} bytes: {cut:?}");
    }
    assert!(read(&file).is_ok());
}

#[test]
fn a_file_with_one_changed_bit_is_refused() {
    let file = file(moment(&small(), 11));
    for at in 0..file.len() * 8 {
        let mut changed = file.clone();
        changed[at / 8] ^= 1 << (at % 8);
        assert!(read(&changed).is_err(), "bit {at}");
    }
}

#[test]
fn what_follows_the_end_is_refused() {
    let file = file(moment(&small(), 11));
    for tail in [&b"\0"[..], &file] {
        let refused = read(&[&file, tail].concat());
        assert!(matches!(refused, Err(BackupError::Damaged { .. })), "{refused:?}");
    }
}

#[test]
fn blocks_that_are_moved_or_left_out_are_refused() {
    let records: Vec<Record> = (0..1_000).map(|n| record(&format!("/a/{n:04}"), &[b'v'; 1_300], 1, n + 1)).collect();
    let blocks: Vec<Bytes> = Backup::new(moment(&records, 1_000), "store-a", MADE).collect();
    assert!(blocks.len() >= 6, "{} blocks", blocks.len());
    let (mut moved, mut missing, mut twice) = (blocks.clone(), blocks.clone(), blocks.clone());
    moved.swap(1, 2);
    missing.remove(2);
    twice.insert(2, blocks[1].clone());
    for wrong in [moved, missing, twice] {
        assert!(matches!(read(&wrong.concat()), Err(BackupError::Damaged { .. })));
    }
}

/// Whoever writes nonsense can make sound digests for it.
#[test]
fn sound_blocks_that_contradict_each_other_are_refused() {
    let contradictions =
        [vec![record("/a", b"v", 5, 4)], vec![record("/a", b"v", 4, 12)], vec![record("/a", b"v", 0, 1)]];
    for records in contradictions {
        let refused = read(&file(moment(&records, 11)));
        assert!(matches!(refused, Err(BackupError::Damaged { block: 2, .. })), "{records:?}: {refused:?}");
    }
}

#[test]
fn something_else_and_a_later_format_are_told_apart() {
    assert!(matches!(read(b"apiVersion: v1\nkind: List\n"), Err(BackupError::Foreign)));
    assert!(matches!(read(b""), Err(BackupError::Cut { bytes: 0 })));
    let mut later = file(moment(&small(), 11));
    later[11] = 2;
    assert!(matches!(read(&later), Err(BackupError::Format { found: 2 })));
    let failing = check(std::io::empty().chain(Broken), |_| Ok::<_, BackupError>(()));
    assert!(matches!(failing, Err(BackupError::Io(_))));
}

struct Broken;

impl std::io::Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        Err(std::io::Error::other("the disk is gone"))
    }
}

#[test]
fn a_restored_store_begins_behind_everything_that_was_told() {
    let contents = |revision, oldest| Contents {
        made: MADE,
        store: "store-a".to_owned(),
        revision: Revision(revision),
        objects: 1,
        bytes: 1,
        oldest: Revision(oldest),
    };
    let now = 1_700_000_000_000;
    let first = revision_after(&contents(5_000, 3), now);
    assert_eq!(first.0, 1_700_000_000_000_000, "the time, in microseconds");
    let again = revision_after(&contents(5_000, 3), now + 1_000);
    assert!(again > first, "one backup, restored twice");
    // A clock that was set back, and records of very different age.
    for (revision, oldest) in [(first.0 + 9, first.0 - 5_000), (8_000, 1)] {
        let newest = revision_after(&contents(revision, oldest), 0).0;
        let least = newest - (revision - oldest);
        assert!(least >= revision + REVISION_GAP, "{revision} {oldest}");
    }
}
