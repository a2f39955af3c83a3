//! Two nodes on a real NATS.

use std::sync::Arc;
use std::time::Duration;

use routing::{Part, Router, ShareOptions, State, share};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::house::{House, PATIENCE, limits_for, quick, refuses};

/// Shares what `router` knows until the guard is dropped.
fn sharing(router: &Arc<Router>, client: &async_nats::Client) -> DropGuard {
    let cancel = CancellationToken::new();
    let options = ShareOptions {
        heartbeat: Duration::from_millis(200),
        again_after: Duration::from_millis(100),
        ..ShareOptions::default()
    };
    tokio::spawn(share(Arc::clone(router), client.clone(), options, cancel.clone()));
    cancel.drop_guard()
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("{what}"));
}

#[tokio::test]
async fn what_one_node_learns_the_other_knows() {
    let nats = testkit::nats().await;
    let house = House::start(1, &["k", "l"]).await;
    let other = Router::new(quick());
    let _guards = [sharing(&house.router, &nats.client), sharing(&other, &nats.client)];
    house.upstream(0).enqueue(limits_for(30));
    house.upstream(0).enqueue(refuses(401, "invalid_api_key"));
    assert!(house.ask().await.is_err());
    until("the other node hears of both keys", || other.ill().len() == 2).await;
    let state = |name: &str| other.state(house.channels[0].id, &Part::Key { name: name.into() });
    let states = [state("k"), state("l")];
    assert!(
        states.contains(&State::Dead) && states.iter().any(|state| matches!(state, State::Open { .. })),
        "{states:?}"
    );
    let shared = House { router: Arc::clone(&other), ..house };
    assert_eq!(shared.ask().await.unwrap_err().code(), "no_healthy_channel");
    assert_eq!(shared.received(), [2], "the other node did not have to find out");
}

#[tokio::test]
async fn a_node_that_starts_later_catches_up_and_hears_when_a_channel_is_well_again() {
    let nats = testkit::nats().await;
    let house = House::start(1, &[]).await;
    let _guard = sharing(&house.router, &nats.client);
    house.upstream(0).enqueue(limits_for(1));
    assert!(house.begin().await.is_ok(), "it waits as long as it was told and is answered");
    let late = Router::new(quick());
    let _late_guard = sharing(&late, &nats.client);
    for _ in 0..3 {
        house.ask().await.unwrap();
    }
    until("the late node knows that all are well", || late.ill().is_empty()).await;
}

#[tokio::test]
async fn a_node_without_nats_works_alone_and_tells_what_it_saw_when_nats_is_back() {
    let mut nats = testkit::nats().await;
    let house = House::start(2, &[]).await;
    let other = Router::new(quick());
    let _guards = [sharing(&house.router, &nats.client), sharing(&other, &nats.client)];
    nats.kill().await;
    house.upstream(0).enqueue(limits_for(60));
    assert_eq!(house.ask().await.unwrap().1, 1);
    assert_eq!(house.ask().await.unwrap().1, 1);
    nats.start_again().await;
    until("it is told", || other.ill().len() == 1).await;
}

#[tokio::test]
async fn nodes_that_are_there_share_a_limit() {
    let nats = testkit::nats().await;
    let mut house = House::start(1, &[]).await;
    house.channels[0].candidate.limits.requests_per_minute = Some(4);
    let other = Router::new(quick());
    let _guards = [sharing(&house.router, &nats.client), sharing(&other, &nats.client)];
    until("they hear of each other", || house.router.nodes() == 2).await;
    let mut asked = 0;
    while house.ask().await.is_ok() {
        asked += 1;
    }
    assert_eq!(asked, 2, "half of four");
}

#[tokio::test]
async fn nodes_of_an_installation_share_what_they_know_under_the_permissions_of_production() {
    let nats = testkit::production_nats().await;
    let (here, there) = (nats.connect("app").await, nats.connect("app").await);
    let house = House::start(1, &["k"]).await;
    let other = Router::new(quick());
    let _guards = [sharing(&house.router, &here), sharing(&other, &there)];
    house.upstream(0).enqueue(refuses(401, "invalid_api_key"));
    assert!(house.ask().await.is_err());
    let key = Part::Key { name: "k".into() };
    until("the other node hears of the key", || other.state(house.channels[0].id, &key) == State::Dead).await;
    until("both know of each other", || house.router.nodes() == 2 && other.nodes() == 2).await;
    house.router.resume(house.channels[0].id, "k");
    until("and that it works again", || other.state(house.channels[0].id, &key) == State::Closed).await;

    // Whoever only reads events has no business there.
    let stranger = async_nats::jetstream::new(nats.connect("subscriber").await);
    assert!(stranger.get_key_value("routing").await.is_err());
    let publisher = nats.connect("publisher").await;
    publisher.publish("$KV.routing.node.1", "forged".into()).await.unwrap();
    publisher.flush().await.unwrap();
    let bucket = async_nats::jetstream::new(here).get_key_value("routing").await.unwrap();
    assert!(bucket.get("node.1").await.unwrap().is_none(), "the publisher publishes events");
}
