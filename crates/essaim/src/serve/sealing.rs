//! The keys that seal Secrets in the store: read, or made at the first start.
//!
//! A file of 64 hexadecimal digits a line. The first line seals; the others open what they sealed once. To change the key, put a
//! new first line in (`openssl rand -hex 32`) and start essaim again: it seals everything anew, and the old line can go.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use essaim_store::SealingKey;

use crate::error::Error;

/// In the data directory; may be a link to a place that backups of the store do not reach.
pub(crate) const FILE: &str = "sealing.keys";

/// The key that seals, and those that only open. Makes the file where there is none.
pub(super) fn keys(data_dir: &Path) -> Result<(SealingKey, Vec<SealingKey>), Error> {
    let path = data_dir.join(FILE);
    let text = match read(&path)? {
        Some(text) => text,
        None => make(&path)?,
    };
    parse(&path, &text)
}

/// All keys of a file that may be absent.
pub(crate) fn existing(data_dir: &Path) -> Result<Vec<SealingKey>, Error> {
    let path = data_dir.join(FILE);
    let Some(text) = read(&path)? else { return Ok(Vec::new()) };
    let (first, older) = parse(&path, &text)?;
    Ok([vec![first], older].concat())
}

fn read(path: &Path) -> Result<Option<String>, Error> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        read => read.map(Some).map_err(|source| Error::Read { path: path.into(), source }),
    }
}

fn parse(path: &Path, text: &str) -> Result<(SealingKey, Vec<SealingKey>), Error> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let mut keys = lines.enumerate().map(|(at, line)| {
        let mut bytes = [0; 32];
        let read = hex::decode_to_slice(line, &mut bytes);
        let wrong = || format!("{}: key {} is not 64 hexadecimal digits", path.display(), at + 1);
        read.map(|()| SealingKey::new(&bytes)).map_err(|_| Error::Configuration(wrong()))
    });
    let first = keys.next().unwrap_or_else(|| Err(Error::Configuration(format!("{} holds no key", path.display()))))?;
    Ok((first, keys.collect::<Result<_, _>>()?))
}

/// On disk before anything is sealed with it.
fn make(path: &Path) -> Result<String, Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(Error::Random)?;
    let text = format!("{}\n", hex::encode(bytes));
    let write = || {
        let draft = path.with_extension("new");
        let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&draft, path)?;
        path.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
    };
    write().map_err(|source| Error::Write { path: path.into(), source })?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_a_bad_one_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let (first, older) = keys(directory.path()).unwrap();
        assert!(older.is_empty());
        assert_eq!(format!("{:?}", keys(directory.path()).unwrap().0), format!("{first:?}"));
        let path = directory.path().join(FILE);
        fs::write(&path, format!("{}\n{}", "11".repeat(32), fs::read_to_string(&path).unwrap())).unwrap();
        assert_eq!(keys(directory.path()).unwrap().1.len(), 1);
        for (text, wrong) in [("", "holds no key"), ("abc", "key 1 is not")] {
            fs::write(&path, text).unwrap();
            assert!(keys(directory.path()).unwrap_err().to_string().contains(wrong));
        }
    }
}
