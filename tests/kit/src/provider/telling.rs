//! From a script to an answer: what every dialect says in its own words, and what the connection does meanwhile.
//!
//! Promise: what a script says is what arrives, and the usage that it reports is the one that its bytes amount to (a
//! token a chunk for the answer, a word for the question, times the answers asked for), unless it was told to report
//! something else.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::asking::{Asked, document_of};
use super::connection::Packets;
use super::script::{About, Refusal, Script, Step, UsageFrame};
use super::{Watch, text};

/// One dialect, as its provider speaks it.
pub(super) trait Wire: Send + Sync {
    /// What a request asks, and whether the real provider would refuse it.
    fn read(&self, body: &Value) -> Asked;

    /// The body of an error.
    fn refusal(&self, refusal: &Refusal) -> String;

    /// The whole answer.
    fn document(&self, telling: &Telling<'_>) -> Value;

    /// The answer in steps.
    fn teller<'a>(&self, telling: &'a Telling<'a>) -> Box<dyn Teller + 'a>;

    /// Of a streamed answer.
    fn content_type(&self) -> &'static str {
        "text/event-stream"
    }
}

/// Says an answer step by step: the bytes of each.
pub(super) trait Teller {
    /// Before the first step.
    fn begin(&mut self) -> String;
    /// What a model generated; empty where the dialect says nothing yet.
    fn step(&mut self, step: &Step) -> String;
    /// The provider fails after it began.
    fn fail(&mut self) -> String;
    /// After the last step.
    fn end(&mut self) -> String;
}

/// One answer that is to be told.
pub(super) struct Telling<'a> {
    pub(super) request: &'a Value,
    pub(super) asked: &'a Asked,
    pub(super) script: &'a Script,
    /// Makes the ids of this answer its own, where the provider's are.
    pub(super) serial: u64,
}

/// What is reported; `output` contains `reasoning`, and `input` contains `cached`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Usage {
    pub(super) input: u64,
    pub(super) cached: Option<u64>,
    pub(super) output: u64,
    pub(super) reasoning: Option<u64>,
}

/// What all generated steps amount to.
#[derive(Default)]
pub(super) struct Said {
    pub(super) thoughts: String,
    pub(super) text: String,
    /// Names and arguments.
    pub(super) calls: Vec<(String, String)>,
}

impl Telling<'_> {
    /// `None` if it is not reported.
    pub(super) fn usage(&self) -> Option<Usage> {
        let count = |wanted: fn(&Step) -> bool| {
            self.script.steps.iter().filter(|step| wanted(step)).count() as u64 * self.asked.choices
        };
        let thoughts = count(|step| matches!(step, Step::Think(_)));
        let (input, output) = match self.script.usage {
            UsageFrame::Missing => return None,
            UsageFrame::Exactly { input, output } => (input, output),
            UsageFrame::Counted => (self.asked.words.max(1), count(Step::is_generated)),
        };
        let reasoning = self.script.reasoning_tokens.or((thoughts > 0).then_some(thoughts));
        Some(Usage { input, cached: self.script.cached_tokens, output, reasoning })
    }

    pub(super) fn said(&self) -> Said {
        let mut said = Said::default();
        for step in &self.script.steps {
            match step {
                Step::Say(text) => said.text.push_str(text),
                Step::Think(text) => said.thoughts.push_str(text),
                Step::Call { name, .. } => said.calls.push((name.clone(), String::new())),
                Step::Arguments { index, fragment } => {
                    if let Some((_, arguments)) = said.calls.get_mut(*index) {
                        arguments.push_str(fragment);
                    }
                }
                Step::Raw(_) | Step::Wait(_) | Step::Stall | Step::Cut | Step::Fail => {}
            }
        }
        said
    }

    fn stream(&self, wire: &dyn Wire) -> Packets {
        let mut packets = Packets::new(self.script.packet_bytes);
        let mut teller = wire.teller(self);
        packets.bytes(teller.begin());
        for step in &self.script.steps {
            if step.is_generated() {
                packets.wait(self.script.pause_between_chunks);
                packets.bytes(teller.step(step));
            } else if *step == Step::Fail {
                packets.bytes(teller.fail());
            } else {
                packets.happening(step);
            }
        }
        packets.bytes(teller.end());
        packets
    }

    /// The whole answer as one document. Where the script has a mishap, half of the document is sent before it.
    fn whole(&self, wire: &dyn Wire) -> Packets {
        let document = wire.document(self).to_string().into_bytes();
        let mut packets = Packets::new(self.script.packet_bytes);
        let generated = self.script.steps.iter().filter(|step| step.is_generated()).count();
        // It takes as long as the stream would.
        packets.wait(self.script.pause_between_chunks.saturating_mul(u32::try_from(generated).unwrap_or(u32::MAX)));
        let is_mishap = |step: &&Step| !step.is_generated() && !matches!(step, Step::Wait(_));
        if let Some(mishap) = self.script.steps.iter().find(is_mishap) {
            packets.bytes(&document[..document.len() / 2]);
            packets.happening(mishap);
        } else {
            packets.bytes(&document);
        }
        packets
    }
}

static SERIAL: AtomicU64 = AtomicU64::new(1);

/// Answers one request as its script says.
pub(super) async fn answer(
    mut script: Script,
    (request, asked): (&Value, &Asked),
    wire: &dyn Wire,
    mut watch: Watch,
) -> Response {
    if let (Some(About::Schema), Some((name, schema))) = (script.about, &asked.forced) {
        script = script.calls(name, &document_of(schema).to_string());
    } else if let Some(words) = script.told_of(request, asked) {
        script.steps.extend(text::pieces(&words).map(Step::Say));
    }
    tokio::time::sleep(script.first_byte_after).await;
    let refusal = asked.fault.as_ref().or(script.refusal.as_ref());
    let mut response = if let Some(refusal) = refusal {
        watch.finished = true;
        let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, [(header::CONTENT_TYPE, "application/json")], wire.refusal(refusal)).into_response()
    } else {
        let telling = Telling { request, asked, script: &script, serial: SERIAL.fetch_add(1, Ordering::Relaxed) };
        if asked.stream {
            let kind = [(header::CONTENT_TYPE, wire.content_type()), (header::CACHE_CONTROL, "no-cache")];
            (kind, telling.stream(wire).into_body(watch)).into_response()
        } else {
            ([(header::CONTENT_TYPE, "application/json")], telling.whole(wire).into_body(watch)).into_response()
        }
    };
    for (name, value) in script.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

impl Script {
    /// What the answer says where it depends on what was asked.
    fn told_of(&self, request: &Value, asked: &Asked) -> Option<String> {
        Some(match self.about? {
            About::Parameters => {
                let mut parameters = request.clone();
                for conversation in ["messages", "input", "contents"] {
                    parameters.as_object_mut().map(|parameters| parameters.remove(conversation));
                }
                parameters.to_string()
            }
            About::Pictures if asked.pictures.is_empty() => "I see no picture".to_owned(),
            About::Pictures => format!("I see {}", asked.pictures.join(" and ")),
            About::Schema => match &asked.schema {
                Some(schema) => document_of(schema).to_string(),
                None => "no schema was asked for".to_owned(),
            },
        })
    }
}

/// One event of a stream whose events have names.
pub(super) fn named(name: &str, data: &Value) -> String {
    format!("event: {name}\ndata: {data}\n\n")
}

/// One event of a stream whose events have none.
pub(super) fn unnamed(data: &Value) -> String {
    format!("data: {data}\n\n")
}
