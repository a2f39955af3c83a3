//! Writing a run's frames, fenced by the last sequence of its subject.
//!
//! Every frame names the sequence that it must follow, so two writers of one run cannot interleave: the server refuses
//! the one that did not see the other. Who is refused looks at the last frame to learn why.

use std::time::Duration;

use async_nats::{
    Client, HeaderMap,
    connection::State,
    jetstream::{self, ErrorCode, message::StreamMessage, stream::LastRawMessageErrorKind},
};
use bytes::Bytes;
use serde_json::Value;
use uuid::Uuid;

use super::{LiveError, LiveFrame, LiveKind};
use crate::{
    ack::{self, PublishFailure},
    headers,
    streams::{self, StreamOptions},
};

const ACK_TIMEOUT: Duration = Duration::from_secs(2);
/// Tries of one frame whose fate is unknown.
const TRIES: u32 = 3;

const WRITER: &str = "Writer";
const ATTEMPT: &str = "Attempt";
const FRAME: &str = "Frame";

/// The frame is not in the stream, or not known to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LiveWriteError {
    /// Another attempt or writer has taken over; stop.
    #[error("another writer has taken over this run")]
    Fenced,
    /// What was written is gone (the stream was lost or has expired). It is made again: write the text so far anew, from
    /// offset 0.
    #[error("the frames written so far are gone")]
    Vanished,
    /// The bus is away; the frame can be tried again.
    #[error("the live stream cannot be reached: {0}")]
    Unavailable(String),
}

/// The one writer of a run's attempt.
pub struct LiveWriter {
    client: Client,
    subject: String,
    session: Uuid,
    run: Uuid,
    message: Uuid,
    attempt: i32,
    /// Tells our frames from those of another writer of the same attempt.
    writer: Uuid,
    frames: u64,
    expected: u64,
}

/// The last frame that the stream holds of a run.
struct Last {
    sequence: u64,
    attempt: i32,
    writer: Option<Uuid>,
    frame: Option<u64>,
}

/// What a refused or unanswered frame has to do next.
enum Place {
    Stored,
    Again,
}

impl LiveWriter {
    /// Takes the run over: after this no earlier writer can write. Writes `Reset` when there can be frames of a
    /// predecessor.
    ///
    /// # Errors
    /// `Fenced` when a later attempt has begun, `Unavailable` when the bus is away.
    pub async fn open(
        client: Client,
        user: Uuid,
        session: Uuid,
        run: Uuid,
        message: Uuid,
        attempt: i32,
    ) -> Result<Self, LiveWriteError> {
        let subject = format!("live.chat.{user}.{session}.{run}");
        let writer = Uuid::new_v4();
        let mut opened = Self { client, subject, session, run, message, attempt, writer, frames: 0, expected: 0 };
        let mut tries = 0;
        loop {
            let last = opened.last().await?;
            if last.as_ref().is_some_and(|last| last.attempt > attempt) {
                return Err(LiveWriteError::Fenced);
            }
            opened.expected = last.as_ref().map_or(0, |last| last.sequence);
            if last.is_none() {
                // There may be no stream yet; that is not the loss of one.
                opened.make_stream().await?;
                if attempt <= 1 {
                    return Ok(opened);
                }
            }
            match opened.try_write(0, LiveKind::Reset).await {
                Ok(()) => return Ok(opened),
                // The predecessor wrote in between; its next frame will find us.
                Err(Refused::WrongPlace | Refused::NoStream) if tries < TRIES => tries += 1,
                Err(refused) => return Err(LiveWriteError::Unavailable(refused.to_string())),
            }
        }
    }

    /// Appends text that starts at code point `offset` of the attempt's text.
    ///
    /// # Errors
    /// See [`LiveWriteError`].
    pub async fn delta(&mut self, offset: u64, text: &str) -> Result<(), LiveWriteError> {
        self.write(offset, LiveKind::Delta { text: text.to_owned() }).await
    }

    /// Ends the run; `offset` is the length of the text in code points.
    ///
    /// # Errors
    /// See [`LiveWriteError`].
    pub async fn done(
        &mut self,
        offset: u64,
        status: &str,
        finish_reason: Option<&str>,
        error: Option<LiveError>,
        usage: Option<Value>,
    ) -> Result<(), LiveWriteError> {
        let finish_reason = finish_reason.map(str::to_owned);
        self.write(offset, LiveKind::Done { status: status.to_owned(), finish_reason, error, usage }).await
    }

    async fn write(&mut self, offset: u64, kind: LiveKind) -> Result<(), LiveWriteError> {
        for _ in 0..TRIES {
            match self.try_write(offset, kind.clone()).await {
                Ok(()) => return Ok(()),
                Err(Refused::NoStream) => {
                    self.make_stream().await?;
                    metrics::counter!("live_stream_lost_total").increment(1);
                    return Err(LiveWriteError::Vanished);
                }
                Err(Refused::WrongPlace | Refused::Unknown) => match self.find_place().await? {
                    Place::Stored => return Ok(()),
                    Place::Again => {}
                },
                Err(Refused::Unavailable(reason)) => return Err(LiveWriteError::Unavailable(reason)),
            }
        }
        Err(LiveWriteError::Unavailable("no acknowledgement".into()))
    }

    async fn try_write(&mut self, offset: u64, kind: LiveKind) -> Result<(), Refused> {
        if self.client.connection_state() != State::Connected {
            return Err(Refused::Unavailable("not connected".into()));
        }
        let frame = LiveFrame {
            run_id: self.run,
            session_id: self.session,
            message_id: self.message,
            attempt: self.attempt,
            offset,
            kind,
        };
        let payload = serde_json::to_vec(&frame).map_err(|error| Refused::Unavailable(error.to_string()))?;
        let mut map = HeaderMap::new();
        map.insert(async_nats::header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, self.expected.to_string());
        map.insert(WRITER, self.writer.simple().to_string());
        map.insert(ATTEMPT, self.attempt.to_string());
        map.insert(FRAME, self.frames.to_string());
        let sent = ack::publish(&self.client, self.subject.clone(), map, Bytes::from(payload), ACK_TIMEOUT).await;
        match sent {
            Ok(acknowledged) => {
                self.stored_at(acknowledged.sequence);
                Ok(())
            }
            Err(PublishFailure::NoStream) => Err(Refused::NoStream),
            Err(PublishFailure::WrongLastSequence) => Err(Refused::WrongPlace),
            Err(PublishFailure::Unknown) => Err(Refused::Unknown),
            Err(failure) => Err(Refused::Unavailable(failure.to_string())),
        }
    }

    /// Why the last frame was refused or not answered.
    async fn find_place(&mut self) -> Result<Place, LiveWriteError> {
        let Some(last) = self.last().await? else {
            if self.expected == 0 {
                return Ok(Place::Again);
            }
            self.expected = 0;
            return Err(LiveWriteError::Vanished);
        };
        if last.writer == Some(self.writer) {
            if last.frame == Some(self.frames) {
                self.stored_at(last.sequence);
                return Ok(Place::Stored);
            }
            self.expected = last.sequence;
            return Ok(Place::Again);
        }
        if last.attempt >= self.attempt {
            return Err(LiveWriteError::Fenced);
        }
        // The stream was lost, and a predecessor that does not know of us has written into the new one.
        self.expected = last.sequence;
        match self.try_write(0, LiveKind::Reset).await {
            Ok(()) | Err(Refused::WrongPlace | Refused::NoStream) => Err(LiveWriteError::Vanished),
            Err(refused) => Err(LiveWriteError::Unavailable(refused.to_string())),
        }
    }

    fn stored_at(&mut self, sequence: u64) {
        self.expected = sequence;
        self.frames += 1;
    }

    async fn make_stream(&mut self) -> Result<(), LiveWriteError> {
        let context = jetstream::new(self.client.clone());
        context.get_or_create_stream(StreamOptions::default().live()).await.map_err(unavailable)?;
        self.expected = 0;
        Ok(())
    }

    async fn last(&self) -> Result<Option<Last>, LiveWriteError> {
        let stream =
            jetstream::new(self.client.clone()).get_stream_no_info(streams::LIVE).await.map_err(unavailable)?;
        match stream.get_last_raw_message_by_subject(&self.subject).await {
            Ok(message) => Ok(Some(Last::read(&message))),
            Err(error) => match error.kind() {
                LastRawMessageErrorKind::NoMessageFound => Ok(None),
                LastRawMessageErrorKind::JetStream(inner)
                    if matches!(inner.error_code(), ErrorCode::NO_MESSAGE_FOUND | ErrorCode::STREAM_NOT_FOUND) =>
                {
                    Ok(None)
                }
                _ => Err(unavailable(error)),
            },
        }
    }
}

impl Last {
    fn read(message: &StreamMessage) -> Self {
        Self {
            sequence: message.sequence,
            attempt: headers::parse(&message.headers, ATTEMPT).unwrap_or(0),
            writer: headers::parse(&message.headers, WRITER).ok(),
            frame: headers::parse(&message.headers, FRAME).ok(),
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("the stream is gone")]
    NoStream,
    #[error("another frame came first")]
    WrongPlace,
    #[error("no acknowledgement")]
    Unknown,
    #[error("{0}")]
    Unavailable(String),
}

fn unavailable(error: impl std::fmt::Display) -> LiveWriteError {
    LiveWriteError::Unavailable(error.to_string())
}
