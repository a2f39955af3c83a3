//! Accounts as operators look through them.

use domain::{
    Sealed, UserId,
    users::{Role, User, UserEvent},
};
use projections::{
    billing::BillingProjector,
    users::{self, UsersProjector},
};
use serde_json::json;
use uuid::Uuid;

use crate::{
    purse::Purse,
    support::{World, at, user, world},
};

async fn register(world: &World, name: &str, address: &str, seconds: i64) -> UserId {
    let id = user();
    let sealed = |text: &str| Sealed::new(id, text.to_owned());
    let registered = UserEvent::Registered {
        email: sealed(address),
        username: sealed(name),
        password_hash: sealed("$argon2id$"),
        role: Role::User,
        at: at(seconds),
    };
    world.append::<User>(id, registered).await;
    id
}

async fn found(world: &World, query: Option<&str>) -> Vec<String> {
    let page = users::users(&world.pool, query, "USD", None, 100).await.unwrap();
    page.items.into_iter().map(|account| account.user.username).collect()
}

#[tokio::test]
async fn an_account_shows_its_wallet_also_where_it_has_none_yet() {
    let world = world().await;
    let rich = register(&world, "rich", "rich@example.org", 1).await;
    let poor = register(&world, "poor", "poor@example.org", 2).await;
    Purse::open(&world, rich).grant(7).await;
    world.project(&UsersProjector).await;
    world.project(&BillingProjector).await;
    let read = async |id: UserId| {
        let account = users::account(&world.pool, id.uuid(), "CNY").await.unwrap().expect("the account");
        serde_json::to_value(account).unwrap()
    };
    assert_eq!(
        read(rich).await,
        json!({
            "id": rich, "email": "rich@example.org", "username": "rich", "role": "user", "group": "default", "created_at": at(1),
            "wallet": {
                "available_nanos": "7", "held_nanos": "0", "balance_nanos": "7", "granted_nanos": "7",
                "paid_nanos": "0", "debt_nanos": "0", "currency": "USD",
            },
        })
    );
    assert_eq!(read(poor).await["wallet"]["balance_nanos"], "0");
    assert_eq!(read(poor).await["wallet"]["currency"], "CNY", "the house's, before the first movement");
    assert!(users::account(&world.pool, Uuid::now_v7(), "USD").await.unwrap().is_none());
}

#[tokio::test]
async fn accounts_are_found_by_the_beginning_of_address_or_name_whatever_the_case() {
    let world = world().await;
    register(&world, "Ann", "ann@example.org", 1).await;
    register(&world, "bob", "anton@example.org", 2).await;
    register(&world, "a_b", "x%y@example.org", 3).await;
    register(&world, "joann", "j@example.org", 4).await;
    world.project(&UsersProjector).await;
    assert_eq!(found(&world, None).await, ["joann", "a_b", "bob", "Ann"], "newest first");
    assert_eq!(found(&world, Some("AN")).await, ["bob", "Ann"]);
    assert_eq!(found(&world, Some("a_")).await, ["a_b"], "no character of the query stands for others");
    assert_eq!(found(&world, Some("x%y")).await, ["a_b"]);
    assert_eq!(found(&world, Some(r"\")).await, Vec::<String>::new());
}

#[tokio::test]
async fn pages_of_accounts_neither_repeat_nor_skip_one() {
    let world = world().await;
    for n in 0..7 {
        // Two of the same second each.
        register(&world, &format!("u{n}"), &format!("u{n}@example.org"), n / 2).await;
    }
    world.project(&UsersProjector).await;
    let (mut walked, mut cursor) = (vec![], None);
    loop {
        let page = users::users(&world.pool, Some("u"), "USD", cursor.as_deref(), 3).await.unwrap();
        walked.extend(page.items.into_iter().map(|account| account.user.username));
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(walked, found(&world, None).await);
    assert_eq!(walked.len(), 7);
}
