//! Databases that are not the one that was published.

use std::time::Duration;

use async_nats::jetstream;
use nats::{EventFeed, FeedError, PublisherState, streams::EVENTS};
use sqlx::{Connection, PgConnection, PgPool};

use crate::support::{Log, append, eventually, whole_log};

async fn refused(log: &Log) -> String {
    let mut why = String::new();
    eventually("the publisher asks for an operator", async || match log.status.get() {
        PublisherState::EpochRequired { reason } => {
            why = reason;
            true
        }
        _ => false,
    })
    .await;
    why
}

async fn last_in_stream(client: &async_nats::Client) -> u64 {
    jetstream::new(client.clone()).get_stream(EVENTS).await.unwrap().cached_info().state.last_sequence
}

/// A copy of the database as it is now, like a backup. Nothing may be connected to it.
async fn copy(database: &testkit::TestDatabase, name: &str) -> PgPool {
    database.pool.close().await;
    let (server, original) = database.url.rsplit_once('/').unwrap();
    let original = original.split('?').next().unwrap();
    let mut admin = PgConnection::connect(&format!("{server}/postgres")).await.unwrap();
    for statement in [
        format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"),
        format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{original}'"),
        format!("CREATE DATABASE {name} TEMPLATE {original}"),
    ] {
        sqlx::query(&statement).execute(&mut admin).await.unwrap();
    }
    PgPool::connect(&format!("{server}/{name}")).await.unwrap()
}

async fn drop_copy(database: &testkit::TestDatabase, name: &str, pool: PgPool) {
    pool.close().await;
    let (server, _) = database.url.rsplit_once('/').unwrap();
    let mut admin = PgConnection::connect(&format!("{server}/postgres")).await.unwrap();
    sqlx::query(&format!("DROP DATABASE {name} WITH (FORCE)")).execute(&mut admin).await.unwrap();
}

#[tokio::test]
async fn a_restored_older_database_is_refused_until_an_operator_opens_an_epoch() {
    let (database, bus) = tokio::join!(testkit::database(), testkit::nats());
    let log = Log::start(&database.pool, &bus.client);
    append(&database.pool, "session", "a", 20).await;
    log.published(20).await;
    log.stop().await;
    let name = format!("restored_{}", uuid::Uuid::now_v7().simple());
    let restored = copy(&database, &name).await;
    let original = PgPool::connect(&database.url).await.unwrap();
    let log = Log::start(&original, &bus.client);
    append(&original, "session", "b", 10).await;
    log.published(30).await;
    log.stop().await;

    let log = Log::start(&restored, &bus.client);
    append(&restored, "session", "c", 5).await;
    let why = refused(&log).await;
    assert!(why.contains("session:b:9"), "{why}");
    assert_eq!(last_in_stream(&bus.client).await, 30, "nothing was published");
    let mut feed = EventFeed::open(restored.clone(), bus.client.clone(), 18).await;
    let mut fed = Vec::new();
    while fed.len() < 7 {
        fed.extend(feed.next_batch(10, Duration::from_millis(200)).await.unwrap());
    }
    assert!(feed.next_batch(10, Duration::from_millis(700)).await.unwrap().is_empty());
    let ids: Vec<_> = fed.iter().map(|event| event.aggregate_id.as_str()).collect();
    assert_eq!(ids, ["a", "a", "c", "c", "c", "c", "c"], "a feed sees no event of the future that was lost");

    let epoch = nats::open_epoch(restored.clone(), bus.client.clone(), "restored from Monday").await.unwrap();
    assert_eq!((epoch.epoch, epoch.first_position), (2, 31));
    append(&restored, "session", "d", 2).await;
    log.published(32).await;
    let stream = jetstream::new(bus.client.clone()).get_stream(EVENTS).await.unwrap();
    assert_eq!((stream.cached_info().state.first_sequence, stream.cached_info().state.last_sequence), (31, 32));
    let mut new = Vec::new();
    while new.len() < 2 {
        new.extend(feed.next_batch(10, Duration::from_millis(200)).await.unwrap());
    }
    let places: Vec<_> = new.iter().map(|event| (event.epoch, event.position, event.aggregate_id.as_str())).collect();
    assert_eq!(places, [(2, 31, "d"), (2, 32, "d")], "the jump is declared and crossed");
    log.stop().await;
    drop_copy(&database, &name, restored).await;
}

#[tokio::test]
async fn a_stream_of_another_database_is_not_published_into() {
    let (one, two, bus) = tokio::join!(testkit::database(), testkit::database(), testkit::nats());
    let log = Log::start(&one.pool, &bus.client);
    append(&one.pool, "session", "a", 3).await;
    log.published(3).await;
    log.stop().await;
    let log = Log::start(&two.pool, &bus.client);
    append(&two.pool, "session", "x", 5).await;
    let why = refused(&log).await;
    assert!(why.contains("has never published"), "{why}");
    assert_eq!(last_in_stream(&bus.client).await, 3);

    nats::open_epoch(two.pool.clone(), bus.client.clone(), "a new installation on an old bus").await.unwrap();
    append(&two.pool, "session", "x", 1).await;
    log.published(6).await;
    log.stop().await;
}

#[tokio::test]
async fn another_cluster_or_timeline_is_refused() {
    let (database, bus) = tokio::join!(testkit::database(), testkit::nats());
    let log = Log::start(&database.pool, &bus.client);
    append(&database.pool, "session", "a", 1).await;
    log.published(1).await;
    log.stop().await;
    for change in ["timeline = timeline + 1", "timeline = timeline - 1, system_identifier = '7'"] {
        sqlx::query(&format!("UPDATE publication_epochs SET {change}")).execute(&database.pool).await.unwrap();
        let log = Log::start(&database.pool, &bus.client);
        let why = refused(&log).await;
        assert!(why.contains("the database cluster is"), "{why}");
        log.stop().await;
    }
}

#[tokio::test]
async fn a_database_that_is_replaced_under_a_running_publisher_is_noticed_before_anything_is_published() {
    let (database, bus) = tokio::join!(testkit::database(), testkit::nats());
    let log = Log::start(&database.pool, &bus.client);
    append(&database.pool, "session", "a", 10).await;
    log.published(10).await;
    // What a restore leaves: the log ends earlier, and goes on with something else.
    for statement in [
        "DELETE FROM event_log WHERE position > 8",
        "DELETE FROM events WHERE sequence > 7",
        "UPDATE sequencer SET last = 8",
    ] {
        sqlx::query(statement).execute(&database.pool).await.unwrap();
    }
    append(&database.pool, "session", "other", 5).await;
    refused(&log).await;
    assert_eq!(last_in_stream(&bus.client).await, 10);
    log.stop().await;
}

#[tokio::test]
async fn a_checkpoint_beyond_the_log_is_told() {
    let (database, bus) = tokio::join!(testkit::database(), testkit::nats());
    append(&database.pool, "session", "a", 3).await;
    nats::sequence_once(&database.pool).await.unwrap();
    let mut feed = EventFeed::open(database.pool.clone(), bus.client.clone(), 8).await;
    let told = feed.next_batch(10, Duration::from_millis(100)).await;
    assert!(matches!(told, Err(FeedError::Diverged { after: 8, last: 3 })), "{told:?}");
}

#[tokio::test]
async fn an_epoch_heals_the_transaction_ids_of_a_logical_restore() {
    let (database, bus) = tokio::join!(testkit::database(), testkit::nats());
    append(&database.pool, "session", "a", 4).await;
    nats::sequence_once(&database.pool).await.unwrap();
    // A dump carries the ids of its old cluster, far in the future of the new one.
    sqlx::query("UPDATE events SET xid = '900000000'").execute(&database.pool).await.unwrap();
    sqlx::query("UPDATE sequencer SET snap = '900000001:900000001:'").execute(&database.pool).await.unwrap();
    append(&database.pool, "session", "b", 3).await;
    assert_eq!(nats::sequence_once(&database.pool).await.unwrap(), 0, "this is the trouble");

    let epoch = nats::open_epoch(database.pool.clone(), bus.client.clone(), "moved by pg_dump").await.unwrap();
    append(&database.pool, "session", "c", 2).await;
    assert_eq!(nats::sequence_once(&database.pool).await.unwrap(), 2);

    let places: Vec<_> = whole_log(&database.pool).await.into_iter().map(|event| event.position).collect();
    let first = epoch.first_position;
    assert_eq!(places, [1, 2, 3, 4, first, first + 1, first + 2, first + 3, first + 4]);
}
