//! The wallets that everybody works on, and what is asked of them: credit held for a call and settled after it.
//!
//! A call is what the product does most often, and its state is bounded: a wallet forgets all but its newest 1,024 ended
//! holds, so a wallet that was used much is not slower than one that was used little. Every order appends one event.

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use anyhow::Context as _;
use chrono::{DateTime, TimeDelta, Utc};
use cqrs_es::DomainEvent as _;
use domain::{
    ChannelId, Decider, HoldId,
    billing::{Basis, Currency, Nanos, Purpose, Quote, Rates, Source, Tokens, Wallet, WalletCommand},
};
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

/// Wallets for measurements that use one alone.
const ALONE: usize = 20;

/// Wallets with the same number of events before anybody begins.
pub(crate) struct Wallets {
    pub(crate) prior: u32,
    ids: Vec<String>,
    /// So many are used together; the others are for one measurement each.
    many: usize,
    next_alone: AtomicUsize,
}

impl Wallets {
    pub(crate) fn new(many: usize, prior: u32) -> Self {
        let ids = (0..many + ALONE).map(|_| Uuid::now_v7().to_string()).collect();
        Self { prior, ids, many, next_alone: AtomicUsize::new(many) }
    }

    pub(crate) const fn many(&self) -> usize {
        self.many
    }

    pub(crate) fn ids(&self) -> &[String] {
        &self.ids
    }

    pub(crate) fn id(&self, index: usize) -> &str {
        &self.ids[index]
    }

    /// A wallet that nobody has used.
    ///
    /// # Errors
    /// There is none left.
    pub(crate) fn fresh(&self) -> anyhow::Result<usize> {
        let index = self.next_alone.fetch_add(1, Ordering::Relaxed);
        anyhow::ensure!(index < self.ids.len(), "more measurements with one wallet than wallets for them");
        Ok(index)
    }

    /// Appends what happened before, one wallet after the other: events of a wallet lie together, which is the best case
    /// for whoever reads them all.
    ///
    /// # Errors
    /// The database is away.
    pub(crate) async fn seed(&self, pool: &PgPool) -> anyhow::Result<()> {
        let stored = Stored::of_one_call()?;
        let of = |name: &str, field: fn(&Row) -> &String| {
            let row = stored.rows.iter().find(|row| row.event_type.ends_with(name)).map(field).cloned();
            row.with_context(|| format!("no {name} event"))
        };
        sqlx::query(
            "INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata) \
             SELECT $1, w.id, s, \
                    CASE WHEN s = 1 THEN $3 WHEN s = 2 THEN $4 WHEN s % 2 = 1 THEN $5 ELSE $6 END, '1', \
                    CASE WHEN s = 1 THEN $7::json WHEN s = 2 THEN $8::json \
                         ELSE replace(CASE WHEN s % 2 = 1 THEN $9 ELSE $10 END, $11, \
                                      md5(w.id || (s + 1) / 2)::uuid::text)::json END, \
                    $12::json \
             FROM unnest($2::text[]) AS w (id) CROSS JOIN generate_series(1, $13::int) AS s",
        )
        .bind(Wallet::TYPE)
        .bind(&self.ids)
        .bind(of("granted", |row| &row.event_type)?)
        .bind(of("topped_up", |row| &row.event_type)?)
        .bind(of("held", |row| &row.event_type)?)
        .bind(of("charged", |row| &row.event_type)?)
        .bind(of("granted", |row| &row.payload)?)
        .bind(of("topped_up", |row| &row.payload)?)
        .bind(of("held", |row| &row.payload)?)
        .bind(of("charged", |row| &row.payload)?)
        .bind(stored.hold_id.to_string())
        .bind(metadata(Uuid::now_v7(), Uuid::now_v7()).to_string())
        .bind(i32::try_from(self.prior)?)
        .execute(pool)
        .await?;
        Ok(())
    }
}

/// What the product stores beside every event.
pub(crate) fn metadata(command_id: Uuid, correlation_id: Uuid) -> Value {
    json!({
        "command_id": command_id.to_string(),
        "actor": ACTOR,
        "tenant": TENANT,
        "correlation_id": correlation_id.to_string(),
    })
}

pub(crate) const ACTOR: &str = "user:0197a0c0-0000-7000-8000-000000000001";
const TENANT: &str = "default";

/// One event as it is stored.
pub(crate) struct Row {
    pub(crate) event_type: String,
    pub(crate) payload: String,
}

/// The events of a new wallet with one call: granted, topped up, held, charged.
pub(crate) struct Stored {
    pub(crate) rows: Vec<Row>,
    hold_id: HoldId,
}

impl Stored {
    pub(crate) fn of_one_call() -> anyhow::Result<Self> {
        let (mut wallet, hold_id) = (Wallet::default(), HoldId::new(Uuid::now_v7()));
        let mut rows = Vec::new();
        for command in [grant(), top_up(), hold(hold_id)?, charge(hold_id)] {
            for event in wallet.decide(command)? {
                rows.push(Row { event_type: event.event_type(), payload: serde_json::to_string(&event)? });
                wallet.apply(event);
            }
        }
        Ok(Self { rows, hold_id })
    }

    /// The event that an order comes to.
    pub(crate) fn row_of(&self, order: &Order) -> &Row {
        &self.rows[if order.is_hold() { 2 } else { 3 }]
    }

    /// Of the payloads that orders come to.
    pub(crate) fn average_bytes(&self) -> usize {
        self.rows[2..].iter().map(|row| row.payload.len()).sum::<usize>() / 2
    }
}

fn at() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000)
}

pub(crate) fn grant() -> WalletCommand {
    WalletCommand::Grant {
        reference: Uuid::now_v7(),
        amount_nanos: Nanos::new(500_000 * Nanos::ONE.get()),
        currency: Currency::USD,
        source: Source::SignUp,
        note: None,
        at: at(),
    }
}

fn top_up() -> WalletCommand {
    WalletCommand::TopUp {
        reference: Uuid::now_v7(),
        amount_nanos: Nanos::new(500_000 * Nanos::ONE.get()),
        currency: Currency::USD,
        source: Source::SignUp,
        note: None,
        at: at(),
    }
}

fn quote() -> anyhow::Result<Quote> {
    let rates = |input: &str, output: &str| {
        anyhow::Ok(Rates { input: input.parse()?, output: output.parse()?, ..Rates::default() })
    };
    Ok(Quote {
        model: "gpt-4o-mini".to_owned(),
        channel_id: ChannelId::new(Uuid::from_u128(0x0197_a0c0_0000_7000_8000_0000_0000_0012)),
        price_version: 3,
        prices: rates("0.3", "1.2")?,
        costs: rates("0.15", "0.6")?,
        input_tokens: 1200,
        max_output_tokens: 1000,
        min_output_tokens: 64,
        pieces: domain::billing::Pieces::NONE,
        alternatives: vec![],
    })
}

/// Changes nothing, but has to be decided.
pub(crate) fn require_credit() -> anyhow::Result<WalletCommand> {
    Ok(WalletCommand::RequireCredit { quote: quote()? })
}

fn hold(hold_id: HoldId) -> anyhow::Result<WalletCommand> {
    let (quote, expires_at) = (quote()?, at() + TimeDelta::seconds(120));
    let purpose = Purpose::Api { api_key_id: None };
    Ok(WalletCommand::Hold { hold_id, purpose, quote, expires_at, at: at() })
}

fn charge(hold_id: HoldId) -> WalletCommand {
    let tokens = Tokens { input: 1200, output: 350, ..Tokens::default() };
    WalletCommand::ChargeTokens { hold_id, tokens, basis: Basis::Reported, by: None, lost_attempts: 0, at: at() }
}

/// The wallets of one measurement.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Choice {
    /// This one.
    One(usize),
    /// Any of so many, at random.
    AnyOf(usize),
}

/// One thing to be done.
pub(crate) struct Order {
    pub(crate) wallet: usize,
    pub(crate) command: WalletCommand,
}

impl Order {
    pub(crate) const fn is_hold(&self) -> bool {
        matches!(self.command, WalletCommand::Hold { .. })
    }

    pub(crate) const fn verb(&self) -> &'static str {
        if self.is_hold() { "hold" } else { "charge_tokens" }
    }
}

/// Somebody who makes calls, one after the other: holds credit, then settles.
pub(crate) struct Caller {
    choice: Choice,
    open: Option<(usize, HoldId)>,
}

impl Caller {
    pub(crate) const fn new(choice: Choice) -> Self {
        Self { choice, open: None }
    }

    /// What is to be done next.
    pub(crate) fn next(&mut self) -> anyhow::Result<Order> {
        if let Some((wallet, hold_id)) = self.open.take() {
            return Ok(Order { wallet, command: charge(hold_id) });
        }
        let wallet = match self.choice {
            Choice::One(wallet) => wallet,
            Choice::AnyOf(wallets) => fastrand::usize(..wallets),
        };
        let hold_id = HoldId::new(Uuid::now_v7());
        self.open = Some((wallet, hold_id));
        Ok(Order { wallet, command: hold(hold_id)? })
    }
}

/// The next sequence of each wallet, for whoever appends without reading.
pub(crate) struct Places(Vec<AtomicI64>);

impl Places {
    pub(crate) fn after(wallets: &Wallets) -> Self {
        Self(wallets.ids.iter().map(|_| AtomicI64::new(i64::from(wallets.prior))).collect())
    }

    pub(crate) fn next(&self, wallet: usize) -> i64 {
        self.0[wallet].fetch_add(1, Ordering::Relaxed) + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seeded_is_what_the_domain_decides() {
        let stored = Stored::of_one_call().unwrap();
        let types: Vec<&str> = stored.rows.iter().map(|row| row.event_type.as_str()).collect();
        assert_eq!(types, ["wallet.granted", "wallet.topped_up", "wallet.held", "wallet.charged"]);
        for row in &stored.rows[2..] {
            assert!(row.payload.contains(&stored.hold_id.to_string()));
        }
    }

    #[test]
    fn every_order_of_a_caller_is_one_event() {
        let (mut wallet, mut caller) = (Wallet::default(), Caller::new(Choice::AnyOf(1)));
        for event in wallet.decide(grant()).unwrap() {
            wallet.apply(event);
        }
        for _ in 0..10 {
            let events = wallet.decide(caller.next().unwrap().command).unwrap();
            assert_eq!(events.len(), 1);
            events.into_iter().for_each(|event| wallet.apply(event));
        }
    }
}
