//! What becomes of commands when a commit is not answered, and when the committer itself falls.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use domain::{Decider, users::DeviceEvent};
use handlers::{Bus, BusError, GroupOptions, cache::AggregateCache, dispatch::One};
use nats::CommandMessage;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    groups::{Plug, bus_with, done, hot_wallets, new_hold},
    money::{CALL, appended, grant},
    support::{CommandSide, new_user},
};

#[tokio::test]
async fn a_commit_without_an_answer_in_time_is_unknown_and_the_next_delivery_finds_out() {
    let side = CommandSide::start().await;
    let time_limit = Duration::from_millis(500);
    let bus = bus_with(&side, GroupOptions { groups_in_flight: 1, time_limit, ..GroupOptions::default() });
    let owner = hot_wallets(&bus, 1).await[0];
    let message = grant(owner, CALL);
    let plug = Plug::put(&side, &bus, &message).await;
    // While the database still thinks about it, others are served.
    tokio::time::sleep(time_limit * 2).await;
    assert_eq!(appended(&done(&bus, &new_hold(owner)).await), ["wallet.held"]);
    assert!(matches!(plug.pull().await, Err(BusError::Unavailable(_))));
    assert_eq!(appended(&done(&bus, &message).await), ["wallet.granted"], "whichever of the two was first");
    let granted: i64 = sqlx::query_scalar("SELECT count(*) FROM events WHERE event_type = 'wallet.granted'")
        .fetch_one(&side.database.pool)
        .await
        .unwrap();
    assert_eq!(granted, 2, "the gift before, and this one once");
}

/// An aggregate that takes the committer with it, once, when it is forgotten after a decision.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
struct Bomb;

static LIT: AtomicBool = AtomicBool::new(false);
static ARMED: AtomicBool = AtomicBool::new(false);

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(!ARMED.swap(false, Ordering::SeqCst), "the bomb goes off");
    }
}

impl Decider for Bomb {
    const CAPABILITY: &'static str = "test";
    const TYPE: &'static str = "bomb";
    type Command = ();
    type Event = DeviceEvent;
    type Refusal = domain::users::DeviceRefusal;

    fn decide(&self, (): ()) -> Result<Vec<DeviceEvent>, Self::Refusal> {
        ARMED.store(!LIT.swap(true, Ordering::SeqCst), Ordering::SeqCst);
        Ok(vec![DeviceEvent::SignedOut { at: chrono::DateTime::UNIX_EPOCH }])
    }

    fn apply(&mut self, _: DeviceEvent) {}
}

#[tokio::test]
async fn a_committer_that_panics_begins_anew_and_what_it_had_committed_is_found() {
    let side = CommandSide::start().await;
    // So little memory that whatever comes back from a commit is forgotten at once.
    let bus = Bus::new(side.store.clone(), AggregateCache::new(1), side.nats.client.clone());
    let message = CommandMessage::new(("test", Bomb::TYPE, "light"), "one", "user:1", json!(null));
    let light = async || bus.execute(Arc::new(One::<Bomb>::default()), message.clone()).await;
    assert!(matches!(light().await, Err(BusError::Unavailable(_))), "it fell after its commit, before its answer");
    assert_eq!(appended(&light().await.unwrap()), ["device.signed_out"]);
    assert_eq!(side.count("events").await, 1, "once in effect");
    assert_eq!(appended(&done(&bus, &grant(new_user(), CALL)).await), ["wallet.granted"]);
}
