//! Reading one's own writes, and how far projections are.

use std::time::{Duration, Instant};

use domain::chat::{Session, SessionEvent};
use nats::EventRef;
use projections::{all, chat::ChatProjector, lag, positions, wait_for};

use crate::support::{Talk, at, user, world};

const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(100);

#[tokio::test]
async fn a_reader_waits_for_the_write_it_names_even_before_it_has_a_position() {
    let world = world().await;
    let talk = Talk::start(&world, user(), 0, None).await;
    world.project(&ChatProjector).await;
    let write = world.store::<Session>(talk.id, SessionEvent::Deleted { at: at(9) }).await;
    let reader = async { wait_for(&world.pool, "chat_v1", &write, LONG).await.unwrap() };
    let writer = async {
        tokio::time::sleep(SHORT).await;
        world.give_position(&write, None).await;
        tokio::time::sleep(SHORT).await;
        world.project(&ChatProjector).await;
    };
    let begun = Instant::now();
    let (fresh, ()) = tokio::join!(reader, writer);
    assert!(fresh.caught_up);
    assert_eq!((fresh.position, fresh.last), (2, 2));
    assert!(begun.elapsed() < LONG / 2);
}

#[tokio::test]
async fn a_projection_that_does_not_come_in_time_is_called_stale() {
    let world = world().await;
    let talk = Talk::start(&world, user(), 0, None).await;
    world.project(&ChatProjector).await;
    let write = talk.say(SessionEvent::Deleted { at: at(9) }).await;
    let stale = wait_for(&world.pool, "chat_v1", &write, SHORT).await.unwrap();
    assert!(!stale.caught_up && stale.exists);
    assert_eq!((stale.position, stale.last), (1, 2));
}

#[tokio::test]
async fn an_event_that_never_was_is_answered_at_once() {
    let world = world().await;
    let unknown: EventRef = "session:nobody:1".parse().unwrap();
    let begun = Instant::now();
    let freshness = wait_for(&world.pool, "chat_v1", &unknown, LONG).await.unwrap();
    assert!(!freshness.caught_up && !freshness.exists);
    assert!(begun.elapsed() < LONG / 2);
}

#[tokio::test]
async fn a_write_to_a_parked_conversation_is_called_stale_at_once() {
    let world = world().await;
    let talk = Talk::start(&world, user(), 0, None).await;
    let before = EventRef { aggregate_type: "session".into(), aggregate_id: talk.id.to_string(), sequence: 1 };
    let write = talk.say(SessionEvent::Deleted { at: at(9) }).await;
    sqlx::query("UPDATE events SET event_version = '99' WHERE sequence = 2").execute(&world.pool).await.unwrap();
    world.project(&ChatProjector).await;
    let begun = Instant::now();
    let stale = wait_for(&world.pool, "chat_v1", &write, LONG).await.unwrap();
    assert!(!stale.caught_up && stale.position == 2);
    assert!(begun.elapsed() < LONG / 2);
    // What came before the failure is in the rows.
    assert!(wait_for(&world.pool, "chat_v1", &before, LONG).await.unwrap().caught_up);
}

#[tokio::test]
async fn positions_and_lag_name_every_projection_even_one_that_never_ran() {
    let world = world().await;
    let talk = Talk::start(&world, user(), 0, None).await;
    talk.say(SessionEvent::Deleted { at: at(9) }).await;
    world.project(&ChatProjector).await;
    sqlx::query("INSERT INTO checkpoints (name, position) VALUES ('a reactor', 7)").execute(&world.pool).await.unwrap();
    let named = |chat: i64, others: i64| {
        ["billing_v1", "chat_v1", "relay_v1", "statistics_v1", "users_v1"]
            .map(|name| (name.to_owned(), if name == "chat_v1" { chat } else { others }))
    };
    assert_eq!(Vec::from_iter(positions(&world.pool).await.unwrap()), named(2, 0));
    let lags: Vec<(String, i64)> = lag(&world.pool).await.unwrap().into_iter().map(|lag| (lag.name, lag.lag)).collect();
    assert_eq!(lags, named(0, 2));
    for projector in all() {
        world.project(&*projector).await;
    }
    assert!(lag(&world.pool).await.unwrap().iter().all(|lag| lag.lag == 0));
}
