//! A real etcd of one member for one test, on ports of its own.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    path::Path,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use super::{EtcdOptions, within};
use crate::{
    conformance,
    etcd::{
        client::Client,
        wire::{DeleteRequest, Request, RequestOp, TxnRequest},
    },
};

/// A process that is killed with this value, and its data with it.
pub(super) struct Server {
    directory: TempDir,
    port: u16,
    peer_port: u16,
    secure: bool,
    request_bytes: u32,
    child: Child,
}

/// What etcd takes in one request if nobody says otherwise.
const USUAL_REQUEST: u32 = 3 << 19;

impl Server {
    pub(super) fn start() -> Self {
        Self::start_with(tempfile::tempdir().unwrap(), false, USUAL_REQUEST)
    }

    /// Takes no larger requests than this.
    pub(super) fn start_taking(request_bytes: u32) -> Self {
        Self::start_with(tempfile::tempdir().unwrap(), false, request_bytes)
    }

    /// Asks for certificates: those of the authority `ca.pem` in the directory, showing `server.pem` with `server.key`.
    pub(super) fn start_secure(directory: TempDir) -> Self {
        Self::start_with(directory, true, USUAL_REQUEST)
    }

    fn start_with(directory: TempDir, secure: bool, request_bytes: u32) -> Self {
        let [port, peer_port] = free_ports();
        let child = spawn(directory.path(), port, peer_port, secure, request_bytes);
        Self { directory, port, peer_port, secure, request_bytes, child }
    }

    pub(super) fn endpoint(&self) -> String {
        endpoint(self.port, self.secure)
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Options for a store in here; it compacts nothing, so that a test knows who writes.
    pub(super) fn options(&self) -> EtcdOptions {
        EtcdOptions { compact_every: None, ..EtcdOptions::new([self.endpoint()]) }
    }

    pub(super) fn client(&self) -> Client {
        Client::new(&self.options()).unwrap()
    }

    /// As `kill -9`.
    pub(super) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again with the data that it had.
    pub(super) fn start_again(&mut self) {
        self.child = spawn(self.directory.path(), self.port, self.peer_port, self.secure, self.request_bytes);
    }

    /// As somebody does who begins anew under the same address.
    pub(super) fn lose_data(&self) {
        fs::remove_dir_all(self.directory.path().join("data")).unwrap();
    }

    /// Removes every key.
    pub(super) async fn empty(&self) {
        let delete = DeleteRequest { key: vec![0], range_end: vec![0] };
        let client = self.client();
        within("etcd is emptied", async {
            let step = RequestOp { request: Some(Request::Delete(delete)) };
            let request = TxnRequest { compare: vec![], success: vec![step], failure: vec![] };
            while client.transact(request.clone()).await.is_err() {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        })
        .await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have been killed already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn endpoint(port: u16, secure: bool) -> String {
    let scheme = if secure { "https" } else { "http" };
    format!("{scheme}://127.0.0.1:{port}")
}

fn free_ports() -> [u16; 2] {
    let sockets = [(); 2].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    sockets.map(|socket| socket.local_addr().unwrap().port())
}

fn spawn(directory: &Path, port: u16, peer_port: u16, secure: bool, request_bytes: u32) -> Child {
    let (client, peer) = (endpoint(port, secure), endpoint(peer_port, false));
    let mut command = Command::new(conformance::etcd_program());
    command
        .args(["--name", "test", "--heartbeat-interval", "20", "--election-timeout", "200"])
        .args(["--log-level", "error", "--initial-cluster", &format!("test={peer}")])
        .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
        .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
        .args(["--max-request-bytes", &request_bytes.to_string()])
        .arg("--data-dir")
        .arg(directory.join("data"));
    if secure {
        command.arg("--client-cert-auth").arg("--trusted-ca-file").arg(directory.join("ca.pem"));
        command.arg("--cert-file").arg(directory.join("server.pem"));
        command.arg("--key-file").arg(directory.join("server.key"));
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("etcd starts")
}
