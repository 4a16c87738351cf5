//! Finds and ends exactly the processes of the test bed: a recycled process number is never mistaken for one.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::error::Error;
use crate::program::Program;
use crate::wait;

/// A process that got SIGKILL is gone at once, unless the kernel holds it in an operation on a disk.
const DEATH: Duration = Duration::from_secs(20);

/// The process in `pid_file`, if it is alive and `marker` is one of the words of its command line.
pub(crate) fn alive(pid_file: &Path, marker: &str) -> Option<u32> {
    let pid: u32 = fs::read_to_string(pid_file).ok()?.trim().parse().ok()?;
    command_line(pid).iter().any(|word| word == marker).then_some(pid)
}

/// Kills the process that [`alive`] finds, and waits until it is gone.
pub(crate) fn kill(pid_file: &Path, marker: &str) -> Result<(), Error> {
    while let Some(pid) = alive(pid_file, marker) {
        send_kill(&[pid])?;
        let gone = || Ok(alive(pid_file, marker).is_none().then_some(()));
        wait::until(&format!("the end of process {pid}"), DEATH, &pid_file.display(), gone)?;
    }
    Ok(())
}

/// Kills all that an engine leaves behind when it dies: its containerd, the shims, and what runs in its containers.
///
/// `run_directory` is where its containerd keeps its sockets, `cgroup` where its containers run (unless it has none
/// of its own), `log` where the reason should stand if they will not end.
pub(crate) fn sweep(run_directory: &Path, cgroup: Option<&str>, log: &Path) -> Result<(), Error> {
    let what = format!("the end of all processes of {}", run_directory.display());
    wait::until(&what, DEATH, &log.display(), || {
        let left = leftovers(run_directory, cgroup)?;
        if left.is_empty() {
            return Ok(Some(()));
        }
        send_kill(&left)?;
        Ok(None)
    })
}

fn leftovers(run_directory: &Path, cgroup: Option<&str>) -> Result<Vec<u32>, Error> {
    let entries = fs::read_dir("/proc").map_err(Error::file("list", "/proc"))?;
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let is_left =
        |pid: &u32| is_containerd_of(run_directory, *pid) || cgroup.is_some_and(|cgroup| runs_in(cgroup, *pid));
    Ok(pids.filter(is_left).collect())
}

/// containerd and its shims carry paths of the engine's run directory on their command lines.
fn is_containerd_of(run_directory: &Path, pid: u32) -> bool {
    let words = command_line(pid);
    let name = words.first().and_then(|program| Path::new(program).file_name());
    let is_containerd = name.and_then(|name| name.to_str()).is_some_and(|name| name.starts_with("containerd"));
    is_containerd && words.iter().any(|word| Path::new(word).starts_with(run_directory))
}

fn runs_in(cgroup: &str, pid: u32) -> bool {
    let memberships = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    let is_inside = memberships.lines().any(|line| line.contains(&format!(":{cgroup}/")));
    // A dead process stays in its cgroup until its parent has asked for its exit code; it has no command line.
    is_inside && !command_line(pid).is_empty()
}

fn command_line(pid: u32) -> Vec<String> {
    let raw = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    raw.split_terminator('\0').map(str::to_owned).collect()
}

/// One that ended meanwhile is no error: the caller looks again anyhow.
fn send_kill(pids: &[u32]) -> Result<(), Error> {
    let script = r#"kill -KILL "$@" 2>/dev/null; true"#;
    Program::new("sh").args(["-c", script, "sh"]).args(pids.iter().map(u32::to_string)).run()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_recycled_process_number_is_not_ours() {
        let directory = tempfile::tempdir().unwrap();
        let pid_file = directory.path().join("pid");
        let mut sleeper = Command::new("sleep").arg("61").spawn().unwrap();
        fs::write(&pid_file, sleeper.id().to_string()).unwrap();
        // For a moment after the fork it has the command line of this test.
        let seen = || Ok(alive(&pid_file, "61"));
        let pid = wait::until("sleep to show its command line", DEATH, &"/proc", seen).unwrap();

        assert_eq!(alive(&pid_file, "/some/other.pid"), None);
        kill(&pid_file, "/some/other.pid").unwrap();
        assert_eq!(sleeper.try_wait().unwrap(), None, "the stranger lives on");
        assert_eq!(pid, sleeper.id());

        kill(&pid_file, "61").unwrap();
        sleeper.wait().unwrap();
    }

    #[test]
    fn an_absent_pid_file_means_that_nothing_runs() {
        assert_eq!(alive(Path::new("/nonexistent/pid"), "x"), None);
    }
}
