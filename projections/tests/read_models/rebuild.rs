//! A read model is a consequence of the events, so it can be made again.

use domain::{
    ApiKeyId, DeviceId, UserId,
    chat::{Finish, SessionEvent},
    users::{ApiKey, ApiKeyEvent, Device, DeviceEvent, Reservation, ReservationEvent},
};
use projections::{Projector, all, reset};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    api_keys::created_key,
    purse::{Purse, hold_id, reply, tokens},
    relay::Upstream,
    responses::keep_a_little,
    statistics::{call, record},
    support::{Talk, World, at, user, world},
};

const TABLES: [&str; 17] = [
    "chat_v1.sessions",
    "chat_v1.messages",
    "billing_v1.wallets",
    "billing_v1.holds",
    "billing_v1.charges",
    "billing_v1.ledger_entries",
    "relay_v1.channels",
    "relay_v1.responses",
    "users_v1.users",
    "users_v1.names",
    "users_v1.devices",
    "users_v1.api_keys",
    "statistics_v1.hours",
    "statistics_v1.errors",
    "statistics_v1.latencies",
    "statistics_v1.wallets",
    "statistics_v1.calls",
];

pub(crate) async fn dump(world: &World) -> Vec<Vec<Value>> {
    let mut tables = vec![];
    for table in TABLES {
        let sql = format!("SELECT to_jsonb(t) FROM {table} t ORDER BY t::text");
        tables.push(sqlx::query_scalar(&sql).fetch_all(&world.pool).await.unwrap());
    }
    tables
}

/// Money of all kinds, a channel that changes and one that is removed, a key that is revoked.
async fn spend_a_little(world: &World, owner: UserId) {
    let mut purse = Purse::open(world, owner);
    purse.grant(1_000_000).await;
    purse.top_up(2_000_000).await;
    purse.adjust(-1000).await;
    let [open, charged, released, expired] = [1, 2, 3, 4].map(hold_id);
    for hold in [open, charged, released, expired] {
        purse.hold(hold, reply(), 10, 20).await;
    }
    purse.extend(open).await;
    purse.charge(charged, tokens(9, 15)).await;
    purse.release(released, 0).await;
    purse.expire(expired).await;
    purse.charge(expired, tokens(9, 15)).await;

    let key = ApiKeyId::new(Uuid::now_v7());
    world.append::<ApiKey>(key, created_key(owner, "laptop", 1)).await;
    world.append::<ApiKey>(key, ApiKeyEvent::Revoked { at: at(9) }).await;
    keep_a_little(world, owner).await;
    record(world, vec![call(owner), call(owner)]).await;
    for removed in [false, true] {
        let mut channel = Upstream::add(world, "main", 1).await;
        channel.change(json!({"name": "renamed", "enabled": false})).await;
        if removed {
            channel.remove().await;
        }
    }
}

/// Some conversations of two people, with every kind of event.
pub(crate) async fn live_a_little(world: &World) {
    for n in 0..2 {
        let owner = user();
        spend_a_little(world, owner).await;
        let kind = domain::users::NameKind::Email;
        world.append::<Reservation>(format!("email:{n}"), ReservationEvent::Claimed { kind, holder: owner }).await;
        let device = DeviceId::new(Uuid::now_v7());
        world.append::<Device>(device, DeviceEvent::SignedIn { user: owner, at: at(1) }).await;
        world.append::<Device>(device, DeviceEvent::Rotated { generation: 1, at: at(2) }).await;
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
    assert!(before[2..7].iter().all(|table| !table.is_empty()));
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
