//! Epochs of publication: the operator's word that a database which is not the one published before may continue.
//!
//! A restored database would give positions a second time that subscribers have seen with other events. So it only
//! continues in a new epoch, which begins above every position that was ever published.

use async_nats::{Client, jetstream, jetstream::context::GetStreamErrorKind, jetstream::stream::Info};
use chrono::{DateTime, Utc};
use sqlx::{PgPool, Postgres, Transaction};

use crate::{published::Published, publisher::PublisherError, streams};

/// Added when nothing is left to tell how far publication had come.
const UNKNOWN_JUMP: i64 = 1_000_000_000;

/// One epoch of publication.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Epoch {
    pub epoch: i64,
    /// Positions from here on belong to it, until the next epoch's first.
    pub first_position: i64,
    /// The Postgres cluster that published, by its own name for itself.
    pub system_identifier: String,
    /// The cluster's timeline: another one after a promotion or a restore to a point in time.
    pub timeline: i64,
    pub reason: String,
    pub opened_at: DateTime<Utc>,
}

/// Which cluster this is, now.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct Cluster {
    pub(crate) system_identifier: String,
    pub(crate) timeline: i64,
}

impl Cluster {
    pub(crate) async fn of(pool: &PgPool) -> Result<Self, sqlx::Error> {
        // The timeline in pg_control is that of the last checkpoint; the name of the current WAL file is up to date.
        let query = "SELECT system_identifier::text AS system_identifier,
            ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::bigint AS timeline
            FROM pg_control_system()";
        sqlx::query_as(query).fetch_one(pool).await
    }
}

/// The epoch that this database is in; `None` before its first publication.
pub(crate) async fn current(pool: &PgPool) -> Result<Option<Epoch>, sqlx::Error> {
    sqlx::query_as("SELECT * FROM publication_epochs ORDER BY epoch DESC LIMIT 1").fetch_optional(pool).await
}

/// The first epoch of a database that never published, next to a bus that never carried events.
pub(crate) async fn open_first(pool: &PgPool) -> Result<(), sqlx::Error> {
    let cluster = Cluster::of(pool).await?;
    let query = "INSERT INTO publication_epochs (epoch, first_position, system_identifier, timeline, reason)
        VALUES (1, 1, $1, $2, 'first publication') ON CONFLICT DO NOTHING";
    sqlx::query(query).bind(cluster.system_identifier).bind(cluster.timeline).execute(pool).await?;
    Ok(())
}

/// Opens a new epoch, after which the publisher continues. Also gives positions to events that an older copy of the
/// log lacks, and forgets the transaction ids of the cluster that the data came from.
///
/// # Errors
/// Postgres or NATS cannot be reached: what was published must be known.
pub async fn open_epoch(pool: PgPool, client: Client, reason: &str) -> Result<Epoch, PublisherError> {
    let published = published_until(&client).await?;
    let cluster = Cluster::of(&pool).await?;
    let mut transaction = pool.begin().await?;
    let known: i64 =
        sqlx::query_scalar("SELECT last FROM sequencer WHERE id = 1 FOR UPDATE").fetch_one(&mut *transaction).await?;
    let (epoch, first): (i64, i64) =
        sqlx::query_as("SELECT coalesce(max(epoch), 0), coalesce(max(first_position), 1) FROM publication_epochs")
            .fetch_one(&mut *transaction)
            .await?;
    let last = known.max(first - 1);
    let (epoch, first_position) = match published {
        Some(published) => (epoch.max(published.epoch) + 1, last.max(published.position) + 1),
        None => (epoch + 1, last + UNKNOWN_JUMP),
    };
    let query = "INSERT INTO publication_epochs (epoch, first_position, system_identifier, timeline, reason)
        VALUES ($1, $2, $3, $4, $5) RETURNING *";
    let opened: Epoch = sqlx::query_as(query)
        .bind(epoch)
        .bind(first_position)
        .bind(cluster.system_identifier)
        .bind(cluster.timeline)
        .bind(reason)
        .fetch_one(&mut *transaction)
        .await?;
    resequence(&mut transaction, first_position).await?;
    transaction.commit().await?;
    tracing::warn!(epoch, first_position, reason, "a new epoch of publication is open");
    Ok(opened)
}

/// Positions for what has none, from `first_position` on, and a snapshot that belongs to this cluster.
async fn resequence(transaction: &mut Transaction<'_, Postgres>, first_position: i64) -> Result<(), sqlx::Error> {
    // No writer in flight: whatever is committed is seen below, whatever comes is newer than the snapshot taken here.
    sqlx::query("LOCK TABLE events IN SHARE ROW EXCLUSIVE MODE").execute(&mut **transaction).await?;
    let statements = [
        "INSERT INTO event_log (position, aggregate_type, aggregate_id, sequence)
         SELECT $1 - 1 + row_number() OVER (ORDER BY e.ins), e.aggregate_type, e.aggregate_id, e.sequence
         FROM events e WHERE NOT EXISTS (SELECT FROM event_log l WHERE l.aggregate_type = e.aggregate_type
            AND l.aggregate_id = e.aggregate_id AND l.sequence = e.sequence)",
        // Ids of another cluster may lie in this one's future, where the sequencer would meet the events again.
        "UPDATE events SET xid = '3' WHERE xid >= pg_snapshot_xmax(pg_current_snapshot()) AND $1 > 0",
        "UPDATE sequencer SET snap = pg_current_snapshot(),
            last = greatest($1 - 1, (SELECT coalesce(max(position), 0) FROM event_log)) WHERE id = 1",
    ];
    for statement in statements {
        sqlx::query(statement).bind(first_position).execute(&mut **transaction).await?;
    }
    Ok(())
}

/// The last event in the stream; `None` when there is no stream or nothing can be read from it.
async fn published_until(client: &Client) -> Result<Option<Published>, PublisherError> {
    let Some(info) = stream_info(client).await? else { return Ok(None) };
    let last = i64::try_from(info.state.last_sequence).unwrap_or(i64::MAX);
    let published = last_published(client, &info).await?;
    // An emptied stream still knows how far it had come.
    let nothing = crate::EventRef { aggregate_type: String::new(), aggregate_id: String::new(), sequence: 0 };
    Ok(published.or((last > 0).then_some(Published { epoch: 0, position: last, event: nothing })))
}

/// The stream `EVENTS`, if it exists.
pub(crate) async fn stream_info(client: &Client) -> Result<Option<Info>, PublisherError> {
    let context = jetstream::new(client.clone());
    match context.get_stream(streams::EVENTS).await {
        Ok(stream) => Ok(Some(stream.cached_info().clone())),
        Err(error) => match error.kind() {
            GetStreamErrorKind::JetStream(inner) if inner.error_code() == jetstream::ErrorCode::STREAM_NOT_FOUND => {
                Ok(None)
            }
            _ => Err(PublisherError::Bus(error.to_string())),
        },
    }
}

/// The last event of the stream; `None` when it holds none, or the last message is not an event of ours.
pub(crate) async fn last_published(client: &Client, info: &Info) -> Result<Option<Published>, PublisherError> {
    if info.state.messages == 0 {
        return Ok(None);
    }
    let bus = |error: &dyn std::fmt::Display| PublisherError::Bus(error.to_string());
    let stream = jetstream::new(client.clone()).get_stream_no_info(streams::EVENTS).await.map_err(|e| bus(&e))?;
    let message = stream.get_raw_message(info.state.last_sequence).await.map_err(|e| bus(&e))?;
    Ok(Published::read(&message.headers).ok())
}
