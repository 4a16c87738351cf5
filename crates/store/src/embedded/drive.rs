//! A drive in memory that fails as drives do: a sync that is refused, power that goes in the middle of a write.
//!
//! For tests only. Clones are the same drive; [`FaultyDrive::after_power_loss`] and [`FaultyDrive::after_cut`] give what is found in it when
//! the power is back, in another machine so to speak.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard},
};

use redb::StorageBackend;

use crate::memory::Held as _;

/// What a drive writes at once; a longer write can be torn at its multiples.
const SECTOR: usize = 512;

/// What the engine is given in place of a file.
#[derive(Clone, Debug, Default)]
pub struct FaultyDrive(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// What the power cannot take.
    synced: Vec<u8>,
    /// What a program reads back.
    current: Vec<u8>,
    unsynced: Vec<Unsynced>,
    /// After so many more syncs it fails.
    syncs_left: Option<usize>,
    /// After so many more bytes the power goes.
    bytes_left: Option<usize>,
    is_cut: bool,
    /// So many of the bytes that were not written any more are there already.
    spared: usize,
    /// What was there when recording began, and everything that was written since.
    #[cfg(test)]
    tape: Option<(Vec<u8>, Vec<Unsynced>)>,
}

#[derive(Clone, Debug)]
enum Unsynced {
    Write(usize, Vec<u8>),
    Length(usize),
}

impl FaultyDrive {
    /// From now on so many syncs succeed, and those after them fail; `None` ends that.
    pub fn fail_after_syncs(&self, syncs: Option<usize>) {
        self.state().syncs_left = syncs;
    }

    /// The power goes once so many more bytes were written, in the middle of a write if need be; `None` is power without end. Nothing
    /// works once it has gone.
    pub fn cut_after_bytes(&self, bytes: Option<usize>) {
        self.state().bytes_left = bytes;
    }

    /// Whether the power has gone.
    pub fn is_cut(&self) -> bool {
        self.state().is_cut
    }

    /// Had the power gone up to so many bytes later, the same would be found.
    pub fn spared(&self) -> usize {
        self.state().spared
    }

    /// What is found when the power is back, had it gone now: what was synced, and of the rest any sectors at all.
    #[must_use]
    pub fn after_power_loss(&self, seed: u64) -> Self {
        let state = self.state();
        let (mut image, mut random) = (state.synced.clone(), Random(seed));
        let survivors = state.unsynced.iter().flat_map(|unsynced| unsynced.torn(&mut random));
        survivors.for_each(|survivor| survivor.apply(&mut image));
        Self::holding(image)
    }

    /// What is found when the power is back on a drive that writes in order: everything up to the byte at which it went.
    #[must_use]
    pub fn after_cut(&self) -> Self {
        Self::holding(self.state().current.clone())
    }

    /// From now on remembers what is written.
    #[cfg(test)]
    pub(super) fn record(&self) {
        let mut state = self.state();
        state.tape = Some((state.current.clone(), Vec::new()));
    }

    /// The drives that would be found had the power gone at each byte since then, every `step`th of them. A byte that was there already
    /// makes no other drive.
    #[cfg(test)]
    pub(super) fn at_each_byte(&self, step: usize, mut look: impl FnMut(usize, &Self)) {
        let (mut image, changes) = self.state().tape.take().unwrap();
        let mut written = 0_usize;
        for change in changes {
            let Unsynced::Write(offset, data) = change else {
                change.apply(&mut image);
                continue;
            };
            image.resize(image.len().max(offset + data.len()), 0);
            for (n, byte) in data.into_iter().enumerate() {
                written += 1;
                let there = &mut image[offset + n];
                if std::mem::replace(there, byte) != byte && written.is_multiple_of(step) {
                    look(written, &Self::holding(image.clone()));
                }
            }
        }
    }

    fn holding(image: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(State { synced: image.clone(), current: image, ..State::default() })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().held()
    }
}

impl State {
    fn powered(&self) -> io::Result<()> {
        if self.is_cut { Err(io::Error::other("the power is gone")) } else { Ok(()) }
    }

    fn change(&mut self, change: Unsynced) -> io::Result<()> {
        self.powered()?;
        let change = match change {
            Unsynced::Write(offset, mut data) => {
                let fit = self.bytes_left.map_or(data.len(), |left| left.min(data.len()));
                self.bytes_left = self.bytes_left.map(|left| left - fit);
                let rest = data.split_off(fit);
                self.is_cut = !rest.is_empty();
                let there = self.current.get(offset + fit..).unwrap_or_default();
                self.spared = rest.iter().zip(there).take_while(|(byte, there)| byte == there).count();
                Unsynced::Write(offset, data)
            }
            length @ Unsynced::Length(_) => length,
        };
        change.apply(&mut self.current);
        #[cfg(test)]
        if let Some((_, changes)) = &mut self.tape {
            changes.push(change.clone());
        }
        self.unsynced.push(change);
        self.powered()
    }

    fn sync(&mut self) -> io::Result<()> {
        self.powered()?;
        match &mut self.syncs_left {
            Some(0) => return Err(io::Error::other("the disk is gone")),
            Some(left) => *left -= 1,
            None => {}
        }
        let Self { synced, unsynced, .. } = self;
        unsynced.drain(..).for_each(|change| change.apply(synced));
        Ok(())
    }
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

impl StorageBackend for FaultyDrive {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state().current.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let (offset, state) = (place(offset)?, self.state());
        state.powered()?;
        let found = state.current.get(offset..offset + out.len());
        out.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.state().change(Unsynced::Length(place(len)?))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.state().sync()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.state().change(Unsynced::Write(place(offset)?, data.to_vec()))
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

fn place(offset: u64) -> io::Result<usize> {
    usize::try_from(offset).map_err(io::Error::other)
}
