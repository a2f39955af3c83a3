//! A read model is a consequence of the events, so it can be made again.

use domain::{
    chat::{Finish, SessionEvent},
    users::{Reservation, ReservationEvent},
};
use projections::{Projector, all, reset};
use serde_json::Value;

use crate::support::{Talk, World, user, world};

const TABLES: [&str; 5] =
    ["chat_v1.sessions", "chat_v1.messages", "users_v1.users", "users_v1.names", "users_v1.devices"];

async fn dump(world: &World) -> Vec<Vec<Value>> {
    let mut tables = vec![];
    for table in TABLES {
        let sql = format!("SELECT to_jsonb(t) FROM {table} t ORDER BY t::text");
        tables.push(sqlx::query_scalar(&sql).fetch_all(&world.pool).await.unwrap());
    }
    tables
}

/// Some conversations of two people, with every kind of event.
async fn live_a_little(world: &World) {
    for n in 0..2 {
        let owner = user();
        let kind = domain::users::NameKind::Email;
        world.append::<Reservation>(format!("email:{n}"), ReservationEvent::Claimed { kind, holder: owner }).await;
        let mut talk = Talk::start(world, owner, n, Some("A title")).await;
        let first = talk.exchange(None, "q1", "a1").await;
        let again = talk.regenerate(first.question).await;
        let at = talk.tick();
        talk.say(SessionEvent::StopRequested { run_id: again.run, at }).await;
        talk.complete(again.run, "", Finish::Stopped).await;
        let failed = talk.ask(Some(first.reply), "q2").await;
        let (content, code, message) = (talk.sealed("a"), "upstream_error".to_owned(), talk.sealed("gone"));
        let at = talk.tick();
        talk.say(SessionEvent::ReplyFailed { run_id: failed.run, attempt: 1, content, code, message, at }).await;
        let (title, at) = (talk.sealed("Another title"), talk.tick());
        talk.say(SessionEvent::Renamed { title, at }).await;
        let at = talk.tick();
        talk.say(SessionEvent::Deleted { at }).await;
        let at = talk.tick();
        talk.say(SessionEvent::Restored { at }).await;
        talk.ask(Some(first.reply), "q3").await;
    }
}

#[tokio::test]
async fn a_replay_from_the_beginning_makes_the_same_rows() {
    let world = world().await;
    live_a_little(&world).await;
    for projector in all() {
        world.project(&*projector).await;
    }
    let before = dump(&world).await;
    assert_eq!(before[0].len(), 2);
    assert_eq!(before[1].len(), 14);
    for projector in all() {
        reset(&world.pool, &*projector).await.unwrap();
    }
    assert!(dump(&world).await.iter().all(Vec::is_empty));
    for projector in all() {
        world.project(&*projector).await;
    }
    assert_eq!(dump(&world).await, before);
}

#[tokio::test]
async fn events_that_the_rows_contain_already_change_nothing() {
    let world = world().await;
    live_a_little(&world).await;
    for projector in all() {
        world.project(&*projector).await;
    }
    let before = dump(&world).await;
    // As if the checkpoint had been lost while the rows were kept.
    sqlx::query("UPDATE checkpoints SET position = 0").execute(&world.pool).await.unwrap();
    for projector in all() {
        world.project(&*projector).await;
    }
    assert_eq!(dump(&world).await, before);
    let parked: i64 = sqlx::query_scalar("SELECT count(*) FROM parked_keys").fetch_one(&world.pool).await.unwrap();
    assert_eq!(parked, 0);
}

#[tokio::test]
async fn every_projection_owns_the_schema_of_its_name() {
    let world = world().await;
    for projector in all() {
        let known: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)")
            .bind(Projector::name(&*projector))
            .fetch_one(&world.pool)
            .await
            .unwrap();
        assert!(known, "{}", projector.name());
    }
}
