//! `oblivious rebuild` of the real executable: beside a house at work, killed, and as a comparison.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "in tests a panic is the failure report")]

mod house;

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use house::{Client, House, PATIENCE, id};
use serde_json::{Value, json};
use sqlx::{Executor as _, PgPool};
use tokio::time::{interval, timeout};

const ALL_ROLES: &str = "api,handlers,projections,reactions,publisher";
const PROJECTIONS: [&str; 5] = ["billing_v1", "chat_v1", "relay_v1", "statistics_v1", "users_v1"];
/// Commands a second of all writers together, and how many writers there are.
const COMMANDS_PER_SECOND: u64 = 200;
const WRITERS: u64 = 8;
/// Rebuilds of every projection under load.
const ROUNDS: usize = 3;

fn rebuild(house: &House, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_oblivious"));
    command.arg("rebuild").args(arguments).current_dir(house.data_dir.path());
    command.env_clear().env("PATH", "/usr/bin:/bin").env("OBLIVIOUS_TEST_UNSAFE_DATABASE", "1");
    command.env("DATABASE_URL", &house.database.url).env("OBLIVIOUS_DATA_DIR", house.data_dir.path());
    command
}

/// Runs it to its end, without holding up this runtime: exit code, standard output, standard error.
async fn rebuilt(house: &House, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = rebuild(house, arguments);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    told(&output)
}

fn told(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// Waits until every projection has seen every event.
async fn all_projected(pool: &PgPool) {
    let waited = timeout(PATIENCE, async {
        loop {
            let (events, last): (i64, i64) = sqlx::query_as(
                "SELECT (SELECT count(*) FROM events), (SELECT coalesce(max(position), 0) FROM event_log)",
            )
            .fetch_one(pool)
            .await
            .unwrap();
            let lags = projections::lag(pool).await.unwrap();
            if events == last && lags.iter().all(|lag| lag.position == last) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    waited.await.expect("the projections come to the end of the log");
}

async fn nothing_is_left(pool: &PgPool) {
    let left: i64 = sqlx::query_scalar(
        "SELECT (SELECT count(*) FROM pg_namespace WHERE nspname LIKE '%rebuild%') \
         + (SELECT count(*) FROM checkpoints WHERE name LIKE '%rebuild%') + (SELECT count(*) FROM parked_keys)",
    )
    .fetch_one(pool)
    .await
    .unwrap();
    assert_eq!(left, 0);
}

/// What writers, readers and the test tell each other.
#[derive(Default)]
struct Life {
    over: AtomicBool,
    written: AtomicUsize,
    read: AtomicUsize,
}

impl Life {
    fn goes_on(&self) -> bool {
        !self.over.load(Ordering::Relaxed)
    }
}

/// Opens and renames conversations over HTTP, one command a tick.
async fn write(ann: &Client, life: &Life) {
    let mut tick = interval(Duration::from_millis(1000 * WRITERS / COMMANDS_PER_SECOND));
    while life.goes_on() {
        tick.tick().await;
        let session = ann.post("sessions", &json!({"title": "first"})).await;
        life.written.fetch_add(1, Ordering::Relaxed);
        tick.tick().await;
        let path = format!("{}/sessions/{}", ann.base, id(&session, "id"));
        let renamed = ann.http.patch(path).bearer_auth(&ann.token).json(&json!({"title": "second"})).send().await;
        assert!(renamed.unwrap().status().is_success());
    }
}

/// Reads what a page reads, and sees what it saw before, or more.
async fn read_over_http(ann: &Client, life: &Life) {
    while life.goes_on() {
        let page = ann.get("sessions?limit=20").await;
        assert!(!page["items"].as_array().expect("a page").is_empty(), "{page}");
        let wallet = ann.get("wallet").await;
        assert!(wallet["balance_nanos"].is_string(), "{wallet}");
        assert_eq!(ann.get("me").await["username"], "ann");
        life.read.fetch_add(3, Ordering::Relaxed);
    }
}

/// One connection with its prepared statements, asked without a pause.
async fn read_prepared(pool: &PgPool, life: &Life) {
    let mut connection = pool.acquire().await.unwrap();
    let mut seen = 0;
    while life.goes_on() {
        // A count may grow only, whichever tables are asked.
        let count: i64 =
            sqlx::query_scalar("SELECT count(*) FROM chat_v1.sessions").fetch_one(&mut *connection).await.unwrap();
        assert!(count >= seen, "{count} after {seen}");
        seen = count;
        let joined: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM users_v1.users u JOIN billing_v1.wallets w ON w.owner = u.id \
             JOIN billing_v1.ledger_entries e ON e.owner = u.id, relay_v1.channels",
        )
        .fetch_one(&mut *connection)
        .await
        .unwrap();
        assert!(joined > 0);
        life.read.fetch_add(2, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_replaced_while_commands_arrive_and_no_reader_sees_an_error_or_a_gap() {
    let house = House::open().await;
    let serving = house.serve(ALL_ROLES);
    let ann = serving.client().sign_up("ann").await;
    ann.post("sessions", &json!({"title": "the first of all"})).await;
    let pool = &house.database.pool;
    all_projected(pool).await;
    let life = Life::default();
    let work = async {
        for _ in 0..ROUNDS {
            for name in PROJECTIONS {
                let (code, out, error) = rebuilt(&house, &[name]).await;
                assert_eq!(code, Some(0), "{name}: {out}{error}");
                assert!(out.starts_with(&format!("{name} was rebuilt and is in use")), "{out}");
                let (code, out, error) = rebuilt(&house, &[name, "--verify"]).await;
                assert_eq!(code, Some(0), "{name}: {out}{error}");
                assert!(out.contains("no difference"), "{out}");
            }
        }
        life.over.store(true, Ordering::Relaxed);
    };
    let writers = futures::future::join_all((0..WRITERS).map(|_| write(&ann, &life)));
    let readers = futures::future::join_all((0..2).map(|_| read_over_http(&ann, &life)));
    let prepared = futures::future::join_all((0..2).map(|_| read_prepared(pool, &life)));
    tokio::join!(work, writers, readers, prepared);
    let (written, read) = (life.written.load(Ordering::Relaxed), life.read.load(Ordering::Relaxed));
    assert!(written > 100 && read > 100, "{written} written, {read} read");

    all_projected(pool).await;
    let sessions: i64 = sqlx::query_scalar("SELECT count(*) FROM chat_v1.sessions").fetch_one(pool).await.unwrap();
    assert_eq!(sessions, written as i64 + 1);
    for name in PROJECTIONS {
        let (code, out, _) = rebuilt(&house, &[name, "--verify"]).await;
        assert_eq!(code, Some(0), "{name}: {out}");
    }
    nothing_is_left(pool).await;
}

#[tokio::test]
async fn a_planted_change_in_one_row_of_each_projection_is_named_and_exits_with_1() {
    let house = House::open().await;
    let serving = house.serve(ALL_ROLES);
    let ann = serving.client().sign_up("ann").await;
    let session = ann.post("sessions", &json!({"title": "secret plans"})).await;
    let session = id(&session, "id");
    let pool = &house.database.pool;
    all_projected(pool).await;
    let user: uuid::Uuid =
        sqlx::query_scalar("SELECT id FROM users_v1.users WHERE username = 'ann'").fetch_one(pool).await.unwrap();
    let channel: uuid::Uuid = sqlx::query_scalar("SELECT id FROM relay_v1.channels").fetch_one(pool).await.unwrap();
    let planted = [
        (
            "billing_v1",
            "UPDATE billing_v1.ledger_entries SET amount_nanos = amount_nanos + 1 \
             WHERE line = 2 AND owner = (SELECT id FROM users_v1.users WHERE username = 'ann')",
            "billing_v1.ledger_entries, position ".to_owned(),
            "line 2: amount_nanos differs from the events",
        ),
        (
            "chat_v1",
            "UPDATE chat_v1.sessions SET title = 'secret plan'",
            format!("chat_v1.sessions, id {session}"),
            ": title differs from the events",
        ),
        (
            "relay_v1",
            "DELETE FROM relay_v1.channels",
            format!("relay_v1.channels, id {channel}"),
            ": the row is missing",
        ),
        (
            "statistics_v1",
            "INSERT INTO statistics_v1.wallets (owner, sequence) VALUES ('00000000-0000-0000-0000-000000000007', 1)",
            "statistics_v1.wallets, owner 00000000-0000-0000-0000-000000000007".to_owned(),
            ": no event makes this row",
        ),
        (
            "users_v1",
            "UPDATE users_v1.users SET role = 'admin', username = 'mallory' WHERE username = 'ann'",
            format!("users_v1.users, id {user}"),
            ": username, role differs from the events",
        ),
    ];
    for (name, sql, row, what) in &planted {
        assert_eq!(pool.execute(*sql).await.unwrap().rows_affected(), 1, "{sql}");
        let (code, out, error) = rebuilt(&house, &[name, "--verify"]).await;
        assert_eq!(code, Some(1), "{name}: {out}{error}");
        assert!(out.lines().any(|line| line.starts_with(row) && line.ends_with(what)), "no `{row}…{what}` in\n{out}");
        assert!(out.contains(": 1 difference."), "{out}");
        assert!(!out.contains("secret") && !out.contains("mallory"), "no value is printed: {out}");
        // For programs.
        let (code, out, _) = rebuilt(&house, &[name, "--verify", "--json"]).await;
        assert_eq!(code, Some(1));
        let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert!(row.starts_with(lines[0]["difference"]["table"].as_str().unwrap()), "{out}");
        assert_eq!(lines[1]["summary"]["differences"], 1);
        // A rebuild puts it right.
        assert_eq!(rebuilt(&house, &[name]).await.0, Some(0));
        assert_eq!(rebuilt(&house, &[name, "--verify"]).await.0, Some(0));
    }
    nothing_is_left(pool).await;
}

/// Killed as `kill -9` does it.
fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[tokio::test]
async fn a_rebuild_that_was_killed_goes_on_where_it_stopped_and_the_live_rows_know_nothing_of_it() {
    let house = House::open().await;
    let serving = house.serve(ALL_ROLES);
    let ann = serving.client().sign_up("ann").await;
    for n in 0..20 {
        ann.post("sessions", &json!({"title": format!("{n}")})).await;
    }
    let pool = &house.database.pool;
    all_projected(pool).await;
    serving.kill();
    // Whoever has the live projection's checkpoint keeps the rebuild from its end.
    let mut holding = pool.begin().await.unwrap();
    let held = "SELECT position FROM checkpoints WHERE name = 'chat_v1' FOR UPDATE";
    let last: i64 = sqlx::query_scalar(held).fetch_one(&mut *holding).await.unwrap();
    let killed = rebuild(&house, &["chat_v1"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let reached = "SELECT position FROM checkpoints WHERE name = 'chat_v1_rebuild'";
    let waited = timeout(PATIENCE, async {
        while sqlx::query_scalar::<_, i64>(reached).fetch_optional(pool).await.unwrap() != Some(last) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    waited.await.expect("it applies all events");
    kill(killed);
    holding.rollback().await.unwrap();

    let (code, out, error) = rebuilt(&house, &["chat_v1"]).await;
    assert_eq!(code, Some(0), "{out}{error}");
    assert!(
        error.contains(&format!("chat_v1: going on after position {last}, where an earlier run stopped")),
        "{error}"
    );
    assert_eq!(out, format!("chat_v1 was rebuilt and is in use, with all events up to position {last}.\n"));
    let (code, out, _) = rebuilt(&house, &["chat_v1", "--verify"]).await;
    assert_eq!(code, Some(0), "{out}");
    nothing_is_left(pool).await;
}

/// Runs it without any house.
fn alone(directory: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_oblivious"));
    command.arg("rebuild").args(arguments).current_dir(directory).env_clear().env("PATH", "/usr/bin:/bin");
    told(&command.output().unwrap())
}

#[test]
fn it_explains_itself_and_says_what_is_missing() {
    let directory = tempfile::tempdir().unwrap();
    let (code, out, _) = alone(directory.path(), &["--help"]);
    assert_eq!(code, Some(0));
    for explained in
        ["--verify", "--restart", "--keep", "--json", "goes on where it stopped", "1 if `--verify` found differences"]
    {
        assert!(out.contains(explained), "{explained}: {out}");
    }
    let (code, _, error) = alone(directory.path(), &["chat"]);
    assert_eq!(code, Some(2));
    assert!(
        error.contains("no projection chat; these are: billing_v1, chat_v1, relay_v1, statistics_v1, users_v1"),
        "{error}"
    );
    let (code, _, error) = alone(directory.path(), &["chat_v1", "--verify"]);
    assert_eq!(code, Some(2));
    assert!(error.contains("nothing was compared: DATABASE_URL is not set"), "{error}");
    assert_eq!(directory.path().read_dir().unwrap().count(), 0, "it leaves nothing behind");
}
