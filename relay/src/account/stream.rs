//! From upstream bytes to the steps of an answer, with every end accounted for.
//!
//! One reader serves all dialects; what an event means is a [`Listener`]'s affair. An answer is complete when its listener
//! says so or `[DONE]` came; a body that ends before is `upstream_cut`. A usage may follow the end of the text, so reading
//! goes on after it, but nothing that happens there can spoil the answer.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use super::alarm::{Alarm, Rung};
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
pub(super) trait Listener: Send + Unpin + 'static {
    /// What a caller gets of an event.
    type Step: Send + 'static;

    /// Adds to `heard` what an event amounts to.
    ///
    /// # Errors
    /// The event is malformed, or the provider's word that the answer failed.
    fn hear(&mut self, name: Option<&str>, data: &str, heard: &mut Heard<Self::Step>) -> Result<(), RelayError>;

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
    alarm: Alarm,
    limits: Limits,
    hidden: Arc<Hidden>,
    question: Question,
    heard: Heard<L::Step>,
    /// The end that came before anything else.
    ending: Option<Taken>,
    /// The last that the caller gets, being made.
    last: Option<BoxFuture<'static, Next<L::Step>>>,
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

enum Input<'e> {
    Rung(Rung),
    End,
    Event(Event<'e>),
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
        Self {
            events: Some(events),
            listener,
            alarm: Alarm::new(limits, cancel),
            limits,
            hidden,
            question,
            heard: Heard::default(),
            ending: None,
            last: None,
            is_at_end: false,
        }
    }

    /// Reads until there is something to tell, so that what fails at once fails before anybody was told anything.
    ///
    /// # Errors
    /// What ended the answer before its first step.
    pub(super) async fn begun(mut self) -> Result<Self, RelayError> {
        while self.heard.steps.is_empty() && self.ending.is_none() {
            match poll_fn(|context| self.poll_input(context)).await {
                None => break,
                Some(Ok(Taken::GoOn)) => {}
                Some(Ok(Taken::End { cancelled: true })) => return Err(RelayError::Cancelled),
                // An answer without a word.
                Some(Ok(end @ Taken::End { .. })) => self.ending = Some(end),
                Some(Err(error)) => return Err(error),
            }
        }
        Ok(self)
    }

    /// What happens next; `None` after the end.
    pub(super) async fn next(&mut self) -> Option<Next<L::Step>> {
        poll_fn(|context| self.poll_next(context)).await
    }

    /// The same.
    pub(super) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Next<L::Step>>> {
        loop {
            if let Some(step) = self.heard.steps.pop_front() {
                return Poll::Ready(Some(Next::Step(step)));
            }
            if let Some(last) = &mut self.last {
                let next = ready!(last.as_mut().poll(context));
                self.last = None;
                return Poll::Ready(Some(next));
            }
            let taken = match self.ending.take() {
                Some(ending) => Some(Ok(ending)),
                None => ready!(self.poll_input(context)),
            };
            match taken {
                None => return Poll::Ready(None),
                Some(Ok(Taken::GoOn)) => {}
                Some(Ok(Taken::End { cancelled })) => {
                    self.close(cancelled);
                    let (usage, question, generated) = self.consumed();
                    self.last = Some(Box::pin(async move {
                        let usage = final_usage(usage, !cancelled, question, generated).await;
                        Next::End { cancelled, usage }
                    }));
                }
                Some(Err(error)) => {
                    self.events = None;
                    let (usage, question, generated) = self.consumed();
                    self.last = Some(Box::pin(async move {
                        Next::Failed { error, usage: vain_usage(usage, question, generated).await }
                    }));
                }
            }
        }
    }

    /// What the usage is made of, at the end.
    fn consumed(&mut self) -> (Option<Usage>, Question, Generated) {
        (self.heard.usage, self.question.clone(), std::mem::take(&mut self.heard.generated))
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

    /// What the next thing that happens amounts to; `None` if the answer already ended.
    fn poll_input(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Taken, RelayError>>> {
        let Self { events, listener, alarm, limits, hidden, heard, is_at_end, .. } = self;
        let Some(events) = events else { return Poll::Ready(None) };
        // What follows the end of the text can add the usage and nothing else.
        let finished = listener.is_finished();
        let idle = if finished { GRACE_AFTER_FINISH } else { limits.idle };
        let input = loop {
            if alarm.is_cancelled() {
                break Input::Rung(Rung::Cancelled);
            }
            match events.next() {
                Some(Ok(event)) => break Input::Event(event),
                Some(Err(error)) => break Input::Failed(error),
                None => {}
            }
            if events.is_at_end() {
                break Input::End;
            }
            match events.poll_more(context) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => break Input::Failed(error),
                Poll::Pending => break Input::Rung(ready!(alarm.poll(events.is_alive(), idle, context))),
            }
        };
        alarm.event();
        *is_at_end = matches!(input, Input::End | Input::Failed(_));
        Poll::Ready(Some(match input {
            Input::Rung(Rung::Cancelled) => Ok(Taken::End { cancelled: true }),
            Input::Event(event) if event.data == "[DONE]" => Ok(Taken::End { cancelled: false }),
            Input::Event(event) => match hear(listener, &event, heard, (limits, hidden)) {
                Err(_) if finished => Ok(Taken::End { cancelled: false }),
                heard => heard.map(|()| Taken::GoOn),
            },
            Input::End if listener.may_end() => Ok(Taken::End { cancelled: false }),
            _ if finished => Ok(Taken::End { cancelled: false }),
            Input::End | Input::Failed(ReadError::Broken) => Err(RelayError::UpstreamCut),
            Input::Rung(Rung::TooLate) => Err(limits.too_slow("the whole answer", limits.total)),
            Input::Rung(Rung::Silent) => Err(limits.too_slow("the next piece", limits.idle)),
            Input::Failed(ReadError::Garbage(what)) => Err(RelayError::UpstreamGarbage(what.to_owned())),
        }))
    }
}

/// Lets an event be heard; nothing of one that is refused remains.
fn hear<L: Listener>(
    listener: &mut L,
    event: &Event<'_>,
    heard: &mut Heard<L::Step>,
    (limits, hidden): (&Limits, &Hidden),
) -> Result<(), RelayError> {
    let (finished, before) = (listener.is_finished(), heard.generated.lengths());
    let outcome = match listener.hear(event.name.as_deref(), &event.data, heard) {
        // Half an event at the end of the body was cut, not malformed.
        Err(RelayError::UpstreamGarbage(_)) if !event.complete => Err(RelayError::UpstreamCut),
        Ok(()) if !finished && heard.generated.bytes() > limits.answer_bytes => {
            Err(RelayError::UpstreamGarbage("the answer is longer than any model's".to_owned()))
        }
        outcome => outcome.map_err(|error| hidden.clean(error)),
    };
    if finished || outcome.is_err() {
        heard.generated.cut(before);
    }
    if outcome.is_err() {
        heard.steps.clear();
    }
    outcome
}
