//! Logs to look at, and the executable to look with.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use sqlx::PgPool;
use testkit::provider::Script;

use crate::house::{Client, House, id};

pub(crate) const ALL_ROLES: &str = "api,handlers,projections,reactions,publisher";
/// Said in each conversation; stored sealed.
pub(crate) const SECRET: &str = "nobody else may read this";

/// `oblivious events …` on these servers, without a terminal.
pub(crate) fn command(arguments: &[&str], data_dir: &Path, database_url: &str, nats_url: Option<&str>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_oblivious"));
    command.arg("events").args(arguments).current_dir(data_dir).env_clear().env("PATH", "/usr/bin:/bin");
    command.env("DATABASE_URL", database_url).env("OBLIVIOUS_DATA_DIR", data_dir);
    command.env("OBLIVIOUS_TEST_UNSAFE_DATABASE", "1").stdin(Stdio::null());
    if let Some(nats_url) = nats_url {
        command.env("NATS_URL", nats_url);
    }
    command
}

/// What a command came to.
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) error: String,
}

impl Said {
    pub(crate) fn by(mut command: Command) -> Self {
        let Output { status, stdout, stderr } = command.output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: status.code(), out: text(&stdout), error: text(&stderr) }
    }

    /// Its lines, after it did what it was asked.
    pub(crate) fn lines(self) -> Vec<Value> {
        assert_eq!(self.code, Some(0), "{}{}", self.out, self.error);
        self.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl House {
    /// `oblivious events …` in this house.
    pub(crate) fn events(&self, arguments: &[&str]) -> Said {
        Said::by(command(arguments, self.data_dir.path(), &self.database.url, Some(&self.nats.url)))
    }
}

/// Asks one question in a conversation of its own and waits for the answer.
pub(crate) async fn converse(house: &House, person: &Client, count: u32) {
    house.provider.answer_with(|prompt| Script::says(&format!("re: {prompt}")));
    for number in 0..count {
        let session = person.post("sessions", &json!({})).await;
        let path = format!("sessions/{}/messages", id(&session, "id"));
        person.post(&path, &json!({"content": format!("{SECRET} {number}")})).await;
        person.finished(id(&session, "id")).await;
    }
}

/// Waits until every event has its position and is on the stream; the last position.
pub(crate) async fn settled(house: &House, client: &async_nats::Client) -> i64 {
    let mut before = (-1, -1, -1);
    loop {
        let events: i64 =
            sqlx::query_scalar("SELECT count(*) FROM events").fetch_one(&house.database.pool).await.unwrap();
        let last = nats::last_position(&house.database.pool).await.unwrap();
        let streamed = nats::last_streamed(client).await.unwrap().unwrap_or(0);
        if events == last && last == streamed && before == (events, last, streamed) {
            return last;
        }
        before = (events, last, streamed);
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    }
}

/// A house in which two people have talked, quiet again, its processes ended.
pub(crate) async fn lived_in() -> House {
    let house = House::open().await;
    let process = house.serve(ALL_ROLES);
    for name in ["ann", "bob"] {
        let person = process.client().sign_up(name).await;
        converse(&house, &person, 2).await;
    }
    settled(&house, &house.nats.client).await;
    process.kill();
    house
}

/// Stores `count` more events of one conversation without anybody deciding them, each with its position.
pub(crate) async fn fill(pool: &PgPool, count: i64) {
    let statement = "WITH e AS (
            INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata)
            SELECT 'session', 's-' || (n % 7), s.last + n, 'session.renamed', '1',
                   json_build_object('renamed', json_build_object('title', '标题 \"' || n || E'\"\\n', 'n', n)),
                   json_build_object('command_id', gen_random_uuid(), 'actor', 'user:1', 'correlation_id', 'c-' || n)
            FROM (SELECT count(*) AS last FROM event_log) s, generate_series(1, $1) n RETURNING *),
        l AS (
            INSERT INTO event_log (position, aggregate_type, aggregate_id, sequence)
            SELECT sequence, aggregate_type, aggregate_id, sequence FROM e RETURNING 1)
        SELECT count(*) FROM l";
    let stored: i64 = sqlx::query_scalar(statement).bind(count).fetch_one(pool).await.unwrap();
    assert_eq!(stored, count);
}
