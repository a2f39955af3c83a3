//! What a client asks, as the model of all dialects.
//!
//! Source: OpenAI, "Create chat completion", and its predecessors' parameters. What is not named here is kept in
//! [`Prompt::extra`] and said again where this dialect is spoken.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::parts::read_content;
use super::{reasoning, thoughts, tools};
use crate::dialects::common::Fields;
use crate::model::{Audio, Author, Message, Opaque, OutputFormat, Part, Prompt, Sampling, ToolOutcome};
use crate::{Dialect, InvalidRequest};

/// More answers to one question than OpenAI allows.
const MAX_CANDIDATES: u32 = 128;
/// More alternatives of a token than OpenAI allows.
const MAX_LOGPROBS: u8 = 20;

/// Reads a whole body.
///
/// # Errors
/// It is malformed; the error names the parameter.
pub(super) fn read(body: Map<String, Value>) -> Result<Prompt, InvalidRequest> {
    let mut body = Fields::new(body, "");
    let mut extra = Map::new();
    let messages = Conversation::default().read(body.need("messages")?)?;
    let mut tools = tools::read_tools(&mut body)?;
    let tool_choice = tools::read_choice(&mut body, &mut tools)?;
    let (new, old) = (bound(&mut body, "max_completion_tokens")?, bound(&mut body, "max_tokens")?);
    let stop = match body.take::<Value>("stop")? {
        None => vec![],
        Some(Value::String(one)) => vec![one],
        Some(several) => serde_json::from_value(several)
            .map_err(|_| InvalidRequest::at("stop", "This must be a string or an array of strings."))?,
    };
    let candidates = body.take::<u32>("n")?;
    if candidates.is_some_and(|n| n == 0 || n > MAX_CANDIDATES) {
        return Err(InvalidRequest::at("n", format!("This must be between 1 and {MAX_CANDIDATES}.")));
    }
    let prompt = Prompt {
        model: body.need("model")?,
        messages,
        tools,
        tool_choice,
        parallel_tool_calls: body.take("parallel_tool_calls")?,
        sampling: sampling(&mut body)?,
        max_output_tokens: new.or(old),
        stop,
        candidates,
        format: format(&mut body, &mut extra)?,
        reasoning: reasoning::read(&mut body, &mut extra)?,
        logprobs: logprobs(&mut body)?,
        audio: body.take::<Map<String, Value>>("audio")?.map(Value::Object),
        cache_key: body.take("prompt_cache_key")?,
        service_tier: body.take("service_tier")?,
        user_tag: body.take("user")?,
        metadata: body.take("metadata")?.unwrap_or_default(),
        stream: body.take("stream")?.unwrap_or_default(),
        extra: None,
    };
    // How the stream is told is between the client and us, and us and the provider.
    body.take::<Value>("stream_options")?;
    extra.extend(body.rest());
    // Said again by the audio itself.
    if prompt.audio.is_some() && extra.get("modalities").is_some_and(|told| *told == json!(["text", "audio"])) {
        extra.shift_remove("modalities");
    }
    let extra = (!extra.is_empty()).then(|| Opaque { dialect: Dialect::ChatCompletions, value: extra.into() });
    Ok(Prompt { extra, ..prompt })
}

/// An output bound; one of several names.
fn bound(body: &mut Fields, key: &str) -> Result<Option<u32>, InvalidRequest> {
    match body.bound(key)? {
        Some(0) => Err(InvalidRequest::at(key, "This must be at least 1.")),
        bound => Ok(bound),
    }
}

fn sampling(body: &mut Fields) -> Result<Sampling, InvalidRequest> {
    Ok(Sampling {
        temperature: body.take("temperature")?,
        top_p: body.take("top_p")?,
        top_k: body.take("top_k")?,
        seed: body.take("seed")?,
        presence_penalty: body.take("presence_penalty")?,
        frequency_penalty: body.take("frequency_penalty")?,
        logit_bias: body.take("logit_bias")?.unwrap_or_default(),
    })
}

fn logprobs(body: &mut Fields) -> Result<Option<u8>, InvalidRequest> {
    let wanted = body.take::<bool>("logprobs")?.unwrap_or_default();
    let alternatives = body.take::<u8>("top_logprobs")?.unwrap_or_default();
    if alternatives > MAX_LOGPROBS {
        return Err(InvalidRequest::at("top_logprobs", format!("This must be at most {MAX_LOGPROBS}.")));
    }
    Ok(wanted.then_some(alternatives))
}

fn format(body: &mut Fields, extra: &mut Map<String, Value>) -> Result<OutputFormat, InvalidRequest> {
    let Some(format) = body.take::<Map<String, Value>>("response_format")? else { return Ok(OutputFormat::Text) };
    match format.get("type").and_then(Value::as_str) {
        Some("text") => Ok(OutputFormat::Text),
        Some("json_object") => Ok(OutputFormat::Json),
        Some("json_schema") => {
            let mut format = Fields::new(format, "response_format");
            let mut schema = Fields::of(format.need("json_schema")?, "response_format.json_schema")?;
            Ok(OutputFormat::Schema {
                name: schema.take("name")?.unwrap_or_else(|| "answer".to_owned()),
                description: schema.take("description")?,
                schema: schema.take::<Map<String, Value>>("schema")?.unwrap_or_default().into(),
                strict: schema.take("strict")?,
            })
        }
        Some(_) => {
            extra.insert("response_format".to_owned(), format.into());
            Ok(OutputFormat::Text)
        }
        None => Err(InvalidRequest::at("response_format.type", "This is required.")),
    }
}

/// The messages so far, and what their tool calls are called.
#[derive(Default)]
struct Conversation {
    messages: Vec<Message>,
    /// Names of the tools by the ids of their calls.
    called: BTreeMap<String, String>,
    /// The id of the last call of each name: the older form of a result gives only the name.
    latest: BTreeMap<String, String>,
}

impl Conversation {
    fn read(mut self, messages: Vec<Value>) -> Result<Vec<Message>, InvalidRequest> {
        if messages.is_empty() {
            return Err(InvalidRequest::at("messages", "This must hold at least one message."));
        }
        for (index, message) in messages.into_iter().enumerate() {
            self.message(index, Fields::of(message, format!("messages[{index}]"))?)?;
        }
        Ok(self.messages)
    }

    fn message(&mut self, index: usize, mut fields: Fields) -> Result<(), InvalidRequest> {
        let role: String = fields.need("role")?;
        let author = match role.as_str() {
            "system" | "developer" => Author::System,
            "user" => Author::User,
            "assistant" => Author::Assistant,
            "tool" | "function" => return self.result(&mut fields),
            _ => return Err(InvalidRequest::at(fields.place("role"), "This is no role.")),
        };
        let content = fields.take::<Value>("content")?;
        if content.is_none() && author != Author::Assistant {
            return Err(InvalidRequest::at(fields.place("content"), "This is required."));
        }
        let mut parts = read_content(content.unwrap_or_default(), &fields.place("content"))?;
        if let Some(cache) = fields.take::<Map<String, Value>>("cache_control")?
            && let Some(Part::Text { cache: unset @ None, .. }) = parts.last_mut()
        {
            *unset = Some(cache.into());
        }
        let name = fields.take("name")?;
        if author == Author::Assistant {
            parts = self.answered(index, &mut fields, parts)?;
        }
        self.messages.push(Message { author, name, parts });
        Ok(())
    }

    /// The parts of an earlier answer, in the order in which models say them.
    fn answered(&mut self, index: usize, fields: &mut Fields, content: Vec<Part>) -> Result<Vec<Part>, InvalidRequest> {
        let texts = [fields.take("reasoning_content")?, fields.take::<Value>("reasoning")?.and_then(string)];
        let (mut parts, behind) = thoughts::read(fields.take("reasoning_details")?, texts);
        parts.extend(content.into_iter().chain(behind));
        parts.extend(fields.take::<String>("refusal")?.filter(|text| !text.is_empty()).map(Part::Refusal));
        if let Some(mut audio) = fields.object("audio")? {
            let id = Some(audio.need("id")?);
            parts.push(Part::Audio(Audio { format: String::new(), base64: String::new(), transcript: None, id }));
        }
        for (at, call) in fields.take::<Vec<Value>>("tool_calls")?.into_iter().flatten().enumerate() {
            let place = format!("{}[{at}]", fields.place("tool_calls"));
            parts.push(self.call(call, place, format!("call_{index}_{at}"))?);
        }
        if let Some(function) = fields.take::<Value>("function_call")? {
            let call = json!({"function": function});
            parts.push(self.call(call, fields.place("function_call"), format!("call_{index}"))?);
        }
        Ok(parts)
    }

    fn call(&mut self, call: Value, place: String, made_id: String) -> Result<Part, InvalidRequest> {
        let Value::Object(mut call) = call else {
            return Err(InvalidRequest::at(place, "This must be an object."));
        };
        let signature = thoughts::call_signature(&mut call);
        let mut call = Fields::new(call, place);
        let id = call.take::<String>("id")?.filter(|id| !id.is_empty()).unwrap_or(made_id);
        let custom = call.object("custom")?;
        let is_custom = custom.is_some();
        let mut inner = match custom {
            Some(custom) => custom,
            None => Fields::of(call.need("function")?, call.place("function"))?,
        };
        let name: String = inner.need("name")?;
        let arguments = inner.take::<Value>(if is_custom { "input" } else { "arguments" })?.and_then(string);
        let arguments = arguments.filter(|text| is_custom || !text.trim().is_empty());
        let nothing = if is_custom { "" } else { "{}" };
        self.called.insert(id.clone(), name.clone());
        self.latest.insert(name.clone(), id.clone());
        let arguments = arguments.unwrap_or_else(|| nothing.to_owned());
        Ok(Part::ToolCall { id, name, arguments, custom: is_custom, signature })
    }

    /// What a call came to; results of parallel calls are one message.
    fn result(&mut self, fields: &mut Fields) -> Result<(), InvalidRequest> {
        let name = fields.take::<String>("name")?;
        let call_id = match (fields.take("tool_call_id")?, &name) {
            (Some(id), _) => id,
            (None, Some(name)) => self.latest.get(name).cloned().unwrap_or_else(|| name.clone()),
            (None, None) => return Err(InvalidRequest::at(fields.place("tool_call_id"), "This is required.")),
        };
        let outcome = Part::ToolResult(ToolOutcome {
            name: self.called.get(&call_id).cloned().or(name),
            content: read_content(fields.take("content")?.unwrap_or_default(), &fields.place("content"))?,
            is_error: false,
            cache: fields.take::<Map<String, Value>>("cache_control")?.map(Value::Object),
            call_id,
        });
        match self.messages.last_mut() {
            Some(Message { author: Author::User, parts, .. }) if matches!(parts.last(), Some(Part::ToolResult(_))) => {
                parts.push(outcome);
            }
            _ => self.messages.push(Message { author: Author::User, name: None, parts: vec![outcome] }),
        }
        Ok(())
    }
}

/// A text; anything else that a client put there is the text of its JSON.
fn string(value: Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    }
}
