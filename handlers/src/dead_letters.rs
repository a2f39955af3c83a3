//! Commands that failed for good: kept sealed, listed, sent again or dropped by an operator.

use anyhow::{Context as _, anyhow};
use chrono::{DateTime, Utc};
use nats::{Body, CommandClient, CommandMessage, Outcome, Sent};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::PgPool;
use std::time::Duration;
use uuid::Uuid;
use vault::Vault;

use crate::outcomes;

/// The table of dead letters. Cheap to clone.
#[derive(Clone)]
pub struct DeadLetters {
    pool: PgPool,
    vault: Vault,
}

/// One line of `oblivious dead-letters list`; the body stays sealed.
#[derive(Debug, Clone, PartialEq, Serialize, sqlx::FromRow)]
pub struct DeadLetter {
    pub id: i64,
    pub command_id: Uuid,
    pub subject: String,
    pub error: String,
    pub attempts: i32,
    pub died_at: DateTime<Utc>,
    pub retried_at: Option<DateTime<Utc>>,
}

/// The envelope without its body, as it lies in the table.
#[derive(Serialize, Deserialize)]
struct Envelope {
    capability: String,
    aggregate: String,
    verb: String,
    aggregate_id: String,
    actor: String,
    tenant: String,
    correlation_id: Uuid,
    causation_id: Option<Uuid>,
    fingerprint: Option<String>,
    traceparent: Option<String>,
}

impl DeadLetters {
    #[must_use]
    pub const fn new(pool: PgPool, vault: Vault) -> Self {
        Self { pool, vault }
    }

    /// Copies `message` here and makes `dead` its outcome, unless it came to something else after all.
    ///
    /// # Errors
    /// The database is away; the message must stay in its queue.
    pub async fn bury(&self, message: &CommandMessage, error: &str, attempts: u32) -> anyhow::Result<()> {
        let mut transaction = self.pool.begin().await?;
        if outcomes::record(&mut transaction, message, &Outcome::Dead).await? {
            let sealed = self.vault.seal_bytes(&context(message.command_id), message.body.bytes())?;
            sqlx::query(
                "INSERT INTO dead_letters (command_id, subject, headers, sealed_body, error, attempts) \
                 VALUES ($1, $2, $3, $4, $5, $6)",
            )
            .bind(message.command_id)
            .bind(format!("{}.{}.{}", message.capability, message.aggregate, message.verb))
            .bind(serde_json::to_value(envelope(message))?)
            .bind(sealed)
            .bind(error)
            .bind(i32::try_from(attempts).unwrap_or(i32::MAX))
            .execute(&mut *transaction)
            .await?;
            metrics::counter!("dead_letters_total", "aggregate" => message.aggregate.clone()).increment(1);
            tracing::error!(command_id = %message.command_id, error, attempts, "a command lies with the dead letters");
        }
        transaction.commit().await?;
        Ok(())
    }

    /// The newest `limit` dead letters.
    ///
    /// # Errors
    /// The database is away.
    pub async fn list(&self, limit: i64) -> Result<Vec<DeadLetter>, sqlx::Error> {
        sqlx::query_as(
            "SELECT id, command_id, subject, error, attempts, died_at, retried_at FROM dead_letters \
             ORDER BY id DESC LIMIT $1",
        )
        .bind(limit)
        .fetch_all(&self.pool)
        .await
    }

    /// Sends the command again under its own id and tells what it came to. May be repeated after a failure.
    ///
    /// # Errors
    /// There is no such letter, or a server is away.
    pub async fn retry(&self, id: i64, commands: &CommandClient, wait: Duration) -> anyhow::Result<Sent> {
        let message = self.read(id).await?;
        // `dead` must not answer for the new try; any other outcome must.
        sqlx::query(
            "DELETE FROM command_outcomes WHERE tenant = $1 AND command_id = $2 AND outcome ->> 'status' = 'dead'",
        )
        .bind(&message.tenant)
        .bind(message.command_id)
        .execute(&self.pool)
        .await?;
        let sent = commands.resend(message, wait).await?;
        sqlx::query("UPDATE dead_letters SET retried_at = clock_timestamp() WHERE id = $1")
            .bind(id)
            .execute(&self.pool)
            .await?;
        Ok(sent)
    }

    /// Deletes the letter; its outcome stays `dead`.
    ///
    /// # Errors
    /// There is no such letter, or the database is away.
    pub async fn drop_letter(&self, id: i64) -> anyhow::Result<()> {
        let deleted = sqlx::query("DELETE FROM dead_letters WHERE id = $1").bind(id).execute(&self.pool).await?;
        if deleted.rows_affected() == 1 { Ok(()) } else { Err(anyhow!("there is no dead letter {id}")) }
    }

    async fn read(&self, id: i64) -> anyhow::Result<CommandMessage> {
        let row: Option<(Uuid, Value, Vec<u8>)> =
            sqlx::query_as("SELECT command_id, headers, sealed_body FROM dead_letters WHERE id = $1")
                .bind(id)
                .fetch_optional(&self.pool)
                .await?;
        let (command_id, headers, sealed) = row.with_context(|| format!("there is no dead letter {id}"))?;
        let envelope: Envelope = serde_json::from_value(headers)?;
        let body = self.vault.open_bytes(&context(command_id), &sealed)?;
        Ok(CommandMessage {
            command_id,
            capability: envelope.capability,
            aggregate: envelope.aggregate,
            verb: envelope.verb,
            aggregate_id: envelope.aggregate_id,
            actor: envelope.actor,
            tenant: envelope.tenant,
            correlation_id: envelope.correlation_id,
            causation_id: envelope.causation_id,
            deadline: None,
            traceparent: envelope.traceparent,
            fingerprint: envelope.fingerprint,
            body: Body::read_from(body)?,
        })
    }
}

fn context(command_id: Uuid) -> String {
    format!("dead letter of command {command_id}")
}

fn envelope(message: &CommandMessage) -> Envelope {
    Envelope {
        capability: message.capability.clone(),
        aggregate: message.aggregate.clone(),
        verb: message.verb.clone(),
        aggregate_id: message.aggregate_id.clone(),
        actor: message.actor.clone(),
        tenant: message.tenant.clone(),
        correlation_id: message.correlation_id,
        causation_id: message.causation_id,
        fingerprint: message.fingerprint.clone(),
        traceparent: message.traceparent.clone(),
    }
}
