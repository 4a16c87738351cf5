//! A file that lines are added to, and that is put aside when it is large enough.
//!
//! ```text
//! audit.log ─► audit.log.1 ─► audit.log.2 ─► … ─► gone
//! ```

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

/// The current file and those before it.
pub(super) struct Rotated {
    path: PathBuf,
    most_bytes: u64,
    most_files: usize,
    file: BufWriter<File>,
    written: u64,
}

impl Rotated {
    /// Opens the file, to go on at its end; its directory is made, for its owner only, if it is not there.
    pub(super) fn open(path: &Path, most_bytes: u64, most_files: usize) -> io::Result<Self> {
        if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        }
        let file = append(path)?;
        let written = file.metadata()?.len();
        Ok(Self { path: path.to_owned(), most_bytes, most_files, file: BufWriter::new(file), written })
    }

    /// Adds a line, in a new file if it does not fit into the current one.
    pub(super) fn add(&mut self, line: &[u8]) -> io::Result<()> {
        let length = line.len() as u64 + 1;
        if self.written > 0 && self.written + length > self.most_bytes {
            self.put_aside()?;
        }
        self.file.write_all(line)?;
        self.file.write_all(b"\n")?;
        self.written += length;
        Ok(())
    }

    /// Hands everything to the system.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }

    fn put_aside(&mut self) -> io::Result<()> {
        self.file.flush()?;
        if self.most_files <= 1 {
            fs::remove_file(&self.path)?;
        }
        // The oldest is overwritten, so that there are never more.
        for number in (0..self.most_files.saturating_sub(1)).rev() {
            match fs::rename(self.aside(number), self.aside(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        self.file = BufWriter::new(append(&self.path)?);
        self.written = 0;
        Ok(())
    }

    /// The path of the file before the current one, of the one before that, and so on; 0 is the current one.
    fn aside(&self, number: usize) -> PathBuf {
        if number == 0 {
            return self.path.clone();
        }
        let mut name: OsString = self.path.clone().into_os_string();
        name.push(format!(".{number}"));
        name.into()
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::Rotated;

    #[test]
    fn files_are_bounded_in_size_and_number_and_private() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit/audit.log");
        let mut log = Rotated::open(&path, 20, 3).unwrap();
        for number in 0..10 {
            log.add(format!("line {number}..").as_bytes()).unwrap();
        }
        log.flush().unwrap();
        let read = |name: &str| fs::read_to_string(path.with_file_name(name)).unwrap();
        assert_eq!(read("audit.log"), "line 8..\nline 9..\n");
        assert_eq!(read("audit.log.1"), "line 6..\nline 7..\n");
        assert_eq!(read("audit.log.2"), "line 4..\nline 5..\n");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 3);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        drop(log);

        let mut again = Rotated::open(&path, 20, 3).unwrap();
        again.add(b"after a restart").unwrap();
        again.flush().unwrap();
        assert_eq!(
            (read("audit.log").as_str(), read("audit.log.1").as_str()),
            ("after a restart\n", "line 8..\nline 9..\n")
        );
    }

    #[test]
    fn one_file_starts_again_from_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.log");
        let mut log = Rotated::open(&path, 10, 1).unwrap();
        for line in ["first...", "second.."] {
            log.add(line.as_bytes()).unwrap();
        }
        log.flush().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "second..\n");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
