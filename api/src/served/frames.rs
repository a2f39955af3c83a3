//! The client's side of a call: the whole answer, or its events.
//!
//! Promise: a failure before the first event has its own status; after it, it is one error event in the API's form and
//! the end. A stream says that it lives every ten seconds, also before its first event; it is never compressed and
//! nothing on the way is asked to hold it back. What is ready at the same time is written at once.

use std::{
    borrow::Cow,
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    body::{Body, Bytes, HttpBody},
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::Response,
};
use bytes::{BufMut as _, BytesMut};
use http_body::Frame;
use percent_encoding::{CONTROLS, utf8_percent_encode};
use relay::{PassedEvent, ServedEvent};
use serde_json::Value;
use tokio::time::{Instant, Sleep, sleep_until, timeout};

use super::{
    Manner,
    ask::{Ask, Caller},
    call::{Heard, Route},
    line::Listener,
    refusals::of_upstream,
};
use crate::{
    openai::{Kept, Told},
    problem::Problem,
    request_id::RequestId,
};

/// A first event that takes longer is not waited for: the stream begins with a ping, and proxies stay patient.
const FIRST_EVENT: Duration = Duration::from_secs(10);
/// Idle streams say that they live this often; proxies and clients give up after more.
const PING: Duration = Duration::from_secs(10);
/// Events that are ready are written together up to about so many bytes.
const ONE_WRITE: usize = 16 * 1024;
/// Room for what stands before and behind an event.
const ONE_FRAME: usize = 64;
/// Room for all headers that an answer bears in the end, so that they are moved into larger room by nobody.
const HEADERS: usize = 20;
/// How often a provider was asked.
const X_TRIES: HeaderName = HeaderName::from_static("x-oblivious-tries");
/// The channel that answered, by its public name or its id; percent-encoded beyond ASCII.
const X_CHANNEL: HeaderName = HeaderName::from_static("x-oblivious-channel");
/// The model that answered, which may be another one than was asked for.
const X_MODEL: HeaderName = HeaderName::from_static("x-oblivious-model");

/// How an API writes an answer.
pub(crate) enum Wire {
    /// Server-sent events, ended by `data: [DONE]`: chat completions.
    Done,
    /// Server-sent events with names and numbers: responses.
    Numbered(Told),
    /// Server-sent events with `ping` among them: messages.
    Pinging,
    /// Server-sent events without names: Gemini with `alt=sse`.
    Plain,
    /// One JSON array, element by element: Gemini without it.
    Array,
    /// As [`Self::Done`], each object written anew: what is served in terms of another dialect.
    Rewritten(Box<dyn Rewrite>),
}

/// Writes the objects of one dialect as those of another.
pub(crate) trait Rewrite: Send {
    /// The whole answer.
    fn whole(&mut self, body: Value) -> Value;
    /// What becomes of one event's data; may be nothing.
    fn event(&mut self, data: Value) -> Vec<Value>;
}

impl Caller {
    /// Makes the call and answers it as the API does.
    pub(crate) async fn answer(self, ask: Ask, wire: Wire) -> Result<Response, Problem> {
        self.answer_kept(ask, wire, None).await
    }

    /// As [`Self::answer`], and writes down what becomes of it.
    pub(crate) async fn answer_kept(self, ask: Ask, wire: Wire, kept: Option<Kept>) -> Result<Response, Problem> {
        let (manner, id, stream) = (self.manner, self.id.clone(), ask.stream);
        let mut heard = self.call(ask, kept).await?;
        if stream {
            streamed(heard, Writer { manner, id, wire, elements: 0, out: BytesMut::new() }).await
        } else {
            whole(&mut heard, wire).await
        }
    }
}

/// The answer in one piece.
async fn whole(heard: &mut Listener<Heard>, wire: Wire) -> Result<Response, Problem> {
    let mut route = None;
    loop {
        match heard.recv().await {
            Some(Heard::Taken(taken)) => route = Some(taken),
            Some(Heard::Whole(body)) => {
                let body = match wire {
                    Wire::Rewritten(mut rewrite) => rewrite.whole(body),
                    _ => body,
                };
                return Ok(marked(json(body.to_string()), route));
            }
            Some(Heard::PassedWhole(body)) => {
                let body = match wire {
                    Wire::Rewritten(mut rewrite) => {
                        rewrite.whole(serde_json::from_str(&body).unwrap_or_default()).to_string()
                    }
                    _ => body,
                };
                return Ok(marked(json(body), route));
            }
            Some(Heard::Failed(error)) => return Err(of_upstream(error)),
            _ => return Err(lost()),
        }
    }
}

fn json(body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.headers_mut() = HeaderMap::with_capacity(HEADERS);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The answer as it is generated.
async fn streamed(mut heard: Listener<Heard>, writer: Writer) -> Result<Response, Problem> {
    let mut route = None;
    let begun = async {
        loop {
            match heard.recv().await {
                Some(Heard::Taken(taken)) => route = Some(taken),
                other => return other,
            }
        }
    };
    let first = match timeout(FIRST_EVENT, begun).await {
        Err(_) => None,
        Ok(Some(Heard::Failed(error))) => return Err(of_upstream(error)),
        Ok(Some(first)) => Some(first),
        Ok(None) => return Err(lost()),
    };
    let kind = match writer.wire {
        Wire::Array => "application/json",
        _ => "text/event-stream",
    };
    let mut response = Response::new(Body::new(Written::new(first, heard, writer)));
    let headers = response.headers_mut();
    *headers = HeaderMap::with_capacity(HEADERS);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // Proxies would hold frames back.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    Ok(marked(response, route))
}

/// Says who answered.
pub(super) fn marked(mut response: Response, route: Option<Route>) -> Response {
    if let Some(Route { tries, channel, model }) = route {
        let headers = response.headers_mut();
        headers.insert(X_TRIES, tries.into());
        for (name, text) in [(X_CHANNEL, channel), (X_MODEL, model)] {
            let encoded = Cow::from(utf8_percent_encode(&text, CONTROLS));
            headers.extend(HeaderValue::from_str(&encoded).ok().map(|value| (name, value)));
        }
    }
    response
}

/// Everything that the client gets, in order.
struct Written {
    heard: Listener<Heard>,
    writer: Writer,
    is_over: bool,
    last_write: Instant,
    /// One for the whole answer: it is only moved when it rings.
    ring: Pin<Box<Sleep>>,
}

impl Written {
    /// Without a `first` it begins with a ping.
    fn new(first: Option<Heard>, heard: Listener<Heard>, mut writer: Writer) -> Self {
        let is_over = match first {
            Some(first) => writer.hear(Some(first)),
            None => {
                writer.ping();
                false
            }
        };
        let last_write = Instant::now();
        Self { heard, writer, is_over, last_write, ring: Box::pin(sleep_until(last_write + PING)) }
    }
}

impl HttpBody for Written {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Self { heard, writer, is_over, last_write, ring } = &mut *self;
        if !*is_over
            && writer.out.is_empty()
            && let Poll::Ready(next) = heard.poll_recv(context)
        {
            *is_over = writer.hear(next);
        }
        // What was made together is written together.
        while !*is_over
            && writer.out.len() < ONE_WRITE
            && let Some(next) = heard.try_recv()
        {
            *is_over = writer.hear(Some(next));
        }
        loop {
            if let Some(bytes) = writer.take() {
                *last_write = Instant::now();
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            if *is_over {
                return Poll::Ready(None);
            }
            ready!(ring.as_mut().poll(context));
            if last_write.elapsed() >= PING {
                writer.ping();
                *last_write = Instant::now();
            }
            ring.as_mut().reset(*last_write + PING);
        }
    }
}

/// The task of a call died, or its client took nothing for too long.
fn lost() -> Problem {
    Problem::bug("a call ended without an answer")
}

/// Writes the events of one answer.
struct Writer {
    manner: Manner,
    id: RequestId,
    wire: Wire,
    /// Of an array, that were written.
    elements: u64,
    /// What was written and not yet taken. Its memory is used again as soon as what was taken has been sent.
    out: BytesMut,
}

impl Writer {
    /// What is to be sent, if there is anything.
    fn take(&mut self) -> Option<Bytes> {
        (!self.out.is_empty()).then(|| self.out.split().freeze())
    }

    /// Writes what was heard; whether that was the end.
    fn hear(&mut self, heard: Option<Heard>) -> bool {
        match heard {
            Some(Heard::Taken(_)) => return false,
            Some(Heard::Event(event)) => {
                self.event(event);
                return false;
            }
            Some(Heard::Passed(event)) => {
                self.passed(event);
                return false;
            }
            Some(Heard::End(last)) => {
                last.into_iter().for_each(|event| self.event(event));
                if matches!(self.wire, Wire::Done | Wire::Rewritten(_)) {
                    self.out.extend_from_slice(b"data: [DONE]\n\n");
                }
            }
            Some(Heard::Failed(error)) => self.failed(&of_upstream(error)),
            Some(Heard::Whole(_) | Heard::PassedWhole(_)) | None => self.failed(&lost()),
        }
        if matches!(self.wire, Wire::Array) {
            // An answer without a single element is an array, too.
            self.out.extend_from_slice(if self.elements == 0 { b"[]" } else { b"]" });
        }
        true
    }

    fn event(&mut self, event: ServedEvent) {
        if let Wire::Numbered(told) = &mut self.wire {
            told.hear(&event);
        }
        let ServedEvent { name, data } = event;
        match &mut self.wire {
            Wire::Rewritten(rewrite) => {
                rewrite.event(data).iter().for_each(|data| self.object(None, data));
            }
            _ => self.object(name, &data),
        }
    }

    fn passed(&mut self, event: PassedEvent) {
        match self.wire {
            Wire::Rewritten(_) => self.event(event.read()),
            _ => {
                self.out.reserve(event.data.len() + ONE_FRAME);
                self.open(event.name);
                self.out.extend_from_slice(event.data.as_bytes());
                self.close();
            }
        }
    }

    fn object(&mut self, name: Option<Cow<'static, str>>, data: &Value) {
        self.open(name);
        let before = self.out.len();
        if serde_json::to_writer((&mut self.out).writer(), data).is_err() {
            // A value can always be written; half of one must not reach anybody.
            self.out.truncate(before);
            self.out.extend_from_slice(b"null");
        }
        self.close();
    }

    /// What stands before the data of an event.
    fn open(&mut self, name: Option<Cow<'static, str>>) {
        if matches!(self.wire, Wire::Array) {
            self.out.extend_from_slice(if self.elements == 0 { b"[" } else { b",\n" });
            self.elements += 1;
            return;
        }
        if let Some(name) = name {
            self.out.extend_from_slice(b"event: ");
            // An upstream may have named it.
            self.out.extend(name.bytes().filter(|byte| !byte.is_ascii_control()));
            self.out.put_u8(b'\n');
        }
        self.out.extend_from_slice(b"data: ");
    }

    /// What stands behind it.
    fn close(&mut self) {
        if !matches!(self.wire, Wire::Array) {
            self.out.extend_from_slice(b"\n\n");
        }
    }

    /// The last event of an answer that fails after it began.
    fn failed(&mut self, problem: &Problem) {
        let data = self.manner.error(problem, &self.id);
        match &self.wire {
            Wire::Numbered(told) => {
                let (name, data) = told.failure(problem);
                self.object(Some(name.into()), &data);
            }
            Wire::Pinging => self.object(Some("error".into()), &data),
            Wire::Done | Wire::Plain | Wire::Array | Wire::Rewritten(_) => self.object(None, &data),
        }
    }

    /// Says that the stream lives.
    fn ping(&mut self) {
        let ping: &[u8] = match self.wire {
            Wire::Pinging => b"event: ping\ndata: {\"type\": \"ping\"}\n\n",
            // Google's own SDK for Python takes a comment for an answer; an empty line is no event for anybody.
            Wire::Plain | Wire::Array => b"\n",
            _ => b": ping\n\n",
        };
        self.out.extend_from_slice(ping);
    }
}
