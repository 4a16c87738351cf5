//! One of several processes acts: the one that holds a Lease.
//!
//! As every Kubernetes controller does it, with its times: whoever holds the Lease renews it; the others watch it stand still for as long as
//! it says, by their own clock, and then take it. Clocks of different machines are never compared.
//!
//! A process that cannot renew stops its work before the Lease runs out, so that two do not act at once. A call that is already on its way to
//! the outside is not called back; what it does is found and judged by the next pass, whoever makes it.

use std::time::Duration;

use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::{
    Api, Client, ResourceExt as _,
    api::{ObjectMeta, PostParams},
};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::Clock;

/// How long everything takes.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// How long a Lease holds without being renewed; whole seconds.
    pub lease: Duration,
    /// Whoever could not renew for so long gives up. The rest of the Lease is for passes under way to end.
    pub deadline: Duration,
    /// Between two tries to renew or to take.
    pub retry: Duration,
}

impl Default for Timing {
    /// Those of Kubernetes' own controllers.
    fn default() -> Self {
        Self { lease: Duration::from_secs(15), deadline: Duration::from_secs(10), retry: Duration::from_secs(2) }
    }
}

/// A process that would act.
pub struct Candidate {
    /// The API, with the right to `get`, `create` and `update` the Lease.
    pub client: Client,
    /// Where the Lease is.
    pub namespace: String,
    /// The name of the Lease.
    pub lease: String,
    /// Tells processes apart; never used by two.
    pub identity: String,
    /// For the times that the Lease shows; nothing is decided by them.
    pub clock: Clock,
    /// How long everything takes.
    pub timing: Timing,
}

/// The Lease as it was last seen to change.
struct Observed {
    revision: Option<String>,
    since: Instant,
}

impl Candidate {
    /// Runs the work whenever this process leads, until the token is cancelled. `work` ends soon after its own token is.
    ///
    /// An API that does not answer is tried again.
    pub async fn lead<Work>(&self, shutdown: CancellationToken, work: impl Fn(CancellationToken) -> Work + Send + Sync)
    where
        Work: Future<Output = ()> + Send,
    {
        let mut observed = Observed { revision: None, since: Instant::now() };
        while !shutdown.is_cancelled() {
            let asked = Instant::now();
            let taken = tokio::select! {
                taken = timeout(self.timing.deadline, self.take(&mut observed)) => taken,
                () = shutdown.cancelled() => return,
            };
            match taken {
                Ok(Ok(true)) => {
                    tracing::info!(lease = self.lease, identity = self.identity, "leading");
                    self.work_while_leading(asked, &shutdown, &work).await;
                }
                Ok(Ok(false)) => {}
                Ok(Err(error)) => tracing::warn!(%error, lease = self.lease, "cannot see who leads"),
                Err(_) => tracing::warn!(lease = self.lease, "the API does not say who leads"),
            }
            tokio::select! {
                () = sleep(self.timing.retry) => {}
                () = shutdown.cancelled() => {}
            }
        }
    }

    async fn work_while_leading<Work>(
        &self,
        taken: Instant,
        shutdown: &CancellationToken,
        work: impl FnOnce(CancellationToken) -> Work + Send,
    ) where
        Work: Future<Output = ()> + Send,
    {
        let stop = shutdown.child_token();
        let renewing = async {
            self.renew_from(taken, &stop).await;
            stop.cancel();
        };
        tokio::join!(work(stop.clone()), renewing);
        if shutdown.is_cancelled() {
            self.release().await;
        } else {
            tracing::warn!(lease = self.lease, "stopped acting: the lease could not be renewed");
        }
    }

    /// Renews; ends when the token is cancelled, somebody else holds the Lease, or nothing could be renewed for too long.
    ///
    /// `renewed` is when the last write was asked for, not when it was answered: the others count from the write, which lies between.
    async fn renew_from(&self, mut renewed: Instant, stop: &CancellationToken) {
        loop {
            tokio::select! {
                () = sleep(self.timing.retry) => {}
                () = stop.cancelled() => return,
            }
            let asked = Instant::now();
            let left = self.timing.deadline.saturating_sub(renewed.elapsed());
            match timeout(left, self.renew()).await {
                Ok(Ok(true)) => renewed = asked,
                Ok(Ok(false)) => return,
                Ok(Err(error)) => tracing::warn!(%error, lease = self.lease, "cannot renew the lease"),
                Err(_) => {}
            }
            if renewed.elapsed() >= self.timing.deadline {
                return;
            }
        }
    }

    /// Takes the Lease if it is free, ours, or has stood still for as long as it holds.
    async fn take(&self, observed: &mut Observed) -> kube::Result<bool> {
        let Some(lease) = self.api().get_opt(&self.lease).await? else {
            let mut lease =
                Lease { metadata: ObjectMeta { name: Some(self.lease.clone()), ..ObjectMeta::default() }, spec: None };
            self.fill(&mut lease);
            return won(self.api().create(&PostParams::default(), &lease).await);
        };
        if observed.revision != lease.resource_version() {
            *observed = Observed { revision: lease.resource_version(), since: Instant::now() };
        }
        let spec = lease.spec.clone().unwrap_or_default();
        let holder = spec.holder_identity.unwrap_or_default();
        let holds = spec
            .lease_duration_seconds
            .map_or(self.timing.lease, |seconds| Duration::from_secs(seconds.max(0).unsigned_abs().into()));
        if !holder.is_empty() && holder != self.identity && observed.since.elapsed() < holds {
            return Ok(false);
        }
        self.write(lease).await
    }

    /// Renews the Lease if it is still ours.
    async fn renew(&self) -> kube::Result<bool> {
        let lease = self.api().get(&self.lease).await?;
        let holder = lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref());
        if holder == Some(&self.identity) { self.write(lease).await } else { Ok(false) }
    }

    /// Gives the Lease up, so that the next one need not wait. If that fails it runs out by itself.
    async fn release(&self) {
        let released = timeout(self.timing.retry, async {
            let mut lease = self.api().get(&self.lease).await?;
            let spec = lease.spec.get_or_insert_default();
            if spec.holder_identity.as_deref() == Some(&self.identity) {
                spec.holder_identity = Some(String::new());
                self.api().replace(&self.lease, &PostParams::default(), &lease).await?;
            }
            Ok::<(), kube::Error>(())
        });
        if !matches!(released.await, Ok(Ok(()))) {
            tracing::info!(lease = self.lease, "the lease was not given up and will run out");
        }
    }

    /// Writes the Lease as ours, on condition that nobody wrote it since it was read.
    async fn write(&self, mut lease: Lease) -> kube::Result<bool> {
        self.fill(&mut lease);
        won(self.api().replace(&self.lease, &PostParams::default(), &lease).await)
    }

    fn fill(&self, lease: &mut Lease) {
        let now = MicroTime((self.clock)());
        let spec: &mut LeaseSpec = lease.spec.get_or_insert_default();
        if spec.holder_identity.as_deref() != Some(&self.identity) {
            spec.acquire_time = Some(now.clone());
            spec.lease_transitions = Some(spec.lease_transitions.unwrap_or(0).saturating_add(1));
        }
        spec.holder_identity = Some(self.identity.clone());
        spec.lease_duration_seconds = i32::try_from(self.timing.lease.as_secs()).ok();
        spec.renew_time = Some(now);
    }

    fn api(&self) -> Api<Lease> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }
}

/// Whether a write went through; one that came second is no error.
fn won(written: kube::Result<Lease>) -> kube::Result<bool> {
    match written {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
        Err(error) => Err(error),
    }
}
