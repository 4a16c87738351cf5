//! The contract, on the fake; `real.rs` holds a real Swarm to the same.

use essaim_backend::swarm::Owner;
use essaim_swarm::{Options, Swarm};
use essaim_testkit::{
    fake_swarm::{FakeOptions, FakeSwarm},
    swarm_contract::{self, Site},
};
use jiff::Timestamp;

const PREFIX: &str = "zz-essaim-contract";

#[expect(clippy::disallowed_methods, reason = "the test is its own composition root")]
fn options() -> Options {
    Options::new(Timestamp::now, |owner: &Owner| swarm_contract::service_name(PREFIX, owner))
}

#[tokio::test]
async fn the_contract_holds_on_the_fake() {
    let fake =
        FakeSwarm::start(FakeOptions { missing_paths: vec!["/shared/nonesuch".into()], ..FakeOptions::default() })
            .await
            .unwrap();
    let swarm = Swarm::connect(Some(&fake.url()), options()).unwrap();
    let site = Site { image: "busybox:1", network: "essaim", directory: "/shared", prefix: PREFIX, hands: &fake };
    swarm_contract::run(&swarm, &site).await;
    assert_eq!(fake.most_containers(), 1);
    assert_eq!(fake.service_names().len() + fake.secret_names().len(), 0);
    assert_eq!(fake.requests().of("other"), 0);
}
