//! Statements of a period.

use chrono::{Days, NaiveDate};
use domain::{ApiKeyId, billing::Purpose, users::ApiKey};
use projections::{
    billing::{self, BillingProjector},
    users::UsersProjector,
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    api_keys::created_key,
    purse::{Purse, hold_id, reply, tokens},
    support::{at, user, world},
};

const DAY: i64 = 86_400;

fn day(n: u64) -> NaiveDate {
    at(0).date_naive() + Days::new(n)
}

async fn read(purse: &Purse<'_>, from: u64, to: u64) -> Value {
    let statement = billing::statement(&purse.world.pool, purse.owner.uuid(), day(from), day(to), "CNY").await.unwrap();
    serde_json::to_value(statement).unwrap()
}

#[tokio::test]
async fn a_statement_says_what_was_there_what_happened_and_what_is_left() {
    let world = world().await;
    let mut purse = Purse::open(&world, user());
    let key = ApiKeyId::new(Uuid::now_v7());
    world.append::<ApiKey>(key, created_key(purse.owner, "laptop", 1)).await;
    world.project(&UsersProjector).await;
    // The day before, with everything that a statement must not count twice.
    purse.grant(1_000_000).await;
    purse.hold(hold_id(1), reply(), 10, 20).await;
    purse.charge(hold_id(1), tokens(10, 20)).await;
    // The first day begins at midnight: `tick` adds one second.
    purse.seconds = DAY - 1;
    purse.top_up(500_000).await;
    purse.hold(hold_id(2), reply(), 10, 20).await;
    purse.charge(hold_id(2), tokens(10, 5)).await;
    purse.hold(hold_id(3), Purpose::Api { api_key_id: Some(key) }, 10, 20).await;
    purse.charge(hold_id(3), tokens(10, 15)).await;
    // The last second of the second day, with an open hold across its end.
    purse.seconds = 3 * DAY - 4;
    purse.adjust(-1000).await;
    purse.hold(hold_id(4), reply(), 10, 20).await;
    purse.charge(hold_id(4), tokens(10, 20)).await;
    purse.hold(hold_id(5), reply(), 10, 20).await;
    purse.grant(7).await;
    world.project(&BillingProjector).await;

    assert_eq!(
        read(&purse, 1, 2).await,
        json!({
            "from": day(1), "to": day(2), "currency": "USD", "opening_nanos": "950000", "closing_nanos": "1339000",
            "granted_nanos": "0", "topped_up_nanos": "500000", "adjusted_nanos": "-1000", "charged_nanos": "110000",
            "days": [
                {"date": day(1), "charged_nanos": "60000", "calls": 2},
                {"date": day(2), "charged_nanos": "50000", "calls": 1},
            ],
            "models": [
                {"model": "small", "calls": 3, "input_tokens": 30, "output_tokens": 40, "charged_nanos": "110000"},
            ],
            "api_keys": [{"api_key_id": key, "name": "laptop", "calls": 1, "charged_nanos": "40000"}],
        })
    );
    let after = read(&purse, 3, 300).await;
    assert_eq!((&after["opening_nanos"], &after["closing_nanos"]), (&json!("1339000"), &json!("1339007")));
    assert_eq!((&after["granted_nanos"], &after["days"]), (&json!("7"), &json!([])));
    let all = read(&purse, 0, 3).await;
    assert_eq!((&all["opening_nanos"], &all["charged_nanos"]), (&json!("0"), &json!("160000")));
}

#[tokio::test]
async fn a_statement_of_a_wallet_without_movements_is_all_zeros_in_the_house_s_currency() {
    let world = world().await;
    let purse = Purse::open(&world, user());
    let zero = "0";
    assert_eq!(
        read(&purse, 0, 1).await,
        json!({
            "from": day(0), "to": day(1), "currency": "CNY", "opening_nanos": zero, "closing_nanos": zero,
            "granted_nanos": zero, "topped_up_nanos": zero, "adjusted_nanos": zero, "charged_nanos": zero,
            "days": [], "models": [], "api_keys": [],
        })
    );
}
