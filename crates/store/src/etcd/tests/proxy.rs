//! A wire that can be cut, or made to swallow what etcd says.

use std::net::Ipv4Addr;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinSet,
};

use super::EtcdOptions;

/// What the wire does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wire {
    Whole,
    /// Etcd hears everything and is not heard.
    Swallowing,
    /// Connections are refused, those that were made are gone.
    Cut,
}

/// Forwards connections while it lives.
pub(super) struct Proxy {
    port: u16,
    wire: watch::Sender<Wire>,
    _task: JoinSet<()>,
}

impl Proxy {
    pub(super) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let (wire, state) = watch::channel(Wire::Whole);
        let own = listener.local_addr().unwrap().port();
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let near = listener.accept().await.unwrap().0;
                if *state.borrow() == Wire::Cut {
                    continue;
                }
                let Ok(far) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await else { continue };
                let (near_read, near_write) = near.into_split();
                let (far_read, far_write) = far.into_split();
                connections.spawn(forward(near_read, far_write, state.clone(), false));
                connections.spawn(forward(far_read, near_write, state.clone(), true));
            }
        });
        Self { port: own, wire, _task: task }
    }

    pub(super) fn set(&self, wire: Wire) {
        self.wire.send_replace(wire);
    }

    pub(super) fn options(&self) -> EtcdOptions {
        EtcdOptions { compact_every: None, ..EtcdOptions::new([format!("http://127.0.0.1:{}", self.port)]) }
    }
}

async fn forward(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, state: watch::Receiver<Wire>, answers: bool) {
    let mut cuts = state.clone();
    let mut buffer = vec![0; 64 << 10];
    let forwarding = async {
        while let Ok(count @ 1..) = from.read(&mut buffer).await {
            let swallowed = answers && *state.borrow() == Wire::Swallowing;
            if !swallowed && to.write_all(&buffer[..count]).await.is_err() {
                return;
            }
        }
    };
    let cut = async { drop(cuts.wait_for(|wire| *wire == Wire::Cut).await) };
    tokio::select! {
        () = forwarding => {}
        () = cut => {}
    }
}
