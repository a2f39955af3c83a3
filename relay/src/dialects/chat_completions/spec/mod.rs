//! What the dialect promises, on the wire.

mod asked;
mod heard;
mod providers;
mod round;
mod served;
mod told;

use serde_json::{Map, Value, json};

use super::{ChatCompletions, Quirks, Upstream};
use crate::model::{Delta, Prompt};
use crate::providers::compatible::Compatible;
use crate::{DeltaReader, Envelope, RelayError, Served, Spoken};

fn object(value: Value) -> Map<String, Value> {
    let Value::Object(object) = value else { panic!("it is an object") };
    object
}

/// The upstream of a provider's row.
fn provider(id: &str) -> Upstream {
    Upstream::new(Compatible::of(id).unwrap().quirks.clone())
}

/// A client's body as the model.
fn prompt(body: Value) -> Prompt {
    ChatCompletions.read(object(body)).unwrap()
}

fn envelope() -> Envelope {
    Envelope {
        id: "chatcmpl-1".to_owned(),
        model: "public".to_owned(),
        created: 1_700_000_000,
        input_tokens: 9,
        include_usage: false,
        request: Default::default(),
    }
}

/// The data of the events in a recorded stream.
fn data(stream: &str) -> impl Iterator<Item = &str> {
    stream.lines().filter_map(|line| line.strip_prefix("data:")).map(str::trim)
}

/// Reads a recorded stream to its end.
fn steps<'a>(
    upstream: &Upstream,
    data: impl IntoIterator<Item = &'a str>,
) -> Result<(Vec<Delta>, Box<dyn DeltaReader>), RelayError> {
    let mut reader = upstream.reader();
    let mut deltas = Vec::new();
    for data in data {
        deltas.extend(reader.read(None, data)?);
    }
    Ok((deltas, reader))
}

/// Each step in a line; fragments of the same kind that follow each other are one.
fn lines(deltas: Vec<Delta>) -> Vec<String> {
    let mut lines: Vec<(String, String)> = Vec::new();
    for delta in deltas {
        let (kind, text) = line(delta);
        match lines.last_mut() {
            Some((last, so_far)) if *last == kind && kind.ends_with(':') => so_far.push_str(&text),
            _ => lines.push((kind, text)),
        }
    }
    lines.into_iter().map(|(kind, text)| format!("{kind} {text}").trim_end().to_owned()).collect()
}

fn line(delta: Delta) -> (String, String) {
    let of = |candidate: u32, kind: &str| if candidate == 0 { kind.to_owned() } else { format!("{candidate} {kind}") };
    match delta {
        Delta::Begin { id, model, .. } => ("begin".to_owned(), format!("{id} {model}")),
        Delta::Text { candidate, text } => (of(candidate, "text:"), text),
        Delta::Reasoning { candidate, text } => (of(candidate, "thought:"), text),
        Delta::Refusal { candidate, text } => (of(candidate, "refusal:"), text),
        Delta::ReasoningSignature { candidate, signature } => (of(candidate, "signed"), signature.value.to_string()),
        Delta::ToolCall { candidate, call, id, name, signature, .. } => {
            let mark = signature.map(|mark| format!(" {}", mark.value)).unwrap_or_default();
            (of(candidate, "call"), format!("{call} {id} {name}{mark}"))
        }
        Delta::ToolArguments { candidate, call, fragment } => (of(candidate, &format!("arguments {call}:")), fragment),
        Delta::Citation { candidate, citation } => (of(candidate, "citation"), citation.value.to_string()),
        Delta::Audio { candidate, audio } => (of(candidate, "audio"), audio.to_string()),
        Delta::Logprobs { candidate, logprobs } => (of(candidate, "logprobs"), logprobs.to_string()),
        Delta::Part { candidate, part } => (of(candidate, "part"), format!("{part:?}")),
        Delta::Finish { candidate, finish, .. } => (of(candidate, "finish"), format!("{finish:?}")),
        Delta::Usage(usage) => {
            let parts = [usage.input_tokens, usage.cached_input_tokens, usage.output_tokens, usage.reasoning_tokens];
            ("usage".to_owned(), format!("{parts:?}"))
        }
    }
}

/// What a recorded stream of a provider says.
fn said(id: &str, stream: &str) -> Vec<String> {
    let (deltas, reader) = steps(&provider(id), data(stream)).unwrap();
    assert!(reader.is_finished(), "{id}");
    lines(deltas)
}

/// A chunk of one choice.
#[expect(clippy::needless_pass_by_value, reason = "tests give it literals")]
fn chunk(delta: Value) -> String {
    json!({"id": "c", "object": "chat.completion.chunk", "model": "m", "choices": [{"index": 0, "delta": delta}]})
        .to_string()
}

fn generic() -> Upstream {
    Upstream::new(Quirks::GENERIC)
}
