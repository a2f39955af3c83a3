//! Google's `generateContent`, `streamGenerateContent` and `countTokens`.
//!
//! Sources, all at ai.google.dev: "Generating content" and "Caching" → `Content`, `Tool`, `Schema` (API reference), "Thought
//! signatures" (from version 3 on the first call of each step of the current turn is signed, and the word that stands for
//! a signature that does not exist), "Function calling", "Structured outputs", "Troubleshooting" (errors). The words of
//! refusals are those that users of the real API report.

use serde_json::{Map, Value, json};

use super::super::asking::{Asked, forced, list, unless};
use super::super::script::{Refusal, Step, Words};
use super::super::signature;
use super::super::telling::{Said, Teller, Telling, Usage, Wire, unnamed};

/// Stands for a signature that does not exist.
const NONE_EXISTS: &str = "skip_thought_signature_validator";
/// The fields of Google's `Schema`; others are unknown names.
const SCHEMA_FIELDS: [&str; 22] = [
    "type",
    "format",
    "title",
    "description",
    "nullable",
    "enum",
    "maxItems",
    "minItems",
    "properties",
    "required",
    "minProperties",
    "maxProperties",
    "minLength",
    "maxLength",
    "pattern",
    "example",
    "anyOf",
    "propertyOrdering",
    "default",
    "items",
    "minimum",
    "maximum",
];

/// The dialect, for the model and the way of streaming that stand in the path.
pub(in super::super) struct GenerateContent {
    pub(in super::super) model: String,
    pub(in super::super) stream: bool,
    /// Without `alt=sse` a stream is one array of JSON.
    pub(in super::super) sse: bool,
}

impl Wire for GenerateContent {
    fn read(&self, body: &Value) -> Asked {
        let contents = list(&body["contents"]);
        let parts = |content: &Value| list(&content["parts"]).to_vec();
        let is_model = |content: &Value| content["role"] == "model";
        let is_person = |content: &&Value| !is_model(content) && text_of(content).is_some();
        let results = contents.last().filter(|last| text_of(last).is_none()).map(parts).unwrap_or_default();
        let config = &body["generationConfig"];
        let schema = ["responseJsonSchema", "responseSchema"].iter().map(|key| &config[*key]);
        let mut asked = Asked {
            prompt: contents.iter().rev().find(is_person).and_then(text_of).unwrap_or_default().to_owned(),
            results: results.iter().filter_map(|part| result_of(part.get("functionResponse")?)).collect(),
            schema: schema.into_iter().find(|schema| schema.is_object()).cloned(),
            forced: forced_tool(body),
            choices: config["candidateCount"].as_u64().unwrap_or(1).clamp(1, 8),
            stream: self.stream,
            ..Asked::default()
        };
        asked.hear(text_of(&body["systemInstruction"]).unwrap_or_default());
        for content in contents {
            asked.hear(text_of(content).unwrap_or_default());
            for part in list(&content["parts"]) {
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                if part["inlineData"].is_object() {
                    // Bytes may be in either alphabet ("ProtoJSON format", protobuf.dev); Google's SDKs send the safe one.
                    let data = text(&part["inlineData"]["data"]).replace('-', "+").replace('_', "/");
                    asked.see(&text(&part["inlineData"]["mimeType"]), &data);
                } else if part["fileData"].is_object() {
                    asked.see_at(&text(&part["fileData"]["fileUri"]));
                }
            }
        }
        asked.refuse(fault_of_contents(contents));
        asked.refuse(fault_of_tools(&body["tools"]));
        asked.refuse(self.fault_of_signatures(contents));
        asked
    }

    fn refusal(&self, refusal: &Refusal) -> String {
        let told = match &refusal.words {
            Words::Exactly(body) => return body.clone(),
            Words::Told(told) => told,
        };
        let status = match refusal.status {
            401 => "UNAUTHENTICATED",
            403 => "PERMISSION_DENIED",
            404 => "NOT_FOUND",
            429 => "RESOURCE_EXHAUSTED",
            503 => "UNAVAILABLE",
            504 => "DEADLINE_EXCEEDED",
            500.. => "INTERNAL",
            _ => "INVALID_ARGUMENT",
        };
        let message = match told.code.as_deref() {
            Some("context_length_exceeded") => {
                "The input token count (1048577) exceeds the maximum number of tokens allowed (1048576)."
            }
            _ => &told.message,
        };
        let error = json!({"error": {"code": refusal.status, "message": message, "status": status}});
        error.to_string()
    }

    fn document(&self, telling: &Telling<'_>) -> Value {
        let said = telling.said();
        let mut chunk = self.chunk(telling, &self.parts(&said), telling.script.finish.as_deref());
        chunk["usageMetadata"] = json!(telling.usage().map(usage));
        chunk
    }

    fn teller<'a>(&self, telling: &'a Telling<'a>) -> Box<dyn Teller + 'a> {
        let wire = Self { model: self.model.clone(), ..*self };
        Box::new(Chunks { wire, telling, call: None, begun: false })
    }

    fn content_type(&self) -> &'static str {
        if self.sse { "text/event-stream" } else { "application/json" }
    }
}

fn forced_tool(body: &Value) -> Option<(String, Value)> {
    let calling = &body["toolConfig"]["functionCallingConfig"];
    let functions = list(&body["tools"]).iter().flat_map(|tool| list(&tool["functionDeclarations"]));
    let tools = functions.map(|function| {
        let key = if function["parametersJsonSchema"].is_object() { "parametersJsonSchema" } else { "parameters" };
        (&function["name"], &function[key])
    });
    let named = list(&calling["allowedFunctionNames"]).first().and_then(Value::as_str);
    forced(calling["mode"] == "ANY", named, tools)
}

fn text_of(content: &Value) -> Option<&str> {
    list(&content["parts"]).iter().find_map(|part| part["text"].as_str())
}

/// What a tool answered: under whichever key the client put it.
fn result_of(response: &Value) -> Option<String> {
    let answer = response.get("response")?;
    let words = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let told = ["result", "output", "content", "error"].iter().find_map(|key| answer.get(*key));
    Some(told.map_or_else(|| answer.to_string(), words))
}

fn fault_of_contents(contents: &[Value]) -> Option<Refusal> {
    let invalid = |holds: bool, words: String| unless(holds, 400, || words);
    let mut fault =
        invalid(!contents.is_empty(), "* GenerateContentRequest.contents: contents is not specified\n".to_owned());
    let mut calls = 0;
    for (at, content) in contents.iter().enumerate() {
        let count = |kind: &str| list(&content["parts"]).iter().filter(|part| part.get(kind).is_some()).count();
        let is_role = ["user", "model"].iter().any(|role| content["role"] == *role) || content["role"].is_null();
        let results = count("functionResponse");
        let matches = calls == results;
        fault = fault
            .or_else(|| invalid(is_role, "Please use a valid role: user, model.".to_owned()))
            .or_else(|| {
                let words = format!("* GenerateContentRequest.contents[{at}].parts: contents.parts must not be empty.\n");
                invalid(!list(&content["parts"]).is_empty(), words)
            })
            .or_else(|| {
                let words = "Please ensure that the number of function response parts is equal to the number of function \
                             call parts of the function call turn.";
                invalid(matches, words.to_owned())
            });
        calls = count("functionCall");
    }
    fault
}

fn fault_of_tools(tools: &Value) -> Option<Refusal> {
    let functions = list(tools).iter().flat_map(|tool| list(&tool["functionDeclarations"]));
    functions.filter_map(|function| unknown_name(function.get("parameters")?)).next().map(|name| {
        let place = "at 'tools[0].function_declarations[0].parameters': Cannot find field.";
        Refusal::told(400, format!("Invalid JSON payload received. Unknown name \"{name}\" {place}"))
    })
}

/// A field that Google's form of a schema does not have.
fn unknown_name(schema: &Value) -> Option<String> {
    let fields = schema.as_object()?;
    let unknown = fields.keys().find(|key| !SCHEMA_FIELDS.contains(&key.as_str()));
    let properties = fields.get("properties").and_then(Value::as_object).into_iter().flatten();
    let inner = properties.map(|(_, schema)| schema).chain(fields.get("items")).chain(list(&schema["anyOf"]));
    unknown.cloned().or_else(|| inner.filter_map(unknown_name).next())
}

impl GenerateContent {
    /// Whether this model refuses calls that are not signed.
    fn wants_signatures(&self) -> bool {
        self.model.starts_with("gemini-3")
    }

    fn fault_of_signatures(&self, contents: &[Value]) -> Option<Refusal> {
        let asks = |content: &Value| content["role"] != "model" && text_of(content).is_some();
        let turn = contents.iter().rposition(asks).unwrap_or(0);
        let mut fault = None;
        for (at, content) in contents.iter().enumerate() {
            let mut first = true;
            for part in list(&content["parts"]) {
                let name = part["functionCall"]["name"].as_str();
                let signed = part["thoughtSignature"].as_str();
                let of = |signature: &str| {
                    let words = name.or_else(|| part["text"].as_str()).unwrap_or_default();
                    signature == NONE_EXISTS || signature::is_of(signature, words)
                };
                let is_damaged = signed.is_some_and(|signature| !of(signature));
                fault = fault.or_else(|| unless(!is_damaged, 400, || "Corrupted thought signature.".to_owned()));
                let Some(name) = name else { continue };
                let is_missing = std::mem::replace(&mut first, false) && signed.is_none();
                let refused = is_missing && at >= turn && self.wants_signatures();
                fault = fault.or_else(|| {
                    unless(!refused, 400, || {
                        format!(
                            "Function call is missing a thought_signature in functionCall parts. This is required for \
                             tools to work correctly, and missing thought_signature may lead to degraded model \
                             performance. Additional data, function call `default_api:{name}` , position {}. Please \
                             refer to https://ai.google.dev/gemini-api/docs/thought-signatures for more details.",
                            at + 1
                        )
                    })
                });
            }
        }
        fault
    }

    fn parts(&self, said: &Said) -> Vec<Value> {
        let mut parts = Vec::new();
        if !said.thoughts.is_empty() {
            parts.push(json!({"text": said.thoughts, "thought": true}));
        }
        if !said.text.is_empty() {
            parts.push(json!({"text": said.text}));
        }
        let calls = said.calls.iter().enumerate();
        parts.extend(calls.map(|(index, (name, arguments))| self.call(index, name, arguments)));
        parts
    }

    /// The first call of a step is signed.
    fn call(&self, index: usize, name: &str, arguments: &str) -> Value {
        let arguments = serde_json::from_str(arguments).unwrap_or_else(|_| Value::Object(Map::new()));
        let mut part = json!({"functionCall": {"name": name, "args": arguments}});
        if index == 0 && self.wants_signatures() {
            part["thoughtSignature"] = signature::sign(name).into();
        }
        part
    }

    fn chunk(&self, telling: &Telling<'_>, parts: &[Value], finish: Option<&str>) -> Value {
        let candidate = |index: u64| {
            let mut candidate = json!({"content": {"role": "model", "parts": parts}, "index": index});
            if let Some(finish) = finish {
                candidate["finishReason"] = finish_reason(finish).into();
            }
            candidate
        };
        json!({
            "candidates": (0..telling.asked.choices).map(candidate).collect::<Vec<_>>(),
            "modelVersion": self.model,
            "responseId": format!("mock-{}", telling.serial),
        })
    }
}

fn finish_reason(finish: &str) -> &str {
    match finish {
        "stop" | "tool_calls" => "STOP",
        "length" => "MAX_TOKENS",
        "content_filter" => "SAFETY",
        other => other,
    }
}

/// The prompt contains what was cached; the candidates do not contain the thoughts.
fn usage(told: Usage) -> Value {
    let reasoning = told.reasoning.unwrap_or(0).min(told.output);
    let mut usage = json!({
        "promptTokenCount": told.input, "candidatesTokenCount": told.output - reasoning,
        "totalTokenCount": told.input + told.output,
    });
    if reasoning > 0 {
        usage["thoughtsTokenCount"] = reasoning.into();
    }
    if let Some(cached) = told.cached {
        usage["cachedContentTokenCount"] = cached.into();
    }
    usage
}

/// Makes the chunks of one stream. A call is whole before it is told.
struct Chunks<'a> {
    wire: GenerateContent,
    telling: &'a Telling<'a>,
    /// The call that is being made: its number, name and arguments so far.
    call: Option<(usize, String, String)>,
    begun: bool,
}

impl Chunks<'_> {
    fn told(&mut self, chunk: &Value) -> String {
        if self.wire.sse {
            return unnamed(chunk);
        }
        let before = if std::mem::replace(&mut self.begun, true) { ",\r\n" } else { "[" };
        format!("{before}{chunk}")
    }

    fn part(&mut self, part: Value) -> String {
        let chunk = self.wire.chunk(self.telling, &[part], None);
        self.told(&chunk)
    }

    /// The call that is complete now.
    fn called(&mut self) -> String {
        let Some((index, name, arguments)) = self.call.take() else { return String::new() };
        let part = self.wire.call(index, &name, &arguments);
        self.part(part)
    }
}

impl Teller for Chunks<'_> {
    fn begin(&mut self) -> String {
        String::new()
    }

    fn step(&mut self, step: &Step) -> String {
        match step {
            Step::Say(text) => self.called() + &self.part(json!({"text": text})),
            Step::Think(text) => self.part(json!({"text": text, "thought": true})),
            Step::Call { index, name } => {
                let before = self.called();
                self.call = Some((*index, name.clone(), String::new()));
                before
            }
            Step::Arguments { fragment, .. } => {
                if let Some((_, _, arguments)) = &mut self.call {
                    arguments.push_str(fragment);
                }
                String::new()
            }
            Step::Raw(_) | Step::Wait(_) | Step::Stall | Step::Cut | Step::Fail => String::new(),
        }
    }

    fn fail(&mut self) -> String {
        let error = json!({"code": 503, "message": "the mock provider gave up", "status": "UNAVAILABLE"});
        self.told(&json!({"error": error}))
    }

    fn end(&mut self) -> String {
        let Some(finish) = &self.telling.script.finish else { return String::new() };
        let call = self.called();
        let mut chunk = self.wire.chunk(self.telling, &[json!({"text": ""})], Some(finish));
        if let Some(told) = self.telling.usage() {
            chunk["usageMetadata"] = usage(told);
        }
        let last = self.told(&chunk);
        call + &last + if self.wire.sse { "" } else { "]" }
    }
}
