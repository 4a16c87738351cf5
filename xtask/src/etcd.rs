//! A throw-away etcd: of one member, for tests of several processes on one store; or of three, for tests of what becomes of them.

mod cluster;
mod room;

pub use cluster::Cluster;

use std::fs::{self, File};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::debian::{self, Need};
use crate::error::Error;
use crate::platform::free_port;
use crate::wait;

/// It elects itself in a second.
const START: Duration = Duration::from_secs(30);

/// Dropping it kills the process; the directory stays with its owner.
#[derive(Debug)]
pub struct Etcd {
    process: Child,
    address: String,
}

impl Etcd {
    /// Starts it with its data in a directory, on free ports of loopback; installs Debian's package where it is missing.
    ///
    /// # Errors
    /// It could not be installed or started, or did not serve in half a minute: the error names its log.
    pub fn start(directory: &Path) -> Result<Self, Error> {
        debian::require(&[Need { program: "etcd", packages: &["etcd-server"] }])?;
        fs::create_dir_all(directory).map_err(Error::file("create", directory))?;
        let [address, peer] =
            [free_port("127.0.0.1")?, free_port("127.0.0.1")?].map(|port| format!("http://127.0.0.1:{port}"));
        let log = directory.join("etcd.log");
        let output = File::create(&log).map_err(Error::file("create", &log))?;
        let mut command = Command::new("etcd");
        command.arg("--data-dir").arg(directory.join("data")).args(["--name", "one"]);
        command.args(["--listen-client-urls", &address, "--advertise-client-urls", &address]);
        command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
        command.args(["--initial-cluster", &format!("one={peer}")]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(output);
        let process = command.spawn().map_err(|source| Error::Start { command: "etcd".into(), source })?;
        let etcd = Self { process, address };
        // It opens its door to clients once it can serve them.
        let door = etcd.address.trim_start_matches("http://");
        wait::until("etcd to serve", START, &log.display(), || Ok(TcpStream::connect(door).ok()))?;
        Ok(etcd)
    }

    /// For `--store etcd=`.
    pub fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
