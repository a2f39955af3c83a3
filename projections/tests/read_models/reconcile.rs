//! The proof of the books: what agrees is quiet, and one nano-unit anywhere is found and named.

use domain::{
    Decider as _,
    billing::{Basis, Nanos, WalletCommand, WalletEvent},
};
use projections::billing::{
    BillingProjector,
    reconcile::{Difference, ReconcileError, Summary, reconcile},
};
use sqlx::PgPool;

use crate::{
    purse::{Purse, hold_id, reply, tokens},
    support::{World, user, world},
};

async fn compared(pool: &PgPool) -> (Summary, Vec<Difference>) {
    let mut differences = vec![];
    let summary = reconcile(pool, |difference| differences.push(difference)).await.unwrap();
    assert_eq!(summary.differences, differences.len() as u64);
    (summary, differences)
}

/// Two people with money, settled calls and one open hold each.
async fn house(world: &World) -> [Purse<'_>; 2] {
    let mut purses = [Purse::open(world, user()), Purse::open(world, user())];
    for purse in &mut purses {
        purse.grant(30_000).await;
        purse.top_up(1_000_000).await;
        purse.adjust(-70).await;
        for n in 1..=4 {
            purse.hold(hold_id(n), reply(), 10, 20).await;
        }
        purse.charge(hold_id(1), tokens(10, 15)).await;
        purse.release(hold_id(2), 1).await;
        purse.expire(hold_id(3)).await;
        purse.charge(hold_id(3), tokens(3, 7)).await;
        purse.extend(hold_id(4)).await;
    }
    world.project(&BillingProjector).await;
    purses
}

#[tokio::test]
async fn books_that_agree_are_without_difference_and_say_how_much_was_compared() {
    let world = world().await;
    let (empty, _) = compared(&world.pool).await;
    assert_eq!((empty.wallets, empty.events, empty.differences), (0, 0, 0));
    house(&world).await;
    let (summary, differences) = compared(&world.pool).await;
    assert_eq!(differences, []);
    assert_eq!((summary.wallets, summary.events, summary.position, summary.last_position), (2, 24, 24, 24));
}

#[tokio::test]
async fn one_nano_too_many_or_too_few_in_any_row_is_found_and_named() {
    let world = world().await;
    let [purse, _] = house(&world).await;
    let owner = purse.owner;
    let planted = [
        ("wallets", "granted_nanos", "", None),
        ("wallets", "paid_nanos", "", None),
        ("wallets", "debt_nanos", "", None),
        ("wallets", "held_nanos", "", None),
        ("charges", "charged_nanos", "AND position = 8", Some(8)),
        ("charges", "cost_nanos", "AND position = 8", Some(8)),
        ("charges", "lost_cost_nanos", "AND position = 11", Some(11)),
        ("charges", "input_tokens", "AND position = 8", Some(8)),
        ("charges", "reasoning_tokens", "AND position = 8", Some(8)),
        ("ledger_entries", "amount_nanos", "AND position = 2 AND line = 1", Some(2)),
        ("holds", "amount_nanos", "AND hold_id = '00000000-0000-0000-0000-000000000004'", Some(7)),
    ];
    for (table, column, which, position) in planted {
        let plant = async |change: &str| {
            let sql = format!("UPDATE billing_v1.{table} SET {column} = {column} {change} WHERE owner = $1 {which}");
            let planted = sqlx::query(&sql).bind(owner.uuid()).execute(&world.pool).await.unwrap();
            assert_eq!(planted.rows_affected(), 1, "{table}.{column}");
        };
        plant("+ 1").await;
        let (_, differences) = compared(&world.pool).await;
        let named = |found: &Difference| {
            let [expected, value] = [&found.expected, &found.found].map(|text| text.parse::<i64>().unwrap_or(0));
            found.what.starts_with(table)
                && found.what.ends_with(&format!(".{column}"))
                && found.wallet == Some(owner.uuid())
                && found.position == position
                && value == expected + 1
        };
        assert!(differences.iter().any(named), "{table}.{column}: {differences:#?}");
        assert!(differences.iter().all(|found| found.wallet.is_none_or(|wallet| wallet == owner.uuid())));
        plant("- 1").await;
        assert_eq!(compared(&world.pool).await.1, [], "{table}.{column} again as it was");
    }
}

#[tokio::test]
async fn an_error_that_hides_in_a_sum_that_is_right_is_found_line_by_line() {
    let world = world().await;
    house(&world).await;
    sqlx::query(
        "UPDATE billing_v1.ledger_entries SET amount_nanos = amount_nanos + CASE line WHEN 1 THEN 1 ELSE -1 END \
         WHERE position = 1",
    )
    .execute(&world.pool)
    .await
    .unwrap();
    let (_, differences) = compared(&world.pool).await;
    let whats: Vec<&str> = differences.iter().map(|found| found.what.as_str()).collect();
    assert!(whats.contains(&"ledger_entries line 1 (granted).amount_nanos"), "{whats:?}");
    assert!(whats.contains(&"ledger_entries.promotions in sum"), "{whats:?}");
    assert!(!whats.iter().any(|what| what.contains("of the position")), "the position still sums to zero: {whats:?}");
}

#[tokio::test]
async fn rows_that_are_missing_and_rows_that_nothing_stands_for_are_found() {
    let world = world().await;
    let [purse, _] = house(&world).await;
    let changes = [
        ("DELETE FROM billing_v1.ledger_entries WHERE position = 5 AND owner = $1", "ledger_entries line 1 (reserved)"),
        ("DELETE FROM billing_v1.charges WHERE position = 8 AND owner = $1", "charges"),
        ("DELETE FROM billing_v1.holds WHERE owner = $1", "holds"),
        ("DELETE FROM billing_v1.wallets WHERE owner = $1", "wallets"),
        ("INSERT INTO billing_v1.wallets (owner, sequence) SELECT gen_random_uuid(), 1 WHERE $1 = $1", "wallets"),
        (
            "INSERT INTO billing_v1.ledger_entries (position, line, owner, account, amount_nanos, kind, at) \
             VALUES (7000, 1, $1, 'granted', 5, 'grant', now()), (7000, 2, $1, 'promotions', -5, 'grant', now())",
            "ledger_entries line 2 (promotions)",
        ),
        (
            "UPDATE billing_v1.charges SET position = -1 WHERE position = (SELECT max(position) FROM billing_v1.charges) \
             AND $1 = $1",
            "charges",
        ),
    ];
    let mut known = vec![];
    for (sql, what) in changes {
        sqlx::query(sql).bind(purse.owner.uuid()).execute(&world.pool).await.unwrap();
        let (_, differences) = compared(&world.pool).await;
        let new: Vec<&Difference> = differences.iter().filter(|found| !known.contains(*found)).collect();
        assert!(new.iter().any(|found| found.what == what), "{sql}: {new:#?}");
        known = differences;
    }
}

#[tokio::test]
async fn a_settlement_that_is_not_its_tokens_at_its_rates_is_found_in_the_events_themselves() {
    let world = world().await;
    let mut purse = Purse::open(&world, user());
    purse.grant(1_000_000).await;
    purse.hold(hold_id(1), reply(), 10, 20).await;
    let (tokens, at, basis) = (tokens(10, 15), purse.tick(), Basis::Reported);
    let charge = WalletCommand::ChargeTokens { hold_id: hold_id(1), tokens, basis, by: None, lost_attempts: 0, at };
    let mut events = purse.wallet.decide(charge).unwrap();
    let WalletEvent::Charged { charged_nanos, effect, cost_nanos, .. } = &mut events[0] else { panic!("{events:?}") };
    // One nano-unit more than it cost, consistently: every row will agree with the event.
    *charged_nanos = charged_nanos.plus(Nanos::new(1)).unwrap();
    effect.granted_nanos = effect.granted_nanos.minus(Nanos::new(1)).unwrap();
    *cost_nanos = cost_nanos.minus(Nanos::new(1)).unwrap();
    for event in events {
        purse.slip_in(event).await;
    }
    world.project(&BillingProjector).await;
    let (_, differences) = compared(&world.pool).await;
    let shown: Vec<String> = differences.iter().map(ToString::to_string).collect();
    let place = format!("wallet {}, position 3, hold {}", purse.owner, hold_id(1));
    assert_eq!(
        shown,
        [
            format!("{place}: event.charged_nanos should be 40000 and is 40001"),
            format!("{place}: event.cost_nanos should be 20000 and is 19999"),
        ]
    );
}

#[tokio::test]
async fn a_parked_wallet_is_named_and_does_not_hide_the_others() {
    let world = world().await;
    let [parked, mut other] = house(&world).await;
    sqlx::query("UPDATE events SET event_version = '99' WHERE aggregate_id = $1 AND sequence = 3")
        .bind(parked.owner.to_string())
        .execute(&world.pool)
        .await
        .unwrap();
    projections::reset(&world.pool, &BillingProjector).await.unwrap();
    world.project(&BillingProjector).await;
    let (summary, differences) = compared(&world.pool).await;
    assert_eq!(differences, []);
    assert_eq!((summary.wallets, summary.parked.len()), (1, 1));
    assert_eq!((summary.parked[0].wallet.clone(), summary.parked[0].position), (parked.owner.to_string(), 3));

    other.grant(5).await;
    world.project(&BillingProjector).await;
    sqlx::query("UPDATE billing_v1.wallets SET granted_nanos = granted_nanos - 1 WHERE owner = $1")
        .bind(other.owner.uuid())
        .execute(&world.pool)
        .await
        .unwrap();
    assert_eq!(compared(&world.pool).await.1.len(), 1);
}

#[tokio::test]
async fn an_event_that_became_unreadable_is_a_difference_and_not_a_flood_of_them() {
    let world = world().await;
    let [broken, _] = house(&world).await;
    sqlx::query("UPDATE events SET event_version = '99' WHERE aggregate_id = $1 AND sequence = 3")
        .bind(broken.owner.to_string())
        .execute(&world.pool)
        .await
        .unwrap();
    let (_, differences) = compared(&world.pool).await;
    assert_eq!(differences.len(), 1, "{differences:#?}");
    assert_eq!((differences[0].what.as_str(), differences[0].found.as_str()), ("event", "wallet.adjusted version 99"));
}

#[tokio::test]
async fn what_is_not_projected_yet_is_no_difference() {
    let world = world().await;
    let [mut purse, _] = house(&world).await;
    purse.grant(5).await;
    let (summary, differences) = compared(&world.pool).await;
    assert_eq!((summary.position, summary.last_position, differences), (24, 25, vec![]));
}

#[tokio::test]
async fn a_database_without_the_read_model_cannot_be_compared() {
    let empty = testkit::empty_database().await;
    let refused = reconcile(&empty.pool, |_| ()).await;
    assert!(matches!(refused, Err(ReconcileError::NoReadModel)), "{refused:?}");

    let world = world().await;
    Purse::open(&world, user()).grant(5).await;
    let refused = reconcile(&world.pool, |_| ()).await;
    assert!(matches!(refused, Err(ReconcileError::NotProjected)), "{refused:?}");
}
