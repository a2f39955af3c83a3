//! What a batch of events asks for, put together.
//!
//! Promise: afterwards the table is as if every intent had been carried out by itself, in order. What is withdrawn within
//! the batch that made it is never written, so that most holds leave no trace among the jobs.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use super::Intent;

/// By kind and key.
type JobKey = (&'static str, String);

/// A job that is not stored yet.
#[derive(Debug, Clone, PartialEq)]
struct New {
    position: i64,
    payload: Value,
    /// At once where absent.
    at: Option<DateTime<Utc>>,
    cancelled: bool,
}

/// Changes of the table of jobs. Those that are stored are withdrawn and cancelled before new ones are made.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Work {
    new: HashMap<JobKey, Vec<New>>,
    withdrawn: Vec<JobKey>,
    cancelled: Vec<JobKey>,
    /// There is something for workers to do at once.
    pub(super) is_urgent: bool,
}

impl Work {
    /// What the event at `position` asks for, after those before it.
    pub(super) fn take(&mut self, position: i64, intent: Intent) {
        self.is_urgent |= matches!(intent, Intent::Enqueue { .. } | Intent::Cancel { .. });
        let mut make = |job: JobKey, payload, at| {
            self.new.entry(job).or_default().push(New { position, payload, at, cancelled: false });
        };
        match intent {
            Intent::Enqueue { kind, key, payload } => make((kind, key), payload, None),
            Intent::Schedule { kind, key, payload, at } => make((kind, key), payload, Some(at)),
            Intent::Withdraw { kind, key } => {
                let job = (kind, key);
                self.new.remove(&job);
                self.withdrawn.push(job);
            }
            Intent::Cancel { kind, key } => {
                let job = (kind, key);
                self.new.get_mut(&job).into_iter().flatten().for_each(|new| new.cancelled = true);
                self.cancelled.push(job);
            }
        }
    }

    pub(super) fn is_nothing(&self) -> bool {
        self.new.is_empty() && self.withdrawn.is_empty() && self.cancelled.is_empty()
    }

    /// Writes it, one statement for each kind of change.
    pub(super) async fn carry_out(&self, transaction: &mut PgConnection, reactor: &str) -> sqlx::Result<()> {
        if !self.withdrawn.is_empty() {
            let (kinds, keys) = columns(&self.withdrawn);
            sqlx::query(
                "DELETE FROM jobs j USING unnest($1::text[], $2::text[]) AS w (kind, key) \
                 WHERE j.kind = w.kind AND j.key = w.key AND j.state = 'queued'",
            )
            .bind(kinds)
            .bind(keys)
            .execute(&mut *transaction)
            .await?;
        }
        if !self.cancelled.is_empty() {
            let (kinds, keys) = columns(&self.cancelled);
            sqlx::query(
                "UPDATE jobs j SET cancel_requested = true FROM unnest($1::text[], $2::text[]) AS c (kind, key) \
                 WHERE j.kind = c.kind AND j.key = c.key AND j.state IN ('queued', 'running')",
            )
            .bind(kinds)
            .bind(keys)
            .execute(&mut *transaction)
            .await?;
        }
        self.insert(transaction, reactor).await
    }

    async fn insert(&self, transaction: &mut PgConnection, reactor: &str) -> sqlx::Result<()> {
        let mut rows: Vec<(&JobKey, &New)> =
            self.new.iter().flat_map(|(job, new)| new.iter().map(move |new| (job, new))).collect();
        if rows.is_empty() {
            return Ok(());
        }
        rows.sort_unstable_by_key(|(_, new)| new.position);
        sqlx::query(
            "INSERT INTO jobs (id, kind, reactor, position, key, payload, run_at, cancel_requested) \
             SELECT n.id, n.kind, $1, n.position, n.key, n.payload, coalesce(n.run_at, clock_timestamp()), n.cancelled \
             FROM unnest($2::uuid[], $3::text[], $4::bigint[], $5::text[], $6::jsonb[], $7::timestamptz[], $8::bool[]) \
                  AS n (id, kind, position, key, payload, run_at, cancelled) \
             ON CONFLICT (reactor, position) DO NOTHING",
        )
        .bind(reactor)
        .bind(rows.iter().map(|_| Uuid::now_v7()).collect::<Vec<_>>())
        .bind(rows.iter().map(|((kind, _), _)| *kind).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, new)| new.position).collect::<Vec<_>>())
        .bind(rows.iter().map(|((_, key), _)| key.as_str()).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, new)| &new.payload).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, new)| new.at).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, new)| new.cancelled).collect::<Vec<_>>())
        .execute(transaction)
        .await?;
        Ok(())
    }
}

fn columns(jobs: &[JobKey]) -> (Vec<&str>, Vec<&str>) {
    jobs.iter().map(|(kind, key)| (*kind, key.as_str())).unzip()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: &str = "test";

    fn schedule(key: &str) -> Intent {
        Intent::Schedule { kind: KIND, key: key.to_owned(), payload: Value::Null, at: DateTime::UNIX_EPOCH }
    }

    fn work(intents: Vec<Intent>) -> Work {
        let mut work = Work::default();
        intents.into_iter().zip(1..).for_each(|(intent, position)| work.take(position, intent));
        work
    }

    /// Position and whether it is cancelled, of the jobs that would be made.
    fn made(work: &Work) -> Vec<(i64, bool)> {
        let mut made: Vec<_> = work.new.values().flatten().map(|new| (new.position, new.cancelled)).collect();
        made.sort_unstable();
        made
    }

    #[test]
    fn what_is_withdrawn_within_its_batch_is_never_made_and_what_comes_after_that_is() {
        let withdraw = || Intent::Withdraw { kind: KIND, key: "a".to_owned() };
        let work = work(vec![schedule("a"), schedule("b"), withdraw(), schedule("a")]);
        assert_eq!(made(&work), [(2, false), (4, false)]);
        assert_eq!(work.withdrawn, [(KIND, "a".to_owned())], "one from before may be stored");
        assert!(!work.is_urgent && !work.is_nothing());
    }

    #[test]
    fn what_is_cancelled_within_its_batch_is_made_and_says_so() {
        let enqueue = Intent::Enqueue { kind: KIND, key: "a".to_owned(), payload: Value::Null };
        let work = work(vec![enqueue, Intent::Cancel { kind: KIND, key: "a".to_owned() }, schedule("a")]);
        assert_eq!(made(&work), [(1, true), (3, false)]);
        assert!(work.is_urgent);
    }

    #[test]
    fn events_that_ask_for_nothing_are_nothing() {
        assert!(work(vec![]).is_nothing());
    }
}
