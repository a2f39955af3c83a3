//! From upstream chunks to the steps of an answer, with every end accounted for.
//!
//! An answer is complete when a finish reason or `[DONE]` came; a body that ends before is `upstream_cut`. The usage
//! frame follows the finish reason, so reading goes on after it, but nothing that happens there can spoil the answer.

use std::time::Duration;

use futures::stream;
use secrecy::{ExposeSecret, SecretString};
use tokio::io::AsyncRead;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Limits, wire};
use crate::sse::{Event, EventReader, ReadError};
use crate::{Basis, Finish, RelayError, ReplyDelta, ReplyStream, Turn, Usage, count};

/// How long the usage frame and the end may follow the finish reason.
const GRACE_AFTER_FINISH: Duration = Duration::from_secs(5);

/// The bytes of one upstream answer.
pub(super) type Source = Box<dyn AsyncRead + Send + Unpin>;

/// One answer being read. Dropping it closes the upstream connection.
pub(super) struct Answer {
    /// `None` once the answer ended: dropped early so that a cancelled generation stops before anything is counted.
    events: Option<EventReader<Source>>,
    cancel: CancellationToken,
    limits: Limits,
    deadline: Instant,
    secret: Option<SecretString>,
    model: String,
    turns: Vec<Turn>,
    text: String,
    finish: Option<Finish>,
    usage: Option<Usage>,
}

enum Input {
    Cancelled,
    TooLate,
    End,
    Event(Event),
    Failed(ReadError),
}

impl Answer {
    pub(super) fn new(
        source: Source,
        limits: Limits,
        secret: Option<SecretString>,
        (model, turns): (String, Vec<Turn>),
        cancel: CancellationToken,
    ) -> Self {
        Self {
            events: Some(EventReader::new(source, limits.event_bytes)),
            cancel,
            limits,
            deadline: Instant::now() + limits.total,
            secret,
            model,
            turns,
            text: String::new(),
            finish: None,
            usage: None,
        }
    }

    /// The answer as a stream of steps.
    pub(super) fn into_stream(self) -> ReplyStream {
        Box::pin(stream::unfold(self, |mut answer| async move {
            let step = answer.next().await?;
            Some((step, answer))
        }))
    }

    async fn next(&mut self) -> Option<Result<ReplyDelta, RelayError>> {
        loop {
            let input = self.read().await?;
            match self.take(input) {
                Ok(None) => {}
                Ok(Some(Next::Text(text))) => return Some(Ok(ReplyDelta::Text(text))),
                Ok(Some(Next::End(finish))) => {
                    self.events = None;
                    let usage = self.final_usage().await;
                    return Some(Ok(ReplyDelta::Done { finish, usage }));
                }
                Err(error) => {
                    self.events = None;
                    return Some(Err(error));
                }
            }
        }
    }

    /// The next thing that happens, or `None` if the answer already ended.
    async fn read(&mut self) -> Option<Input> {
        let events = self.events.as_mut()?;
        let idle = if self.finish.is_some() { GRACE_AFTER_FINISH } else { self.limits.idle };
        Some(tokio::select! {
            biased;
            () = self.cancel.cancelled() => Input::Cancelled,
            () = tokio::time::sleep_until(self.deadline) => Input::TooLate,
            event = events.next(idle) => match event {
                None => Input::End,
                Some(Ok(event)) => Input::Event(event),
                Some(Err(error)) => Input::Failed(error),
            },
        })
    }

    fn take(&mut self, input: Input) -> Result<Option<Next>, RelayError> {
        // What follows the finish reason can add the usage and nothing else.
        let finished = self.finish.clone();
        match input {
            Input::Cancelled => Ok(Some(Next::End(finished.unwrap_or(Finish::Cancelled)))),
            Input::Event(event) if event.data == "[DONE]" => Ok(Some(Next::End(finished.unwrap_or(Finish::Stop)))),
            Input::Event(event) => match (self.take_chunk(&event), finished) {
                (Err(_), Some(finish)) => Ok(Some(Next::End(finish))),
                (step, _) => step,
            },
            _ if finished.is_some() => Ok(finished.map(Next::End)),
            Input::End | Input::Failed(ReadError::Broken) => Err(RelayError::UpstreamCut),
            Input::TooLate => Err(self.limits.too_slow("the whole answer", self.limits.total)),
            Input::Failed(ReadError::Idle) => Err(self.limits.too_slow("the next piece", self.limits.idle)),
            Input::Failed(ReadError::Garbage(what)) => Err(RelayError::UpstreamGarbage(what.to_owned())),
        }
    }

    fn take_chunk(&mut self, event: &Event) -> Result<Option<Next>, RelayError> {
        let secret = self.secret.as_ref().map(ExposeSecret::expose_secret);
        let step = match wire::read_chunk(&event.data, secret) {
            // Half a chunk at the end of the body was cut, not malformed.
            Err(RelayError::UpstreamGarbage(_)) if !event.complete => return Err(RelayError::UpstreamCut),
            step => step?,
        };
        self.usage = step.usage.or(self.usage);
        if self.finish.is_some() {
            return Ok(None);
        }
        self.finish = step.finish;
        if step.text.is_empty() {
            return Ok(None);
        }
        if self.text.len() + step.text.len() > self.limits.answer_bytes {
            return Err(RelayError::UpstreamGarbage("the answer is longer than any model's".to_owned()));
        }
        self.text.push_str(&step.text);
        Ok(Some(Next::Text(step.text)))
    }

    /// The provider's numbers, or our own where it gave none or says that a text that is there cost nothing.
    async fn final_usage(&mut self) -> Option<Usage> {
        let believable = |usage: &Usage| usage.input_tokens > 0 && (usage.output_tokens > 0 || self.text.is_empty());
        if let Some(usage) = self.usage.filter(|usage| usage.basis == Basis::Reported && believable(usage)) {
            return Some(usage);
        }
        let (model, turns, text) =
            (std::mem::take(&mut self.model), std::mem::take(&mut self.turns), std::mem::take(&mut self.text));
        // Counting is arithmetic of milliseconds up to a second; it must not hold up other answers.
        tokio::task::spawn_blocking(move || count::count(&model, &turns, &text)).await.ok()
    }
}

/// What the caller gets next.
enum Next {
    Text(String),
    End(Finish),
}
