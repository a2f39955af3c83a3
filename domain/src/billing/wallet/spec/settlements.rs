//! How holds end.

use super::*;

/// A hold of 40,000 for 10 tokens of input and at most 5 of output.
fn open(in_granted: i64, in_paid: i64) -> Vec<WalletEvent> {
    [pots(in_granted, in_paid, 0), vec![held(1, 40_000, 10, 5)]].concat()
}

fn lapsed(in_granted: i64, in_paid: i64) -> Vec<WalletEvent> {
    [open(in_granted, in_paid), vec![expired(1, 40_000, 1000)]].concat()
}

/// A settlement of the hold of [`open`] by 5 tokens of input and one of output: 9000.
const FEW: Tokens = tokens(5, 0, 1, 0);

fn few(effect: Effect, released: i64, lost_cost: i64) -> WalletEvent {
    charged(1, FEW, Settled { charged: 9000, cost: 800, lost_cost, effect, released })
}

#[test]
fn a_settlement_charges_every_tier_at_its_rate_and_gives_the_rest_back() {
    // 5 × 1000 + 3 × 500 + 2 × 4000 + 1 × 6000, and for us 8 × 100 + 3 × 300.
    let used = tokens(5, 3, 2, 1);
    let settled =
        Settled { charged: 20_500, cost: 1700, lost_cost: 0, effect: effect(-20_500, 0, 0), released: 40_000 };
    given(open(100_000, 0)).when(charge(1, used)).then_expect_events(vec![charged(1, used, settled)]);
}

#[test]
fn nothing_stays_held_after_a_settlement_and_the_balance_is_less_by_the_charge_alone() {
    let wallet = after([open(100_000, 0), vec![few(effect(-9000, 0, 0), 40_000, 0)]].concat());
    assert_eq!((wallet.balance(), wallet.held(), wallet.available()), (nanos(91_000), Nanos::ZERO, nanos(91_000)));
}

#[test]
fn the_prices_of_the_hold_are_those_of_the_settlement() {
    let old = Quote { price_version: 2, prices: Rates { input: rate("7"), ..Rates::default() }, ..quote(10, 5, 1) };
    let events = [pots(100_000, 0, 0), vec![held_at(1, 70_000, &old)]].concat();
    let decided = after(events).decide(charge(1, tokens(10, 0, 5, 0))).unwrap();
    let [WalletEvent::Charged { price_version: 2, prices, charged_nanos, .. }] = decided.as_slice() else {
        panic!("{decided:?}")
    };
    assert_eq!((prices, *charged_nanos), (&old.prices, nanos(70_000)));
}

#[test]
fn gifts_are_used_up_first_then_payments() {
    let by = |granted: i64, paid: i64| vec![few(effect(-granted, -paid, 0), 40_000, 0)];
    given(open(50_000, 50_000)).when(charge(1, FEW)).then_expect_events(by(9000, 0));
    given(open(8000, 50_000)).when(charge(1, FEW)).then_expect_events(by(8000, 1000));
    given(open(0, 50_000)).when(charge(1, FEW)).then_expect_events(by(0, 9000));
}

#[test]
fn what_a_settlement_costs_beyond_the_credit_is_debt() {
    // Held were 40,000 of 41,000; the provider says it was 8 tokens of reasoning.
    let used = tokens(0, 0, 0, 8);
    let debt = effect(-1000, -40_000, 7000);
    let settled = Settled { charged: 48_000, cost: 2400, lost_cost: 0, effect: debt, released: 40_000 };
    given(open(1000, 40_000)).when(charge(1, used)).then_expect_events(vec![charged(1, used, settled)]);
    let wallet = after([open(1000, 40_000), vec![charged(1, used, settled)]].concat());
    assert_eq!((wallet.pots().2, wallet.available()), (nanos(7000), nanos(-7000)));
}

#[test]
fn a_settlement_that_is_told_twice_changes_nothing() {
    let settled = || [open(100_000, 0), vec![few(effect(-9000, 0, 0), 40_000, 0)]].concat();
    for again in [charge(1, FEW), charge(1, tokens(9, 9, 9, 9)), release(1), expire(1, ExpiryPolicy::Charge, LIFE)] {
        given(settled()).when(again).then_expect_events(vec![]);
    }
}

#[test]
fn a_hold_that_this_wallet_does_not_know_is_not_charged_to_it() {
    for stranger in [charge(2, FEW), release(2), expire(2, ExpiryPolicy::Charge, LIFE)] {
        given(open(100_000, 0)).when(stranger).then_expect_events(vec![]);
    }
}

#[test]
fn a_call_on_a_free_model_is_settled_at_nothing_with_its_tokens() {
    let free = Quote { prices: Rates::default(), ..quote(10, 5, 1) };
    let decided = after([pots(0, 0, 300), vec![held_at(1, 0, &free)]].concat()).decide(charge(1, FEW)).unwrap();
    let [WalletEvent::Charged { tokens, charged_nanos, cost_nanos, effect, .. }] = decided.as_slice() else {
        panic!("{decided:?}")
    };
    assert_eq!((*tokens, *charged_nanos, *cost_nanos, *effect), (FEW, Nanos::ZERO, nanos(800), Effect::default()));
}

#[test]
fn attempts_that_were_lost_cost_us_and_not_the_user() {
    given(open(100_000, 0)).when(charge_after(1, FEW, 2)).then_expect_events(vec![few(
        effect(-9000, 0, 0),
        40_000,
        2000,
    )]);
    let lost = WalletCommand::Release { hold_id: hold_id(1), reason: ReleaseReason::Failed, lost_attempts: 2, at: AT };
    let decided = after(open(100_000, 0)).decide(lost).unwrap();
    assert!(matches!(&decided[..], [WalletEvent::Released { lost_cost_nanos, .. }] if *lost_cost_nanos == nanos(2000)));
}

#[test]
fn a_settlement_whose_amounts_are_no_amounts_is_refused_and_the_hold_stays() {
    let dearest = Rates { input: rate("1000000"), output: rate("1000000"), ..Rates::default() };
    let all = tokens(u64::MAX, u64::MAX, u64::MAX, u64::MAX);
    for (prices, costs) in [(dearest.clone(), Rates::default()), (Rates::default(), dearest.clone())] {
        let open = [pots(100_000, 0, 0), vec![held_at(1, 0, &Quote { prices, costs, ..quote(10, 5, 1) })]].concat();
        given(open).when(charge(1, all)).then_expect_error(WalletRefusal::AmountTooLarge);
    }
    let costly = Quote { costs: dearest, ..quote(u64::MAX / 2, 5, 1) };
    for command in [charge_after(1, FEW, 1), charge_after(1, FEW, u32::MAX), expire(1, ExpiryPolicy::Release, LIFE)] {
        given(vec![held_at(1, 0, &costly)]).when(command).then_expect_error(WalletRefusal::AmountTooLarge);
    }
}

#[test]
fn debt_beyond_its_range_is_refused() {
    let events = [pots(0, 0, MAX_BALANCE.get() - 8999), vec![held(1, 40_000, 10, 5)]].concat();
    given(events).when(charge(1, FEW)).then_expect_error(WalletRefusal::AmountTooLarge);
}

#[test]
fn a_release_gives_everything_back_once() {
    given(open(100_000, 0)).when(release(1)).then_expect_events(vec![released(1, 40_000)]);
    let gone = || [open(100_000, 0), vec![released(1, 40_000)]].concat();
    assert_eq!(after(gone()).available(), nanos(100_000));
    for again in [release(1), charge(1, FEW), expire(1, ExpiryPolicy::Charge, LIFE)] {
        given(gone()).when(again).then_expect_events(vec![]);
    }
}

#[test]
fn a_hold_expires_at_its_time_and_not_before() {
    let too_early = WalletRefusal::HoldNotExpired { expires_at: at(LIFE) };
    for policy in [ExpiryPolicy::Release, ExpiryPolicy::Charge] {
        given(open(100_000, 0)).when(expire(1, policy, LIFE - 1)).then_expect_error(too_early.clone());
    }
    given(open(100_000, 0))
        .when(expire(1, ExpiryPolicy::Release, LIFE))
        .then_expect_events(vec![expired(1, 40_000, 1000)]);
    given(lapsed(100_000, 0)).when(expire(1, ExpiryPolicy::Release, LIFE)).then_expect_events(vec![]);
    assert_eq!(after(lapsed(100_000, 0)).available(), nanos(100_000));
}

#[test]
fn by_the_other_policy_an_expiry_charges_the_input_and_the_whole_bound() {
    let decided = after(open(100_000, 0)).decide(expire(1, ExpiryPolicy::Charge, LIFE)).unwrap();
    let [WalletEvent::Charged { tokens: used, basis: Basis::Estimated, charged_nanos, released_nanos, .. }] =
        decided.as_slice()
    else {
        panic!("{decided:?}")
    };
    assert_eq!((*used, *charged_nanos, *released_nanos), (tokens(10, 0, 5, 0), nanos(30_000), nanos(40_000)));
    given([open(100_000, 0), decided].concat()).when(charge(1, FEW)).then_expect_events(vec![]);
}

#[test]
fn a_settlement_that_comes_after_the_expiry_is_taken_once() {
    given(lapsed(100_000, 0)).when(charge(1, FEW)).then_expect_events(vec![few(effect(-9000, 0, 0), 0, 0)]);
    given([lapsed(100_000, 0), vec![few(effect(-9000, 0, 0), 0, 0)]].concat())
        .when(charge(1, FEW))
        .then_expect_events(vec![]);
    given(lapsed(100_000, 0)).when(release(1)).then_expect_events(vec![]);
}

#[test]
fn the_attempt_that_the_expiry_took_for_lost_is_not_booked_again() {
    for (lost_attempts, booked) in [(0, 0), (1, 0), (2, 1000)] {
        given(lapsed(100_000, 0)).when(charge_after(1, FEW, lost_attempts)).then_expect_events(vec![few(
            effect(-9000, 0, 0),
            0,
            booked,
        )]);
    }
}

#[test]
fn late_settlements_are_taken_of_the_newest_expired_holds_only() {
    let many = 1..=MAX_LAPSED as u128 + 1;
    let expired = many.flat_map(|n| [held(n, 40_000, 10, 5), expired(n, 40_000, 1000)]);
    let events: Vec<_> = pots(100_000, 0, 0).into_iter().chain(expired).collect();
    given(events.clone()).when(charge(1, FEW)).then_expect_events(vec![]);
    assert_eq!(after(events).decide(charge(2, FEW)).unwrap().len(), 1);
}
