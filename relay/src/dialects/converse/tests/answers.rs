//! Answers, whole and streamed.

use serde_json::json;

use super::*;
use crate::dialects::claude;
use crate::model::{Answer, FinishReason, Opaque, Part};
use crate::{Basis, Usage};

const PLAIN: &str = include_str!("../../../../tests/fixtures/converse_answer.json");
const TOOL: &str = include_str!("../../../../tests/fixtures/converse_answer_tool.json");
const STREAM: &str = include_str!("../../../../tests/fixtures/converse_stream.txt");
const TOOLS: &str = include_str!("../../../../tests/fixtures/converse_stream_tools.txt");
const REASONING: &str = include_str!("../../../../tests/fixtures/converse_stream_reasoning.txt");
const SIGNATURE: &str = "EqQBCgIYAhIM1gbcDa9GJwZA2b3h";
const HIDDEN: &str = "EmwKAhgBEgy3va3pzix/LafPsn4a";

fn whole(json: &str) -> Answer {
    Converse.read(serde_json::from_str(json).unwrap()).unwrap()
}

fn streamed(events: &str) -> Vec<Delta> {
    let (deltas, is_finished) = read_stream(&body(events));
    assert!(is_finished);
    deltas.unwrap()
}

fn begin() -> Delta {
    Delta::Begin { id: String::new(), model: String::new(), usage: None }
}

fn text(text: &str) -> Delta {
    Delta::Text { candidate: 0, text: text.to_owned() }
}

fn finish(finish: FinishReason) -> Delta {
    Delta::Finish { candidate: 0, finish, stop_sequence: None }
}

#[test]
fn a_plain_answer_is_read() {
    let answer = whole(PLAIN);
    let said = "Here is a list of pop songs by artists from the United Kingdom: 1. As It Was - Harry Styles";
    assert!(answer.candidates[0].parts == [Part::text(said)]);
    assert_eq!(answer.candidates[0].finish, FinishReason::Stop);
    assert_eq!(answer.usage, Some(Usage::new(125, 60, Basis::Reported)));
}

#[test]
fn thoughts_with_signatures_and_parallel_calls_are_read_with_what_was_cached() {
    let answer = whole(TOOL);
    let call = |id: &str, name: &str, arguments: &str| Part::ToolCall {
        id: id.to_owned(),
        name: name.to_owned(),
        arguments: arguments.to_owned(),
        custom: false,
        signature: None,
    };
    let expected = [
        Part::Reasoning { text: "The user wants a song.".to_owned(), signature: Some(claude::signed(SIGNATURE)) },
        Part::Reasoning { text: String::new(), signature: Some(claude::redacted(HIDDEN)) },
        Part::text("Let me look."),
        call("tooluse_kZJMlvQmRJ6eAyJE5GIl7Q", "top_song", "{\"sign\":\"WZPZ\"}"),
        call("tooluse_2", "clock", "{}"),
    ];
    assert!(answer.candidates[0].parts == expected);
    assert_eq!(answer.candidates[0].finish, FinishReason::ToolCalls);
    let usage = answer.usage.unwrap();
    assert_eq!((usage.input_tokens, usage.cached_input_tokens, usage.cache_write_input_tokens), (1512, 1000, 500));
}

#[test]
fn cited_texts_pictures_and_unknown_blocks_are_kept() {
    let citation = json!({"title": "Doc", "location": {"documentChar": {"documentIndex": 0, "start": 0, "end": 5}}});
    let content = json!([
        {"citationsContent": {"content": [{"text": "a"}, {"text": "b"}], "citations": [citation]}},
        {"image": {"format": "png", "source": {"bytes": "iVBO"}}},
        {"somethingNew": {"x": 1}},
    ]);
    let body =
        json!({"output": {"message": {"role": "assistant", "content": content}}, "stopReason": "guardrail_intervened"});
    let answer = Converse.read(body).unwrap();
    let own = |value| Opaque { dialect: Dialect::Converse, value };
    let parts = &answer.candidates[0].parts;
    assert!(parts[0] == Part::Text { text: "ab".to_owned(), citations: vec![own(citation)], cache: None });
    assert!(matches!(&parts[1], Part::Image { .. }));
    assert!(parts[2] == Part::Other(own(json!({"somethingNew": {"x": 1}}))));
    assert_eq!((&answer.candidates[0].finish, answer.usage), (&FinishReason::ContentFilter, None));
}

#[test]
fn what_is_no_answer_is_garbage() {
    for garbage in [json!({}), json!([]), json!({"output": {"message": {"content": [{"toolUse": {}}]}}})] {
        assert_eq!(Converse.read(garbage).unwrap_err().code(), "upstream_garbage");
    }
}

#[test]
fn a_plain_stream_begins_speaks_ends_and_tells_the_usage() {
    let usage = Delta::Usage(Usage::new(47, 20, Basis::Reported));
    assert!(streamed(STREAM) == [begin(), text("Hello"), text(", 世界"), finish(FinishReason::Stop), usage]);
}

#[test]
fn calls_come_in_fragments_and_one_without_arguments_has_an_empty_object() {
    let call = |call: u32, id: &str, name: &str| {
        let (id, name) = (id.to_owned(), name.to_owned());
        Delta::ToolCall { candidate: 0, call, id, name, custom: false, signature: None }
    };
    let arguments =
        |call: u32, fragment: &str| Delta::ToolArguments { candidate: 0, call, fragment: fragment.to_owned() };
    let deltas = streamed(TOOLS);
    let expected = [
        begin(),
        text("Let me look."),
        call(0, "tooluse_kZJMlvQmRJ6eAyJE5GIl7Q", "top_song"),
        arguments(0, "{\"sign\": \"WZ"),
        arguments(0, "PZ\"}"),
        call(1, "tooluse_2", "clock"),
        arguments(1, "{}"),
        finish(FinishReason::ToolCalls),
    ];
    assert!(deltas[..8] == expected);
    let Delta::Usage(usage) = &deltas[8] else { panic!("no usage") };
    assert_eq!((usage.input_tokens, usage.cached_input_tokens), (1512, 1000));
}

#[test]
fn thoughts_come_with_their_signature_and_hidden_ones_alone() {
    let thought = |text: &str| Delta::Reasoning { candidate: 0, text: text.to_owned() };
    let signature = |signature| Delta::ReasoningSignature { candidate: 0, signature };
    let expected = [
        begin(),
        thought("The user "),
        thought("wants a song."),
        signature(claude::signed(SIGNATURE)),
        signature(claude::redacted(HIDDEN)),
        text("Elemental Hotel"),
        finish(FinishReason::Stop),
    ];
    assert!(streamed(REASONING)[..7] == expected);
}

#[test]
fn a_stream_that_breaks_off_is_not_finished_wherever_it_breaks() {
    for events in [STREAM, TOOLS, REASONING] {
        let lines: Vec<_> = events.lines().collect();
        for end in 0..lines.len() {
            let (deltas, is_finished) = read_stream(&body(&lines[..end].join("\n")));
            assert!(deltas.is_ok() && !is_finished, "{end}");
        }
    }
}

#[test]
fn an_exception_in_the_stream_is_the_end_and_means_what_it_says() {
    let mut bytes = body(&STREAM.lines().take(2).collect::<Vec<_>>().join("\n"));
    bytes.extend(frame("exception", "throttlingException", "{\"message\":\"Too many requests\"}"));
    let (deltas, is_finished) = read_stream(&bytes);
    assert_eq!(deltas.unwrap_err(), RelayError::UpstreamRateLimited { retry_after: None });
    assert!(!is_finished);
}

#[test]
fn a_malformed_event_is_garbage_and_an_unknown_one_is_passed_over() {
    let read = |name: &str, data: &str| Converse.reader().read(Some(name), data).map_err(|error| error.code());
    assert_eq!(read("contentBlockDelta", "{\"delta\":{").err(), Some("upstream_garbage"));
    assert_eq!(read("contentBlockDelta", "{}").err(), Some("upstream_garbage"));
    let orphan = "{\"contentBlockIndex\":4,\"delta\":{\"toolUse\":{\"input\":\"{\"}}}";
    assert_eq!(read("contentBlockDelta", orphan).err(), Some("upstream_garbage"));
    assert_eq!(read("initial-response", "{}"), Ok(vec![]));
}
