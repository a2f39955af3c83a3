//! One call of a provider, from its first byte to its settlement, whoever still listens.
//!
//! Promise: the provider is read by a task of its own. A client that goes away, or stops reading, is waited for no
//! longer than the drain time; then the provider is stopped and what it generated until then is settled. A whole answer
//! is let finish, because half of it has no price. A failure before any output gives the hold back; a task that dies
//! leaves its hold to expire by policy. At shutdown streams are stopped at once and settled.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use domain::billing::ReleaseReason;
use futures::StreamExt as _;
use metering::{Catalogue, Held, Meter, Offer};
use relay::{Basis, Completion, CompletionFrame, CompletionRequest, CompletionStream, RelayError, Role, Turn, Usage};
use serde_json::Value;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::problem::Problem;

/// Tries before the first byte; after it a failure is the client's to see.
const MAX_TRIES: u32 = 3;
/// A call that is older is not begun again: the client's own patience is nearly over.
const RETRY_WITHIN: Duration = Duration::from_secs(15);
/// A provider that asks for a longer pause is reported instead of waited for.
const MAX_PAUSE: Duration = Duration::from_secs(5);
/// Chunks that wait for a slow client, at most.
const MAX_WAITING: usize = 256;
/// A client that takes nothing for so long counts as gone.
const STALLED: Duration = Duration::from_secs(60);
/// A provider that was stopped ends within moments; after this time it is not waited for.
const STOPPED: Duration = Duration::from_secs(10);
/// The end of an answer waits so long for its settlement, so that a balance read after it includes it.
const SETTLED: Duration = Duration::from_secs(2);
/// A shutdown waits so long for it, at most.
const SETTLED_AT_LAST: Duration = Duration::from_secs(600);

/// What all calls share.
#[derive(Clone)]
pub(crate) struct Calls {
    pub(super) catalogue: Catalogue,
    pub(super) meter: Meter,
    tracker: TaskTracker,
    drain: Duration,
    shutdown: CancellationToken,
    /// KiB of requests under way.
    room: Arc<Semaphore>,
}

/// A call whose price is known and whose credit is held.
pub(super) struct Paid {
    pub(super) offer: Arc<Offer>,
    pub(super) request: CompletionRequest,
    /// As counted for the hold.
    pub(super) input_tokens: u64,
    pub(super) held: Held,
    /// Kept until the call is over.
    pub(super) room: OwnedSemaphorePermit,
}

/// What the client's side is told. `End`, `Whole` and `Failed` are the last, and come after the settlement.
pub(super) enum Heard {
    Chunk(Value),
    End(Usage),
    Whole { body: Value, usage: Usage },
    Failed(RelayError),
}

impl Calls {
    /// `max_bytes` of requests are under way at the same time.
    pub(crate) fn new(
        (catalogue, meter): (Catalogue, Meter),
        tracker: TaskTracker,
        drain: Duration,
        max_bytes: usize,
        shutdown: CancellationToken,
    ) -> Self {
        Self { catalogue, meter, tracker, drain, shutdown, room: Arc::new(Semaphore::new(max_bytes / 1024)) }
    }

    /// Room for a request of this size, so that many large ones cannot take all memory.
    pub(super) fn make_room(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Problem> {
        let kibibytes = u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX);
        Arc::clone(&self.room)
            .try_acquire_many_owned(kibibytes)
            .map_err(|_| Problem::unavailable("overloaded", "too many large requests at once; try again in a moment"))
    }

    /// Refuses while the server is going down.
    pub(super) fn require_open(&self) -> Result<(), Problem> {
        match self.shutdown.is_cancelled() {
            true => Err(Problem::unavailable("overloaded", "this server is about to restart; try again in a moment")),
            false => Ok(()),
        }
    }

    /// Makes the call. Dropping the receiver is the client going away.
    pub(super) fn begin(&self, paid: Paid) -> mpsc::Receiver<Heard> {
        let (listener, heard) = mpsc::channel(MAX_WAITING);
        let Paid { offer, request, input_tokens, held, room } = paid;
        let (calls, deaf) = (self.clone(), CancellationToken::new());
        let call = Call { calls, offer, request, input_tokens, listener, deaf, _room: room };
        self.tracker.spawn(call.run(held));
        heard
    }
}

struct Call {
    calls: Calls,
    offer: Arc<Offer>,
    request: CompletionRequest,
    input_tokens: u64,
    listener: mpsc::Sender<Heard>,
    /// The listener has missed something: nothing more is said to it.
    deaf: CancellationToken,
    _room: OwnedSemaphorePermit,
}

/// What remains to be done with the hold.
enum Settlement {
    Charge(Usage),
    Release(ReleaseReason),
}

impl Call {
    async fn run(self, held: Held) {
        let (settlement, last) = if self.request.stream { self.streamed().await } else { self.whole().await };
        let settling = match settlement {
            Settlement::Charge(usage) => held.settle(&usage),
            Settlement::Release(reason) => held.release(reason),
        };
        let settling = settling.wait(SETTLED_AT_LAST);
        tokio::pin!(settling);
        let in_time = timeout(SETTLED, &mut settling).await;
        self.tell(last).await;
        if in_time.is_err() {
            // The client has its answer; the shutdown still knows of this.
            settling.await;
        }
    }

    async fn whole(&self) -> (Settlement, Heard) {
        match self.ask(&CancellationToken::new()).await {
            Ok(Completion::Whole { body, usage }) => {
                let usage = match usage {
                    Some(usage) => usage,
                    None => self.estimate(Said::of(&body)).await,
                };
                (Settlement::Charge(usage), Heard::Whole { body, usage })
            }
            Ok(Completion::Stream(_)) => self.nothing(garbage("a stream where none was asked for")),
            Err(error) => self.nothing(error),
        }
    }

    async fn streamed(&self) -> (Settlement, Heard) {
        let upstream = CancellationToken::new();
        let _close = upstream.clone().drop_guard();
        let mut said = Said::default();
        let end = {
            let reading = self.read(&upstream, &mut said);
            tokio::pin!(reading);
            tokio::select! {
                end = &mut reading => end,
                () = self.left() => {
                    upstream.cancel();
                    timeout(STOPPED, reading).await.unwrap_or(Err(RelayError::Cancelled))
                }
            }
        };
        match end {
            Err(error) if said.is_empty() => self.nothing(error),
            Err(error) => (Settlement::Charge(self.estimate(said).await), Heard::Failed(error)),
            Ok(usage) => {
                let usage = match usage {
                    Some(usage) => usage,
                    None => self.estimate(said).await,
                };
                let last =
                    if upstream.is_cancelled() { Heard::Failed(RelayError::Cancelled) } else { Heard::End(usage) };
                (Settlement::Charge(usage), last)
            }
        }
    }

    /// It failed before any output.
    fn nothing(&self, error: RelayError) -> (Settlement, Heard) {
        tracing::info!(channel = %self.offer.channel_id, code = error.code(), "a call brought nothing");
        let reason = if error == RelayError::Cancelled { ReleaseReason::Cancelled } else { ReleaseReason::Failed };
        (Settlement::Release(reason), Heard::Failed(error))
    }

    /// Passes on every chunk until the end.
    async fn read(&self, upstream: &CancellationToken, said: &mut Said) -> Result<Option<Usage>, RelayError> {
        let asked = Instant::now();
        let mut stream: CompletionStream = match self.ask(upstream).await? {
            Completion::Stream(stream) => stream,
            Completion::Whole { .. } => return Err(garbage("a whole answer where a stream was asked for")),
        };
        let mut first = true;
        while let Some(frame) = stream.next().await {
            match frame? {
                CompletionFrame::Chunk(chunk) => {
                    if std::mem::take(&mut first) {
                        metrics::histogram!("api_first_chunk_seconds").record(asked.elapsed().as_secs_f64());
                    }
                    said.hear(&chunk);
                    self.tell(Heard::Chunk(chunk)).await;
                }
                CompletionFrame::Done { usage } => return Ok(usage),
            }
        }
        Err(RelayError::UpstreamCut)
    }

    /// Asks up to [`MAX_TRIES`] times while the failure may pass and somebody waits.
    async fn ask(&self, upstream: &CancellationToken) -> Result<Completion, RelayError> {
        let begun = Instant::now();
        let mut tries = 1;
        loop {
            let error = match self.offer.provider.complete(self.request.clone(), upstream.clone()).await {
                Ok(completion) => return Ok(completion),
                Err(error) => error,
            };
            let pause = error.retry_after().unwrap_or(Duration::from_millis(250) * 2_u32.pow(tries));
            let late = begun.elapsed() + pause > RETRY_WITHIN;
            if !error.is_retryable() || tries >= MAX_TRIES || pause > MAX_PAUSE || late || self.listener.is_closed() {
                return Err(error);
            }
            tracing::info!(channel = %self.offer.channel_id, code = error.code(), ?pause, tries, "asking again");
            tries += 1;
            tokio::select! {
                () = upstream.cancelled() => return Err(RelayError::Cancelled),
                () = sleep(pause) => {}
            }
        }
    }

    async fn tell(&self, heard: Heard) {
        if self.deaf.is_cancelled() {
            return;
        }
        // A listener that has gone is noticed by `left`.
        if timeout(STALLED, self.listener.send(heard)).await.is_err() {
            self.deaf.cancel();
        }
    }

    /// Nobody has listened for the drain time, or the server goes down.
    async fn left(&self) {
        let gone = async {
            tokio::select! {
                () = self.listener.closed() => {}
                () = self.deaf.cancelled() => {}
            }
            sleep(self.calls.drain).await;
        };
        tokio::select! {
            () = gone => {}
            () = self.calls.shutdown.cancelled() => {}
        }
    }

    /// What was consumed where the provider did not come to say it.
    async fn estimate(&self, said: Said) -> Usage {
        let (provider, model) = (Arc::clone(&self.offer.provider), self.request.model.clone());
        let count = move || {
            let turn = |content: String| [Turn { role: Role::Assistant, content }];
            // Without what the format of a conversation adds.
            let tokens = |text| provider.count_turns(&model, &turn(text));
            tokens(said.0).saturating_sub(tokens(String::new()))
        };
        // It does not panic; if it did, the input alone would be charged.
        let output_tokens = tokio::task::spawn_blocking(count).await.unwrap_or_default();
        Usage::new(self.input_tokens, output_tokens, Basis::Estimated)
    }
}

fn garbage(what: &str) -> RelayError {
    RelayError::UpstreamGarbage(what.to_owned())
}

/// Everything that was generated, all choices together, to be counted if the provider breaks off.
#[derive(Default)]
struct Said(String);

impl Said {
    fn of(body: &Value) -> Self {
        let mut said = Self::default();
        said.hear(body);
        said
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes the texts of a chunk or of a whole answer.
    fn hear(&mut self, body: &Value) {
        for choice in body["choices"].as_array().into_iter().flatten() {
            let said = if choice["delta"].is_object() { &choice["delta"] } else { &choice["message"] };
            for name in ["content", "refusal", "reasoning_content", "reasoning"] {
                self.add(&said[name]);
            }
            for call in said["tool_calls"].as_array().into_iter().flatten() {
                self.add(&call["function"]["name"]);
                self.add(&call["function"]["arguments"]);
            }
        }
    }

    fn add(&mut self, text: &Value) {
        self.0.push_str(text.as_str().unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn everything_that_was_generated_is_heard() {
        let mut said = Said::default();
        said.hear(&json!({ "choices": [{ "delta": { "role": "assistant" } }] }));
        assert!(said.is_empty(), "a role is no output");
        said.hear(&json!({ "choices": [
            { "delta": { "content": "a", "reasoning_content": "b" } },
            { "delta": { "tool_calls": [{ "index": 0, "function": { "name": "c", "arguments": "d" } }] } },
        ]}));
        assert_eq!(said.0, "abcd");
        assert_eq!(Said::of(&json!({ "choices": [{ "message": { "content": "whole" } }] })).0, "whole");
        assert!(Said::of(&json!("nonsense")).is_empty());
    }
}
