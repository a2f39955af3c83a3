//! A provider of models that costs almost nothing: what everybody in the comparison asks in the end.
//!
//! Promise: a whole answer is the same few hundred bytes each time. A stream is what the prompt's directive says
//! (`[[stream EVENTS PACE_US]]`): each event is written by itself, at once or at its pace, and its text is the instant of
//! its writing, so that whoever reads it knows how long it was under way. The first text follows the role at once, as
//! providers send it: a gateway may hold back what only announces an answer, until it is one. Usage is told as OpenAI does.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures::FutureExt as _;
use http_body_util::{BodyExt as _, Collected};
use hyper::body::{Body, Frame, Incoming};
use hyper::{Request, Response};
use memchr::memmem::find;
use tokio::time::{Instant, Sleep, sleep_until};

use super::http::{Answer, announce, serve, whole};
use super::job::Script;

const WHOLE: &str = r#"{"id":"chatcmpl-bench","object":"chat.completion","created":1760000000,"model":"bench-upstream","choices":[{"index":0,"message":{"role":"assistant","content":"The quick brown fox jumps over the lazy dog, and the dog does not mind. This is a sentence of a usual length.","refusal":null},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":24,"completion_tokens":26,"total_tokens":50,"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":0}},"system_fingerprint":"fp_bench"}"#;
const MODELS: &str =
    r#"{"object":"list","data":[{"id":"bench-upstream","object":"model","created":0,"owned_by":"bench"}]}"#;

/// Serves until whoever started it has gone.
///
/// # Errors
/// There is no port.
pub(crate) async fn run() -> anyhow::Result<()> {
    let listener = announce().await?;
    serve(listener, answer).await
}

async fn answer(request: Request<Incoming>) -> Answer {
    if request.uri().path().ends_with("/models") {
        return whole(MODELS);
    }
    let body = request.into_body().collect().await.map(Collected::to_bytes).unwrap_or_default();
    let Some(script) = script(&body) else { return whole(WHOLE) };
    let with_usage = find(&body, b"\"include_usage\"").is_some();
    let mut response = Response::new(Telling::new(script, with_usage).boxed());
    let kind = http::HeaderValue::from_static("text/event-stream; charset=utf-8");
    response.headers_mut().insert(http::header::CONTENT_TYPE, kind);
    response
}

/// What the prompt says; the client's wish to stream goes along with it.
fn script(body: &[u8]) -> Option<Script> {
    let text = std::str::from_utf8(body).ok()?;
    let (_, after) = text.split_once("[[stream ")?;
    let (events, pace_us) = after.split_once("]]")?.0.split_once(' ')?;
    Some(Script { events: events.parse().ok()?, pace_us: pace_us.parse().ok()? })
}

/// The next thing to be written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Role,
    Text(u32),
    Usage,
    Done,
    Nothing,
}

/// The body of a stream.
struct Telling {
    script: Script,
    with_usage: bool,
    next: Next,
    /// When the next text is due, where there is a pace.
    pause: Option<Pin<Box<Sleep>>>,
    due: Instant,
    /// What was handed over last has been given the chance to be written.
    flushed: bool,
}

impl Telling {
    fn new(script: Script, with_usage: bool) -> Self {
        let now = Instant::now();
        let pause = (script.pace_us > 0).then(|| Box::pin(sleep_until(now)));
        Self { script, with_usage, next: Next::Role, pause, due: now, flushed: true }
    }

    /// What is written now, and what after it.
    fn take(&mut self) -> Option<String> {
        let Script { events, pace_us } = self.script;
        let (text, next) = match self.next {
            Next::Role => (chunk(r#"{"role":"assistant","content":"","refusal":null}"#, "null"), Next::Text(0)),
            Next::Text(told) if told < events => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
                (chunk(&format!(r#"{{"content":" {now}"}}"#), "null"), Next::Text(told + 1))
            }
            Next::Text(_) => {
                let next = if self.with_usage { Next::Usage } else { Next::Done };
                (chunk("{}", r#""stop""#), next)
            }
            Next::Usage => (usage(events), Next::Done),
            Next::Done => ("data: [DONE]\n\n".to_owned(), Next::Nothing),
            Next::Nothing => return None,
        };
        self.next = next;
        if let (Some(pause), Next::Text(1..)) = (&mut self.pause, next) {
            self.due += Duration::from_micros(pace_us);
            pause.as_mut().reset(self.due);
        }
        Some(text)
    }
}

impl Body for Telling {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let next = self.next;
        if let (Some(pause), Next::Text(1..)) = (&mut self.pause, next) {
            std::task::ready!(pause.poll_unpin(cx));
        } else if !self.flushed {
            // The server writes what it has when there is nothing more for the moment.
            self.flushed = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.flushed = false;
        Poll::Ready(self.take().map(|text| Ok(Frame::data(Bytes::from(text)))))
    }
}

fn chunk(delta: &str, finish: &str) -> String {
    format!(
        "data: {{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1760000000,\"model\":\
         \"bench-upstream\",\"system_fingerprint\":\"fp_bench\",\"choices\":[{{\"index\":0,\"delta\":{delta},\
         \"logprobs\":null,\"finish_reason\":{finish}}}]}}\n\n"
    )
}

fn usage(events: u32) -> String {
    let total = events + 24;
    format!(
        "data: {{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1760000000,\"model\":\
         \"bench-upstream\",\"choices\":[],\"usage\":{{\"prompt_tokens\":24,\"completion_tokens\":{events},\
         \"total_tokens\":{total}}}}}\n\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prompt_is_the_script() {
        let read = |body: &str| script(body.as_bytes()).map(|script| (script.events, script.pace_us));
        assert_eq!(read(r#"{"messages":[{"content":"x [[stream 200 0]]"}]}"#), Some((200, 0)));
        let written = Script { events: 5, pace_us: 10_000 }.directive();
        assert_eq!(read(&written), Some((5, 10_000)));
        assert_eq!(read(r#"{"messages":[]}"#), None);
    }

    #[tokio::test]
    async fn a_stream_has_its_role_its_texts_its_usage_and_its_end() {
        let body = Telling::new(Script { events: 3, pace_us: 0 }, true).collect().await.unwrap().to_bytes();
        let text = String::from_utf8(body.to_vec()).unwrap();
        let frames: Vec<_> = text.split("\n\n").collect();
        assert_eq!(frames.len(), 8, "{text}");
        assert!(frames[5].contains("\"completion_tokens\":3") && frames[6] == "data: [DONE]", "{text}");
    }
}
