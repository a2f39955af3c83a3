//! The events of one upstream answer, whatever frames them: server-sent events, or the frames of AWS.
//!
//! Reading is in two steps, so that what came in one packet is read without waiting between its events: [`Events::next`]
//! gives what is there, [`Events::poll_more`] waits for more.

use std::task::{Context, Poll, ready};

use crate::Dialect;
use crate::dialects::converse::frames::Frames;
use crate::http::Response;
use crate::sse::{Event, Garbage, Parser};

/// Why no further event can be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ReadError {
    /// The transport failed before the body's end.
    Broken,
    /// A limit was passed or the bytes are not what they should be; the text says which.
    Garbage(&'static str),
}

/// The events in the body of a response.
pub(super) struct Events {
    response: Response,
    framing: Framing,
    /// Bytes came since it was asked whether the other side lives.
    heard_bytes: bool,
    is_at_end: bool,
}

enum Framing {
    Sse(Parser),
    Aws(Box<Frames>),
}

impl Events {
    /// As that dialect frames them; one event is at most `max_bytes` long.
    pub(super) fn of(response: Response, dialect: Dialect, max_bytes: usize) -> Self {
        let framing = match dialect {
            Dialect::Converse => Framing::Aws(Box::new(Frames::new(max_bytes))),
            _ => Framing::Sse(Parser::new(max_bytes)),
        };
        Self { response, framing, heard_bytes: false, is_at_end: false }
    }

    /// The next one of what has come. `None`: more must come, unless the body is at its end.
    pub(super) fn next(&mut self) -> Option<Result<Event<'_>, ReadError>> {
        match &mut self.framing {
            Framing::Sse(parser) => {
                parser.next().transpose().map(|event| event.map_err(|Garbage(what)| ReadError::Garbage(what)))
            }
            Framing::Aws(frames) => match frames.next_frame() {
                Ok(Some(frame)) => {
                    let (name, data) = (Some(frame.name.into()), frame.data.into());
                    Some(Ok(Event { name, data, complete: true }))
                }
                Ok(None) if self.is_at_end && frames.is_partial() => Some(Err(ReadError::Broken)),
                Ok(None) => None,
                Err(_) => Some(Err(ReadError::Garbage("a frame is damaged or too long"))),
            },
        }
    }

    /// Waits for more of the body, or its end.
    ///
    /// # Errors
    /// [`ReadError::Broken`].
    pub(super) fn poll_more(&mut self, context: &mut Context<'_>) -> Poll<Result<(), ReadError>> {
        match ready!(self.response.poll_chunk(context)) {
            Ok(Some(bytes)) => {
                self.heard_bytes = true;
                match &mut self.framing {
                    Framing::Sse(parser) => parser.push(&bytes),
                    Framing::Aws(frames) => frames.push(&bytes),
                }
            }
            Ok(None) => {
                self.is_at_end = true;
                if let Framing::Sse(parser) = &mut self.framing {
                    parser.end();
                }
            }
            Err(_) => return Poll::Ready(Err(ReadError::Broken)),
        }
        Poll::Ready(Ok(()))
    }

    /// Reads the rest of the body for nobody, as far as it is well.
    pub(super) async fn drain(mut self) {
        while let Ok(Some(_)) = self.response.chunk().await {}
    }

    /// Nothing more comes.
    pub(super) const fn is_at_end(&self) -> bool {
        self.is_at_end
    }

    /// Whether the other side has shown that it lives since this was last asked: by a line, or by bytes of a frame.
    pub(super) fn is_alive(&mut self) -> bool {
        match &mut self.framing {
            Framing::Sse(parser) => parser.heard_a_line(),
            Framing::Aws(_) => std::mem::take(&mut self.heard_bytes),
        }
    }
}
