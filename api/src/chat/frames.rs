//! What one reader still needs of one run: pure, no I/O.
//!
//! Promise: whatever is delivered twice, late or by a lost attempt, a reader that appends each `delta` and clears at
//! each `reset` ends with exactly the text of the reply. Offsets count Unicode code points.

use std::{fmt, str::FromStr};

use nats::live::{LiveError, LiveFrame, LiveKind};
use projections::chat::{FinishReason, Message, MessageStatus};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

/// Where a reader stands, as in `Last-Event-ID`: `run:attempt:offset`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) run: Uuid,
    pub(super) attempt: i32,
    /// Code points of the attempt's text that the reader has.
    pub(super) offset: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.run, self.attempt, self.offset)
    }
}

impl FromStr for Position {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.split(':');
        let (Some(run), Some(attempt), Some(offset), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(());
        };
        let position = Self {
            run: run.parse().map_err(drop)?,
            attempt: attempt.parse().map_err(drop)?,
            offset: offset.parse().map_err(drop)?,
        };
        if position.attempt < 0 { Err(()) } else { Ok(position) }
    }
}

/// Which run a frame is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct RunRef {
    run_id: Uuid,
    session_id: Uuid,
    message_id: Uuid,
    attempt: i32,
}

/// A frame for a reader.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Frame {
    Delta(Delta),
    Reset(RunRef),
    Done(Done),
}

/// `event: delta`: `text` starts at `offset`; drop what you have of it, append the rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = DeltaFrame)]
pub(crate) struct Delta {
    #[serde(flatten)]
    at: RunRef,
    offset: u64,
    text: String,
}

/// `event: done`: the end of a run.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = DoneFrame)]
pub(crate) struct Done {
    #[serde(flatten)]
    at: RunRef,
    /// The length of the whole text.
    #[serde(skip)]
    offset: u64,
    #[schema(value_type = EndStatus)]
    status: String,
    #[schema(required = true, value_type = Option<FinishReason>)]
    finish_reason: Option<String>,
    #[schema(required = true, value_type = Option<projections::chat::MessageError>)]
    error: Option<LiveError>,
    #[schema(required = true, value_type = Option<projections::chat::MessageUsage>)]
    usage: Option<Value>,
}

/// How a run ends.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "names the words in the OpenAPI document")]
pub(crate) enum EndStatus {
    Complete,
    Stopped,
    Failed,
}

impl Frame {
    /// Where a reader stands that has this frame.
    pub(super) fn position(&self) -> Position {
        let (at, offset) = match self {
            Self::Delta(delta) => (delta.at, delta.offset + count(&delta.text)),
            Self::Reset(at) => (*at, 0),
            Self::Done(done) => (done.at, done.offset),
        };
        Position { run: at.run_id, attempt: at.attempt, offset }
    }

    /// The `event:` line.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Delta(_) => "delta",
            Self::Reset(_) => "reset",
            Self::Done(_) => "done",
        }
    }

    /// The `data:` line.
    pub(super) fn data(&self) -> serde_json::Result<String> {
        match self {
            Self::Delta(delta) => serde_json::to_string(delta),
            Self::Reset(at) => serde_json::to_string(at),
            Self::Done(done) => serde_json::to_string(done),
        }
    }
}

/// What a reader has of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cursor {
    attempt: i32,
    offset: u64,
    /// The reader said so itself and nothing that it has not was sent since.
    is_claim: bool,
    /// The reader must clear its text before anything else.
    must_reset: bool,
    is_done: bool,
}

impl Cursor {
    /// A reader that has nothing.
    pub(super) const fn start() -> Self {
        Self { attempt: 0, offset: 0, is_claim: false, must_reset: false, is_done: false }
    }

    /// A reader that says that it is at `position`, while `attempt` is the newest one known. A place that does not exist
    /// is a restart; so is one that this node has not heard of yet, which costs no more than the same text again.
    pub(super) const fn resume(position: Position, attempt: i32) -> Self {
        let Position { attempt: claimed, offset, .. } = position;
        match (claimed, offset) {
            (0, 0) => Self::start(),
            _ if claimed < 1 || claimed > attempt => Self::restart(),
            _ => Self { attempt: claimed, offset, is_claim: true, ..Self::start() },
        }
    }

    /// A reader that named a place which does not exist: it clears its text and gets all.
    pub(super) const fn restart() -> Self {
        Self { must_reset: true, ..Self::start() }
    }

    /// Whether the reader has the end.
    pub(super) const fn is_done(&self) -> bool {
        self.is_done
    }

    /// Appends to `out` what the reader needs of a live frame. A frame that would leave a hole gives nothing: the read
    /// model will fill it in the end.
    pub(super) fn take(&mut self, frame: LiveFrame, out: &mut Vec<Frame>) {
        let at = RunRef {
            run_id: frame.run_id,
            session_id: frame.session_id,
            message_id: frame.message_id,
            attempt: frame.attempt,
        };
        if self.is_done || at.attempt < self.attempt {
            return;
        }
        match frame.kind {
            LiveKind::Reset => self.reset(at, out),
            LiveKind::Delta { text } => {
                self.begin(at, out);
                self.append(at, frame.offset, &text, out);
            }
            LiveKind::Done { status, finish_reason, error, usage } => {
                self.begin(at, out);
                // Shorter than the reader's: its place was wrong. Longer: something is missing. The read model knows.
                if frame.offset == self.offset {
                    self.is_done = true;
                    out.push(Frame::Done(Done { at, offset: frame.offset, status, finish_reason, error, usage }));
                }
            }
        }
    }

    /// Appends to `out` what the reader needs of a finished reply, `done` included.
    pub(super) fn finish(&mut self, message: &Message, run: Uuid, out: &mut Vec<Frame>) {
        if self.is_done {
            return;
        }
        let at = RunRef {
            run_id: run,
            session_id: message.session_id,
            message_id: message.id,
            attempt: message.attempt.unwrap_or(0),
        };
        let chars = count(&message.content);
        if self.attempt != at.attempt || self.offset > chars {
            self.must_reset |= self.attempt > 0;
            (self.attempt, self.offset) = (at.attempt, 0);
        }
        self.clear(at, out);
        self.append(at, 0, &message.content, out);
        self.is_done = true;
        out.push(Frame::Done(Done::of(message, at, chars)));
    }

    /// A writer begins (again) with nothing.
    fn reset(&mut self, at: RunRef, out: &mut Vec<Frame>) {
        if self.attempt == at.attempt && self.is_claim {
            // The beginning of the attempt in which the reader is already.
            return;
        }
        self.must_reset |= self.attempt > 0;
        (self.attempt, self.offset, self.is_claim) = (at.attempt, 0, false);
        self.clear(at, out);
    }

    /// Goes over to a later attempt, if this is one.
    fn begin(&mut self, at: RunRef, out: &mut Vec<Frame>) {
        if at.attempt > self.attempt {
            self.must_reset |= self.attempt > 0;
            (self.attempt, self.offset) = (at.attempt, 0);
        }
        self.is_claim = false;
        self.clear(at, out);
    }

    fn clear(&mut self, at: RunRef, out: &mut Vec<Frame>) {
        if self.must_reset {
            self.must_reset = false;
            // What was to be sent before it is void.
            out.retain(|frame| frame.position().run != at.run_id);
            out.push(Frame::Reset(at));
        }
    }

    fn append(&mut self, at: RunRef, offset: u64, text: &str, out: &mut Vec<Frame>) {
        let Some(known) = self.offset.checked_sub(offset) else { return };
        let fresh = skip_chars(text, known);
        if fresh.is_empty() {
            return;
        }
        let start = self.offset;
        self.offset += count(fresh);
        if let Some(Frame::Delta(last)) = out.last_mut()
            && last.at == at
            && last.offset + count(&last.text) == start
        {
            last.text.push_str(fresh);
            return;
        }
        out.push(Frame::Delta(Delta { at, offset: start, text: fresh.to_owned() }));
    }
}

impl Done {
    fn of(message: &Message, at: RunRef, offset: u64) -> Self {
        let status = match message.status {
            MessageStatus::Stopped => "stopped",
            MessageStatus::Failed => "failed",
            MessageStatus::Complete | MessageStatus::Pending | MessageStatus::Streaming => "complete",
        };
        let finish_reason = message.finish_reason.map(|reason| match reason {
            FinishReason::Stop => "stop",
            FinishReason::Length => "length",
            FinishReason::Stopped => "stopped",
            FinishReason::Error => "error",
        });
        let error = message.error.as_ref();
        Self {
            at,
            offset,
            status: status.to_owned(),
            finish_reason: finish_reason.map(str::to_owned),
            error: error.map(|error| LiveError { code: error.code.clone(), message: error.message.clone() }),
            usage: message.usage.as_ref().and_then(|usage| serde_json::to_value(usage).ok()),
        }
    }
}

/// Whether a reply with this status gets no more text.
pub(super) const fn is_over(status: MessageStatus) -> bool {
    !matches!(status, MessageStatus::Pending | MessageStatus::Streaming)
}

fn count(text: &str) -> u64 {
    text.chars().count() as u64
}

/// `text` without its first `chars` code points.
fn skip_chars(text: &str, chars: u64) -> &str {
    let chars = usize::try_from(chars).unwrap_or(usize::MAX);
    text.char_indices().nth(chars).map_or("", |(at, _)| &text[at..])
}

#[cfg(test)]
#[path = "frames_tests.rs"]
mod tests;
