//! Calls that somebody else may answer, at another price.

use super::*;
use crate::billing::{Answerer, Terms};

const OTHER: ChannelId = ChannelId::new(Uuid::from_u128(9));

/// Somebody who costs twice as much for output.
fn dearer() -> Terms {
    let prices = Rates { input: rate("1"), output: rate("8"), ..Rates::default() };
    let costs = Rates { input: rate("0.2"), output: rate("3"), ..Rates::default() };
    Terms { channel_id: OTHER, model: "m".to_owned(), price_version: 7, prices, costs }
}

fn open_to_both() -> Quote {
    let prices = Rates { input: rate("1"), output: rate("4"), ..Rates::default() };
    Quote { prices, alternatives: vec![dearer()], ..quote(10, 5, 1) }
}

fn answered_by(channel_id: ChannelId, model: &str) -> WalletCommand {
    let by = Some(Answerer { channel_id, model: model.to_owned() });
    let (hold_id, tokens, basis) = (hold_id(1), tokens(10, 0, 5, 0), Basis::Reported);
    WalletCommand::ChargeTokens { hold_id, tokens, basis, by, lost_attempts: 0, at: AT }
}

fn settled_by(command: WalletCommand) -> (ChannelId, u32, i64, i64) {
    let events = [pots(100_000, 0, 0), vec![held_at(1, 50_000, &open_to_both())]].concat();
    let decided = after(events).decide(command).unwrap();
    let [WalletEvent::Charged { channel_id, price_version, charged_nanos, cost_nanos, released_nanos, .. }] =
        &decided[..]
    else {
        panic!("{decided:?}")
    };
    assert_eq!(*released_nanos, nanos(50_000), "all that was held");
    (*channel_id, *price_version, charged_nanos.get(), cost_nanos.get())
}

#[test]
fn enough_is_held_for_the_dearest_who_may_answer() {
    given(pots(100_000, 0, 0)).when(hold(1, open_to_both())).then_expect_events(vec![held_at(
        1,
        50_000,
        &open_to_both(),
    )]);
}

#[test]
fn an_answer_is_as_long_as_credit_covers_whoever_gives_it() {
    let decided = after(pots(30_000, 0, 0)).decide(hold(1, open_to_both())).unwrap();
    let [WalletEvent::Held { max_output_tokens, amount_nanos, .. }] = &decided[..] else { panic!("{decided:?}") };
    assert_eq!((*max_output_tokens, *amount_nanos), (2, nanos(26_000)));
}

#[test]
fn a_free_offer_beside_a_dear_one_is_held_for_like_the_dear_one() {
    let quote = Quote { prices: Rates::default(), ..open_to_both() };
    assert!(after(vec![]).decide(hold(1, quote.clone())).is_err());
    let decided = after(pots(100_000, 0, 0)).decide(hold(1, quote)).unwrap();
    assert!(matches!(&decided[..], [WalletEvent::Held { amount_nanos, .. }] if *amount_nanos == nanos(50_000)));
}

#[test]
fn whoever_answers_is_paid_at_its_own_pinned_price() {
    assert_eq!(settled_by(charge(1, tokens(10, 0, 5, 0))), (CHANNEL, 3, 30_000, 2500));
    assert_eq!(settled_by(answered_by(CHANNEL, "m")), (CHANNEL, 3, 30_000, 2500));
    assert_eq!(settled_by(answered_by(OTHER, "m")), (OTHER, 7, 50_000, 17_000));
}

#[test]
fn nobody_else_can_be_paid_from_a_hold() {
    let events = [pots(100_000, 0, 0), vec![held_at(1, 50_000, &open_to_both())]].concat();
    for (channel, model) in [(OTHER, "another"), (ChannelId::new(Uuid::from_u128(77)), "m")] {
        let refused = after(events.clone()).decide(answered_by(channel, model));
        assert_eq!(refused, Err(WalletRefusal::NotHeldFor));
    }
}
