//! Answers as they are generated.

use relay::model::{Delta, FinishReason, Part};
use relay::{Basis, RelayError, Usage};
use serde_json::{Value, json};

use crate::{deltas, fixture, google, served};

const SIGNATURE_A: &str = "PFNpZ25hdHVyZSBBPg==";

fn text(deltas: &[Delta], wanted: u32) -> String {
    let texts = deltas.iter().filter_map(|delta| match delta {
        Delta::Text { candidate, text } if *candidate == wanted => Some(text.as_str()),
        _ => None,
    });
    texts.collect()
}

fn last_usage(deltas: &[Delta]) -> Option<Usage> {
    deltas.iter().rev().find_map(|delta| match delta {
        Delta::Usage(usage) => Some(*usage),
        _ => None,
    })
}

#[test]
fn a_stream_begins_speaks_ends_and_tells_its_usage() {
    let (deltas, finished, error) = deltas(fixture!("gemini_stream.sse"));
    assert_eq!((finished, error), (true, None));
    assert!(matches!(&deltas[0], Delta::Begin { id, model, usage: Some(usage) }
        if id == "qAitaJ2lG4" && model == "gemini-2.5-flash" && usage.input_tokens == 9));
    assert_eq!(text(&deltas, 0), "Once upon a time, 从前。");
    let end = Delta::Finish { candidate: 0, finish: FinishReason::Stop, stop_sequence: None };
    let usage = Usage::new(9, 8, Basis::Reported);
    assert!(deltas.ends_with(&[end, Delta::Usage(usage)]));
}

#[test]
fn a_stream_that_stops_before_its_end_is_not_finished_but_tells_what_was_used() {
    let whole = fixture!("gemini_stream.sse");
    let cut = &whole[..whole.rfind("data: ").unwrap()];
    let (deltas, finished, error) = deltas(cut);
    assert_eq!((finished, error), (false, None));
    assert_eq!(last_usage(&deltas), Some(Usage::new(9, 5, Basis::Reported)));
}

#[test]
fn a_malformed_chunk_is_garbage_and_an_error_in_the_middle_is_that_error() {
    let (_, _, error) = deltas("data: {\"candidates\": [{\"content\"\n\n");
    assert_eq!(error.unwrap().code(), "upstream_garbage");
    let (_, _, error) = deltas("data: {\"candidates\": [{\"content\": {\"parts\": [{\"text\": 5}]}}]}\n\n");
    let error = error.unwrap();
    assert_eq!(error.code(), "upstream_garbage");
    assert!(error.to_string().contains("candidates[0].content.parts[0].text"), "{error}");
    let overloaded =
        r#"data: {"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}"#;
    let (said, _, error) = deltas(&format!("{}{overloaded}", fixture!("gemini_stream.sse")));
    assert_eq!(text(&said, 0), "Once upon a time, 从前。");
    let reason = "it answered with status 503".to_owned();
    assert_eq!(error, Some(RelayError::UpstreamUnavailable { reason, retry_after: None }));
}

#[test]
fn candidates_are_told_apart_and_the_stream_ends_with_the_last_of_them() {
    let (deltas, finished, _) = deltas(fixture!("gemini_two_candidates.sse"));
    assert!(finished);
    assert_eq!((text(&deltas, 0), text(&deltas, 1)), ("Yes!".to_owned(), "No.".to_owned()));
    let ends: Vec<(u32, &FinishReason)> = deltas
        .iter()
        .filter_map(|delta| match delta {
            Delta::Finish { candidate, finish, .. } => Some((*candidate, finish)),
            _ => None,
        })
        .collect();
    assert_eq!(ends, [(1, &FinishReason::Stop), (0, &FinishReason::Length)]);
}

#[test]
fn thoughts_come_first_and_a_call_keeps_its_signature_and_its_id() {
    let (deltas, finished, _) = deltas(fixture!("gemini_thoughts.sse"));
    assert!(finished);
    let thought = "**Considering the weather**\n\nThe person asks for Paris.".to_owned();
    let expected = [
        Delta::Reasoning { candidate: 0, text: thought },
        Delta::ToolCall {
            candidate: 0,
            call: 0,
            id: "x7k2".to_owned(),
            name: "check_flight".to_owned(),
            custom: false,
            signature: Some(google(SIGNATURE_A)),
        },
        Delta::ToolArguments { candidate: 0, call: 0, fragment: r#"{"flight":"AA100"}"#.to_owned() },
        Delta::Finish { candidate: 0, finish: FinishReason::ToolCalls, stop_sequence: None },
    ];
    let told: Vec<Delta> = deltas.iter().filter(|delta| !is_frame(delta)).cloned().collect();
    assert!(told == expected, "{told:?}");
    assert_eq!(last_usage(&deltas), Some(Usage::new(53, 85, Basis::Reported).with_parts(0, 67)));
}

fn is_frame(delta: &Delta) -> bool {
    matches!(delta, Delta::Begin { .. } | Delta::Usage(_))
}

#[test]
fn a_signature_behind_a_text_is_a_hidden_thought_and_comes_before_the_end() {
    let (deltas, _, _) = deltas(fixture!("gemini_text_signature.sse"));
    let told: Vec<Delta> = deltas.iter().filter(|delta| !is_frame(delta)).cloned().collect();
    let expected = [
        Delta::Text { candidate: 0, text: "The flight is late.".to_owned() },
        Delta::ReasoningSignature { candidate: 0, signature: google("PFNpZ25hdHVyZSBDPg==") },
        Delta::Finish { candidate: 0, finish: FinishReason::Stop, stop_sequence: None },
    ];
    assert!(told == expected, "{told:?}");
    assert_eq!(last_usage(&deltas), Some(Usage::new(20, 35, Basis::Reported).with_parts(16, 30)));
}

#[test]
fn a_blocked_prompt_and_a_filtered_answer_end_by_the_filter() {
    let blocked: Value = serde_json::from_str(fixture!("gemini_blocked.json")).unwrap();
    let (told, finished, error) = deltas(&format!("data: {blocked}\n\n"));
    assert_eq!((finished, error), (true, None));
    let end = Delta::Finish { candidate: 0, finish: FinishReason::ContentFilter, stop_sequence: None };
    assert!(told.contains(&end));
    let chunks = served(told, json!({}), &Usage::new(12, 0, Basis::Reported));
    let [only] = &chunks[..] else { panic!("one chunk") };
    assert_eq!(only["promptFeedback"]["blockReason"], "PROHIBITED_CONTENT");
    assert!(only.get("candidates").is_none());

    let (told, _, _) = deltas(fixture!("gemini_filtered.sse"));
    assert!(told.contains(&end));
    let chunks = served(told, json!({}), &Usage::new(7, 2, Basis::Reported));
    let last = &chunks.last().unwrap()["candidates"][0];
    assert_eq!((&last["finishReason"], &last["finishMessage"]), (&json!("SPII"), &json!("Personal data.")));
    assert_eq!(last["safetyRatings"][0]["blocked"], true);
}

#[test]
fn a_served_stream_says_what_the_upstream_said() {
    let usage = Usage::new(53, 85, Basis::Reported).with_parts(0, 67);
    let (told, _, _) = deltas(fixture!("gemini_thoughts.sse"));
    let with = json!({ "generationConfig": { "thinkingConfig": { "includeThoughts": true } } });
    let chunks = served(told.clone(), with, &usage);
    assert!(chunks.iter().all(|chunk| chunk["modelVersion"] == "public" && chunk["responseId"] == "ours-1"));
    assert_eq!(chunks[0]["candidates"][0]["content"]["parts"][0]["thought"], true);
    let call = &chunks[1]["candidates"][0]["content"]["parts"][0];
    let expected = json!({ "id": "x7k2", "name": "check_flight", "args": { "flight": "AA100" } });
    assert_eq!((&call["functionCall"], &call["thoughtSignature"]), (&expected, &json!(SIGNATURE_A)));
    let last = chunks.last().unwrap();
    assert_eq!(last["candidates"][0]["finishReason"], "STOP");
    assert_eq!((&last["usageMetadata"]["thoughtsTokenCount"], chunks.len()), (&json!(67), 3));
    assert!(chunks[..2].iter().all(|chunk| chunk["candidates"][0].get("finishReason").is_none()));

    let without = served(told, json!({}), &usage);
    let text = without.iter().map(Value::to_string).collect::<String>();
    assert!(!text.contains("Considering"), "nobody asked for thoughts");
}

#[test]
fn fragments_of_parallel_calls_become_whole_calls_in_their_order() {
    let begin = |call: u32, name: &str| Delta::ToolCall {
        candidate: 0,
        call,
        id: format!("c{call}"),
        name: name.to_owned(),
        custom: false,
        signature: None,
    };
    let piece = |call: u32, fragment: &str| Delta::ToolArguments { candidate: 0, call, fragment: fragment.to_owned() };
    let told = vec![
        begin(0, "f"),
        begin(1, "g"),
        piece(1, "{\"b\":"),
        piece(0, "{\"a\":1}"),
        piece(1, "2}"),
        Delta::Finish { candidate: 0, finish: FinishReason::ToolCalls, stop_sequence: None },
    ];
    let chunks = served(told, json!({}), &Usage::new(1, 2, Basis::Counted));
    let parts = &chunks[0]["candidates"][0]["content"]["parts"];
    assert_eq!(parts[0]["functionCall"], json!({ "id": "c0", "name": "f", "args": { "a": 1 } }));
    assert_eq!(parts[1]["functionCall"], json!({ "id": "c1", "name": "g", "args": { "b": 2 } }));
}

#[test]
fn a_signature_of_another_provider_comes_back_from_a_client_of_this_dialect() {
    let theirs = relay::model::Opaque { dialect: relay::Dialect::Messages, value: json!("EqQBCgIYAhIM") };
    let told = vec![
        Delta::Reasoning { candidate: 0, text: "hm".to_owned() },
        Delta::ReasoningSignature { candidate: 0, signature: theirs.clone() },
    ];
    let with = json!({ "generation_config": { "thinking_config": { "include_thoughts": true } } });
    let chunks = served(told, with, &Usage::new(1, 2, Basis::Counted));
    let part = &chunks[1]["candidates"][0]["content"]["parts"][0];
    let back = crate::prompt(json!({ "contents": [{ "role": "model", "parts": [part] }] }));
    let expected = [Part::Reasoning { text: String::new(), signature: Some(theirs) }];
    assert!(back.messages[0].parts == expected);
}

#[test]
fn what_signs_words_that_a_client_does_not_get_stays_away_with_them_unless_google_signed() {
    let sign = |dialect: relay::Dialect| Delta::ReasoningSignature {
        candidate: 0,
        signature: relay::model::Opaque { dialect, value: json!("c2ln") },
    };
    let thought = || Delta::Reasoning { candidate: 0, text: "hm".to_owned() };
    let signatures = |told: Vec<Delta>| -> usize {
        let chunks = served(told, json!({}), &Usage::new(1, 2, Basis::Counted));
        let text = chunks.iter().map(Value::to_string).collect::<String>();
        assert!(!text.contains("hm"), "nobody asked for thoughts");
        text.matches("thoughtSignature").count()
    };
    for theirs in [relay::Dialect::Messages, relay::Dialect::Responses] {
        assert_eq!(signatures(vec![thought(), sign(theirs)]), 0, "it signs words that are not there");
        assert_eq!(signatures(vec![sign(theirs)]), 1, "there were none to begin with");
        assert_eq!(signatures(vec![thought(), sign(theirs), sign(theirs)]), 1, "each thought stands for itself");
    }
    assert_eq!(signatures(vec![thought(), sign(relay::Dialect::GenerateContent)]), 1);
}

#[test]
fn a_stream_that_is_served_and_read_again_says_the_same() {
    let with = json!({ "generationConfig": { "thinkingConfig": { "includeThoughts": true } } });
    for stream in [
        fixture!("gemini_stream.sse"),
        fixture!("gemini_two_candidates.sse"),
        fixture!("gemini_thoughts.sse"),
        fixture!("gemini_text_signature.sse"),
        fixture!("gemini_filtered.sse"),
    ] {
        let (told, ..) = deltas(stream);
        let usage = last_usage(&told).unwrap();
        let chunks = served(told.clone(), with.clone(), &usage);
        let again: String = chunks.iter().map(|chunk| format!("data: {chunk}\n\n")).collect();
        let (again, finished, error) = deltas(&again);
        assert_eq!((finished, error, last_usage(&again)), (true, None, Some(usage)));
        for candidate in [0, 1] {
            let steps = |deltas: &[Delta]| -> Vec<Delta> {
                deltas.iter().filter(|delta| !is_frame(delta) && is_of(delta, candidate)).cloned().collect()
            };
            assert!(steps(&again) == steps(&told), "{:?}\n{:?}", steps(&told), steps(&again));
        }
    }
}

fn is_of(delta: &Delta, wanted: u32) -> bool {
    match delta {
        Delta::Text { candidate, .. }
        | Delta::Reasoning { candidate, .. }
        | Delta::ReasoningSignature { candidate, .. }
        | Delta::ToolCall { candidate, .. }
        | Delta::ToolArguments { candidate, .. }
        | Delta::Part { candidate, .. }
        | Delta::Finish { candidate, .. } => *candidate == wanted,
        _ => false,
    }
}
