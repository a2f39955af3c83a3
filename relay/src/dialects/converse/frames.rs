//! The binary framing of a stream, `application/vnd.amazon.eventstream`, as named events.
//!
//! A frame has a prelude with lengths and a checksum, headers, a payload and a checksum of all. The frames are read by
//! AWS' own library; here is the buffer before it, with a limit, and the meaning of the headers.

use std::fmt;

use aws_smithy_eventstream::frame::read_message_from;
use aws_smithy_types::event_stream::Message;
use bytes::{Buf, BytesMut};

use crate::RelayError;

/// Begins the name of an event that is an exception or an error instead.
pub(super) const FAILURE: &str = "exception:";
/// Lengths, and two checksums.
const SMALLEST_FRAME: usize = 16;

/// One event, as a [`crate::DeltaReader`] reads it.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    /// The kind of the event, such as `contentBlockDelta`; of an exception, the kind after `exception:`.
    pub name: String,
    /// The payload: JSON.
    pub data: String,
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Frame({}, {} bytes)", self.name, self.data.len())
    }
}

/// Bytes that become frames, however they are cut.
#[derive(Debug)]
pub struct Frames {
    buffer: BytesMut,
    max_bytes: usize,
}

impl Frames {
    /// Reads frames of at most `max_bytes` each. It holds no more than that and what was pushed last.
    #[must_use]
    pub fn new(max_bytes: usize) -> Self {
        Self { buffer: BytesMut::new(), max_bytes }
    }

    /// Takes the next bytes of the body. All frames should be read before more are pushed.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next frame, or `None` until more bytes come.
    ///
    /// # Errors
    /// [`RelayError::UpstreamGarbage`] for a frame that is too long or damaged; nothing can be read after that.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, RelayError> {
        let Some(length) = self.buffer.first_chunk::<4>() else { return Ok(None) };
        let length = u32::from_be_bytes(*length) as usize;
        if length < SMALLEST_FRAME || length > self.max_bytes {
            return Err(garbage("the length of a frame is beyond its limits"));
        }
        if self.buffer.len() < length {
            return Ok(None);
        }
        let mut frame = self.buffer.split_to(length).freeze();
        let message = read_message_from(&mut frame).map_err(|_| garbage("a frame is damaged"))?;
        if frame.has_remaining() {
            return Err(garbage("a frame is longer than it says"));
        }
        event(&message).map(Some)
    }

    /// Whether bytes are left that are no whole frame: the body was cut if nothing follows.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        !self.buffer.is_empty()
    }
}

fn garbage(what: &str) -> RelayError {
    RelayError::UpstreamGarbage(what.to_owned())
}

/// What the headers of a frame make of it.
fn event(message: &Message) -> Result<Frame, RelayError> {
    let header = |name: &str| {
        let header = message.headers().iter().find(|header| header.name().as_str() == name);
        header.and_then(|header| header.value().as_string().ok()).map(|text| text.as_str().to_owned())
    };
    let named = |name: &str| header(name).ok_or_else(|| garbage("a frame does not say what it is"));
    let text = || String::from_utf8(message.payload().to_vec()).map_err(|_| garbage("a frame is not UTF-8"));
    match header(":message-type").as_deref() {
        Some("event") => Ok(Frame { name: named(":event-type")?, data: text()? }),
        Some("exception") => Ok(Frame { name: format!("{FAILURE}{}", named(":exception-type")?), data: text()? }),
        Some("error") => {
            let data = serde_json::json!({"message": header(":error-message").unwrap_or_default()});
            Ok(Frame { name: format!("{FAILURE}{}", named(":error-code")?), data: data.to_string() })
        }
        _ => Err(garbage("a frame is of no known type")),
    }
}
