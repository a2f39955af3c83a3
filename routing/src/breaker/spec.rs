//! What a breaker promises, case by case, and against random histories.

use proptest::prelude::*;

use super::*;
use crate::{Blame, Next};

const OPTIONS: BreakerOptions = BreakerOptions {
    failures: 3,
    open: Duration::from_secs(10),
    longest_open: Duration::from_secs(60),
    longest_retry_after: Duration::from_secs(3600),
    jitter: 0.2,
    trials: 2,
    successes: 2,
};

fn at(seconds: u64) -> Moment {
    Moment::from_millis(seconds * 1000)
}

fn fault(weight: Weight, retry_after: Option<u64>) -> Fault {
    let retry_after = retry_after.map(Duration::from_secs);
    Fault { blame: Blame::Channel, weight, next: Next::Another, retry_after }
}

fn pass(breaker: &mut Breaker, now: Moment) -> Passed {
    breaker.pass(now, &OPTIONS).expect("it lets calls pass")
}

/// One call that fails, in the middle of the jitter.
fn failing(breaker: &mut Breaker, now: Moment, weight: Weight, retry_after: Option<u64>) {
    let passed = pass(breaker, now);
    breaker.fail(passed, &fault(weight, retry_after), now, 0.5, &OPTIONS);
}

fn going_well(breaker: &mut Breaker, now: Moment) {
    let passed = pass(breaker, now);
    breaker.succeed(passed, &OPTIONS);
}

fn opened_at(now: Moment) -> Breaker {
    let mut breaker = Breaker::default();
    failing(&mut breaker, now, Weight::Opens, None);
    breaker
}

#[test]
fn so_many_failures_in_a_row_open_it_and_a_success_between_them_does_not_let_them_add_up() {
    let mut breaker = Breaker::default();
    for _ in 0..2 {
        failing(&mut breaker, at(0), Weight::Counts, None);
    }
    going_well(&mut breaker, at(0));
    for _ in 0..2 {
        failing(&mut breaker, at(0), Weight::Counts, None);
    }
    assert_eq!(breaker.state(at(0)), State::Closed);
    failing(&mut breaker, at(0), Weight::Counts, None);
    assert_eq!(breaker.state(at(0)), State::Open { until: at(10) });
    assert_eq!(breaker.check(at(9), &OPTIONS), Err(Shut::Until(at(10))));
}

#[test]
fn one_request_that_fails_again_and_again_does_not_open_it() {
    let mut breaker = Breaker::default();
    for _ in 0..50 {
        failing(&mut breaker, at(0), Weight::Repeats, None);
    }
    assert_eq!(breaker.state(at(0)), State::Closed);
}

#[test]
fn an_answer_that_breaks_off_after_it_began_counts_although_others_began_since() {
    let mut breaker = Breaker::default();
    for _ in 0..3 {
        let mut passed = pass(&mut breaker, at(0));
        breaker.hear(&mut passed);
        breaker.fail(passed, &fault(Weight::Counts, None), at(0), 0.5, &OPTIONS);
    }
    assert_eq!(breaker.state(at(0)), State::Open { until: at(10) });
}

#[test]
fn a_named_pause_is_kept_to_its_end_and_never_cut_short_by_chance() {
    for chance in [0.0, 0.3, 1.0] {
        let mut breaker = Breaker::default();
        let passed = pass(&mut breaker, at(0));
        breaker.fail(passed, &fault(Weight::Opens, Some(30)), at(0), chance, &OPTIONS);
        let State::Open { until } = breaker.state(at(0)) else { panic!("it is open") };
        assert!(until >= at(30) && until <= at(33), "{until:?}");
    }
}

#[test]
fn a_pause_beyond_reason_is_not_believed() {
    let mut breaker = Breaker::default();
    failing(&mut breaker, at(0), Weight::Opens, Some(1_000_000));
    let State::Open { until } = breaker.state(at(0)) else { panic!("it is open") };
    assert!(until <= at(3600 + 360));
}

#[test]
fn a_straggler_opens_nothing_again_but_its_named_pause_is_kept() {
    let mut breaker = Breaker::default();
    let (first, second, third) = (pass(&mut breaker, at(0)), pass(&mut breaker, at(0)), pass(&mut breaker, at(0)));
    breaker.fail(first, &fault(Weight::Opens, None), at(0), 0.5, &OPTIONS);
    breaker.fail(second, &fault(Weight::Opens, Some(40)), at(1), 0.5, &OPTIONS);
    assert_eq!((breaker.state(at(1)), breaker.opened()), (State::Open { until: at(41) }, 1));
    breaker.succeed(third, &OPTIONS);
    assert_eq!(breaker.state(at(2)), State::Open { until: at(41) }, "a success from before says nothing");
}

#[test]
fn after_its_time_a_few_trials_pass_and_only_their_success_closes_it() {
    let mut breaker = opened_at(at(0));
    let (mut first, second) = (pass(&mut breaker, at(10)), pass(&mut breaker, at(10)));
    assert_eq!(breaker.check(at(10), &OPTIONS), Err(Shut::Trying));
    breaker.hear(&mut first);
    assert_eq!(breaker.check(at(10), &OPTIONS), Ok(()), "one that answers takes no place any more");
    breaker.succeed(first, &OPTIONS);
    assert_eq!(breaker.state(at(10)), State::HalfOpen);
    breaker.succeed(second, &OPTIONS);
    assert_eq!((breaker.state(at(10)), breaker.opened()), (State::Closed, 1));
    going_well(&mut breaker, at(10));
    assert_eq!(breaker.opened(), 0, "it is as if nothing had been");
}

#[test]
fn a_failed_trial_opens_it_for_twice_as_long_up_to_the_longest_time() {
    let mut breaker = opened_at(at(0));
    let mut now = 0;
    for expected in [10, 20, 40, 60, 60] {
        assert_eq!(breaker.state(at(now)), State::Open { until: at(now + expected) });
        now += expected;
        failing(&mut breaker, at(now), Weight::Repeats, None);
    }
}

#[test]
fn whoever_passes_its_trials_and_fails_again_rests_longer_each_time() {
    let mut breaker = opened_at(at(0));
    for _ in 0..OPTIONS.successes {
        going_well(&mut breaker, at(10));
    }
    failing(&mut breaker, at(10), Weight::Opens, None);
    assert_eq!(breaker.state(at(10)), State::Open { until: at(30) });
}

#[test]
fn a_trial_that_is_let_go_gives_its_place_back() {
    let mut breaker = opened_at(at(0));
    for _ in 0..10 {
        let passed = pass(&mut breaker, at(10));
        breaker.leave(passed);
    }
    assert_eq!(breaker.state(at(10)), State::HalfOpen);
}

#[test]
fn a_dead_one_stays_dead_whatever_time_and_stragglers_say() {
    let mut breaker = Breaker::default();
    let straggler = pass(&mut breaker, at(0));
    failing(&mut breaker, at(0), Weight::Kills, None);
    breaker.succeed(straggler, &OPTIONS);
    assert_eq!(breaker.check(at(1_000_000), &OPTIONS), Err(Shut::Dead));
    assert!(!breaker.adopt(State::Open { until: at(2_000_000) }, 1, at(1_000_000), &OPTIONS));
    assert!(breaker.adopt(State::Closed, 0, at(1_000_000), &OPTIONS), "another node knows that it lives");
    assert_eq!(breaker.state(at(1_000_000)), State::Closed);
}

#[test]
fn what_another_node_has_seen_is_taken_over_once_and_within_reason() {
    let mut breaker = Breaker::default();
    let open = State::Open { until: at(50) };
    assert!(breaker.adopt(open, 3, at(0), &OPTIONS));
    assert!(!breaker.adopt(open, 3, at(0), &OPTIONS), "it is no news");
    assert_eq!((breaker.state(at(0)), breaker.opened()), (open, 3));
    assert!(!breaker.adopt(State::Open { until: at(50) }, 3, at(50), &OPTIONS), "that time is over");
    assert!(breaker.adopt(State::Open { until: at(1_000_000) }, 1, at(0), &OPTIONS));
    assert_eq!(breaker.state(at(0)), State::Open { until: at(3600) });
}

/// What can happen to a breaker.
#[derive(Debug, Clone)]
enum Step {
    Wait(u64),
    Call,
    Hear(usize),
    Succeed(usize),
    Fail(usize, Weight, Option<u64>),
    Leave(usize),
    Told(State, u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let weight = prop_oneof![4 => Just(Weight::Counts), 1 => Just(Weight::Opens), 1 => Just(Weight::Repeats)];
    let named = prop_oneof![3 => Just(None), 1 => (0_u64..100).prop_map(Some)];
    let told = prop_oneof![
        Just(State::Closed),
        (0_u64..2_000_000).prop_map(|until| State::Open { until: Moment::from_millis(until) })
    ];
    let step = prop_oneof![
        3 => (0_u64..20_000).prop_map(Step::Wait),
        6 => Just(Step::Call),
        2 => any::<usize>().prop_map(Step::Hear),
        4 => any::<usize>().prop_map(Step::Succeed),
        4 => (any::<usize>(), weight, named).prop_map(|(call, weight, named)| Step::Fail(call, weight, named)),
        1 => any::<usize>().prop_map(Step::Leave),
        1 => (told, 0_u32..5).prop_map(|(state, opened)| Step::Told(state, opened)),
    ];
    prop::collection::vec(step, 1..200)
}

/// The simplest thing that knows when a breaker must be shut: the latest moment that anybody named while it was open,
/// and the calls that were let through since it opened.
#[derive(Default)]
struct Model {
    shut_until: Option<Moment>,
    silent_trials: Vec<usize>,
}

proptest! {
    #[test]
    fn nothing_passes_while_it_is_open_and_at_most_the_trials_before_it_is_closed(steps in steps(), chances in any::<u64>()) {
        let mut random = fastrand::Rng::with_seed(chances);
        let (mut breaker, mut now) = (Breaker::default(), Moment::from_millis(0));
        let mut calls: Vec<(usize, Passed)> = vec![];
        let (mut next, mut model) = (0, Model::default());
        for step in steps {
            match step {
                Step::Wait(millis) => now = now.after(Duration::from_millis(millis)),
                Step::Call => {
                    let before = breaker.state(now);
                    let passed = breaker.pass(now, &OPTIONS);
                    match (before, &model.shut_until) {
                        (State::Open { until }, Some(known)) => {
                            prop_assert_eq!(passed, Err(Shut::Until(until)));
                            prop_assert_eq!(until, *known);
                        }
                        (State::HalfOpen, _) => {
                            prop_assert_eq!(passed.is_ok(), model.silent_trials.len() < OPTIONS.trials as usize);
                            if let Ok(passed) = passed {
                                model.silent_trials.push(next);
                                calls.push((next, passed));
                            }
                        }
                        _ => calls.push((next, passed.expect("a closed one lets everything pass"))),
                    }
                    next += 1;
                }
                Step::Hear(any) if !calls.is_empty() => {
                    let at = any % calls.len();
                    breaker.hear(&mut calls[at].1);
                    let id = calls[at].0;
                    model.silent_trials.retain(|trial| *trial != id);
                }
                Step::Succeed(any) | Step::Fail(any, ..) | Step::Leave(any) if !calls.is_empty() => {
                    let (id, passed) = calls.swap_remove(any % calls.len());
                    model.silent_trials.retain(|trial| *trial != id);
                    match step {
                        Step::Fail(_, weight, named) => breaker.fail(passed, &fault(weight, named), now, random.f64(), &OPTIONS),
                        Step::Succeed(_) => breaker.succeed(passed, &OPTIONS),
                        _ => breaker.leave(passed),
                    }
                }
                Step::Told(state, opened) => drop(breaker.adopt(state, opened, now, &OPTIONS)),
                Step::Hear(_) | Step::Succeed(_) | Step::Fail(..) | Step::Leave(_) => {}
            }
            match breaker.told_state() {
                State::Open { until } => {
                    // It never shuts for longer than the longest time that anybody may name, jitter included.
                    prop_assert!(until <= now.after(OPTIONS.longest_retry_after.mul_f64(1.1)));
                    model = Model { shut_until: Some(until), silent_trials: vec![] };
                }
                State::Closed => model = Model::default(),
                State::HalfOpen | State::Dead => {}
            }
        }
    }

    #[test]
    fn an_upstream_that_is_well_again_is_trusted_again(steps in steps(), chances in any::<u64>()) {
        let mut random = fastrand::Rng::with_seed(chances);
        let (mut breaker, mut now) = (Breaker::default(), Moment::from_millis(0));
        for step in steps {
            match step {
                Step::Wait(millis) => now = now.after(Duration::from_millis(millis)),
                Step::Call | Step::Succeed(_) | Step::Hear(_) => {
                    if let Ok(passed) = breaker.pass(now, &OPTIONS) { breaker.succeed(passed, &OPTIONS) }
                }
                Step::Fail(_, weight, named) => {
                    if let Ok(passed) = breaker.pass(now, &OPTIONS) {
                        breaker.fail(passed, &fault(weight, named), now, random.f64(), &OPTIONS);
                    }
                }
                Step::Leave(_) => {
                    if let Ok(passed) = breaker.pass(now, &OPTIONS) { breaker.leave(passed) }
                }
                Step::Told(state, opened) => drop(breaker.adopt(state, opened, now, &OPTIONS)),
            }
        }
        now = now.after(OPTIONS.longest_retry_after.mul_f64(1.1));
        for _ in 0..OPTIONS.successes {
            let passed = breaker.pass(now, &OPTIONS);
            prop_assert!(passed.is_ok());
            if let Ok(passed) = passed { breaker.succeed(passed, &OPTIONS) }
        }
        prop_assert_eq!(breaker.state(now), State::Closed);
    }
}
