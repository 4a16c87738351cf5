//! A drive that fails at a chosen sync, and of what was not synced keeps an arbitrary part when the power goes.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard},
};

use redb::StorageBackend;

/// What a drive writes at once; a longer write can be torn at its multiples.
const SECTOR: usize = 512;

#[derive(Debug)]
enum Unsynced {
    Write(usize, Vec<u8>),
    Length(usize),
}

/// The drive behind it.
#[derive(Debug, Default)]
pub(super) struct Drive {
    /// What the power cannot take.
    synced: Vec<u8>,
    /// What a program reads back.
    current: Vec<u8>,
    unsynced: Vec<Unsynced>,
    /// After so many more syncs it fails.
    pub(super) syncs_left: Option<usize>,
}

impl Unsynced {
    fn apply(&self, image: &mut Vec<u8>) {
        match self {
            Self::Length(length) => image.resize(*length, 0),
            Self::Write(offset, data) => {
                let end = offset + data.len();
                image.resize(image.len().max(end), 0);
                image[*offset..end].copy_from_slice(data);
            }
        }
    }

    /// The part of a write that reached the platter.
    fn torn(&self, random: &mut Random) -> Vec<Self> {
        match self {
            Self::Length(length) => vec![Self::Length(*length)],
            Self::Write(offset, data) => {
                let sectors = data.chunks(SECTOR).enumerate();
                let kept = sectors.filter(|_| random.next().is_multiple_of(2));
                kept.map(|(n, sector)| Self::Write(offset + n * SECTOR, sector.to_vec())).collect()
            }
        }
    }
}

impl Drive {
    /// What is found when the power is back.
    fn after_power_loss(&self, random: &mut Random) -> Self {
        let mut image = self.synced.clone();
        let survivors = self.unsynced.iter().flat_map(|unsynced| unsynced.torn(random));
        survivors.for_each(|survivor| survivor.apply(&mut image));
        Self { synced: image.clone(), current: image, ..Self::default() }
    }

    fn change(&mut self, change: Unsynced) {
        change.apply(&mut self.current);
        self.unsynced.push(change);
    }
}

/// What the engine is given in place of a file.
#[derive(Clone, Debug, Default)]
pub(super) struct Plug(Arc<Mutex<Drive>>);

impl Plug {
    pub(super) fn drive(&self) -> MutexGuard<'_, Drive> {
        self.0.lock().unwrap()
    }

    /// The same drive in another machine, with the power back.
    pub(super) fn after_power_loss(&self, seed: u64) -> Self {
        let image = self.drive().after_power_loss(&mut Random(seed));
        Self(Arc::new(Mutex::new(image)))
    }
}

impl StorageBackend for Plug {
    fn len(&self) -> io::Result<u64> {
        Ok(self.drive().current.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let offset = place(offset);
        out.copy_from_slice(&self.drive().current[offset..offset + out.len()]);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.drive().change(Unsynced::Length(place(len)));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut drive = self.drive();
        match &mut drive.syncs_left {
            Some(0) => return Err(io::Error::other("the disk is gone")),
            Some(left) => *left -= 1,
            None => {}
        }
        drive.synced = drive.current.clone();
        drive.unsynced.clear();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.drive().change(Unsynced::Write(place(offset), data.to_vec()));
        Ok(())
    }
}

/// Numbers that a seed repeats: xorshift.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

fn place(offset: u64) -> usize {
    usize::try_from(offset).unwrap()
}
