//! Whatever a wallet lives through, its ledger sums to zero at every position and its rows say what it says itself.

use chrono::TimeDelta;
use domain::billing::{Basis, Currency, ExpiryPolicy, Nanos, Purpose, ReleaseReason, Source, Tokens, WalletCommand};
use projections::billing::{
    self, BillingProjector,
    reconcile::{Difference, reconcile},
};
use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, TestRunner},
};
use uuid::Uuid;

use crate::{
    purse::{Purse, hold_id, quote, rates, reply},
    support::{World, user, world},
};

/// Something that is asked of a wallet; holds are among few, so that ids meet again.
#[derive(Debug, Clone)]
enum Ask {
    Grant(i64),
    TopUp(i64),
    Adjust(i64),
    Hold { slot: u128, free: bool, api: bool, input: u64, output: u32 },
    Extend(u128),
    Charge { slot: u128, tokens: Tokens, lost_attempts: u32 },
    Release { slot: u128, lost_attempts: u32 },
    Expire { slot: u128, policy: ExpiryPolicy },
}

fn ask() -> impl Strategy<Value = Ask> {
    let slot = || 0_u128..4;
    let amount = || prop_oneof![1_i64..200_000, Just(1_000_000_000_000_000)];
    let tokens =
        (0_u64..100, 0_u64..100, 0_u64..100, 0_u64..100).prop_map(|(input, cached_input, output, reasoning)| Tokens {
            input,
            cached_input,
            output,
            reasoning,
            ..Tokens::default()
        });
    let policy = prop_oneof![Just(ExpiryPolicy::Release), Just(ExpiryPolicy::Charge)];
    let call = (slot(), any::<bool>(), any::<bool>(), 0_u64..50, 0_u32..50);
    prop_oneof![
        1 => amount().prop_map(Ask::Grant),
        1 => amount().prop_map(Ask::TopUp),
        1 => (-200_000_i64..200_000).prop_map(Ask::Adjust),
        4 => call.prop_map(|(slot, free, api, input, output)| Ask::Hold { slot, free, api, input, output }),
        1 => slot().prop_map(Ask::Extend),
        3 => (slot(), tokens, 0_u32..3)
            .prop_map(|(slot, tokens, lost_attempts)| Ask::Charge { slot, tokens, lost_attempts }),
        1 => (slot(), 0_u32..3).prop_map(|(slot, lost_attempts)| Ask::Release { slot, lost_attempts }),
        1 => (slot(), policy).prop_map(|(slot, policy)| Ask::Expire { slot, policy }),
    ]
}

fn command(purse: &mut Purse<'_>, ask: &Ask) -> WalletCommand {
    let at = purse.tick();
    let (reference, currency, source, note) = (Uuid::now_v7(), Currency::USD, Source::SignUp, None);
    match *ask {
        Ask::Grant(nanos) => {
            WalletCommand::Grant { reference, amount_nanos: Nanos::new(nanos), currency, source, note, at }
        }
        Ask::TopUp(nanos) => {
            WalletCommand::TopUp { reference, amount_nanos: Nanos::new(nanos), currency, source, note, at }
        }
        Ask::Adjust(nanos) => {
            WalletCommand::Adjust { reference, amount_nanos: Nanos::new(nanos), currency, source, note, at }
        }
        Ask::Hold { slot, free, api, input, output } => {
            let mut quote = quote(input, output);
            if free {
                quote.prices = rates("0", "0");
            }
            let purpose = if api { Purpose::Api { api_key_id: None } } else { reply() };
            let expires_at = at + TimeDelta::seconds(60);
            WalletCommand::Hold { hold_id: hold_id(slot), purpose, quote, expires_at, at }
        }
        Ask::Extend(slot) => {
            WalletCommand::ExtendHold { hold_id: hold_id(slot), expires_at: at + TimeDelta::seconds(90), at }
        }
        Ask::Charge { slot, tokens, lost_attempts } => {
            let basis = Basis::Counted;
            WalletCommand::ChargeTokens { hold_id: hold_id(slot), tokens, basis, by: None, lost_attempts, at }
        }
        Ask::Release { slot, lost_attempts } => {
            let reason = ReleaseReason::Cancelled;
            WalletCommand::Release { hold_id: hold_id(slot), reason, lost_attempts, at }
        }
        Ask::Expire { slot, policy } => {
            WalletCommand::Expire { hold_id: hold_id(slot), policy, at: at + TimeDelta::seconds(1000) }
        }
    }
}

/// Lives through `asks`; whatever is refused changes nothing.
async fn live(world: &World, asks: Vec<Ask>) {
    let mut purse = Purse::open(world, user());
    for ask in asks {
        let command = command(&mut purse, &ask);
        let _ = purse.act(command).await;
    }
    world.project(&BillingProjector).await;

    let owner = purse.owner.uuid();
    let unbalanced: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM (SELECT FROM billing_v1.ledger_entries GROUP BY position HAVING sum(amount_nanos) <> 0) x",
    )
    .fetch_one(&world.pool)
    .await
    .unwrap();
    assert_eq!(unbalanced, 0);

    let wallet = &purse.wallet;
    let row = billing::wallet(&world.pool, owner).await.unwrap().unwrap_or_else(|| billing::Wallet::empty("USD"));
    assert_eq!((row.granted_nanos, row.paid_nanos, row.debt_nanos), wallet.pots());
    assert_eq!(
        (row.available_nanos, row.held_nanos, row.balance_nanos),
        (wallet.available(), wallet.held(), wallet.balance())
    );

    let (balance, reserved): (i64, i64) = sqlx::query_as(
        "SELECT coalesce(sum(amount_nanos) FILTER (WHERE account IN ('granted', 'paid', 'debt')), 0)::bigint, \
         coalesce(sum(amount_nanos) FILTER (WHERE account = 'reserved'), 0)::bigint \
         FROM billing_v1.ledger_entries WHERE owner = $1",
    )
    .bind(owner)
    .fetch_one(&world.pool)
    .await
    .unwrap();
    assert_eq!((Nanos::new(balance), Nanos::new(-reserved)), (wallet.balance(), wallet.held()));

    let open: Vec<(Uuid, i64)> =
        sqlx::query_as("SELECT hold_id, amount_nanos FROM billing_v1.holds WHERE owner = $1 ORDER BY hold_id")
            .bind(owner)
            .fetch_all(&world.pool)
            .await
            .unwrap();
    let expected: Vec<(Uuid, i64)> = wallet.holds().map(|(id, hold)| (id.uuid(), hold.amount.get())).collect();
    assert_eq!(open, expected);
    let parked: i64 = sqlx::query_scalar("SELECT count(*) FROM parked_keys").fetch_one(&world.pool).await.unwrap();
    assert_eq!(parked, 0);
}

#[test]
fn whatever_a_wallet_lives_through_its_ledger_and_its_rows_say_what_it_says_itself() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = runtime.block_on(world());
    let config = Config { cases: 48, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&vec(ask(), 1..40), |asks| {
            runtime.block_on(live(&world, asks));
            Ok(())
        })
        .unwrap();
    let mut differences = vec![];
    let report = |difference: Difference| differences.push(difference);
    let summary = runtime.block_on(reconcile(&world.pool, report)).unwrap();
    assert_eq!(differences, []);
    assert!(summary.wallets > 20 && summary.events > 300, "{summary:?}");
}
