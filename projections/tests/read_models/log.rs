//! The log of all events as operators look through it.

use domain::{
    chat::{Session, SessionEvent},
    users::{Device, DeviceEvent},
};
use projections::log::{self, EventFilter};
use serde_json::json;
use uuid::Uuid;

use crate::{
    purse::Purse,
    support::{Talk, at, user, world},
};

#[tokio::test]
async fn events_come_newest_first_with_their_sealed_fields_closed() {
    let world = world().await;
    let mut talk = Talk::start(&world, user(), 0, Some("A secret title")).await;
    talk.ask(None, "a secret question").await;
    let page = log::events(&world.pool, &EventFilter::default(), 100).await.unwrap();
    let positions: Vec<i64> = page.items.iter().map(|event| event.position).collect();
    assert_eq!((positions, page.next_cursor), (vec![3, 2, 1], None));
    let text = serde_json::to_string(&page.items).unwrap();
    assert!(!text.contains("nonce") && !text.contains("secret"), "{text}");
    let started = serde_json::to_value(&page.items[2]).unwrap();
    assert_eq!(
        started,
        json!({
            "position": 1, "aggregate_type": "session", "aggregate_id": talk.id, "sequence": 1,
            "event_type": "session.started", "event_version": started["event_version"],
            "recorded_at": started["recorded_at"], "actor": null, "command_id": null,
            "payload": {"started": {"owner": talk.owner, "title": {"$sealed": {"subject": talk.owner}}, "at": at(1)}},
        })
    );
}

#[tokio::test]
async fn an_event_without_a_position_is_not_shown_yet() {
    let world = world().await;
    let talk = Talk::start(&world, user(), 0, None).await;
    world.store::<Session>(talk.id, SessionEvent::Deleted { at: at(5) }).await;
    let page = log::events(&world.pool, &EventFilter::default(), 100).await.unwrap();
    assert_eq!(page.items.len(), 1);
}

#[tokio::test]
async fn filters_narrow_the_log_and_its_pages_lead_to_the_beginning() {
    let world = world().await;
    let owner = user();
    let mut purse = Purse::open(&world, owner);
    let device = Uuid::now_v7();
    for nanos in 1..=3 {
        purse.grant(nanos).await;
        purse.top_up(nanos).await;
        world.append::<Device>(device, DeviceEvent::SignedOut { at: at(nanos) }).await;
    }
    let walk = async |filter: EventFilter| {
        let (mut positions, mut filter) = (vec![], filter);
        loop {
            let page = log::events(&world.pool, &filter, 2).await.unwrap();
            assert!(page.items.len() <= 2);
            positions.extend(page.items.iter().map(|event| event.position));
            let Some(cursor) = page.next_cursor else { return positions };
            filter.before = Some(cursor.parse().unwrap());
        }
    };
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(walk(EventFilter::default()).await, [9, 8, 7, 6, 5, 4, 3, 2, 1]);
    let wallets = EventFilter { aggregate_type: text("wallet"), ..EventFilter::default() };
    assert_eq!(walk(wallets).await, [8, 7, 5, 4, 2, 1]);
    let grants = EventFilter { event_type: text("wallet.granted"), ..EventFilter::default() };
    assert_eq!(walk(grants).await, [7, 4, 1]);
    let of_device = EventFilter { aggregate_id: Some(device.to_string()), before: Some(9), ..EventFilter::default() };
    assert_eq!(walk(of_device).await, [6, 3]);
    let of_nobody = EventFilter { aggregate_type: text("device"), aggregate_id: text("x"), ..EventFilter::default() };
    assert_eq!(walk(of_nobody).await, Vec::<i64>::new());
}

#[tokio::test]
async fn a_rare_event_far_back_is_found_in_several_looks_of_bounded_length() {
    let world = world().await;
    sqlx::query(
        "WITH e AS (INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata) \
         SELECT 'device', 'd', n, CASE n WHEN 1 THEN 'device.rare' ELSE 'device.rotated' END, '1', '{}', '{}' \
         FROM generate_series(1, 60000) n RETURNING aggregate_type, aggregate_id, sequence) \
         INSERT INTO event_log (position, aggregate_type, aggregate_id, sequence) SELECT sequence, e.* FROM e",
    )
    .execute(&world.pool)
    .await
    .unwrap();
    let mut filter = EventFilter { event_type: Some("device.rare".to_owned()), ..EventFilter::default() };
    let first = log::events(&world.pool, &filter, 10).await.unwrap();
    assert_eq!((first.items.len(), first.next_cursor.as_deref()), (0, Some("10001")));
    filter.before = Some(10_001);
    let second = log::events(&world.pool, &filter, 10).await.unwrap();
    assert_eq!((second.items.len(), second.items[0].position, second.next_cursor), (1, 1, None));
}
