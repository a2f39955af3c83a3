//! Keys of the API, as their owners and as the check of a request see them.

use domain::{
    ApiKeyId, Sealed, UserId,
    billing::Purpose,
    users::{ApiKey, ApiKeyEvent, Scope},
};
use projections::{
    Projector as _, Topic,
    billing::BillingProjector,
    users::{self, UsersProjector},
};
use serde_json::json;
use uuid::Uuid;

use crate::{
    purse::{Purse, hold_id, tokens},
    support::{World, at, user, world},
};

pub(crate) fn created_key(owner: UserId, name: &str, seconds: i64) -> ApiKeyEvent {
    ApiKeyEvent::Created {
        owner,
        name: Sealed::new(owner, name.to_owned()),
        key_hash: "ab".repeat(32),
        hint: "wxyz".to_owned(),
        scopes: vec![Scope::Chat, Scope::Models],
        models: Some(vec!["small".to_owned()]),
        expires_at: Some(at(1000)),
        at: at(seconds),
    }
}

async fn create(world: &World, owner: UserId, name: &str, seconds: i64) -> ApiKeyId {
    let id = ApiKeyId::new(Uuid::now_v7());
    world.append::<ApiKey>(id, created_key(owner, name, seconds)).await;
    id
}

#[tokio::test]
async fn a_key_reads_as_the_contract_says_and_shows_when_it_was_last_used() {
    let world = world().await;
    let ann = user();
    let key = create(&world, ann, "laptop", 1).await;
    world.project(&UsersProjector).await;
    let mut expected = json!({
        "id": key, "name": "laptop", "hint": "wxyz", "scopes": ["chat", "models"], "models": ["small"],
        "expires_at": at(1000), "created_at": at(1), "revoked_at": null, "last_used_at": null,
    });
    let read = async || {
        let key = users::api_key(&world.pool, ann.uuid(), key.uuid()).await.unwrap().expect("the key");
        serde_json::to_value(key).unwrap()
    };
    assert_eq!(read().await, expected);

    let mut purse = Purse::open(&world, ann);
    purse.grant(1_000_000).await;
    purse.hold(hold_id(1), Purpose::Api { api_key_id: Some(key) }, 10, 10).await;
    purse.charge(hold_id(1), tokens(10, 5)).await;
    world.append::<ApiKey>(key, ApiKeyEvent::Revoked { at: at(8) }).await;
    world.project(&UsersProjector).await;
    world.project(&BillingProjector).await;
    (expected["last_used_at"], expected["revoked_at"]) = (json!(at(3)), json!(at(8)));
    assert_eq!(read().await, expected);
}

#[tokio::test]
async fn keys_are_listed_newest_first_page_by_page_and_only_to_their_owner() {
    let world = world().await;
    let (ann, bob) = (user(), user());
    let mut keys = vec![];
    for n in 0..5 {
        keys.push(create(&world, ann, &format!("key {n}"), n).await.uuid());
    }
    let of_bob = create(&world, bob, "key of Bob", 9).await;
    world.append::<ApiKey>(ApiKeyId::new(keys[0]), ApiKeyEvent::Revoked { at: at(8) }).await;
    world.project(&UsersProjector).await;
    keys.reverse();
    let (mut walked, mut cursor) = (vec![], None);
    loop {
        let page = users::api_keys(&world.pool, ann.uuid(), cursor.as_deref(), 2).await.unwrap();
        walked.extend(page.items.iter().map(|key| key.id));
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(walked, keys);
    assert_eq!(users::count_api_keys(&world.pool, ann.uuid()).await.unwrap(), 4, "revoked ones do not count");
    assert_eq!(users::api_key(&world.pool, ann.uuid(), of_bob.uuid()).await.unwrap(), None);
}

#[tokio::test]
async fn a_revocation_counts_before_any_read_model_has_seen_it() {
    let world = world().await;
    let ann = user();
    let key = create(&world, ann, "laptop", 1).await;
    let access = async || users::api_key_access(&world.pool, key.uuid()).await.unwrap();
    assert_eq!(access().await, None, "not known yet");
    world.project(&UsersProjector).await;
    let known = access().await.expect("the key");
    assert_eq!((known.owner, known.key_hash.as_str(), known.revoked), (ann.uuid(), "ab".repeat(32).as_str(), false));
    assert_eq!((known.scopes, known.models), (vec!["chat".into(), "models".into()], Some(vec!["small".to_owned()])));
    // Committed, but without a position and not projected.
    world.store::<ApiKey>(key, ApiKeyEvent::Revoked { at: at(8) }).await;
    assert!(access().await.expect("the key").revoked);
}

#[tokio::test]
async fn keys_print_neither_names_nor_hashes_and_an_erased_owner_leaves_no_name() {
    let world = world().await;
    let ann = user();
    let key = create(&world, ann, "laptop", 1).await;
    world.project(&UsersProjector).await;
    let shown = users::api_key(&world.pool, ann.uuid(), key.uuid()).await.unwrap();
    let printed = format!("{shown:?} {:?}", users::api_key_access(&world.pool, key.uuid()).await.unwrap());
    assert!(!printed.contains("laptop") && !printed.contains("abab"), "{printed}");

    world.vault.destroy(ann.uuid()).await.unwrap();
    projections::reset(&world.pool, &UsersProjector).await.unwrap();
    world.project(&UsersProjector).await;
    assert_eq!(users::api_key(&world.pool, ann.uuid(), key.uuid()).await.unwrap().expect("the key").name, "");
}

#[tokio::test]
async fn the_owner_s_screens_hear_of_a_new_and_of_a_revoked_key() {
    let world = world().await;
    let ann = user();
    let key = create(&world, ann, "laptop", 1).await;
    let revoked = world.append::<ApiKey>(key, ApiKeyEvent::Revoked { at: at(8) }).await;
    for sequence in 1..=revoked.sequence {
        let touched = world.apply_alone(&UsersProjector, "api_key", key, sequence).await.unwrap();
        let heard: Vec<_> = touched.iter().map(|touch| (touch.user, touch.topic)).collect();
        assert_eq!(heard, [(ann.uuid(), Topic::ApiKeys)]);
    }
    assert!(UsersProjector.handles("api_key"));
}
