//! What whoever opens a store in etcd may choose, and what is chosen otherwise.

use std::{fmt, sync::Arc, time::Duration};

use crate::{
    embedded::{Clock, system_clock},
    memory::Retention,
};

/// How the etcd engine behaves.
#[derive(Clone)]
pub struct EtcdOptions {
    /// The members, as `http://host:2379` or, with `tls`, `https://host:2379`. The first that answers is used, and the next
    /// one when it does not any more.
    pub endpoints: Vec<String>,
    /// Needed for `https`.
    pub tls: Option<EtcdTls>,
    /// All keys begin with this; empty, or ending with `/`. What else etcd holds is neither read nor written.
    pub prefix: String,
    /// What is kept of the past in memory. Opening a store brings back what etcd was not told to forget.
    pub retention: Retention,
    /// How often etcd is told to forget what was the newest revision that long ago, so that it keeps between once and
    /// twice this. However many processes do this, it happens once. `None` leaves it to etcd (`--auto-compaction-retention`).
    pub compact_every: Option<Duration>,
    /// The time, which only decides how old a change is.
    pub clock: Clock,
}

/// Who is trusted and who we are, as PEM.
#[derive(Clone)]
pub struct EtcdTls {
    /// Certificates of the authorities that may have signed the members' certificates.
    pub authorities: Vec<u8>,
    /// Our certificate and its private key; `None` if etcd does not ask for one.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
    /// The name in the members' certificates, where it is not that of the endpoint.
    pub name: Option<String>,
}

impl EtcdOptions {
    /// The members of a cluster, and what a Kubernetes API server does otherwise.
    pub fn new(endpoints: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            endpoints: endpoints.into_iter().map(Into::into).collect(),
            tls: None,
            prefix: "/registry/".to_owned(),
            retention: Retention::default(),
            compact_every: Some(Duration::from_mins(5)),
            clock: Arc::new(system_clock),
        }
    }
}

impl fmt::Debug for EtcdOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { endpoints, tls, prefix, retention, compact_every, clock: _ } = self;
        f.debug_struct("EtcdOptions")
            .field("endpoints", endpoints)
            .field("tls", tls)
            .field("prefix", prefix)
            .field("retention", retention)
            .field("compact_every", compact_every)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for EtcdTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { authorities: _, identity, name } = self;
        // The key must not reach a log.
        f.debug_struct("EtcdTls").field("identity", &identity.is_some()).field("name", name).finish_non_exhaustive()
    }
}
