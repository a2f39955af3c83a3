//! One call of a provider, from its first byte to its settlement, whoever still listens.
//!
//! Promise: the provider is read whether somebody listens or not. A client that goes away, or stops reading, is waited for
//! no longer than the drain time, or that of the channel that answers, nor for more tokens than its operator allows; then
//! the provider is stopped and what it generated until then is settled. A whole answer is let finish, because half of it
//! has no price. A failure before any output gives the hold back; work that dies leaves its hold to expire by policy. At
//! shutdown streams are stopped at once and settled. Whose task does all that is the affair of `line`.

use std::{
    ops::Deref,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use domain::{
    billing::ReleaseReason,
    relay::{Drain, ResponseCommand},
};
use futures::StreamExt as _;
use metering::{Catalogue, Choices, Following, Held, Known, Meter, Offer};
use relay::{Basis, PassedEvent, RelayError, ServedAnswer, ServedCall, ServedEvent, ServedFrame, ServedStream, Usage};
use routing::{Answered, Asked, Demand, Tries, Waiting};
use serde_json::Value;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    line::{Lines, Listener, Speaker},
    signatures::Signatures,
    story::Story,
};
use crate::{openai::Kept, problem::Problem};

/// A provider that was stopped ends within moments; after this time it is not waited for.
const STOPPED: Duration = Duration::from_secs(10);
/// The end of an answer waits so long for its settlement, so that a balance read after it includes it.
pub(super) const SETTLED: Duration = Duration::from_secs(2);
/// A shutdown waits so long for it, at most.
pub(super) const SETTLED_AT_LAST: Duration = Duration::from_secs(600);

/// Makes calls. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Calls(Arc<Shared>);

/// What all calls share.
pub(crate) struct Shared {
    pub(super) catalogue: Catalogue,
    pub(super) meter: Meter,
    pub(super) signatures: Signatures,
    pub(super) lines: Lines,
    pub(super) drain: Duration,
    shutdown: CancellationToken,
    /// KiB of requests under way.
    room: Arc<Semaphore>,
}

/// A call whose price is known and whose credit is held.
pub(super) struct Paid {
    /// Who may answer.
    pub(super) choices: Choices,
    pub(super) known: Known,
    /// Without the model and the key, which are those of whoever is asked.
    pub(super) call: ServedCall,
    pub(super) held: Held,
    /// What is written down beside.
    pub(super) kept: Option<Kept>,
}

/// What the client's side is told. `End`, `Whole`, `PassedWhole` and `Failed` are the last, and come after the settlement.
pub(super) enum Heard {
    /// A provider took the call; comes first, unless nobody did.
    Taken(Route),
    Event(ServedEvent),
    Passed(PassedEvent),
    End(Vec<ServedEvent>),
    Whole(Value),
    PassedWhole(String),
    Failed(RelayError),
}

/// How a call came to its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Route {
    /// How often somebody was asked, the successful time included.
    pub(super) tries: u32,
    /// What users are told of the channel that answers.
    pub(super) channel: Arc<str>,
    /// The model that answers, as users name it.
    pub(super) model: Arc<str>,
}

impl Deref for Calls {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl Calls {
    /// `max_bytes` of requests are under way at the same time.
    pub(crate) fn new(
        (catalogue, meter, signatures): (Catalogue, Meter, Signatures),
        tracker: TaskTracker,
        drain: Duration,
        max_bytes: usize,
        shutdown: CancellationToken,
    ) -> Self {
        let room = Arc::new(Semaphore::new(max_bytes / 1024));
        let lines = Lines::new(tracker, shutdown.clone());
        Self(Arc::new(Shared { catalogue, meter, signatures, lines, drain, shutdown, room }))
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

    /// Makes the call, which keeps `room` until it is over. Dropping the listener is the client going away.
    pub(super) fn begin(&self, paid: Paid, following: Following, room: OwnedSemaphorePermit) -> Listener<Heard> {
        let Paid { choices, known, call, held, kept } = paid;
        let demand = choices.demand(&known, Tries::default());
        let (calls, drain, story) = (self.clone(), OnceLock::new(), Story::new(following));
        self.lines
            .open(|listener| Call { calls, choices, demand, call, kept, listener, drain, story, _room: room }.run(held))
    }
}

struct Call {
    calls: Calls,
    choices: Choices,
    demand: Demand,
    call: ServedCall,
    kept: Option<Kept>,
    listener: Speaker<Heard>,
    /// How far the channel that answers is read on for nobody, where its operator says so.
    drain: OnceLock<Drain>,
    story: Story,
    _room: OwnedSemaphorePermit,
}

/// What remains to be done with the hold.
enum Settlement {
    /// By whoever answered.
    Charge(Usage, Arc<Offer>),
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
        let usage = if let Settlement::Charge(usage, _) = &settlement { Some(usage) } else { None };
        self.story.ends(usage, &last);
        let settling = match settlement {
            Settlement::Charge(usage, by) => held.settle(&usage, &by),
            Settlement::Release(reason) => held.release(reason),
        };
        // Both before the end is told, so that a balance, or the response, that is read after it includes it.
        let (settling, keeping) = (settling.wait(SETTLED_AT_LAST), self.write(self.ending(&last)));
        let settling = async { futures::join!(settling, keeping) };
        let mut settling = Box::pin(settling);
        let in_time = timeout(SETTLED, &mut settling).await;
        self.listener.tell(last).await;
        if in_time.is_err() {
            // The client has its answer; the shutdown still knows of this.
            settling.await;
        }
    }

    /// What is written down of the end where the answer is kept.
    fn ending(&self, last: &Heard) -> Option<ResponseCommand> {
        let kept = self.kept.as_ref()?;
        match last {
            Heard::Whole(body) => Some(kept.completed(body)),
            Heard::End(events) => Some(kept.told(events)),
            Heard::Failed(error) => Some(kept.failed(error)),
            Heard::PassedWhole(body) => Some(kept.completed(&serde_json::from_str(body).unwrap_or_default())),
            Heard::Taken(_) | Heard::Event(_) | Heard::Passed(_) => None,
        }
    }

    async fn write(&self, ending: Option<ResponseCommand>) {
        if let (Some(kept), Some(ending)) = (&self.kept, ending) {
            kept.end(&ending).await;
        }
    }

    async fn whole(&self) -> (Settlement, Heard) {
        match self.ask(&CancellationToken::new()).await {
            Ok((ServedAnswer::Whole { body, usage }, by)) => (Settlement::Charge(usage, by), Heard::Whole(body)),
            Ok((ServedAnswer::Passed { body, usage }, by)) => (Settlement::Charge(usage, by), Heard::PassedWhole(body)),
            Ok((ServedAnswer::Stream(_), _)) => self.nothing(garbage("a stream where none was asked for")),
            Err(error) => self.nothing(error),
        }
    }

    async fn streamed(&self) -> (Settlement, Heard) {
        let upstream = CancellationToken::new();
        let _close = upstream.clone().drop_guard();
        let (mut passed, mut by) = (0, Arc::clone(self.choices.first()));
        let ending = {
            let mut reading = Box::pin(self.read(&upstream, &mut passed, &mut by));
            tokio::select! {
                biased;
                ending = &mut reading => Some(ending),
                () = self.left() => {
                    upstream.cancel();
                    timeout(STOPPED, reading).await.ok()
                }
            }
        };
        match ending.unwrap_or_else(|| self.lost(RelayError::Cancelled, passed)) {
            Ending::Done { usage, .. } if upstream.is_cancelled() => {
                (Settlement::Charge(usage, by), Heard::Failed(RelayError::Cancelled))
            }
            Ending::Done { last, usage } => (Settlement::Charge(usage, by), Heard::End(last)),
            Ending::Failed { error, usage: Some(usage) } => (Settlement::Charge(usage, by), Heard::Failed(error)),
            Ending::Failed { error, usage: None } => self.nothing(error),
        }
    }

    /// It failed before any output.
    fn nothing(&self, error: RelayError) -> (Settlement, Heard) {
        tracing::info!(model = self.choices.first().model, code = error.code(), "a call brought nothing");
        let reason = if error == RelayError::Cancelled { ReleaseReason::Cancelled } else { ReleaseReason::Failed };
        (Settlement::Release(reason), Heard::Failed(error))
    }

    /// A provider that breaks its promise and does not say how it ended. An event is about a token.
    fn lost(&self, error: RelayError, passed: u64) -> Ending {
        let usage = || Usage::new(self.call.envelope.input_tokens, passed, Basis::Estimated);
        Ending::Failed { error, usage: (passed > 0).then(usage) }
    }

    /// Passes on every event until the end, counts them, and says whose they are.
    async fn read(&self, upstream: &CancellationToken, passed: &mut u64, by: &mut Arc<Offer>) -> Ending {
        let asked = Instant::now();
        // What finding an answer takes is given back before the answer is read, which may take minutes.
        let mut stream: ServedStream = match Box::pin(self.ask(upstream)).await {
            Ok((ServedAnswer::Stream(stream), answering)) => {
                *by = answering;
                stream
            }
            Ok((ServedAnswer::Whole { .. } | ServedAnswer::Passed { .. }, _)) => {
                return self.lost(garbage("a whole answer where a stream was asked for"), 0);
            }
            Err(error) => return self.lost(error, 0),
        };
        let mut unheard = 0_u32;
        while let Some(frame) = stream.next().await {
            let heard = match frame {
                ServedFrame::Event(event) => {
                    if let Some(kept) = &self.kept {
                        kept.hear(&event);
                    }
                    Heard::Event(event)
                }
                // What is kept is told in events that are written here.
                ServedFrame::Passed(event) => Heard::Passed(event),
                ServedFrame::Done { last, usage } => return Ending::Done { last, usage },
                ServedFrame::Failed { error, usage } => return Ending::Failed { error, usage },
            };
            if *passed == 0 {
                self.story.speaks();
                metrics::histogram!("api_first_chunk_seconds").record(asked.elapsed().as_secs_f64());
            }
            *passed += 1;
            self.listener.tell(heard).await;
            if self.listener.is_alone() {
                unheard += 1;
                // An event is about a token.
                if self.drain.get().is_some_and(|drain| unheard > drain.tokens) {
                    upstream.cancel();
                }
            }
        }
        self.lost(RelayError::UpstreamCut, *passed)
    }

    /// Asks one after the other of those who may answer, while somebody waits; the answer has begun.
    async fn ask(&self, upstream: &CancellationToken) -> Result<(ServedAnswer, Arc<Offer>), RelayError> {
        let ask = |asked: Asked| {
            let (offer, upstream) = (Arc::clone(self.choices.offer(&asked)), upstream.clone());
            let most = [self.call.max_output_tokens, offer.max_output_tokens].into_iter().flatten().min();
            let (model, key) = (offer.upstream.clone(), asked.key);
            let call = ServedCall { model, key, max_output_tokens: most, ..self.call.clone() };
            async move { offer.provider.call(call, upstream).await }
        };
        let still = || !self.listener.is_alone();
        let waiting = Waiting { cancel: upstream, still: &still };
        let attempt = self.calls.catalogue.router().attempt(&self.demand, waiting, ask).await;
        let Answered { answer, by, story } = attempt.map_err(|unanswered| {
            self.story.asked(&unanswered.story, None);
            unanswered.error
        })?;
        let offer = Arc::clone(self.choices.offer(&by));
        self.story.asked(&story, Some(&offer));
        if let Some(drain) = offer.routing.drain {
            // Answered once, and said once.
            let _ = self.drain.set(drain);
        }
        let (channel, model) = self.choices.told(&by).unwrap_or_default();
        self.listener.tell(Heard::Taken(Route { tries: story.asked(), channel, model })).await;
        Ok((answer, offer))
    }

    /// Nobody has listened for the drain time, or the server goes down.
    async fn left(&self) {
        let of_channel = || self.drain.get().map(|drain| Duration::from_secs(drain.seconds.into()));
        self.listener.left(|| of_channel().unwrap_or(self.calls.drain)).await;
    }
}

fn garbage(what: &str) -> RelayError {
    RelayError::UpstreamGarbage(what.to_owned())
}
