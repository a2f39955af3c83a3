//! The events of one upstream answer, whatever frames them: server-sent events, or the frames of AWS.

use std::time::Duration;

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use reqwest::Response;
use tokio::io::AsyncRead;
use tokio_util::io::StreamReader;

use crate::Dialect;
use crate::dialects::converse::frames::Frames;
use crate::sse::{Event, EventReader, ReadError};

/// The events in the body of a response.
pub(super) enum Events {
    Sse(EventReader<Box<dyn AsyncRead + Send + Unpin>>),
    Frames { bytes: BoxStream<'static, reqwest::Result<Bytes>>, frames: Box<Frames> },
}

impl Events {
    /// As that dialect frames them; one event is at most `max_bytes` long.
    pub(super) fn of(response: Response, dialect: Dialect, max_bytes: usize) -> Self {
        let bytes = response.bytes_stream();
        if dialect == Dialect::Converse {
            return Self::Frames { bytes: bytes.boxed(), frames: Box::new(Frames::new(max_bytes)) };
        }
        let source = StreamReader::new(bytes.map_err(std::io::Error::other).boxed());
        Self::Sse(EventReader::new(Box::new(source), max_bytes))
    }

    /// The next one, or `None` at the end of the body.
    pub(super) async fn next(&mut self, idle: Duration) -> Option<Result<Event, ReadError>> {
        let (bytes, frames) = match self {
            Self::Sse(reader) => return reader.next(idle).await,
            Self::Frames { bytes, frames } => (bytes, frames),
        };
        loop {
            match frames.next_frame() {
                Ok(Some(frame)) => {
                    return Some(Ok(Event { name: Some(frame.name), data: frame.data, complete: true }));
                }
                Ok(None) => {}
                Err(_) => return Some(Err(ReadError::Garbage("a frame is damaged or too long"))),
            }
            match tokio::time::timeout(idle, bytes.next()).await {
                Err(_) => return Some(Err(ReadError::Idle)),
                Ok(None) if frames.is_partial() => return Some(Err(ReadError::Broken)),
                Ok(None) => return None,
                Ok(Some(Err(_))) => return Some(Err(ReadError::Broken)),
                Ok(Some(Ok(more))) => frames.push(&more),
            }
        }
    }
}
