//! Publishing into a stream with an answer that can be decided on.
//!
//! The client library's publish error hides the server's error code behind a boxed source; here each outcome that a
//! caller treats differently is its own case.

use std::time::Duration;

use async_nats::{
    Client, HeaderMap, Request, Subject,
    client::RequestErrorKind,
    jetstream::{ErrorCode, publish::PublishAck, response::Response},
};
use bytes::Bytes;

// A store that fails is out of room: a limit of the stream, the account or the disk.
const FULL: [ErrorCode; 4] = [
    ErrorCode::STREAM_STORE_FAILED,
    ErrorCode::INSUFFICIENT_RESOURCES,
    ErrorCode::STORAGE_RESOURCES_EXCEEDED,
    ErrorCode::ACCOUNT_RESOURCES_EXCEEDED,
];

/// Why a message is not (or not known to be) in its stream.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PublishFailure {
    /// The stream keeps what it has and takes no more for now.
    #[error("the stream is full: {0}")]
    Full(String),
    /// Larger than the stream or the server accepts.
    #[error("the message is too large")]
    TooLarge,
    /// The expected last sequence is not the stream's.
    #[error("wrong last sequence")]
    WrongLastSequence,
    /// No stream listens on the subject.
    #[error("no stream takes this subject")]
    NoStream,
    /// No answer came: the message may be stored or not.
    #[error("no acknowledgement within the time limit")]
    Unknown,
    /// The server said no for another reason.
    #[error("the server refused: {0}")]
    Rejected(String),
    /// The connection does not take it.
    #[error("not connected: {0}")]
    Unavailable(String),
}

/// Publishes and waits for the stream's answer.
pub(crate) async fn publish(
    client: &Client,
    subject: impl Into<Subject>,
    headers: HeaderMap,
    payload: Bytes,
    timeout: Duration,
) -> Result<PublishAck, PublishFailure> {
    let request = Request::new().headers(headers).payload(payload).timeout(Some(timeout));
    let answer = client.send_request(subject.into(), request).await.map_err(|error| match error.kind() {
        RequestErrorKind::TimedOut => PublishFailure::Unknown,
        RequestErrorKind::NoResponders => PublishFailure::NoStream,
        RequestErrorKind::MaxPayloadExceeded => PublishFailure::TooLarge,
        RequestErrorKind::InvalidSubject => PublishFailure::Rejected(error.to_string()),
        RequestErrorKind::Other => PublishFailure::Unavailable(error.to_string()),
    })?;
    match serde_json::from_slice(&answer.payload) {
        Ok(Response::Ok(ack)) => Ok(ack),
        Ok(Response::Err { error }) => Err(match error.error_code() {
            code if FULL.contains(&code) => PublishFailure::Full(error.to_string()),
            ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM => PublishFailure::TooLarge,
            ErrorCode::STREAM_WRONG_LAST_SEQUENCE => PublishFailure::WrongLastSequence,
            _ => PublishFailure::Rejected(error.to_string()),
        }),
        Err(error) => Err(PublishFailure::Rejected(format!("unreadable acknowledgement: {error}"))),
    }
}
