//! Whole answers.

use super::*;
use crate::model::{Answer, Candidate, FinishReason, Opaque, Part};
use crate::{Basis, Usage};

const PLAIN: &str = include_str!("../../../../tests/fixtures/anthropic_message.json");
const THINKING: &str = include_str!("../../../../tests/fixtures/anthropic_message_thinking.json");

fn read(json: &str) -> Answer {
    Spoken::read(&Messages, serde_json::from_str(json).unwrap()).unwrap()
}

fn answer(parts: Vec<Part>, finish: FinishReason) -> Answer {
    let candidate = Candidate { parts, finish, stop_sequence: None, logprobs: None };
    Answer {
        id: String::new(),
        model: String::new(),
        created: 0,
        candidates: vec![candidate],
        usage: None,
        extra: None,
    }
}

fn told(input: u64, output: u64) -> Usage {
    Usage::new(input, output, Basis::Reported)
}

#[test]
fn a_plain_answer_is_read_with_the_input_that_was_cached_counted_in() {
    let answer = read(PLAIN);
    assert_eq!((answer.id.as_str(), answer.model.as_str()), ("msg_013Zva2CMHLNnXjNJJKqJ2EF", "claude-opus-4-6"));
    assert!(answer.candidates[0].parts == [Part::text("Hi! My name is Claude.")]);
    assert_eq!(answer.candidates[0].finish, FinishReason::Stop);
    let usage = answer.usage.unwrap();
    assert_eq!((usage.input_tokens, usage.output_tokens), (2095 + 1800 + 248, 503));
    assert_eq!((usage.cached_input_tokens, usage.cache_write_input_tokens), (1800, 248));
}

#[test]
fn thinking_redacted_thinking_and_calls_come_back_to_the_client_as_they_were() {
    let answer = read(THINKING);
    assert_eq!(answer.candidates[0].finish, FinishReason::ToolCalls);
    let original: Value = serde_json::from_str(THINKING).unwrap();
    let written = Served::write(&Messages, &envelope(), answer, &told(50, 503));
    assert_eq!(written["content"], original["content"]);
    assert_eq!((&written["id"], &written["model"]), (&json!("msg_ours"), &json!("public-name")));
    assert_eq!(written["stop_reason"], "tool_use");
    assert_eq!(written["usage"]["input_tokens"], 50);
}

#[test]
fn the_usage_of_a_written_answer_is_what_is_billed_with_the_cache_apart() {
    let usage = Usage { cached_input_tokens: 40, cache_write_input_tokens: 10, ..told(100, 7) };
    let written = Served::write(&Messages, &envelope(), answer(vec![Part::text("Hi")], FinishReason::Stop), &usage);
    let expected = json!({"input_tokens": 50, "cache_creation_input_tokens": 10, "cache_read_input_tokens": 40,
        "output_tokens": 7});
    assert_eq!(written["usage"], expected);
    assert_eq!(written["stop_sequence"], Value::Null);
}

#[test]
fn a_signature_of_another_provider_travels_in_the_clients_hands() {
    let signature = Opaque { dialect: Dialect::GenerateContent, value: json!("CkQBjz1rXw==") };
    let thought = Part::Reasoning { text: "hm".to_owned(), signature: Some(signature) };
    let given = answer(vec![thought.clone(), Part::text("Hi")], FinishReason::Stop);
    let written = Served::write(&Messages, &envelope(), given, &told(1, 1));
    let block = written["content"][0].clone();
    assert_eq!((&block["type"], &block["thinking"]), (&json!("thinking"), &json!("hm")));
    let back = asked(json!({"model": "m", "messages": [{"role": "assistant", "content": [block]}]}));
    assert!(back.messages[0].parts == [thought]);
}

#[test]
fn an_answer_of_another_dialect_with_calls_waits_for_tools_whatever_it_says() {
    let call = Part::ToolCall {
        id: "call_1".to_owned(),
        name: "f".to_owned(),
        arguments: String::new(),
        custom: false,
        signature: None,
    };
    let written = Served::write(&Messages, &envelope(), answer(vec![call], FinishReason::Stop), &told(1, 1));
    assert_eq!(written["stop_reason"], "tool_use");
    assert_eq!(written["content"][0]["input"], json!({}));
}

#[test]
fn reasons_of_an_end_have_their_words() {
    let word =
        |finish| Served::write(&Messages, &envelope(), answer(vec![], finish), &told(1, 1))["stop_reason"].clone();
    assert_eq!(word(FinishReason::Length), "max_tokens");
    assert_eq!(word(FinishReason::ContextWindow), "model_context_window_exceeded");
    assert_eq!(word(FinishReason::ContentFilter), "refusal");
    assert_eq!(word(FinishReason::Pause), "pause_turn");
    assert_eq!(word(FinishReason::Other("recitation".to_owned())), "end_turn");
}

#[test]
fn what_only_this_dialect_has_is_kept() {
    let body = json!({"id": "msg_1", "model": "m", "role": "assistant", "stop_reason": "refusal",
    "stop_details": {"type": "refusal", "category": "cyber", "explanation": null}, "container": null,
    "content": [
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "weather"}},
        {"type": "text", "text": "Sunny.", "citations": [{"type": "web_search_result_location",
            "url": "https://example.com", "title": "T", "encrypted_index": "Eo8B", "cited_text": "sunny"}]},
    ]});
    let answer = Spoken::read(&Messages, body.clone()).unwrap();
    assert_eq!(answer.candidates[0].finish, FinishReason::Refusal);
    let written = Served::write(&Messages, &envelope(), answer, &told(1, 1));
    assert_eq!(written["content"], body["content"]);
    assert_eq!(written["stop_details"], body["stop_details"]);
    assert!(written.get("container").is_none());
}

#[test]
fn an_error_with_status_200_is_that_error_and_what_is_no_answer_is_garbage() {
    let error = json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}});
    let Err(error) = Spoken::read(&Messages, error) else { panic!("an error was read as an answer") };
    assert_eq!(error.code(), "upstream_unavailable");
    for garbage in [json!({}), json!([]), json!({"content": "x"}), json!({"content": [{"type": "text"}]})] {
        let Err(error) = Spoken::read(&Messages, garbage) else { panic!("garbage was read as an answer") };
        assert_eq!(error.code(), "upstream_garbage");
    }
}

#[test]
fn the_signature_of_a_call_stands_before_it_and_comes_back_to_it() {
    let signature = Opaque { dialect: Dialect::GenerateContent, value: json!("CkQBjz1rXw==") };
    let call = |id: &str, signature| Part::ToolCall {
        id: id.to_owned(),
        name: "f".to_owned(),
        arguments: "{}".to_owned(),
        custom: false,
        signature,
    };
    let parts = vec![call("a", Some(signature)), call("b", None)];
    let written = Served::write(&Messages, &envelope(), answer(parts.clone(), FinishReason::ToolCalls), &told(1, 1));
    let kinds: Vec<_> = written["content"].as_array().unwrap().iter().map(|block| block["type"].clone()).collect();
    assert_eq!(kinds, ["redacted_thinking", "tool_use", "tool_use"]);
    let back = asked(json!({"model": "m", "messages": [{"role": "assistant", "content": written["content"]}]}));
    assert!(back.messages[0].parts == parts);
}

#[test]
fn thoughts_that_nobody_signed_come_back_unsigned() {
    let thought = Part::Reasoning { text: "hm".to_owned(), signature: None };
    let written = Served::write(&Messages, &envelope(), answer(vec![thought.clone()], FinishReason::Stop), &told(1, 1));
    assert_ne!(written["content"][0]["signature"], "");
    let back = asked(json!({"model": "m", "messages": [{"role": "assistant", "content": written["content"]}]}));
    assert!(back.messages[0].parts == [thought]);
}
