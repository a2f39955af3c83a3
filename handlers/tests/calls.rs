//! Calls that are told of over the real bus: each counts once, whatever is sent again and whatever is away meanwhile.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "in tests a panic is the failure report")]

#[path = "support/house.rs"]
mod house;
mod support;

use std::time::Duration;

use domain::{
    CallBatchId, CallId, Decider as _, HoldId, UserId,
    billing::{Purpose, ReleaseReason, WalletEvent},
    relay::{Call, CallBatch, CallBatchCommand, CallBatchEvent, Surface, call::MAX_CALLS},
};
use house::House;
use metering::{Begun, MAX_WAITING, Meter, PayerGroup};
use metrics_exporter_prometheus::PrometheusBuilder;
use nats::{CommandMessage, Outcome, Sent};
use relay::{Basis, Usage};
use support::new_user;
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(30);

fn begun(user: UserId) -> Begun {
    Begun {
        id: CallId::new(Uuid::now_v7()),
        user,
        purpose: Purpose::Api { api_key_id: None },
        surface: Surface::ChatCompletions,
        model: Some("m".to_owned()),
        stream: false,
    }
}

/// Every call in the log, in no order.
async fn recorded(house: &House) -> Vec<Call> {
    let sql = "SELECT payload FROM events WHERE aggregate_type = $1";
    let payloads: Vec<serde_json::Value> =
        sqlx::query_scalar(sql).bind(CallBatch::TYPE).fetch_all(&house.side.database.pool).await.unwrap();
    let calls = |payload| match serde_json::from_value(payload).unwrap() {
        CallBatchEvent::Recorded { calls } => calls,
    };
    payloads.into_iter().flat_map(calls).collect()
}

async fn wait_for(house: &House, count: usize) -> Vec<Call> {
    let waiting = async {
        loop {
            let calls = recorded(house).await;
            if calls.len() >= count {
                return calls;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let calls = tokio::time::timeout(PATIENCE, waiting).await.expect("the calls are told of");
    assert_eq!(calls.len(), count);
    calls
}

fn follow(meter: &Meter, user: UserId, count: usize) {
    for _ in 0..count {
        meter.recorder().follow(begun(user)).completed();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_are_told_of_together_and_all_of_them_at_the_end() {
    let house = House::open().await;
    let (meter, user) = (house.meter(), new_user());
    assert!(meter.recorder().drain(PATIENCE).await, "there is nothing to tell");
    follow(&meter, user, 150);
    assert!(meter.recorder().drain(PATIENCE).await);
    let calls = wait_for(&house, 150).await;
    let ids: std::collections::HashSet<CallId> = calls.iter().map(|call| call.id).collect();
    assert_eq!(ids.len(), 150);
    let sql = "SELECT count(*) FROM events WHERE aggregate_type = $1";
    let events: i64 = sqlx::query_scalar(sql).bind(CallBatch::TYPE).fetch_one(&house.side.database.pool).await.unwrap();
    assert!(events <= 4, "{events} events");
}

fn paying(payer: UserId, must_hold: bool) -> metering::Call {
    metering::Call {
        payer,
        hold_id: HoldId::new(Uuid::now_v7()),
        purpose: Purpose::Api { api_key_id: None },
        actor: format!("user:{payer}"),
        correlation_id: Uuid::now_v7(),
        must_hold,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_costs_nothing_moves_no_money_and_its_record_tells_its_tokens() {
    let mut house = House::open().await;
    let (meter, user) = (house.meter(), new_user());
    let offer = house.catalogue().resolve(Some("m"), &PayerGroup::default()).await.unwrap();
    let quote = offer.quote(10, Some(20), meter.bounds());
    let held = meter.hold(paying(user, true), quote.clone()).await.unwrap();
    assert!(held.hold_id().is_some(), "somebody waits for its end");
    assert!(held.release(ReleaseReason::Failed).wait(PATIENCE).await);
    let events = house.wallet_events(user).await.len();

    // No wallet and no bus is needed for it.
    house.side.nats.stop().await;
    let (mut following, usage) = (meter.recorder().follow(begun(user)), Usage::new(10, 5, Basis::Reported));
    let held = meter.hold_whole(paying(user, false), quote).await.unwrap();
    following.held(&held);
    following.answers(&offer);
    following.consumed(&usage);
    following.completed();
    assert_eq!((held.hold_id(), held.max_output_tokens()), (None, 20));
    assert!(held.settle(&usage, &offer).wait(Duration::ZERO).await);
    house.side.nats.start_again().await;
    let call = wait_for(&house, 1).await.remove(0);
    assert_eq!((call.hold_id, call.free_by), (None, Some(offer.price_version)));
    let (by, _, tokens, _) = call.for_nothing().unwrap();
    assert_eq!((by.channel_id, tokens.input, tokens.output), (offer.channel_id, 10, 5));
    assert_eq!(house.wallet_events(user).await.len(), events);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_costs_only_the_house_is_held_like_any_other() {
    let house = House::open().await;
    let (meter, user) = (house.meter(), new_user());
    let offer = house.catalogue().resolve(Some("priced"), &PayerGroup::default()).await.unwrap();
    let quote = offer.quote(10, Some(20), meter.bounds()).times("0".parse().unwrap());
    let held = meter.hold(paying(user, false), quote).await.unwrap();
    assert!(held.hold_id().is_some());
    assert!(held.settle(&Usage::new(10, 5, Basis::Reported), &offer).wait(PATIENCE).await);
    let events = house.wallet_events(user).await;
    let Some(WalletEvent::Charged { charged_nanos, cost_nanos, .. }) = events.last() else { panic!("{events:?}") };
    assert!(charged_nanos.is_zero() && !cost_nanos.is_zero());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_is_delivered_again_or_sent_anew_changes_nothing() {
    let house = House::open().await;
    let meter = house.meter();
    follow(&meter, new_user(), 1);
    let calls = wait_for(&house, 1).await;
    let id = CallBatchId::new(Uuid::now_v7());
    let message = || {
        let body = serde_json::to_value(CallBatchCommand::RecordCalls { calls: calls.clone() }).unwrap();
        let aim = (CallBatch::CAPABILITY, CallBatch::TYPE, "record_calls");
        CommandMessage { command_id: id.uuid(), ..CommandMessage::new(aim, id, "relay", body) }
    };
    let first = message();
    for message in [first.clone(), first.clone()] {
        let sent = house.commands.send(message, PATIENCE).await.unwrap();
        assert!(matches!(sent, Sent::Outcome(Outcome::Done { .. })), "{sent:?}");
    }
    // As if the stream had forgotten it, and as if its outcome had been forgotten too.
    house.commands.resend(first, PATIENCE).await.unwrap();
    let anew = CommandMessage { command_id: Uuid::now_v7(), ..message() };
    let sent = house.commands.send(anew, PATIENCE).await.unwrap();
    assert_eq!(sent, Sent::Outcome(Outcome::Done { event: None, events: vec![] }));
    let sql = "SELECT count(*) FROM events WHERE aggregate_type = $1 AND aggregate_id = $2";
    let query = sqlx::query_scalar::<_, i64>(sql).bind(CallBatch::TYPE).bind(id.to_string());
    assert_eq!(query.fetch_one(&house.side.database.pool).await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_end_while_the_bus_is_away_wait_for_it_and_what_finds_no_room_is_counted() {
    let mut house = House::open().await;
    let (meter, user) = (house.meter(), new_user());
    house.side.nats.stop().await;
    follow(&meter, user, 3);
    assert!(!meter.recorder().drain(Duration::from_millis(300)).await);
    house.side.nats.start_again().await;
    wait_for(&house, 3).await;

    house.side.nats.stop().await;
    let metrics = PrometheusBuilder::new().build_recorder();
    // One batch at most is on its way, the marks of a drain take no more than a place each.
    metrics::with_local_recorder(&metrics, || follow(&meter, user, MAX_WAITING + 2 * MAX_CALLS));
    let text = metrics.handle().render();
    let lost = text.lines().find_map(|line| line.strip_prefix("calls_not_recorded_total "));
    let lost: usize = lost.expect("some found no room").parse().unwrap();
    assert!((MAX_CALLS - 1..=2 * MAX_CALLS + 1).contains(&lost), "{lost} were lost");
}
