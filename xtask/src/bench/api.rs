//! `cargo xtask bench api`: what the API server does in a second, how long one request waits, and what it holds in memory.
//!
//! The load comes from `wrk`, over TLS, with a bearer token and the rights of a role, as clients come. Every write is on disk before it is
//! answered. The peer is kube-apiserver 1.36 with etcd on a two-core machine; it cannot be installed from packages, so its figures are
//! those of the requirement (docs/design/apiserver.md), and only the ratio between lines of one run is free of the machine.

mod load;
mod start;
mod watchers;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::json;

use self::load::{Load, Outcome, Wrk};
use super::figures::{Aim, Finding, print};
use super::memory::resident;
use crate::debian::{self, Need};
use crate::error::Error;
use crate::platform::{self, Options as Launch, Platform};
use crate::progress::say;
use crate::repository;

/// The login whose token the load carries; it has a role like anybody else.
const LOGIN: &str = "bench";
const COLLECTION: &str = "/apis/essaim.dev/v1alpha1/namespaces/bench/notebookservers";
/// What the store holds while it is read.
const OBJECTS: usize = 27_000;
/// What it holds when it starts again.
const MANY: usize = 100_000;

/// What to measure, and how long.
#[derive(Debug, Args)]
pub struct Options {
    /// Seconds of each load.
    #[arg(long, default_value_t = 8)]
    seconds: u64,
    /// Leave out the start with 100,000 objects.
    #[arg(long, conflicts_with = "only")]
    short: bool,
    /// Measure this alone.
    #[arg(long)]
    only: Option<Part>,
    /// Measure this `essaim` instead of the release build of the working copy.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
}

/// What can be measured by itself.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Part {
    /// The start with 100,000 objects.
    Start,
}

/// Measures and prints the table.
pub(super) fn run(options: &Options) -> Result<(), Error> {
    debian::require(&[Need { program: "wrk", packages: &["wrk"] }, Need { program: "curl", packages: &["curl"] }])?;
    let binary = match &options.binary {
        Some(binary) => binary.clone(),
        None => platform::build(true)?,
    };
    let mut bench = Bench::start(binary, Duration::from_secs(options.seconds))?;
    let mut findings = Vec::new();
    if options.only.is_none() {
        findings.extend(bench.under_load()?);
    }
    if !options.short {
        findings.extend(bench.start_again()?);
    }
    print(
        &findings,
        &format!("{} s a load, {} objects of {} bytes", options.seconds, bench.objects, bench.object_bytes),
    );
    Ok(())
}

/// A server under load.
struct Bench {
    platform: Platform,
    folder: PathBuf,
    period: Duration,
    /// In the store by now.
    objects: usize,
    object_bytes: usize,
}

impl Bench {
    fn start(binary: PathBuf, period: Duration) -> Result<Self, Error> {
        let folder = repository::target().join("bench/api");
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(Error::file("remove", &folder))?;
        }
        fs::create_dir_all(&folder).map_err(Error::file("create", &folder))?;
        let directory = folder.join("directory.yaml");
        fs::write(&directory, "users: []\n").map_err(Error::file("write", &directory))?;
        let arguments = vec!["--roles".to_owned(), "api".to_owned()];
        let launch = Launch { binary, swarm: "off".into(), directory, logins: vec![LOGIN.into()], arguments };
        let platform = Platform::start(launch, &folder.join("essaim"))?;
        let binding = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "bench"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": LOGIN}],
        });
        platform.apply(&binding.to_string())?;
        platform.kubectl(&["create", "namespace", LOGIN])?;
        Ok(Self { platform, folder, period, objects: 0, object_bytes: 0 })
    }

    fn under_load(&mut self) -> Result<Vec<Finding>, Error> {
        let mut findings = vec![self.memory("memory, `--roles api`, idle after a start", 25.0)?];
        findings.extend(self.creates()?);
        self.fill(OBJECTS)?;
        findings.extend(self.reads()?);
        findings.push(self.memory(&format!("memory with {} objects", self.objects), 120.0)?);
        findings.extend(self.watches()?);
        Ok(findings)
    }

    /// New objects: one client, and sixty-four at once.
    fn creates(&mut self) -> Result<Vec<Finding>, Error> {
        let alone = self.create("alone", 1, self.period)?;
        let crowd = self.create("crowd", 64, self.period)?;
        Ok(vec![
            Finding::figure("create, one client, p50", alone.p50_ms, "ms", "1.8", Aim::AtMost(1.0)),
            Finding::figure("create, 64 clients", crowd.per_second, "/s", "950 to 1,280", Aim::AtLeast(6_000.0)),
            Finding::figure("create, 64 clients, p50", crowd.p50_ms, "ms", "45 to 60", Aim::None),
            Finding::figure("create, 64 clients, p99", crowd.p99_ms, "ms", "145 to 200", Aim::None),
        ])
    }

    fn create(&mut self, prefix: &str, clients: usize, period: Duration) -> Result<Outcome, Error> {
        say(&format!("creates, {clients} at once"));
        let outcome =
            self.wrk().run(&Load { script: "create.lua", arguments: &[prefix], path: COLLECTION, clients, period })?;
        self.objects = self.names()?.len();
        Ok(outcome)
    }

    /// Creates until there are at least so many.
    fn fill(&mut self, count: usize) -> Result<(), Error> {
        while self.objects < count {
            // No name that was given before: it would be refused.
            self.create(&format!("fill-{}", self.objects), 64, Duration::from_secs(3))?;
        }
        Ok(())
    }

    fn reads(&mut self) -> Result<Vec<Finding>, Error> {
        let names = self.folder.join("names");
        let list = self.names()?;
        fs::write(&names, list.join("\n")).map_err(Error::file("write", &names))?;
        let one = self.platform.kubectl(&["get", "--raw", &format!("{COLLECTION}/{}", list[0])])?;
        self.object_bytes = one.len();
        let names = names.display().to_string();
        let read = |script, arguments: &[&str], path: &str, clients| {
            say(&format!("reads of {path}, {clients} at once"));
            self.wrk().run(&Load { script, arguments, path, clients, period: self.period })
        };
        let get = read("get.lua", &[&names], COLLECTION, 64)?;
        let page = read("list.lua", &[], &format!("{COLLECTION}?limit=500"), 8)?;
        let all = read("list.lua", &[], COLLECTION, 1)?;
        Ok(vec![
            Finding::figure("get, 64 clients", get.per_second, "/s", "2,200 to 2,700", Aim::AtLeast(25_000.0)),
            Finding::figure("list of 500, 8 clients", page.per_second, "/s", "17", Aim::AtLeast(400.0)),
            Finding::figure("list of all, p50", all.p50_ms / 1000.0, "s", "4.2", Aim::AtMost(0.2)),
        ])
    }

    fn watches(&self) -> Result<Vec<Finding>, Error> {
        let mut findings = Vec::new();
        for (watchers, rate) in [(1_000, 50), (20, 1_000)] {
            say(&format!("{watchers} watchers, {rate} changes/s"));
            let seen = watchers::run(&self.platform, LOGIN, COLLECTION, watchers, rate, self.period)?;
            findings.push(Finding::figure(
                &format!(
                    "{watchers} watchers, {:.0} changes/s made: share of events delivered",
                    seen.changes_per_second
                ),
                seen.share,
                "",
                "–",
                Aim::AtLeast(1.0),
            ));
            findings.push(Finding::figure(
                &format!("{watchers} watchers: processor time of the server a delivered event"),
                seen.microseconds_per_event,
                "µs",
                "–",
                Aim::None,
            ));
        }
        Ok(findings)
    }

    fn start_again(&mut self) -> Result<Vec<Finding>, Error> {
        self.fill(MANY)?;
        if self.object_bytes == 0 {
            self.object_bytes = self.platform.kubectl(&["get", "--raw", &format!("{COLLECTION}?limit=1")])?.len();
        }
        start::run(&mut self.platform, self.objects)
    }

    fn memory(&self, what: &str, limit: f64) -> Result<Finding, Error> {
        std::thread::sleep(Duration::from_secs(3));
        let pid = self.platform.pid().ok_or_else(|| Error::Claim("essaim has ended".into()))?;
        Ok(Finding::figure(what, resident(pid)?, "MB", "315 idle, 1,400 with 27,000 objects", Aim::AtMost(limit)))
    }

    fn names(&self) -> Result<Vec<String>, Error> {
        let names = self.platform.kubectl(&["get", "nbs", "-n", LOGIN, "-o", "name", "--chunk-size=5000"])?;
        Ok(names.lines().filter_map(|line| line.rsplit('/').next()).map(str::to_owned).collect())
    }

    fn wrk(&self) -> Wrk<'_> {
        Wrk { server: self.platform.api(), token: platform::token(LOGIN) }
    }
}
