//! From upstream bytes to the steps of an answer, with every end accounted for.
//!
//! One reader serves all dialects; what an event means is a [`Listener`]'s affair. An answer is complete when its listener
//! says so or `[DONE]` came; a body that ends before is `upstream_cut`. A usage may follow the end of the text, so reading
//! goes on after it, but nothing that happens there can spoil the answer.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::asked::Question;
use super::events::{Events, ReadError};
use super::hidden::Hidden;
use super::usage::{final_usage, vain_usage};
use crate::count::Generated;
use crate::http::Limits;
use crate::sse::Event;
use crate::{RelayError, Usage};

/// How long the usage and the end may follow the end of the text.
const GRACE_AFTER_FINISH: Duration = Duration::from_secs(5);
/// How long the end of the body may follow the end of the answer; then the connection is closed instead of kept.
const GRACE_FOR_CONNECTION: Duration = Duration::from_secs(1);

/// Understands the events of one answer.
pub(super) trait Listener: Send + 'static {
    /// What a caller gets of an event.
    type Step: Send;

    /// Adds to `heard` what an event amounts to.
    ///
    /// # Errors
    /// The event is malformed, or the provider's word that the answer failed.
    fn hear(&mut self, name: Option<&str>, data: String, heard: &mut Heard<Self::Step>) -> Result<(), RelayError>;

    /// Whether everything that was asked for has come; only the usage may follow.
    fn is_finished(&self) -> bool;

    /// Whether an end here is no cut.
    fn may_end(&self) -> bool {
        self.is_finished()
    }
}

/// What was heard of one answer until now.
pub(super) struct Heard<S> {
    /// What the caller has not got yet.
    pub(super) steps: VecDeque<S>,
    /// The provider's last word.
    pub(super) usage: Option<Usage>,
    /// Everything that was generated.
    pub(super) generated: Generated,
}

impl<S> Default for Heard<S> {
    fn default() -> Self {
        Self { steps: VecDeque::new(), usage: None, generated: Generated::default() }
    }
}

/// One answer being read. Dropping it closes the upstream connection.
pub(super) struct Reading<L: Listener> {
    /// `None` once the answer ended: dropped early so that a cancelled generation stops before anything is counted.
    events: Option<Events>,
    pub(super) listener: L,
    cancel: CancellationToken,
    /// One for the whole answer: it is looked at whenever something is waited for.
    cancelled: Pin<Box<WaitForCancellationFutureOwned>>,
    limits: Limits,
    hidden: Arc<Hidden>,
    deadline: Instant,
    /// One for the whole answer, too; it may ring too early and never rings too late.
    alarm: Pin<Box<Sleep>>,
    question: Question,
    heard: Heard<L::Step>,
    /// The end that came before anything else.
    ending: Option<Taken>,
    /// Nothing more comes from the connection.
    is_at_end: bool,
}

/// What the caller gets next.
pub(super) enum Next<S> {
    Step(S),
    /// Exactly once and last, unless it failed.
    End {
        cancelled: bool,
        usage: Usage,
    },
    /// Last, with what was consumed until then; `None` where nothing was generated.
    Failed {
        error: RelayError,
        usage: Option<Usage>,
    },
}

enum Input {
    Cancelled,
    TooLate,
    End,
    Event(Event),
    Failed(ReadError),
}

/// What an input amounts to.
enum Taken {
    GoOn,
    End { cancelled: bool },
}

impl<L: Listener> Reading<L> {
    pub(super) fn new(
        events: Events,
        listener: L,
        (limits, hidden): (Limits, Arc<Hidden>),
        question: Question,
        cancel: CancellationToken,
    ) -> Self {
        let now = Instant::now();
        Self {
            events: Some(events),
            listener,
            cancelled: Box::pin(cancel.clone().cancelled_owned()),
            cancel,
            limits,
            hidden,
            deadline: now + limits.total,
            alarm: Box::pin(sleep_until(now + limits.total.min(limits.idle))),
            question,
            heard: Heard::default(),
            ending: None,
            is_at_end: false,
        }
    }

    /// Reads until there is something to tell, so that what fails at once fails before anybody was told anything.
    ///
    /// # Errors
    /// What ended the answer before its first step.
    pub(super) async fn begun(mut self) -> Result<Self, RelayError> {
        while self.heard.steps.is_empty() && self.ending.is_none() {
            let Some(input) = self.read().await else { break };
            match self.take(input)? {
                Taken::GoOn => {}
                Taken::End { cancelled: true } => return Err(RelayError::Cancelled),
                // An answer without a word.
                end @ Taken::End { .. } => self.ending = Some(end),
            }
        }
        Ok(self)
    }

    /// What happens next; `None` after the end.
    pub(super) async fn next(&mut self) -> Option<Next<L::Step>> {
        loop {
            if let Some(step) = self.heard.steps.pop_front() {
                return Some(Next::Step(step));
            }
            let taken = match self.ending.take() {
                Some(ending) => Ok(ending),
                None => {
                    let input = self.read().await?;
                    self.take(input)
                }
            };
            match taken {
                Ok(Taken::GoOn) => {}
                Ok(Taken::End { cancelled }) => {
                    self.close(cancelled);
                    let generated = std::mem::take(&mut self.heard.generated);
                    let usage = final_usage(self.heard.usage, !cancelled, self.question.clone(), generated).await;
                    return Some(Next::End { cancelled, usage });
                }
                Err(error) => {
                    self.events = None;
                    let generated = std::mem::take(&mut self.heard.generated);
                    let usage = vain_usage(self.heard.usage, self.question.clone(), generated).await;
                    return Some(Next::Failed { error, usage });
                }
            }
        }
    }

    /// Ends the connection: at once where the answer was cancelled, else by its own end, so that it can be used again.
    fn close(&mut self, cancelled: bool) {
        let Some(events) = self.events.take().filter(|_| !cancelled && !self.is_at_end) else { return };
        let mut rest = Box::pin(tokio::time::timeout(GRACE_FOR_CONNECTION, events.drain()));
        // Most often the end is there already.
        if rest.as_mut().now_or_never().is_none() {
            tokio::spawn(rest);
        }
    }

    /// The next thing that happens, or `None` if the answer already ended.
    async fn read(&mut self) -> Option<Input> {
        let events = self.events.as_mut()?;
        let idle = if self.listener.is_finished() { GRACE_AFTER_FINISH } else { self.limits.idle };
        let mut since = None;
        let input = loop {
            if self.cancel.is_cancelled() {
                break Input::Cancelled;
            }
            match events.next() {
                Some(Ok(event)) => break Input::Event(event),
                Some(Err(error)) => break Input::Failed(error),
                None if events.is_at_end() => break Input::End,
                None => {}
            }
            if events.is_alive() || since.is_none() {
                since = Some(Instant::now());
            }
            let due = since.map_or(self.deadline, |since| self.deadline.min(since + idle));
            if due < self.alarm.deadline() {
                self.alarm.as_mut().reset(due);
            }
            tokio::select! {
                biased;
                () = &mut self.cancelled => break Input::Cancelled,
                more = events.more() => if let Err(error) = more {
                    break Input::Failed(error);
                },
                () = &mut self.alarm => match Instant::now() {
                    now if now >= self.deadline => break Input::TooLate,
                    now if now >= due => break Input::Failed(ReadError::Idle),
                    _ => self.alarm.as_mut().reset(due),
                },
            }
        };
        self.is_at_end = matches!(input, Input::End | Input::Failed(_));
        Some(input)
    }

    fn take(&mut self, input: Input) -> Result<Taken, RelayError> {
        // What follows the end of the text can add the usage and nothing else.
        let finished = self.listener.is_finished();
        match input {
            Input::Cancelled => Ok(Taken::End { cancelled: true }),
            Input::Event(event) if event.data == "[DONE]" => Ok(Taken::End { cancelled: false }),
            Input::Event(event) => match self.hear(event) {
                Err(_) if finished => Ok(Taken::End { cancelled: false }),
                Err(error) => Err(error),
                Ok(()) => Ok(Taken::GoOn),
            },
            Input::End if self.listener.may_end() => Ok(Taken::End { cancelled: false }),
            _ if finished => Ok(Taken::End { cancelled: false }),
            Input::End | Input::Failed(ReadError::Broken) => Err(RelayError::UpstreamCut),
            Input::TooLate => Err(self.limits.too_slow("the whole answer", self.limits.total)),
            Input::Failed(ReadError::Idle) => Err(self.limits.too_slow("the next piece", self.limits.idle)),
            Input::Failed(ReadError::Garbage(what)) => Err(RelayError::UpstreamGarbage(what.to_owned())),
        }
    }

    fn hear(&mut self, event: Event) -> Result<(), RelayError> {
        let Event { name, data, complete } = event;
        let (finished, before) = (self.listener.is_finished(), self.heard.generated.lengths());
        let outcome = match self.listener.hear(name.as_deref(), data, &mut self.heard) {
            // Half an event at the end of the body was cut, not malformed.
            Err(RelayError::UpstreamGarbage(_)) if !complete => Err(RelayError::UpstreamCut),
            Ok(()) if !finished && self.heard.generated.bytes() > self.limits.answer_bytes => {
                Err(RelayError::UpstreamGarbage("the answer is longer than any model's".to_owned()))
            }
            outcome => outcome.map_err(|error| self.hidden.clean(error)),
        };
        if finished || outcome.is_err() {
            self.heard.generated.cut(before);
        }
        if outcome.is_err() {
            self.heard.steps.clear();
        }
        outcome
    }
}
