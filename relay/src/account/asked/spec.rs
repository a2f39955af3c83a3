//! What passes as bytes is what would pass as a tree: of every provider, for bodies with whatever anybody has to change.

use serde_json::json;

use super::*;
use crate::providers::{kinds, vendor};
use crate::{Envelope, Memory};

/// One of these.
fn one<T: Clone>(random: &mut fastrand::Rng, of: &[T]) -> T {
    of[random.usize(..of.len())].clone()
}

/// Some of these, each as often as that of 256 times.
fn some(random: &mut fastrand::Rng, often: u8, of: &Value) -> Map<String, Value> {
    of.as_object().unwrap().iter().filter(|_| random.u8(..) < often).map(|(k, v)| (k.clone(), v.clone())).collect()
}

fn chat(random: &mut fastrand::Rng) -> Value {
    let often = one(random, &[6, 60]);
    let mut body = some(
        random,
        often,
        &json!({"temperature": 2.5, "top_k": 3, "seed": 7, "n": 2, "user": "u", "store": true, "max_tokens": 9,
            "max_completion_tokens": 8, "stream_options": {"include_usage": false, "x": 1}, "stop": ["a"],
            "reasoning_effort": "high", "reasoning": {"max_tokens": 2000}, "tool_choice": "required",
            "logit_bias": {"1": 2}, "never_heard_of": [1.5, {"x": null}], "parallel_tool_calls": true,
            "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {}}},
            "tools": [{"type": "function", "strict": true, "cache_control": {"type": "ephemeral"},
                "function": {"name": "f", "strict": true, "parameters": {"type": "object"}}}]}),
    );
    let parts = json!([{"type": "text", "text": "a"}, {"type": "text", "text": "b", "cache_control": {}}]);
    let messages: Vec<Value> = (0..random.usize(1..4))
        .map(|_| {
            let role =
                one(random, &["user", "system", "user", "developer", "assistant", "tool", "assistant", "function"]);
            let mut message = some(
                random,
                8,
                &json!({"name": "ann", "cache_control": {}, "reasoning_content": "hm", "reasoning": "so",
                    "reasoning_details": [{"type": "reasoning.text", "text": "x", "signature": "s"}],
                    "tool_calls": [{"id": "c", "type": "function", "extra_content": {"google": {}},
                        "function": {"name": "f", "arguments": "{}"}}]}),
            );
            message.insert("role".to_owned(), role.into());
            message.insert("content".to_owned(), one(random, &[json!("Hä\n\"?"), parts.clone(), Value::Null]));
            message.into()
        })
        .collect();
    body.insert("messages".to_owned(), messages.into());
    body.into()
}

fn claude(random: &mut fastrand::Rng) -> Value {
    let signature = one(random, &["EqQB".to_owned(), carried()]);
    let mut body = some(
        random,
        60,
        &json!({"system": [{"type": "text", "text": "be", "cache_control": {"type": "ephemeral"}}], "stop_sequences": [],
            "thinking": {"type": "enabled", "budget_tokens": 2000}, "tools": [{"name": "f", "input_schema": {}}],
            "metadata": {"user_id": "u"}, "max_tokens": 4096}),
    );
    let thought = json!({"type": "thinking", "thinking": "hm", "signature": signature});
    let contents = [json!("hi"), json!([thought, {"type": "text", "text": "x"}]), json!([thought])];
    let messages: Vec<Value> = (0..3)
        .map(|_| json!({"role": one(random, &["user", "assistant"]), "content": one(random, &contents)}))
        .collect();
    body.insert("messages".to_owned(), messages.into());
    body.into()
}

fn gemini(random: &mut fastrand::Rng) -> Value {
    let mut body = some(
        random,
        60,
        &json!({"system_instruction": {"parts": [{"text": "be"}]}, "generation_config": {"top_k": 2},
            "tools": [{"function_declarations": [{"name": "a_b", "parameters": {}}]}], "model": "x", "stream": true,
            "something_new": 1}),
    );
    let call = json!({"functionCall": {"name": "f", "args": {}}});
    let parts = [
        json!([{"text": "a"}]),
        json!([call, call]),
        json!([{"function_call": {"name": "a_b", "args": {"a_b": 1}}}]),
        json!([{"text": "", "thoughtSignature": carried()}]),
        json!([]),
    ];
    let contents: Vec<Value> =
        (0..3).map(|_| json!({"role": one(random, &["user", "model"]), "parts": one(random, &parts)})).collect();
    body.insert("contents".to_owned(), contents.into());
    body.into()
}

fn responses(random: &mut fastrand::Rng) -> Value {
    let thought = json!({"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": carried()});
    let inputs = [json!("hi"), json!([thought, {"role": "user", "content": "x"}]), json!([{"type": "reasoning"}])];
    let mut body = some(random, 60, &json!({"instructions": "be", "store": true, "include": ["x"], "tools": []}));
    body.insert("input".to_owned(), one(random, &inputs));
    body.into()
}

/// A signature that only we can read.
fn carried() -> String {
    let foreign = crate::model::Opaque { dialect: Dialect::Converse, value: json!("sig") };
    crate::dialects::common::carry_signature(&foreign)
}

fn call(dialect: Dialect, model: &str, stream: bool, body: RequestBody) -> ServedCall {
    bounded(dialect, model, stream, body, Some(1500))
}

fn bounded(
    dialect: Dialect,
    model: &str,
    stream: bool,
    body: RequestBody,
    max_output_tokens: Option<u32>,
) -> ServedCall {
    let envelope = Envelope {
        id: "id".to_owned(),
        model: "public".to_owned(),
        created: 0,
        input_tokens: 1,
        include_usage: false,
        request: body.clone(),
    };
    let (memory, model) = (Memory::default(), model.to_owned());
    ServedCall { dialect, model, body, max_output_tokens, stream, envelope, headers: vec![], key: None, memory }
}

fn changes(random: &mut fastrand::Rng) -> Vec<ParameterOverride> {
    let all: Vec<ParameterOverride> = serde_json::from_value(json!([
        {"action": "set", "path": "temperature", "value": 0.5},
        {"action": "default", "path": "provider.order", "value": ["a"]},
        {"action": "remove", "path": "tools"},
        {"action": "set", "path": "messages.x", "value": 1},
        {"action": "default", "path": "system", "value": "be"},
        {"action": "rename", "from": "messages", "to": "talk"},
        {"action": "rename", "from": "user", "to": "contents"},
    ]))
    .unwrap();
    all.into_iter().filter(|_| random.u8(..) < 25).collect()
}

#[test]
fn what_passes_as_bytes_is_what_would_pass_as_a_tree() {
    let mut random = fastrand::Rng::with_seed(7);
    let (mut passed, mut in_place, mut compared) = (0, 0, 0);
    for kind in kinds() {
        let vendor = vendor(kind.id, None).unwrap();
        for round in 0..240 {
            let (dialect, body) = match round % 4 {
                0 => (Dialect::Messages, claude(&mut random)),
                1 => (Dialect::GenerateContent, gemini(&mut random)),
                2 if round % 8 == 2 => (Dialect::Responses, responses(&mut random)),
                _ => (Dialect::ChatCompletions, chat(&mut random)),
            };
            let model = one(&mut random, &["gpt-5", "gemini-3-flash", "claude", "grok-4.3"]);
            let (changes, stream) = (changes(&mut random), random.bool());
            let bound = one(&mut random, &[Some(1500), None]);
            let asked =
                |body: RequestBody| Asked::of_call(&bounded(dialect, model, stream, body, bound), &*vendor, &changes);
            let written = |asked: &Asked| serde_json::from_slice::<Value>(&asked.written().unwrap()).unwrap();
            let Value::Object(tree) = body.clone() else { panic!("a body is an object") };
            let (sent, made) = (RequestBody::read(body.to_string().into()).unwrap(), RequestBody::from(tree));
            match (asked(sent), asked(made)) {
                (Ok(sent), Ok(made)) => {
                    assert_eq!(written(&sent), written(&made), "{} {dialect:?} {changes:?}: {body}", kind.id);
                    compared += 1;
                    passed += usize::from(matches!(sent.body, Body::Head(..)));
                    in_place += usize::from(matches!(sent.body, Body::Sent(..)));
                }
                (Err(sent), Err(made)) => assert_eq!(sent, made),
                _ => panic!("{} {dialect:?}: {body}", kind.id),
            }
        }
    }
    let all = passed + in_place;
    assert!(all > 200 && in_place > 100 && compared > 1_000, "{passed} and {in_place} of {compared} passed as bytes");
}

#[test]
fn a_conversation_in_which_nothing_is_to_change_passes_byte_by_byte() {
    let messages = r#"[ {"role":"user", "content":"a\u00e4","x":1.50} ]"#;
    let body =
        format!(r#"{{"model":"m","messages":{messages},"tools":[{{"type":"function","function":{{"name":"f"}}}}]}}"#);
    for (kind, dialect) in
        [("openai", Dialect::ChatCompletions), ("deepseek", Dialect::ChatCompletions), ("anthropic", Dialect::Messages)]
    {
        let body = RequestBody::read(body.clone().into()).unwrap();
        let asked = Asked::of_call(&call(dialect, "up", false, body), &*vendor(kind, None).unwrap(), &[]).unwrap();
        let written = String::from_utf8(asked.written().unwrap().into()).unwrap();
        assert!(written.contains(messages), "{kind}: {written}");
    }
}
