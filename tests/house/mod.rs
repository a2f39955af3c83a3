//! An installation of separate processes of the real executable, and somebody who uses it over HTTP.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in tests a panic is the failure report")]
#![expect(dead_code, reason = "each test file uses its part")]
#![expect(unreachable_pub, reason = "shared by the test files of this folder")]

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use futures::StreamExt as _;
use serde_json::{Value, json};
use testkit::provider::{MockProvider, Script};
use testkit::{TestDatabase, TestNats};

pub const PATIENCE: Duration = Duration::from_secs(60);

/// One installation: its servers, its model, and where its processes look.
pub struct House {
    pub database: TestDatabase,
    pub nats: TestNats,
    pub provider: MockProvider,
    pub data_dir: tempfile::TempDir,
}

/// One process; killed when dropped.
pub struct Process {
    pub child: Child,
    /// Of the api role.
    pub address: Option<String>,
}

impl House {
    pub async fn open() -> Self {
        let (database, nats, provider) = tokio::join!(testkit::database(), testkit::nats(), MockProvider::start());
        Self { database, nats, provider, data_dir: tempfile::tempdir().unwrap() }
    }

    pub fn serve(&self, roles: &str) -> Process {
        self.serve_on(roles, &self.nats.url)
    }

    /// The same on another bus, or as another of its users.
    pub fn serve_on(&self, roles: &str, nats_url: &str) -> Process {
        self.start(roles, nats_url, &[])
    }

    /// The same with other settings.
    pub fn serve_with(&self, roles: &str, settings: &[(&str, &str)]) -> Process {
        self.start(roles, &self.nats.url, settings)
    }

    fn start(&self, roles: &str, nats_url: &str, settings: &[(&str, &str)]) -> Process {
        let mut child = Command::new(env!("CARGO_BIN_EXE_oblivious"))
            .args(["serve", "--roles", roles])
            .env("DATABASE_URL", &self.database.url)
            .env("NATS_URL", nats_url)
            .env("OBLIVIOUS_TEST_UNSAFE_DATABASE", "1")
            .env("OBLIVIOUS_DATABASE_CONNECTIONS", "8")
            .env("OBLIVIOUS_HTTP_ADDR", "127.0.0.1:0")
            .env("OBLIVIOUS_DATA_DIR", self.data_dir.path())
            .env("OBLIVIOUS_KIT_DIR", self.data_dir.path())
            .env("OPENAI_BASE_URL", self.provider.base_url())
            .env("OPENAI_MODELS", "m")
            .env("OBLIVIOUS_HOLD_SECONDS", "5")
            .envs(settings.iter().copied())
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
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn client(&self) -> Client {
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
pub struct Client {
    pub http: reqwest::Client,
    pub base: String,
    pub token: String,
}

impl Client {
    pub async fn sign_up(mut self, name: &str) -> Self {
        let password = "a long enough passphrase";
        let email = format!("{name}@example.org");
        self.post("auth/register", &json!({"email": email, "username": name, "password": password})).await;
        let signed_in = self.post("auth/login", &json!({"email": email, "password": password})).await;
        self.token = signed_in["access_token"].as_str().unwrap().to_owned();
        self.until(async || !self.get("models").await["items"].as_array().unwrap().is_empty()).await;
        self
    }

    /// The same person at another address.
    pub fn at(&self, api: &Process) -> Self {
        Self { token: self.token.clone(), ..api.client() }
    }

    /// Waits until `condition` holds.
    pub async fn until(&self, condition: impl AsyncFn() -> bool) {
        let waited = tokio::time::timeout(PATIENCE, async {
            while !condition().await {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
        waited.await.expect("it comes true in time");
    }

    pub async fn post(&self, path: &str, body: &Value) -> Value {
        self.post_with_key(path, body, &uuid::Uuid::now_v7().to_string()).await
    }

    pub async fn post_with_key(&self, path: &str, body: &Value, key: &str) -> Value {
        let request = self.http.post(format!("{}/{path}", self.base)).bearer_auth(&self.token).json(body);
        let response = request.header("idempotency-key", key).send().await.unwrap();
        let status = response.status();
        let body: Value = response.json().await.unwrap_or(Value::Null);
        assert!(status.is_success(), "{path}: {status} {body}");
        body
    }

    pub async fn get(&self, path: &str) -> Value {
        let request = self.http.get(format!("{}/{path}", self.base)).bearer_auth(&self.token);
        request.send().await.unwrap().json().await.unwrap()
    }

    /// The conversation's messages as soon as its last one has come to an end.
    pub async fn finished(&self, session: &str) -> Vec<Value> {
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
    pub async fn follow(&self, run: &str) -> (String, u32) {
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

pub fn slowly(text: &str) -> Script {
    let script = text.chars().fold(Script::default(), |script, c| script.chunk(&c.to_string()));
    script.pause_between_chunks(Duration::from_millis(50))
}

pub fn id<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap()
}
