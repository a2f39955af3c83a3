//! Batches of calls as their rules say.

use chrono::{DateTime, TimeDelta};
use cqrs_es::test::{AggregateTestExecutor, TestFramework};
use uuid::Uuid;

use super::*;
use crate::{CallId, ChannelId, Decided, HoldId, UserId, billing::Purpose};

fn given(events: Vec<CallBatchEvent>) -> AggregateTestExecutor<Decided<CallBatch>> {
    TestFramework::with(()).given(events)
}

fn call(n: u128) -> Call {
    let channel_id = ChannelId::new(Uuid::from_u128(12));
    let one = |outcome: &str, spent| CallTry {
        channel_id,
        model: "small".to_owned(),
        key: Some("key 1".to_owned()),
        hedge: false,
        outcome: outcome.to_owned(),
        duration_ms: 40,
        spent,
    };
    Call {
        id: CallId::new(Uuid::from_u128(n)),
        user: UserId::new(Uuid::from_u128(1)),
        purpose: Purpose::Api { api_key_id: None },
        surface: Surface::Messages,
        model: Some("small".to_owned()),
        answered: Some(Answering { channel_id, model: "small".to_owned(), upstream: "small-2".to_owned() }),
        stream: true,
        started_at: DateTime::UNIX_EPOCH,
        duration_ms: 1500,
        first_output_ms: Some(80),
        outcome: CallOutcome::Completed,
        tries: vec![one("upstream_rate_limited", Spent::Nothing), one("ok", Spent::Settled)],
        left_out: vec![LeftOut { channel: "second".to_owned(), reason: "rests".to_owned() }],
        tokens: None,
        basis: None,
        hold_id: Some(HoldId::new(Uuid::from_u128(n))),
        free_by: None,
    }
}

fn record(calls: Vec<Call>) -> CallBatchCommand {
    CallBatchCommand::RecordCalls { calls }
}

fn recorded(calls: Vec<Call>) -> CallBatchEvent {
    CallBatchEvent::Recorded { calls }
}

#[test]
fn calls_are_recorded_together() {
    let calls = vec![call(1), call(2)];
    given(vec![]).when(record(calls.clone())).then_expect_events(vec![recorded(calls)]);
}

#[test]
fn a_batch_that_is_sent_again_changes_nothing_whatever_is_in_it() {
    given(vec![recorded(vec![call(1)])]).when(record(vec![call(1)])).then_expect_events(vec![]);
    given(vec![recorded(vec![call(1)])]).when(record(vec![])).then_expect_events(vec![]);
}

#[test]
fn a_batch_has_calls_and_not_too_many() {
    given(vec![]).when(record(vec![])).then_expect_error(CallBatchRefusal::InvalidSize { calls: 0 });
    let many: Vec<Call> = (0..=1024).map(call).collect();
    let refusal = CallBatchRefusal::InvalidSize { calls: 1025 };
    given(vec![]).when(record(many)).then_expect_error(refusal);
    assert_eq!((refusal.code(), refusal.details()["limit"].as_u64()), ("invalid_batch_size", Some(1024)));
}

#[test]
fn a_call_that_is_too_large_is_refused_and_once_cut_it_is_not() {
    let long = || "模".repeat(121);
    let many = vec![call(1).tries[0].clone(); 25];
    let large = [
        Call { model: Some(long()), ..call(1) },
        Call { outcome: CallOutcome::Failed { code: long() }, ..call(1) },
        Call { answered: call(1).answered.map(|by| Answering { upstream: long(), ..by }), ..call(1) },
        Call { left_out: vec![LeftOut { channel: "c".to_owned(), reason: long() }], ..call(1) },
        Call { tries: vec![CallTry { key: Some(long()), ..call(1).tries[0].clone() }], ..call(1) },
        Call { tries: many, ..call(1) },
    ];
    for call in large {
        given(vec![]).when(record(vec![call.clone()])).then_expect_error(CallBatchRefusal::TooLarge);
        let cut = call.cut();
        given(vec![]).when(record(vec![cut.clone()])).then_expect_events(vec![recorded(vec![cut])]);
    }
    assert_eq!(call(1).cut(), call(1));
}

#[test]
fn the_largest_call_leaves_room_for_others_in_an_event() {
    let text = || "模".repeat(120);
    let one = CallTry { model: text(), key: Some(text()), outcome: text(), ..call(1).tries[0].clone() };
    let left_out = LeftOut { channel: text(), reason: text() };
    let large = Call { model: Some(text()), tries: vec![one; 24], left_out: vec![left_out; 24], ..call(1) };
    assert!(large.is_small());
    let size = serde_json::to_string(&recorded(vec![large])).unwrap().len();
    assert!(size < 64 * 1024, "{size} bytes");
}

#[test]
fn a_call_ends_after_its_duration() {
    assert_eq!(call(1).ended_at(), DateTime::UNIX_EPOCH + TimeDelta::milliseconds(1500));
    let endless = Call { duration_ms: u64::MAX, ..call(1) };
    assert_eq!(endless.ended_at(), endless.started_at);
}
