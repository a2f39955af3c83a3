//! One group, one transaction, one round trip: `commit_group` of the migrations, on a connection that is the committer's
//! own, so that it is neither waited for nor asked before and after each group whether it lives.
//!
//! Promise: [`Flushed::Committed`] means committed and, by the server's settings, on disk; every other end but
//! [`Flushed::Unknown`] means that nothing of the group is in the database. Events are sealed for the place where they
//! will stand before the transaction begins.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use nats::Outcome;
use sqlx::{
    PgConnection, PgPool,
    postgres::{PgDatabaseError, PgSeverity},
    types::Json,
};
use tokio::time::{Instant, timeout};
use uuid::Uuid;
use vault::VaultError;

use super::jobs::{CommandKey, Record};
use crate::{
    cache::Key,
    store::{NewEvent, PgEventStore, StoreError},
};

/// Keys of people that are fetched or made at the same time.
const SEALED_AT_ONCE: usize = 8;

/// A connection that rested for longer is made anew: what lies between may have forgotten it.
const MAX_REST: Duration = Duration::from_secs(5);

/// A connection of the committer and when it was used last.
pub(super) struct Line {
    connection: PgConnection,
    used: Instant,
}

impl Line {
    /// `rested`, if it is fresh; else another one.
    async fn take(rested: Option<Self>, pool: &PgPool) -> Result<PgConnection, sqlx::Error> {
        match rested.filter(|line| line.used.elapsed() < MAX_REST) {
            Some(line) => Ok(line.connection),
            // Out of the pool for good: the pool may be closed while this is in use.
            None => Ok(pool.acquire().await?.detach()),
        }
    }
}

/// How a group ended.
pub(super) enum Flushed {
    Committed,
    /// These commands have outcomes already, with the hash of the request that each stands for.
    Decided(HashMap<CommandKey, (Vec<u8>, Outcome)>),
    /// Something of it was decided on what is not the newest.
    Conflict,
    /// Something in it cannot be stored.
    Rejected(String),
    /// The database is away; perhaps after it committed.
    Unknown(String),
}

/// The rows of one group, column by column.
#[derive(Default)]
pub(super) struct Batch {
    tenants: Vec<String>,
    command_ids: Vec<Uuid>,
    actors: Vec<String>,
    hashes: Vec<Vec<u8>>,
    outcomes: Vec<Json<Outcome>>,
    streams: Vec<Stream>,
}

struct Stream {
    key: Key,
    base: i64,
    events: Vec<(NewEvent, Arc<str>)>,
}

#[derive(Default)]
struct Rows {
    aggregates: Vec<&'static str>,
    ids: Vec<Arc<str>>,
    sequences: Vec<i64>,
    types: Vec<String>,
    versions: Vec<String>,
    payloads: Vec<String>,
    metadata: Vec<Arc<str>>,
}

impl Batch {
    pub(super) fn record(&mut self, record: &Record, outcome: &Outcome) {
        self.outcomes.push(Json(outcome.clone()));
        self.tenants.push(record.key.0.clone());
        self.command_ids.push(record.key.1);
        self.actors.push(record.actor.clone());
        self.hashes.push(record.request_hash.to_vec());
    }

    /// The events that follow `base` in a stream, with their metadata; without events the base is still verified.
    pub(super) fn stream(&mut self, key: Key, base: i64, events: Vec<(NewEvent, Arc<str>)>) {
        self.streams.push(Stream { key, base, events });
    }

    pub(super) fn has_events(&self) -> bool {
        self.streams.iter().any(|stream| !stream.events.is_empty())
    }

    /// Seals and commits all of it or nothing, on `rested` if there is one. Gives back the connection for the next group,
    /// unless an answer may still come on it: nobody else may take that for theirs.
    pub(super) async fn flush(
        mut self,
        store: &PgEventStore,
        rested: Option<Line>,
        time_limit: Duration,
    ) -> (Flushed, Option<Line>) {
        let rows = match self.seal(store).await {
            Ok(rows) => rows,
            Err(error @ (StoreError::Unavailable(_) | StoreError::Vault(VaultError::Database(_)))) => {
                return (Flushed::Unknown(error.to_string()), rested);
            }
            Err(error) => return (Flushed::Rejected(error.to_string()), rested),
        };
        let mut connection = match Line::take(rested, store.pool()).await {
            Ok(connection) => connection,
            Err(error) => return (Flushed::Unknown(error.to_string()), None),
        };
        let ended = timeout(time_limit, self.commit(&rows, &mut connection)).await;
        let line = Line { connection, used: Instant::now() };
        match ended {
            Ok(Ok(())) => (Flushed::Committed, Some(line)),
            Ok(Err(error)) => {
                let line = answered(&error).map(|_| line);
                if !is_decided_already(&error) {
                    return (classify(&error), line);
                }
                let decided = self.decided(store.pool()).await;
                (decided.unwrap_or_else(|error| Flushed::Unknown(error.to_string())), line)
            }
            Err(_) => (Flushed::Unknown("the database did not answer in time".to_owned()), None),
        }
    }

    async fn seal(&mut self, store: &PgEventStore) -> Result<Rows, StoreError> {
        let mut sealing = vec![];
        for stream in &mut self.streams {
            for (sequence, (event, metadata)) in (stream.base + 1..).zip(stream.events.drain(..)) {
                let key = stream.key.clone();
                let sealed = async move {
                    let payload = store.seal(&key, sequence, event.payload).await?;
                    Ok::<_, StoreError>((key, sequence, NewEvent { payload, ..event }, metadata))
                };
                sealing.push(sealed.boxed());
            }
        }
        let mut sealed = futures::stream::iter(sealing).buffered(SEALED_AT_ONCE);
        let mut rows = Rows::default();
        while let Some((key, sequence, event, metadata)) = sealed.try_next().await? {
            rows.aggregates.push(key.0);
            rows.ids.push(key.1);
            rows.sequences.push(sequence);
            rows.types.push(event.event_type);
            rows.versions.push(event.event_version);
            rows.payloads.push(event.payload);
            rows.metadata.push(metadata);
        }
        Ok(rows)
    }

    async fn commit(&self, rows: &Rows, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let types: Vec<&str> = self.streams.iter().map(|stream| stream.key.0).collect();
        let ids: Vec<&str> = self.streams.iter().map(|stream| &*stream.key.1).collect();
        let bases: Vec<i64> = self.streams.iter().map(|stream| stream.base).collect();
        // Not `fetch_one`: that returns with the row, which comes before the commit.
        sqlx::query("SELECT commit_group($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)")
            .bind(&self.tenants)
            .bind(&self.command_ids)
            .bind(&self.actors)
            .bind(&self.hashes)
            .bind(&self.outcomes)
            .bind(types)
            .bind(ids)
            .bind(bases)
            .bind(&rows.aggregates)
            .bind(rows.ids.iter().map(|id| &**id).collect::<Vec<&str>>())
            .bind(&rows.sequences)
            .bind(&rows.types)
            .bind(&rows.versions)
            .bind(&rows.payloads)
            .bind(rows.metadata.iter().map(|metadata| &**metadata).collect::<Vec<&str>>())
            .execute(connection)
            .await
            .map(drop)
    }

    async fn decided(&self, pool: &PgPool) -> Result<Flushed, sqlx::Error> {
        let rows: Vec<(String, Uuid, Vec<u8>, Json<Outcome>)> = sqlx::query_as(
            "SELECT tenant, command_id, request_hash, outcome FROM command_outcomes \
             JOIN unnest($1::text[], $2::uuid[]) AS asked (tenant, command_id) USING (tenant, command_id)",
        )
        .bind(&self.tenants)
        .bind(&self.command_ids)
        .fetch_all(pool)
        .await?;
        let known = rows.into_iter().map(|(tenant, id, hash, outcome)| ((tenant, id), (hash, outcome.0)));
        Ok(Flushed::Decided(known.collect()))
    }
}

const DECIDED_ALREADY: &str = "OB001";
const MOVED_ON: &str = "OB002";

/// An answer about what was asked. FATAL is none: the server may have ended the connection after the commit.
fn answered(error: &sqlx::Error) -> Option<&PgDatabaseError> {
    let database = error.as_database_error()?.try_downcast_ref::<PgDatabaseError>()?;
    (database.severity() == PgSeverity::Error).then_some(database)
}

fn is_decided_already(error: &sqlx::Error) -> bool {
    answered(error).is_some_and(|answer| answer.code() == DECIDED_ALREADY)
}

fn classify(error: &sqlx::Error) -> Flushed {
    let Some(answer) = answered(error) else { return Flushed::Unknown(error.to_string()) };
    match (answer.code(), answer.constraint()) {
        (MOVED_ON | "40P01" | "40001", _) | ("23505", Some("events_pkey")) => Flushed::Conflict,
        // Connections, read-only, resources, state, operators, the system, the schema: nothing about the data.
        (code, _) if ["08", "25", "53", "55", "57", "58", "42"].contains(&&code[..2]) => {
            Flushed::Unknown(error.to_string())
        }
        _ => Flushed::Rejected(error.to_string()),
    }
}
