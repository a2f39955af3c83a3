//! Wallets as their rules say.

mod alternatives;
mod holds;
mod movements;
mod properties;
mod settlements;

use cqrs_es::test::{AggregateTestExecutor, TestFramework};

use super::*;
use crate::{Decided, RunId, SessionId, UserId, billing::Rate};

const AT: DateTime<Utc> = DateTime::UNIX_EPOCH;
/// Seconds until a hold expires.
const LIFE: i64 = 60;
const OPERATOR: Source = Source::Operator { by: UserId::new(Uuid::from_u128(9)) };
const CHANNEL: ChannelId = ChannelId::new(Uuid::from_u128(8));
const PURPOSE: Purpose =
    Purpose::Reply { session_id: SessionId::new(Uuid::from_u128(7)), run_id: RunId::new(Uuid::from_u128(6)) };

fn given(events: Vec<WalletEvent>) -> AggregateTestExecutor<Decided<Wallet>> {
    TestFramework::with(()).given(events)
}

/// The wallet in which all of this happened.
fn after(events: Vec<WalletEvent>) -> Wallet {
    let mut wallet = Wallet::default();
    events.into_iter().for_each(|event| wallet.apply(event));
    wallet
}

fn at(seconds: i64) -> DateTime<Utc> {
    AT + chrono::TimeDelta::seconds(seconds)
}

const fn hold_id(n: u128) -> HoldId {
    HoldId::new(Uuid::from_u128(n))
}

const fn nanos(amount: i64) -> Nanos {
    Nanos::new(amount)
}

const fn effect(granted: i64, paid: i64, debt: i64) -> Effect {
    Effect { granted_nanos: nanos(granted), paid_nanos: nanos(paid), debt_nanos: nanos(debt) }
}

fn rate(text: &str) -> Rate {
    text.parse().unwrap()
}

/// Nano-units a token: input 1000, cached 500, output 4000, reasoning 6000.
fn prices() -> Rates {
    Rates {
        input: rate("1"),
        output: rate("4"),
        cached_input: Some(rate("0.5")),
        reasoning: Some(rate("6")),
        ..Rates::default()
    }
}

/// Nano-units a token: input 100, output 300.
fn costs() -> Rates {
    Rates { input: rate("0.1"), output: rate("0.3"), ..Rates::default() }
}

const NONE: Tokens = Tokens {
    input: 0,
    cached_input: 0,
    output: 0,
    reasoning: 0,
    cache_write: 0,
    audio_input: 0,
    cache_write_hour: 0,
    image_input: 0,
    audio_output: 0,
    image_output: 0,
    pieces: Pieces::NONE,
};

const fn tokens(input: u64, cached_input: u64, output: u64, reasoning: u64) -> Tokens {
    Tokens { input, cached_input, output, reasoning, ..NONE }
}

fn grant(reference: u128, amount: i64) -> WalletCommand {
    let (reference, amount_nanos) = (Uuid::from_u128(reference), nanos(amount));
    WalletCommand::Grant { reference, amount_nanos, currency: Currency::USD, source: OPERATOR, note: None, at: AT }
}

fn granted(reference: u128, amount: i64, effect: Effect) -> WalletEvent {
    let (reference, amount_nanos, currency) = (Uuid::from_u128(reference), nanos(amount), Currency::USD);
    WalletEvent::Granted { reference, amount_nanos, currency, effect, source: OPERATOR, note: None, at: AT }
}

fn top_up(reference: u128, amount: i64) -> WalletCommand {
    let (reference, amount_nanos) = (Uuid::from_u128(reference), nanos(amount));
    WalletCommand::TopUp { reference, amount_nanos, currency: Currency::USD, source: OPERATOR, note: None, at: AT }
}

fn topped_up(reference: u128, amount: i64, effect: Effect) -> WalletEvent {
    let (reference, amount_nanos, currency) = (Uuid::from_u128(reference), nanos(amount), Currency::USD);
    WalletEvent::ToppedUp { reference, amount_nanos, currency, effect, source: OPERATOR, note: None, at: AT }
}

fn adjust(reference: u128, amount: i64) -> WalletCommand {
    let (reference, amount_nanos) = (Uuid::from_u128(reference), nanos(amount));
    WalletCommand::Adjust { reference, amount_nanos, currency: Currency::USD, source: OPERATOR, note: None, at: AT }
}

fn adjusted(reference: u128, amount: i64, effect: Effect) -> WalletEvent {
    let (reference, amount_nanos, currency) = (Uuid::from_u128(reference), nanos(amount), Currency::USD);
    WalletEvent::Adjusted { reference, amount_nanos, currency, effect, source: OPERATOR, note: None, at: AT }
}

/// A wallet with these pots.
fn pots(in_granted: i64, in_paid: i64, in_debt: i64) -> Vec<WalletEvent> {
    let mut events = vec![];
    if in_granted != 0 {
        events.push(granted(101, in_granted, effect(in_granted, 0, 0)));
    }
    if in_paid != 0 {
        events.push(topped_up(102, in_paid, effect(0, in_paid, 0)));
    }
    if in_debt != 0 {
        events.push(adjusted(103, -in_debt, effect(0, 0, in_debt)));
    }
    events
}

fn quote(input_tokens: u64, max_output_tokens: u32, min_output_tokens: u32) -> Quote {
    Quote {
        model: "m".to_owned(),
        channel_id: CHANNEL,
        price_version: 3,
        prices: prices(),
        costs: costs(),
        input_tokens,
        max_output_tokens,
        min_output_tokens,
        pieces: Pieces::NONE,
        alternatives: vec![],
    }
}

fn hold(n: u128, quote: Quote) -> WalletCommand {
    WalletCommand::Hold { hold_id: hold_id(n), purpose: PURPOSE, quote, expires_at: at(LIFE), at: AT }
}

/// At [`prices`].
fn held(n: u128, amount: i64, input_tokens: u64, max_output_tokens: u32) -> WalletEvent {
    held_at(n, amount, &Quote { max_output_tokens, ..quote(input_tokens, max_output_tokens, 1) })
}

fn held_at(n: u128, amount: i64, quote: &Quote) -> WalletEvent {
    WalletEvent::Held {
        hold_id: hold_id(n),
        purpose: PURPOSE,
        amount_nanos: nanos(amount),
        model: quote.model.clone(),
        channel_id: quote.channel_id,
        price_version: quote.price_version,
        prices: quote.prices.clone(),
        costs: quote.costs.clone(),
        input_tokens: quote.input_tokens,
        max_output_tokens: quote.max_output_tokens,
        pieces: quote.pieces,
        alternatives: quote.alternatives.clone(),
        expires_at: at(LIFE),
        at: AT,
    }
}

fn charge(n: u128, tokens: Tokens) -> WalletCommand {
    charge_after(n, tokens, 0)
}

fn charge_after(n: u128, tokens: Tokens, lost_attempts: u32) -> WalletCommand {
    WalletCommand::ChargeTokens { hold_id: hold_id(n), tokens, basis: Basis::Reported, by: None, lost_attempts, at: AT }
}

fn release(n: u128) -> WalletCommand {
    WalletCommand::Release { hold_id: hold_id(n), reason: ReleaseReason::Failed, lost_attempts: 0, at: AT }
}

fn released(n: u128, amount: i64) -> WalletEvent {
    WalletEvent::Released {
        hold_id: hold_id(n),
        purpose: PURPOSE,
        model: "m".to_owned(),
        amount_nanos: nanos(amount),
        reason: ReleaseReason::Failed,
        lost_cost_nanos: Nanos::ZERO,
        at: AT,
    }
}

fn expire(n: u128, policy: ExpiryPolicy, seconds: i64) -> WalletCommand {
    WalletCommand::Expire { hold_id: hold_id(n), policy, at: at(seconds) }
}

fn expired(n: u128, amount: i64, cost: i64) -> WalletEvent {
    WalletEvent::Expired {
        hold_id: hold_id(n),
        purpose: PURPOSE,
        model: "m".to_owned(),
        amount_nanos: nanos(amount),
        cost_nanos: nanos(cost),
        at: at(LIFE),
    }
}

/// A settlement in full: what was charged, what it and the lost attempts cost us, what was held.
#[derive(Clone, Copy)]
struct Settled {
    charged: i64,
    cost: i64,
    lost_cost: i64,
    effect: Effect,
    released: i64,
}

fn charged(n: u128, tokens: Tokens, settled: Settled) -> WalletEvent {
    WalletEvent::Charged {
        hold_id: hold_id(n),
        purpose: PURPOSE,
        model: "m".to_owned(),
        channel_id: CHANNEL,
        tokens,
        basis: Basis::Reported,
        price_version: 3,
        prices: prices(),
        costs: costs(),
        charged_nanos: nanos(settled.charged),
        cost_nanos: nanos(settled.cost),
        lost_cost_nanos: nanos(settled.lost_cost),
        effect: settled.effect,
        released_nanos: nanos(settled.released),
        at: AT,
    }
}
