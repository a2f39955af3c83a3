//! The money, by the stated policy (docs/decisions/0008, docs/ARCHITECTURE.md):
//!
//! - Nothing is asked of a model before credit is held. A hold ends once: charged, released, or expired; an expired one may
//!   still be charged late. A run has one hold, whatever its attempts.
//! - What the model's server reported at the end of an answer is charged at the prices of the hold, once. Where it broke
//!   off or was stopped before that, tokens are estimated from what was said; where nothing was said, nothing is charged.
//! - A reply is settled in the transaction of its ending. What an attempt brought that lost its process or its lease is
//!   not charged: the next attempt is.
//! - A call of the compatible API is settled by its process. If that dies, the hold expires and nothing is charged.
//! - So a wallet is what was moved into it less what was charged.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use domain::HoldId;
use domain::billing::{Basis, Nanos, Purpose, Tokens, WalletEvent};
use domain::chat::Finish;
use uuid::Uuid;

use super::Violation;
use super::replies::{Run, runs};
use crate::evidence::Evidence;
use crate::journal::{Answer, Did, Entry};
use crate::upstream::{Asked, INPUT_TOKENS};

/// `OPENAI_PRICES` of the town: 2.50 and 10.00 a million.
const INPUT_NANOS: i64 = 2_500;
const OUTPUT_NANOS: i64 = 10_000;

/// One settlement.
struct Charge<'e> {
    owner: Uuid,
    hold: HoldId,
    purpose: Purpose,
    tokens: Tokens,
    basis: Basis,
    charged: Nanos,
    command_id: &'e Option<String>,
}

fn charges(evidence: &Evidence) -> Vec<Charge<'_>> {
    let charges = evidence.wallet_events().filter_map(|(owner, fact)| match &fact.event {
        WalletEvent::Charged { hold_id, purpose, tokens, basis, charged_nanos, .. } => Some(Charge {
            owner: *owner,
            hold: *hold_id,
            purpose: *purpose,
            tokens: *tokens,
            basis: *basis,
            charged: *charged_nanos,
            command_id: &fact.command_id,
        }),
        _ => None,
    });
    charges.collect()
}

pub fn every_position_sums_to_zero(evidence: &Evidence) -> Vec<Violation> {
    let mut sums = BTreeMap::<i64, i64>::new();
    for (position, nanos) in &evidence.ledger {
        *sums.entry(*position).or_default() += nanos;
    }
    let wrong = sums.into_iter().filter(|(_, sum)| *sum != 0);
    wrong
        .map(|(position, sum)| {
            Violation::new("every position sums to zero", format!("ledger position {position}"), "0", sum.to_string())
        })
        .collect()
}

/// Held once; then charged, released or expired; after an expiry perhaps charged late.
pub fn every_hold_ends_once(evidence: &Evidence) -> Vec<Violation> {
    let mut ends = BTreeMap::<(Uuid, HoldId), Vec<&str>>::new();
    for (owner, fact) in evidence.wallet_events() {
        let (hold, word) = match &fact.event {
            WalletEvent::Held { hold_id, .. } => (hold_id, "held"),
            WalletEvent::Charged { hold_id, .. } => (hold_id, "charged"),
            WalletEvent::Released { hold_id, .. } => (hold_id, "released"),
            WalletEvent::Expired { hold_id, .. } => (hold_id, "expired"),
            _ => continue,
        };
        ends.entry((*owner, *hold)).or_default().push(word);
    }
    let allowed: [&[&str]; 4] =
        [&["held", "charged"], &["held", "released"], &["held", "expired"], &["held", "expired", "charged"]];
    let wrong = ends.into_iter().filter(|(_, ends)| !allowed.contains(&ends.as_slice()));
    wrong
        .map(|((owner, hold), ends)| {
            let about = format!("hold {hold} of wallet {owner}");
            Violation::new("every hold ends once", about, "held and one end", format!("{ends:?}"))
        })
        .collect()
}

/// What the model's server delivered is charged, once, to whom it was delivered; and nothing else is.
pub fn charges_are_what_the_upstream_delivered(evidence: &Evidence) -> Vec<Violation> {
    let (runs, charges) = (runs(evidence), charges(evidence));
    let mut found = priced_and_justified(evidence, &runs, &charges);
    found.extend(endings_without_their_charge(&runs, &charges));
    found.extend(delivered_and_lost(evidence, &runs, &charges));
    found
}

/// Each charge has the price of its tokens and an answer that it is for, which no other charge is for.
fn priced_and_justified(evidence: &Evidence, runs: &BTreeMap<Uuid, Run>, charges: &[Charge<'_>]) -> Vec<Violation> {
    let check = "charges are what the upstream delivered";
    let calls: HashMap<&str, Uuid> = calls(evidence).map(|(_, owner, tag, _)| (tag, owner)).collect();
    let mut used = BTreeSet::new();
    let mut found = Vec::new();
    for charge in charges {
        let about = format!("charge of hold {} of wallet {}", charge.hold, charge.owner);
        let Tokens { input, output, .. } = charge.tokens;
        let price = i64::try_from(input).unwrap_or(i64::MAX).saturating_mul(INPUT_NANOS)
            + i64::try_from(output).unwrap_or(i64::MAX).saturating_mul(OUTPUT_NANOS);
        if charge.charged.get() != price {
            found.push(Violation::new(check, &about, price.to_string(), charge.charged.to_string()));
        }
        let is_its = |asked: &&Asked| match charge.purpose {
            Purpose::Reply { run_id, .. } => runs.get(&run_id.uuid()).is_some_and(|run| run.tag == asked.tag),
            Purpose::Api { .. } => calls.get(asked.tag.as_str()) == Some(&charge.owner),
        };
        let mut answers = evidence.asked.iter().filter(|asked| asked.began).filter(is_its);
        let justified = match charge.basis {
            Basis::Reported => answers.any(|asked| asked.reported == Some((input, output))) && used.insert(output),
            Basis::Counted | Basis::Estimated => answers.next().is_some(),
        };
        if !justified {
            let found_instead = format!("{input} and {output} tokens, {:?}", charge.basis);
            found.push(Violation::new(check, about, "an answer of its own that took as much", found_instead));
        }
    }
    found
}

/// A reply that tells what it took is charged exactly that, by the command that ended it.
fn endings_without_their_charge(runs: &BTreeMap<Uuid, Run>, charges: &[Charge<'_>]) -> Vec<Violation> {
    let check = "charges are what the upstream delivered";
    let mut found = Vec::new();
    for (id, run) in runs {
        let Some(ending) = run.endings.first() else { continue };
        let charge = charges.iter().find(|charge| charge.hold.uuid() == *id);
        let charged = charge.map(|charge| (charge.tokens.input, charge.tokens.output));
        if ending.usage.is_some() && charged != ending.usage {
            let expected = format!("a charge of {:?}", ending.usage);
            found.push(Violation::new(check, format!("run {id}"), expected, format!("{charged:?}")));
        }
        if charge.is_some_and(|charge| *charge.command_id != ending.command_id) {
            let found_instead = "two commands";
            found.push(Violation::new(check, format!("run {id}"), "ending and charge by one command", found_instead));
        }
    }
    found
}

/// Whatever came to its end upstream is charged, or was lost in a way that the policy names.
fn delivered_and_lost(evidence: &Evidence, runs: &BTreeMap<Uuid, Run>, charges: &[Charge<'_>]) -> Vec<Violation> {
    let check = "charges are what the upstream delivered";
    let charged: BTreeSet<u64> = charges.iter().map(|charge| charge.tokens.output).collect();
    let mut lost = BTreeMap::<&str, usize>::new();
    for asked in evidence.asked.iter().filter(|asked| asked.delivered) {
        let Some((INPUT_TOKENS, output)) = asked.reported else { continue };
        if !charged.contains(&output) {
            *lost.entry(&asked.tag).or_default() += 1;
        }
    }
    let mut may_be_lost = BTreeMap::<&str, usize>::new();
    for (id, run) in runs {
        let is_stopped = run.endings.first().is_some_and(|ending| ending.finish == Some(Finish::Stopped));
        let is_charged = charges.iter().any(|charge| charge.hold.uuid() == *id && charge.basis == Basis::Reported);
        let attempts = run.attempts.len();
        // The last attempt's answer is the run's own, unless its owner stopped it at the last moment.
        let lost = if is_stopped { attempts } else { attempts.saturating_sub(1) };
        *may_be_lost.entry(&run.tag).or_default() += if is_charged { lost.min(attempts - 1) } else { lost };
    }
    for (entry, _, tag, api) in calls(evidence) {
        let hung_up = matches!(&entry.answers[..], [Answer::Left | Answer::Unknown(_)]);
        *may_be_lost.entry(tag).or_default() += usize::from(hung_up || evidence.api_died[api]);
    }
    let wrong = lost.into_iter().filter(|(tag, lost)| *lost > may_be_lost.get(tag).copied().unwrap_or(0));
    wrong
        .map(|(tag, lost)| {
            let expected = format!("{} of its answers lost at most", may_be_lost.get(tag).copied().unwrap_or(0));
            Violation::new(check, format!("question {tag}"), expected, format!("{lost} delivered and not charged"))
        })
        .collect()
}

/// The calls of the compatible API: entry, payer, tag, process.
fn calls(evidence: &Evidence) -> impl Iterator<Item = (&Entry, Uuid, &str, usize)> {
    evidence.journal.iter().filter_map(|entry| match &entry.did {
        Did::Call { owner, tag, api } => Some((entry, *owner, tag.as_str(), *api)),
        _ => None,
    })
}

/// Rows say what the events add up to, and nothing is held.
pub fn wallets_are_movements_less_charges(evidence: &Evidence) -> Vec<Violation> {
    let check = "wallets are movements less charges";
    let mut found = Vec::new();
    for (owner, facts) in &evidence.wallets {
        let balance: i64 = facts
            .iter()
            .map(|fact| match &fact.event {
                WalletEvent::Granted { amount_nanos, .. }
                | WalletEvent::ToppedUp { amount_nanos, .. }
                | WalletEvent::Adjusted { amount_nanos, .. } => amount_nanos.get(),
                WalletEvent::Charged { charged_nanos, .. } => -charged_nanos.get(),
                _ => 0,
            })
            .sum();
        let row = evidence.wallet_rows.get(owner);
        let shown = row.map(|[granted, paid, debt, held]| (granted + paid - debt, *held));
        if shown != Some((balance, 0)) {
            let expected = format!("a balance of {balance}, nothing held");
            found.push(Violation::new(check, format!("wallet {owner}"), expected, format!("{shown:?}")));
        }
    }
    found
}

#[cfg(test)]
#[path = "money_tests.rs"]
mod tests;
