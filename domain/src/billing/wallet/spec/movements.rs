//! Gifts, payments and corrections.

use super::*;

#[test]
fn a_gift_and_a_payment_go_to_pots_of_their_own() {
    given(vec![]).when(grant(1, 500)).then_expect_events(vec![granted(1, 500, effect(500, 0, 0))]);
    given(vec![]).when(top_up(1, 500)).then_expect_events(vec![topped_up(1, 500, effect(0, 500, 0))]);
    let wallet = after(pots(500, 700, 0));
    assert_eq!((wallet.pots(), wallet.balance()), ((nanos(500), nanos(700), Nanos::ZERO), nanos(1200)));
}

#[test]
fn debt_is_repaid_before_any_pot_is_filled() {
    given(pots(0, 0, 300)).when(grant(1, 500)).then_expect_events(vec![granted(1, 500, effect(200, 0, -300))]);
    given(pots(0, 0, 300)).when(top_up(1, 500)).then_expect_events(vec![topped_up(1, 500, effect(0, 200, -300))]);
    given(pots(0, 0, 300)).when(adjust(1, 500)).then_expect_events(vec![adjusted(1, 500, effect(200, 0, -300))]);
    given(pots(0, 0, 300)).when(top_up(1, 299)).then_expect_events(vec![topped_up(1, 299, effect(0, 0, -299))]);
}

#[test]
fn one_reference_is_booked_once_whatever_it_says_the_second_time() {
    let booked = || vec![granted(1, 500, effect(500, 0, 0))];
    for again in [grant(1, 500), grant(1, 900), grant(1, -1), top_up(1, 500), adjust(1, -500)] {
        given(booked()).when(again).then_expect_events(vec![]);
    }
    given(booked()).when(grant(2, 500)).then_expect_events(vec![granted(2, 500, effect(500, 0, 0))]);
}

#[test]
fn an_amount_of_zero_or_less_is_neither_a_gift_nor_a_payment() {
    for amount in [0, -1, -MAX_MOVEMENT.get()] {
        given(pots(500, 500, 0)).when(grant(1, amount)).then_expect_error(WalletRefusal::InvalidAmount);
        given(pots(500, 500, 0)).when(top_up(1, amount)).then_expect_error(WalletRefusal::InvalidAmount);
    }
}

#[test]
fn an_adjustment_goes_either_way_but_not_nowhere() {
    given(pots(500, 0, 0)).when(adjust(1, 200)).then_expect_events(vec![adjusted(1, 200, effect(200, 0, 0))]);
    given(pots(500, 0, 0)).when(adjust(1, -200)).then_expect_events(vec![adjusted(1, -200, effect(-200, 0, 0))]);
    given(pots(500, 0, 0)).when(adjust(1, 0)).then_expect_error(WalletRefusal::InvalidAmount);
}

#[test]
fn an_adjustment_takes_gifts_first_then_payments_and_the_rest_is_debt() {
    given(pots(500, 300, 0)).when(adjust(1, -600)).then_expect_events(vec![adjusted(1, -600, effect(-500, -100, 0))]);
    given(pots(500, 300, 0)).when(adjust(1, -900)).then_expect_events(vec![adjusted(1, -900, effect(-500, -300, 100))]);
    given(vec![]).when(adjust(1, -900)).then_expect_events(vec![adjusted(1, -900, effect(0, 0, 900))]);
}

#[test]
fn a_wallet_keeps_the_currency_of_its_first_movement() {
    let in_yuan = |mut command: WalletCommand| {
        let (WalletCommand::Grant { currency, .. }
        | WalletCommand::TopUp { currency, .. }
        | WalletCommand::Adjust { currency, .. }) = &mut command
        else {
            panic!("no movement: {command:?}")
        };
        *currency = "CNY".parse().unwrap();
        command
    };
    for command in [grant(1, 5), top_up(1, 5), adjust(1, 5), adjust(1, -5)] {
        given(pots(500, 0, 0))
            .when(in_yuan(command))
            .then_expect_error(WalletRefusal::CurrencyMismatch { wallet: Currency::USD });
    }
    // What was booked is booked: told again in another currency it is still the same movement.
    given(pots(500, 0, 0)).when(in_yuan(grant(101, 500))).then_expect_events(vec![]);
    assert_eq!((Wallet::default().currency(), after(pots(1, 0, 0)).currency()), (None, Some(Currency::USD)));
}

#[test]
fn at_most_a_million_units_are_moved_at_once_in_either_direction() {
    let most = MAX_MOVEMENT.get();
    given(vec![]).when(grant(1, most)).then_expect_events(vec![granted(1, most, effect(most, 0, 0))]);
    given(vec![]).when(adjust(1, -most)).then_expect_events(vec![adjusted(1, -most, effect(0, 0, most))]);
    for amount in [most + 1, i64::MAX] {
        for command in [grant(1, amount), top_up(1, amount), adjust(1, amount), adjust(1, -amount)] {
            given(vec![]).when(command).then_expect_error(WalletRefusal::AmountTooLarge);
        }
    }
    for command in [grant(1, i64::MIN), top_up(1, i64::MIN), adjust(1, i64::MIN)] {
        given(vec![]).when(command).then_expect_error(WalletRefusal::AmountTooLarge);
    }
}

#[test]
fn no_pot_and_no_debt_grows_beyond_its_range() {
    let full = MAX_BALANCE.get();
    given(pots(full - 5, 0, 0)).when(grant(1, 5)).then_expect_events(vec![granted(1, 5, effect(5, 0, 0))]);
    given(pots(full - 5, 0, 0)).when(grant(1, 6)).then_expect_error(WalletRefusal::AmountTooLarge);
    given(pots(0, full, 0)).when(top_up(1, 1)).then_expect_error(WalletRefusal::AmountTooLarge);
    given(pots(0, full, 0)).when(grant(1, 1)).then_expect_events(vec![granted(1, 1, effect(1, 0, 0))]);
    given(pots(0, 0, full)).when(adjust(1, -1)).then_expect_error(WalletRefusal::AmountTooLarge);
    assert_eq!(after(pots(full, full, 0)).balance(), nanos(2 * full), "two full pots are a number still");
}

#[test]
fn a_refusal_carries_its_numbers_as_strings_and_a_stable_code() {
    use crate::Refusal as _;
    let refusal = WalletRefusal::InsufficientCredit { available: nanos(-5), required: nanos(7) };
    assert_eq!(refusal.code(), "insufficient_credit");
    assert_eq!(refusal.details(), serde_json::json!({ "available_nanos": "-5", "required_nanos": "7" }));
    let limit = WalletRefusal::AmountTooLarge.details();
    assert_eq!(limit, serde_json::json!({ "limit_nanos": "1000000000000000" }));
}
