//! Streams for clients.

use super::*;
use crate::model::{FinishReason, Opaque, Part};
use crate::{Basis, ServedEvent, Usage};

fn begin() -> Delta {
    Delta::Begin { id: "theirs".to_owned(), model: "theirs".to_owned(), usage: None }
}

fn text(text: &str) -> Delta {
    Delta::Text { candidate: 0, text: text.to_owned() }
}

fn thought(text: &str) -> Delta {
    Delta::Reasoning { candidate: 0, text: text.to_owned() }
}

fn signature(dialect: Dialect, value: Value) -> Delta {
    Delta::ReasoningSignature { candidate: 0, signature: Opaque { dialect, value } }
}

fn call(call: u32) -> Delta {
    let (id, name) = (format!("t{call}"), format!("f{call}"));
    Delta::ToolCall { candidate: 0, call, id, name, custom: false, signature: None }
}

fn arguments(call: u32, fragment: &str) -> Delta {
    Delta::ToolArguments { candidate: 0, call, fragment: fragment.to_owned() }
}

fn finish(finish: FinishReason) -> Delta {
    Delta::Finish { candidate: 0, finish, stop_sequence: None }
}

fn usage() -> Usage {
    Usage { cached_input_tokens: 20, cache_write_input_tokens: 1, ..Usage::new(31, 9, Basis::Reported) }
}

fn write(deltas: Vec<Delta>) -> Vec<Value> {
    let mut writer = Messages.writer(envelope());
    let mut events: Vec<ServedEvent> = deltas.into_iter().flat_map(|delta| writer.write(delta)).collect();
    events.extend(writer.end(&usage()));
    for event in &events {
        assert_eq!(event.name.as_deref().map(Value::from), event.data.get("type").cloned());
    }
    events.into_iter().map(|event| event.data).collect()
}

/// The blocks between begin and end, as one line each: what an official SDK accumulates by index.
fn blocks(deltas: Vec<Delta>) -> Vec<Value> {
    let events = write(deltas);
    let mut blocks: Vec<Value> = Vec::new();
    let mut is_open = false;
    for event in &events {
        match event["type"].as_str().unwrap() {
            "content_block_start" => {
                assert!(!is_open && event["index"] == blocks.len());
                is_open = true;
                blocks.push(event["content_block"].clone());
            }
            "content_block_delta" => {
                assert!(is_open && event["index"] == blocks.len() - 1);
                grow(blocks.last_mut().unwrap(), &event["delta"]);
            }
            "content_block_stop" => {
                assert!(std::mem::replace(&mut is_open, false) && event["index"] == blocks.len() - 1);
            }
            "message_start" => assert!(blocks.is_empty()),
            _ => assert!(!is_open),
        }
    }
    blocks
}

fn grow(block: &mut Value, delta: &Value) {
    let (field, more) = match delta["type"].as_str().unwrap() {
        "text_delta" => ("text", &delta["text"]),
        "thinking_delta" => ("thinking", &delta["thinking"]),
        "signature_delta" => ("signature", &delta["signature"]),
        "input_json_delta" => ("json", &delta["partial_json"]),
        "citations_delta" => ("citation", &delta["citation"]),
        other => panic!("{other}"),
    };
    let so_far = block.get(field).and_then(Value::as_str).unwrap_or_default();
    block[field] = if more.is_string() { json!(format!("{so_far}{}", more.as_str().unwrap())) } else { more.clone() };
}

#[test]
fn a_stream_begins_with_the_real_input_and_ends_with_what_is_billed() {
    let events = write(vec![begin(), text("Hello"), text("!"), finish(FinishReason::Stop)]);
    let kinds: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    let expected = [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ];
    assert_eq!(kinds, expected);
    let message = &events[0]["message"];
    assert_eq!((&message["id"], &message["model"]), (&json!("msg_ours"), &json!("public-name")));
    assert_eq!((&message["usage"]["input_tokens"], &message["content"]), (&json!(31), &json!([])));
    assert_eq!(events[5]["delta"], json!({"stop_reason": "end_turn", "stop_sequence": null}));
    let billed = json!({"input_tokens": 10, "cache_creation_input_tokens": 1, "cache_read_input_tokens": 20,
        "output_tokens": 9});
    assert_eq!(events[5]["usage"], billed);
}

#[test]
fn what_the_provider_reports_of_the_input_is_told_at_once_with_the_cache_apart() {
    let begin = Delta::Begin { id: String::new(), model: String::new(), usage: Some(usage()) };
    let events = write(vec![begin]);
    assert_eq!(events[0]["message"]["usage"]["input_tokens"], 10);
    assert_eq!(events[0]["message"]["usage"]["cache_read_input_tokens"], 20);
}

#[test]
fn an_answer_of_nothing_is_still_a_message() {
    let events = write(vec![]);
    let kinds: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["message_start", "message_delta", "message_stop"]);
}

#[test]
fn thoughts_are_signed_before_their_block_ends_and_hidden_ones_are_a_block_of_their_own() {
    let own = |value| signature(Dialect::Messages, value);
    let deltas = vec![
        begin(),
        thought("hm"),
        thought("…"),
        own(json!({"signature": "EqQB"})),
        own(json!({"data": "EmwK"})),
        own(json!({"signature": "alone"})),
        text("Hi"),
    ];
    let expected = [
        json!({"type": "thinking", "thinking": "hm…", "signature": "EqQB"}),
        json!({"type": "redacted_thinking", "data": "EmwK"}),
        json!({"type": "thinking", "thinking": "", "signature": "alone"}),
        json!({"type": "text", "text": "Hi"}),
    ];
    assert_eq!(blocks(deltas), expected);
}

#[test]
fn a_foreign_signature_travels_and_a_foreign_citation_does_not() {
    let foreign = signature(Dialect::Responses, json!({"encrypted_content": "gAAAA"}));
    let citation =
        Delta::Citation { candidate: 0, citation: Opaque { dialect: Dialect::Responses, value: json!({"url": "x"}) } };
    let blocks = blocks(vec![begin(), thought("hm"), foreign, text("a"), citation, text("b")]);
    assert!(blocks[0]["signature"].as_str().unwrap().starts_with("carried-"));
    assert_eq!(blocks[1], json!({"type": "text", "text": "ab"}));
}

#[test]
fn text_after_a_citation_is_another_block() {
    let cited = json!({"type": "char_location", "cited_text": "a"});
    let citation =
        Delta::Citation { candidate: 0, citation: Opaque { dialect: Dialect::Messages, value: cited.clone() } };
    let blocks = blocks(vec![begin(), text("a"), citation, text("b")]);
    assert_eq!(blocks[0], json!({"type": "text", "text": "a", "citation": cited}));
    assert_eq!(blocks[1], json!({"type": "text", "text": "b"}));
}

fn tool(number: u32, json: &str) -> Value {
    json!({"type": "tool_use", "id": format!("t{number}"), "name": format!("f{number}"), "input": {}, "json": json})
}

#[test]
fn calls_after_a_text_have_the_next_indices_and_the_end_waits_for_tools() {
    let deltas = vec![
        begin(),
        text("Let me see."),
        call(0),
        arguments(0, "{\"a\":"),
        arguments(0, "1}"),
        call(1),
        arguments(1, "{}"),
        finish(FinishReason::Stop),
    ];
    let events = write(deltas.clone());
    assert_eq!(events[events.len() - 2]["delta"]["stop_reason"], "tool_use");
    assert_eq!(blocks(deltas)[1..], [tool(0, "{\"a\":1}"), tool(1, "{}")]);
}

#[test]
fn fragments_of_parallel_calls_that_come_in_turns_are_put_in_order() {
    let deltas = vec![
        begin(),
        call(0),
        call(1),
        call(2),
        arguments(1, "{\"b\":"),
        arguments(0, "{\"a\":{}"),
        arguments(2, "{}"),
        arguments(1, "2}"),
        arguments(0, ",\"c\":3}"),
        finish(FinishReason::ToolCalls),
    ];
    assert_eq!(blocks(deltas), [tool(0, "{\"a\":{},\"c\":3}"), tool(1, "{\"b\":2}"), tool(2, "{}")]);
}

#[test]
fn the_arguments_of_the_first_open_call_are_not_held_back() {
    let mut writer = Messages.writer(envelope());
    writer.write(begin());
    writer.write(call(0));
    let events = writer.write(arguments(0, "{\"a\":"));
    assert_eq!(events[0].data["delta"], json!({"type": "input_json_delta", "partial_json": "{\"a\":"}));
}

#[test]
fn only_the_first_candidate_is_written_and_what_the_dialect_cannot_say_is_left_out() {
    let other = Part::Other(Opaque { dialect: Dialect::Responses, value: json!({"type": "web_search_call"}) });
    let deltas = vec![
        begin(),
        Delta::Text { candidate: 1, text: "no".to_owned() },
        Delta::Part { candidate: 0, part: other },
        Delta::Logprobs { candidate: 0, logprobs: json!({}) },
        text("yes"),
    ];
    assert_eq!(blocks(deltas), [json!({"type": "text", "text": "yes"})]);
}

#[test]
fn a_refusal_is_said_and_is_the_reason_of_the_end() {
    let events =
        write(vec![begin(), Delta::Refusal { candidate: 0, text: "No.".to_owned() }, finish(FinishReason::Stop)]);
    assert_eq!(events[2]["delta"]["text"], "No.");
    assert_eq!(events[events.len() - 2]["delta"]["stop_reason"], "refusal");
}

#[test]
fn what_an_upstream_streams_in_this_dialect_is_what_a_client_gets() {
    for sse in [
        include_str!("../../../../tests/fixtures/anthropic_tool_stream.sse"),
        include_str!("../../../../tests/fixtures/anthropic_thinking_stream.sse"),
        include_str!("../../../../tests/fixtures/anthropic_parallel_tools.sse"),
    ] {
        let deltas = read_stream(sse).0.unwrap();
        let mut original: Vec<Value> = Vec::new();
        for (_, data) in events(sse) {
            let event: Value = serde_json::from_str(&data).unwrap();
            match event["type"].as_str().unwrap() {
                "content_block_start" => original.push(event["content_block"].clone()),
                "content_block_delta" => grow(original.last_mut().unwrap(), &event["delta"]),
                _ => {}
            }
        }
        for block in original.iter_mut().filter(|block| block["json"] == "") {
            block["json"] = json!("{}");
        }
        assert_eq!(blocks(deltas), original);
    }
}

#[test]
fn the_signature_of_a_streamed_call_stands_before_it_and_unsigned_thoughts_are_marked() {
    let foreign = Opaque { dialect: Dialect::GenerateContent, value: json!("CkQBjz1rXw==") };
    let (id, name) = ("t1".to_owned(), "f1".to_owned());
    let signed = Delta::ToolCall { candidate: 0, call: 1, id, name, custom: false, signature: Some(foreign) };
    let deltas = vec![begin(), thought("hm"), call(0), signed, arguments(1, "{}"), arguments(0, "{}")];
    let blocks = blocks(deltas);
    let kinds: Vec<_> = blocks.iter().map(|block| block["type"].clone()).collect();
    assert_eq!(kinds, ["thinking", "tool_use", "redacted_thinking", "tool_use"]);
    assert!(blocks[0]["signature"].as_str().unwrap().starts_with("carried-"));
    assert_eq!((&blocks[1], &blocks[3]), (&tool(0, "{}"), &tool(1, "{}")));
}
