//! Positions under every kind of writer and sequencer that misbehaves.

use std::time::Duration;

use nats::{SequencerOptions, run_sequencer, sequence_once};
use sqlx::{PgPool, postgres::PgPoolOptions};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use crate::support::{append, eventually, insert};

const WRITERS: usize = 24;
const FOR: Duration = Duration::from_secs(5);

/// One writer: most transactions are quick, some stay open for seconds, some are rolled back, some lose their session.
async fn misbehave(pool: PgPool, writer: usize) {
    let until = Instant::now() + FOR;
    let mut random = fastrand::Rng::with_seed(u64::try_from(writer).unwrap());
    while Instant::now() < until {
        let aggregate = format!("{writer}-{}", random.usize(0..3));
        let mut transaction = pool.begin().await.unwrap();
        insert(&mut transaction, "session", &aggregate, random.i64(1..4)).await;
        if random.u8(0..100) < 20 {
            sqlx::query("SAVEPOINT halfway").execute(&mut *transaction).await.unwrap();
            insert(&mut transaction, "session", &aggregate, 1).await;
            if random.bool() {
                sqlx::query("ROLLBACK TO SAVEPOINT halfway").execute(&mut *transaction).await.unwrap();
            }
        }
        match random.u8(0..100) {
            0..5 => {
                sleep(Duration::from_millis(random.u64(1_000..3_000))).await;
                transaction.commit().await.unwrap();
            }
            5..20 => transaction.rollback().await.unwrap(),
            20..25 => {
                // The session dies with its work in hand.
                let died =
                    sqlx::query("SELECT pg_terminate_backend(pg_backend_pid())").execute(&mut *transaction).await;
                assert!(died.is_err());
            }
            _ => transaction.commit().await.unwrap(),
        }
        sleep(Duration::from_millis(random.u64(0..10))).await;
    }
}

/// A sequencer that is killed again and again, at any line.
async fn crash_often(pool: PgPool) {
    loop {
        let pool = pool.clone();
        let sequencer = tokio::spawn(async move {
            loop {
                let _ = sequence_once(&pool).await;
            }
        });
        sleep(Duration::from_millis(fastrand::u64(5..60))).await;
        sequencer.abort();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_rolled_back_and_dying_writers_and_competing_sequencers_lose_nothing_and_double_nothing() {
    let database = testkit::database().await;
    let pool = PgPoolOptions::new().max_connections(40).connect(&database.url).await.unwrap();
    let cancel = CancellationToken::new();
    let options = SequencerOptions { poll: Duration::from_millis(5), retry: Duration::from_millis(10) };
    let mut sequencers = JoinSet::new();
    for _ in 0..2 {
        sequencers.spawn(run_sequencer(pool.clone(), None, options.clone(), cancel.clone()));
    }
    let crashing = tokio::spawn(crash_often(pool.clone()));
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        writers.spawn(misbehave(pool.clone(), writer));
    }
    while let Some(writer) = writers.join_next().await {
        writer.unwrap();
    }
    crashing.abort();

    let count = async |table: &str| -> i64 {
        sqlx::query_scalar(&format!("SELECT count(*) FROM {table}")).fetch_one(&pool).await.unwrap()
    };
    eventually("every event has a position", async || count("events").await == count("event_log").await).await;
    cancel.cancel();
    while sequencers.join_next().await.is_some() {}

    let written = count("events").await;
    assert!(written > 1_000, "only {written} events were written");
    let (first, last): (i64, i64) =
        sqlx::query_as("SELECT min(position), max(position) FROM event_log").fetch_one(&pool).await.unwrap();
    assert_eq!((first, last), (1, written), "positions are dense");
    let unordered: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM (SELECT sequence, lag(sequence) OVER (PARTITION BY aggregate_type, aggregate_id
            ORDER BY position) AS before FROM event_log) o WHERE sequence <> coalesce(before + 1, 0)",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    assert_eq!(unordered, 0, "positions follow the sequences of each aggregate");
}

#[tokio::test]
async fn a_sequencer_that_has_nothing_to_do_writes_nothing() {
    let database = testkit::database().await;
    append(&database.pool, "session", "a", 3).await;
    assert_eq!(sequence_once(&database.pool).await.unwrap(), 3);
    let snapshot = async || -> (String, i64) {
        sqlx::query_as("SELECT snap::text, xmin::text::bigint FROM sequencer").fetch_one(&database.pool).await.unwrap()
    };
    let before = snapshot().await;
    for _ in 0..5 {
        assert_eq!(sequence_once(&database.pool).await.unwrap(), 0);
    }
    assert_eq!(snapshot().await, before);
}

#[tokio::test]
async fn a_ping_makes_an_event_visible_long_before_the_next_poll() {
    let (database, bus) = tokio::join!(testkit::database(), testkit::nats());
    let cancel = CancellationToken::new();
    let options = SequencerOptions { poll: Duration::from_secs(60), retry: Duration::from_secs(1) };
    let sequencer =
        tokio::spawn(run_sequencer(database.pool.clone(), Some(bus.client.clone()), options, cancel.clone()));
    // The first look happens at the start; what comes after it needs the ping.
    sleep(Duration::from_millis(300)).await;
    append(&database.pool, "session", "a", 1).await;
    nats::wake_sequencer(&bus.client).await;
    eventually("it has a position", async || nats::last_position(&database.pool).await.unwrap() == 1).await;
    cancel.cancel();
    sequencer.await.unwrap();
}
