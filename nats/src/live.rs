//! The text of running replies on its way to browsers, and the small signals around it.
//!
//! Promises: frames of a run are read in the order written, from any node, by any number of readers; a writer that was
//! only paused cannot write once its successor has begun; when the stream vanishes, writers are told to write again what
//! they have, and readers follow. Nothing here outlives minutes: the finished message is an event.

mod reader;
mod writer;

use async_nats::{Client, PublishError, SubscribeError};
use futures::{Stream, StreamExt};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

pub use reader::{LiveReader, LiveUnavailable};
pub use writer::{LiveWriteError, LiveWriter};

/// One frame of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LiveFrame {
    pub run_id: Uuid,
    pub session_id: Uuid,
    pub message_id: Uuid,
    pub attempt: i32,
    /// Unicode code points of the attempt's text before this frame.
    pub offset: u64,
    #[serde(flatten)]
    pub kind: LiveKind,
}

/// What a frame says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum LiveKind {
    /// `text` starts at the frame's offset; what a reader has beyond it is void.
    Delta { text: String },
    /// The text so far is void; this attempt starts from nothing.
    Reset,
    /// The run is over; no frame follows.
    Done { status: String, finish_reason: Option<String>, error: Option<LiveError>, usage: Option<Value> },
}

/// Why a reply failed, in words that a user may read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveError {
    pub code: String,
    pub message: String,
}

/// Something of the user's changed: refetch. At most once; a lost one is found by comparing positions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hint {
    pub topic: String,
    pub session_id: Option<Uuid>,
    pub position: i64,
}

/// Tells all open pages of a user.
///
/// # Errors
/// The connection is closed for good; while it is only away the hint waits or is lost.
pub async fn hint(client: &Client, user: Uuid, hint: &Hint) -> Result<(), PublishError> {
    // A struct of strings and numbers always serialises.
    let payload = serde_json::to_vec(hint).unwrap_or_default();
    client.publish(format!("live.user.{user}"), payload.into()).await
}

/// The hints of one user from now on.
///
/// # Errors
/// The connection is closed for good.
pub async fn subscribe_hints(client: &Client, user: Uuid) -> Result<impl Stream<Item = Hint> + use<>, SubscribeError> {
    let hints = client.subscribe(format!("live.user.{user}")).await?;
    Ok(hints.filter_map(async |message| serde_json::from_slice(&message.payload).ok()))
}

/// Asks whoever generates this run to stop soon. At most once: the durable request is a command.
///
/// # Errors
/// The connection is closed for good.
pub async fn request_stop(client: &Client, run: Uuid) -> Result<(), PublishError> {
    client.publish(format!("stop.run.{run}"), bytes::Bytes::new()).await
}

/// The runs that are asked to stop, from now on.
///
/// # Errors
/// The connection is closed for good.
pub async fn subscribe_stops(client: &Client) -> Result<impl Stream<Item = Uuid> + use<>, SubscribeError> {
    let stops = client.subscribe("stop.run.*").await?;
    Ok(stops.filter_map(async |message| message.subject.rsplit('.').next()?.parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_one_flat_object() {
        let mut frame = LiveFrame {
            run_id: Uuid::nil(),
            session_id: Uuid::nil(),
            message_id: Uuid::nil(),
            attempt: 2,
            offset: 3,
            kind: LiveKind::Delta { text: "你好".into() },
        };
        let nil = Uuid::nil();
        assert_eq!(
            serde_json::to_value(&frame).unwrap(),
            serde_json::json!({
                "run_id": nil, "session_id": nil, "message_id": nil, "attempt": 2, "offset": 3,
                "event": "delta", "text": "你好"
            })
        );
        for kind in [
            LiveKind::Reset,
            LiveKind::Done {
                status: "failed".into(),
                finish_reason: Some("error".into()),
                error: Some(LiveError { code: "upstream".into(), message: "The model is away.".into() }),
                usage: Some(serde_json::json!({ "input_tokens": 3 })),
            },
        ] {
            frame.kind = kind;
            let text = serde_json::to_string(&frame).unwrap();
            assert_eq!(serde_json::from_str::<LiveFrame>(&text).unwrap(), frame);
        }
    }
}
