//! One Docker engine of the site: starts it inside its namespaces, and ends it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::docker::Docker;
use super::layout::{BRIDGE_ADDRESS, BRIDGE_SUBNET, CGROUP, Engine};
use super::{network, process, traces};
use crate::error::Error;
use crate::program::Program;
use crate::wait;

/// It takes 1 to 2 s on two idle processors.
const START: Duration = Duration::from_mins(1);

/// Directories that every dockerd uses wherever its own files lie: each engine gets its own in their place.
const PRIVATE: [&str; 2] = ["/run/docker", "/etc/docker"];

/// Runs inside new mount and host-name namespaces.
///
/// The mounts are first made to receive from this machine's, and then shared, since a bind mount with propagation
/// `rslave` wants a source on a shared mount. What the engine mounts vanishes together with it.
const ENTER: &str = r#"
set -e
hostname "$NAME"
mount --make-rshared /
mount -t tmpfs tmpfs /run/docker
mount -t tmpfs tmpfs /etc/docker
mount --bind "$RESOLV_CONF" /etc/resolv.conf
echo "--- $NAME starts" >&2
exec dockerd "$@"
"#;

/// Nothing listens there: a connection is refused at once.
const NOWHERE: &str = "http://127.0.0.1:9";

pub(crate) fn docker(engine: &Engine) -> Docker {
    Docker::at_socket(&engine.socket())
}

pub(crate) fn is_alive(engine: &Engine) -> bool {
    process::alive(&engine.pid_file(), &marker(engine)).is_some()
}

/// Starts the engine unless it runs, with the directories that it had before, and waits until it answers.
pub(crate) fn ensure(engine: &Engine) -> Result<(), Error> {
    if !is_alive(engine) {
        // Containers survive a dockerd that was killed, in mounts that a new one cannot see.
        sweep(engine)?;
        start(engine)?;
    }
    wait_for_answer(engine)
}

fn wait_for_answer(engine: &Engine) -> Result<(), Error> {
    let (docker, log) = (docker(engine), engine.log());
    let mut was_alive = false;
    wait::until(&format!("{} to answer", engine.name), START, &log.display(), || {
        if docker.answers() {
            return Ok(Some(()));
        }
        // It shows up a moment after its start, and not again once it has given up.
        let is_alive = is_alive(engine);
        if was_alive && !is_alive {
            return Err(Error::Ended { what: format!("dockerd of {}", engine.name), see: log.clone() });
        }
        was_alive = is_alive;
        Ok(None)
    })
}

/// Kills dockerd and nothing else, as a crash would: its containers run on.
pub(crate) fn kill(engine: &Engine) -> Result<(), Error> {
    process::kill(&engine.pid_file(), &marker(engine))
}

/// Ends all that runs on the machine, as a power failure would.
pub(crate) fn power_off(engine: &Engine) -> Result<(), Error> {
    kill(engine)?;
    sweep(engine)
}

fn sweep(engine: &Engine) -> Result<(), Error> {
    process::sweep(&engine.run_directory(), Some(&cgroup(engine)), &engine.log())
}

fn cgroup(engine: &Engine) -> String {
    format!("/{CGROUP}/{}", engine.name)
}

/// Removes the engine's control groups, which must be empty by now.
pub(crate) fn remove_cgroups() -> Result<(), Error> {
    let script = r#"for directory in /sys/fs/cgroup/"$1" /sys/fs/cgroup/*/"$1"; do
  if [ -d "$directory" ]; then find "$directory" -depth -type d -delete; fi
done"#;
    Program::new("sh").args(["-c", script, "sh", CGROUP]).run()
}

fn start(engine: &Engine) -> Result<(), Error> {
    for directory in PRIVATE {
        traces::make(Path::new(directory))?;
    }
    let resolv_conf = prepare_files(engine)?;
    // Through `nsenter`, because `ip netns exec` mounts a new /sys, in which the control groups are missing.
    let script = r#"exec setsid --fork nsenter --net="$NAMESPACE" \
  unshare --mount --propagation slave --uts sh -c "$ENTER" sh "$@" >>"$LOG" 2>&1"#;
    Program::new("sh")
        .args(["-c", script, "sh"])
        .args(arguments(engine))
        .env("NAMESPACE", network::namespace_file(engine))
        .env("ENTER", ENTER)
        .env("LOG", engine.log())
        .env("NAME", engine.name)
        .env("RESOLV_CONF", resolv_conf)
        // A task whose image is only local is started after an attempt to pull it: let that fail at once,
        // also on a machine whose cable is cut.
        .env("HTTP_PROXY", NOWHERE)
        .env("HTTPS_PROXY", NOWHERE)
        .env("NO_PROXY", format!("{BRIDGE_SUBNET},127.0.0.1,localhost"))
        .run()
}

/// Makes the engine's directories, the one under `/run` empty as after a boot; returns its resolver configuration.
fn prepare_files(engine: &Engine) -> Result<PathBuf, Error> {
    // Else dockerd takes the process numbers in there for those of its containerd, and waits for it in vain.
    let run = engine.run_directory();
    if run.exists() {
        fs::remove_dir_all(&run).map_err(Error::file("remove", &run))?;
    }
    let pid_file = engine.pid_file();
    if pid_file.exists() {
        fs::remove_file(&pid_file).map_err(Error::file("remove", &pid_file))?;
    }
    for directory in [engine.state_directory(), run] {
        fs::create_dir_all(&directory).map_err(Error::file("create", &directory))?;
    }
    let resolv_conf = engine.state_directory().join("resolv.conf");
    let content = format!("nameserver {BRIDGE_ADDRESS}\n");
    fs::write(&resolv_conf, content).map_err(Error::file("write", &resolv_conf))?;
    Ok(resolv_conf)
}

fn arguments(engine: &Engine) -> Vec<String> {
    let mut arguments = vec![
        format!("--data-root={}", engine.state_directory().join("data").display()),
        format!("--exec-root={}", engine.run_directory().display()),
        marker(engine),
        format!("--host=unix://{}", engine.socket().display()),
        // The plain driver works with and without systemd, and gives `down` one directory to remove.
        "--exec-opt=native.cgroupdriver=cgroupfs".to_owned(),
        format!("--cgroup-parent={}", cgroup(engine)),
        format!("--dns={BRIDGE_ADDRESS}"),
    ];
    arguments.extend(engine.gpu_uuids().map(|uuid| format!("--node-generic-resource=GPU={uuid}")));
    arguments
}

/// The word of dockerd's command line that no other process has.
fn marker(engine: &Engine) -> String {
    format!("--pidfile={}", engine.pid_file().display())
}
