//! Credit that is set apart before a call.

use super::*;

fn insufficient(available: i64, required: i64) -> WalletRefusal {
    WalletRefusal::InsufficientCredit { available: nanos(available), required: nanos(required) }
}

#[test]
fn a_hold_covers_the_input_and_the_whole_bound_at_the_dearest_rates() {
    // 10 × 1000 (dearer than cached) + 5 × 6000 (reasoning, dearer than output).
    given(pots(100_000, 0, 0)).when(hold(1, quote(10, 5, 1))).then_expect_events(vec![held(1, 40_000, 10, 5)]);
    let cached_is_dearer = Rates { cached_input: Some(rate("2")), ..prices() };
    let quote = Quote { prices: cached_is_dearer, ..quote(10, 5, 1) };
    given(pots(100_000, 0, 0)).when(hold(1, quote.clone())).then_expect_events(vec![held_at(1, 50_000, &quote)]);
}

#[test]
fn a_hold_of_a_fraction_is_rounded_up() {
    // Half a nano-unit a token.
    let prices = Rates { output: rate("0.0005"), ..Rates::default() };
    let quote = Quote { prices, ..quote(0, 3, 1) };
    given(pots(10, 0, 0)).when(hold(1, quote.clone())).then_expect_events(vec![held_at(1, 2, &quote)]);
}

#[test]
fn where_credit_does_not_cover_the_bound_the_bound_shrinks_to_what_it_covers() {
    // 10,000 for the input leave room for 15 output tokens and a half.
    given(pots(103_000, 0, 0)).when(hold(1, quote(10, 4096, 4))).then_expect_events(vec![held(1, 100_000, 10, 15)]);
    given(pots(3000, 100_000, 0)).when(hold(1, quote(10, 4096, 4))).then_expect_events(vec![held(1, 100_000, 10, 15)]);
}

#[test]
fn the_bound_shrinks_down_to_the_minimum_and_then_the_call_is_refused_with_its_numbers() {
    given(pots(34_000, 0, 0)).when(hold(1, quote(10, 4096, 4))).then_expect_events(vec![held(1, 34_000, 10, 4)]);
    given(pots(33_999, 0, 0)).when(hold(1, quote(10, 4096, 4))).then_expect_error(insufficient(33_999, 34_000));
    given(vec![]).when(hold(1, quote(10, 4096, 4))).then_expect_error(insufficient(0, 34_000));
}

#[test]
fn credit_that_does_not_even_cover_the_input_is_refused() {
    given(pots(9999, 0, 0)).when(hold(1, quote(10, 4096, 4))).then_expect_error(insufficient(9999, 34_000));
}

#[test]
fn a_client_may_want_less_than_the_minimum_but_nobody_is_given_nothing() {
    given(pots(50_000, 0, 0)).when(hold(1, quote(10, 2, 64))).then_expect_events(vec![held(1, 22_000, 10, 2)]);
    given(pots(10_000, 0, 0)).when(hold(1, quote(10, 64, 0))).then_expect_error(insufficient(10_000, 16_000));
}

#[test]
fn what_is_free_needs_no_credit_and_debt_does_not_keep_it_from_anyone() {
    let free = Quote { prices: Rates::default(), ..quote(10, 4096, 4) };
    for events in [vec![], pots(0, 0, 300), pots(500, 0, 0)] {
        given(events).when(hold(1, free.clone())).then_expect_events(vec![held_at(1, 0, &free)]);
    }
}

#[test]
fn input_that_costs_nothing_is_no_way_to_begin_without_credit() {
    let free_input = Quote { prices: Rates { output: rate("4"), ..Rates::default() }, ..quote(10, 5, 1) };
    given(vec![]).when(hold(1, free_input.clone())).then_expect_error(insufficient(0, 4000));
    let free_output = Quote { prices: Rates { input: rate("1"), ..Rates::default() }, ..quote(0, 5, 1) };
    given(vec![]).when(hold(1, free_output.clone())).then_expect_error(insufficient(0, 1));
    given(pots(1, 0, 0)).when(hold(1, free_output.clone())).then_expect_events(vec![held_at(1, 0, &free_output)]);
}

#[test]
fn debt_keeps_from_every_call_that_costs_something() {
    given(pots(0, 0, 300)).when(hold(1, quote(10, 5, 1))).then_expect_error(insufficient(-300, 16_000));
}

#[test]
fn credit_is_set_apart_once() {
    let two = || [pots(100_000, 0, 0), vec![held(1, 40_000, 10, 5), held(2, 40_000, 10, 5)]].concat();
    let wallet = after(two());
    assert_eq!((wallet.balance(), wallet.held(), wallet.available()), (nanos(100_000), nanos(80_000), nanos(20_000)));
    given(two()).when(hold(3, quote(10, 5, 1))).then_expect_events(vec![held(3, 16_000, 10, 1)]);
    given(two()).when(hold(3, quote(10, 5, 2))).then_expect_error(insufficient(20_000, 22_000));
}

#[test]
fn so_many_calls_are_paid_at_once_and_not_one_more() {
    let one_less = (1..MAX_HOLDS as u128).map(|n| held(n, 0, 0, 0));
    let events: Vec<_> = pots(100_000, 0, 0).into_iter().chain(one_less).collect();
    let last = held(MAX_HOLDS as u128, 40_000, 10, 5);
    given(events.clone()).when(hold(MAX_HOLDS as u128, quote(10, 5, 1))).then_expect_events(vec![last.clone()]);
    let full = [events, vec![last]].concat();
    given(full.clone()).when(hold(5000, quote(10, 5, 1))).then_expect_error(WalletRefusal::TooManyHolds);
    let one_ended = [full, vec![released(1, 0)]].concat();
    given(one_ended).when(hold(5000, quote(10, 5, 1))).then_expect_events(vec![held(5000, 40_000, 10, 5)]);
}

#[test]
fn the_id_of_a_hold_is_used_once_however_it_ended() {
    let open = || [pots(100_000, 0, 0), vec![held(1, 40_000, 10, 5)]].concat();
    let settled = Settled { charged: 1000, cost: 100, lost_cost: 0, effect: effect(-1000, 0, 0), released: 40_000 };
    let endings = [
        vec![],
        vec![released(1, 40_000)],
        vec![expired(1, 40_000, 1000)],
        vec![charged(1, tokens(1, 0, 0, 0), settled)],
    ];
    for ending in endings {
        given([open(), ending].concat()).when(hold(1, quote(10, 5, 1))).then_expect_error(WalletRefusal::HoldExists);
    }
}

#[test]
fn a_call_whose_price_is_no_amount_is_refused_and_nothing_wraps() {
    let dearest = Rates { input: rate("1000000"), output: rate("1000000"), ..Rates::default() };
    let quote = Quote { prices: dearest, ..quote(u64::MAX, u32::MAX, u32::MAX) };
    for events in [vec![], pots(MAX_BALANCE.get(), MAX_BALANCE.get(), 0)] {
        given(events).when(hold(1, quote.clone())).then_expect_error(WalletRefusal::AmountTooLarge);
    }
}

#[test]
fn requiring_credit_refuses_as_a_hold_would_and_changes_nothing() {
    let require = |quote| WalletCommand::RequireCredit { quote };
    given(pots(34_000, 0, 0)).when(require(quote(10, 4096, 4))).then_expect_events(vec![]);
    given(pots(33_999, 0, 0)).when(require(quote(10, 4096, 4))).then_expect_error(insufficient(33_999, 34_000));
}

#[test]
fn a_hold_is_extended_but_never_cut_short() {
    let open = || [pots(100_000, 0, 0), vec![held(1, 40_000, 10, 5)]].concat();
    let extend = |n, seconds| WalletCommand::ExtendHold { hold_id: hold_id(n), expires_at: at(seconds), at: AT };
    let extended = WalletEvent::HoldExtended { hold_id: hold_id(1), expires_at: at(LIFE + 1), at: AT };
    given(open()).when(extend(1, LIFE + 1)).then_expect_events(vec![extended.clone()]);
    for no_later in [LIFE, 0] {
        given(open()).when(extend(1, no_later)).then_expect_events(vec![]);
    }
    for ending in [released(1, 40_000), expired(1, 40_000, 1000)] {
        given([open(), vec![ending]].concat()).when(extend(1, LIFE + 1)).then_expect_events(vec![]);
    }
    given(open()).when(extend(2, LIFE + 1)).then_expect_events(vec![]);
    given([open(), vec![extended]].concat())
        .when(expire(1, ExpiryPolicy::Release, LIFE))
        .then_expect_error(WalletRefusal::HoldNotExpired { expires_at: at(LIFE + 1) });
}

#[test]
fn what_is_sold_by_the_piece_is_held_for_and_charged_where_nothing_more_is_heard() {
    let per_image = Some("0.04".parse().unwrap());
    let prices = Rates { per_image, ..Rates::default() };
    let pieces = Pieces { images: 3, ..Pieces::NONE };
    let quote = Quote { prices, pieces, costs: Rates::default(), ..quote(10, 0, 0) };
    let held = held_at(1, 120_000_000, &quote);
    given(pots(120_000_000, 0, 0)).when(hold(1, quote.clone())).then_expect_events(vec![held.clone()]);
    given(pots(119_999_999, 0, 0)).when(hold(1, quote)).then_expect_error(insufficient(119_999_999, 120_000_000));
    let open = after([pots(200_000_000, 0, 0), vec![held]].concat());
    let settled = |command| match &open.decide(command).unwrap()[..] {
        [WalletEvent::Charged { charged_nanos, tokens, .. }] => (*charged_nanos, tokens.pieces),
        other => panic!("{other:?}"),
    };
    assert_eq!(settled(expire(1, ExpiryPolicy::Charge, LIFE)), (nanos(120_000_000), pieces));
    let one = Pieces { images: 1, ..Pieces::NONE };
    assert_eq!(settled(charge(1, Tokens { pieces: one, ..NONE })), (nanos(40_000_000), one));
}
