//! Everything that can be known about a run once it is over: the log, the rows, the stream, and what people and the
//! model's server saw.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use async_nats::jetstream;
use domain::billing::WalletEvent;
use domain::chat::SessionEvent;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sqlx::PgPool;
use uuid::Uuid;
use vault::{Place, Vault};

use crate::journal::Entry;
use crate::plan::APIS;
use crate::town::Town;
use crate::upstream::Asked;

/// All tables of the read models, each as sorted rows.
pub type Tables = BTreeMap<String, Vec<String>>;

/// What a run left behind.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    pub journal: Vec<Entry>,
    pub asked: Vec<Asked>,
    /// Whether the api process of this number ever died.
    pub api_died: [bool; APIS],
    pub events: Vec<Stored>,
    pub sessions: BTreeMap<Uuid, Vec<Fact<SessionEvent>>>,
    pub wallets: BTreeMap<Uuid, Vec<Fact<WalletEvent>>>,
    /// By position.
    pub log: Vec<(i64, Name)>,
    /// By sequence of the stream `EVENTS`: sequence, position by its header, event.
    pub stream: Vec<(u64, i64, Name)>,
    /// Command id → status.
    pub outcomes: HashMap<String, String>,
    /// Position and amount of each line.
    pub ledger: Vec<(i64, i64)>,
    /// Owner → granted, paid, debt, held.
    pub wallet_rows: BTreeMap<Uuid, [i64; 4]>,
    pub accounts: Vec<String>,
    pub tables: Tables,
    /// After they were emptied and filled again from the log.
    pub rebuilt: Tables,
    /// What `oblivious reconcile billing` said, if it found anything.
    pub irreconcilable: Option<String>,
    /// Holds, jobs, parked keys, dead letters, commands, processes that should not be there any more.
    pub left_over: Vec<String>,
}

/// The name of an event.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    pub aggregate: String,
    pub sequence: i64,
}

/// An event of any kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    pub name: Name,
    pub kind: String,
    pub command_id: Option<String>,
}

/// An event that was opened.
#[derive(Clone, Debug, PartialEq)]
pub struct Fact<E> {
    pub command_id: Option<String>,
    pub event: E,
}

impl Evidence {
    /// Looks at everything, while nothing runs on the database.
    ///
    /// # Errors
    /// Something cannot be read.
    pub async fn gather(town: &Town, journal: Vec<Entry>, left_over: Vec<String>) -> anyhow::Result<Self> {
        let pool = &town.pool;
        let vault = Vault::open(pool.clone(), town.master.clone()).await?;
        let died = |api: usize| !town.processes[api].deaths().is_empty();
        let tables = tables(pool).await?;
        Ok(Self {
            journal,
            asked: town.upstream.asked(),
            api_died: std::array::from_fn(died),
            events: stored(pool).await?,
            sessions: facts(pool, &vault, "session").await?,
            wallets: facts(pool, &vault, "wallet").await?,
            log: log(pool).await?,
            stream: stream(&town.bus).await?,
            outcomes: sqlx::query_as("SELECT command_id::text, outcome ->> 'status' FROM command_outcomes")
                .fetch_all(pool)
                .await?
                .into_iter()
                .collect(),
            ledger: sqlx::query_as("SELECT position, amount_nanos FROM billing_v1.ledger_entries")
                .fetch_all(pool)
                .await?,
            wallet_rows: wallet_rows(pool).await?,
            accounts: sqlx::query_scalar("SELECT email FROM users_v1.users").fetch_all(pool).await?,
            rebuilt: rebuild(pool, &vault).await?,
            tables,
            irreconcilable: None,
            left_over,
        })
    }

    /// Text of a conversation's first words and such: the events of all conversations.
    pub fn session_events(&self) -> impl Iterator<Item = (&Uuid, &Fact<SessionEvent>)> {
        self.sessions.iter().flat_map(|(id, facts)| facts.iter().map(move |fact| (id, fact)))
    }

    /// The events of all wallets.
    pub fn wallet_events(&self) -> impl Iterator<Item = (&Uuid, &Fact<WalletEvent>)> {
        self.wallets.iter().flat_map(|(id, facts)| facts.iter().map(move |fact| (id, fact)))
    }
}

async fn stored(pool: &PgPool) -> sqlx::Result<Vec<Stored>> {
    let rows: Vec<(String, String, i64, String, Option<String>)> = sqlx::query_as(
        "SELECT aggregate_type, aggregate_id, sequence, event_type, command_id FROM events \
         ORDER BY aggregate_type, aggregate_id, sequence",
    )
    .fetch_all(pool)
    .await?;
    let stored = rows.into_iter().map(|(kind_of, id, sequence, kind, command_id)| Stored {
        name: Name { aggregate: format!("{kind_of}:{id}"), sequence },
        kind,
        command_id,
    });
    Ok(stored.collect())
}

/// The events of all aggregates of one type, opened.
async fn facts<E: DeserializeOwned>(
    pool: &PgPool,
    vault: &Vault,
    aggregate_type: &str,
) -> anyhow::Result<BTreeMap<Uuid, Vec<Fact<E>>>> {
    let rows: Vec<(String, i64, String, String, Value, Option<String>)> = sqlx::query_as(
        "SELECT aggregate_id, sequence, event_type, event_version, payload, command_id FROM events \
         WHERE aggregate_type = $1 ORDER BY aggregate_id, sequence",
    )
    .bind(aggregate_type)
    .fetch_all(pool)
    .await?;
    let mut facts = BTreeMap::<Uuid, Vec<Fact<E>>>::new();
    for (aggregate_id, sequence, kind, version, mut payload, command_id) in rows {
        vault.unseal(&Place { aggregate_type, aggregate_id: &aggregate_id, sequence }, &mut payload).await?;
        let (_, payload) = domain::upcast::upcast(&kind, &version, payload);
        let event = serde_json::from_value(payload)?;
        facts.entry(aggregate_id.parse()?).or_default().push(Fact { command_id, event });
    }
    Ok(facts)
}

async fn log(pool: &PgPool) -> sqlx::Result<Vec<(i64, Name)>> {
    let rows: Vec<(i64, String, i64)> = sqlx::query_as(
        "SELECT position, aggregate_type || ':' || aggregate_id, sequence FROM event_log ORDER BY position",
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|(position, aggregate, sequence)| (position, Name { aggregate, sequence })).collect())
}

async fn stream(bus: &async_nats::Client) -> anyhow::Result<Vec<(u64, i64, Name)>> {
    let mut events = jetstream::new(bus.clone()).get_stream("EVENTS").await?;
    let state = events.info().await?.state.clone();
    let mut messages = Vec::new();
    for sequence in state.first_sequence..=state.last_sequence {
        let message = events.direct_get(sequence).await?;
        let header = |name: &str| message.headers.get(name).map(ToString::to_string).unwrap_or_default();
        let name = Name { aggregate: header("Aggregate"), sequence: header("Sequence").parse().unwrap_or(-1) };
        messages.push((sequence, header("Position").parse().unwrap_or(-1), name));
    }
    Ok(messages)
}

async fn wallet_rows(pool: &PgPool) -> sqlx::Result<BTreeMap<Uuid, [i64; 4]>> {
    let rows: Vec<(Uuid, i64, i64, i64, i64)> =
        sqlx::query_as("SELECT owner, granted_nanos, paid_nanos, debt_nanos, held_nanos FROM billing_v1.wallets")
            .fetch_all(pool)
            .await?;
    Ok(rows.into_iter().map(|(owner, granted, paid, debt, held)| (owner, [granted, paid, debt, held])).collect())
}

async fn tables(pool: &PgPool) -> sqlx::Result<Tables> {
    let names: BTreeSet<String> = sqlx::query_scalar(
        "SELECT table_schema || '.' || table_name FROM information_schema.tables \
         WHERE table_schema ~ '_v[0-9]+$' AND table_type = 'BASE TABLE'",
    )
    .fetch_all(pool)
    .await?
    .into_iter()
    .collect();
    let mut tables = Tables::new();
    for name in names {
        let query = format!("SELECT to_jsonb(t)::text FROM {name} t ORDER BY 1");
        tables.insert(name, sqlx::query_scalar(&query).fetch_all(pool).await?);
    }
    Ok(tables)
}

/// Empties every read model and fills it again from the log.
async fn rebuild(pool: &PgPool, vault: &Vault) -> anyhow::Result<Tables> {
    for projector in projections::all() {
        projections::reset(pool, projector.as_ref()).await?;
        let options = projections::RunnerOptions::default();
        projections::run_until_caught_up(pool, vault, projector.as_ref(), &options).await?;
    }
    Ok(tables(pool).await?)
}
