//! What is learned from calls, and against whom it tells.

use domain::relay::Limits;
use proptest::prelude::{Just, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};
use uuid::Uuid;

use super::*;
use crate::{Tried, Wish};

fn at(seconds: u64) -> Moment {
    Moment::from_millis(1_000_000_000 + seconds * 1000)
}

fn candidate(channel: u128, model: &str, keys: &[&str]) -> Candidate {
    Candidate {
        channel: ChannelId::new(Uuid::from_u128(channel)),
        name: channel.to_string().into(),
        told: "channel".into(),
        model: model.into(),
        priority: 0,
        weight: 1,
        price: 0,
        keys: keys.iter().map(|key| KeyRef::new(key)).collect(),
        limits: Limits::default(),
        context_tokens: None,
    }
}

fn health() -> Health {
    Health::new(HealthOptions::default(), 7)
}

fn refused(status: u16, code: &str) -> RelayError {
    RelayError::UpstreamRefused { status, message: "no".into(), code: Some(code.into()), param: None }
}

fn fails(health: &mut Health, candidate: &Candidate, key: Option<&str>, error: &RelayError, now: Moment) {
    let ticket = health.begin(candidate, key.map(KeyRef::new).as_ref(), 10, now).expect("it may be asked");
    health.end(ticket, Ended::Failed { error, repeats: false }, now);
}

fn goes_well(health: &mut Health, candidate: &Candidate, key: Option<&str>, now: Moment) {
    let mut ticket = health.begin(candidate, key.map(KeyRef::new).as_ref(), 10, now).expect("it may be asked");
    health.first_output(&mut ticket, now);
    health.end(ticket, Ended::Well { tokens: Some(20) }, now);
}

fn words(changes: &[Change]) -> Vec<(&'static str, &'static str, &'static str)> {
    changes.iter().map(|change| (change.part.as_str(), change.from.as_str(), change.to.as_str())).collect()
}

#[test]
fn a_bad_model_is_shut_before_its_channel_and_leaves_the_others_open() {
    let (mut health, bad, good) = (health(), candidate(1, "bad", &[]), candidate(1, "good", &[]));
    for _ in 0..5 {
        goes_well(&mut health, &good, None, at(0));
        fails(&mut health, &bad, None, &RelayError::UpstreamCut, at(0));
    }
    assert_eq!(words(&health.changes()), [("model", "closed", "open")]);
    assert!(health.begin(&bad, None, 1, at(0)).is_err());
    goes_well(&mut health, &good, None, at(0));
}

#[test]
fn a_channel_whose_models_all_fail_is_shut_as_a_whole() {
    let mut health = health();
    for model in ["a", "b"] {
        for _ in 0..5 {
            fails(&mut health, &candidate(1, model, &[]), None, &RelayError::UpstreamCut, at(0));
        }
    }
    let expected = [("model", "closed", "open"), ("channel", "closed", "open"), ("model", "closed", "open")];
    assert_eq!(words(&health.changes()), expected);
    let refused = health.begin(&candidate(1, "never asked", &[]), None, 1, at(0));
    assert!(matches!(refused, Err(Reason::Shut { part: Part::Channel, .. })));
}

#[test]
fn a_dead_key_is_shut_for_ever_and_a_changed_one_is_new() {
    let (mut health, candidate) = (health(), candidate(1, "m", &["old"]));
    fails(&mut health, &candidate, Some("old"), &refused(401, "invalid_api_key"), at(0));
    assert_eq!(words(&health.changes()), [("key", "closed", "dead")]);
    assert!(health.begin(&candidate, Some(&KeyRef::new("old")), 1, at(1_000_000)).is_err());
    goes_well(&mut health, &candidate, Some("new"), at(0));
}

#[test]
fn a_limited_key_rests_as_long_as_it_was_told_and_the_other_keys_go_on() {
    let (mut health, candidate) = (health(), candidate(1, "m", &["a", "b"]));
    let limited = RelayError::UpstreamRateLimited { retry_after: Some(Duration::from_secs(30)) };
    fails(&mut health, &candidate, Some("a"), &limited, at(0));
    let plan = health.plan(std::slice::from_ref(&candidate), &Wish::default(), &[], at(1));
    let keys: Vec<_> = plan.order.iter().map(|choice| choice.key.as_ref().map(KeyRef::as_str)).collect();
    assert_eq!(keys, [Some("b")]);
    fails(&mut health, &candidate, Some("b"), &limited, at(5));
    let plan = health.plan(std::slice::from_ref(&candidate), &Wish::default(), &[], at(6));
    assert!(plan.order.is_empty());
    assert!(plan.soonest() >= Some(at(30)) && plan.soonest() <= Some(at(34)), "the one that rests the shortest");
}

#[test]
fn a_model_that_the_upstream_does_not_have_is_shut_alone_and_at_once() {
    let mut health = health();
    fails(&mut health, &candidate(1, "gone", &["k"]), Some("k"), &refused(404, "model_not_found"), at(0));
    assert_eq!(words(&health.changes()), [("model", "closed", "open")]);
    goes_well(&mut health, &candidate(1, "there", &["k"]), Some("k"), at(0));
}

#[test]
fn what_is_wrong_with_a_request_tells_against_nobody() {
    let (mut health, candidate) = (health(), candidate(1, "m", &["k"]));
    for error in [refused(400, "invalid_value"), RelayError::ContextTooLong, RelayError::Cancelled] {
        for _ in 0..20 {
            fails(&mut health, &candidate, Some("k"), &error, at(0));
        }
    }
    assert_eq!(health.changes(), []);
}

#[test]
fn what_is_due_for_a_probe_is_whose_time_is_over_and_nobody_tries() {
    let (mut health, candidate) = (health(), candidate(1, "m", &["k"]));
    let limited = RelayError::UpstreamRateLimited { retry_after: Some(Duration::from_secs(30)) };
    fails(&mut health, &candidate, Some("k"), &limited, at(0));
    fails(&mut health, &self::candidate(2, "m", &["dead"]), Some("dead"), &refused(401, "invalid_api_key"), at(0));
    assert_eq!(health.due(at(20)), []);
    assert_eq!(health.due(at(40)), [(candidate.channel, Part::Key { name: "k".into() })]);
    let ticket = health.begin(&candidate, Some(&KeyRef::new("k")), 1, at(40)).unwrap();
    assert_eq!(health.due(at(40)), [], "a call tries it already");
    health.end(ticket, Ended::Left, at(40));
    assert_eq!(health.due(at(40)).len(), 1);
}

#[test]
fn a_channel_that_nobody_asks_is_forgotten_unless_it_is_busy() {
    let (mut health, idle, busy) = (health(), candidate(1, "m", &[]), candidate(2, "m", &[]));
    fails(&mut health, &idle, None, &RelayError::UpstreamCut, at(0));
    let ticket = health.begin(&busy, None, 1, at(0)).unwrap();
    health.forget(at(1));
    assert!(health.of(idle.channel).is_none() && health.of(busy.channel).is_some());
    health.end(ticket, Ended::Left, at(2));
}

/// How calls of a random history go.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Well,
    Cut,
    Limited,
    Wrong,
    Left,
}

proptest! {
    #[test]
    fn every_call_that_began_ends_and_is_counted_once_and_no_parallel_limit_is_passed(
        fates in prop::collection::vec((0_u128..3, prop_oneof![
            Just(Fate::Well), Just(Fate::Cut), Just(Fate::Limited), Just(Fate::Wrong), Just(Fate::Left)
        ], 0_u64..5_000, any::<bool>()), 1..200),
    ) {
        let mut health = health();
        let limits = Limits { parallel: Some(3), ..Limits::default() };
        let candidates: Vec<_> = (0..3).map(|n| Candidate { limits, ..candidate(n, "m", &["a", "b"]) }).collect();
        let (mut now, mut open) = (at(0), vec![]);
        for (_, fate, pause, ends_one) in fates {
            now = now.after(Duration::from_millis(pause));
            let plan = health.plan(&candidates, &Wish::default(), &[], now);
            if let Some(choice) = plan.order.first() {
                let candidate = &candidates[choice.candidate];
                let ticket = health.begin(candidate, choice.key.as_ref(), 1, now);
                prop_assert!(ticket.is_ok(), "a plan names only whom one may ask");
                open.extend(ticket.ok().map(|ticket| (choice.candidate, ticket, fate)));
            }
            for (place, candidate) in candidates.iter().enumerate() {
                let under_way = open.iter().filter(|(of, ..)| *of == place).count();
                prop_assert!(under_way <= 3);
                prop_assert_eq!(health.of(candidate.channel).map_or(0, |known| known.in_flight as usize), under_way);
            }
            if ends_one && !open.is_empty() {
                let (_, ticket, fate) = open.remove(0);
                let limited = RelayError::UpstreamRateLimited { retry_after: Some(Duration::from_secs(2)) };
                let ended = match fate {
                    Fate::Well => Ended::Well { tokens: None },
                    Fate::Cut => Ended::Failed { error: &RelayError::UpstreamCut, repeats: false },
                    Fate::Limited => Ended::Failed { error: &limited, repeats: false },
                    Fate::Wrong => Ended::Failed { error: &RelayError::ContextTooLong, repeats: false },
                    Fate::Left => Ended::Left,
                };
                health.end(ticket, ended, now);
            }
        }
    }

    #[test]
    fn every_candidate_is_either_planned_or_left_out_with_a_reason(
        shut in prop::collection::vec((0_u128..4, any::<bool>()), 0..40), tried in prop::collection::vec(0_usize..4, 0..3),
    ) {
        let mut health = health();
        let candidates: Vec<_> = (0..4).map(|n| candidate(n, "m", &["a"])).collect();
        for (channel, cut) in shut {
            let candidate = &candidates[channel as usize];
            if let Ok(ticket) = health.begin(candidate, Some(&KeyRef::new("a")), 1, at(0)) {
                let error = if cut { RelayError::UpstreamCut } else { refused(401, "invalid_api_key") };
                health.end(ticket, Ended::Failed { error: &error, repeats: false }, at(0));
            }
        }
        let tried: Vec<_> = tried.into_iter().map(|candidate| Tried { candidate, key: None, key_only: false }).collect();
        let plan = health.plan(&candidates, &Wish::default(), &tried, at(0));
        let mut places: Vec<_> = plan.order.iter().map(|choice| choice.candidate).collect();
        places.extend(plan.left_out.iter().map(|left| left.candidate));
        places.sort_unstable();
        prop_assert_eq!(places, [0, 1, 2, 3]);
        for pair in plan.order.windows(2) {
            prop_assert!(pair[0].again <= pair[1].again, "whoever failed comes last");
        }
    }
}

#[test]
fn a_key_that_was_suspended_is_used_again_once_somebody_says_so_and_others_hear_of_it() {
    let mut health = Health::new(HealthOptions::default(), 1);
    let channel = ChannelId::new(Uuid::from_u128(1));
    let key = Part::Key { name: "a".to_owned() };
    let candidate = candidate(1, "m", &["a"]);
    let now = Moment::default();
    assert!(!health.resume(channel, &key, now), "it is not suspended");
    assert!(health.adopt(channel, &key, State::Dead, 0, now));
    let plan =
        health.plan(std::slice::from_ref(&candidate), &Wish::default(), &[], now.after(Duration::from_secs(1_000_000)));
    assert!(plan.order.is_empty(), "time alone revives no key");
    assert!(health.resume(channel, &key, now));
    assert!(!health.plan(&[candidate], &Wish::default(), &[], now).order.is_empty());
    let told: Vec<_> = health.changes().into_iter().map(|change| (change.to, change.was_told())).collect();
    assert_eq!(told, [(State::Dead, true), (State::Closed, false)]);
}

proptest! {
    #[test]
    fn the_only_candidate_is_asked_with_the_key_that_a_plan_names_or_not_at_all(
        fates in prop::collection::vec((0_usize..3, any::<bool>(), 0_u64..4), 0..40), keys in 0_usize..4, tokens in 0_u64..12,
    ) {
        let (mut planned, mut straight) = (health(), health());
        let keys: Vec<_> = ["a", "b", "c"].into_iter().take(keys).collect();
        let limits = Limits { parallel: Some(4), ..Limits::default() };
        let only = Candidate { limits, context_tokens: Some(10), ..candidate(1, "m", &keys) };
        let mut now = at(0);
        for (key, well, pause) in fates {
            now = now.after(Duration::from_secs(pause));
            let key = keys.get(key).map(|key| KeyRef::new(key));
            for health in [&mut planned, &mut straight] {
                let Ok(ticket) = health.begin(&only, key.as_ref(), 1, now) else { continue };
                let error = RelayError::UpstreamRateLimited { retry_after: Some(Duration::from_secs(3)) };
                let ended =
                    if well { Ended::Well { tokens: None } } else { Ended::Failed { error: &error, repeats: false } };
                health.end(ticket, ended, now);
            }
            let wish = Wish { input_tokens: tokens, ..Wish::default() };
            let plan = planned.plan(std::slice::from_ref(&only), &wish, &[], now);
            let begun = straight.begin_only(&only, &wish, now);
            prop_assert_eq!(begun.as_ref().map(|(key, _)| key), plan.order.first().map(|choice| &choice.key));
            if let (Some((_, ticket)), Some(choice)) = (begun, plan.order.first()) {
                straight.end(ticket, Ended::Left, now);
                let ticket = planned.begin(&only, choice.key.as_ref(), tokens, now).expect("the plan says so");
                planned.end(ticket, Ended::Left, now);
            }
        }
    }
}
