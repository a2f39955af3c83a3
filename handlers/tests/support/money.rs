//! Commands on wallets, at prices that make round numbers.
#![expect(clippy::unwrap_used, clippy::panic, reason = "in tests a panic is the failure report")]
#![expect(unreachable_pub, reason = "shared by the test files of this folder")]

use std::time::Duration;

use chrono::TimeDelta;
use domain::{
    ChannelId, HoldId, Sealed, UserId,
    billing::{Basis, Currency, Nanos, Purpose, Quote, Rates, Source, Tokens, Wallet, WalletCommand, WalletEvent},
};
use handlers::Dispatcher;
use nats::{CommandHandler as _, CommandMessage, Handled, Outcome};
use uuid::Uuid;

use crate::support::{CommandSide, command, now};

/// What one call holds, and costs when it is answered at full length: 10 tokens in at 1000, 5 out at 4000.
pub const CALL: i64 = 30_000;
pub const FULL: Tokens = Tokens {
    input: 10,
    cached_input: 0,
    output: 5,
    reasoning: 0,
    cache_write: 0,
    audio_input: 0,
    cache_write_hour: 0,
    image_input: 0,
    audio_output: 0,
    image_output: 0,
    pieces: domain::billing::Pieces::NONE,
};

pub fn wallet_command(owner: UserId, verb: &str, body: &WalletCommand) -> CommandMessage {
    command::<Wallet>(owner, verb, body)
}

pub fn grant(owner: UserId, amount: i64) -> CommandMessage {
    let body = WalletCommand::Grant {
        reference: Uuid::now_v7(),
        amount_nanos: Nanos::new(amount),
        currency: Currency::USD,
        source: Source::SignUp,
        note: Some(Sealed::new(owner, "welcome to Kyoto".to_owned())),
        at: now(),
    };
    wallet_command(owner, "grant", &body)
}

/// For all of [`CALL`] or nothing.
pub fn hold(owner: UserId, hold_id: HoldId) -> CommandMessage {
    let rates = |input: &str, output: &str| Rates {
        input: input.parse().unwrap(),
        output: output.parse().unwrap(),
        ..Rates::default()
    };
    let quote = Quote {
        model: "m".to_owned(),
        channel_id: ChannelId::new(Uuid::nil()),
        price_version: 1,
        prices: rates("1", "4"),
        costs: rates("0.5", "2"),
        input_tokens: 10,
        max_output_tokens: 5,
        min_output_tokens: 5,
        pieces: domain::billing::Pieces::NONE,
        alternatives: vec![],
    };
    let purpose = Purpose::Api { api_key_id: None };
    let body = WalletCommand::Hold { hold_id, purpose, quote, expires_at: now() + TimeDelta::minutes(5), at: now() };
    wallet_command(owner, "hold", &body)
}

pub fn settlement(hold_id: HoldId, tokens: Tokens) -> WalletCommand {
    WalletCommand::ChargeTokens { hold_id, tokens, basis: Basis::Reported, by: None, lost_attempts: 0, at: now() }
}

pub async fn wallet(side: &CommandSide, owner: UserId) -> Wallet {
    side.store.load::<Wallet>(&owner.to_string()).await.unwrap().state
}

pub async fn events(side: &CommandSide, owner: UserId) -> Vec<WalletEvent> {
    let events = side.store.events::<Wallet>(&owner.to_string()).await.unwrap();
    events.into_iter().map(|event| event.payload).collect()
}

pub fn count(events: &[WalletEvent], is: fn(&WalletEvent) -> bool) -> usize {
    events.iter().filter(|event| is(event)).count()
}

pub fn is_held(event: &WalletEvent) -> bool {
    matches!(event, WalletEvent::Held { .. })
}

pub fn is_charged(event: &WalletEvent) -> bool {
    matches!(event, WalletEvent::Charged { .. })
}

/// What a command appended.
pub fn appended(outcome: &Outcome) -> &[String] {
    match outcome {
        Outcome::Done { events, .. } => events,
        other => panic!("not done: {other:?}"),
    }
}

/// As the queue does: what could not be decided now is delivered again.
pub async fn insist(node: &Dispatcher, message: &CommandMessage) -> Outcome {
    loop {
        match node.handle(&std::sync::Arc::new(message.clone()), 1).await {
            Handled::Reply(outcome) => return outcome,
            Handled::Retry { .. } => tokio::time::sleep(Duration::from_millis(20)).await,
            Handled::GiveUp { error } => panic!("given up: {error}"),
        }
    }
}
