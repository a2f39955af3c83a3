//! Calls one by one and what they add up to, given the events of calls and of wallets.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    ApiKeyId, CallBatchId, CallId, ChannelId, HoldId, UserId,
    billing::Purpose,
    relay::{Answering, Call, CallBatch, CallBatchEvent, CallOutcome, CallTry, LeftOut, Spent, Surface},
};
use projections::{
    Projector,
    relay::statistics::{
        self, CallFilter, GroupBy, RecordedCall, Statistics, StatisticsFilter, StatisticsProjector, StatisticsRow,
        Viewer,
    },
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    beside::compared,
    purse::{Purse, tokens},
    relay::Upstream,
    support::{World, at, user, world},
};

/// The channel of the [`Purse`]'s quotes.
const CHANNEL: ChannelId = ChannelId::new(Uuid::from_u128(7));
const OTHER: ChannelId = ChannelId::new(Uuid::from_u128(8));

fn one_try(channel_id: ChannelId, outcome: &str, spent: Spent) -> CallTry {
    let (model, key) = ("small".to_owned(), Some("k1".to_owned()));
    CallTry { channel_id, model, key, hedge: false, outcome: outcome.to_owned(), duration_ms: 40, spent }
}

/// A call that was answered by [`CHANNEL`] at once, a minute after the epoch of the tests.
pub(crate) fn call(owner: UserId) -> Call {
    let id = Uuid::now_v7();
    Call {
        id: CallId::new(id),
        user: owner,
        purpose: Purpose::Api { api_key_id: None },
        surface: Surface::ChatCompletions,
        model: Some("small".to_owned()),
        answered: Some(Answering { channel_id: CHANNEL, model: "small".to_owned(), upstream: "small-2026".to_owned() }),
        stream: true,
        started_at: at(60),
        duration_ms: 1000,
        first_output_ms: Some(200),
        outcome: CallOutcome::Completed,
        tries: vec![one_try(CHANNEL, "ok", Spent::Settled)],
        left_out: vec![],
        tokens: Some(tokens(10, 20)),
        basis: Some(domain::billing::Basis::Reported),
        hold_id: Some(HoldId::new(id)),
        free_by: None,
    }
}

fn refused(owner: UserId, code: &str) -> Call {
    let outcome = CallOutcome::Refused { code: code.to_owned() };
    let nothing =
        Call { answered: None, tries: vec![], first_output_ms: None, tokens: None, basis: None, ..call(owner) };
    Call { model: None, hold_id: None, duration_ms: 3, outcome, ..nothing }
}

pub(crate) async fn record(world: &World, calls: Vec<Call>) -> CallBatchId {
    let id = CallBatchId::new(Uuid::now_v7());
    world.append::<CallBatch>(id, CallBatchEvent::Recorded { calls }).await;
    id
}

fn day() -> StatisticsFilter {
    let (from, to) = (at(0), at(0) + TimeDelta::days(1));
    StatisticsFilter { from, to, channel_id: None, model: None, user_id: None, api_key_id: None }
}

async fn told_of(world: &World, filter: &StatisticsFilter, group_by: GroupBy) -> Statistics {
    world.project(&StatisticsProjector::default()).await;
    statistics::statistics(&world.pool, filter, group_by, Viewer::Operator, "USD").await.unwrap()
}

async fn told(world: &World, group_by: GroupBy) -> Statistics {
    told_of(world, &day(), group_by).await
}

fn row<'s>(statistics: &'s Statistics, group: Option<&str>) -> &'s StatisticsRow {
    statistics.rows.iter().find(|row| row.group.as_deref() == group).expect("the row")
}

async fn listed(world: &World, filter: &CallFilter) -> Vec<RecordedCall> {
    world.project(&StatisticsProjector::default()).await;
    statistics::calls(&world.pool, filter, None, 100).await.unwrap().items
}

#[tokio::test]
async fn a_call_counts_for_who_answered_and_each_try_where_it_was_made() {
    let world = world().await;
    let ann = user();
    let rescued = Call {
        tries: vec![one_try(OTHER, "timed_out", Spent::Unknown), one_try(CHANNEL, "ok", Spent::Settled)],
        ..call(ann)
    };
    let failed = Call {
        answered: None,
        first_output_ms: None,
        outcome: CallOutcome::Failed { code: "upstream_rate_limited".to_owned() },
        tries: vec![one_try(OTHER, "upstream_rate_limited", Spent::Nothing)],
        ..call(ann)
    };
    let left = Call { outcome: CallOutcome::Cancelled, ..call(ann) };
    record(&world, vec![rescued, failed, left, refused(ann, "insufficient_credit")]).await;
    let told = told(&world, GroupBy::Channel).await;
    let total = &told.total;
    assert_eq!((total.requests, total.completed, total.cancelled, total.errors), (4, 1, 1, 2));
    assert!((total.error_rate - 0.5).abs() < f64::EPSILON);
    let figures = |channel: Option<ChannelId>| &row(&told, channel.map(|id| id.to_string()).as_deref()).figures;
    let good = figures(Some(CHANNEL));
    assert_eq!((good.requests, good.errors, good.tries, good.failed_tries), (2, 0, 2, 0));
    let bad = figures(Some(OTHER));
    assert_eq!((bad.requests, bad.errors, bad.tries, bad.failed_tries), (1, 1, 2, 2));
    assert_eq!(bad.unknown_cost_tries, Some(1));
    let codes = |list: &[statistics::ErrorCount]| {
        list.iter().map(|error| (error.code.clone(), error.count)).collect::<Vec<_>>()
    };
    assert_eq!(codes(&bad.errors_by_code), [("upstream_rate_limited".to_owned(), 1)]);
    let failed = [("timed_out".to_owned(), 1), ("upstream_rate_limited".to_owned(), 1)];
    assert_eq!(codes(&bad.failed_tries_by_code), failed);
    let nobody = figures(None);
    assert_eq!(codes(&nobody.errors_by_code), [("insufficient_credit".to_owned(), 1)]);
    assert_eq!((nobody.requests, nobody.duration.p50_ms), (1, None), "only what was completed has a duration");
}

#[tokio::test]
async fn what_a_call_cost_is_found_with_it_whichever_event_comes_first() {
    let world = world().await;
    let ann = user();
    let mut purse = Purse::open(&world, ann);
    purse.grant(1_000_000).await;
    let (early, late) = (call(ann), call(ann));
    for (one, told_first) in [(&early, true), (&late, false)] {
        let hold = one.hold_id.unwrap();
        purse.hold(hold, one.purpose, 10, 20).await;
        if told_first {
            record(&world, vec![one.clone()]).await;
        }
        purse.charge(hold, tokens(10, 20)).await;
        if !told_first {
            record(&world, vec![one.clone()]).await;
        }
    }
    let told = told(&world, GroupBy::Model).await;
    assert_eq!(told.rows.len(), 1);
    let figures = &row(&told, Some("small")).figures;
    assert_eq!((figures.requests, figures.tokens.input, figures.tokens.output), (2, 20, 40));
    let money = [Some(figures.charged_nanos), figures.cost_nanos, figures.lost_cost_nanos];
    assert_eq!(money.map(|amount| amount.unwrap().get()), [100_000, 50_000, 0]);
    assert_eq!(figures, &told.total);
    world.project(&projections::billing::BillingProjector).await;
    for one in listed(&world, &CallFilter::default()).await {
        assert_eq!((one.charged_nanos.as_deref(), one.cost_nanos.as_deref()), (Some("50000"), Some("25000")));
    }
    let seen = statistics::statistics(&world.pool, &day(), GroupBy::Model, Viewer::User, "USD").await.unwrap();
    let seen = serde_json::to_value(&seen).unwrap();
    assert_eq!(seen["total"]["charged_nanos"], "100000");
    assert!(!seen.to_string().contains("cost"), "the costs of the house are no user's business: {seen}");
}

/// A call that cost nothing, so that it has neither hold nor settlement.
pub(crate) fn free_call(owner: UserId) -> Call {
    Call { hold_id: None, free_by: Some(2), ..call(owner) }
}

#[tokio::test]
async fn the_tokens_of_a_call_that_cost_nothing_count_from_its_record_once_and_those_of_no_other_do() {
    let world = world().await;
    let (ann, projector) = (user(), StatisticsProjector::default());
    let mut purse = Purse::open(&world, ann);
    purse.grant(1_000_000).await;
    let (paid, free) = (call(ann), free_call(ann));
    purse.hold(paid.hold_id.unwrap(), paid.purpose, 10, 20).await;
    purse.charge(paid.hold_id.unwrap(), tokens(10, 20)).await;
    // Nobody answered it, so it consumed nothing that counts.
    let failed = Call { answered: None, free_by: None, tokens: None, basis: None, ..free_call(ann) };
    let batch = record(&world, vec![paid, free.clone(), failed]).await;
    record(&world, vec![free]).await;
    let figures = told(&world, GroupBy::Model).await.total;
    assert_eq!((figures.requests, figures.tokens.input, figures.tokens.output), (3, 20, 40));
    assert_eq!(figures.charged_nanos.get(), 50_000);
    world.apply_alone(&projector, "call_batch", batch, 1).await.unwrap();
    assert_eq!(told(&world, GroupBy::Model).await.total.tokens.output, 40);
    world.project(&projections::billing::BillingProjector).await;
    let mut costs: Vec<_> =
        listed(&world, &CallFilter::default()).await.into_iter().map(|one| one.charged_nanos).collect();
    costs.sort_unstable();
    assert_eq!(costs, [None, Some("0".to_owned()), Some("50000".to_owned())]);
}

#[tokio::test]
async fn what_expired_and_lost_attempts_cost_the_house_is_counted_too() {
    let world = world().await;
    let mut purse = Purse::open(&world, user());
    purse.grant(1_000_000).await;
    for (hold, lost) in [(1, 0), (2, 1)] {
        let hold = crate::purse::hold_id(hold);
        purse.hold(hold, Purpose::Api { api_key_id: None }, 10, 20).await;
        purse.release(hold, lost).await;
    }
    let hold = crate::purse::hold_id(3);
    purse.hold(hold, Purpose::Api { api_key_id: None }, 10, 20).await;
    purse.expire(hold).await;
    let total = told(&world, GroupBy::Day).await.total;
    assert_eq!((total.requests, total.charged_nanos.get()), (0, 0));
    assert_eq!(total.lost_cost_nanos.unwrap().get(), 10_000, "the input of one lost attempt and of one expired call");
}

#[tokio::test]
async fn a_call_that_is_told_of_twice_counts_once() {
    let world = world().await;
    let (ann, projector) = (user(), StatisticsProjector::default());
    let one = call(ann);
    let batch = record(&world, vec![one.clone(), one.clone()]).await;
    record(&world, vec![one.clone(), call(ann)]).await;
    assert_eq!(told(&world, GroupBy::User).await.total.requests, 2);
    // The same event again, as after a checkpoint that was lost.
    world.apply_alone(&projector, "call_batch", batch, 1).await.unwrap();
    assert_eq!(told(&world, GroupBy::User).await.total.requests, 2);
}

#[tokio::test]
async fn percentiles_are_those_of_all_calls_of_the_period_and_not_of_its_hours() {
    let world = world().await;
    let ann = user();
    let hour = |n: i64| at(0) + TimeDelta::hours(n);
    let took = |started_at: DateTime<Utc>, duration_ms| Call { started_at, duration_ms, ..call(ann) };
    // 99 fast ones in one hour, a slow one in the next.
    record(&world, vec![took(hour(1), 100); 1]).await;
    for _ in 0..2 {
        record(&world, (0..49).map(|_| took(hour(1), 100)).collect()).await;
    }
    record(&world, vec![took(hour(2), 10_000)]).await;
    let by_hour = told(&world, GroupBy::Hour).await;
    let duration = by_hour.total.duration;
    assert_eq!((by_hour.total.requests, by_hour.rows.len()), (100, 2));
    let close = |told: Option<u64>, exact: u64| told.is_some_and(|told| told.abs_diff(exact) * 64 <= exact);
    assert!(close(duration.p50_ms, 100) && close(duration.p99_ms, 100), "{duration:?}");
    assert_eq!(by_hour.rows[0].group.as_deref(), Some("2024-10-04T01:00:00Z"), "hours are in order");
    assert!(close(by_hour.rows[1].figures.duration.p50_ms, 10_000));
    assert!(close(by_hour.total.first_output.p95_ms, 200));
    let by_day = told(&world, GroupBy::Day).await;
    assert_eq!((by_day.rows.len(), &by_day.rows[0].figures), (1, &by_hour.total));
    let later = StatisticsFilter { from: hour(2), ..day() };
    assert_eq!(told_of(&world, &later, GroupBy::Hour).await.total.requests, 1);
}

#[tokio::test]
async fn calls_are_found_by_who_asked_what_of_whom_and_how_it_ended() {
    let world = world().await;
    let (ann, bob) = (user(), user());
    let key = ApiKeyId::new(Uuid::now_v7());
    let with_key = Call { purpose: Purpose::Api { api_key_id: Some(key) }, started_at: at(70), ..call(ann) };
    let elsewhere = Call {
        answered: Some(Answering { channel_id: OTHER, model: "large".to_owned(), upstream: "l".to_owned() }),
        started_at: at(80),
        ..call(bob)
    };
    record(&world, vec![call(ann), with_key, elsewhere, refused(bob, "unknown_model")]).await;
    let all = CallFilter::default();
    assert_eq!(listed(&world, &all).await.len(), 4);
    for (filter, found) in [
        (CallFilter { user_id: Some(ann.uuid()), ..all.clone() }, 2),
        (CallFilter { api_key_id: Some(key.uuid()), ..all.clone() }, 1),
        (CallFilter { channel_id: Some(OTHER.uuid()), ..all.clone() }, 1),
        (CallFilter { model: Some("small".to_owned()), ..all.clone() }, 3),
        (CallFilter { model: Some("large".to_owned()), ..all.clone() }, 1),
        (CallFilter { outcome: Some("refused".to_owned()), ..all.clone() }, 1),
        (CallFilter { code: Some("unknown_model".to_owned()), ..all.clone() }, 1),
        (CallFilter { from: Some(at(71)), ..all.clone() }, 2),
        (CallFilter { to: Some(at(71)), ..all.clone() }, 2),
        (CallFilter { user_id: Some(Uuid::nil()), ..all.clone() }, 0),
    ] {
        assert_eq!(listed(&world, &filter).await.len(), found, "{filter:?}");
    }
    let filter = StatisticsFilter { api_key_id: Some(key.uuid()), ..day() };
    assert_eq!(told_of(&world, &filter, GroupBy::Key).await.total.requests, 1);
}

#[tokio::test]
async fn pages_of_calls_are_without_holes_and_repetitions_also_within_one_instant() {
    let world = world().await;
    let ann = user();
    record(&world, (0..7).map(|_| call(ann)).collect()).await;
    let all: Vec<Uuid> = listed(&world, &CallFilter::default()).await.iter().map(|call| call.id).collect();
    let (mut paged, mut cursor) = (vec![], None);
    loop {
        let page = statistics::calls(&world.pool, &CallFilter::default(), cursor.as_deref(), 3).await.unwrap();
        paged.extend(page.items.iter().map(|call| call.id));
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!((paged.len(), paged), (7, all));
}

#[tokio::test]
async fn a_call_is_shown_with_its_whole_story_and_the_names_of_those_in_it() {
    let world = world().await;
    let upstream = Upstream::add(&world, "main", 1).await;
    let ann = user();
    let one = Call {
        answered: Some(Answering {
            channel_id: upstream.id,
            model: "small".to_owned(),
            upstream: "small-2026".to_owned(),
        }),
        tries: vec![
            CallTry { hedge: true, ..one_try(OTHER, "pending", Spent::Unknown) },
            one_try(upstream.id, "ok", Spent::Settled),
        ],
        left_out: vec![LeftOut { channel: "backup".to_owned(), reason: "it failed".to_owned() }],
        ..call(ann)
    };
    record(&world, vec![one.clone()]).await;
    world.project(&StatisticsProjector::default()).await;
    world.project(&projections::relay::RelayProjector).await;
    let shown = statistics::call(&world.pool, one.id.uuid()).await.unwrap().expect("the call");
    let shown = serde_json::to_value(shown).unwrap();
    assert_eq!((&shown["channel"], &shown["upstream_model"]), (&json!("main"), &json!("small-2026")));
    assert_eq!(
        shown["tries"][0],
        json!({
            "channel_id": OTHER, "model": "small", "key": "k1", "hedge": true, "outcome": "pending", "duration_ms": 40,
            "spent": "unknown",
        })
    );
    assert_eq!(shown["left_out"], json!([{ "channel": "backup", "reason": "it failed" }]));
    assert_eq!((&shown["tokens"]["input"], &shown["tokens"]["cache_write"]), (&json!(10), &json!(0)));
    assert_eq!((&shown["ended_at"], &shown["duration_ms"]), (&json!(at(61)), &json!(1000)));
    assert_eq!((&shown["charged_nanos"], &shown["session_id"]), (&Value::Null, &Value::Null));
    assert!(statistics::call(&world.pool, Uuid::nil()).await.unwrap().is_none());
}

#[tokio::test]
async fn calls_are_forgotten_by_the_days_of_the_log_and_what_they_add_up_to_is_not() {
    let world = world().await;
    let ann = user();
    let old = record(&world, vec![call(ann)]).await;
    let sql = "UPDATE events SET recorded_at = recorded_at - interval '8 days' WHERE aggregate_id = $1";
    sqlx::query(sql).bind(old.to_string()).execute(&world.pool).await.unwrap();
    let week = StatisticsProjector { call_days: 7 };
    world.project(&week).await;
    assert_eq!(listed(&world, &CallFilter::default()).await.len(), 1, "nothing is newer");
    record(&world, vec![call(ann)]).await;
    world.project(&week).await;
    assert_eq!(listed(&world, &CallFilter::default()).await.len(), 1);
    assert_eq!(told(&world, GroupBy::User).await.total.requests, 2);
    let week: Arc<dyn Projector> = Arc::new(week);
    assert_eq!(compared(&world, &week).await.difference_count, 0, "a rebuild forgets the same");
    let month: Arc<dyn Projector> = Arc::new(StatisticsProjector { call_days: 30 });
    projections::rebuild::rebuild(&world.pool, &world.vault, &month, Default::default(), &mut |_| {}).await.unwrap();
    assert_eq!(listed(&world, &CallFilter::default()).await.len(), 2, "whoever keeps them for longer has them again");
}

#[tokio::test]
async fn a_sum_that_somebody_changed_is_found_by_comparing_it_with_a_rebuild() {
    let world = world().await;
    record(&world, vec![call(user())]).await;
    let projector: Arc<dyn Projector> = Arc::new(StatisticsProjector::default());
    world.project(&*projector).await;
    assert_eq!(compared(&world, &projector).await.difference_count, 0);
    sqlx::query("UPDATE statistics_v1.hours SET requests = requests + 1").execute(&world.pool).await.unwrap();
    let compared = compared(&world, &projector).await;
    assert_eq!(compared.difference_count, 1);
    assert!(format!("{:?}", compared.differences[0]).contains("requests"), "{:?}", compared.differences);
}
