//! Compares the stream `EVENTS`, message by message, with what the publisher would make of the log.
//!
//! Promise: it reads only; it names what differs and never the content of a payload. What the stream no longer keeps, or
//! does not have yet, is not a difference.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use async_nats::{Client, HeaderMap, jetstream::Message};
use tokio::time::timeout;

use crate::{
    epoch,
    publisher::PublisherError,
    reader::Envelope,
    streams,
    tail::{Broken, Tail},
};

/// A stream that has messages and gives none for so long cannot be compared.
const SILENCE: Duration = Duration::from_secs(10);

/// The stream cannot be read (further) now.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    #[error(transparent)]
    Stream(#[from] PublisherError),
    #[error("{0}")]
    Broken(String),
}

impl From<Broken> for AuditError {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken.to_string())
    }
}

/// Where stream and log differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamFault {
    /// The stream keeps what is before and after it.
    Missing,
    /// The log has no event at this position.
    NotInLog,
    Subject {
        expected: String,
        found: String,
    },
    /// `None`: absent.
    Header {
        name: String,
        expected: Option<String>,
        found: Option<String>,
    },
    Payload,
    /// The event cannot be published as it is.
    Unpublishable,
}

/// The stream from some position on, beside the log.
pub struct StreamAudit {
    client: Client,
    tail: Option<Tail>,
    /// The next message, where it was read already.
    ahead: Option<(i64, Message)>,
    first: i64,
    last: i64,
    compared: u64,
}

impl StreamAudit {
    /// What the stream keeps now of the positions `from` to `to`; `None` if there is no stream.
    ///
    /// # Errors
    /// The bus is away, or its user may not read the stream.
    pub async fn open(client: &Client, from: i64, to: i64) -> Result<Option<Self>, AuditError> {
        let Some(info) = epoch::stream_info(client).await? else { return Ok(None) };
        let (first, last) = (number(info.state.first_sequence).max(from), number(info.state.last_sequence).min(to));
        let is_empty = info.state.messages == 0 || last < first;
        let start = u64::try_from(first).unwrap_or(1);
        let tail = if is_empty { None } else { Some(Tail::open(client, streams::EVENTS, "", start).await?) };
        Ok(Some(Self { client: client.clone(), tail, ahead: None, first, last, compared: 0 }))
    }

    /// The positions that are compared, if there are any.
    #[must_use]
    pub fn range(&self) -> Option<(i64, i64)> {
        self.tail.is_some().then_some((self.first, self.last))
    }

    /// Messages that were compared.
    #[must_use]
    pub fn compared(&self) -> u64 {
        self.compared
    }

    /// What differs at the next position of the log, and before it where the log has nothing.
    ///
    /// # Errors
    /// The stream was replaced meanwhile, or the bus went away.
    pub async fn compare(&mut self, envelope: &Envelope) -> Result<Vec<(i64, StreamFault)>, AuditError> {
        let position = envelope.position();
        let mut faults = self.pass(position).await?;
        if self.tail.is_none() || position < self.first || position > self.last {
            return Ok(faults);
        }
        match self.ahead.take_if(|(sequence, _)| *sequence == position) {
            Some((_, message)) => {
                self.compared += 1;
                faults.extend(differences(envelope, &message).into_iter().map(|fault| (position, fault)));
            }
            None if self.was_discarded(position).await? => {}
            None => faults.push((position, StreamFault::Missing)),
        }
        Ok(faults)
    }

    /// What the stream has before `position` and after all that was compared.
    ///
    /// # Errors
    /// As [`Self::compare`].
    pub async fn pass(&mut self, position: i64) -> Result<Vec<(i64, StreamFault)>, AuditError> {
        let mut faults = Vec::new();
        while let Some(sequence) = self.peek().await?.filter(|sequence| *sequence < position) {
            self.ahead = None;
            faults.push((sequence, StreamFault::NotInLog));
        }
        Ok(faults)
    }

    /// The sequence of the next message; `None` after the last one that is compared.
    async fn peek(&mut self) -> Result<Option<i64>, AuditError> {
        if let Some((sequence, _)) = &self.ahead {
            return Ok(Some(*sequence).filter(|sequence| *sequence <= self.last));
        }
        let Some(tail) = self.tail.as_mut().filter(|tail| !tail.caught_up()) else { return Ok(None) };
        let silent = |_| AuditError::Broken("the stream gives no message, though it has some".into());
        let message = timeout(SILENCE, tail.next()).await.map_err(silent)??;
        let info = message.info().map_err(|error| AuditError::Broken(error.to_string()))?;
        let sequence = number(info.stream_sequence);
        self.ahead = Some((sequence, message));
        Ok(Some(sequence).filter(|sequence| *sequence <= self.last))
    }

    /// Whether the stream has let go of it to make room.
    async fn was_discarded(&self, position: i64) -> Result<bool, AuditError> {
        let info = epoch::stream_info(&self.client).await?;
        let info = info.ok_or_else(|| AuditError::Broken("the stream was deleted while it was read".into()))?;
        Ok(number(info.state.first_sequence) > position)
    }
}

/// The last position in the stream; `None` without a stream.
///
/// # Errors
/// The bus is away, or its user may not look at the stream.
pub async fn last_streamed(client: &Client) -> Result<Option<i64>, AuditError> {
    Ok(epoch::stream_info(client).await?.map(|info| number(info.state.last_sequence)))
}

fn differences(envelope: &Envelope, message: &Message) -> Vec<StreamFault> {
    let (Some(subject), Ok(headers)) = (envelope.subject(), envelope.headers()) else {
        return vec![StreamFault::Unpublishable];
    };
    let mut faults = Vec::new();
    if subject != message.subject.as_str() {
        faults.push(StreamFault::Subject { expected: subject, found: message.subject.to_string() });
    }
    let (expected, found) = (texts(&headers), message.headers.as_ref().map(texts).unwrap_or_default());
    let names: BTreeSet<&String> = expected.keys().chain(found.keys()).collect();
    for name in names {
        let (expected, found) = (expected.get(name), found.get(name));
        if expected != found {
            let (expected, found) = (expected.cloned(), found.cloned());
            faults.push(StreamFault::Header { name: name.clone(), expected, found });
        }
    }
    if envelope.payload().as_bytes() != message.payload.as_ref() {
        faults.push(StreamFault::Payload);
    }
    faults
}

/// The headers of ours: those that the server and its client libraries add begin with `Nats-`.
fn texts(headers: &HeaderMap) -> BTreeMap<String, String> {
    let all = headers.iter().map(|(name, values)| {
        let values: Vec<&str> = values.iter().map(async_nats::HeaderValue::as_str).collect();
        (name.to_string(), values.join(", "))
    });
    all.filter(|(name, _)| !name.starts_with("Nats-")).collect()
}

fn number(sequence: u64) -> i64 {
    i64::try_from(sequence).unwrap_or(i64::MAX)
}

impl fmt::Display for StreamFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value: &Option<String>| value.as_ref().map_or("absent".to_owned(), |value| format!("`{value}`"));
        match self {
            Self::Missing => f.write_str("EVENTS lacks the message"),
            Self::NotInLog => f.write_str("EVENTS has a message where the log has no event"),
            Self::Subject { expected, found } => {
                write!(f, "the subject in EVENTS should be {expected} and is {found}")
            }
            Self::Header { name, expected, found } => {
                write!(f, "header {name} in EVENTS should be {} and is {}", shown(expected), shown(found))
            }
            Self::Payload => f.write_str("the payload in EVENTS is not the stored one"),
            Self::Unpublishable => f.write_str("the event cannot be published as it is"),
        }
    }
}
