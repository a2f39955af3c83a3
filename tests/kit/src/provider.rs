//! A model provider for tests: a real HTTP server that speaks the dialects of OpenAI, Anthropic and Google, and misbehaves
//! on demand.
//!
//! It refuses what the real providers refuse of a conversation: results of tools without their calls, thoughts whose
//! signature is missing or changed, fields that a schema may not have. What it answers is decided per request: first the queue of [`Script`]s, else the closure given to
//! [`MockProvider::answer_with`], else the directives in the last user message (see [`Script::from_prompt`]), so that a
//! browser, an SDK or a benchmark can script it without any other channel. It records what it was asked and whether the
//! client stayed to the end; `GET /asked?containing=TEXT` lists the requests whose last user message holds that text.

mod asked;
mod asking;
mod connection;
mod dialects;
mod directives;
mod modalities;
mod routes;
mod script;
mod signature;
mod telling;
mod text;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio::sync::watch;

use asking::Asked;

pub use asked::{Outcome, Recorded};
pub use script::Script;

/// Older requests are forgotten beyond this many.
const MAX_RECORDED: usize = 1_000;

type Answerer = Box<dyn Fn(&str) -> Script + Send + Sync>;

struct Shared {
    queue: Mutex<VecDeque<Script>>,
    answerer: Mutex<Option<Answerer>>,
    recorded: Mutex<VecDeque<Recorded>>,
    /// Requests ever received; the index of `recorded[0]` is this minus its length. Also wakes those who wait.
    received: watch::Sender<u64>,
}

/// A running provider. Dropping it closes its port.
pub struct MockProvider {
    base_url: String,
    shared: Arc<Shared>,
    server: tokio::task::JoinHandle<()>,
}

impl MockProvider {
    /// A provider on a free loopback port.
    pub async fn start() -> Self {
        Self::start_on(SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    /// A provider on that address.
    ///
    /// # Panics
    /// If the address cannot be bound.
    pub async fn start_on(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.expect("the mock provider binds its address");
        let address = listener.local_addr().expect("a bound listener has an address");
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            answerer: Mutex::default(),
            recorded: Mutex::default(),
            received: watch::Sender::new(0),
        });
        let router =
            Router::new().merge(routes::routes()).merge(modalities::routes()).layer(DefaultBodyLimit::disable());
        let router = router.with_state(Arc::clone(&shared));
        // Without it small frames wait for the client's acknowledgement, and every test measures that.
        let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
        let server = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("the mock provider serves until it is dropped");
        });
        Self { base_url: format!("http://{address}/v1"), shared, server }
    }

    /// What a client of OpenAI's dialects is configured with, `/v1` included. Anthropic's lies there too, Google's beside it
    /// under `/v1beta`.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// Answers the next request that has no earlier script with this one.
    pub fn enqueue(&self, script: Script) {
        lock(&self.shared.queue).push_back(script);
    }

    /// Answers every request without a queued script by what the closure makes of the last user message.
    pub fn answer_with(&self, answer: impl Fn(&str) -> Script + Send + Sync + 'static) {
        *lock(&self.shared.answerer) = Some(Box::new(answer));
    }

    /// The last requests, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<Recorded> {
        lock(&self.shared.recorded).iter().cloned().collect()
    }

    /// How many requests have arrived ever.
    #[must_use]
    pub fn received(&self) -> u64 {
        *self.shared.received.borrow()
    }

    /// Waits until `count` requests have arrived and `accept` holds for the newest one.
    ///
    /// # Panics
    /// If that does not happen within `patience`.
    pub async fn wait_until(&self, count: u64, patience: Duration, accept: impl Fn(&Recorded) -> bool) -> Recorded {
        let mut changes = self.shared.received.subscribe();
        let waiting = async {
            loop {
                let received = *changes.borrow_and_update();
                let newest = lock(&self.shared.recorded).back().cloned();
                match newest {
                    Some(newest) if received >= count && accept(&newest) => return newest,
                    _ => changes.changed().await.expect("the provider outlives the wait"),
                }
            }
        };
        tokio::time::timeout(patience, waiting).await.expect("the mock provider saw what the test waits for")
    }

    /// Serves until the process ends; for the executable.
    pub async fn run_forever(mut self) {
        let server = &mut self.server;
        drop(server.await);
    }
}

impl Drop for MockProvider {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Shared {
    fn script_for(&self, asked: &Asked) -> Script {
        if let Some(script) = lock(&self.queue).pop_front() {
            return script;
        }
        match &*lock(&self.answerer) {
            Some(answer) => answer(&asked.prompt),
            None if asked.results.is_empty() => Script::from_prompt(&asked.prompt),
            None => Script::from_tool_results(&asked.prompt, &asked.results),
        }
    }

    /// Notes a request; the watch gives what follows its place.
    fn record(self: &Arc<Self>, request: Recorded) -> Watch {
        let mut recorded = lock(&self.recorded);
        recorded.push_back(request);
        if recorded.len() > MAX_RECORDED {
            recorded.pop_front();
        }
        let mut index = 0;
        self.received.send_modify(|received| {
            index = *received;
            *received += 1;
        });
        Watch { shared: Arc::clone(self), index, finished: false }
    }

    fn set_outcome(&self, index: u64, outcome: Outcome) {
        let mut recorded = lock(&self.recorded);
        let oldest = *self.received.borrow() - recorded.len() as u64;
        if let Some(entry) = index.checked_sub(oldest).and_then(|at| recorded.get_mut(at as usize)) {
            entry.outcome = outcome;
        }
        drop(recorded);
        self.received.send_modify(|_| {});
    }
}

/// Belongs to the body of one answer: dropped early, the client has gone.
struct Watch {
    shared: Arc<Shared>,
    index: u64,
    finished: bool,
}

impl Drop for Watch {
    fn drop(&mut self) {
        let outcome = if self.finished { Outcome::Finished } else { Outcome::Aborted };
        self.shared.set_outcome(self.index, outcome);
    }
}

/// A test that panicked elsewhere must not hide its own message behind a poisoned lock.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
