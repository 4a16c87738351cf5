//! The one door to etcd: calls with a time limit, to the member that answers.
//!
//! Invariant: a write is sent once. Only when its connection could not even be made is another member tried.

use std::{
    future::Future,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use futures::{StreamExt as _, stream};
use http::uri::PathAndQuery;
use prost::Message;
use tokio::time::timeout;
use tonic::{
    Request, Status, Streaming,
    client::Grpc,
    metadata::MetadataValue,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};
use tonic_prost::ProstCodec;

use super::{
    fault::Fault,
    options::EtcdOptions,
    wire::{
        CompactionRequest, CompactionResponse, PutRequest, PutResponse, RangeRequest, RangeResponse, StatusRequest,
        StatusResponse, TxnRequest, TxnResponse, WatchCreateRequest, WatchRequest, WatchResponse,
    },
};
use crate::model::Error;

/// No call takes longer.
pub(super) const LIMIT: Duration = Duration::from_secs(5);
/// How long a connection may take to come about, so that there is time left for another member.
const CONNECTING: Duration = Duration::from_secs(2);
/// How often a silent connection is tried, and how long it may then stay silent. etcd closes connections that are tried
/// more often than every five seconds.
const KEEP_ALIVE: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(5));
/// A page of large values may come; the protocol's own bound of 4 MiB is less than three of them.
const ANSWER_BYTES: usize = 1 << 30;

/// All members, of which one is used at a time.
pub(super) struct Client {
    members: Vec<Channel>,
    current: AtomicUsize,
}

impl Client {
    /// Connects to nobody yet.
    pub(super) fn new(options: &EtcdOptions) -> Result<Self, Error> {
        if options.endpoints.is_empty() {
            return Err(Error::Invalid("no endpoint of etcd is named".to_owned()));
        }
        let members = options.endpoints.iter().map(|endpoint| channel(endpoint, options)).collect::<Result<_, _>>()?;
        Ok(Self { members, current: AtomicUsize::new(0) })
    }

    /// Refuses what cannot split a large answer of a watch.
    pub(super) async fn check_version(&self) -> Result<(), Fault> {
        let status: StatusResponse = self.ask("/etcdserverpb.Maintenance/Status", StatusRequest {}).await?;
        let mut numbers = status.version.split('.').map(|number| number.parse::<u32>().unwrap_or(0));
        if (numbers.next(), numbers.next()) < (Some(3), Some(4)) {
            return Err(Fault::TooOld { version: status.version });
        }
        Ok(())
    }

    pub(super) async fn range(&self, request: RangeRequest) -> Result<RangeResponse, Fault> {
        self.ask("/etcdserverpb.KV/Range", request).await
    }

    /// Puts an empty value and says at which of its revisions. May happen twice, so it is not for objects.
    pub(super) async fn touch(&self, key: &str) -> Result<i64, Fault> {
        let request = PutRequest { key: key.into(), value: Vec::new() };
        let response: PutResponse = self.ask("/etcdserverpb.KV/Put", request).await?;
        Ok(response.header.ok_or(Fault::Malformed { what: "header" })?.revision)
    }

    pub(super) async fn transact(&self, request: TxnRequest) -> Result<TxnResponse, Fault> {
        self.tell("/etcdserverpb.KV/Txn", request).await
    }

    pub(super) async fn compact(&self, request: CompactionRequest) -> Result<CompactionResponse, Fault> {
        self.tell("/etcdserverpb.KV/Compact", request).await
    }

    /// Opens a watch. It ends with an error when the member has no leader or the connection falls silent.
    pub(super) async fn watch(&self, create: WatchCreateRequest) -> Result<Streaming<WatchResponse>, Fault> {
        let at = self.current.load(Ordering::Relaxed);
        let opening = async {
            let mut grpc = self.grpc(at).await?;
            let begin = stream::once(async { WatchRequest { create: Some(create) } });
            // The stream of requests stays open: its end would end the watch.
            let mut request = Request::new(begin.chain(stream::pending()));
            request.metadata_mut().insert("hasleader", MetadataValue::from_static("true"));
            let path = PathAndQuery::from_static("/etcdserverpb.Watch/Watch");
            let codec = ProstCodec::<WatchRequest, WatchResponse>::default();
            Ok(grpc.streaming(request, path, codec).await?.into_inner())
        };
        self.limited(at, opening).await
    }

    /// The next time another member is used, unless that was decided already.
    pub(super) fn leave_member(&self) {
        self.leave(self.current.load(Ordering::Relaxed));
    }

    /// Asks what may be asked more than once: every member in turn, until one answers.
    async fn ask<Q, A>(&self, path: &'static str, request: Q) -> Result<A, Fault>
    where
        Q: Message + Clone + 'static,
        A: Message + Default + 'static,
    {
        self.turn(path, request, Fault::is_of_the_member).await
    }

    /// Asks what may happen once: another member only if the request certainly was not sent.
    async fn tell<Q, A>(&self, path: &'static str, request: Q) -> Result<A, Fault>
    where
        Q: Message + Clone + 'static,
        A: Message + Default + 'static,
    {
        self.turn(path, request, Fault::is_unsent).await
    }

    async fn turn<Q, A>(&self, path: &'static str, request: Q, goes_on: fn(&Fault) -> bool) -> Result<A, Fault>
    where
        Q: Message + Clone + 'static,
        A: Message + Default + 'static,
    {
        let turns = async {
            for _ in 1..self.members.len() {
                match self.once(path, request.clone()).await {
                    Err(fault) if goes_on(&fault) => {}
                    outcome => return outcome,
                }
            }
            self.once(path, request).await
        };
        timeout(LIMIT, turns).await.unwrap_or(Err(Fault::TimedOut))
    }

    async fn once<Q, A>(&self, path: &'static str, request: Q) -> Result<A, Fault>
    where
        Q: Message + Clone + 'static,
        A: Message + Default + 'static,
    {
        let at = self.current.load(Ordering::Relaxed);
        let call = async {
            let mut request = Request::new(request);
            request.set_timeout(LIMIT);
            let codec = ProstCodec::<Q, A>::default();
            let response = self.grpc(at).await?.unary(request, PathAndQuery::from_static(path), codec).await?;
            Ok(response.into_inner())
        };
        self.limited(at, call).await
    }

    async fn limited<T>(&self, at: usize, call: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
        let outcome = timeout(LIMIT, call).await.unwrap_or(Err(Fault::TimedOut));
        if outcome.as_ref().is_err_and(Fault::is_of_the_member) {
            self.leave(at);
        }
        outcome
    }

    fn leave(&self, at: usize) {
        let next = (at + 1) % self.members.len();
        // Whoever comes second finds that it was done.
        let _ = self.current.compare_exchange(at, next, Ordering::Relaxed, Ordering::Relaxed);
    }

    async fn grpc(&self, at: usize) -> Result<Grpc<Channel>, Fault> {
        let mut grpc = Grpc::new(self.members[at].clone()).max_decoding_message_size(ANSWER_BYTES);
        grpc.ready().await.map_err(|error| Status::from_error(Box::new(error)))?;
        Ok(grpc)
    }
}

fn channel(endpoint: &str, options: &EtcdOptions) -> Result<Channel, Error> {
    let wrong = |error: tonic::transport::Error| Error::Engine {
        operation: "use the endpoint of etcd as it is configured",
        source: Box::new(error),
    };
    let secure = endpoint.starts_with("https://");
    if !(secure || endpoint.starts_with("http://")) {
        return Err(Error::Invalid(format!("the endpoint {endpoint} begins with neither http:// nor https://")));
    }
    let (interval, patience) = KEEP_ALIVE;
    let builder = Endpoint::from_shared(endpoint.to_owned()).map_err(wrong)?;
    let builder = builder
        .connect_timeout(CONNECTING)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(interval)
        .keep_alive_timeout(patience)
        .keep_alive_while_idle(true);
    let builder = match &options.tls {
        Some(tls) if secure => {
            let mut config = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&tls.authorities));
            if let Some((certificate, key)) = &tls.identity {
                config = config.identity(Identity::from_pem(certificate, key));
            }
            if let Some(name) = &tls.name {
                config = config.domain_name(name);
            }
            builder.tls_config(config).map_err(wrong)?
        }
        None if !secure => builder,
        Some(_) => return Err(Error::Invalid(format!("the endpoint {endpoint} is not https, but TLS is configured"))),
        None => return Err(Error::Invalid(format!("the endpoint {endpoint} is https, but no authority is trusted"))),
    };
    Ok(builder.connect_lazy())
}
