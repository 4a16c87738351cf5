//! Of several processes one acts, and always one.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use essaim_controllers::leader::{Candidate, Timing};
use essaim_testkit::{
    clock::TestClock,
    local_api::{CONTROLLERS, LocalApi},
    wait_until,
};
use http::StatusCode;
use kube::Client;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Who acts at the moment: how many, and who began last.
#[derive(Default)]
struct Acting {
    count: AtomicUsize,
    most: AtomicUsize,
    begun: [AtomicUsize; 2],
}

impl Acting {
    async fn act(&self, who: usize, stop: CancellationToken) {
        let now = self.count.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        self.begun[who].fetch_add(1, Ordering::SeqCst);
        stop.cancelled().await;
        self.count.fetch_sub(1, Ordering::SeqCst);
    }

    async fn begins(&self, who: usize) {
        wait_until("a leader", async || (self.begun[who].load(Ordering::SeqCst) > 0).then_some(())).await;
    }
}

fn campaign(client: Client, who: usize, acting: &Arc<Acting>) -> (JoinSet<()>, CancellationToken) {
    let candidate = Candidate {
        client,
        namespace: "essaim-system".into(),
        lease: "controllers".into(),
        identity: format!("process-{who}"),
        clock: TestClock::going().function(),
        timing: Timing {
            lease: Duration::from_secs(2),
            deadline: Duration::from_secs(1),
            retry: Duration::from_millis(50),
        },
    };
    let (shutdown, acting) = (CancellationToken::new(), acting.clone());
    let token = shutdown.clone();
    let mut campaign = JoinSet::new();
    campaign.spawn(async move {
        candidate.lead(token, |stop| acting.act(who, stop)).await;
    });
    (campaign, shutdown)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_acts_and_the_next_takes_over_when_it_ends() {
    let (api, acting) = (LocalApi::start(TestClock::going()).await, Arc::new(Acting::default()));
    let (first, stop_first) = campaign(api.client(CONTROLLERS), 0, &acting);
    acting.begins(0).await;
    let (second, stop_second) = campaign(api.client(CONTROLLERS), 1, &acting);
    stop_first.cancel();
    first.join_all().await;
    acting.begins(1).await;
    stop_second.cancel();
    second.join_all().await;
    assert_eq!(acting.most.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_cannot_renew_stops_before_another_begins() {
    let (api, acting) = (LocalApi::start(TestClock::going()).await, Arc::new(Acting::default()));
    let (first, stop_first) = campaign(api.client(CONTROLLERS), 0, &acting);
    acting.begins(0).await;
    let (second, stop_second) = campaign(api.admin(), 1, &acting);
    api.refuse(Some(|_, path| path.contains("/leases").then_some(StatusCode::SERVICE_UNAVAILABLE)));
    acting.begins(1).await;
    assert_eq!((acting.count.load(Ordering::SeqCst), acting.most.load(Ordering::SeqCst)), (1, 1));
    stop_first.cancel();
    stop_second.cancel();
    first.join_all().await;
    second.join_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_dies_is_replaced_when_its_lease_runs_out() {
    let (api, acting) = (LocalApi::start(TestClock::going()).await, Arc::new(Acting::default()));
    let (first, _) = campaign(api.client(CONTROLLERS), 0, &acting);
    acting.begins(0).await;
    drop(first);
    let (second, stop_second) = campaign(api.client(CONTROLLERS), 1, &acting);
    acting.begins(1).await;
    stop_second.cancel();
    second.join_all().await;
}
