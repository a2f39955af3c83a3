//! Who is asked first, strategy by strategy.

use domain::{
    ChannelId,
    relay::{Limits, Strategy},
};
use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};
use uuid::Uuid;

use super::*;
use crate::{Ended, HealthOptions};
use relay::RelayError;

fn at(seconds: u64) -> Moment {
    Moment::from_millis(1_000_000_000 + seconds * 1000)
}

fn candidate(channel: u128) -> Candidate {
    Candidate {
        channel: ChannelId::new(Uuid::from_u128(channel)),
        name: channel.to_string().into(),
        told: "channel".into(),
        model: "m".into(),
        priority: 0,
        weight: 1,
        price: 0,
        keys: vec![],
        limits: Limits::default(),
        context_tokens: None,
    }
}

fn health() -> Health {
    Health::new(HealthOptions::default(), 42)
}

fn wish(strategy: Strategy) -> Wish {
    Wish { strategy: Some(strategy), ..Wish::default() }
}

fn order(plan: &Plan) -> Vec<usize> {
    plan.order.iter().map(|choice| choice.candidate).collect()
}

/// One call that answers after so long.
fn answered(health: &mut Health, candidate: &Candidate, millis: u64) {
    let mut ticket = health.begin(candidate, None, 1, at(0)).unwrap();
    health.first_output(&mut ticket, at(0).after(Duration::from_millis(millis)));
    health.end(ticket, Ended::Well { tokens: None }, at(0));
}

fn shut(health: &mut Health, candidate: &Candidate) {
    let ticket = health.begin(candidate, None, 1, at(0)).unwrap();
    let error = RelayError::Misconfigured("no".into());
    health.end(ticket, Ended::Failed { error: &error, repeats: false }, at(0));
}

#[test]
fn a_lower_tier_is_asked_only_after_every_higher_one() {
    let mut candidates: Vec<_> = (0..4).map(candidate).collect();
    (candidates[1].priority, candidates[3].priority) = (5, 9);
    for strategy in [Strategy::Weighted, Strategy::LeastBusy, Strategy::LowestCost, Strategy::LowestLatency] {
        let order = order(&health().plan(&candidates, &wish(strategy), &[], at(0)));
        assert_eq!(order[..2], [3, 1], "{strategy:?}");
    }
}

#[test]
fn calls_are_spread_by_weight_and_weight_nothing_is_asked_last() {
    let mut candidates: Vec<_> = (0..3).map(candidate).collect();
    (candidates[0].weight, candidates[1].weight, candidates[2].weight) = (3, 1, 0);
    let (mut health, mut first) = (health(), [0; 3]);
    for _ in 0..4000 {
        let order = order(&health.plan(&candidates, &wish(Strategy::Weighted), &[], at(0)));
        first[order[0]] += 1;
        assert_eq!(order[2], 2);
    }
    assert!((2850..3150).contains(&first[0]), "{first:?}");
}

#[test]
fn the_least_busy_is_asked_first() {
    let (mut health, candidates) = (health(), [candidate(0), candidate(1)]);
    let ticket = health.begin(&candidates[0], None, 1, at(0)).unwrap();
    assert_eq!(order(&health.plan(&candidates, &wish(Strategy::LeastBusy), &[], at(0))), [1, 0]);
    health.end(ticket, Ended::Left, at(0));
}

#[test]
fn the_cheapest_is_asked_first() {
    let mut candidates = [candidate(0), candidate(1), candidate(2)];
    (candidates[0].price, candidates[1].price, candidates[2].price) = (3, 1, 2);
    assert_eq!(order(&health().plan(&candidates, &wish(Strategy::LowestCost), &[], at(0))), [1, 2, 0]);
}

#[test]
fn the_fastest_is_asked_first_once_all_are_known_and_those_about_as_fast_share() {
    let (mut health, candidates) = (health(), [candidate(0), candidate(1), candidate(2)]);
    answered(&mut health, &candidates[0], 900);
    answered(&mut health, &candidates[1], 100);
    let fastest = wish(Strategy::LowestLatency);
    assert_eq!(order(&health.plan(&candidates, &fastest, &[], at(1)))[0], 2, "nobody knows it yet");
    let ticket = health.begin(&candidates[2], None, 1, at(1)).unwrap();
    assert_eq!(order(&health.plan(&candidates, &fastest, &[], at(1))), [1, 0, 2], "one call finds out");
    health.end(ticket, Ended::Left, at(1));
    answered(&mut health, &candidates[2], 105);
    let first: Vec<_> = (0..50).map(|_| order(&health.plan(&candidates, &fastest, &[], at(1)))[0]).collect();
    assert!(first.contains(&1) && first.contains(&2) && !first.contains(&0), "{first:?}");
}

#[test]
fn whom_nobody_has_asked_for_long_is_tried_again_although_it_was_slow() {
    let (mut health, candidates) = (health(), [candidate(0), candidate(1)]);
    answered(&mut health, &candidates[0], 900);
    let later = at(600);
    let mut ticket = health.begin(&candidates[1], None, 1, later).unwrap();
    health.first_output(&mut ticket, later.after(Duration::from_millis(100)));
    health.end(ticket, Ended::Well { tokens: None }, later);
    assert_eq!(order(&health.plan(&candidates, &wish(Strategy::LowestLatency), &[], later))[0], 0);
}

#[test]
fn a_conversation_stays_with_its_channel_while_it_is_well_and_its_key_too() {
    let (mut health, mut candidates) = (health(), (0..5).map(candidate).collect::<Vec<_>>());
    for candidate in &mut candidates {
        candidate.keys = ["a", "b", "c"].map(KeyRef::new).to_vec();
    }
    let same = Wish { affinity: Some("conversation 1".into()), ..wish(Strategy::Affinity) };
    let home = health.plan(&candidates, &same, &[], at(0)).order[0].clone();
    for _ in 0..20 {
        assert_eq!(health.plan(&candidates, &same, &[], at(0)).order[0], home);
        let ticket = health.begin(&candidates[home.candidate], home.key.as_ref(), 1, at(0)).unwrap();
        health.end(ticket, Ended::Well { tokens: None }, at(0));
    }
    let ticket = health.begin(&candidates[home.candidate], home.key.as_ref(), 1, at(0)).unwrap();
    let error = RelayError::Misconfigured("no".into());
    health.end(ticket, Ended::Failed { error: &error, repeats: false }, at(0));
    let refuge = health.plan(&candidates, &same, &[], at(0)).order[0].clone();
    assert_ne!(refuge.candidate, home.candidate, "health wins");
    assert_eq!(health.plan(&candidates, &same, &[], at(0)).order[0], refuge, "and there it stays too");
}

#[test]
fn a_channel_that_is_full_is_left_out_until_there_is_room() {
    let mut health = health();
    let limits = Limits { requests_per_minute: Some(2), ..Limits::default() };
    let candidates = [Candidate { limits, ..candidate(0) }];
    for _ in 0..2 {
        let ticket = health.begin(&candidates[0], None, 1, at(0)).unwrap();
        health.end(ticket, Ended::Left, at(0));
    }
    let plan = health.plan(&candidates, &Wish::default(), &[], at(1));
    assert!(matches!(plan.left_out[0].reason, Reason::RequestsPerMinute { .. }));
    let room = plan.soonest().unwrap();
    assert!(room > at(59) && room <= at(65));
    assert_eq!(order(&health.plan(&candidates, &Wish::default(), &[], room)), [0]);
}

#[test]
fn nodes_share_a_limit() {
    let mut health = health();
    health.share_limits(2);
    let limits = Limits { parallel: Some(2), tokens_per_minute: Some(100), ..Limits::default() };
    let candidates = [Candidate { limits, ..candidate(0) }];
    let ticket = health.begin(&candidates[0], None, 40, at(0)).unwrap();
    let left_out = |health: &mut Health| {
        health.plan(&candidates, &Wish { input_tokens: 20, ..Wish::default() }, &[], at(0)).left_out
    };
    assert_eq!(left_out(&mut health)[0].reason, Reason::Parallel);
    health.end(ticket, Ended::Well { tokens: Some(45) }, at(0));
    assert!(matches!(left_out(&mut health)[0].reason, Reason::TokensPerMinute { .. }));
    health.share_limits(1);
    assert_eq!(left_out(&mut health), []);
}

#[test]
fn a_conversation_that_nobody_can_read_is_too_long() {
    let mut candidates = [candidate(0), candidate(1)];
    candidates[0].context_tokens = Some(100);
    let long = Wish { input_tokens: 101, ..Wish::default() };
    let plan = health().plan(&candidates, &long, &[], at(0));
    assert_eq!((order(&plan), plan.is_too_long()), (vec![1], false));
    candidates[1].context_tokens = Some(50);
    assert!(health().plan(&candidates, &long, &[], at(0)).is_too_long());
}

#[test]
fn whoever_failed_this_request_is_asked_again_only_after_everybody_else_and_another_key_is_somebody_else() {
    let mut candidates = [candidate(0), candidate(1)];
    candidates[0].keys = vec![KeyRef::new("a"), KeyRef::new("b")];
    candidates[0].priority = 1;
    let failed = |key: &str, key_only| [Tried { candidate: 0, key: Some(KeyRef::new(key)), key_only }];
    let plan = health().plan(&candidates, &Wish::default(), &failed("a", true), at(0));
    let steps: Vec<_> =
        plan.order.iter().map(|step| (step.candidate, step.key.as_ref().map(KeyRef::as_str), step.again)).collect();
    assert_eq!(steps, [(0, Some("b"), false), (1, None, false), (0, Some("a"), true)]);
    let plan = health().plan(&candidates, &Wish::default(), &failed("a", false), at(0));
    assert_eq!(plan.order[0].candidate, 1, "the channel itself failed");
}

proptest! {
    #[test]
    fn affinity_moves_only_the_conversations_of_the_channel_that_is_shut(conversations in prop::collection::vec("[a-z0-9]{1,12}", 1..40), ill in 0_usize..5) {
        let (mut well, mut one_shut) = (health(), health());
        let candidates: Vec<_> = (0..5).map(candidate).collect();
        shut(&mut one_shut, &candidates[ill]);
        for conversation in conversations {
            let wish = Wish { affinity: Some(conversation), ..wish(Strategy::Affinity) };
            let before = well.plan(&candidates, &wish, &[], at(0)).order[0].candidate;
            let after = one_shut.plan(&candidates, &wish, &[], at(0)).order[0].candidate;
            prop_assert!(after != ill);
            prop_assert!(before == after || before == ill);
        }
    }

    #[test]
    fn who_is_shut_is_never_planned_whatever_is_wished(shut_ones in prop::collection::vec(any::<bool>(), 5), strategy in 0_usize..5, priorities in prop::collection::vec(-3_i32..3, 5)) {
        let mut health = health();
        let candidates: Vec<_> = (0..5).map(|n| Candidate { priority: priorities[n as usize], ..candidate(n) }).collect();
        for (one, _) in candidates.iter().zip(&shut_ones).filter(|(_, shut)| **shut) {
            shut(&mut health, one);
        }
        let all = [Strategy::Weighted, Strategy::LeastBusy, Strategy::LowestCost, Strategy::LowestLatency, Strategy::Affinity];
        let wish = Wish { affinity: Some("same".into()), ..wish(all[strategy]) };
        let order = order(&health.plan(&candidates, &wish, &[], at(0)));
        prop_assert!(order.iter().all(|place| !shut_ones[*place]));
        prop_assert_eq!(order.len(), shut_ones.iter().filter(|shut| !**shut).count());
        for pair in order.windows(2) {
            prop_assert!(candidates[pair[0]].priority >= candidates[pair[1]].priority);
        }
    }
}
