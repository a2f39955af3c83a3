//! Jobs: work that follows from events, done by whoever holds the lease.
//!
//! Promise: a job is done at least once and visible from queued to done or dead. A worker works under a lease with an
//! attempt number; when it dies, or is paused for longer than the lease, the next attempt takes over, and everything
//! the former one still sends carries a stale attempt, which the aggregates refuse.

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_nats::Client;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures::StreamExt as _;
use serde_json::Value;
use sqlx::PgPool;
use tokio::{sync::Semaphore, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

/// The subject that tells workers of new jobs.
pub const WAKE_JOBS: &str = "wake.jobs";

/// How jobs are run.
#[derive(Debug, Clone)]
pub struct JobOptions {
    /// Jobs that this process runs at the same time.
    pub concurrency: usize,
    /// How long a worker may be silent before another takes its job.
    pub lease: Duration,
    /// How long a due job waits at most when no wake-up arrives.
    pub poll: Duration,
}

impl Default for JobOptions {
    fn default() -> Self {
        Self { concurrency: 64, lease: Duration::from_secs(10), poll: Duration::from_millis(500) }
    }
}

/// A job as its worker sees it.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
pub struct Job {
    pub id: Uuid,
    pub kind: String,
    pub key: String,
    pub payload: Value,
    /// Counts leases from 1.
    pub attempt: i32,
    pub cancel_requested: bool,
    pub created_at: DateTime<Utc>,
}

/// What a worker is told while it works.
#[derive(Debug, Clone)]
pub struct Lease {
    /// Somebody asked to stop: end the job in an orderly way.
    pub stop: CancellationToken,
    /// The lease is gone: change nothing any more.
    pub lost: CancellationToken,
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobEnd {
    Done,
    /// Try again after this pause, as a new attempt.
    Retry {
        error: String,
        after: Duration,
    },
    /// Nothing went wrong, but it is not time yet.
    Later {
        after: Duration,
    },
    /// Never again; an operator looks at it.
    Dead {
        error: String,
    },
}

/// Does jobs of one kind.
#[async_trait]
pub trait Worker: Send + Sync {
    fn kind(&self) -> &'static str;

    /// Does the job under `lease`. May be called again for the same job with a higher attempt.
    async fn work(&self, job: &Job, lease: &Lease) -> JobEnd;
}

/// Runs jobs of all `workers`' kinds until `cancel`; then stops taking jobs and gives the leases of those under way back
/// when they have seen `lost`.
///
/// # Errors
/// None at present; failures of servers are waited out.
pub async fn run_jobs(
    pool: PgPool,
    client: Client,
    workers: Vec<Arc<dyn Worker>>,
    options: JobOptions,
    cancel: CancellationToken,
) -> anyhow::Result<()> {
    let runner = Arc::new(Runner {
        pool,
        node: format!("{}-{}", std::process::id(), Uuid::now_v7().simple()),
        workers: workers.into_iter().map(|worker| (worker.kind(), worker)).collect(),
        slots: Arc::new(Semaphore::new(options.concurrency)),
        options,
        tasks: TaskTracker::new(),
        cancel,
    });
    let mut wakes = client.subscribe(WAKE_JOBS).await.ok();
    while !runner.cancel.is_cancelled() {
        let claimed = runner.claim_and_start().await.unwrap_or_else(|error| {
            tracing::warn!(%error, "jobs cannot be claimed now");
            0
        });
        if claimed == 0 {
            let woken = async {
                match &mut wakes {
                    Some(wakes) => drop(wakes.next().await),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = runner.cancel.cancelled() => {}
                () = tokio::time::sleep(runner.options.poll) => {}
                () = woken => {}
            }
        }
    }
    runner.tasks.close();
    runner.tasks.wait().await;
    Ok(())
}

struct Runner {
    pool: PgPool,
    node: String,
    workers: HashMap<&'static str, Arc<dyn Worker>>,
    slots: Arc<Semaphore>,
    options: JobOptions,
    tasks: TaskTracker,
    cancel: CancellationToken,
}

impl Runner {
    async fn claim_and_start(self: &Arc<Self>) -> Result<usize, sqlx::Error> {
        let free = self.slots.available_permits();
        if free == 0 {
            // A slot, not a job, is what we wait for.
            tokio::time::sleep(Duration::from_millis(50)).await;
            return Ok(0);
        }
        let jobs = self.claim(free).await?;
        let claimed = jobs.len();
        for job in jobs {
            let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() else { break };
            let runner = Arc::clone(self);
            self.tasks.spawn(async move {
                runner.run(job).await;
                drop(slot);
            });
        }
        Ok(claimed)
    }

    async fn claim(&self, limit: usize) -> Result<Vec<Job>, sqlx::Error> {
        let kinds: Vec<&str> = self.workers.keys().copied().collect();
        sqlx::query_as(
            "UPDATE jobs SET state = 'running', attempt = attempt + 1, leased_by = $1, \
                    leased_until = clock_timestamp() + make_interval(secs => $2) \
             WHERE id IN (SELECT id FROM jobs WHERE state IN ('queued', 'running') AND kind = ANY($3) \
                          AND run_at <= clock_timestamp() \
                          AND (state = 'queued' OR leased_until < clock_timestamp()) \
                          ORDER BY run_at LIMIT $4 FOR UPDATE SKIP LOCKED) \
             RETURNING id, kind, key, payload, attempt, cancel_requested, created_at",
        )
        .bind(&self.node)
        .bind(self.options.lease.as_secs_f64())
        .bind(kinds)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(&self.pool)
        .await
    }

    async fn run(&self, job: Job) {
        let Some(worker) = self.workers.get(job.kind.as_str()) else { return };
        let lease = Lease { stop: CancellationToken::new(), lost: self.cancel.child_token() };
        if job.cancel_requested {
            lease.stop.cancel();
        }
        let end = tokio::select! {
            end = worker.work(&job, &lease) => end,
            never = self.keep(&job, &lease) => match never {},
        };
        // A lost lease belongs to somebody else; at shutdown it is given back at once.
        let recorded = if !lease.lost.is_cancelled() {
            self.record(&job, end).await
        } else if self.cancel.is_cancelled() {
            self.give_back(&job).await
        } else {
            Ok(())
        };
        if let Err(error) = recorded {
            tracing::warn!(job = %job.id, %error, "the end of a job could not be recorded; it will be attempted again");
        }
    }

    /// Renews the lease until the job is done; never returns.
    async fn keep(&self, job: &Job, lease: &Lease) -> std::convert::Infallible {
        let mut valid_until = Instant::now() + self.options.lease;
        loop {
            tokio::time::sleep(self.options.lease / 4).await;
            let sent_at = Instant::now();
            let renewal = tokio::time::timeout_at(valid_until, self.renew(job)).await;
            match renewal {
                Ok(Ok(Some(cancel_requested))) => {
                    valid_until = sent_at + self.options.lease;
                    if cancel_requested {
                        lease.stop.cancel();
                    }
                }
                Ok(Ok(None)) => lease.lost.cancel(),
                Ok(Err(error)) => tracing::debug!(job = %job.id, %error, "a lease could not be renewed"),
                Err(_) => {}
            }
            if Instant::now() >= valid_until {
                lease.lost.cancel();
            }
        }
    }

    async fn renew(&self, job: &Job) -> Result<Option<bool>, sqlx::Error> {
        sqlx::query_scalar(
            "UPDATE jobs SET leased_until = clock_timestamp() + make_interval(secs => $3) \
             WHERE id = $1 AND attempt = $2 AND state = 'running' RETURNING cancel_requested",
        )
        .bind(job.id)
        .bind(job.attempt)
        .bind(self.options.lease.as_secs_f64())
        .fetch_optional(&self.pool)
        .await
    }

    async fn record(&self, job: &Job, end: JobEnd) -> Result<(), sqlx::Error> {
        let (state, error, after) = match end {
            JobEnd::Done => ("done", None, Duration::ZERO),
            JobEnd::Retry { error, after } => ("queued", Some(error), after),
            JobEnd::Later { after } => ("queued", None, after),
            JobEnd::Dead { error } => ("dead", Some(error), Duration::ZERO),
        };
        if let Some(error) = &error {
            tracing::warn!(job = %job.id, kind = job.kind, attempt = job.attempt, state, error, "a job failed");
        }
        metrics::counter!("jobs_ended_total", "kind" => job.kind.clone(), "state" => state).increment(1);
        sqlx::query(
            "UPDATE jobs SET state = $3, last_error = $4, leased_until = NULL, leased_by = NULL, \
                    run_at = clock_timestamp() + make_interval(secs => $5), \
                    finished_at = CASE WHEN $3 = 'queued' THEN NULL ELSE clock_timestamp() END \
             WHERE id = $1 AND attempt = $2 AND state = 'running'",
        )
        .bind(job.id)
        .bind(job.attempt)
        .bind(state)
        .bind(error)
        .bind(after.as_secs_f64())
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    async fn give_back(&self, job: &Job) -> Result<(), sqlx::Error> {
        sqlx::query(
            "UPDATE jobs SET state = 'queued', leased_until = NULL, leased_by = NULL \
             WHERE id = $1 AND attempt = $2 AND state = 'running'",
        )
        .bind(job.id)
        .bind(job.attempt)
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}

/// Ends all leases at once: for a process that knows that it is alone, so that whoever held them is dead. Their jobs begin
/// again now instead of when the leases run out; were one of them alive after all, its lease would be lost. Tells how many.
///
/// # Errors
/// The database is away.
pub async fn end_leases(pool: &PgPool) -> Result<u64, sqlx::Error> {
    let ended = sqlx::query("UPDATE jobs SET leased_until = clock_timestamp() WHERE state = 'running'").execute(pool);
    Ok(ended.await?.rows_affected())
}

/// Deletes jobs that finished before `cutoff`; dead ones stay for the operator. Tells how many went.
///
/// # Errors
/// The database is away.
pub async fn prune(pool: &PgPool, cutoff: DateTime<Utc>) -> Result<u64, sqlx::Error> {
    let deleted = sqlx::query("DELETE FROM jobs WHERE state = 'done' AND finished_at < $1").bind(cutoff).execute(pool);
    Ok(deleted.await?.rows_affected())
}
