//! What clients get: streams in OpenAI's order, and whole answers.

use serde_json::{Value, json};

use super::{OWN, envelope};
use crate::dialects::responses::Responses;
use crate::model::{Answer, Candidate, Delta, FinishReason, MediaSource, Opaque, Part};
use crate::{Basis, Dialect, Envelope, Served, ServedEvent, Usage};

fn usage() -> Usage {
    Usage::new(20, 30, Basis::Reported).with_parts(5, 7)
}

fn begin() -> Delta {
    Delta::Begin { id: "up_1".to_owned(), model: "upstream-name".to_owned(), usage: None }
}

fn text(text: &str) -> Delta {
    Delta::Text { candidate: 0, text: text.to_owned() }
}

fn think(text: &str) -> Delta {
    Delta::Reasoning { candidate: 0, text: text.to_owned() }
}

fn call(call: u32, id: &str, custom: bool, signature: Option<Opaque>) -> Delta {
    Delta::ToolCall { candidate: 0, call, id: id.to_owned(), name: "weather".to_owned(), custom, signature }
}

fn arguments(call: u32, fragment: &str) -> Delta {
    Delta::ToolArguments { candidate: 0, call, fragment: fragment.to_owned() }
}

fn finish(finish: FinishReason) -> Delta {
    Delta::Finish { candidate: 0, finish, stop_sequence: None }
}

fn thinking(value: &str) -> Opaque {
    Opaque { dialect: Dialect::Messages, value: json!(value) }
}

/// All events of an answer, each with what must be true of every event.
fn stream(envelope: Envelope, deltas: Vec<Delta>) -> Vec<Value> {
    let mut writer = Responses.writer(envelope);
    let mut events: Vec<ServedEvent> = deltas.into_iter().flat_map(|delta| writer.write(delta)).collect();
    events.extend(writer.end(&usage()));
    checked(events)
}

fn checked(events: Vec<ServedEvent>) -> Vec<Value> {
    for (index, event) in events.iter().enumerate() {
        assert_eq!(event.data["sequence_number"], index);
        assert_eq!(event.data["type"].as_str(), event.name.as_deref());
    }
    events.into_iter().map(|event| event.data).collect()
}

/// The events' types and where they belong.
fn order(events: &[Value]) -> Vec<String> {
    let line = |event: &Value| {
        let kind = event["type"].as_str().unwrap().trim_start_matches("response.");
        let place = |key: &str| event.get(key).map(|place| format!(" {place}")).unwrap_or_default();
        format!("{kind}{}{}{}", place("output_index"), place("content_index"), place("summary_index"))
    };
    events.iter().map(line).collect()
}

#[test]
fn a_stream_of_thoughts_text_and_two_calls_has_openais_order() {
    let events = stream(
        envelope(json!({})),
        vec![
            begin(),
            think("Let me "),
            think("see."),
            Delta::ReasoningSignature { candidate: 0, signature: thinking("EqQB") },
            text("I look "),
            text("it up."),
            call(0, "call_a", false, None),
            arguments(0, "{\"city\":"),
            call(1, "call_b", false, None),
            arguments(1, "{}"),
            arguments(0, "\"Rome\"}"),
            finish(FinishReason::ToolCalls),
        ],
    );
    let expected = [
        "created",
        "in_progress",
        "output_item.added 0",
        "reasoning_summary_part.added 0 0",
        "reasoning_summary_text.delta 0 0",
        "reasoning_summary_text.delta 0 0",
        "reasoning_summary_text.done 0 0",
        "reasoning_summary_part.done 0 0",
        "output_item.done 0",
        "output_item.added 1",
        "content_part.added 1 0",
        "output_text.delta 1 0",
        "output_text.delta 1 0",
        "output_text.done 1 0",
        "content_part.done 1 0",
        "output_item.done 1",
        "output_item.added 2",
        "function_call_arguments.delta 2",
        "output_item.added 3",
        "function_call_arguments.delta 3",
        "function_call_arguments.delta 2",
        "function_call_arguments.done 2",
        "output_item.done 2",
        "function_call_arguments.done 3",
        "output_item.done 3",
        "completed",
    ];
    assert_eq!(order(&events), expected);
    let item_ids = ["rs_0199_0", "msg_0199_1", "fc_0199_2", "fc_0199_3"];
    for event in &events[2..events.len() - 1] {
        let place = usize::try_from(event["output_index"].as_u64().unwrap()).unwrap();
        let id = event.get("item_id").unwrap_or(&event["item"]["id"]);
        assert_eq!(id, item_ids[place]);
        let status = match event["type"].as_str().unwrap() {
            "response.output_item.added" => "in_progress",
            "response.output_item.done" => "completed",
            _ => continue,
        };
        assert_eq!(event["item"]["status"], status);
    }
    let response = &events.last().unwrap()["response"];
    assert_eq!(response["output"][2]["arguments"], "{\"city\":\"Rome\"}");
    assert_eq!(response["output"][1]["content"][0]["text"], "I look it up.");
    assert_eq!(response["usage"]["input_tokens_details"]["cached_tokens"], 5);
    assert_eq!(response["usage"]["output_tokens_details"]["reasoning_tokens"], 7);
    assert_eq!((&response["status"], &response["model"]), (&json!("completed"), &json!("public-name")));
}

#[test]
fn what_is_created_has_no_output_and_no_usage_yet() {
    let events = stream(envelope(json!({})), vec![begin(), finish(FinishReason::Stop)]);
    assert_eq!(order(&events), ["created", "in_progress", "completed"]);
    let created = &events[0]["response"];
    assert_eq!(
        (&created["status"], &created["output"], &created["usage"]),
        (&json!("in_progress"), &json!([]), &Value::Null)
    );
    assert_eq!((&created["id"], &created["object"]), (&json!("resp_0199"), &json!("response")));
}

#[test]
fn an_answer_that_reached_its_bound_is_incomplete_and_so_is_its_last_item() {
    let events = stream(envelope(json!({})), vec![begin(), text("Once"), finish(FinishReason::Length)]);
    let response = &events.last().unwrap()["response"];
    assert_eq!(events.last().unwrap()["type"], "response.incomplete");
    assert_eq!(response["status"], "incomplete");
    assert_eq!(response["incomplete_details"], json!({"reason": "max_output_tokens"}));
    assert_eq!(response["output"][0]["status"], "incomplete");
}

#[test]
fn refusals_and_citations_are_content_of_the_message() {
    let citation = Opaque { dialect: Dialect::Messages, value: json!({"url": "https://a.example", "title": "A"}) };
    let events = stream(
        envelope(json!({})),
        vec![
            begin(),
            text("Known"),
            Delta::Citation { candidate: 0, citation },
            Delta::Refusal { candidate: 0, text: "No more.".to_owned() },
            finish(FinishReason::Stop),
        ],
    );
    let expected = [
        "output_item.added 0",
        "content_part.added 0 0",
        "output_text.delta 0 0",
        "output_text.annotation.added 0 0",
        "output_text.done 0 0",
        "content_part.done 0 0",
        "content_part.added 0 1",
        "refusal.delta 0 1",
        "refusal.done 0 1",
        "content_part.done 0 1",
        "output_item.done 0",
    ];
    assert_eq!(order(&events)[2..13], expected);
    let content = &events.last().unwrap()["response"]["output"][0]["content"];
    let annotation =
        json!({"type": "url_citation", "start_index": 0, "end_index": 5, "url": "https://a.example", "title": "A"});
    assert_eq!(content[0]["annotations"], json!([annotation]));
    assert_eq!(content[1], json!({"type": "refusal", "refusal": "No more."}));
}

#[test]
fn probabilities_come_with_their_text_if_the_client_wants_them() {
    let entries = json!([{"token": "Hi", "bytes": [72, 105], "logprob": -0.5, "top_logprobs": []}]);
    let deltas = || {
        let logprobs = json!({"content": entries, "refusal": null});
        vec![begin(), text("Hi"), Delta::Logprobs { candidate: 0, logprobs }, text("!"), finish(FinishReason::Stop)]
    };
    let asked = envelope(json!({"include": ["message.output_text.logprobs"]}));
    let events = stream(asked, deltas());
    assert_eq!((&events[4]["delta"], &events[4]["logprobs"]), (&json!("Hi"), &entries));
    assert_eq!((&events[5]["delta"], &events[5]["logprobs"]), (&json!("!"), &json!([])));
    assert_eq!(events.last().unwrap()["response"]["output"][0]["content"][0]["logprobs"], entries);
    let events = stream(envelope(json!({})), deltas());
    assert_eq!(events[4]["logprobs"], json!([]));
}

#[test]
fn a_picture_and_what_only_openai_has_are_items_of_their_own() {
    let source = MediaSource::Inline { media_type: "image/webp".to_owned(), base64: "aGk=".to_owned() };
    let picture = Part::Image { source, detail: None, cache: None };
    let search = Part::Other(Opaque { dialect: OWN, value: json!({"type": "web_search_call", "id": "ws_9"}) });
    let foreign = Part::Other(Opaque { dialect: Dialect::Messages, value: json!({"type": "server_tool_use"}) });
    let parts = [search, foreign, picture].map(|part| Delta::Part { candidate: 0, part });
    let mut deltas = vec![begin(), text("See:")];
    deltas.extend(parts);
    deltas.push(finish(FinishReason::Stop));
    let events = stream(envelope(json!({})), deltas);
    let output = events.last().unwrap()["response"]["output"].as_array().unwrap().clone();
    assert_eq!(output.len(), 3);
    assert_eq!(output[1], json!({"type": "web_search_call", "id": "ws_0199_1"}));
    assert_eq!((&output[2]["id"], &output[2]["result"]), (&json!("ig_0199_2"), &json!("aGk=")));
    assert_eq!(output[2]["output_format"], "webp");
    let added = events.iter().find(|event| event["item"]["id"] == "ig_0199_2").unwrap();
    assert_eq!((&added["item"]["status"], &added["item"]["result"]), (&json!("in_progress"), &Value::Null));
}

#[test]
fn a_whole_answer_is_what_its_stream_ends_with() {
    let request = json!({"model": "m", "input": "hi", "instructions": "be brief", "store": false, "top_p": 0.5});
    let signature = thinking("EqQB");
    let gemini = Opaque { dialect: Dialect::GenerateContent, value: json!("CkQB") };
    let deltas = vec![
        begin(),
        think("hm"),
        Delta::ReasoningSignature { candidate: 0, signature: signature.clone() },
        text("one"),
        call(0, "call_a", false, Some(gemini.clone())),
        arguments(0, "{}"),
        call(1, "call_b", true, None),
        arguments(1, "SELECT 1"),
        finish(FinishReason::Length),
    ];
    let call = |id: &str, arguments: &str, custom, signature| Part::ToolCall {
        id: id.to_owned(),
        name: "weather".to_owned(),
        arguments: arguments.to_owned(),
        custom,
        signature,
    };
    let parts = vec![
        Part::Reasoning { text: "hm".to_owned(), signature: Some(signature) },
        Part::text("one"),
        call("call_a", "{}", false, Some(gemini)),
        call("call_b", "SELECT 1", true, None),
    ];
    let candidate = Candidate { parts, finish: FinishReason::Length, stop_sequence: None, logprobs: None };
    let answer = Answer {
        id: "up_1".to_owned(),
        model: "upstream-name".to_owned(),
        created: 0,
        candidates: vec![candidate],
        usage: None,
        extra: None,
    };
    let whole = Served::write(&Responses, &envelope(request.clone()), answer, &usage());
    let events = stream(envelope(request), deltas);
    assert_eq!(whole, events.last().unwrap()["response"]);
    assert_eq!(
        (&whole["instructions"], &whole["store"], &whole["top_p"]),
        (&json!("be brief"), &json!(false), &json!(0.5))
    );
}

#[test]
fn the_response_repeats_the_request_with_defaults_and_without_secrets() {
    let request = json!({
        "text": {"verbosity": "low"}, "reasoning": {"effort": "high"}, "metadata": {"a": "b"},
        "tools": [{"type": "mcp", "server_label": "x", "server_url": "https://x.example", "authorization": "secret",
            "headers": {"x-key": "secret"}}],
    });
    let events = stream(envelope(request), vec![begin()]);
    let response = &events[0]["response"];
    assert_eq!(response["text"], json!({"format": {"type": "text"}, "verbosity": "low"}));
    assert_eq!(response["reasoning"], json!({"effort": "high", "summary": null}));
    assert_eq!(response["metadata"], json!({"a": "b"}));
    assert!(!response.to_string().contains("secret"));
    let defaults = json!({"parallel_tool_calls": true, "tool_choice": "auto", "temperature": 1.0, "top_p": 1.0,
        "truncation": "disabled", "store": true, "top_logprobs": 0, "background": false});
    for (key, value) in defaults.as_object().unwrap() {
        assert_eq!(&response[key], value, "{key}");
    }
}
