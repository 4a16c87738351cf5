//! Where tests find the program etcd.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::{self, Command},
    sync::OnceLock,
};

/// The program: of the machine, or unpacked from Debian's package without installing it.
pub fn etcd_program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        installed().or_else(unpacked).expect("these tests need etcd 3.4 or later: apt-get install etcd-server")
    })
}

fn installed() -> Option<PathBuf> {
    let paths = env::var_os("PATH")?;
    env::split_paths(&paths).map(|folder| folder.join("etcd")).find(|program| program.is_file())
}

fn unpacked() -> Option<PathBuf> {
    let kept = env::temp_dir().join("essaim-test-etcd");
    let program = kept.join("usr/bin/etcd");
    if program.is_file() {
        return Some(program);
    }
    let download = env::temp_dir().join(format!("essaim-test-etcd-{}", process::id()));
    fs::create_dir_all(&download).ok()?;
    let moved = fetch_into(&download, &kept);
    // Left over, it would only take room.
    let _: io::Result<()> = fs::remove_dir_all(&download);
    moved.filter(|()| program.is_file()).map(|()| program)
}

fn fetch_into(download: &Path, kept: &Path) -> Option<()> {
    let fetch = || {
        let fetch =
            Command::new("apt-get").args(["download", "--quiet=2", "etcd-server"]).current_dir(download).status();
        fetch.ok().filter(process::ExitStatus::success)
    };
    // Lists may be missing or old on a fresh machine.
    fetch().or_else(|| {
        Command::new("apt-get").args(["update", "--quiet=2"]).status().ok()?;
        fetch()
    })?;
    let package = fs::read_dir(download).ok()?.find_map(|entry| {
        let path = entry.ok()?.path();
        path.extension().is_some_and(|extension| extension == "deb").then_some(path)
    })?;
    let aside = download.join("unpacked");
    Command::new("dpkg-deb").arg("--extract").arg(package).arg(&aside).status().ok()?;
    // Another test may have come first; its copy is as good.
    let moved = Command::new("cp").arg("--recursive").arg("--no-target-directory").arg(&aside).arg(kept).status();
    moved.ok().map(drop)
}
