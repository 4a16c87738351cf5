//! Three members of one etcd, each on a machine of its own, to be killed, unplugged and set against each other.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::room::{self, MACHINES, Room};
use crate::debian::{self, Need};
use crate::error::Error;
use crate::wait;

/// Three of them elect in a few seconds, also on a machine that does other things.
const START: Duration = Duration::from_mins(1);
/// How long a member may think about a question.
const QUESTION: Duration = Duration::from_secs(2);
const NEEDS: [Need; 3] = [
    Need { program: "etcd", packages: &["etcd-server"] },
    Need { program: "ip", packages: &["iproute2"] },
    Need { program: "iptables", packages: &["iptables"] },
];

/// Dropping it kills the members and removes their network; the directory stays with its owner.
#[derive(Debug)]
pub struct Cluster {
    members: Vec<Option<Child>>,
    directory: PathBuf,
    _room: Room,
}

impl Cluster {
    /// How many members there are.
    pub const MEMBERS: usize = MACHINES;

    /// Starts all members with their data in a directory, and waits until they have a leader; installs Debian's packages where they are missing.
    ///
    /// # Errors
    /// Not root, no packages, or no leader within a minute: the error names the directory of the logs.
    pub fn start(directory: &Path) -> Result<Self, Error> {
        debian::require(&NEEDS)?;
        fs::create_dir_all(directory).map_err(Error::file("create", directory))?;
        let members = (0..MACHINES).map(|_| None).collect();
        let mut cluster = Self { members, directory: directory.to_owned(), _room: Room::make()? };
        (0..MACHINES).try_for_each(|member| cluster.launch(member))?;
        wait::until("a leader of etcd", START, &directory.display(), || Ok(cluster.leader()))?;
        Ok(cluster)
    }

    /// For `--store etcd=`, beginning with a member.
    pub fn addresses(&self, first: usize) -> String {
        let order = (0..MACHINES).map(|n| door((first + n) % MACHINES));
        order.collect::<Vec<_>>().join(",")
    }

    /// `kill -9` of a member.
    pub fn kill(&mut self, member: usize) {
        if let Some(mut process) = self.members[member].take() {
            // An error means that it had ended already.
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// Starts a member, for the first time or with the data that it had.
    ///
    /// # Errors
    /// The process could not be started.
    pub fn launch(&mut self, member: usize) -> Result<(), Error> {
        let log = self.directory.join(format!("member{member}.log"));
        let output = File::options().create(true).append(true).open(&log).map_err(Error::file("open", &log))?;
        let (name, peer) = (format!("member{member}"), peer(member));
        let all: Vec<String> = (0..MACHINES).map(|one| format!("member{one}={}", self::peer(one))).collect();
        let mut command = Command::new("ip");
        command.args(Room::enter(member)).arg("etcd").args(["--name", &name]);
        command.arg("--data-dir").arg(self.directory.join(&name));
        command.args(["--listen-client-urls", &door(member), "--advertise-client-urls", &door(member)]);
        command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
        command.args(["--initial-cluster", &all.join(",")]);
        let started = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(output).spawn();
        self.members[member] = Some(started.map_err(|source| Error::Start { command: "etcd".into(), source })?);
        Ok(())
    }

    /// Pulls the cable of a member, or plugs it in.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn plug(&self, member: usize, plugged: bool) -> Result<(), Error> {
        Room::plug(member, plugged)
    }

    /// Cuts a member off from the others, while its clients still reach it; or ends that.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn isolate(&self, member: usize, isolated: bool) -> Result<(), Error> {
        (0..MACHINES).filter(|other| *other != member).try_for_each(|other| Room::part(member, other, isolated))
    }

    /// Parts every member from every other, while their clients still reach them; or ends that.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn scatter(&self, scattered: bool) -> Result<(), Error> {
        let mut pairs = (0..MACHINES).flat_map(|one| (0..one).map(move |other| (one, other)));
        pairs.try_for_each(|(one, other)| Room::part(one, other, scattered))
    }

    /// Who leads, as the first of the members says that knows a leader.
    pub fn leader(&self) -> Option<usize> {
        let told: Vec<(usize, Value)> = (0..MACHINES).filter_map(|member| Some((member, status(member)?))).collect();
        let leader = told.iter().find_map(|(_, status)| status["leader"].as_str().filter(|leader| *leader != "0"))?;
        told.iter().find(|(_, status)| status["header"]["member_id"] == leader).map(|(member, _)| *member)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        (0..MACHINES).for_each(|member| self.kill(member));
    }
}

fn door(member: usize) -> String {
    format!("http://{}:2379", room::address(member))
}

fn peer(member: usize) -> String {
    format!("http://{}:2380", room::address(member))
}

/// What a member says of itself; nothing where it does not answer.
fn status(member: usize) -> Option<Value> {
    let address: SocketAddr = format!("{}:2379", room::address(member)).parse().ok()?;
    let mut stream = TcpStream::connect_timeout(&address, QUESTION).ok()?;
    stream.set_read_timeout(Some(QUESTION)).ok()?;
    stream.write_all(b"POST /v3/maintenance/status HTTP/1.0\r\nHost: etcd\r\nContent-Length: 2\r\n\r\n{}").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()
}
