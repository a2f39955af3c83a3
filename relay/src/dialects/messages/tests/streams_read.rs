//! Streams of upstreams.

use super::*;
use crate::model::{FinishReason, Opaque, Part};
use crate::{Basis, Usage};

const PLAIN: &str = include_str!("../../../../tests/fixtures/anthropic_stream.sse");
const TOOL: &str = include_str!("../../../../tests/fixtures/anthropic_tool_stream.sse");
const PARALLEL: &str = include_str!("../../../../tests/fixtures/anthropic_parallel_tools.sse");
const THINKING: &str = include_str!("../../../../tests/fixtures/anthropic_thinking_stream.sse");
const ERROR: &str = include_str!("../../../../tests/fixtures/anthropic_error_event.sse");

fn finish(finish: FinishReason) -> Delta {
    Delta::Finish { candidate: 0, finish, stop_sequence: None }
}

fn text(text: &str) -> Delta {
    Delta::Text { candidate: 0, text: text.to_owned() }
}

fn call(call: u32, id: &str, name: &str) -> Delta {
    let (id, name) = (id.to_owned(), name.to_owned());
    Delta::ToolCall { candidate: 0, call, id, name, custom: false, signature: None }
}

fn arguments(call: u32, fragment: &str) -> Delta {
    Delta::ToolArguments { candidate: 0, call, fragment: fragment.to_owned() }
}

fn own(value: Value) -> Opaque {
    Opaque { dialect: Dialect::Messages, value }
}

fn whole(sse: &str) -> Vec<Delta> {
    let (deltas, is_finished) = read_stream(sse);
    assert!(is_finished);
    deltas.unwrap()
}

#[test]
fn a_plain_stream_begins_speaks_ends_and_tells_the_usage() {
    let begin = Delta::Begin {
        id: "msg_1nZdL29xx5MUA1yADyHTEsnR8uuvGzszyy".to_owned(),
        model: "claude-opus-4-6".to_owned(),
        usage: Some(Usage::new(25, 1, Basis::Reported)),
    };
    let usage = Delta::Usage(Usage::new(25, 15, Basis::Reported));
    assert!(whole(PLAIN) == [begin, text("Hello"), text("!"), finish(FinishReason::Stop), usage]);
}

#[test]
fn the_fragments_of_a_call_are_passed_on_and_empty_ones_left_out() {
    let deltas = whole(TOOL);
    let call_at = deltas.iter().position(|delta| matches!(delta, Delta::ToolCall { .. })).unwrap();
    let said: String =
        deltas[..call_at].iter().map(|delta| if let Delta::Text { text, .. } = delta { text } else { "" }).collect();
    assert_eq!(said, "Okay, let's check the weather for San Francisco, CA:");
    assert!(deltas[call_at] == call(0, "toolu_01T1x1fJ34qAmk2tNTrN7Up6", "get_weather"));
    let fragments = ["{\"location\":", " \"San", " Francisc", "o,", " CA\"", ", ", "\"unit\": \"fah", "renheit\"}"];
    let expected: Vec<_> = fragments.iter().map(|fragment| arguments(0, fragment)).collect();
    assert!(deltas[call_at + 1..call_at + 9] == expected);
    assert!(deltas[call_at + 9] == finish(FinishReason::ToolCalls));
}

#[test]
fn parallel_calls_are_numbered_from_zero_and_one_without_arguments_has_an_empty_object() {
    let deltas = whole(PARALLEL);
    let expected = [
        call(0, "toolu_01", "get_weather"),
        arguments(0, "{\"location\": \"San Francisco, CA\""),
        arguments(0, "}"),
        call(1, "toolu_02", "get_time"),
        arguments(1, "{}"),
        finish(FinishReason::ToolCalls),
    ];
    assert!(deltas[1..7] == expected);
    let Delta::Usage(usage) = &deltas[7] else { panic!("no usage") };
    assert_eq!((usage.input_tokens, usage.cached_input_tokens, usage.output_tokens), (2558, 2048, 120));
}

#[test]
fn thoughts_come_with_their_signature_and_hidden_ones_with_their_data() {
    let deltas = whole(THINKING);
    let signatures: Vec<_> = deltas
        .iter()
        .filter_map(|delta| {
            if let Delta::ReasoningSignature { signature, .. } = delta { Some(signature.clone()) } else { None }
        })
        .collect();
    let data = "EmwKAhgBEgy3va3pzix/LafPsn4aDFIT2Xlxh0L5L8rLVyIwxtE3rAFBa8cr3qpPkNRj2YfWXGmKDxH4mPnZ5sQ7vB9URj2pLmN3kF8/dW5hR7xJ0aP1oLs9yTcMnKVf2wRpEGjH9XZaBt4UvDcPrQ...";
    let signature = "EqQBCgIYAhIM1gbcDa9GJwZA2b3hGgxBdjrkzLoky3dl1pkiMOYds...";
    assert!(signatures == [own(json!({"signature": signature})), own(json!({"data": data}))]);
    assert_eq!(deltas.iter().filter(|delta| matches!(delta, Delta::Reasoning { .. })).count(), 2);
    let Some(Delta::Usage(usage)) = deltas.last() else { panic!("no usage") };
    assert_eq!((usage.output_tokens, usage.reasoning_tokens), (210, 160));
}

#[test]
fn an_error_event_is_the_end_and_means_what_it_says() {
    let (deltas, is_finished) = read_stream(ERROR);
    assert_eq!(deltas.err(), Some(RelayError::unavailable("it is overloaded")));
    assert!(!is_finished);
}

#[test]
fn a_stream_that_breaks_off_is_not_finished_wherever_it_breaks() {
    for sse in [PLAIN, TOOL, PARALLEL, THINKING] {
        let frames: Vec<_> = sse.split_inclusive("\n\n").collect();
        for end in 0..frames.len() {
            let (deltas, is_finished) = read_stream(&frames[..end].concat());
            assert!(deltas.is_ok() && !is_finished, "{end}");
        }
    }
}

#[test]
fn a_malformed_event_is_garbage() {
    let read = |data: &str| Messages.reader().read(Some("content_block_delta"), data).err().map(|error| error.code());
    assert_eq!(read("{\"type\":\"content_block_delta\",\"index\":0,\"del"), Some("upstream_garbage"));
    assert_eq!(read("[]"), Some("upstream_garbage"));
    assert_eq!(read("{}"), Some("upstream_garbage"));
    let orphan = json!({"type": "content_block_delta", "index": 3, "delta": {"type": "input_json_delta",
        "partial_json": "{"}});
    assert_eq!(read(&orphan.to_string()), Some("upstream_garbage"));
}

#[test]
fn kinds_that_nobody_knows_are_passed_over() {
    let mut reader = Messages.reader();
    for event in [
        json!({"type": "ping"}),
        json!({"type": "news"}),
        json!({"type": "content_block_delta", "index": 0,
        "delta": {"type": "news_delta"}}),
    ] {
        assert!(reader.read(None, &event.to_string()).unwrap().is_empty());
    }
}

#[test]
fn a_compatible_server_that_leaves_out_starts_and_stops_is_understood() {
    let mut reader = Messages.reader();
    let mut read = |event: Value| reader.read(None, &event.to_string()).unwrap();
    let delta = |delta: Value| json!({"type": "content_block_delta", "index": 0, "delta": delta});
    let begin = Delta::Begin { id: String::new(), model: String::new(), usage: None };
    assert!(read(delta(json!({"type": "text_delta", "text": "Hi"}))) == [begin, text("Hi")]);
    let start = json!({"type": "content_block_start", "index": 1, "content_block":
        {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}}});
    assert!(read(start) == [call(0, "t", "f")]);
    assert!(read(json!({"type": "message_stop"})) == [arguments(0, "{\"a\":1}"), finish(FinishReason::ToolCalls)]);
}

#[test]
fn what_the_provider_searched_itself_is_one_part_with_its_input() {
    let mut reader = Messages.reader();
    let mut read = |event: Value| reader.read(None, &event.to_string()).unwrap();
    read(json!({"type": "message_start", "message": {"id": "m", "model": "c"}}));
    read(json!({"type": "content_block_start", "index": 0, "content_block":
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}}));
    for partial_json in ["{\"query\":", " \"weather\"}"] {
        read(json!({"type": "content_block_delta", "index": 0, "delta":
            {"type": "input_json_delta", "partial_json": partial_json}}));
    }
    let searched = own(json!({"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search",
        "input": {"query": "weather"}}));
    let part = Delta::Part { candidate: 0, part: Part::Other(searched) };
    assert!(read(json!({"type": "content_block_stop", "index": 0})) == [part]);
}

#[test]
fn citations_follow_the_text_that_they_are_of() {
    let mut reader = Messages.reader();
    let mut read = |event: Value| reader.read(None, &event.to_string()).unwrap();
    read(json!({"type": "message_start", "message": {"id": "m", "model": "c"}}));
    read(
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "", "citations": []}}),
    );
    let citation = json!({"type": "char_location", "cited_text": "The grass is green.", "document_index": 0,
        "document_title": "Example", "start_char_index": 0, "end_char_index": 20});
    let delta = |delta: Value| json!({"type": "content_block_delta", "index": 0, "delta": delta});
    assert!(read(delta(json!({"type": "citations_delta", "citation": citation}))).is_empty());
    assert!(read(delta(json!({"type": "text_delta", "text": "green"}))) == [text("green")]);
    let expected = Delta::Citation { candidate: 0, citation: own(citation) };
    assert!(read(json!({"type": "content_block_stop", "index": 0})) == [expected]);
}
