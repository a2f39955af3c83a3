//! A good HTTP client: whatever is not answered for certain is asked again under the same key, at the other process.

use std::time::Duration;

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::journal::Answer;

/// The first try; longer than the API waits for a command and its row. Each further one may take twice as long, so that a
/// machine that is too busy for this once is not asked in vain for ever.
const TRY: Duration = Duration::from_secs(8);
const LONGEST_TRY: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(150);
/// A stopped process is away for 12.5 s and a queue may have to be worked off: after this long it hangs.
const PATIENCE: Duration = Duration::from_secs(75);

/// Somebody's client.
#[derive(Clone)]
pub struct Client {
    pub http: reqwest::Client,
    apis: Vec<watch::Receiver<Option<String>>>,
    first: usize,
    token: String,
    /// The last event that this client caused.
    after: Option<String>,
}

/// What is asked.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: Method,
    pub path: String,
    pub body: Value,
    pub key: Option<String>,
    /// 404 may mean that the read model of the node has not heard of it yet.
    pub may_be_unknown_yet: bool,
}

impl Request {
    pub fn post(path: impl Into<String>, body: Value, key: impl Into<String>) -> Self {
        let (method, key) = (Method::POST, Some(key.into()));
        Self { method, path: path.into(), body, key, may_be_unknown_yet: false }
    }

    pub fn unkeyed(method: Method, path: impl Into<String>, body: Value) -> Self {
        Self { method, path: path.into(), body, key: None, may_be_unknown_yet: false }
    }

    /// Asked again, for a while, where it is not found.
    pub fn that_may_be_unknown_yet(self) -> Self {
        Self { may_be_unknown_yet: true, ..self }
    }
}

/// What one try came to.
enum Tried {
    Answered { answer: Answer, event: Option<String>, stale: bool },
    Again(String),
}

/// What all tries came to.
pub struct Told {
    pub answer: Answer,
    pub sends: u32,
    /// The answer was marked as older than what was asked for.
    pub stale: bool,
}

impl Client {
    pub fn new(apis: Vec<watch::Receiver<Option<String>>>, first: usize) -> Self {
        // Whoever was first has installed it.
        drop(rustls::crypto::ring::default_provider().install_default());
        let http = reqwest::Client::builder().connect_timeout(Duration::from_secs(2)).build().expect("a client");
        Self { http, apis, first, token: String::new(), after: None }
    }

    /// Asks the api process of this number first.
    pub fn at(&mut self, api: usize) -> &mut Self {
        self.first = api;
        self
    }

    /// A request for the live events of `run` at the api process of this number, if that is up.
    pub fn events(&self, run: Uuid, api: usize) -> Option<RequestBuilder> {
        let address = self.apis[api % self.apis.len()].borrow().clone()?;
        Some(self.http.get(format!("{address}/api/v1/runs/{run}/events")).bearer_auth(&self.token))
    }

    /// The address of the api process of this number, once it has one.
    pub async fn address(&self, api: usize) -> String {
        let mut ready = self.apis[api].clone();
        let known = ready.wait_for(Option::is_some).await.expect("its supervisor lives");
        known.clone().unwrap_or_default()
    }

    /// Signs in, however often it has to be tried.
    pub async fn sign_in(&mut self, email: &str, password: &str) -> Told {
        let body = json!({"email": email, "password": password});
        let told = self.ask(&Request::unkeyed(Method::POST, "auth/login", body)).await;
        if let Some(token) = told.answer.body().and_then(|body| body["access_token"].as_str()) {
            self.token = token.to_owned();
        }
        told
    }

    /// Signs in to an account that exists, but that the read model may not show yet: the API does not tell that from a
    /// wrong password.
    pub async fn sign_in_surely(&mut self, email: &str, password: &str) -> Told {
        let (give_up, mut pause) = (Instant::now() + PATIENCE, PAUSE);
        loop {
            let told = self.sign_in(email, password).await;
            if !matches!(told.answer, Answer::Refused { status: 401, .. }) || Instant::now() > give_up {
                return told;
            }
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(2));
        }
    }

    /// One try, for polling.
    pub async fn get(&self, path: &str) -> Option<Value> {
        match self.attempt(&Request::unkeyed(Method::GET, path, Value::Null), self.first, TRY).await {
            Tried::Answered { answer: Answer::Acknowledged(body), .. } => Some(body),
            _ => None,
        }
    }

    /// Reads until there is an answer.
    pub async fn get_surely(&mut self, path: &str) -> Option<Value> {
        let told = self.ask(&Request::unkeyed(Method::GET, path, Value::Null).that_may_be_unknown_yet()).await;
        told.answer.body().cloned()
    }

    /// Asks until there is an answer that says what came of it.
    pub async fn ask(&mut self, request: &Request) -> Told {
        let (told, event) = self.clone().asking(request, self.first).await;
        self.after = event.or(self.after.take());
        told
    }

    /// Asks both api processes at once under the same key.
    pub async fn ask_twice(&mut self, request: &Request) -> [Told; 2] {
        let other = (self.first + 1) % self.apis.len();
        let (one, two) = tokio::join!(self.clone().asking(request, self.first), self.clone().asking(request, other));
        self.after = one.1.or(two.1).or(self.after.take());
        [one.0, two.0]
    }

    async fn asking(self, request: &Request, first: usize) -> (Told, Option<String>) {
        let give_up = Instant::now() + PATIENCE;
        let (mut sends, mut api, mut pause, mut patience) = (0, first, PAUSE, TRY);
        loop {
            sends += 1;
            match self.attempt(request, api, patience).await {
                Tried::Answered { answer, event, stale } => return (Told { answer, sends, stale }, event),
                Tried::Again(why) if Instant::now() > give_up => {
                    return (Told { answer: Answer::Unknown(why), sends, stale: false }, None);
                }
                Tried::Again(_) => {}
            }
            api = (api + 1) % self.apis.len();
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(1));
            patience = (patience * 2).min(LONGEST_TRY);
        }
    }

    async fn attempt(&self, request: &Request, api: usize, patience: Duration) -> Tried {
        let Some(address) = self.apis[api].borrow().clone() else { return Tried::Again("it is down".to_owned()) };
        let url = format!("{address}/api/v1/{}", request.path);
        let mut asking = self.http.request(request.method.clone(), url).timeout(patience);
        if !self.token.is_empty() {
            asking = asking.bearer_auth(&self.token);
        }
        if !request.body.is_null() {
            asking = asking.json(&request.body);
        }
        if let Some(key) = &request.key {
            asking = asking.header("idempotency-key", key);
        }
        if let Some(after) = &self.after {
            asking = asking.header("x-after", after);
        }
        let response = match asking.send().await {
            Ok(response) => response,
            Err(error) => return Tried::Again(error.to_string()),
        };
        let status = response.status();
        let header = |name: &str| response.headers().get(name)?.to_str().ok().map(str::to_owned);
        let (event, stale) = (header("x-event"), header("x-stale").is_some());
        let body = match response.bytes().await {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or(Value::Null),
            Err(error) => return Tried::Again(error.to_string()),
        };
        judge(request, status, body, event, stale)
    }
}

fn judge(request: &Request, status: StatusCode, body: Value, event: Option<String>, stale: bool) -> Tried {
    let code = body["code"].as_str().unwrap_or_default().to_owned();
    let unsure = status.is_server_error()
        || status == StatusCode::ACCEPTED
        || status == StatusCode::TOO_MANY_REQUESTS
        || (status == StatusCode::NOT_FOUND && request.may_be_unknown_yet);
    if unsure {
        return Tried::Again(format!("{status} {code}"));
    }
    let answer = if status.is_success() {
        Answer::Acknowledged(body)
    } else {
        Answer::Refused { status: status.as_u16(), code }
    };
    Tried::Answered { answer, event, stale }
}
