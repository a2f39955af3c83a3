//! Roles as separate processes of the real executable, driven over HTTP, and killed without a word.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in tests a panic is the failure report")]

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use futures::StreamExt as _;
use serde_json::{Value, json};
use testkit::provider::{MockProvider, Script};
use testkit::{TestDatabase, TestNats};

const PATIENCE: Duration = Duration::from_secs(60);

/// One installation: its servers, its model, and where its processes look.
struct House {
    database: TestDatabase,
    nats: TestNats,
    provider: MockProvider,
    data_dir: tempfile::TempDir,
}

/// One process; killed when dropped.
struct Process {
    child: Child,
    /// Of the api role.
    address: Option<String>,
}

impl House {
    async fn open() -> Self {
        let (database, nats, provider) = tokio::join!(testkit::database(), testkit::nats(), MockProvider::start());
        Self { database, nats, provider, data_dir: tempfile::tempdir().unwrap() }
    }

    fn serve(&self, roles: &str) -> Process {
        let mut child = Command::new(env!("CARGO_BIN_EXE_oblivious"))
            .args(["serve", "--roles", roles])
            .env("DATABASE_URL", &self.database.url)
            .env("NATS_URL", &self.nats.url)
            .env("OBLIVIOUS_TEST_UNSAFE_DATABASE", "1")
            .env("OBLIVIOUS_DATABASE_CONNECTIONS", "8")
            .env("OBLIVIOUS_HTTP_ADDR", "127.0.0.1:0")
            .env("OBLIVIOUS_DATA_DIR", self.data_dir.path())
            .env("OBLIVIOUS_KIT_DIR", self.data_dir.path())
            .env("OPENAI_BASE_URL", self.provider.base_url())
            .env("OPENAI_MODELS", "m")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let ready = lines.find(|line| line.starts_with("Ready")).expect("the process gets ready");
        std::thread::spawn(move || lines.for_each(drop));
        let address = ready.split_once(": ").map(|(_, address)| address.to_owned());
        Process { child, address }
    }
}

impl Process {
    /// As `kill -9` does it.
    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn client(&self) -> Client {
        let address = self.address.clone().expect("this process serves HTTP");
        // Whoever was first has installed it.
        drop(rustls::crypto::ring::default_provider().install_default());
        Client { http: reqwest::Client::new(), base: format!("{address}/api/v1"), token: String::new() }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Somebody with an API client.
struct Client {
    http: reqwest::Client,
    base: String,
    token: String,
}

impl Client {
    async fn sign_up(mut self, name: &str) -> Self {
        let password = "a long enough passphrase";
        let email = format!("{name}@example.org");
        self.post("auth/register", &json!({"email": email, "username": name, "password": password})).await;
        let signed_in = self.post("auth/login", &json!({"email": email, "password": password})).await;
        self.token = signed_in["access_token"].as_str().unwrap().to_owned();
        self
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        self.post_with_key(path, body, &uuid::Uuid::now_v7().to_string()).await
    }

    async fn post_with_key(&self, path: &str, body: &Value, key: &str) -> Value {
        let request = self.http.post(format!("{}/{path}", self.base)).bearer_auth(&self.token).json(body);
        let response = request.header("idempotency-key", key).send().await.unwrap();
        let status = response.status();
        let body: Value = response.json().await.unwrap_or(Value::Null);
        assert!(status.is_success(), "{path}: {status} {body}");
        body
    }

    async fn get(&self, path: &str) -> Value {
        let request = self.http.get(format!("{}/{path}", self.base)).bearer_auth(&self.token);
        request.send().await.unwrap().json().await.unwrap()
    }

    /// The conversation's messages as soon as its last one has come to an end.
    async fn finished(&self, session: &str) -> Vec<Value> {
        let waited = tokio::time::timeout(PATIENCE, async {
            loop {
                let page = self.get(&format!("sessions/{session}/messages")).await;
                let items = page["items"].as_array().cloned().unwrap_or_default();
                let done = |item: &Value| ["complete", "stopped", "failed"].contains(&item["status"].as_str().unwrap());
                if items.len() > 1 && items.iter().all(done) {
                    return items;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
        waited.await.expect("the reply ends")
    }

    /// The text of a run as a page puts it together, and how often it was reset.
    async fn follow(&self, run: &str) -> (String, u32) {
        let request = self.http.get(format!("{}/runs/{run}/events", self.base)).bearer_auth(&self.token);
        let mut bytes = request.send().await.unwrap().bytes_stream();
        let (mut read, mut text, mut resets) = (String::new(), String::new(), 0);
        while let Some(piece) = bytes.next().await {
            read.push_str(&String::from_utf8_lossy(&piece.unwrap()));
            while let Some((frame, rest)) =
                read.split_once("\n\n").map(|(frame, rest)| (frame.to_owned(), rest.to_owned()))
            {
                read = rest;
                let fields: HashMap<&str, &str> = frame.lines().filter_map(|line| line.split_once(": ")).collect();
                let data: Value = fields.get("data").map_or(Value::Null, |data| serde_json::from_str(data).unwrap());
                match fields.get("event").copied() {
                    Some("delta") => {
                        let offset = usize::try_from(data["offset"].as_u64().unwrap()).unwrap();
                        text = text.chars().take(offset).collect::<String>() + data["text"].as_str().unwrap();
                    }
                    Some("reset") => {
                        text.clear();
                        resets += 1;
                    }
                    Some("done") => return (text, resets),
                    _ => {}
                }
            }
        }
        panic!("the stream ended without an end");
    }
}

fn slowly(text: &str) -> Script {
    let script = text.chars().fold(Script::default(), |script, c| script.chunk(&c.to_string()));
    script.pause_between_chunks(Duration::from_millis(50))
}

fn id<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap()
}

#[tokio::test]
async fn a_reply_survives_the_death_of_every_role_one_after_the_other() {
    let house = House::open().await;
    house.provider.answer_with(|_| slowly("一 slow answer that takes a few seconds to be written down"));
    let mut processes: HashMap<&str, Process> =
        ["handlers", "publisher", "projections", "reactions"].map(|role| (role, house.serve(role))).into();
    let api = house.serve("api");
    let ann = api.client().sign_up("ann").await;
    for role in ["handlers", "publisher", "projections", "reactions"] {
        let session = ann.post("sessions", &json!({})).await;
        let session = id(&session, "id");
        let sent = ann.post(&format!("sessions/{session}/messages"), &json!({"content": format!("kill {role}")})).await;
        let following = ann.follow(id(&sent, "run_id"));
        let murder = async {
            tokio::time::sleep(Duration::from_millis(700)).await;
            processes.remove(role).unwrap().kill();
            tokio::time::sleep(Duration::from_millis(300)).await;
            processes.insert(role, house.serve(role));
        };
        let (followed, ()) = tokio::join!(tokio::time::timeout(PATIENCE, following), murder);
        let (live, resets) = followed.expect("the stream ends");
        let messages = ann.finished(session).await;
        assert_eq!(messages.len(), 2, "{role}: {messages:#?}");
        assert_eq!(messages[1]["status"], "complete", "{role}");
        assert_eq!(messages[1]["content"], "一 slow answer that takes a few seconds to be written down", "{role}");
        assert_eq!(live, messages[1]["content"].as_str().unwrap(), "{role}: what was seen is what was stored");
        assert_eq!(resets > 0, role == "reactions", "only the writer's death loses an attempt");
    }
}

#[tokio::test]
async fn two_of_every_role_share_the_work_and_answer_every_question_once() {
    let house = House::open().await;
    house.provider.answer_with(|prompt| Script::says(&format!("re: {prompt}")));
    let all = "api,handlers,projections,reactions,publisher";
    let (one, two) = (house.serve(all), house.serve(all));
    let (ann, bob) = (one.client().sign_up("ann").await, two.client().sign_up("bob").await);
    for round in 0..5 {
        for person in [&ann, &bob] {
            let session = person.post("sessions", &json!({})).await;
            let path = format!("sessions/{}/messages", id(&session, "id"));
            let (body, key) = (json!({"content": format!("question {round}")}), format!("key {round}"));
            let (first, again) =
                tokio::join!(person.post_with_key(&path, &body, &key), person.post_with_key(&path, &body, &key));
            assert_eq!(first, again, "the same request under the same key is answered the same");
            let messages = person.finished(id(&session, "id")).await;
            assert_eq!(messages.len(), 2);
            assert_eq!(messages[1]["content"], format!("re: question {round}"));
        }
    }
    assert_eq!(house.provider.received(), 10);
}
