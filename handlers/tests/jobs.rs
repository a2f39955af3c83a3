//! Jobs under leases, on real Postgres: taken over, tried again, bounded, visible to the end.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in tests a panic is the failure report")]

mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use handlers::jobs::{Job, JobEnd, JobOptions, Lease, Worker, end_leases, prune, run_jobs};
use serde_json::json;
use sqlx::{PgPool, postgres::PgPoolOptions};
use support::CommandSide;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const LEASE: Duration = Duration::from_millis(600);

/// Does what the test says, and tells of every start.
struct Scripted<F> {
    started: mpsc::UnboundedSender<(Job, Lease)>,
    end: F,
}

#[async_trait]
impl<F: AsyncWork> Worker for Scripted<F> {
    fn kind(&self) -> &'static str {
        "test"
    }

    async fn work(&self, job: &Job, lease: &Lease) -> JobEnd {
        drop(self.started.send((job.clone(), lease.clone())));
        self.end.work(job, lease).await
    }
}

#[async_trait]
trait AsyncWork: Send + Sync {
    async fn work(&self, job: &Job, lease: &Lease) -> JobEnd;
}

/// Ends at once.
struct EndsWith(fn(&Job) -> JobEnd);

#[async_trait]
impl AsyncWork for EndsWith {
    async fn work(&self, job: &Job, _: &Lease) -> JobEnd {
        (self.0)(job)
    }
}

/// Works until it is told to stop or has lost its lease.
struct WorksOn;

#[async_trait]
impl AsyncWork for WorksOn {
    async fn work(&self, _: &Job, lease: &Lease) -> JobEnd {
        tokio::select! {
            () = lease.stop.cancelled() => {}
            () = lease.lost.cancelled() => {}
        }
        JobEnd::Done
    }
}

type Starts = mpsc::UnboundedReceiver<(Job, Lease)>;

fn runner(
    side: &CommandSide,
    pool: PgPool,
    concurrency: usize,
    end: impl AsyncWork + 'static,
) -> (Starts, CancellationToken) {
    let (started, starts) = mpsc::unbounded_channel();
    let cancel = CancellationToken::new();
    let options = JobOptions { concurrency, lease: LEASE, poll: Duration::from_millis(50) };
    let worker: Arc<dyn Worker> = Arc::new(Scripted { started, end });
    tokio::spawn(run_jobs(pool, side.nats.client.clone(), vec![worker], options, cancel.clone()));
    (starts, cancel)
}

async fn enqueue(pool: &PgPool, position: i64) {
    sqlx::query("INSERT INTO jobs (id, kind, reactor, position, key, payload) VALUES ($1, 'test', 'r', $2, $3, $4)")
        .bind(Uuid::now_v7())
        .bind(position)
        .bind(format!("key {position}"))
        .bind(json!({}))
        .execute(pool)
        .await
        .unwrap();
}

async fn start(starts: &mut Starts) -> (Job, Lease) {
    tokio::time::timeout(Duration::from_secs(20), starts.recv()).await.expect("a job starts").expect("the runner lives")
}

async fn wait_for_state(pool: &PgPool, state: &str) -> (i32, Option<String>) {
    let waited = tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            let row: Option<(i32, Option<String>)> =
                sqlx::query_as("SELECT attempt, last_error FROM jobs WHERE state = $1")
                    .bind(state)
                    .fetch_optional(pool)
                    .await
                    .unwrap();
            if let Some(row) = row {
                return row;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("no job became {state}"))
}

#[tokio::test]
async fn a_worker_cut_off_from_postgres_loses_its_lease_and_another_takes_over() {
    let side = CommandSide::start().await;
    let own = PgPoolOptions::new().max_connections(2).connect(&side.database.url).await.unwrap();
    let (mut first, _cancel) = runner(&side, own.clone(), 1, WorksOn);
    enqueue(&side.database.pool, 1).await;
    let (job, lease) = start(&mut first).await;
    assert_eq!(job.attempt, 1);
    tokio::spawn(async move { own.close().await });

    let (mut second, _other) = runner(&side, side.database.pool.clone(), 1, EndsWith(|_| JobEnd::Done));
    let (again, _) = start(&mut second).await;
    assert_eq!((again.id, again.attempt), (job.id, 2));
    lease.lost.cancelled().await;
    assert_eq!(wait_for_state(&side.database.pool, "done").await.0, 2);
}

#[tokio::test]
async fn a_lease_that_is_renewed_is_not_taken_over() {
    let side = CommandSide::start().await;
    let pool = side.database.pool.clone();
    let (mut first, _cancel) = runner(&side, pool.clone(), 1, WorksOn);
    enqueue(&pool, 1).await;
    start(&mut first).await;
    let (mut second, _other) = runner(&side, pool, 1, EndsWith(|_| JobEnd::Done));
    let taken = tokio::time::timeout(LEASE * 4, second.recv()).await;
    assert!(taken.is_err(), "nobody takes a job from a living worker");
}

#[tokio::test]
async fn a_job_that_asks_to_be_cancelled_hears_it_at_the_next_renewal() {
    let side = CommandSide::start().await;
    let pool = side.database.pool.clone();
    let (mut starts, _cancel) = runner(&side, pool.clone(), 1, WorksOn);
    enqueue(&pool, 1).await;
    let (_, lease) = start(&mut starts).await;
    sqlx::query("UPDATE jobs SET cancel_requested = true").execute(&pool).await.unwrap();
    tokio::time::timeout(LEASE * 4, lease.stop.cancelled()).await.expect("the worker is told");
    wait_for_state(&pool, "done").await;
}

#[tokio::test]
async fn a_failed_job_is_tried_again_as_a_new_attempt_with_its_error_visible() {
    let side = CommandSide::start().await;
    let pool = side.database.pool.clone();
    let (mut starts, _cancel) = runner(
        &side,
        pool.clone(),
        1,
        EndsWith(|job| match job.attempt {
            1 => JobEnd::Retry { error: "the moon was full".to_owned(), after: Duration::from_millis(300) },
            _ => JobEnd::Done,
        }),
    );
    enqueue(&pool, 1).await;
    start(&mut starts).await;
    assert_eq!(wait_for_state(&pool, "queued").await, (1, Some("the moon was full".to_owned())));
    assert_eq!(start(&mut starts).await.0.attempt, 2);
    assert_eq!(wait_for_state(&pool, "done").await, (2, None));
}

#[tokio::test]
async fn a_dead_job_stays_for_the_operator_and_done_ones_are_pruned() {
    let side = CommandSide::start().await;
    let pool = side.database.pool.clone();
    let (_starts, _cancel) = runner(
        &side,
        pool.clone(),
        1,
        EndsWith(|job| match job.key.as_str() {
            "key 1" => JobEnd::Dead { error: "no way".to_owned() },
            _ => JobEnd::Done,
        }),
    );
    enqueue(&pool, 1).await;
    enqueue(&pool, 2).await;
    assert_eq!(wait_for_state(&pool, "dead").await, (1, Some("no way".to_owned())));
    wait_for_state(&pool, "done").await;
    assert_eq!(prune(&pool, support::now() + chrono::TimeDelta::hours(1)).await.unwrap(), 1);
    assert_eq!(side.count("jobs").await, 1);
}

#[tokio::test]
async fn a_process_runs_no_more_jobs_at_once_than_it_may() {
    static AT_WORK: AtomicUsize = AtomicUsize::new(0);
    static MOST: AtomicUsize = AtomicUsize::new(0);
    struct Counted;
    #[async_trait]
    impl AsyncWork for Counted {
        async fn work(&self, _: &Job, _: &Lease) -> JobEnd {
            MOST.fetch_max(AT_WORK.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(80)).await;
            AT_WORK.fetch_sub(1, Ordering::SeqCst);
            JobEnd::Done
        }
    }
    let side = CommandSide::start().await;
    let pool = side.database.pool.clone();
    for position in 0..9 {
        enqueue(&pool, position).await;
    }
    let (mut starts, _cancel) = runner(&side, pool, 3, Counted);
    for _ in 0..9 {
        start(&mut starts).await;
    }
    assert_eq!(MOST.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_process_that_is_asked_to_end_gives_its_jobs_back_at_once() {
    let side = CommandSide::start().await;
    let pool = side.database.pool.clone();
    let (mut starts, cancel) = runner(&side, pool.clone(), 1, WorksOn);
    enqueue(&pool, 1).await;
    start(&mut starts).await;
    cancel.cancel();
    assert_eq!(wait_for_state(&pool, "queued").await.0, 1);
}

#[tokio::test]
async fn a_job_that_came_too_early_is_done_later_without_an_error() {
    let side = CommandSide::start().await;
    let pool = side.database.pool.clone();
    let (mut starts, _cancel) = runner(
        &side,
        pool.clone(),
        1,
        EndsWith(|job| match job.attempt {
            1 => JobEnd::Later { after: Duration::from_millis(300) },
            _ => JobEnd::Done,
        }),
    );
    enqueue(&pool, 1).await;
    start(&mut starts).await;
    assert_eq!(wait_for_state(&pool, "queued").await, (1, None));
    assert_eq!(start(&mut starts).await.0.attempt, 2);
    assert_eq!(wait_for_state(&pool, "done").await, (2, None));
}

#[tokio::test]
async fn whoever_is_alone_need_not_wait_for_the_leases_of_the_dead() {
    let side = CommandSide::start().await;
    let pool = side.database.pool.clone();
    enqueue(&pool, 1).await;
    sqlx::query("UPDATE jobs SET state = 'running', attempt = 1, leased_until = clock_timestamp() + interval '1 hour'")
        .execute(&pool)
        .await
        .unwrap();
    assert_eq!(end_leases(&pool).await.unwrap(), 1);
    let (mut starts, _cancel) = runner(&side, pool.clone(), 1, EndsWith(|_| JobEnd::Done));
    assert_eq!(start(&mut starts).await.0.attempt, 2);
    wait_for_state(&pool, "done").await;
}
