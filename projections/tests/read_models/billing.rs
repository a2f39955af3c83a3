//! Money as its owners and operators read it.

use domain::{
    ApiKeyId, Decider as _, Sealed,
    billing::{Currency, Effect, Nanos, Purpose, Source, Wallet, WalletEvent},
    chat::Finish,
};
use projections::{
    ProjectionError, Topic,
    billing::{self, BillingProjector, Charge, LedgerEntry, Lines},
    chat::{self, ChatProjector},
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    purse::{Purse, hold_id, reply, tokens},
    statistics::{free_call, record},
    support::{Talk, World, at, user, world},
};

async fn wallet_of(purse: &Purse<'_>) -> Value {
    purse.world.project(&BillingProjector).await;
    let wallet = billing::wallet(&purse.world.pool, purse.owner.uuid()).await.unwrap();
    serde_json::to_value(wallet.expect("the wallet")).unwrap()
}

fn amounts(available: i64, held: i64, granted: i64, paid: i64, debt: i64) -> Value {
    json!({
        "available_nanos": available.to_string(), "held_nanos": held.to_string(),
        "balance_nanos": (available + held).to_string(), "granted_nanos": granted.to_string(),
        "paid_nanos": paid.to_string(), "debt_nanos": debt.to_string(), "currency": "USD",
    })
}

/// All lines, newest first, page by page.
async fn ledger(purse: &Purse<'_>, lines: Lines, limit: u32) -> Vec<LedgerEntry> {
    purse.world.project(&BillingProjector).await;
    let (mut entries, mut cursor) = (vec![], None);
    loop {
        let owner = purse.owner.uuid();
        let page = billing::ledger_entries(&purse.world.pool, owner, lines, cursor.as_deref(), limit).await.unwrap();
        assert!(page.items.len() <= limit as usize);
        entries.extend(page.items);
        cursor = page.next_cursor;
        if cursor.is_none() {
            return entries;
        }
    }
}

/// The lines of the newest event, as `account amount`.
async fn newest_lines(purse: &Purse<'_>) -> Vec<String> {
    let all = ledger(purse, Lines::All, 100).await;
    let newest = all.first().map(|entry| entry.position);
    let line = |entry: &LedgerEntry| format!("{} {}", entry.account.as_str(), entry.amount_nanos);
    all.iter().filter(|entry| Some(entry.position) == newest).map(line).collect()
}

#[tokio::test]
async fn a_grant_comes_out_of_promotions_and_reads_as_the_contract_says() {
    let world = world().await;
    let mut purse = Purse::open(&world, user());
    assert_eq!(billing::wallet(&world.pool, purse.owner.uuid()).await.unwrap(), None);
    purse.grant(1_000_000_000).await;
    assert_eq!(wallet_of(&purse).await, amounts(1_000_000_000, 0, 1_000_000_000, 0, 0));
    let line = |line: i32, account: &str, amount: &str| {
        json!({
            "position": 1, "line": line, "account": account, "amount_nanos": amount, "kind": "grant",
            "hold_id": null, "model": null, "reason": "movement 1", "at": at(1),
        })
    };
    assert_eq!(
        serde_json::to_value(ledger(&purse, Lines::Own, 100).await).unwrap(),
        json!([line(1, "granted", "1000000000"), line(2, "promotions", "-1000000000")])
    );
}

#[tokio::test]
async fn a_call_is_held_and_settled_and_what_it_costs_the_house_is_for_operators() {
    let world = world().await;
    let mut purse = Purse::open(&world, user());
    purse.grant(30_000).await;
    purse.top_up(70_000).await;
    let key = ApiKeyId::new(Uuid::now_v7());
    purse.hold(hold_id(1), Purpose::Api { api_key_id: Some(key) }, 10, 20).await;
    assert_eq!(wallet_of(&purse).await, amounts(50_000, 50_000, 30_000, 70_000, 0));
    assert_eq!(newest_lines(&purse).await, ["reserved -50000", "holds 50000"]);

    purse.charge(hold_id(1), tokens(10, 15)).await;
    // Gifts first, then what was paid.
    assert_eq!(wallet_of(&purse).await, amounts(60_000, 0, 0, 60_000, 0));
    let own = ["granted -30000", "paid -10000", "revenue 40000", "reserved 50000", "holds -50000"];
    let houses = ["upstream_cost -20000", "upstream_payable 20000"];
    assert_eq!(newest_lines(&purse).await, [&own[..], &houses].concat());
    let shown = ledger(&purse, Lines::Own, 100).await;
    assert!(shown.iter().all(|entry| !entry.account.as_str().starts_with("upstream")));
    assert_eq!(shown.len(), 2 + 2 + 2 + 5);

    let page = billing::charges(&world.pool, purse.owner.uuid(), None, 10).await.unwrap();
    assert_eq!(
        serde_json::to_value(&page.items).unwrap(),
        json!([{
            "hold_id": hold_id(1), "kind": "api", "model": "small",
            "tokens": {
                "input": 10, "cached_input": 0, "output": 15, "reasoning": 0, "cache_write": 0, "cache_write_hour": 0,
                "audio_input": 0, "image_input": 0, "audio_output": 0, "image_output": 0,
            },
            "basis": "reported",
            "prices": {"input": "1", "output": "2"}, "price_version": 3, "charged_nanos": "40000",
            "session_id": null, "run_id": null, "api_key_id": key, "at": at(4),
        }])
    );
}

#[tokio::test]
async fn calls_that_cost_nothing_are_listed_with_their_tokens_each_once_and_move_no_money() {
    let world = world().await;
    let mut purse = Purse::open(&world, user());
    purse.grant(1_000_000).await;
    let free = [free_call(purse.owner), free_call(user()), free_call(purse.owner)];
    let batch = record(&world, free.to_vec()).await;
    record(&world, free[..1].to_vec()).await;
    purse.hold(hold_id(1), reply(), 10, 20).await;
    purse.charge(hold_id(1), tokens(1, 2)).await;
    let (projector, owner) = (BillingProjector, purse.owner.uuid());
    world.project(&projector).await;
    world.apply_alone(&projector, "call_batch", batch, 1).await.unwrap();

    // Page by page, through the middle of one event.
    let (mut listed, mut cursor) = (vec![], None);
    loop {
        let page = billing::charges(&world.pool, owner, cursor.as_deref(), 1).await.unwrap();
        listed.extend(page.items);
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    let ids: Vec<Uuid> = listed.iter().map(|charge| charge.hold_id).collect();
    assert_eq!(ids, [hold_id(1).uuid(), free[2].id.uuid(), free[0].id.uuid()]);
    assert_eq!(
        serde_json::to_value(&listed[2]).unwrap(),
        json!({
            "hold_id": free[0].id, "kind": "api", "model": "small",
            "tokens": {
                "input": 10, "cached_input": 0, "output": 20, "reasoning": 0, "cache_write": 0, "cache_write_hour": 0,
                "audio_input": 0, "image_input": 0, "audio_output": 0, "image_output": 0,
            },
            "basis": "reported", "prices": {"input": "0", "output": "0"}, "price_version": 2, "charged_nanos": "0",
            "session_id": null, "run_id": null, "api_key_id": null, "at": free[0].ended_at(),
        })
    );
    let days = (at(0).date_naive(), at(0).date_naive());
    let statement = billing::statement(&world.pool, owner, days.0, days.1, "USD").await.unwrap();
    assert_eq!((statement.days[0].calls, statement.charged_nanos.get()), (3, 5000));
    let summary = billing::reconcile::reconcile(&world.pool, |difference| panic!("{difference:?}")).await.unwrap();
    assert_eq!((summary.differences, summary.wallets), (0, 1));
}

#[tokio::test]
async fn no_money_can_stand_in_the_row_of_a_call_that_cost_nothing() {
    let world = world().await;
    let owner = user();
    record(&world, vec![free_call(owner)]).await;
    world.project(&BillingProjector).await;
    let sql = "UPDATE billing_v1.charges SET charged_nanos = 1 WHERE owner = $1";
    let refused = sqlx::query(sql).bind(owner.uuid()).execute(&world.pool).await.unwrap_err();
    assert!(refused.to_string().contains("charges_for_nothing"), "{refused}");
}

#[tokio::test]
async fn what_a_call_costs_beyond_the_credit_is_debt_and_is_repaid_first() {
    let world = world().await;
    let mut purse = Purse::open(&world, user());
    purse.grant(50_000).await;
    purse.hold(hold_id(1), reply(), 10, 20).await;
    // More than was held: the provider said so.
    purse.charge(hold_id(1), tokens(10, 30)).await;
    assert_eq!(wallet_of(&purse).await, amounts(-20_000, 0, 0, 0, 20_000));
    let lines = newest_lines(&purse).await;
    assert_eq!(lines[..3], ["granted -50000", "debt -20000", "revenue 70000"]);
    purse.top_up(25_000).await;
    assert_eq!(wallet_of(&purse).await, amounts(5000, 0, 0, 5000, 0));
    assert_eq!(newest_lines(&purse).await, ["paid 5000", "debt 20000", "payments -25000"]);
}

#[tokio::test]
async fn a_hold_goes_back_on_release_and_on_expiry_whose_input_still_cost_the_house() {
    let world = world().await;
    let mut purse = Purse::open(&world, user());
    purse.grant(1_000_000).await;
    for n in 1..=2 {
        purse.hold(hold_id(n), reply(), 10, 20).await;
    }
    // Two processes died over it.
    purse.release(hold_id(1), 2).await;
    let costs = ["upstream_cost -10000", "upstream_payable 10000"];
    assert_eq!(newest_lines(&purse).await, [&["reserved 50000", "holds -50000"][..], &costs].concat());
    purse.extend(hold_id(2)).await;
    let expires: chrono::DateTime<chrono::Utc> = {
        wallet_of(&purse).await;
        sqlx::query_scalar("SELECT expires_at FROM billing_v1.holds").fetch_one(&world.pool).await.unwrap()
    };
    assert_eq!(expires, at(5 + 120));
    purse.expire(hold_id(2)).await;
    let costs = ["upstream_cost -5000", "upstream_payable 5000"];
    assert_eq!(newest_lines(&purse).await, [&["reserved 50000", "holds -50000"][..], &costs].concat());
    assert_eq!(wallet_of(&purse).await, amounts(1_000_000, 0, 1_000_000, 0, 0));
    // Its settlement comes after all: nothing is held for it any more.
    purse.charge(hold_id(2), tokens(10, 0)).await;
    assert_eq!(newest_lines(&purse).await[..2], ["granted -10000", "revenue 10000"]);
    assert_eq!(wallet_of(&purse).await, amounts(990_000, 0, 990_000, 0, 0));
    let open: i64 = sqlx::query_scalar("SELECT count(*) FROM billing_v1.holds").fetch_one(&world.pool).await.unwrap();
    assert_eq!(open, 0);
}

#[tokio::test]
async fn an_adjustment_goes_up_and_down_and_its_reason_disappears_with_its_person() {
    let world = world().await;
    let mut purse = Purse::open(&world, user());
    purse.adjust(500).await;
    assert_eq!(newest_lines(&purse).await, ["granted 500", "adjustments -500"]);
    purse.adjust(-700).await;
    assert_eq!(newest_lines(&purse).await, ["granted -500", "debt -200", "adjustments 700"]);
    assert_eq!(ledger(&purse, Lines::Own, 1).await[0].reason.as_deref(), Some("movement 2"));

    world.vault.destroy(purse.owner.uuid()).await.unwrap();
    projections::reset(&world.pool, &BillingProjector).await.unwrap();
    let entries = ledger(&purse, Lines::Own, 100).await;
    assert!(entries.len() == 5 && entries.iter().all(|entry| entry.reason.is_none()), "{entries:?}");
}

#[tokio::test]
async fn a_hold_s_id_may_be_used_again_once_it_is_settled_and_by_another_wallet_at_once() {
    let world = world().await;
    let mut purses = [Purse::open(&world, user()), Purse::open(&world, user())];
    for purse in &mut purses {
        purse.grant(200_000).await;
        purse.hold(hold_id(1), reply(), 10, 20).await;
    }
    for purse in &mut purses {
        // A wallet remembers the ids of ended holds, but not for ever.
        purse.charge(hold_id(1), tokens(10, 20)).await;
        purse.wallet = Wallet::default();
        purse.wallet.apply(grant_of(200_000, 200_000));
        purse.hold(hold_id(1), reply(), 10, 20).await;
        purse.charge(hold_id(1), tokens(10, 20)).await;
        assert_eq!(wallet_of(purse).await, amounts(100_000, 0, 100_000, 0, 0));
    }
}

#[tokio::test]
async fn pages_of_the_ledger_and_of_charges_neither_repeat_nor_skip_one() {
    let world = world().await;
    let mut purse = Purse::open(&world, user());
    let mut other = Purse::open(&world, user());
    purse.grant(10_000_000).await;
    other.grant(10_000_000).await;
    for n in 1..=4 {
        purse.hold(hold_id(n), reply(), 10, 20).await;
        other.hold(hold_id(n), reply(), 10, 20).await;
        purse.charge(hold_id(n), tokens(10, 15)).await;
    }
    for lines in [Lines::Own, Lines::All] {
        let whole = ledger(&purse, lines, 100).await;
        for limit in [1, 2, 3, 7] {
            assert_eq!(ledger(&purse, lines, limit).await, whole, "{lines:?} {limit}");
        }
    }
    let (mut walked, mut cursor) = (vec![], None);
    loop {
        let page = billing::charges(&world.pool, purse.owner.uuid(), cursor.as_deref(), 3).await.unwrap();
        walked.extend(page.items.iter().map(|charge: &Charge| charge.hold_id));
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(walked, [4, 3, 2, 1].map(|n| hold_id(n).uuid()));
}

#[tokio::test]
async fn the_newest_event_is_known_before_it_has_a_position() {
    let world = world().await;
    let mut purse = Purse::open(&world, user());
    assert_eq!(billing::newest_event(&world.pool, purse.owner.uuid()).await.unwrap(), None);
    let granted = purse.grant(5).await;
    assert_eq!(billing::newest_event(&world.pool, purse.owner.uuid()).await.unwrap(), Some(granted));
    let stored = world.store::<Wallet>(purse.owner, grant_of(5, 5)).await;
    assert_eq!(billing::newest_event(&world.pool, purse.owner.uuid()).await.unwrap(), Some(stored));
}

fn grant_of(amount: i64, effect: i64) -> WalletEvent {
    WalletEvent::Granted {
        reference: Uuid::now_v7(),
        amount_nanos: Nanos::new(amount),
        currency: Currency::USD,
        effect: Effect { granted_nanos: Nanos::new(effect), ..Effect::default() },
        source: Source::SignUp,
        note: None,
        at: at(1),
    }
}

#[tokio::test]
async fn an_event_that_does_not_sum_to_zero_parks_its_wallet_and_nobody_else_s() {
    let world = world().await;
    let (mut broken, mut sound) = (Purse::open(&world, user()), Purse::open(&world, user()));
    broken.grant(5).await;
    let bad = broken.slip_in(grant_of(5, 6)).await;
    sound.grant(7).await;
    let applied = world.apply_alone(&BillingProjector, "wallet", broken.owner, bad.sequence).await;
    assert!(matches!(applied, Err(ProjectionError::Unbookable(_))), "{applied:?}");
    assert_eq!(wallet_of(&sound).await, amounts(7, 0, 7, 0, 0));
    assert_eq!(wallet_of(&broken).await, amounts(5, 0, 5, 0, 0));
    let parked: Vec<String> =
        sqlx::query_scalar("SELECT aggregate_id FROM parked_keys").fetch_all(&world.pool).await.unwrap();
    assert_eq!(parked, [broken.owner.to_string()]);
}

#[tokio::test]
async fn the_database_itself_refuses_lines_that_do_not_sum_to_zero() {
    let world = world().await;
    let book = async |amounts: [i64; 2]| {
        sqlx::query(
            "INSERT INTO billing_v1.ledger_entries (position, line, owner, account, amount_nanos, kind, at) \
             VALUES (1, 1, gen_random_uuid(), 'granted', $1, 'grant', now()), \
             (1, 2, gen_random_uuid(), 'promotions', $2, 'grant', now())",
        )
        .bind(amounts[0])
        .bind(amounts[1])
        .execute(&world.pool)
        .await
    };
    let refused = book([5, -4]).await.unwrap_err().to_string();
    assert!(refused.contains("position 1 do not sum to zero"), "{refused}");
    book([5, -5]).await.unwrap();
}

#[tokio::test]
async fn the_owner_s_screens_hear_of_movements_and_of_what_an_answer_cost() {
    let world = world().await;
    let mut purse = Purse::open(&world, user());
    let purpose = reply();
    let Purpose::Reply { session_id, .. } = purpose else { unreachable!() };
    purse.grant(1_000_000).await;
    purse.hold(hold_id(1), purpose, 1, 1).await;
    purse.extend(hold_id(1)).await;
    purse.charge(hold_id(1), tokens(1, 1)).await;
    let mut heard = vec![];
    for sequence in 1..=4 {
        let touched = world.apply_alone(&BillingProjector, "wallet", purse.owner, sequence).await.unwrap();
        assert!(touched.iter().all(|touch| touch.user == purse.owner.uuid()));
        heard.push(touched.iter().map(|touch| (touch.topic, touch.session_id)).collect::<Vec<_>>());
    }
    let wallet = (Topic::Wallet, None);
    let messages = (Topic::Messages, Some(session_id.uuid()));
    assert_eq!(heard, [vec![wallet], vec![wallet], vec![], vec![messages, wallet]]);
    // What the rows contain already is no news.
    let again = world.apply_alone(&BillingProjector, "wallet", purse.owner, 4).await.unwrap();
    assert_eq!(again.iter().count(), 0);
}

#[tokio::test]
async fn an_answer_shows_what_it_cost_its_owner_once_it_is_settled() {
    let world = world().await;
    let owner = user();
    let mut talk = Talk::start(&world, owner, 0, None).await;
    let asked = talk.ask(None, "q").await;
    talk.begin(asked.run, 1).await;
    talk.complete(asked.run, "a", Finish::Stop).await;
    let mut purse = Purse::open(&world, owner);
    purse.grant(1_000_000).await;
    purse.hold(hold_id(1), Purpose::Reply { session_id: talk.id, run_id: asked.run }, 10, 20).await;
    world.project(&ChatProjector).await;
    let cost = async |world: &World| {
        world.project(&BillingProjector).await;
        let message = chat::message(&world.pool, owner.uuid(), asked.reply.uuid()).await.unwrap();
        serde_json::to_value(message.expect("the answer")).unwrap()["cost_nanos"].clone()
    };
    assert_eq!(cost(&world).await, Value::Null);
    purse.charge(hold_id(1), tokens(10, 15)).await;
    assert_eq!(cost(&world).await, "40000");
}

#[tokio::test]
async fn notes_with_characters_that_postgres_does_not_know_are_kept_without_them() {
    let world = world().await;
    let mut purse = Purse::open(&world, user());
    let WalletEvent::Granted { reference, amount_nanos, currency, effect, source, at, .. } = grant_of(5, 5) else {
        unreachable!()
    };
    let note = Some(Sealed::new(purse.owner, "a\0b".to_owned()));
    purse.slip_in(WalletEvent::Granted { reference, amount_nanos, currency, effect, source, note, at }).await;
    assert_eq!(ledger(&purse, Lines::Own, 1).await[0].reason.as_deref(), Some("a\u{FFFD}b"));
}
