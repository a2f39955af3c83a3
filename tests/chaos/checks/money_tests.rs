//! Each rule of the money with a planted violation.

use super::super::sample::{self, CALL_TAG, RUN, SESSION, USER};
use super::*;
use crate::evidence::Fact;

/// The wallet's events.
fn wallet(evidence: &mut Evidence) -> &mut Vec<Fact<WalletEvent>> {
    evidence.wallets.get_mut(&USER).unwrap()
}

/// The place of the charge of the reply, or of the call.
fn charge(evidence: &mut Evidence, of_reply: bool) -> usize {
    let is = |event: &WalletEvent| match event {
        WalletEvent::Charged { purpose, .. } => {
            matches!(purpose, Purpose::Reply { run_id, .. } if run_id.uuid() == RUN)
                || (!of_reply && matches!(purpose, Purpose::Api { .. }))
        }
        _ => false,
    };
    let facts = wallet(evidence);
    if of_reply {
        facts.iter().position(|fact| is(&fact.event)).unwrap()
    } else {
        facts.iter().rposition(|fact| is(&fact.event)).unwrap()
    }
}

#[test]
fn a_position_that_does_not_sum_to_zero_is_found() {
    let mut evidence = sample::innocent();
    evidence.ledger.push((1, 7));
    assert_eq!(every_position_sums_to_zero(&evidence).len(), 1);
}

#[test]
fn a_hold_that_is_charged_twice_or_never_ends_is_found() {
    let mut evidence = sample::innocent();
    let place = charge(&mut evidence, true);
    let again = wallet(&mut evidence)[place].clone();
    wallet(&mut evidence).push(again);
    assert_eq!(every_hold_ends_once(&evidence).len(), 1);
    let mut evidence = sample::innocent();
    let place = charge(&mut evidence, true);
    wallet(&mut evidence).remove(place);
    assert_eq!(every_hold_ends_once(&evidence).len(), 1);
}

#[test]
fn a_wrong_price_wrong_tokens_and_an_answer_charged_twice_are_found() {
    for of_reply in [true, false] {
        let mut evidence = sample::innocent();
        let place = charge(&mut evidence, of_reply);
        if let WalletEvent::Charged { charged_nanos, .. } = &mut wallet(&mut evidence)[place].event {
            *charged_nanos = Nanos::new(charged_nanos.get() + 1);
        }
        assert_eq!(charges_are_what_the_upstream_delivered(&evidence).len(), 1, "price");

        let mut evidence = sample::innocent();
        let place = charge(&mut evidence, of_reply);
        if let WalletEvent::Charged { tokens, charged_nanos, .. } = &mut wallet(&mut evidence)[place].event {
            tokens.output += 500;
            *charged_nanos = Nanos::new(charged_nanos.get() + 500 * OUTPUT_NANOS);
        }
        assert!(!charges_are_what_the_upstream_delivered(&evidence).is_empty(), "tokens");

        let mut evidence = sample::innocent();
        let place = charge(&mut evidence, of_reply);
        let again = wallet(&mut evidence)[place].clone();
        wallet(&mut evidence).push(again);
        assert!(!charges_are_what_the_upstream_delivered(&evidence).is_empty(), "twice");
    }
}

#[test]
fn an_answer_that_was_delivered_and_not_charged_is_found_unless_the_policy_names_the_loss() {
    for of_reply in [true, false] {
        let mut evidence = sample::innocent();
        let place = charge(&mut evidence, of_reply);
        wallet(&mut evidence).remove(place);
        assert!(!charges_are_what_the_upstream_delivered(&evidence).is_empty());
        if !of_reply {
            evidence.api_died[0] = true;
            assert!(charges_are_what_the_upstream_delivered(&evidence).is_empty(), "its process died");
        }
    }
}

#[test]
fn a_charge_for_what_was_never_asked_is_found() {
    for tag in ["u0-1", CALL_TAG] {
        let mut evidence = sample::innocent();
        evidence.asked.retain(|asked| asked.tag != tag);
        assert!(!charges_are_what_the_upstream_delivered(&evidence).is_empty(), "{tag}");
    }
}

#[test]
fn an_ending_and_a_charge_by_two_commands_are_found() {
    let mut evidence = sample::innocent();
    let place = charge(&mut evidence, true);
    wallet(&mut evidence)[place].command_id = Some("another".to_owned());
    assert_eq!(charges_are_what_the_upstream_delivered(&evidence).len(), 1);
}

#[test]
fn a_lost_attempt_may_be_uncharged_and_no_more_than_it() {
    let mut evidence = sample::innocent();
    let lost = Asked { reported: Some((INPUT_TOKENS, 5_000)), ..evidence.asked[0].clone() };
    evidence.asked.push(lost);
    assert!(!charges_are_what_the_upstream_delivered(&evidence).is_empty());
    let facts = evidence.sessions.get_mut(&SESSION).unwrap();
    let is_start = |fact: &&Fact<domain::chat::SessionEvent>| {
        matches!(fact.event, domain::chat::SessionEvent::ReplyStarted { .. })
    };
    let again = facts.iter().find(is_start).unwrap().clone();
    facts.push(again);
    assert!(charges_are_what_the_upstream_delivered(&evidence).is_empty(), "a second attempt was announced");
}

#[test]
fn a_wallet_that_shows_something_else_or_still_holds_is_found() {
    for place in 0..4 {
        let mut evidence = sample::innocent();
        evidence.wallet_rows.get_mut(&USER).unwrap()[place] += 1;
        assert_eq!(wallets_are_movements_less_charges(&evidence).len(), 1);
    }
    let mut evidence = sample::innocent();
    evidence.wallet_rows.clear();
    assert_eq!(wallets_are_movements_less_charges(&evidence).len(), 1);
}
