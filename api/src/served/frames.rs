//! The client's side of a call: the whole answer, or its events.
//!
//! Promise: a failure before the first event has its own status; after it, it is one error event in the API's form and
//! the end. A stream says that it lives every ten seconds, also before its first event; it is never compressed and
//! nothing on the way is asked to hold it back.

use std::{borrow::Cow, convert::Infallible, time::Duration};

use async_stream::stream;
use axum::{
    Json,
    body::Body,
    http::{HeaderName, HeaderValue, header},
    response::{IntoResponse as _, Response, sse::Event},
};
use futures::Stream;
use percent_encoding::{CONTROLS, utf8_percent_encode};
use relay::ServedEvent;
use serde_json::{Value, json};
use tokio::{sync::mpsc::Receiver, time::timeout};

use super::{
    Manner,
    ask::{Ask, Caller},
    call::{Heard, Route},
    refusals::of_upstream,
};
use crate::{chat::stream_answer, openai::Kept, problem::Problem, request_id::RequestId};

/// A first event that takes longer is not waited for: the stream begins with a ping, and proxies stay patient.
const FIRST_EVENT: Duration = Duration::from_secs(10);
/// A JSON array says that it lives by white space, this often.
const PING: Duration = Duration::from_secs(10);
/// How often a provider was asked.
const X_TRIES: HeaderName = HeaderName::from_static("x-oblivious-tries");
/// The channel that answered, as its operator calls it; percent-encoded beyond ASCII.
const X_CHANNEL: HeaderName = HeaderName::from_static("x-oblivious-channel");
/// The model that answered, which may be another one than was asked for.
const X_MODEL: HeaderName = HeaderName::from_static("x-oblivious-model");

/// How an API writes an answer.
pub(crate) enum Wire {
    /// Server-sent events, ended by `data: [DONE]`: chat completions.
    Done,
    /// Server-sent events with names and numbers: responses.
    Numbered,
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
            streamed(heard, Writer { manner, id, wire, number: 0 }).await
        } else {
            whole(&mut heard, wire).await
        }
    }
}

/// The answer in one piece.
async fn whole(heard: &mut Receiver<Heard>, wire: Wire) -> Result<Response, Problem> {
    let mut route = None;
    loop {
        match heard.recv().await {
            Some(Heard::Taken(taken)) => route = Some(taken),
            Some(Heard::Whole(body)) => {
                let body = match wire {
                    Wire::Rewritten(mut rewrite) => rewrite.whole(body),
                    _ => body,
                };
                return Ok(marked(Json(body).into_response(), route));
            }
            Some(Heard::Failed(error)) => return Err(of_upstream(error)),
            _ => return Err(lost()),
        }
    }
}

/// The answer as it is generated.
async fn streamed(mut heard: Receiver<Heard>, writer: Writer) -> Result<Response, Problem> {
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
    let response = match writer.wire {
        Wire::Array => array_answer(steps(first, heard, writer)),
        _ => {
            let ping = writer.ping();
            stream_answer(events(steps(first, heard, writer), ping.clone()), ping)
        }
    };
    Ok(marked(response, route))
}

fn marked(mut response: Response, route: Option<Route>) -> Response {
    if let Some(Route { tries, channel, model }) = route {
        let headers = response.headers_mut();
        headers.insert(X_TRIES, tries.into());
        for (name, text) in [(X_CHANNEL, channel), (X_MODEL, model)] {
            let encoded = utf8_percent_encode(&text, CONTROLS).to_string();
            headers.extend(encoded.parse::<HeaderValue>().ok().map(|value| (name, value)));
        }
    }
    response
}

/// What a stream consists of.
enum Step {
    Object {
        name: Option<Cow<'static, str>>,
        data: Value,
    },
    /// `data: [DONE]`.
    Done,
    /// Nothing has come yet.
    Waiting,
}

/// Everything that the client gets, in order.
fn steps(first: Option<Heard>, mut heard: Receiver<Heard>, mut writer: Writer) -> impl Stream<Item = Step> + Send {
    stream! {
        let mut next = match first {
            Some(first) => Some(first),
            None => {
                yield Step::Waiting;
                heard.recv().await
            }
        };
        loop {
            let (objects, is_over) = match next {
                Some(Heard::Taken(_)) => (vec![], false),
                Some(Heard::Event(event)) => (writer.event(event), false),
                Some(Heard::End(last)) => (last.into_iter().flat_map(|event| writer.event(event)).collect(), true),
                Some(Heard::Failed(error)) => {
                    yield writer.failed(&of_upstream(error));
                    return;
                }
                Some(Heard::Whole(_)) | None => {
                    yield writer.failed(&lost());
                    return;
                }
            };
            for object in objects {
                yield object;
            }
            if is_over {
                if matches!(writer.wire, Wire::Done | Wire::Rewritten(_)) {
                    yield Step::Done;
                }
                return;
            }
            next = heard.recv().await;
        }
    }
}

/// The steps as server-sent events.
fn events(steps: impl Stream<Item = Step> + Send, ping: Event) -> impl Stream<Item = Event> + Send {
    use futures::StreamExt as _;
    steps.map(move |step| match step {
        Step::Object { name: Some(name), data } => Event::default().event(name).data(data.to_string()),
        Step::Object { name: None, data } => Event::default().data(data.to_string()),
        Step::Done => Event::default().data("[DONE]"),
        Step::Waiting => ping.clone(),
    })
}

/// The steps as one JSON array.
fn array_answer(steps: impl Stream<Item = Step> + Send + 'static) -> Response {
    use futures::StreamExt as _;
    let bytes = stream! {
        let mut steps = std::pin::pin!(steps);
        let mut before = "[";
        loop {
            match timeout(PING, steps.next()).await {
                Err(_) | Ok(Some(Step::Waiting)) => yield Ok::<_, Infallible>("\n".to_owned()),
                Ok(Some(Step::Object { data, .. })) => {
                    yield Ok(format!("{before}{data}"));
                    before = ",\n";
                }
                Ok(Some(Step::Done)) => {}
                Ok(None) => break,
            }
        }
        // An answer without a single element is an array, too.
        yield Ok(if before == "[" { "[]".to_owned() } else { "]".to_owned() });
    };
    let mut response = Body::from_stream(bytes).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response
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
    /// Of the next numbered event.
    number: u64,
}

impl Writer {
    fn event(&mut self, event: ServedEvent) -> Vec<Step> {
        let ServedEvent { name, data } = event;
        if let Some(number) = data.get("sequence_number").and_then(Value::as_u64) {
            self.number = number.saturating_add(1);
        }
        match &mut self.wire {
            Wire::Rewritten(rewrite) => {
                rewrite.event(data).into_iter().map(|data| Step::Object { name: None, data }).collect()
            }
            _ => vec![Step::Object { name, data }],
        }
    }

    /// The last event of an answer that fails after it began.
    fn failed(&self, problem: &Problem) -> Step {
        let data = self.manner.error(problem, &self.id);
        match self.wire {
            Wire::Numbered => {
                let error = &data["error"];
                let data = json!({
                    "type": "error",
                    "code": error["code"],
                    "message": error["message"],
                    "param": error["param"],
                    "sequence_number": self.number,
                });
                Step::Object { name: Some("error".into()), data }
            }
            Wire::Pinging => Step::Object { name: Some("error".into()), data },
            Wire::Done | Wire::Plain | Wire::Array | Wire::Rewritten(_) => Step::Object { name: None, data },
        }
    }

    /// What says that the stream lives.
    fn ping(&self) -> Event {
        match self.wire {
            Wire::Pinging => Event::default().event("ping").data(r#"{"type": "ping"}"#),
            // Google's own SDK for Python takes a comment for an answer; an empty line is no event for anybody.
            Wire::Plain => Event::default(),
            _ => Event::default().comment("ping"),
        }
    }
}
