//! What the whole essaim process holds in memory.

use std::fs;
use std::thread;
use std::time::Duration;

use serde_json::json;

use super::arena::Arena;
use super::figures::Finding;
use crate::error::Error;
use crate::progress::say;

/// A process has settled after so long: background work of a start or of a burst is over.
const SETTLE: Duration = Duration::from_secs(10);
/// The idle process is to stay below this, in MB of a million bytes.
const LIMIT: f64 = 40.0;
/// How many objects the second figure is about.
const OBJECTS: usize = 100;

/// The idle process, as it is now.
pub(super) fn idle(arena: &Arena, when: &str) -> Result<Finding, Error> {
    say(&format!("memory of the idle process, {when}"));
    thread::sleep(SETTLE);
    finding(arena, format!("memory, idle {when}"), Some(LIMIT))
}

/// With a hundred suspended servers in the store, which the controllers know and watch.
pub(super) fn with_objects(arena: &Arena) -> Result<Finding, Error> {
    say(&format!("memory with {OBJECTS} suspended servers"));
    let servers = (1..=OBJECTS).map(|number| {
        json!({
            "apiVersion": "essaim.dev/v1alpha1", "kind": "NotebookServer",
            "metadata": {"name": format!("idle-{number:03}"), "namespace": "u01", "labels": {"bench": "memory"}},
            "spec": {"class": "plain", "suspend": true},
        })
    });
    arena.apply("objects", &servers.collect::<Vec<_>>())?;
    thread::sleep(SETTLE);
    let found = finding(arena, format!("memory with {OBJECTS} suspended servers"), None)?;
    arena.essaim.kubectl(&["delete", "nbs", "-n", "u01", "-l", "bench=memory", "--timeout=120s"])?;
    Ok(found)
}

fn finding(arena: &Arena, what: String, limit: Option<f64>) -> Result<Finding, Error> {
    let pid = arena.essaim.pid().ok_or_else(|| Error::Claim("essaim has ended".into()))?;
    let resident = resident(pid)?;
    let proportional = kilobytes(&format!("/proc/{pid}/smaps_rollup"), "Pss:")?;
    let anonymous = kilobytes(&format!("/proc/{pid}/smaps_rollup"), "Pss_Anon:")?;
    let told = format!("RSS {resident:.1} MB, PSS {proportional:.1} MB, of which not of files {anonymous:.1} MB");
    Ok(Finding::size(what, told, resident, limit))
}

/// What a process holds in memory, in MB of a million bytes.
pub(super) fn resident(pid: u32) -> Result<f64, Error> {
    kilobytes(&format!("/proc/{pid}/status"), "VmRSS:")
}

/// A field of one of the kernel's reports, in MB of a million bytes.
fn kilobytes(path: &str, field: &str) -> Result<f64, Error> {
    let text = fs::read_to_string(path).map_err(Error::file("read", path))?;
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    let number = line.and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok());
    number.map(|kibi| kibi * 1024.0 / 1e6).ok_or_else(|| Error::Claim(format!("{path} has no {field}")))
}
