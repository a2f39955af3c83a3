//! The published log and those who feed on it.

use std::time::Duration;

use async_nats::jetstream;
use futures::StreamExt;
use nats::{EventFeed, LoggedEvent, PublisherState, streams::EVENTS};
use sqlx::PgPool;
use tokio::time::sleep;

use crate::support::{Log, append, eventually, logs, whole_log};

/// A projection in miniature: takes events until it has `count`.
async fn feed_on(pool: PgPool, client: async_nats::Client, count: usize) -> Vec<LoggedEvent> {
    let mut feed = EventFeed::open(pool, client, 0).await;
    let mut taken = Vec::new();
    while taken.len() < count {
        taken.extend(feed.next_batch(7, Duration::from_millis(200)).await.unwrap());
    }
    taken
}

#[tokio::test]
async fn the_stream_holds_the_log_at_its_positions_and_names_the_previous_of_each_capability() {
    let (database, bus) = tokio::join!(testkit::database(), testkit::nats());
    let log = Log::start(&database.pool, &bus.client);
    append(&database.pool, "session", "a", 2).await;
    log.published(2).await;
    append(&database.pool, "user", "u", 1).await;
    log.published(3).await;
    append(&database.pool, "run", "r", 60).await;
    log.published(63).await;
    log.stop().await;

    let stream = jetstream::new(bus.client.clone()).get_stream(EVENTS).await.unwrap();
    assert_eq!(stream.cached_info().state.messages, 63);
    let mut headers = Vec::new();
    for event in whole_log(&database.pool).await {
        let message = stream.get_raw_message(u64::try_from(event.position).unwrap()).await.unwrap();
        let header = |name: &str| message.headers.get(name).map(|value| value.as_str().to_owned()).unwrap_or_default();
        assert_eq!(header("Position"), event.position.to_string());
        assert_eq!(header("Aggregate"), format!("{}:{}", event.aggregate_type, event.aggregate_id));
        assert_eq!(header("Epoch"), "1");
        headers.push((message.subject.to_string(), header("Prev")));
    }
    assert_eq!(headers[0], ("evt.chat.session.renamed".into(), "0".into()));
    assert_eq!(headers[1].1, "1");
    assert_eq!(headers[2], ("evt.users.user.renamed".into(), "0".into()));
    assert_eq!(headers[3], ("evt.chat.run.renamed".into(), "2".into()));
    assert_eq!(headers[62].1, "62");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_is_deleted_again_and_again_is_refilled_and_no_feed_skips_or_repeats() {
    logs();
    const COUNT: i64 = 400;
    let (database, bus) = tokio::join!(testkit::database(), testkit::nats());
    let log = Log::start(&database.pool, &bus.client);
    let feeds: Vec<_> = (0..3)
        .map(|_| tokio::spawn(feed_on(database.pool.clone(), bus.client.clone(), usize::try_from(COUNT).unwrap())))
        .collect();
    let context = jetstream::new(bus.client.clone());
    for round in 0..COUNT {
        append(&database.pool, "session", &format!("s-{}", round % 5), 1).await;
        if round % 10 == 0 {
            nats::wake_sequencer(&bus.client).await;
        }
        if round % 90 == 60 {
            nats::republish(&bus.client).await.unwrap();
        }
        sleep(Duration::from_millis(8)).await;
    }
    let expected = whole_log_of(&database.pool, COUNT).await;
    for feed in feeds {
        let taken = tokio::time::timeout(Duration::from_secs(20), feed).await.expect("the feed converges").unwrap();
        let positions: Vec<_> = taken.iter().map(|event| event.position).collect();
        assert_eq!(positions, (1..=COUNT).collect::<Vec<_>>());
        assert!(taken == expected, "the stream says what the log says");
    }
    log.published(COUNT).await;
    log.stop().await;
    let stream = context.get_stream(EVENTS).await.unwrap();
    assert_eq!(stream.cached_info().state.last_sequence, u64::try_from(COUNT).unwrap());
}

async fn whole_log_of(pool: &PgPool, count: i64) -> Vec<LoggedEvent> {
    eventually("all is sequenced", async || nats::last_position(pool).await.unwrap() == count).await;
    whole_log(pool).await
}

#[tokio::test]
async fn a_feed_follows_the_stream_and_lives_on_postgres_while_the_bus_is_away() {
    let (database, mut bus) = tokio::join!(testkit::database(), testkit::nats());
    let log = Log::start(&database.pool, &bus.client);
    append(&database.pool, "session", "a", 3).await;
    let mut feed = EventFeed::open(database.pool.clone(), bus.client.clone(), 0).await;
    let mut taken = 0;
    let mut take = async |feed: &mut EventFeed, upto: i64| {
        while taken < upto {
            for event in feed.next_batch(100, Duration::from_millis(300)).await.unwrap() {
                assert_eq!(event.position, taken + 1);
                taken += 1;
            }
        }
    };
    take(&mut feed, 3).await;
    eventually("the stream is followed", async || {
        feed.next_batch(100, Duration::from_millis(50)).await.unwrap();
        feed.follows_stream()
    })
    .await;

    bus.kill().await;
    append(&database.pool, "session", "a", 3).await;
    let asked = std::time::Instant::now();
    take(&mut feed, 6).await;
    assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());

    bus.start_again().await;
    append(&database.pool, "session", "a", 3).await;
    take(&mut feed, 9).await;
    log.published(9).await;
    eventually("the stream is followed again", async || {
        feed.next_batch(100, Duration::from_millis(50)).await.unwrap();
        feed.follows_stream()
    })
    .await;
    log.stop().await;
}

#[tokio::test]
async fn a_feed_does_not_wait_for_a_publisher_that_is_away() {
    let (database, bus) = tokio::join!(testkit::database(), testkit::nats());
    let log = Log::start(&database.pool, &bus.client);
    append(&database.pool, "session", "a", 1).await;
    log.published(1).await;
    log.stop().await;
    let mut feed = EventFeed::open(database.pool.clone(), bus.client.clone(), 0).await;
    eventually("the stream is followed", async || {
        feed.next_batch(100, Duration::from_millis(50)).await.unwrap();
        feed.follows_stream()
    })
    .await;
    append(&database.pool, "session", "a", 1).await;
    nats::sequence_once(&database.pool).await.unwrap();
    let asked = std::time::Instant::now();
    let batch = feed.next_batch(100, Duration::from_secs(10)).await.unwrap();
    assert_eq!(batch[0].position, 2);
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
}

#[tokio::test]
async fn a_batch_ends_with_its_wait_and_its_size() {
    let (database, bus) = tokio::join!(testkit::database(), testkit::nats());
    append(&database.pool, "session", "a", 5).await;
    nats::sequence_once(&database.pool).await.unwrap();
    let mut feed = EventFeed::open(database.pool.clone(), bus.client.clone(), 0).await;
    assert_eq!(feed.next_batch(2, Duration::from_secs(5)).await.unwrap().len(), 2);
    assert_eq!(feed.next_batch(10, Duration::from_secs(5)).await.unwrap().len(), 3);
    let asked = std::time::Instant::now();
    assert!(feed.next_batch(10, Duration::from_millis(300)).await.unwrap().is_empty());
    assert!((300..1_500).contains(&asked.elapsed().as_millis()), "{:?}", asked.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_publishers_and_one_that_was_paused_put_every_event_there_once() {
    let (database, bus) = tokio::join!(testkit::database(), testkit::nats());
    // The first publisher lives on a thread that stalls, as a process that is stopped and continued.
    let (pool, url) = (database.url.clone(), bus.url.clone());
    let (stall, stalls) = std::sync::mpsc::channel::<Duration>();
    let paused = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let pool = PgPool::connect(&pool).await.unwrap();
            let log = Log::start(&pool, &async_nats::connect(url).await.unwrap());
            loop {
                match stalls.try_recv() {
                    Ok(pause) => std::thread::sleep(pause),
                    Err(std::sync::mpsc::TryRecvError::Empty) => sleep(Duration::from_millis(1)).await,
                    Err(std::sync::mpsc::TryRecvError::Disconnected) => return log.stop().await,
                }
            }
        });
    });
    append(&database.pool, "session", "a", 10).await;
    let second = Log::start(&database.pool, &bus.client);
    for round in 0..60 {
        if round % 20 == 10 {
            stall.send(Duration::from_millis(300)).unwrap();
        }
        append(&database.pool, "session", &format!("s-{}", round % 3), 3).await;
        sleep(Duration::from_millis(25)).await;
    }
    second.published(190).await;
    drop(stall);
    paused.join().unwrap();
    second.stop().await;

    let context = jetstream::new(bus.client.clone());
    let stream = context.get_stream(EVENTS).await.unwrap();
    let state = &stream.cached_info().state;
    assert_eq!((state.first_sequence, state.last_sequence, state.messages), (1, 190, 190));
    let config = jetstream::consumer::pull::OrderedConfig::default();
    let mut messages = stream.create_consumer(config).await.unwrap().messages().await.unwrap();
    for event in whole_log(&database.pool).await {
        let message = messages.next().await.unwrap().unwrap();
        let headers = message.headers.as_ref().unwrap();
        assert_eq!(headers.get("Position").unwrap().as_str(), event.position.to_string());
        assert_eq!(headers.get("Sequence").unwrap().as_str(), event.sequence.to_string());
    }
}

#[tokio::test]
async fn an_aggregate_that_no_capability_knows_stops_publication_but_no_feed() {
    let (database, bus) = tokio::join!(testkit::database(), testkit::nats());
    let log = Log::start(&database.pool, &bus.client);
    append(&database.pool, "session", "a", 1).await;
    append(&database.pool, "novelty", "a", 1).await;
    eventually(
        "the publisher says why",
        async || matches!(log.status.get(), PublisherState::Retrying { error } if error.contains("novelty")),
    )
    .await;
    let taken = feed_on(database.pool.clone(), bus.client.clone(), 2).await;
    assert_eq!(taken[1].aggregate_type, "novelty");
    log.stop().await;
}
