//! `oblivious reconcile billing` of the real executable: what it prints and how it exits.
#![expect(clippy::expect_used, reason = "in tests a panic is the failure report")]

use std::path::Path;
use std::process::{Command, Output};

use chrono::{DateTime, TimeDelta};
use cqrs_es::DomainEvent as _;
use domain::billing::{Basis, Currency, Nanos, Purpose, Quote, Rates, Source, Tokens, Wallet, WalletCommand};
use domain::{ChannelId, Decider as _, HoldId, UserId};
use projections::billing::BillingProjector;
use projections::{RunnerOptions, run_until_caught_up};
use serde_json::{Value, json};
use sqlx::PgPool;
use testkit::TestDatabase;
use uuid::Uuid;
use vault::{MasterKey, Vault};

const OWNER: UserId = UserId::new(Uuid::from_u128(0xa11));
/// The call that is settled, and the one that is still open.
const SETTLED: HoldId = HoldId::new(Uuid::from_u128(1));
const OPEN: HoldId = HoldId::new(Uuid::from_u128(2));

/// A database in which somebody has money, one settled call and one open one, all of it projected.
async fn house() -> TestDatabase {
    let database = testkit::database().await;
    let rate = |text: &str| text.parse().expect("a rate");
    let at = DateTime::UNIX_EPOCH + TimeDelta::days(20_000);
    let quote = Quote {
        model: "small".to_owned(),
        channel_id: ChannelId::new(Uuid::from_u128(7)),
        price_version: 1,
        prices: Rates { input: rate("1"), output: rate("2"), ..Rates::default() },
        costs: Rates { input: rate("0.5"), output: rate("1"), ..Rates::default() },
        input_tokens: 10,
        max_output_tokens: 20,
        min_output_tokens: 1,
        pieces: domain::billing::Pieces::NONE,
        alternatives: vec![],
    };
    let hold = |hold_id| WalletCommand::Hold {
        hold_id,
        purpose: Purpose::Api { api_key_id: None },
        quote: quote.clone(),
        expires_at: at + TimeDelta::hours(1),
        at,
    };
    let (reference, source, note) = (Uuid::from_u128(3), Source::SignUp, None);
    let (amount_nanos, currency) = (Nanos::new(1_000_000), Currency::USD);
    let tokens = Tokens { input: 10, output: 15, ..Tokens::default() };
    live(
        &database.pool,
        [
            WalletCommand::Grant { reference, amount_nanos, currency, source, note, at },
            hold(SETTLED),
            WalletCommand::ChargeTokens {
                hold_id: SETTLED,
                tokens,
                basis: Basis::Reported,
                by: None,
                lost_attempts: 0,
                at,
            },
            hold(OPEN),
        ],
    )
    .await;
    let vault = Vault::open(database.pool.clone(), MasterKey::generate().expect("randomness")).await.expect("a vault");
    run_until_caught_up(&database.pool, &vault, &BillingProjector, &RunnerOptions::default()).await.expect("applied");
    database
}

/// Stores what `commands` come to, each event at the next position.
async fn live(pool: &PgPool, commands: impl IntoIterator<Item = WalletCommand>) {
    let mut wallet = Wallet::default();
    let mut sequence = 0_i64;
    for command in commands {
        for event in wallet.decide(command).expect("it is allowed") {
            sequence += 1;
            sqlx::query(
                "WITH e AS (INSERT INTO events \
                 (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata) \
                 VALUES ($1, $2, $3, $4, $5, $6, '{}') RETURNING aggregate_type, aggregate_id, sequence) \
                 INSERT INTO event_log (position, aggregate_type, aggregate_id, sequence) SELECT $3, e.* FROM e",
            )
            .bind(Wallet::TYPE)
            .bind(OWNER.to_string())
            .bind(sequence)
            .bind(event.event_type())
            .bind(event.event_version())
            .bind(serde_json::to_value(&event).expect("JSON"))
            .execute(pool)
            .await
            .expect("stored");
            wallet.apply(event);
        }
    }
}

fn reconcile(directory: &Path, database: Option<&str>, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_oblivious"));
    command.args(["reconcile", "billing"]).args(arguments).current_dir(directory);
    command.env_clear().env("PATH", "/usr/bin:/bin").env("OBLIVIOUS_TEST_UNSAFE_DATABASE", "1");
    if let Some(database) = database {
        command.env("DATABASE_URL", database);
    }
    command.output().expect("the executable runs")
}

/// Runs it on `database`: exit code, standard output, standard error.
fn compared(database: Option<&str>, arguments: &[&str]) -> (Option<i32>, String, String) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let output = reconcile(directory.path(), database, arguments);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert_eq!(directory.path().read_dir().expect("ours").count(), 0, "it leaves nothing behind");
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[tokio::test]
async fn books_that_agree_exit_with_0_and_say_what_was_compared() {
    let database = house().await;
    let (code, out, error) = compared(Some(&database.url), &[]);
    assert_eq!(code, Some(0), "{out}{error}");
    assert_eq!(out, "4 events of 1 wallet up to position 4 of 4: no difference.\n");
}

#[tokio::test]
async fn one_nano_planted_in_any_table_is_found_named_and_exits_with_1() {
    let database = house().await;
    let planted = [
        (
            "UPDATE billing_v1.wallets SET granted_nanos = granted_nanos + 1",
            format!("wallet {OWNER}: wallets.granted_nanos should be 960000 and is 960001"),
        ),
        (
            "UPDATE billing_v1.charges SET charged_nanos = charged_nanos - 1",
            format!("wallet {OWNER}, position 3, hold {SETTLED}: charges.charged_nanos should be 40000 and is 39999"),
        ),
        (
            "UPDATE billing_v1.ledger_entries SET amount_nanos = amount_nanos + 1 WHERE position = 1 AND line = 2",
            format!(
                "wallet {OWNER}, position 1: ledger_entries line 2 (promotions).amount_nanos \
                 should be -1000000 and is -999999"
            ),
        ),
        (
            "UPDATE billing_v1.holds SET amount_nanos = amount_nanos + 1",
            format!("wallet {OWNER}, position 4, hold {OPEN}: holds.amount_nanos should be 50000 and is 50001"),
        ),
    ];
    for (sql, line) in &planted {
        let changed = sqlx::query(sql).execute(&database.pool).await.expect("planted");
        assert_eq!(changed.rows_affected(), 1, "{sql}");
        let (code, out, _) = compared(Some(&database.url), &[]);
        assert_eq!(code, Some(1), "{sql}");
        assert!(out.lines().any(|found| found == line), "{sql}: no `{line}` in\n{out}");
    }
    // All of them at once, for programs.
    let (code, out, _) = compared(Some(&database.url), &["--json"]);
    assert_eq!(code, Some(1));
    let mut lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let summary = lines.pop().expect("the summary");
    assert_eq!(summary["summary"]["differences"], lines.len());
    assert!(lines.contains(&json!({"difference": {
        "wallet": OWNER, "position": 3, "hold_id": SETTLED, "what": "charges.charged_nanos",
        "expected": "40000", "found": "39999",
    }})));
}

#[tokio::test]
async fn books_that_cannot_be_compared_exit_with_2_and_say_why() {
    let (code, _, error) = compared(None, &[]);
    assert_eq!(code, Some(2));
    assert!(error.contains("DATABASE_URL is not set"), "{error}");

    let (code, _, error) = compared(Some("postgres://app:hunter2@127.0.0.1:1/app"), &[]);
    assert_eq!(code, Some(2));
    assert!(error.contains("Postgres does not answer") && !error.contains("hunter2"), "{error}");

    let empty = testkit::empty_database().await;
    let (code, _, error) = compared(Some(&empty.url), &[]);
    assert_eq!(code, Some(2));
    assert!(error.contains("oblivious migrate"), "{error}");

    let database = house().await;
    sqlx::query("UPDATE checkpoints SET position = 0").execute(&database.pool).await.expect("reset");
    let (code, _, error) = compared(Some(&database.url), &[]);
    assert_eq!(code, Some(2));
    assert!(error.contains("has applied nothing here yet"), "{error}");
}

#[tokio::test]
async fn a_parked_wallet_is_named_and_exits_with_2_unless_another_one_differs() {
    let database = house().await;
    let parked = "INSERT INTO parked_keys \
        (projection, aggregate_type, aggregate_id, first_position, error, next_retry_at) \
        VALUES ('billing_v1', 'wallet', $1, 3, 'unknown version', now())";
    sqlx::query(parked).bind(OWNER.to_string()).execute(&database.pool).await.expect("parked");
    let (code, out, _) = compared(Some(&database.url), &[]);
    assert_eq!(code, Some(2), "{out}");
    assert!(
        out.contains(&format!("Not compared: wallet {OWNER}, parked by the projection at position 3: unknown version")),
        "{out}"
    );
    sqlx::query("INSERT INTO billing_v1.wallets (owner, sequence) VALUES (gen_random_uuid(), 1)")
        .execute(&database.pool)
        .await
        .expect("planted");
    let (code, out, _) = compared(Some(&database.url), &[]);
    assert_eq!(code, Some(1), "{out}");
}

#[test]
fn it_explains_itself() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let help = reconcile(directory.path(), None, &["--help"]);
    let text = String::from_utf8_lossy(&help.stdout).into_owned();
    assert!(help.status.success() && text.contains("--json") && text.contains("2 if not everything"), "{text}");
}
