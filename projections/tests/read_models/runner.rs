//! Runners that are alive: one of many works, another takes over, browsers are told.

use std::{future::Future, sync::Arc, time::Duration};

use async_nats::Client;
use futures::StreamExt as _;
use projections::{Projector, RunnerOptions, chat::ChatProjector, reset, run_projection};
use tokio::{task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    parking::{Scribe, scribble, scribbled},
    support::{Talk, World, user, world},
};

struct Running {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

fn run(world: &World, client: &Client, projector: Arc<dyn Projector>) -> Running {
    let short = Duration::from_millis(50);
    let options = RunnerOptions { election_retry: short, idle_wait: short, ..RunnerOptions::default() };
    let stop = CancellationToken::new();
    let task =
        run_projection(world.pool.clone(), client.clone(), world.vault.clone(), projector, options, stop.clone());
    Running { stop, task: tokio::spawn(task) }
}

impl Running {
    async fn end(self) {
        self.stop.cancel();
        timeout(Duration::from_secs(10), self.task).await.expect("a runner stops soon").unwrap();
    }
}

async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let patience = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(20), patience).await.unwrap_or_else(|_| panic!("not within 20 s: {what}"));
}

/// The seats that are taken in this database; other tests have their own.
const SEATS: &str = "FROM pg_locks WHERE locktype = 'advisory' AND granted \
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";

async fn seats(world: &World) -> i64 {
    sqlx::query_scalar(&format!("SELECT count(*) {SEATS}")).fetch_one(&world.pool).await.unwrap()
}

#[tokio::test]
async fn a_runner_applies_what_comes_and_tells_the_owners_pages() {
    let (world, nats) = (world().await, testkit::nats().await);
    let owner = user();
    let mut hints = Box::pin(nats::live::subscribe_hints(&nats.client, owner.uuid()).await.unwrap());
    nats.client.flush().await.unwrap();
    let running = run(&world, &nats.client, Arc::new(ChatProjector));
    let mut talk = Talk::start(&world, owner, 0, None).await;
    talk.ask(None, "hello").await;
    until("the message is there", || async {
        let session = projections::chat::session(&world.pool, owner.uuid(), talk.id.uuid()).await.unwrap();
        session.is_some_and(|session| session.message_count == 2)
    })
    .await;
    let mut topics = vec![];
    while topics.last().is_none_or(|topic| topic != "messages") {
        let hint = timeout(Duration::from_secs(10), hints.next()).await.expect("a hint").unwrap();
        assert_eq!(hint.session_id, Some(talk.id.uuid()));
        assert!((1..=3).contains(&hint.position));
        topics.push(hint.topic);
    }
    assert!(topics.contains(&"sessions".to_owned()));
    running.end().await;
}

#[tokio::test]
async fn of_two_runners_one_works_and_the_other_takes_over_when_it_ends() {
    let (world, nats) = (world().await, testkit::nats().await);
    let scribe = Arc::new(Scribe::new(&world).await);
    let first = run(&world, &nats.client, scribe.clone());
    until("the first has the seat", || async { seats(&world).await == 1 }).await;
    let second = run(&world, &nats.client, scribe.clone());
    for _ in 0..10 {
        scribble(&world, "a").await;
    }
    until("all are applied", || async { scribbled(&world).await.len() == 10 }).await;
    assert_eq!(seats(&world).await, 1);
    first.end().await;
    for _ in 0..10 {
        scribble(&world, "a").await;
    }
    until("the second goes on", || async { scribbled(&world).await.len() == 20 }).await;
    let sequences: Vec<i64> = scribbled(&world).await.into_iter().map(|(_, sequence)| sequence).collect();
    assert_eq!(sequences, Vec::from_iter(1..=20));
    second.end().await;
}

#[tokio::test]
async fn a_runner_whose_seat_was_taken_from_it_and_its_successor_apply_every_event_once() {
    let (world, nats) = (world().await, testkit::nats().await);
    let scribe = Arc::new(Scribe::new(&world).await);
    let first = run(&world, &nats.client, scribe.clone());
    until("the first has the seat", || async { seats(&world).await == 1 }).await;
    let second = run(&world, &nats.client, scribe.clone());
    let sql = format!("SELECT pg_terminate_backend(pid) {SEATS}");
    sqlx::query(&sql).execute(&world.pool).await.unwrap();
    // The first does not know yet, so for a while both work.
    until("the second has the seat", || async { seats(&world).await == 1 }).await;
    for _ in 0..50 {
        scribble(&world, "a").await;
    }
    until("all are applied", || async { scribbled(&world).await.len() >= 50 }).await;
    assert!(scribbled(&world).await.iter().map(|(_, sequence)| *sequence).eq(1..=50));
    let parked: i64 = sqlx::query_scalar("SELECT count(*) FROM parked_keys").fetch_one(&world.pool).await.unwrap();
    assert_eq!(parked, 0);
    first.end().await;
    second.end().await;
}

#[tokio::test]
async fn a_runner_notices_that_its_read_model_was_reset_and_fills_it_again() {
    let (world, nats) = (world().await, testkit::nats().await);
    let scribe = Arc::new(Scribe::new(&world).await);
    for _ in 0..10 {
        scribble(&world, "a").await;
    }
    let running = run(&world, &nats.client, scribe.clone());
    until("all are applied", || async { scribbled(&world).await.len() == 10 }).await;
    reset(&world.pool, &*scribe).await.unwrap();
    until("all are applied again", || async { scribbled(&world).await.len() == 10 }).await;
    scribble(&world, "a").await;
    until("and it goes on", || async { scribbled(&world).await.len() == 11 }).await;
    running.end().await;
}

#[tokio::test]
async fn a_projection_that_stands_still_says_why_and_goes_on_by_itself() {
    let (world, nats) = (world().await, testkit::nats().await);
    let scribe = Arc::new(Scribe::new(&world).await);
    *scribe.away_from.lock().unwrap() = Some(1);
    scribble(&world, "a").await;
    let running = run(&world, &nats.client, scribe.clone());
    until("the error is noted", || async {
        let error: Option<Option<String>> =
            sqlx::query_scalar("SELECT last_error FROM checkpoints").fetch_optional(&world.pool).await.unwrap();
        error.flatten().is_some_and(|error| error.contains("could not be applied"))
    })
    .await;
    *scribe.away_from.lock().unwrap() = None;
    until("it is applied", || async { scribbled(&world).await.len() == 1 }).await;
    let error: Option<String> =
        sqlx::query_scalar("SELECT last_error FROM checkpoints").fetch_one(&world.pool).await.unwrap();
    assert_eq!(error, None);
    running.end().await;
}
