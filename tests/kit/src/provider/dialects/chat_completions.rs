//! OpenAI's chat completions, as OpenAI and compatible servers speak them.
//!
//! Source: "Create chat completion", "The chat completion object" and "… chunk object" of OpenAI's API reference
//! (platform.openai.com/docs/api-reference/chat); `reasoning_content` as DeepSeek has it (api-docs.deepseek.com).

use serde_json::{Value, json};

use super::super::asking::{Asked, forced, list};
use super::super::script::{Refusal, Step, UsagePlace};
use super::super::telling::{Teller, Telling, Usage, Wire, unnamed};
use super::openai_refusal;

/// More choices than this are not made, whatever a client asks for.
const MAX_CHOICES: u64 = 8;

/// The dialect.
pub(in super::super) struct ChatCompletions;

impl Wire for ChatCompletions {
    fn read(&self, body: &Value) -> Asked {
        let messages = list(&body["messages"]);
        let person = messages.iter().rev().find(|message| message["role"] == "user");
        let results = messages.iter().rev().take_while(|message| message["role"] == "tool");
        let mut results: Vec<String> = results.map(|message| text_of(&message["content"]).to_owned()).collect();
        results.reverse();
        let mut asked = Asked {
            prompt: person.map(|message| text_of(&message["content"])).unwrap_or_default().to_owned(),
            results,
            schema: Some(&body["response_format"]["json_schema"]["schema"])
                .filter(|schema| schema.is_object())
                .cloned(),
            forced: forced(
                body["tool_choice"].is_object() || body["tool_choice"] == "required",
                body["tool_choice"]["function"]["name"].as_str(),
                list(&body["tools"]).iter().map(|tool| (&tool["function"]["name"], &tool["function"]["parameters"])),
            ),
            choices: body["n"].as_u64().unwrap_or(1).clamp(1, MAX_CHOICES),
            stream: body["stream"] == true,
            ..Asked::default()
        };
        for message in messages {
            asked.hear(text_of(&message["content"]));
            let pictures = list(&message["content"]).iter().filter_map(|part| part["image_url"]["url"].as_str());
            pictures.for_each(|url| asked.see_at(url));
        }
        asked
    }

    fn refusal(&self, refusal: &Refusal) -> String {
        openai_refusal(refusal)
    }

    fn document(&self, telling: &Telling<'_>) -> Value {
        let message = message(telling);
        let finish = &telling.script.finish;
        let choice =
            |index: u64| json!({"index": index, "message": message, "logprobs": null, "finish_reason": finish});
        let mut document = json!({
            "id": "chatcmpl-mock",
            "object": "chat.completion",
            "created": 1_700_000_000,
            "model": telling.request["model"],
            "system_fingerprint": "fp_mock",
            "choices": (0..telling.asked.choices).map(choice).collect::<Vec<_>>(),
            "usage": telling.usage().map(usage),
        });
        if telling.request["service_tier"].is_string() {
            document["service_tier"] = telling.request["service_tier"].clone();
        }
        document
    }

    fn teller<'a>(&self, telling: &'a Telling<'a>) -> Box<dyn Teller + 'a> {
        let with_usage = telling.request["stream_options"]["include_usage"] == true;
        Box::new(Chunks { telling, with_usage })
    }
}

/// The first text of a message's content, which may be a string or parts.
fn text_of(content: &Value) -> &str {
    match content {
        Value::String(text) => text,
        Value::Array(parts) => parts.iter().find_map(|part| part["text"].as_str()).unwrap_or_default(),
        _ => "",
    }
}

/// Makes the chunks of one stream.
struct Chunks<'a> {
    telling: &'a Telling<'a>,
    with_usage: bool,
}

impl Chunks<'_> {
    fn chunk(&self, choices: &Value, usage: &Value) -> Value {
        let mut chunk = json!({
            "id": "chatcmpl-mock",
            "object": "chat.completion.chunk",
            "created": 1_700_000_000,
            "model": self.telling.request["model"],
            "system_fingerprint": "fp_mock",
            "choices": choices,
        });
        if self.with_usage {
            chunk["usage"] = usage.clone();
        }
        chunk
    }

    /// The same delta for each choice.
    fn deltas(&self, delta: &Value, finish: Option<&str>, usage: &Value) -> String {
        let choices = self.telling.asked.choices;
        let frame = |index: u64| {
            let choice = json!([{"index": index, "delta": delta, "logprobs": null, "finish_reason": finish}]);
            let last = index + 1 == choices;
            unnamed(&self.chunk(&choice, if last { usage } else { &Value::Null }))
        };
        (0..choices).map(frame).collect()
    }
}

impl Teller for Chunks<'_> {
    fn begin(&mut self) -> String {
        self.deltas(&json!({"role": "assistant", "content": ""}), None, &Value::Null)
    }

    fn step(&mut self, step: &Step) -> String {
        delta_of(step).map(|delta| self.deltas(&delta, None, &Value::Null)).unwrap_or_default()
    }

    fn fail(&mut self) -> String {
        unnamed(&json!({"error": {"message": "the mock provider gave up", "type": "server_error"}}))
    }

    fn end(&mut self) -> String {
        let script = self.telling.script;
        let usage = self.telling.usage().filter(|_| self.with_usage).map(usage);
        let mut end = String::new();
        let merged = usage.as_ref().filter(|_| script.usage_place == UsagePlace::FinishChunk).cloned();
        if let Some(finish) = &script.finish {
            end += &self.deltas(&json!({}), Some(finish), &merged.unwrap_or_default());
        }
        match (usage, script.usage_place) {
            (Some(usage), UsagePlace::OwnFrame) => end += &unnamed(&self.chunk(&json!([]), &usage)),
            (Some(usage), UsagePlace::BareFrame) => end += &unnamed(&json!({"usage": usage})),
            (_, UsagePlace::FinishChunk) | (None, _) => {}
        }
        if script.done_marker {
            end += "data: [DONE]\n\n";
        }
        end
    }
}

fn delta_of(step: &Step) -> Option<Value> {
    let call = |call: Value| json!({"tool_calls": [call]});
    Some(match step {
        Step::Say(text) => json!({"content": text}),
        Step::Think(text) => json!({"reasoning_content": text}),
        Step::Call { index, name } => call(json!({
            "index": index, "id": call_id(*index), "type": "function", "function": {"name": name, "arguments": ""},
        })),
        Step::Arguments { index, fragment } => call(json!({"index": index, "function": {"arguments": fragment}})),
        Step::Raw(_) | Step::Wait(_) | Step::Stall | Step::Cut | Step::Fail => return None,
    })
}

fn call_id(index: usize) -> String {
    format!("call_{}", index + 1)
}

fn usage(told: Usage) -> Value {
    let Usage { input, output, .. } = told;
    let mut usage = json!({"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output});
    if let Some(cached) = told.cached {
        usage["prompt_tokens_details"] = json!({"cached_tokens": cached, "audio_tokens": 0});
    }
    if let Some(reasoning) = told.reasoning {
        usage["completion_tokens_details"] = json!({"reasoning_tokens": reasoning, "audio_tokens": 0});
    }
    usage
}

fn message(telling: &Telling<'_>) -> Value {
    let said = telling.said();
    let mut message = json!({"role": "assistant", "content": said.text, "refusal": null});
    if !said.thoughts.is_empty() {
        message["reasoning_content"] = said.thoughts.into();
    }
    if !said.calls.is_empty() {
        let call = |(index, (name, arguments)): (usize, &(String, String))| {
            let function = json!({"name": name, "arguments": arguments});
            json!({"id": call_id(index), "type": "function", "function": function})
        };
        message["content"] = Value::Null;
        message["tool_calls"] = said.calls.iter().enumerate().map(call).collect();
    }
    message
}
