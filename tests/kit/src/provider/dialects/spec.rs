//! What each dialect of the mock provider promises: whole and streamed answers say the same, and a conversation that is
//! brought back unchanged is taken, a damaged one refused as the real provider refuses it.

use serde_json::{Value, json};

use super::super::asking::Asked;
use super::super::script::{Script, Words};
use super::super::telling::{Telling, Wire};
use super::generate_content::GenerateContent;
use super::messages::Messages;
use super::responses::Responses;

const CALLS: &str = r#"[[think Hm.]] [[call weather {"city": "Köln"}]] [[call time {}]]"#;
const GEMINI: GenerateContent = GenerateContent { model: String::new(), stream: true, sse: true };

fn gemini() -> GenerateContent {
    GenerateContent { model: "gemini-3-pro".to_owned(), ..GEMINI }
}

fn whole(wire: &dyn Wire, request: &Value, prompt: &str) -> Value {
    let (asked, script) = (wire.read(request), Script::from_prompt(prompt));
    wire.document(&Telling { request, asked: &asked, script: &script, serial: 7 })
}

fn streamed(wire: &dyn Wire, request: &Value, prompt: &str) -> Vec<Value> {
    let (asked, script) = (wire.read(request), Script::from_prompt(prompt));
    let telling = Telling { request, asked: &asked, script: &script, serial: 7 };
    let mut teller = wire.teller(&telling);
    let mut told = teller.begin();
    told.extend(script.steps.iter().map(|step| teller.step(step)));
    told += &teller.end();
    told.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok()).collect()
}

/// The reason why a request is refused.
fn fault(asked: &Asked) -> Option<String> {
    match &asked.fault.as_ref()?.words {
        Words::Told(told) => Some(told.message.clone()),
        Words::Exactly(body) => Some(body.clone()),
    }
}

fn claude(messages: &Value) -> Value {
    json!({"max_tokens": 2000, "thinking": {"type": "enabled", "budget_tokens": 1024}, "messages": messages})
}

fn claude_goes_on(content: &Value) -> Value {
    let result = |id: &str| json!({"type": "tool_result", "tool_use_id": id, "content": "rain"});
    let results = json!([result("toolu_mock7_thought1"), result("toolu_mock7_thought2")]);
    claude(&json!([
        {"role": "user", "content": "Hi"}, {"role": "assistant", "content": content}, {"role": "user", "content": results},
    ]))
}

#[test]
fn thoughts_of_messages_come_back_whole_or_the_turn_is_refused() {
    let answer = whole(&Messages, &claude(&json!([{"role": "user", "content": "Hi"}])), CALLS);
    assert_eq!(answer["stop_reason"], "tool_use");
    let goes_on = Messages.read(&claude_goes_on(&answer["content"]));
    assert_eq!((fault(&goes_on), goes_on.results), (None, vec!["rain".to_owned(), "rain".to_owned()]));

    let mut changed = answer["content"].clone();
    changed[0]["thinking"] = "Hm!".into();
    let refusal = fault(&Messages.read(&claude_goes_on(&changed)));
    assert_eq!(refusal.as_deref(), Some("messages.1.content.0: Invalid `signature` in `thinking` block"));

    let without: Vec<Value> = answer["content"].as_array().into_iter().flatten().skip(1).cloned().collect();
    let refusal = fault(&Messages.read(&claude_goes_on(&without.into()))).unwrap();
    assert!(refusal.starts_with("messages.1.content.0.type: Expected `thinking`"), "{refusal}");
}

#[test]
fn a_stream_of_messages_opens_and_closes_each_block_and_signs_its_thoughts() {
    let events = streamed(&Messages, &claude(&json!([{"role": "user", "content": "Hi"}])), CALLS);
    let count = |kind: &str| events.iter().filter(|event| event["type"] == kind).count();
    assert_eq!((count("content_block_start"), count("content_block_stop"), count("message_stop")), (3, 3, 1));
    assert_eq!(events.iter().filter(|event| event["delta"]["type"] == "signature_delta").count(), 1);
}

fn gemini_goes_on(parts: &Value) -> Value {
    let result = |name: &str| json!({"functionResponse": {"name": name, "response": {"result": "rain"}}});
    json!({"contents": [
        {"role": "user", "parts": [{"text": "Hi"}]}, {"role": "model", "parts": parts},
        {"role": "user", "parts": [result("weather"), result("time")]},
    ]})
}

#[test]
fn calls_of_gemini_come_back_signed_or_the_turn_is_refused() {
    let asked = json!({"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]});
    let parts = whole(&gemini(), &asked, CALLS)["candidates"][0]["content"]["parts"].clone();
    let goes_on = gemini().read(&gemini_goes_on(&parts));
    assert_eq!((fault(&goes_on), goes_on.results.len()), (None, 2));

    let mut stripped = parts.clone();
    stripped[1].as_object_mut().unwrap().remove("thoughtSignature");
    let refusal = fault(&gemini().read(&gemini_goes_on(&stripped))).unwrap();
    assert!(refusal.contains("missing a thought_signature") && refusal.contains("default_api:weather"), "{refusal}");
    stripped[1]["thoughtSignature"] = "skip_thought_signature_validator".into();
    assert_eq!(fault(&gemini().read(&gemini_goes_on(&stripped))), None);
    stripped[1]["thoughtSignature"] = "bm90IG91cnM=".into();
    let refusal = fault(&gemini().read(&gemini_goes_on(&stripped)));
    assert_eq!(refusal.as_deref(), Some("Corrupted thought signature."));
}

#[test]
fn a_call_of_a_gemini_stream_is_whole() {
    let asked = json!({"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]});
    let chunks = streamed(&gemini(), &asked, CALLS);
    let parts = chunks.iter().map(|chunk| &chunk["candidates"][0]["content"]["parts"][0]);
    let calls: Vec<&Value> = parts.filter(|part| part["functionCall"].is_object()).collect();
    assert_eq!((calls.len(), &calls[0]["functionCall"]["args"]), (2, &json!({"city": "Köln"})));
    assert_eq!(chunks.last().unwrap()["candidates"][0]["finishReason"], "STOP");
}

#[test]
fn a_schema_of_gemini_has_googles_fields_only() {
    let parameters = json!({"type": "object", "properties": {"a": {"type": "object", "additionalProperties": false}}});
    let tools = json!([{"functionDeclarations": [{"name": "f", "parameters": parameters}]}]);
    let request = json!({"contents": [{"role": "user", "parts": [{"text": "Hi"}]}], "tools": tools});
    assert!(fault(&gemini().read(&request)).unwrap().contains("Unknown name \"additionalProperties\""));
}

#[test]
fn encrypted_thoughts_of_responses_come_back_unchanged_or_are_refused() {
    let asked = json!({"input": "Hi", "include": ["reasoning.encrypted_content"]});
    let answer = whole(&Responses, &asked, CALLS);
    let mut items = vec![json!({"role": "user", "content": "Hi"})];
    items.extend(answer["output"].as_array().into_iter().flatten().cloned());
    let orphans = fault(&Responses.read(&json!({"input": items}))).unwrap();
    assert_eq!(orphans, "No tool output found for function call call_7_1.");
    let output = |id: &str| json!({"type": "function_call_output", "call_id": id, "output": "rain"});
    items.extend([output("call_7_1"), output("call_7_2")]);
    let goes_on = Responses.read(&json!({"input": items}));
    assert_eq!((fault(&goes_on), goes_on.results.len()), (None, 2));
    items[1]["encrypted_content"] = "gAAAA".into();
    assert!(fault(&Responses.read(&json!({"input": items}))).unwrap().contains("could not be verified"));
}

#[test]
fn events_of_responses_are_numbered_and_end_with_what_the_whole_answer_is() {
    let asked = json!({"input": "Hi"});
    let events = streamed(&Responses, &asked, CALLS);
    let numbers: Vec<u64> = events.iter().filter_map(|event| event["sequence_number"].as_u64()).collect();
    assert_eq!(numbers, (0..events.len() as u64).collect::<Vec<_>>());
    assert_eq!(events.last().unwrap()["response"]["output"], whole(&Responses, &asked, CALLS)["output"]);
}

#[test]
fn pictures_are_recognised_in_each_dialect_and_the_schema_is_found() {
    let data = "aGVsbG8=";
    let source = json!({"type": "base64", "media_type": "image/png", "data": data});
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}, "age": {"type": "integer"}}});
    let claude = json!({
        "max_tokens": 5, "output_config": {"format": {"type": "json_schema", "schema": schema}},
        "messages": [{"role": "user", "content": [{"type": "image", "source": source}]}],
    });
    let gemini_asked = json!({
        "contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "data": data}}]}],
        "generationConfig": {"responseJsonSchema": schema},
    });
    let url = format!("data:image/png;base64,{data}");
    let responses = json!({
        "input": [{"role": "user", "content": [{"type": "input_image", "image_url": url}]}],
        "text": {"format": {"type": "json_schema", "schema": schema}},
    });
    let dialects: [(&dyn Wire, &Value); 3] =
        [(&Messages, &claude), (&gemini(), &gemini_asked), (&Responses, &responses)];
    for (wire, request) in dialects {
        let asked = wire.read(request);
        assert_eq!(asked.pictures, ["image/png of 5 bytes, 2cf24dba5fb0a30e"]);
        let filled = super::super::asking::document_of(asked.schema.as_ref().unwrap());
        assert_eq!(filled, json!({"city": "filled", "age": 1}));
    }
}
