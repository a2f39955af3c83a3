//! The local model behind the compatible API: what it can do of a request, and its text as OpenAI's objects.
//!
//! The rule: what only tunes or offers is left out (`tools` with a free choice, `logprobs`, `stop`, `seed`, penalties,
//! `top_p` and whatever is unknown); what promises something that would not be kept is refused with status 400 (more
//! than one choice, anything but text, a tool that must be called, an answer that must be JSON).

use futures::{StreamExt, stream};
use serde_json::{Map, Value, json};

use super::MODEL_ID;
use crate::openai::told::{self, Told};
use crate::{
    Basis, ChatRequest, Dialect, Envelope, Finish, RelayError, ReplyDelta, ReplyStream, Role, ServedAnswer, ServedCall,
    ServedEvent, ServedFrame, ServedStream, Turn, Usage,
};

/// The conversation in a client's request.
///
/// # Errors
/// [`RelayError::UpstreamRefused`] with status 400 and the parameter, by the rule above.
pub(super) fn chat_request(request: &ServedCall) -> Result<ChatRequest, RelayError> {
    if request.dialect != Dialect::ChatCompletions {
        return Err(refused("model", "this model is not served in that API"));
    }
    let body = &request.body;
    refuse_promises(body)?;
    let turns = turns(body)?;
    let temperature = match body.get("temperature") {
        None | Some(Value::Null) => None,
        Some(value) => {
            let value = value.as_f64().filter(|value| (0.0..=2.0).contains(value));
            Some(value.ok_or_else(|| refused("temperature", "`temperature` must be a number from 0 to 2"))? as f32)
        }
    };
    let max_output_tokens = request.max_output_tokens.or_else(|| {
        let named = ["max_completion_tokens", "max_tokens"].iter().find_map(|key| body.get(*key)?.as_u64());
        named.map(|bound| u32::try_from(bound).unwrap_or(u32::MAX))
    });
    Ok(ChatRequest { model: request.model.clone(), turns, max_output_tokens, temperature, user_tag: None })
}

/// What was said, as far as this model can read it.
///
/// # Errors
/// As [`chat_request`].
pub(super) fn turns(body: &Map<String, Value>) -> Result<Vec<Turn>, RelayError> {
    let messages = body.get("messages").and_then(Value::as_array).filter(|messages| !messages.is_empty());
    let messages = messages.ok_or_else(|| refused("messages", "`messages` must be a list that is not empty"))?;
    let mut turns = Vec::with_capacity(messages.len());
    for message in messages {
        turns.extend(turn(message)?);
    }
    Ok(turns)
}

fn refuse_promises(body: &Map<String, Value>) -> Result<(), RelayError> {
    let word = |key: &str| body.get(key).and_then(Value::as_str);
    if body.get("n").is_some_and(|n| !n.is_null() && n.as_u64() != Some(1)) {
        return Err(refused("n", "this model gives one choice: `n` must be 1"));
    }
    let format = body.get("response_format").and_then(|format| format.get("type")).and_then(Value::as_str);
    if format.is_some_and(|format| format != "text") {
        return Err(refused("response_format", "this model cannot promise JSON"));
    }
    if word("tool_choice") == Some("required") || body.get("tool_choice").is_some_and(Value::is_object) {
        return Err(refused("tool_choice", "this model calls no tools"));
    }
    let modalities = body.get("modalities").and_then(Value::as_array);
    if modalities.into_iter().flatten().any(|modality| modality != "text") {
        return Err(refused("modalities", "this model gives text only"));
    }
    Ok(())
}

/// One message as a turn; `None` where it holds nothing that this model can read, such as a mere call of a tool.
fn turn(message: &Value) -> Result<Option<Turn>, RelayError> {
    let role = match message.get("role").and_then(Value::as_str) {
        Some("system" | "developer") => Role::System,
        Some("user") => Role::User,
        Some("assistant") => Role::Assistant,
        // What a tool said is news to the model, as what a person says.
        Some("tool" | "function") => Role::User,
        _ => return Err(refused("messages", "a message has no known `role`")),
    };
    let content = text(message.get("content"))?;
    Ok((!content.is_empty() || role == Role::User).then_some(Turn { role, content }))
}

fn text(content: Option<&Value>) -> Result<String, RelayError> {
    match content {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Array(parts)) => parts.iter().map(part).collect(),
        Some(_) => Err(refused("messages", "the `content` of a message must be a string or a list of parts")),
    }
}

fn part(part: &Value) -> Result<&str, RelayError> {
    let text = match part.get("type").and_then(Value::as_str) {
        Some("text") => part.get("text"),
        Some("refusal") => part.get("refusal"),
        _ => None,
    };
    text.and_then(Value::as_str).ok_or_else(|| refused("messages", "this model reads text only"))
}

fn refused(param: &str, message: &str) -> RelayError {
    RelayError::UpstreamRefused {
        status: 400,
        message: message.to_owned(),
        code: Some("unsupported_value".to_owned()),
        param: Some(param.to_owned()),
    }
}

/// OpenAI's word for the end of an answer.
fn word(finish: &Finish) -> &'static str {
    match finish {
        Finish::Length => "length",
        Finish::ContentFilter => "content_filter",
        Finish::Stop | Finish::Cancelled | Finish::Other(_) => "stop",
    }
}

fn object(envelope: &Envelope, kind: &str, choice: &Value) -> Map<String, Value> {
    Map::from_iter([
        ("id".to_owned(), envelope.id.as_str().into()),
        ("object".to_owned(), kind.into()),
        ("created".to_owned(), envelope.created.into()),
        ("model".to_owned(), MODEL_ID.into()),
        ("choices".to_owned(), json!([choice])),
    ])
}

/// What the model consumed; it always counts.
fn counted(usage: Option<Usage>, envelope: &Envelope) -> Usage {
    usage.unwrap_or(Usage::new(envelope.input_tokens, 0, Basis::Estimated))
}

/// The whole answer as one object.
///
/// # Errors
/// What ended it early, a cancellation included.
pub(super) async fn whole(mut reply: ReplyStream, envelope: &Envelope) -> Result<ServedAnswer, RelayError> {
    let mut content = String::new();
    while let Some(step) = reply.next().await {
        match step? {
            ReplyDelta::Text(text) => content.push_str(&text),
            ReplyDelta::Done { finish: Finish::Cancelled, .. } => return Err(RelayError::Cancelled),
            ReplyDelta::Done { finish, usage } => {
                let message = json!({"role": "assistant", "content": content, "refusal": null});
                let choice = json!({"index": 0, "message": message, "logprobs": null, "finish_reason": word(&finish)});
                let usage = counted(usage, envelope);
                let body = told::whole(object(envelope, "chat.completion", &choice), envelope, &usage);
                return Ok(ServedAnswer::Whole { body, usage });
            }
        }
    }
    Err(RelayError::LocalFailure("the answer vanished".to_owned()))
}

/// The answer in chunks: the role, the text, the finish reason unless it was cancelled, the end.
pub(super) fn chunks(reply: ReplyStream, envelope: Envelope) -> ServedStream {
    let mut chunks = Chunks { told: Told::new(envelope.clone()), envelope, pieces: 0 };
    let opening = chunks.chunk(&json!({"role": "assistant", "content": ""}), None);
    let frames = reply.map(move |step| chunks.frame(step));
    stream::once(async { ServedFrame::Event(opening) }).chain(frames).boxed()
}

struct Chunks {
    told: Told,
    envelope: Envelope,
    /// Pieces of text so far, each a token or more.
    pieces: u64,
}

impl Chunks {
    fn chunk(&mut self, delta: &Value, finish: Option<&str>) -> ServedEvent {
        let choice = json!({"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish});
        self.told.chunk(object(&self.envelope, "chat.completion.chunk", &choice).into())
    }

    fn frame(&mut self, step: Result<ReplyDelta, RelayError>) -> ServedFrame {
        match step {
            Ok(ReplyDelta::Text(text)) => {
                self.pieces += 1;
                ServedFrame::Event(self.chunk(&json!({"content": text}), None))
            }
            Ok(ReplyDelta::Done { finish: Finish::Cancelled, usage }) => {
                ServedFrame::Done { last: vec![], usage: counted(usage, &self.envelope) }
            }
            Ok(ReplyDelta::Done { finish, usage }) => {
                let usage = counted(usage, &self.envelope);
                let mut last = vec![self.chunk(&json!({}), Some(word(&finish)))];
                last.extend(self.told.usage(&usage));
                ServedFrame::Done { last, usage }
            }
            Err(error) => {
                let consumed = Usage::new(self.envelope.input_tokens, self.pieces, Basis::Estimated);
                ServedFrame::Failed { error, usage: (self.pieces > 0).then_some(consumed) }
            }
        }
    }
}
