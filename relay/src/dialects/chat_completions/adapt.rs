//! A body in the terms of the server that gets it.
//!
//! One function for bodies that were written here and for those that pass through from a client, because both may hold
//! what the server refuses: another name, another form, what it never heard of.

use serde_json::{Map, Value, json};

use super::quirks::{Bound, Quirks, ToolChoices};
use super::write::write_thoughts;
use super::{reasoning, thoughts};
use crate::RequestBody;
use crate::body::Marks;

/// What is ours in a body that passes.
pub(crate) struct Ours<'a> {
    /// The upstream's id of the model.
    pub(crate) model: &'a str,
    pub(crate) stream: bool,
    /// Instead of the client's, if there is one.
    pub(crate) bound: Option<u32>,
}

/// The output bound's two names: OpenAI renamed it, most others know the old one.
const OLD_BOUND: &str = "max_tokens";
const NEW_BOUND: &str = "max_completion_tokens";

impl Quirks {
    /// What of a conversation [`Self::adapt`] may change.
    pub(crate) fn reach(&self) -> Marks {
        Marks::THOUGHTS
            | Marks::DEVELOPER.when(!self.developer)
            | Marks::NAMES.when(!self.names)
            | Marks::CACHE_CONTROL.when(!self.cache_control)
            | Marks::EXTRA_CONTENT.when(!self.call_signatures)
            | Marks::PARTS.when(self.flat_text)
            | Marks::STRICT.when(!self.strict)
    }

    /// Puts a body that was written as OpenAI documents it into the server's terms: names, bounds, what is dropped and
    /// added. For bodies that were written here and for those that pass through from a client alike; applying it twice
    /// changes nothing more.
    pub fn adapt(&self, body: &mut Map<String, Value>) {
        self.set_bound(body);
        self.set_temperature(body);
        for (from, to) in self.renamed {
            if let Some(value) = body.shift_remove(*from) {
                body.insert((*to).to_owned(), value);
            }
        }
        for (key, value) in self.added {
            body.entry(*key).or_insert((*value).into());
        }
        body.retain(|key, _| !self.dropped.contains(&key.as_str()));
        let messages = body.get_mut("messages").and_then(Value::as_array_mut);
        messages.into_iter().flatten().for_each(|message| self.set_message(message));
        let tools = body.get_mut("tools").and_then(Value::as_array_mut);
        tools.into_iter().flatten().filter_map(Value::as_object_mut).for_each(|tool| self.set_tool(tool));
        reasoning::adapt(self.thinking, body);
        self.set_stream(body);
        self.set_format(body);
        self.set_tool_choice(body);
    }

    /// A body as it was sent, with what is ours in its place: what [`Self::adapt`] would make of it where nothing in its
    /// conversation is within [`Self::reach`]. `None` where that one has more to do.
    pub(crate) fn in_place(&self, body: &RequestBody, ours: &Ours<'_>) -> Option<serde_json::Result<Vec<u8>>> {
        let Ours { model, stream, bound } = *ours;
        let mut members = vec![("model", Some(Value::from(model))), ("stream", Some(stream.into()))];
        if let Some(bound) = bound {
            let (key, other) = match self.bound {
                Bound::MaxTokens => (OLD_BOUND, NEW_BOUND),
                Bound::MaxCompletionTokens => (NEW_BOUND, OLD_BOUND),
            };
            members.extend([(key, Some(bound.into())), (other, None)]);
        }
        let streams = stream && self.stream_options;
        members.push(("stream_options", streams.then(|| json!({"include_usage": true}))));
        // What else a client wants of a stream is kept, and switches are put behind what it sent.
        let is_usual = !streams || body.get("stream_options").is_none_or(is_of_usage);
        if !is_usual || !self.added.is_empty() {
            return None;
        }
        body.with(&members, |name, value| self.leaves(name, value))
    }

    /// Whether [`Self::adapt`] leaves a parameter as it is, whatever else there is.
    fn leaves(&self, name: &str, value: &Value) -> bool {
        let (least, greatest) = self.temperature;
        match name {
            OLD_BOUND | NEW_BOUND | "stream_options" | "reasoning_effort" | "reasoning" => false,
            "temperature" if value.as_f64().is_some_and(|told| told < least || told > greatest) => false,
            "response_format" if !self.schemas => false,
            "tool_choice" if self.tool_choice != ToolChoices::All => false,
            name => !self.dropped.contains(&name) && self.renamed.iter().all(|(from, _)| *from != name),
        }
    }

    fn set_bound(&self, body: &mut Map<String, Value>) {
        let old = body.shift_remove(OLD_BOUND).filter(|bound| !bound.is_null());
        let new = body.shift_remove(NEW_BOUND).filter(|bound| !bound.is_null());
        let key = match self.bound {
            Bound::MaxTokens => OLD_BOUND,
            Bound::MaxCompletionTokens => NEW_BOUND,
        };
        if let Some(bound) = new.or(old) {
            body.insert(key.to_owned(), bound);
        }
    }

    fn set_temperature(&self, body: &mut Map<String, Value>) {
        let (least, greatest) = self.temperature;
        if let Some(temperature) = body.get_mut("temperature")
            && let Some(told) = temperature.as_f64().filter(|told| *told < least || *told > greatest)
        {
            *temperature = if told < least { least } else { greatest }.into();
        }
    }

    fn set_message(&self, message: &mut Value) {
        let Some(fields) = message.as_object_mut() else { return };
        if !self.developer && fields.get("role").is_some_and(|role| role == "developer") {
            fields.insert("role".to_owned(), "system".into());
        }
        if !self.names && fields.get("role").is_none_or(|role| role != "function") {
            fields.shift_remove("name");
        }
        if !self.cache_control {
            fields.shift_remove("cache_control");
        }
        if let Some(content) = fields.get_mut("content") {
            self.set_content(content);
        }
        if !self.call_signatures {
            let calls = fields.get_mut("tool_calls").and_then(Value::as_array_mut).into_iter().flatten();
            calls.filter_map(Value::as_object_mut).for_each(|call| drop(call.shift_remove("extra_content")));
        }
        let text = |value: Option<Value>| value.and_then(|value| value.as_str().map(str::to_owned));
        let texts = [text(fields.shift_remove("reasoning_content")), text(fields.shift_remove("reasoning"))];
        let details = match fields.shift_remove("reasoning_details") {
            Some(Value::Array(details)) => Some(details),
            _ => None,
        };
        let (mut thoughts, behind) = thoughts::read(details, texts);
        thoughts.extend(behind);
        if !thoughts.is_empty() {
            write_thoughts(&thoughts, self.thoughts, message);
        }
    }

    fn set_content(&self, content: &mut Value) {
        let Some(parts) = content.as_array_mut() else { return };
        if !self.cache_control {
            let fields = parts.iter_mut().filter_map(Value::as_object_mut);
            fields.for_each(|part| drop(part.shift_remove("cache_control")));
        }
        if self.flat_text {
            let texts: Option<Vec<&str>> = parts.iter().map(|part| part.get("text")?.as_str()).collect();
            if let Some(texts) = texts {
                *content = texts.join("\n\n").into();
            }
        }
    }

    fn set_tool(&self, tool: &mut Map<String, Value>) {
        if !self.cache_control {
            tool.shift_remove("cache_control");
        }
        if let Some(function) = tool.get_mut("function").and_then(Value::as_object_mut).filter(|_| !self.strict) {
            function.shift_remove("strict");
        }
    }

    fn set_stream(&self, body: &mut Map<String, Value>) {
        let streams = body.get("stream").is_some_and(|stream| stream == true);
        let told = body.shift_remove("stream_options");
        if !streams || !self.stream_options {
            return;
        }
        let mut options = match told {
            Some(Value::Object(options)) => options,
            _ => Map::new(),
        };
        options.insert("include_usage".to_owned(), true.into());
        body.insert("stream_options".to_owned(), options.into());
    }

    fn set_format(&self, body: &mut Map<String, Value>) {
        if !self.schemas
            && let Some(Value::Object(format)) = body.get_mut("response_format")
            && format.get("type").is_some_and(|kind| kind == "json_schema")
        {
            format.insert("type".to_owned(), "json_object".into());
            format.shift_remove("json_schema");
        }
    }

    fn set_tool_choice(&self, body: &mut Map<String, Value>) {
        let Some(choice) = body.get("tool_choice") else { return };
        let instead = match (self.tool_choice, choice.as_str()) {
            (ToolChoices::Any, Some("required")) => "any",
            (ToolChoices::NotRequired, Some("required")) => "auto",
            (ToolChoices::Auto, Some("none")) => {
                ["tools", "tool_choice"].iter().for_each(|key| drop(body.shift_remove(*key)));
                return;
            }
            (ToolChoices::Auto, _) => "auto",
            _ => return,
        };
        body.insert("tool_choice".to_owned(), instead.into());
    }
}

/// Whether options of a stream say at most whether usage is told, which it always is.
fn is_of_usage(options: &Value) -> bool {
    options.as_object().is_some_and(|options| options.keys().all(|key| key == "include_usage"))
}
