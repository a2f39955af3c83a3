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
use relay::{Basis, RelayError, ServedAnswer, ServedCall, ServedEvent, ServedFrame, Usage};
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
/// Events that wait for a slow client, at most.
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
    pub(super) call: ServedCall,
    pub(super) held: Held,
    /// Kept until the call is over.
    pub(super) room: OwnedSemaphorePermit,
}

/// What the client's side is told. `End`, `Whole` and `Failed` are the last, and come after the settlement.
pub(super) enum Heard {
    /// A provider took the call; comes first, unless nobody did.
    Taken(Route),
    Event(ServedEvent),
    End(Vec<ServedEvent>),
    Whole(Value),
    Failed(RelayError),
}

/// How a call came to its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Route {
    /// How often a provider was asked, the successful time included.
    pub(super) tries: u32,
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
        let Paid { offer, call, held, room } = paid;
        let (calls, deaf) = (self.clone(), CancellationToken::new());
        let call = Call { calls, offer, call, listener, deaf, _room: room };
        self.tracker.spawn(call.run(held));
        heard
    }
}

struct Call {
    calls: Calls,
    offer: Arc<Offer>,
    call: ServedCall,
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

/// How a stream ended.
enum Ending {
    Done { last: Vec<ServedEvent>, usage: Usage },
    Failed { error: RelayError, usage: Option<Usage> },
}

impl Call {
    async fn run(self, held: Held) {
        let (settlement, last) = if self.call.stream { self.streamed().await } else { self.whole().await };
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
            Ok(ServedAnswer::Whole { body, usage }) => (Settlement::Charge(usage), Heard::Whole(body)),
            Ok(ServedAnswer::Stream(_)) => self.nothing(garbage("a stream where none was asked for")),
            Err(error) => self.nothing(error),
        }
    }

    async fn streamed(&self) -> (Settlement, Heard) {
        let upstream = CancellationToken::new();
        let _close = upstream.clone().drop_guard();
        let mut passed = 0;
        let ending = {
            let reading = self.read(&upstream, &mut passed);
            tokio::pin!(reading);
            tokio::select! {
                ending = &mut reading => Some(ending),
                () = self.left() => {
                    upstream.cancel();
                    timeout(STOPPED, reading).await.ok()
                }
            }
        };
        match ending.unwrap_or_else(|| self.lost(RelayError::Cancelled, passed)) {
            Ending::Done { usage, .. } if upstream.is_cancelled() => {
                (Settlement::Charge(usage), Heard::Failed(RelayError::Cancelled))
            }
            Ending::Done { last, usage } => (Settlement::Charge(usage), Heard::End(last)),
            Ending::Failed { error, usage: Some(usage) } => (Settlement::Charge(usage), Heard::Failed(error)),
            Ending::Failed { error, usage: None } => self.nothing(error),
        }
    }

    /// It failed before any output.
    fn nothing(&self, error: RelayError) -> (Settlement, Heard) {
        tracing::info!(channel = %self.offer.channel_id, code = error.code(), "a call brought nothing");
        let reason = if error == RelayError::Cancelled { ReleaseReason::Cancelled } else { ReleaseReason::Failed };
        (Settlement::Release(reason), Heard::Failed(error))
    }

    /// A provider that breaks its promise and does not say how it ended. An event is about a token.
    fn lost(&self, error: RelayError, passed: u64) -> Ending {
        let usage = || Usage::new(self.call.envelope.input_tokens, passed, Basis::Estimated);
        Ending::Failed { error, usage: (passed > 0).then(usage) }
    }

    /// Passes on every event until the end, and counts them.
    async fn read(&self, upstream: &CancellationToken, passed: &mut u64) -> Ending {
        let asked = Instant::now();
        let mut stream = match self.ask(upstream).await {
            Ok(ServedAnswer::Stream(stream)) => stream,
            Ok(ServedAnswer::Whole { .. }) => {
                return self.lost(garbage("a whole answer where a stream was asked for"), 0);
            }
            Err(error) => return self.lost(error, 0),
        };
        while let Some(frame) = stream.next().await {
            match frame {
                ServedFrame::Event(event) => {
                    if *passed == 0 {
                        metrics::histogram!("api_first_chunk_seconds").record(asked.elapsed().as_secs_f64());
                    }
                    *passed += 1;
                    self.tell(Heard::Event(event)).await;
                }
                ServedFrame::Done { last, usage } => return Ending::Done { last, usage },
                ServedFrame::Failed { error, usage } => return Ending::Failed { error, usage },
            }
        }
        self.lost(RelayError::UpstreamCut, *passed)
    }

    /// Asks up to [`MAX_TRIES`] times while the failure may pass and somebody waits.
    async fn ask(&self, upstream: &CancellationToken) -> Result<ServedAnswer, RelayError> {
        let begun = Instant::now();
        let mut tries = 1;
        loop {
            let error = match self.offer.provider.call(self.call.clone(), upstream.clone()).await {
                Ok(answer) => {
                    self.tell(Heard::Taken(Route { tries })).await;
                    return Ok(answer);
                }
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
}

fn garbage(what: &str) -> RelayError {
    RelayError::UpstreamGarbage(what.to_owned())
}
