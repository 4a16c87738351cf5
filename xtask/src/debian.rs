//! Gets what is missing from Debian: installs packages, or unpacks one aside without installing it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::Error;
use crate::program::{self, Program};
use crate::progress;

/// A slow mirror on a slow line still fits in.
const LIMIT: Duration = Duration::from_mins(15);

/// Debian's hook that decides whether a package's scripts may start its daemon; absent means yes.
const DAEMON_POLICY: &str = "/usr/sbin/policy-rc.d";

/// A program, and the packages to try in turn where it is missing (releases differ).
pub(crate) struct Need {
    pub(crate) program: &'static str,
    pub(crate) packages: &'static [&'static str],
}

/// Installs what is missing. Does nothing, and asks nobody, when every program is there.
pub(crate) fn require(needs: &[Need]) -> Result<(), Error> {
    let rounds = needs.iter().map(|need| need.packages.len()).max().unwrap_or(0);
    for round in 0..rounds {
        let packages: Vec<&str> = missing(needs).filter_map(|need| need.packages.get(round).copied()).collect();
        if !packages.is_empty() {
            install(&packages)?;
        }
    }
    match missing(needs).next() {
        Some(need) => Err(Error::Missing { program: need.program, packages: need.packages }),
        None => Ok(()),
    }
}

fn missing(needs: &[Need]) -> impl Iterator<Item = &Need> {
    needs.iter().filter(|need| program::find(need.program).is_none())
}

/// Installs packages that no program gives away.
pub(crate) fn install(packages: &[&str]) -> Result<(), Error> {
    progress::say(&format!("installing Debian packages: {}", packages.join(" ")));
    let _quiet = NoDaemons::start()?;
    let install = || apt_get().args(["install", "--yes", "--no-install-recommends", "--quiet=2"]).args(packages).run();
    // Lists may be missing or old on a fresh machine: fetch them only then, since it takes a while.
    install().or_else(|_| {
        apt_get().args(["update", "--quiet=2"]).run()?;
        install()
    })
}

fn apt_get() -> Program {
    Program::new("apt-get").env("DEBIAN_FRONTEND", "noninteractive").limit(LIMIT)
}

/// While it lives, package scripts start no daemon: the engines of a test bed are started by hand.
struct NoDaemons {
    ours: bool,
}

impl NoDaemons {
    fn start() -> Result<Self, Error> {
        if Path::new(DAEMON_POLICY).exists() {
            return Ok(Self { ours: false });
        }
        fs::write(DAEMON_POLICY, "#!/bin/sh\nexit 101\n").map_err(Error::file("write", DAEMON_POLICY))?;
        Program::new("chmod").args(["0755", DAEMON_POLICY]).run()?;
        Ok(Self { ours: true })
    }
}

impl Drop for NoDaemons {
    fn drop(&mut self) {
        if self.ours && fs::remove_file(DAEMON_POLICY).is_err() {
            progress::say(&format!("could not remove {DAEMON_POLICY}: no daemon will start on installation"));
        }
    }
}

/// One archive of Debian that this machine is configured to use.
pub(crate) struct Archive {
    pub(crate) uri: String,
    pub(crate) codename: String,
    pub(crate) security: bool,
}

/// The machine's own mirrors of Debian's `main`, as apt has them configured.
pub(crate) fn archives() -> Result<Vec<Archive>, Error> {
    let known = known_archives()?;
    if !known.is_empty() {
        return Ok(known);
    }
    // Without lists apt knows addresses, but not whose they are.
    apt_get().args(["update", "--quiet=2"]).run()?;
    let known = known_archives()?;
    if known.is_empty() { Err(Error::NoMirror) } else { Ok(known) }
}

fn known_archives() -> Result<Vec<Archive>, Error> {
    let format = "$(REPO_URI)|$(CODENAME)|$(COMPONENT)|$(LABEL)";
    let listed = Program::new("apt-get").args(["indextargets", "--format", format, "Created-By: Packages"]).text()?;
    let mut found: Vec<Archive> = Vec::new();
    for line in listed.lines() {
        let fields: Vec<&str> = line.split('|').collect();
        let &[uri, codename, "main", label @ ("Debian" | "Debian-Security")] = fields.as_slice() else {
            continue;
        };
        if !found.iter().any(|archive| archive.codename == codename) {
            let security = label == "Debian-Security";
            found.push(Archive { uri: uri.to_owned(), codename: codename.to_owned(), security });
        }
    }
    Ok(found)
}

/// Fetches a package of this machine's own release and unpacks it into `target`, installing nothing.
pub(crate) fn unpack(package: &str, target: &Path) -> Result<(), Error> {
    // Asked for its side effect: from here on apt has lists.
    archives()?;
    fetch_and_extract(package, &[], target)
}

/// The same from another release of Debian, with apt lists that this machine's own apt never sees.
pub(crate) fn unpack_from(release: &str, package: &str, target: &Path) -> Result<(), Error> {
    let archives = archives()?;
    let mirror = archives.iter().find(|archive| !archive.security).ok_or(Error::NoMirror)?;
    let scratch = empty_directory(&with_suffix(target, "apt"))?;
    let keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
    let list = scratch.join("sources.list");
    let line = format!("deb [signed-by={keyring}] {} {release} main\n", mirror.uri);
    fs::write(&list, line).map_err(Error::file("write", &list))?;
    let lists = scratch.join("lists/partial");
    fs::create_dir_all(&lists).map_err(Error::file("create", &lists))?;

    let options = [
        format!("Dir::Etc::SourceList={}", list.display()),
        "Dir::Etc::SourceParts=/dev/null".to_owned(),
        format!("Dir::State::Lists={}", scratch.join("lists").display()),
        // With what is installed here out of sight, the version to fetch is the release's own.
        "Dir::State::status=/dev/null".to_owned(),
        "Dir::Cache::pkgcache=".to_owned(),
        "Dir::Cache::srcpkgcache=".to_owned(),
        "Acquire::Languages=none".to_owned(),
        "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false".to_owned(),
    ];
    let options: Vec<&str> = options.iter().flat_map(|option| ["-o", option.as_str()]).collect();
    apt_get().args(&options).args(["update", "--quiet=2"]).run()?;
    fetch_and_extract(package, &options, target)?;
    fs::remove_dir_all(&scratch).map_err(Error::file("remove", &scratch))
}

fn fetch_and_extract(package: &str, options: &[&str], target: &Path) -> Result<(), Error> {
    let scratch = empty_directory(&with_suffix(target, "deb"))?;
    // `download` writes into the current directory, and takes no other.
    let script = r#"cd "$1" && shift && apt-get "$@""#;
    let download = Program::new("sh").args(["-c", script, "sh"]).args([&scratch]).args(options);
    download.args(["download", "--quiet=2", package]).limit(LIMIT).run()?;
    let archive = only_file(&scratch)?;
    fs::create_dir_all(target).map_err(Error::file("create", target))?;
    Program::new("dpkg-deb").args(["--extract".as_ref(), archive.as_os_str(), target.as_os_str()]).run()?;
    fs::remove_dir_all(&scratch).map_err(Error::file("remove", &scratch))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    path.with_added_extension(suffix)
}

fn empty_directory(path: &Path) -> Result<PathBuf, Error> {
    if path.exists() {
        fs::remove_dir_all(path).map_err(Error::file("remove", path))?;
    }
    fs::create_dir_all(path).map_err(Error::file("create", path))?;
    Ok(path.to_owned())
}

fn only_file(directory: &Path) -> Result<PathBuf, Error> {
    let mut entries = fs::read_dir(directory).map_err(Error::file("list", directory))?;
    let missing = || Error::file("find a package in", directory)(std::io::ErrorKind::NotFound.into());
    let entry = entries.next().ok_or_else(missing)?.map_err(Error::file("list", directory))?;
    Ok(entry.path())
}
