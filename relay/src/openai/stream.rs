//! From upstream bytes to the steps of an answer, with every end accounted for.
//!
//! One reader serves the compatible API, which gets the chunks, and our own chats, which get their text. An answer is
//! complete when every choice has its finish reason or `[DONE]` came; a body that ends before is `upstream_cut`. The
//! usage frame follows the finish reason, so reading goes on after it, but nothing that happens there can spoil the
//! answer.

use std::time::Duration;

use futures::stream;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tokio::io::AsyncRead;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::chunk::ChunkReader;
use super::request::Asked;
use super::told::Told;
use super::{Limits, usage};
use crate::count::Generated;
use crate::sse::{Event, EventReader, ReadError};
use crate::{Basis, Envelope, Finish, RelayError, ReplyDelta, ReplyStream, ServedFrame, ServedStream, Usage, count};

/// How long the usage frame and the end may follow the finish reason.
const GRACE_AFTER_FINISH: Duration = Duration::from_secs(5);

/// The bytes of one upstream answer.
pub(super) type Source = Box<dyn AsyncRead + Send + Unpin>;

/// One answer being read. Dropping it closes the upstream connection.
pub(super) struct Answer {
    /// `None` once the answer ended: dropped early so that a cancelled generation stops before anything is counted.
    events: Option<EventReader<Source>>,
    chunks: ChunkReader,
    cancel: CancellationToken,
    limits: Limits,
    deadline: Instant,
    secret: Option<SecretString>,
    asked: Asked,
    generated: Generated,
    usage: Option<Usage>,
}

enum Input {
    Cancelled,
    TooLate,
    End,
    Event(Event),
    Failed(ReadError),
}

/// What the caller gets next.
enum Step {
    Chunk(Value),
    End { cancelled: bool, usage: Usage },
}

/// What an input amounts to.
enum Taken {
    Nothing,
    Chunk(Value),
    End { cancelled: bool },
}

impl Answer {
    pub(super) fn new(
        source: Source,
        limits: Limits,
        secret: Option<SecretString>,
        asked: Asked,
        cancel: CancellationToken,
    ) -> Self {
        Self {
            events: Some(EventReader::new(source, limits.event_bytes)),
            chunks: ChunkReader::new(&asked),
            cancel,
            limits,
            deadline: Instant::now() + limits.total,
            secret,
            asked,
            generated: Generated::default(),
            usage: None,
        }
    }

    /// The answer as the compatible API gives it.
    pub(super) fn into_chunks(self, envelope: Envelope) -> ServedStream {
        Box::pin(stream::unfold((self, Told::new(envelope)), |(mut answer, mut told)| async move {
            let frame = match answer.next().await? {
                Ok(Step::Chunk(chunk)) => ServedFrame::Event(told.chunk(chunk)),
                Ok(Step::End { cancelled: true, usage }) => ServedFrame::Done { last: vec![], usage },
                Ok(Step::End { usage, .. }) => {
                    ServedFrame::Done { last: told.usage(&usage).into_iter().collect(), usage }
                }
                Err(error) => ServedFrame::Failed { error, usage: answer.consumed_in_vain().await },
            };
            Some((frame, (answer, told)))
        }))
    }

    /// What was consumed where the provider does not come to say it.
    async fn consumed_in_vain(&mut self) -> Option<Usage> {
        let generated = std::mem::take(&mut self.generated);
        if generated.is_empty() {
            return None;
        }
        let usage = final_usage(None, self.asked.take(), generated).await;
        Some(Usage { basis: Basis::Estimated, ..usage })
    }

    /// The answer as its text.
    pub(super) fn into_reply(self) -> ReplyStream {
        let reply = Reply { answer: self, finish: None };
        Box::pin(stream::unfold(reply, |mut reply| async move {
            let step = reply.next().await?;
            Some((step, reply))
        }))
    }

    async fn next(&mut self) -> Option<Result<Step, RelayError>> {
        loop {
            let input = self.read().await?;
            match self.take(input) {
                Ok(Taken::Nothing) => {}
                Ok(Taken::Chunk(chunk)) => return Some(Ok(Step::Chunk(chunk))),
                Ok(Taken::End { cancelled }) => {
                    self.events = None;
                    let (asked, generated) = (self.asked.take(), std::mem::take(&mut self.generated));
                    let usage = final_usage(self.usage, asked, generated).await;
                    return Some(Ok(Step::End { cancelled, usage }));
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
        let idle = if self.chunks.is_finished() { GRACE_AFTER_FINISH } else { self.limits.idle };
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

    fn take(&mut self, input: Input) -> Result<Taken, RelayError> {
        // What follows the last finish reason can add the usage and nothing else.
        let finished = self.chunks.is_finished();
        match input {
            Input::Cancelled => Ok(Taken::End { cancelled: true }),
            Input::Event(event) if event.data == "[DONE]" => Ok(Taken::End { cancelled: false }),
            Input::Event(event) => match self.take_chunk(&event, finished) {
                Err(_) if finished => Ok(Taken::End { cancelled: false }),
                taken => taken,
            },
            Input::End if self.chunks.may_end() => Ok(Taken::End { cancelled: false }),
            _ if finished => Ok(Taken::End { cancelled: false }),
            Input::End | Input::Failed(ReadError::Broken) => Err(RelayError::UpstreamCut),
            Input::TooLate => Err(self.limits.too_slow("the whole answer", self.limits.total)),
            Input::Failed(ReadError::Idle) => Err(self.limits.too_slow("the next piece", self.limits.idle)),
            Input::Failed(ReadError::Garbage(what)) => Err(RelayError::UpstreamGarbage(what.to_owned())),
        }
    }

    fn take_chunk(&mut self, event: &Event, finished: bool) -> Result<Taken, RelayError> {
        let secret = self.secret.as_ref().map(ExposeSecret::expose_secret);
        let chunk = match self.chunks.read(&event.data, secret) {
            // Half a chunk at the end of the body was cut, not malformed.
            Err(RelayError::UpstreamGarbage(_)) if !event.complete => return Err(RelayError::UpstreamCut),
            chunk => chunk?,
        };
        self.usage = chunk.usage.or(self.usage);
        if finished {
            return Ok(Taken::Nothing);
        }
        if self.generated.bytes() + chunk.generated.bytes() > self.limits.answer_bytes {
            return Err(RelayError::UpstreamGarbage("the answer is longer than any model's".to_owned()));
        }
        self.generated.append(&chunk.generated);
        Ok(chunk.value.map_or(Taken::Nothing, Taken::Chunk))
    }
}

/// The provider's numbers, or our own where it gave none or none that can be believed.
pub(super) async fn final_usage(reported: Option<Usage>, asked: Asked, generated: Generated) -> Usage {
    if let Some(usage) = reported.filter(|usage| usage::is_believable(usage, &generated)) {
        return usage;
    }
    // Counting is arithmetic of milliseconds up to a second; it must not hold up other answers.
    let bytes = generated.bytes() as u64;
    let counted = tokio::task::spawn_blocking(move || count::count(asked.model(), &asked.body, &generated)).await;
    // It does not panic; if it did, the answer alone would be estimated.
    counted.unwrap_or_else(|_| Usage::new(0, bytes.div_ceil(4), Basis::Estimated))
}

/// An answer of which only the first choice's text is wanted.
struct Reply {
    answer: Answer,
    finish: Option<Finish>,
}

impl Reply {
    async fn next(&mut self) -> Option<Result<ReplyDelta, RelayError>> {
        loop {
            let chunk = match self.answer.next().await? {
                Ok(Step::Chunk(chunk)) => chunk,
                Ok(Step::End { cancelled, usage }) => {
                    let otherwise = if cancelled { Finish::Cancelled } else { Finish::Stop };
                    return Some(Ok(ReplyDelta::Done {
                        finish: self.finish.take().unwrap_or(otherwise),
                        usage: Some(usage),
                    }));
                }
                Err(error) => return Some(Err(error)),
            };
            let Some(choice) = chunk.pointer("/choices/0") else { continue };
            let reason = choice.get("finish_reason").and_then(Value::as_str);
            self.finish = self.finish.take().or(reason.map(finish));
            let part = |key: &str| choice.pointer(key).and_then(Value::as_str).unwrap_or_default();
            let text = part("/delta/content").to_owned() + part("/delta/refusal");
            if !text.is_empty() {
                return Some(Ok(ReplyDelta::Text(text)));
            }
        }
    }
}

fn finish(reason: &str) -> Finish {
    match reason {
        "stop" => Finish::Stop,
        "length" => Finish::Length,
        "content_filter" => Finish::ContentFilter,
        _ => Finish::Other(reason.to_owned()),
    }
}
