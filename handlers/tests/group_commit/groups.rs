//! A bus whose groups a test can hold back and look at.

use std::{sync::Arc, time::Duration};

use domain::{HoldId, UserId};
use handlers::{Bus, BusError, GroupOptions, Plan, cache::AggregateCache, plans};
use nats::{CommandMessage, Outcome};
use serde_json::json;
use sqlx::{PgPool, Postgres, Transaction};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::{
    money::{CALL, grant, hold},
    support::{CommandSide, new_user},
};

pub(crate) const ONE_AT_A_TIME: usize = 1;

/// A process with so many slots for groups.
pub(crate) fn bus(side: &CommandSide, groups_in_flight: usize) -> Bus {
    bus_with(side, GroupOptions { groups_in_flight, ..GroupOptions::default() })
}

pub(crate) fn bus_with(side: &CommandSide, options: GroupOptions) -> Bus {
    Bus::with_options(side.store.clone(), AggregateCache::new(1 << 20), side.nats.client.clone(), options)
}

pub(crate) async fn execute(bus: &Bus, message: &CommandMessage) -> Result<Outcome, BusError> {
    bus.execute(plans().of(message).unwrap(), message.clone()).await
}

pub(crate) async fn done(bus: &Bus, message: &CommandMessage) -> Outcome {
    execute(bus, message).await.unwrap()
}

pub(crate) fn new_hold(owner: UserId) -> CommandMessage {
    hold(owner, HoldId::new(Uuid::now_v7()))
}

/// So many wallets, with credit for one call, that the bus has in memory.
pub(crate) async fn hot_wallets(bus: &Bus, count: usize) -> Vec<UserId> {
    let owners: Vec<UserId> = (0..count).map(|_| new_user()).collect();
    for owner in &owners {
        done(bus, &grant(*owner, CALL)).await;
    }
    owners
}

/// As the queue does: what could not be decided now is delivered again.
pub(crate) async fn insist_on(bus: &Bus, message: &CommandMessage) -> Outcome {
    loop {
        match execute(bus, message).await {
            Ok(outcome) => return outcome,
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

pub(crate) type Answer = JoinHandle<Result<Outcome, BusError>>;

/// Submits all of them in this order and lets the committer see them. (The runtime of a test has one thread.)
pub(crate) async fn submit(bus: &Bus, messages: &[CommandMessage]) -> Vec<Answer> {
    let plans = plans();
    let with_plans = messages.iter().map(|message| (plans.of(message).unwrap(), message.clone()));
    submit_plans(bus, with_plans).await
}

pub(crate) async fn submit_plans(
    bus: &Bus,
    jobs: impl IntoIterator<Item = (Arc<dyn Plan>, CommandMessage)>,
) -> Vec<Answer> {
    let mut answers = vec![];
    for (plan, message) in jobs {
        let bus = bus.clone();
        answers.push(tokio::spawn(async move { bus.execute(plan, message).await }));
    }
    for _ in 0..3 {
        tokio::task::yield_now().await;
    }
    answers
}

pub(crate) async fn outcomes(answers: Vec<Answer>) -> Vec<Outcome> {
    answers_of(answers).await.into_iter().map(Result::unwrap).collect()
}

pub(crate) async fn answers_of(answers: Vec<Answer>) -> Vec<Result<Outcome, BusError>> {
    futures::future::join_all(answers).await.into_iter().map(Result::unwrap).collect()
}

/// Keeps the transaction of one command, and so its group, from going on, before its bases are checked.
pub(crate) struct Plug {
    blocking: Transaction<'static, Postgres>,
    answer: Answer,
}

impl Plug {
    /// `message` is under way and waits for [`Self::pull`].
    pub(crate) async fn put(side: &CommandSide, bus: &Bus, message: &CommandMessage) -> Self {
        let mut blocking = side.database.pool.begin().await.unwrap();
        sqlx::query(
            "INSERT INTO command_outcomes (tenant, command_id, actor, request_hash, outcome) \
             VALUES ($1, $2, '', '', '{}')",
        )
        .bind(&message.tenant)
        .bind(message.command_id)
        .execute(&mut *blocking)
        .await
        .unwrap();
        let answer = submit(bus, std::slice::from_ref(message)).await.remove(0);
        until_waiting(&side.database.pool, COMMITTING, 1).await;
        Self { blocking, answer }
    }

    pub(crate) async fn pull(self) -> Result<Outcome, BusError> {
        self.blocking.rollback().await.unwrap();
        self.answer.await.unwrap()
    }
}

/// How the statements begin that commit a group, and that read an aggregate.
pub(crate) const COMMITTING: &str = "SELECT commit_group";
pub(crate) const LOADING: &str = "SELECT sequence, event_type";

/// Waits until so many of these statements wait for a lock in the database; tells their backends.
pub(crate) async fn until_waiting(pool: &PgPool, statement: &str, count: usize) -> Vec<i32> {
    let look = async {
        loop {
            let backends: Vec<i32> = sqlx::query_scalar(
                "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' \
                 AND state = 'active' AND starts_with(query, $1)",
            )
            .bind(statement)
            .fetch_all(pool)
            .await
            .unwrap();
            if backends.len() >= count {
                return backends;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, look).await.expect("the statements come to a lock")
}

pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// From now on every commit that appends an event waits at its very end for the lock of [`Gate::close`].
pub(crate) struct Gate(Transaction<'static, Postgres>);

const GATE: &str = "
    CREATE FUNCTION wait_at_the_gate() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_advisory_xact_lock_shared(7); RETURN NULL; END $$;
    CREATE CONSTRAINT TRIGGER gate AFTER INSERT ON events DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION wait_at_the_gate();";

impl Gate {
    pub(crate) async fn close(side: &CommandSide) -> Self {
        sqlx::raw_sql(GATE).execute(&side.database.pool).await.unwrap();
        let mut transaction = side.database.pool.begin().await.unwrap();
        sqlx::query("SELECT pg_advisory_xact_lock(7)").execute(&mut *transaction).await.unwrap();
        Self(transaction)
    }

    pub(crate) async fn open(self) {
        self.0.rollback().await.unwrap();
    }
}

/// Which transaction each event of a stream came with, in the order of the stream.
pub(crate) async fn transactions(pool: &PgPool, aggregate_id: impl std::fmt::Display) -> Vec<String> {
    sqlx::query_scalar("SELECT xid::text FROM events WHERE aggregate_id = $1 ORDER BY sequence")
        .bind(aggregate_id.to_string())
        .fetch_all(pool)
        .await
        .unwrap()
}

/// Another program, without cache or bus, gives [`CALL`] to a wallet: its event `sequence`.
pub(crate) async fn grant_elsewhere(connection: &mut sqlx::PgConnection, owner: UserId, sequence: i64) {
    let amount = CALL.to_string();
    let payload = json!({ "granted": {
        "reference": Uuid::now_v7(), "amount_nanos": amount, "currency": "USD", "source": "sign_up", "note": null,
        "effect": { "granted_nanos": amount, "paid_nanos": "0", "debt_nanos": "0" }, "at": "2026-11-22T10:00:00Z",
    } });
    sqlx::query(
        "INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata) \
         VALUES ('wallet', $1, $2, 'wallet.granted', '1', $3, '{}')",
    )
    .bind(owner.to_string())
    .bind(sequence)
    .bind(payload)
    .execute(connection)
    .await
    .unwrap();
}
