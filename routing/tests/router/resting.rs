//! Channels, keys and models that rest, and how they come back.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::ChannelId;
use relay::RelayError;
use routing::{Part, Probe, State, probe};
use testkit::provider::Script;
use tokio_util::sync::CancellationToken;

use crate::house::{House, PATIENCE, limits_for, refuses};

#[tokio::test]
async fn a_channel_that_asks_for_a_pause_gets_it() {
    let house = House::start(2, &[]).await;
    house.upstream(0).enqueue(limits_for(30));
    for _ in 0..3 {
        assert_eq!(house.ask().await.unwrap().1, 1);
    }
    assert_eq!(house.received(), [1, 3]);
}

#[tokio::test]
async fn where_nobody_is_well_the_answer_says_why_and_when_to_come_again() {
    let house = House::start(2, &["k"]).await;
    for channel in 0..2 {
        house.upstream(channel).enqueue(limits_for(20 + 10 * u32::try_from(channel).unwrap()));
    }
    assert_eq!(house.ask().await.unwrap_err().code(), "upstream_rate_limited");
    let RelayError::NoHealthyChannel { reasons, retry_after } = house.ask().await.unwrap_err() else {
        panic!("nobody can be asked")
    };
    assert_eq!(reasons, "place 0: its key was refused or limited; place 1: its key was refused or limited");
    let retry_after = retry_after.unwrap();
    assert!(retry_after > Duration::from_secs(10) && retry_after <= Duration::from_secs(23), "{retry_after:?}");
    assert_eq!(house.received(), [1, 1], "nobody was disturbed");
}

#[tokio::test]
async fn a_dead_key_is_replaced_by_the_next_one_in_the_same_request_and_never_used_again() {
    let house = House::start(1, &["first", "second"]).await;
    let mut changes = house.router.changes();
    house.upstream(0).enqueue(refuses(401, "invalid_api_key"));
    for _ in 0..5 {
        house.ask().await.unwrap();
    }
    let keys: Vec<_> = house.upstream(0).requests().into_iter().map(|request| request.authorization.unwrap()).collect();
    let dead = keys[0].trim_start_matches("Bearer ").to_owned();
    assert_eq!(keys.iter().filter(|key| key.ends_with(&dead)).count(), 1, "{keys:?}");
    let change = changes.recv().await.unwrap();
    assert_eq!((change.part, change.to, change.cause), (Part::Key { name: dead }, State::Dead, "upstream_refused"));
}

#[tokio::test]
async fn a_bare_401_kills_no_key() {
    let house = House::start(1, &["only"]).await;
    house.upstream(0).enqueue(Script::fails(401, "<html>Unauthorized</html>"));
    assert!(house.ask().await.is_ok(), "the next try goes well");
    assert_eq!(house.router.ill(), []);
}

#[tokio::test]
async fn a_model_that_is_not_there_rests_alone() {
    let mut house = House::start(2, &[]).await;
    house.upstream(0).enqueue(refuses(404, "model_not_found"));
    assert_eq!(house.ask().await.unwrap().1, 1);
    assert_eq!(house.ask().await.unwrap().1, 1);
    house.channels[0].candidate.model = "another".into();
    assert_eq!(house.ask().await.unwrap().1, 0);
}

#[tokio::test]
async fn after_its_rest_a_channel_is_tried_and_trusted_again() {
    let house = House::start(1, &[]).await;
    for _ in 0..3 {
        house.upstream(0).enqueue(Script::default().chunk("half").cut());
        assert!(house.ask().await.is_err());
    }
    assert_eq!(house.ask().await.unwrap_err().code(), "no_healthy_channel");
    tokio::time::timeout(PATIENCE, async {
        while house.ask().await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .expect("it comes back");
    house.ask().await.unwrap();
    assert_eq!(house.router.ill(), []);
    assert_eq!(house.received(), [5], "while it rested nobody disturbed it");
}

/// Asks for the list of models, as the executable does.
struct ByList(Vec<(ChannelId, String)>);

#[async_trait]
impl Probe for ByList {
    async fn probe(&self, channel: ChannelId, _: &Part) -> Option<Result<(), RelayError>> {
        let (_, base_url) = self.0.iter().find(|(id, _)| *id == channel)?;
        let address = base_url.trim_start_matches("http://").trim_end_matches("/v1");
        let reached = tokio::net::TcpStream::connect(address).await;
        Some(
            reached
                .map(drop)
                .map_err(|_| RelayError::UpstreamUnavailable { reason: "it is away".into(), retry_after: None }),
        )
    }
}

#[tokio::test]
async fn probes_bring_a_channel_back_without_a_request() {
    let house = House::start(1, &[]).await;
    for _ in 0..3 {
        house.upstream(0).enqueue(Script::default().chunk("half").cut());
        assert!(house.ask().await.is_err());
    }
    let by = ByList(vec![(house.channels[0].id, house.upstream(0).base_url().to_owned())]);
    let cancel = CancellationToken::new();
    let probing = tokio::spawn(probe(Arc::clone(&house.router), Arc::new(by), cancel.clone()));
    tokio::time::timeout(PATIENCE, async {
        while !house.router.ill().is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .expect("the probes bring it back");
    assert_eq!(house.received(), [3]);
    cancel.cancel();
    probing.await.unwrap();
}

#[tokio::test]
async fn a_channel_that_is_still_away_rests_longer_after_each_probe() {
    let house = House::start(1, &[]).await;
    for _ in 0..3 {
        house.upstream(0).enqueue(Script::default().chunk("half").cut());
        assert!(house.ask().await.is_err());
    }
    let by = ByList(vec![(house.channels[0].id, "http://127.0.0.1:1/v1".to_owned())]);
    let mut changes = house.router.changes();
    let cancel = CancellationToken::new();
    let probing = tokio::spawn(probe(Arc::clone(&house.router), Arc::new(by), cancel.clone()));
    let mut opened = vec![];
    while opened.len() < 2 {
        let change = tokio::time::timeout(PATIENCE, changes.recv()).await.expect("it is probed").unwrap();
        if matches!(change.to, State::Open { .. }) {
            opened.push(change.opened);
        }
    }
    assert_eq!(opened, [2, 3]);
    cancel.cancel();
    probing.await.unwrap();
}
