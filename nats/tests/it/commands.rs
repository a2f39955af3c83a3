//! Commands: sent, repeated, refused by a full queue, retried, buried, shared among processes.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_nats::jetstream;
use async_trait::async_trait;
use nats::{
    CommandClient, CommandHandler, CommandMessage, CommandOptions, ConsumerOptions, EventRef, Handled, Outcome,
    SendError, Sent, StreamOptions,
    streams::{self, COMMANDS},
};
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::support::{Recorder, Running, command, done, eventually, logs, quick};

const WAIT: Duration = Duration::from_secs(5);

fn options() -> CommandOptions {
    CommandOptions { partitions: quick().partitions, ..CommandOptions::default() }
}

#[tokio::test]
async fn a_command_is_handled_and_its_outcome_comes_back() {
    logs();
    let (database, bus) = tokio::join!(testkit::database(), testkit::nats());
    let event = EventRef { aggregate_type: "session".into(), aggregate_id: "a".into(), sequence: 3 };
    let answer = Outcome::Done { event: Some(event), events: vec!["session.renamed".into()] };
    let expected = answer.clone();
    let handler = Recorder::new(move |_, _| Handled::Reply(answer.clone()));
    let running = Running::start(&bus.url, handler.clone(), quick());
    let client = CommandClient::new(bus.client.clone(), database.pool.clone(), options());
    eventually("the queue is made", async || {
        !matches!(client.send(command("warm", "up"), WAIT).await, Err(SendError::Unavailable(_)))
    })
    .await;

    let sent = client.send(command("a", "rename"), WAIT).await;

    assert_eq!(sent, Ok(Sent::Outcome(expected)));
    running.stop().await;
    let stream = jetstream::new(bus.client.clone()).get_stream(COMMANDS).await.unwrap();
    assert_eq!(stream.cached_info().state.messages, 0, "what is done leaves the queue");
}

#[tokio::test]
async fn without_a_handler_the_command_waits_in_the_queue_and_the_caller_is_told_pending() {
    let (database, bus) = tokio::join!(testkit::database(), testkit::nats());
    streams::ensure(&bus.client, &StreamOptions::default()).await.unwrap();
    let client = CommandClient::new(bus.client.clone(), database.pool.clone(), options());
    let sent = client.send(command("a", "rename"), Duration::from_millis(200)).await;
    assert_eq!(sent, Ok(Sent::Pending));

    let handler = Recorder::done();
    let running = Running::start(&bus.url, handler.clone(), quick());
    eventually("the waiting command is handled", async || handler.seen().len() == 1).await;
    running.stop().await;
}

#[tokio::test]
async fn a_full_queue_says_so_and_when_to_come_back() {
    let (database, bus) = tokio::join!(testkit::database(), testkit::nats());
    let limits = StreamOptions { commands_max_messages: 2, ..StreamOptions::default() };
    streams::ensure(&bus.client, &limits).await.unwrap();
    let client = CommandClient::new(bus.client.clone(), database.pool.clone(), options());
    for id in ["a", "b"] {
        assert_eq!(client.send(command(id, "rename"), Duration::from_millis(50)).await, Ok(Sent::Pending));
    }
    let refused = client.send(command("c", "rename"), Duration::from_millis(50)).await;
    assert_eq!(refused, Err(SendError::QueueFull { retry_after: options().retry_after }));
}

#[tokio::test]
async fn a_command_that_is_too_large_is_refused_before_it_is_sent() {
    let (database, bus) = tokio::join!(testkit::database(), testkit::nats());
    let client = CommandClient::new(bus.client.clone(), database.pool.clone(), options());
    let mut large = command("a", "rename");
    large.body = serde_json::json!("x".repeat(options().max_body_bytes)).into();
    let limit_bytes = options().max_body_bytes;
    assert_eq!(client.send(large, WAIT).await, Err(SendError::TooLarge { size_bytes: limit_bytes + 2, limit_bytes }));
}

#[tokio::test]
async fn a_bus_that_is_away_is_told_at_once() {
    let (database, mut bus) = tokio::join!(testkit::database(), testkit::nats());
    let client = CommandClient::new(bus.client.clone(), database.pool.clone(), options());
    assert!(
        matches!(client.send(command("a", "rename"), WAIT).await, Err(SendError::Unavailable(_))),
        "no stream takes the command yet"
    );
    bus.stop().await;
    eventually("the loss is noticed", async || {
        bus.client.connection_state() != async_nats::connection::State::Connected
    })
    .await;
    let asked = std::time::Instant::now();
    assert!(matches!(client.send(command("a", "rename"), WAIT).await, Err(SendError::Unavailable(_))));
    assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
}

#[tokio::test]
async fn a_repeated_command_reads_the_stored_outcome_and_a_reused_id_is_found_out() {
    let (database, bus) = tokio::join!(testkit::database(), testkit::nats());
    streams::ensure(&bus.client, &StreamOptions::default()).await.unwrap();
    let client = CommandClient::new(bus.client.clone(), database.pool.clone(), options());
    let first = command("a", "rename");
    assert_eq!(client.send(first.clone(), Duration::from_millis(50)).await, Ok(Sent::Pending));
    let refusal = Outcome::Refused {
        code: "title_too_long".into(),
        message: "The title is too long.".into(),
        details: serde_json::json!({ "max": 200 }),
    };
    sqlx::query(
        "INSERT INTO command_outcomes (tenant, command_id, actor, request_hash, outcome) VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(&first.tenant)
    .bind(first.command_id)
    .bind(&first.actor)
    .bind(first.request_hash().as_slice())
    .bind(sqlx::types::Json(&refusal))
    .execute(&database.pool)
    .await
    .unwrap();

    assert_eq!(client.send(first.clone(), WAIT).await, Ok(Sent::Outcome(refusal)));
    let mut other = first.clone();
    other.body = serde_json::json!({ "text": "something else" }).into();
    assert_eq!(client.send(other, WAIT).await, Ok(Sent::Outcome(Outcome::KeyReused)));
    let stream = jetstream::new(bus.client.clone()).get_stream(COMMANDS).await.unwrap();
    assert_eq!(stream.cached_info().state.messages, 1, "the repetitions were not queued");
}

#[tokio::test]
async fn a_failing_command_comes_back_with_growing_delay_and_is_buried_on_the_last_attempt() {
    logs();
    let (database, bus) = tokio::join!(testkit::database(), testkit::nats());
    streams::ensure(&bus.client, &StreamOptions::default()).await.unwrap();
    let handler = Recorder::new(|_, _| Handled::Retry { error: "the price list is away".into() });
    let running = Running::start(&bus.url, handler.clone(), quick());
    let client = CommandClient::new(bus.client.clone(), database.pool.clone(), options());
    let failing = command("a", "rename");

    let sent = client.send(failing.clone(), Duration::from_secs(10)).await;

    assert_eq!(sent, Ok(Sent::Outcome(Outcome::Dead)));
    let seen = handler.seen();
    assert_eq!(seen.iter().map(|call| call.attempt).collect::<Vec<_>>(), [1, 2, 3]);
    let pauses: Vec<_> = seen.windows(2).map(|pair| pair[1].at - pair[0].at).collect();
    assert!(pauses[0] >= Duration::from_millis(200), "{pauses:?}");
    assert!(pauses[1] >= Duration::from_millis(400), "{pauses:?}");
    let buried = handler.buried.lock().unwrap().clone();
    assert_eq!(buried, [(failing.command_id, "the price list is away".into(), 3)]);
    running.stop().await;
    let stream = jetstream::new(bus.client.clone()).get_stream(COMMANDS).await.unwrap();
    assert_eq!(stream.cached_info().state.messages, 0, "the queue forgets the dead");
}

#[tokio::test]
async fn a_handler_that_panics_or_gives_up_hurts_only_its_own_command() {
    let (database, bus) = tokio::join!(testkit::database(), testkit::nats());
    streams::ensure(&bus.client, &StreamOptions::default()).await.unwrap();
    let handler = Recorder::new(|command, _| match command.verb.as_str() {
        "explode" => panic!("as the test wants"),
        "never" => Handled::GiveUp { error: "makes no sense".into() },
        _ => Handled::Reply(done()),
    });
    let running = Running::start(&bus.url, handler.clone(), quick());
    let client = CommandClient::new(bus.client.clone(), database.pool.clone(), options());
    let (exploded, gave_up, fine) = tokio::join!(
        client.send(command("a", "explode"), Duration::from_secs(10)),
        client.send(command("b", "never"), WAIT),
        client.send(command("c", "rename"), WAIT),
    );
    assert_eq!(exploded, Ok(Sent::Outcome(Outcome::Dead)));
    assert_eq!(gave_up, Ok(Sent::Outcome(Outcome::Dead)));
    assert_eq!(fine, Ok(Sent::Outcome(done())));
    running.stop().await;
}

#[tokio::test]
async fn a_message_that_is_no_command_ends_with_the_dead_letters_and_is_never_handled() {
    let bus = testkit::nats().await;
    streams::ensure(&bus.client, &StreamOptions::default()).await.unwrap();
    let handler = Recorder::done();
    handler.away.store(true, Ordering::Relaxed);
    let running = Running::start(&bus.url, handler.clone(), quick());
    bus.client.publish("cmd.03.chat.session.rename", "not json".into()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(700)).await;
    handler.away.store(false, Ordering::Relaxed);
    eventually("it is buried", async || handler.buried.lock().unwrap().len() == 1).await;
    assert!(handler.seen().is_empty());
    running.stop().await;
}

#[tokio::test]
async fn commands_of_one_aggregate_keep_their_order_while_others_pass() {
    let (database, bus) = tokio::join!(testkit::database(), testkit::nats());
    streams::ensure(&bus.client, &StreamOptions::default()).await.unwrap();
    let client = CommandClient::new(bus.client.clone(), database.pool.clone(), options());
    let mut sent: HashMap<String, Vec<_>> = HashMap::new();
    for round in 0..40 {
        let next = command(&format!("aggregate-{}", round % 8), "rename");
        sent.entry(next.aggregate_id.clone()).or_default().push(next.command_id);
        client.send(next, Duration::ZERO).await.unwrap();
    }
    let takes = Duration::from_millis(50);
    let handler = Recorder::slow(takes, |_, _| Handled::Reply(done()));
    let started = std::time::Instant::now();
    let running = Running::start(&bus.url, handler.clone(), quick());
    eventually("all are handled", async || handler.seen().len() == 40).await;
    let mut seen: HashMap<String, Vec<_>> = HashMap::new();
    for call in handler.seen() {
        seen.entry(call.aggregate_id).or_default().push(call.command_id);
    }
    assert_eq!(seen, sent);
    assert!(started.elapsed() < takes * 40, "one after the other would take longer: {:?}", started.elapsed());
    running.stop().await;
}

/// Cannot handle anything, and panics when it first shall bury it.
#[derive(Default)]
struct Clumsy {
    buried: Mutex<Vec<Uuid>>,
    dropped: AtomicBool,
}

#[async_trait]
impl CommandHandler for Clumsy {
    async fn handle(&self, _: &Arc<CommandMessage>, _: u32) -> Handled {
        Handled::GiveUp { error: "never".into() }
    }

    async fn bury(&self, message: &CommandMessage, _: &str, _: u32) -> anyhow::Result<()> {
        assert!(self.dropped.swap(true, Ordering::SeqCst), "it slips");
        self.buried.lock().unwrap().push(message.command_id);
        Ok(())
    }
}

#[tokio::test]
async fn a_panic_outside_the_handler_blocks_no_other_command_of_the_aggregate_and_loses_none() {
    let (database, bus) = tokio::join!(testkit::database(), testkit::nats());
    streams::ensure(&bus.client, &StreamOptions::default()).await.unwrap();
    let client = CommandClient::new(bus.client.clone(), database.pool.clone(), options());
    let mut sent = vec![];
    for _ in 0..3 {
        let next = command("one", "rename");
        sent.push(next.command_id);
        client.send(next, Duration::ZERO).await.unwrap();
    }
    let handler = Arc::new(Clumsy::default());
    let running = Running::start(&bus.url, handler.clone(), quick());
    eventually("all are buried, the dropped one too", async || handler.buried.lock().unwrap().len() == 3).await;
    let mut buried = handler.buried.lock().unwrap().clone();
    buried.sort();
    sent.sort();
    assert_eq!(buried, sent);
    running.stop().await;
}

/// Keeps every command in hand until the gate is open.
struct Gate {
    begun: Mutex<Vec<Uuid>>,
    gate: Semaphore,
}

#[async_trait]
impl CommandHandler for Gate {
    async fn handle(&self, message: &Arc<CommandMessage>, _attempt: u32) -> Handled {
        self.begun.lock().unwrap().push(message.command_id);
        drop(self.gate.acquire().await.unwrap());
        Handled::Reply(done())
    }

    async fn bury(&self, _: &CommandMessage, error: &str, _: u32) -> anyhow::Result<()> {
        anyhow::bail!("nothing fails here: {error}")
    }
}

#[tokio::test]
async fn commands_of_one_aggregate_are_in_hand_together_up_to_their_bound_and_begin_in_order() {
    let (database, bus) = tokio::join!(testkit::database(), testkit::nats());
    streams::ensure(&bus.client, &StreamOptions::default()).await.unwrap();
    let client = CommandClient::new(bus.client.clone(), database.pool.clone(), options());
    let mut sent = vec![];
    for _ in 0..20 {
        let next = command("one", "rename");
        sent.push(next.command_id);
        client.send(next, Duration::ZERO).await.unwrap();
    }
    let handler = Arc::new(Gate { begun: Mutex::default(), gate: Semaphore::new(0) });
    let running = Running::start(&bus.url, handler.clone(), ConsumerOptions { per_aggregate: 4, ..quick() });
    let begun = || handler.begun.lock().unwrap().clone();
    eventually("as many as may be are in hand", async || begun().len() == 4).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(begun(), sent[..4], "the others wait");
    handler.gate.add_permits(1_000);
    eventually("all are handled", async || begun().len() == 20).await;
    assert_eq!(begun(), sent);
    running.stop().await;
}

#[tokio::test]
async fn a_command_that_takes_longer_than_the_acknowledgement_wait_is_not_delivered_again() {
    let (database, bus) = tokio::join!(testkit::database(), testkit::nats());
    streams::ensure(&bus.client, &StreamOptions::default()).await.unwrap();
    let handler = Recorder::slow(Duration::from_secs(4), |_, _| Handled::Reply(done()));
    let running = Running::start(&bus.url, handler.clone(), quick());
    let client = CommandClient::new(bus.client.clone(), database.pool.clone(), options());
    let sent = client.send(command("a", "slow"), Duration::from_secs(8)).await;
    assert_eq!(sent, Ok(Sent::Outcome(done())));
    assert_eq!(handler.seen().len(), 1);
    running.stop().await;
}

#[tokio::test]
async fn a_command_that_is_sent_again_on_purpose_reaches_the_handler_under_its_old_id() {
    let (database, bus) = tokio::join!(testkit::database(), testkit::nats());
    streams::ensure(&bus.client, &StreamOptions::default()).await.unwrap();
    let handler = Recorder::done();
    let running = Running::start(&bus.url, handler.clone(), quick());
    let client = CommandClient::new(bus.client.clone(), database.pool.clone(), options());
    let dead = command("a", "rename");
    for _ in 0..2 {
        assert_eq!(client.resend(dead.clone(), WAIT).await, Ok(Sent::Outcome(done())));
    }
    let ids: Vec<_> = handler.seen().into_iter().map(|call| call.command_id).collect();
    assert_eq!(ids, [dead.command_id, dead.command_id]);
    running.stop().await;
}

#[tokio::test]
async fn a_queue_that_was_deleted_is_made_again() {
    let (database, bus) = tokio::join!(testkit::database(), testkit::nats());
    streams::ensure(&bus.client, &StreamOptions::default()).await.unwrap();
    let running = Running::start(&bus.url, Recorder::done(), quick());
    let client = CommandClient::new(bus.client.clone(), database.pool.clone(), options());
    assert_eq!(client.send(command("a", "rename"), WAIT).await, Ok(Sent::Outcome(done())));
    jetstream::new(bus.client.clone()).delete_stream(COMMANDS).await.unwrap();
    eventually("commands flow again", async || {
        matches!(client.send(command("a", "rename"), WAIT).await, Ok(Sent::Outcome(_)))
    })
    .await;
    running.stop().await;
}

#[tokio::test]
async fn a_restarted_bus_delivers_what_it_had_and_takes_new_commands() {
    let (database, mut bus) = tokio::join!(testkit::database(), testkit::nats());
    streams::ensure(&bus.client, &StreamOptions::default()).await.unwrap();
    let handler = Recorder::done();
    let running = Running::start(&bus.url, handler.clone(), quick());
    let client = CommandClient::new(bus.client.clone(), database.pool.clone(), options());
    assert!(client.send(command("a", "rename"), WAIT).await.is_ok());
    bus.kill().await;
    bus.start_again().await;
    eventually("commands flow again", async || {
        matches!(client.send(command("a", "rename"), WAIT).await, Ok(Sent::Outcome(_)))
    })
    .await;
    running.stop().await;
}

#[tokio::test]
async fn while_postgres_is_away_a_command_is_kept_and_succeeds_when_it_is_back() {
    let (database, bus) = tokio::join!(testkit::database(), testkit::nats());
    streams::ensure(&bus.client, &StreamOptions::default()).await.unwrap();
    let back = Arc::new(AtomicBool::new(false));
    let postgres = Arc::clone(&back);
    let handler = Recorder::new(move |_, _| match postgres.load(Ordering::Relaxed) {
        true => Handled::Reply(done()),
        false => Handled::Retry { error: "the database is away".into() },
    });
    handler.away.store(true, Ordering::Relaxed);
    let running = Running::start(&bus.url, handler.clone(), quick());
    let client = CommandClient::new(bus.client.clone(), database.pool.clone(), options());
    let sent = tokio::spawn(async move { client.send(command("a", "rename"), Duration::from_secs(15)).await });
    eventually("more tries than a failing command gets", async || handler.seen().len() > 4).await;
    back.store(true, Ordering::Relaxed);
    assert_eq!(sent.await.unwrap(), Ok(Sent::Outcome(done())));
    assert!(handler.buried.lock().unwrap().is_empty());
    running.stop().await;
}
