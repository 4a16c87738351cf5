//! Directories outside our own that the engines' start makes, noted so that `down` can remove them again.

use std::fs;
use std::path::{Path, PathBuf};

use super::layout::STATE;
use crate::error::Error;
use crate::program::Program;

/// Notes `directory` for removal if it does not exist yet. To be called before it is made.
pub(crate) fn note_if_new(directory: &Path) -> Result<(), Error> {
    if directory.exists() {
        return Ok(());
    }
    let list = list();
    let mut noted = read(&list);
    noted.push(directory.to_owned());
    let lines: Vec<String> = noted.iter().map(|path| path.display().to_string()).collect();
    fs::write(&list, lines.join("\n")).map_err(Error::file("write", &list))
}

/// Makes `directory`, and notes it if it was not there.
pub(crate) fn make(directory: &Path) -> Result<(), Error> {
    note_if_new(directory)?;
    fs::create_dir_all(directory).map_err(Error::file("create", directory))
}

/// Removes what was noted, as far as nobody else has put anything into it.
pub(crate) fn remove() -> Result<(), Error> {
    for directory in read(&list()) {
        // `ip netns` mounts its directory on itself.
        if is_empty(&directory) && is_mount_point(&directory)? {
            Program::new("umount").args([&directory]).run()?;
        }
        if is_empty(&directory) {
            fs::remove_dir(&directory).map_err(Error::file("remove", &directory))?;
        }
    }
    Ok(())
}

/// What is mounted on `directory` or below it, the deepest first.
pub(crate) fn mounts_below(directory: &Path) -> Result<Vec<PathBuf>, Error> {
    let table = "/proc/self/mountinfo";
    let content = fs::read_to_string(table).map_err(Error::file("read", table))?;
    let mut points: Vec<PathBuf> = content
        .lines()
        .filter_map(|line| line.split(' ').nth(4).map(PathBuf::from))
        .filter(|point| point.starts_with(directory))
        .collect();
    points.reverse();
    Ok(points)
}

pub(crate) fn is_mount_point(directory: &Path) -> Result<bool, Error> {
    Ok(mounts_below(directory)?.iter().any(|point| point == directory))
}

fn list() -> PathBuf {
    Path::new(STATE).join("traces")
}

fn read(list: &Path) -> Vec<PathBuf> {
    fs::read_to_string(list).unwrap_or_default().lines().map(PathBuf::from).collect()
}

fn is_empty(directory: &Path) -> bool {
    fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_none())
}
