//! What holds whatever is asked, in whatever order, however often.

use std::collections::HashMap;

use proptest::{collection::vec, prelude::*};

use super::*;

/// Few ids, so that commands meet each other.
fn any_id() -> impl Strategy<Value = u128> {
    0_u128..8
}

/// Mostly what people have, sometimes what no arithmetic survives unchecked.
fn any_amount() -> impl Strategy<Value = i64> {
    prop_oneof![
        8 => -50_000_i64..200_000,
        1 => any::<i64>(),
        1 => prop::sample::select(vec![i64::MIN, i64::MAX, 0, MAX_MOVEMENT.get(), -MAX_MOVEMENT.get()]),
    ]
}

fn any_count() -> impl Strategy<Value = u64> {
    prop_oneof![12 => 0_u64..20, 1 => any::<u64>(), 1 => Just(u64::MAX)]
}

fn any_rate() -> impl Strategy<Value = Rate> {
    prop::sample::select(vec!["0", "0.0000005", "0.333333333", "1", "4", "6", "1000000"]).prop_map(rate)
}

fn any_rates() -> impl Strategy<Value = Rates> {
    let tier = || prop::option::of(any_rate());
    (any_rate(), any_rate(), tier(), tier()).prop_map(|(input, output, cached_input, reasoning)| Rates {
        input,
        output,
        cached_input,
        reasoning,
        ..Rates::default()
    })
}

fn any_quote() -> impl Strategy<Value = Quote> {
    let rates = || prop_oneof![Just((prices(), costs())), (any_rates(), any_rates())];
    let output = || prop_oneof![6 => 0_u32..20, 1 => any::<u32>()];
    (rates(), any_count(), output(), output()).prop_map(|((prices, costs), input, most, least)| Quote {
        prices,
        costs,
        ..quote(input, most, least)
    })
}

fn any_tokens() -> impl Strategy<Value = Tokens> {
    (any_count(), any_count(), any_count(), any_count()).prop_map(|(i, c, o, r)| tokens(i, c, o, r))
}

fn any_policy() -> impl Strategy<Value = ExpiryPolicy> {
    prop::sample::select(vec![ExpiryPolicy::Release, ExpiryPolicy::Charge])
}

fn any_movement() -> impl Strategy<Value = WalletCommand> {
    (0..3, any_id(), any_amount()).prop_map(|(kind, reference, amount)| match kind {
        0 => grant(reference, amount),
        1 => top_up(reference, amount),
        _ => adjust(reference, amount),
    })
}

fn any_command() -> impl Strategy<Value = WalletCommand> {
    prop_oneof![
        3 => any_movement(),
        4 => (any_id(), any_quote()).prop_map(|(n, quote)| hold(n, quote)),
        1 => any_quote().prop_map(|quote| WalletCommand::RequireCredit { quote }),
        1 => (any_id(), 0..2 * LIFE).prop_map(|(n, seconds)| {
            WalletCommand::ExtendHold { hold_id: hold_id(n), expires_at: at(seconds), at: AT }
        }),
        4 => (any_id(), any_tokens(), prop_oneof![4 => 0_u32..3, 1 => any::<u32>()])
            .prop_map(|(n, tokens, lost)| charge_after(n, tokens, lost)),
        1 => any_id().prop_map(release),
        2 => (any_id(), any_policy(), 0..3 * LIFE).prop_map(|(n, policy, seconds)| expire(n, policy, seconds)),
    ]
}

/// From almost nothing to the edge of all numbers.
fn any_beginning() -> impl Strategy<Value = Vec<WalletEvent>> {
    let full = MAX_BALANCE.get();
    prop_oneof![
        4 => (0_i64..200_000, 0_i64..200_000).prop_map(|(granted, paid)| pots(granted, paid, 0)),
        1 => (0_i64..200_000).prop_map(|debt| pots(0, 0, debt)),
        1 => (0_i64..1000).prop_map(move |less| pots(full - less, full - less, 0)),
        1 => (0_i64..1000).prop_map(move |less| pots(0, 0, full - less)),
    ]
}

/// What an event does to the balance, said without the wallet: by its kind and its amount alone.
fn worth(event: &WalletEvent) -> i128 {
    use WalletEvent as E;
    match event {
        E::Granted { amount_nanos, .. } | E::ToppedUp { amount_nanos, .. } | E::Adjusted { amount_nanos, .. } => {
            i128::from(amount_nanos.get())
        }
        E::Charged { charged_nanos, .. } => -i128::from(charged_nanos.get()),
        E::Held { .. } | E::HoldExtended { .. } | E::Released { .. } | E::Expired { .. } => 0,
    }
}

fn carry_out(wallet: &mut Wallet, command: WalletCommand) -> Vec<WalletEvent> {
    let events = wallet.decide(command).unwrap_or_default();
    events.iter().cloned().for_each(|event| wallet.apply(event));
    events
}

fn open_amounts(wallet: &Wallet) -> i128 {
    wallet.holds().map(|(_, hold)| i128::from(hold.amount.get())).sum()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_balance_is_the_sum_of_what_was_moved_and_no_money_comes_from_elsewhere(
        beginning in any_beginning(), commands in vec(any_command(), 1..60),
    ) {
        let mut expected: i128 = beginning.iter().map(worth).sum();
        let mut wallet = after(beginning);
        for command in commands {
            let may_add = match &command {
                WalletCommand::Grant { amount_nanos, .. }
                | WalletCommand::TopUp { amount_nanos, .. }
                | WalletCommand::Adjust { amount_nanos, .. } => i128::from(amount_nanos.get()),
                _ => 0,
            };
            let added: i128 = carry_out(&mut wallet, command).iter().map(worth).sum();
            prop_assert!(added <= may_add.max(0), "only a gift, a payment or a correction adds, and no more than it says");
            expected += added;
            prop_assert_eq!(i128::from(wallet.balance().get()), expected);
            let (granted, paid, debt) = wallet.pots();
            prop_assert!([granted, paid, debt].iter().all(|pot| (Nanos::ZERO..=MAX_BALANCE).contains(pot)));
            prop_assert!(debt.is_zero() || (granted.is_zero() && paid.is_zero()), "debt beside credit");
        }
    }

    #[test]
    fn no_credit_is_set_apart_twice_and_no_hold_is_larger_than_what_is_free(
        beginning in any_beginning(), commands in vec(any_command(), 1..60),
    ) {
        let mut wallet = after(beginning);
        for command in commands {
            let free = wallet.available();
            for event in carry_out(&mut wallet, command) {
                let WalletEvent::Held { amount_nanos, prices, input_tokens, max_output_tokens, pieces, .. } = event else {
                    continue;
                };
                prop_assert_eq!(prices.at_most(input_tokens, max_output_tokens, &pieces), Some(amount_nanos));
                if !prices.is_free() {
                    prop_assert!(free > Nanos::ZERO && amount_nanos <= free);
                    prop_assert!(wallet.available() >= Nanos::ZERO);
                    prop_assert!(open_amounts(&wallet) <= i128::from(wallet.balance().get()), "spent twice");
                }
            }
            prop_assert!(wallet.holds().count() <= MAX_HOLDS);
            prop_assert_eq!(i128::from(wallet.held().get()), open_amounts(&wallet));
        }
    }

    #[test]
    fn a_refusal_for_lack_of_credit_names_numbers_of_which_the_second_is_greater(
        beginning in any_beginning(), commands in vec(any_command(), 0..10), quote in any_quote(),
    ) {
        let mut wallet = after(beginning);
        for command in commands {
            carry_out(&mut wallet, command);
        }
        if let Err(WalletRefusal::InsufficientCredit { available, required }) = wallet.decide(hold(100, quote)) {
            prop_assert_eq!(available, wallet.available());
            prop_assert!(available < required);
        }
    }

    #[test]
    fn a_hold_is_charged_once_at_most_by_the_prices_it_was_made_with(
        beginning in any_beginning(), commands in vec(any_command(), 1..100),
    ) {
        let mut wallet = after(beginning);
        let mut terms = HashMap::new();
        let mut charged = HashMap::new();
        for command in commands {
            for event in carry_out(&mut wallet, command) {
                match event {
                    WalletEvent::Held { hold_id, prices, costs, .. } => {
                        prop_assert!(terms.insert(hold_id, (prices, costs)).is_none(), "an id used twice");
                    }
                    WalletEvent::Charged { hold_id, tokens, prices, costs, charged_nanos, cost_nanos, .. } => {
                        prop_assert!(charged.insert(hold_id, charged_nanos).is_none(), "charged twice");
                        prop_assert_eq!(terms.get(&hold_id), Some(&(prices.clone(), costs.clone())));
                        prop_assert_eq!(prices.cost(&tokens), Some(charged_nanos));
                        prop_assert_eq!(costs.cost(&tokens), Some(cost_nanos));
                        prop_assert!(!charged_nanos.is_negative() && !cost_nanos.is_negative());
                    }
                    _ => {}
                }
            }
        }
    }

    /// Without the bus, which would already answer from the stored outcome: under new command ids, at any later time.
    #[test]
    fn what_had_an_effect_has_none_when_it_is_delivered_again(
        beginning in any_beginning(), commands in vec(any_command(), 1..60), again in vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let mut wallet = after(beginning);
        let mut effective = vec![];
        for command in commands {
            if !carry_out(&mut wallet, command.clone()).is_empty() {
                effective.push(command);
            }
            // Some at once and between others, each as often as it likes.
            for index in &again {
                if !effective.is_empty() {
                    let before = wallet.clone();
                    prop_assert_eq!(carry_out(&mut wallet, index.get(&effective).clone()), vec![]);
                    prop_assert_eq!(&before, &wallet);
                }
            }
        }
        for command in effective {
            prop_assert_eq!(carry_out(&mut wallet, command), vec![], "any prefix, delivered again at the end");
        }
    }

    #[test]
    fn a_state_is_what_its_stored_events_add_up_to_and_survives_its_own_stored_form(
        beginning in any_beginning(), commands in vec(any_command(), 1..60),
    ) {
        let mut wallet = after(beginning.clone());
        let mut log = beginning;
        for command in commands {
            log.extend(carry_out(&mut wallet, command));
        }
        let stored: Vec<String> = log.iter().map(|event| serde_json::to_string(event).unwrap()).collect();
        let read = after(stored.iter().map(|event| serde_json::from_str(event).unwrap()).collect());
        prop_assert_eq!(&read, &wallet);
        let snapshot = serde_json::to_string(&wallet).unwrap();
        prop_assert_eq!(serde_json::from_str::<Wallet>(&snapshot).unwrap(), wallet);
    }
}

/// A hold and how it ends: of those that expire first the settlement comes late.
#[derive(Debug, Clone)]
struct Ending {
    n: u128,
    tokens: Tokens,
    late: bool,
}

fn endings() -> impl Strategy<Value = Vec<Ending>> {
    let small = || (0_u64..12, 0_u64..12, 0_u64..12, 0_u64..12).prop_map(|(i, c, o, r)| tokens(i, c, o, r));
    vec((small(), any::<bool>()), 1..12)
        .prop_map(|endings| (0..).zip(endings).map(|(n, (tokens, late))| Ending { n, tokens, late }).collect())
}

/// A wallet with these pots and a hold for each ending; credit reaches for all, charges may go beyond their holds.
fn with_holds(in_granted: i64, in_paid: i64, endings: &[Ending]) -> Wallet {
    let holds = endings.iter().map(|ending| held(ending.n, 100, 0, 0));
    after(pots(in_granted, in_paid, 0).into_iter().chain(holds).collect())
}

fn settle(wallet: &mut Wallet, ending: &Ending) {
    if ending.late {
        carry_out(wallet, expire(ending.n, ExpiryPolicy::Release, LIFE));
    }
    assert_eq!(carry_out(wallet, charge(ending.n, ending.tokens)).len(), 1, "every settlement is taken");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Invariant under order: every pot and the debt, and so the balance, because charges take from the pots in a fixed
    /// order. Which settlement was borne by which pot is not, and is not meant to be.
    #[test]
    fn the_same_settlements_in_any_order_leave_the_same_pots_and_debt(
        in_granted in 0_i64..150_000, in_paid in 0_i64..150_000,
        (endings, shuffled) in endings().prop_flat_map(|endings| (Just(endings.clone()), Just(endings).prop_shuffle())),
    ) {
        let mut in_order = with_holds(in_granted, in_paid, &endings);
        let mut otherwise = in_order.clone();
        endings.iter().for_each(|ending| settle(&mut in_order, ending));
        shuffled.iter().for_each(|ending| settle(&mut otherwise, ending));
        prop_assert_eq!(in_order.pots(), otherwise.pots());
        prop_assert_eq!((in_order.held(), otherwise.held()), (Nanos::ZERO, Nanos::ZERO));
    }

    /// Invariant under interleaving with gifts and payments: the balance, the debt, and the credit in both pots together.
    /// How credit is split between gifts and payments depends on which came first, as a charge takes what is there.
    #[test]
    fn settlements_between_movements_in_any_order_leave_the_same_credit_and_debt(
        in_granted in 0_i64..50_000, in_paid in 0_i64..50_000, amounts in vec(1_i64..100_000, 0..8),
        endings in endings(), order in Just((0..20).collect::<Vec<usize>>()).prop_shuffle(),
    ) {
        let mut in_order = with_holds(in_granted, in_paid, &endings);
        let mut otherwise = in_order.clone();
        let step = |wallet: &mut Wallet, n: usize| match (endings.get(n), amounts.get(n.wrapping_sub(12))) {
            (Some(ending), _) => settle(wallet, ending),
            (None, Some(amount)) if n.is_multiple_of(2) => drop(carry_out(wallet, grant(n as u128, *amount))),
            (None, Some(amount)) => drop(carry_out(wallet, top_up(n as u128, *amount))),
            (None, None) => {}
        };
        (0..20).for_each(|n| step(&mut in_order, n));
        order.iter().for_each(|n| step(&mut otherwise, *n));
        let credit = |wallet: &Wallet| wallet.pots().0.get() + wallet.pots().1.get();
        prop_assert_eq!(in_order.balance(), otherwise.balance());
        prop_assert_eq!(in_order.pots().2, otherwise.pots().2);
        prop_assert_eq!(credit(&in_order), credit(&otherwise));
    }
}
