//! A real etcd of one member for one test, on ports of its own.

use std::{
    net::{Ipv4Addr, TcpListener},
    process::{Child, Command, Stdio},
};

use essaim_store::{Error, Etcd, EtcdOptions, Store, conformance::etcd_program};

use super::*;

/// Killed with this value, and its data with it.
pub(super) struct Server {
    _directory: tempfile::TempDir,
    endpoint: String,
    child: Child,
}

impl Server {
    pub(super) fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let sockets = [(); 2].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
        let [endpoint, peer] =
            sockets.each_ref().map(|socket| format!("http://127.0.0.1:{}", socket.local_addr().unwrap().port()));
        drop(sockets);
        let mut command = Command::new(etcd_program());
        command
            .args(["--name", "test", "--log-level", "error", "--initial-cluster", &format!("test={peer}")])
            .args(["--listen-client-urls", &endpoint, "--advertise-client-urls", &endpoint])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .arg("--data-dir")
            .arg(directory.path().join("data"));
        let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Self { _directory: directory, endpoint, child: quiet.spawn().expect("etcd starts") }
    }

    /// The store as one more process would see it.
    pub(super) async fn store(&self) -> Arc<dyn Store> {
        let options = EtcdOptions { compact_every: None, ..EtcdOptions::new([self.endpoint.clone()]) };
        let opened = tokio::time::timeout(Duration::from_mins(1), async {
            loop {
                match Etcd::open(options.clone()).await {
                    Ok(store) => return store,
                    Err(Error::Engine { .. }) => tokio::time::sleep(Duration::from_millis(20)).await,
                    Err(error) => panic!("cannot open the store: {error}"),
                }
            }
        });
        opened.await.expect("etcd answers")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
