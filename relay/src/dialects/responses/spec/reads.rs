//! What upstreams answer, whole and streamed.

use serde_json::{Value, json};

use super::{OWN, replay, same, steps};
use crate::dialects::responses::Responses;
use crate::model::{Answer, Delta, FinishReason, Opaque, Part};
use crate::{Basis, RelayError, Spoken, Usage};

fn read(text: &str) -> Result<Answer, RelayError> {
    Spoken::read(&Responses, serde_json::from_str(text).unwrap())
}

fn own(value: Value) -> Opaque {
    Opaque { dialect: OWN, value }
}

fn text(text: &str) -> Delta {
    Delta::Text { candidate: 0, text: text.to_owned() }
}

fn begin(id: &str, model: &str) -> Delta {
    Delta::Begin { id: id.to_owned(), model: model.to_owned(), usage: None }
}

fn finish(finish: FinishReason) -> Delta {
    Delta::Finish { candidate: 0, finish, stop_sequence: None }
}

fn call(call: u32, id: &str, name: &str, custom: bool) -> Delta {
    Delta::ToolCall { candidate: 0, call, id: id.to_owned(), name: name.to_owned(), custom, signature: None }
}

fn arguments(call: u32, fragment: &str) -> Delta {
    Delta::ToolArguments { candidate: 0, call, fragment: fragment.to_owned() }
}

#[test]
fn a_text_is_read_with_its_usage() {
    let answer = read(include_str!("fixtures/text.json")).unwrap();
    assert_eq!(answer.model, "gpt-4.1-2025-04-14");
    assert_eq!(answer.created, 1_741_476_542);
    assert_eq!(answer.usage, Some(Usage::new(36, 87, Basis::Reported)));
    let candidate = &answer.candidates[0];
    assert_eq!(candidate.finish, FinishReason::Stop);
    let Part::Text { text, .. } = &candidate.parts[0] else { panic!("no text") };
    assert!(text.starts_with("In a peaceful grove"));
}

#[test]
fn a_call_is_read_by_its_call_id_and_ends_the_answer_for_it() {
    let answer = read(include_str!("fixtures/function.json")).unwrap();
    let candidate = &answer.candidates[0];
    assert_eq!(candidate.finish, FinishReason::ToolCalls);
    let Part::ToolCall { id, name, arguments, custom, .. } = &candidate.parts[0] else { panic!("no call") };
    assert_eq!((id.as_str(), name.as_str()), ("call_unLAR8MvFNptuiZK6K6HCy5k", "get_current_weather"));
    assert_eq!((arguments.as_str(), *custom), (r#"{"location":"Boston, MA","unit":"celsius"}"#, false));
}

#[test]
fn thoughts_are_read_with_what_openai_wants_to_see_again() {
    let answer = read(include_str!("fixtures/reasoning.json")).unwrap();
    let [Part::Reasoning { text, signature: Some(signature) }, Part::Text { citations, .. }] =
        answer.candidates[0].parts.as_slice()
    else {
        panic!("other parts")
    };
    assert_eq!(text, "**Answering a simple question**\n\nThe capital of France is definitely Paris.");
    let id = "rs_6876cf02e0bc8192b74af0fb64b715ff06fa2fcced15a5ac";
    assert_eq!(signature.value, json!({"id": id, "encrypted_content": "gAAAAABodtDGv"}));
    assert_eq!(citations[0].value["url"], "https://example.com/paris");
    assert_eq!(answer.usage.unwrap().reasoning_tokens, 1024);
}

#[test]
fn an_answer_that_is_not_complete_says_why() {
    let answer = read(include_str!("fixtures/incomplete.json")).unwrap();
    assert_eq!(answer.candidates[0].finish, FinishReason::Length);
    let filtered = json!({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}, "output": []});
    let answer = Spoken::read(&Responses, filtered).unwrap();
    assert_eq!(answer.candidates[0].finish, FinishReason::ContentFilter);
}

#[test]
fn a_failure_within_a_whole_answer_is_the_error_that_it_means() {
    let failed = |error: Value| Spoken::read(&Responses, json!({"status": "failed", "error": error, "output": []}));
    let code = |error: Value| failed(error).unwrap_err().code();
    assert_eq!(code(json!({"code": "server_error", "message": "x"})), "upstream_unavailable");
    assert_eq!(code(json!({"code": "rate_limit_exceeded", "message": "x"})), "upstream_rate_limited");
    assert_eq!(code(json!({"code": "invalid_image", "message": "x"})), "upstream_refused");
    assert_eq!(code(Value::Null), "upstream_refused");
}

#[test]
fn what_is_no_response_is_garbage() {
    for body in [json!({}), json!([]), json!({"status": "queued", "output": []}), json!({"output": ["x"]})] {
        assert_eq!(Spoken::read(&Responses, body).unwrap_err().code(), "upstream_garbage");
    }
}

#[test]
fn a_stream_of_text_is_its_steps() {
    let expected = vec![
        begin("resp_67c9fdce", "gpt-4.1-2025-04-14"),
        text("Hi"),
        text(" there! How can I assist you today?"),
        finish(FinishReason::Stop),
        Delta::Usage(Usage::new(37, 11, Basis::Reported)),
    ];
    same(&steps(include_str!("fixtures/text.sse")), &expected);
}

#[test]
fn a_call_comes_once_and_its_arguments_in_fragments() {
    let expected = vec![
        begin("resp_1234xyz", "gpt-4.1-2025-04-14"),
        call(0, "call_1234xyz", "get_weather", false),
        arguments(0, "{\""),
        arguments(0, "location"),
        arguments(0, "\":\"Paris, France\"}"),
        finish(FinishReason::ToolCalls),
        Delta::Usage(Usage::new(70, 17, Basis::Reported).with_parts(64, 0)),
    ];
    same(&steps(include_str!("fixtures/function.sse")), &expected);
}

#[test]
fn fragments_of_parallel_calls_are_told_apart() {
    let expected = vec![
        begin("resp_par", "gpt-4.1-2025-04-14"),
        call(0, "call_12345xyz", "get_weather", false),
        call(1, "call_67890abc", "code_exec", true),
        arguments(0, "{\"location\":\"Paris"),
        arguments(1, "print(\"hello"),
        arguments(0, ", France\"}"),
        arguments(1, " world\")"),
        finish(FinishReason::ToolCalls),
        Delta::Usage(Usage::new(70, 40, Basis::Reported)),
    ];
    same(&steps(include_str!("fixtures/parallel.sse")), &expected);
}

#[test]
fn streamed_thoughts_are_paragraphs_and_signed_at_their_end() {
    let think = |text: &str| Delta::Reasoning { candidate: 0, text: text.to_owned() };
    let entries = json!([{"token": "Paris", "bytes": [80, 97, 114, 105, 115], "logprob": -0.1, "top_logprobs": []}]);
    let signature = own(json!({"id": "rs_6876cf02", "encrypted_content": "gAAAAABodtDGv"}));
    let expected = vec![
        begin("resp_rs", "gpt-5-2025-08-07"),
        think("**Answering a simple question**"),
        think("\n\n"),
        think("It is Paris."),
        Delta::ReasoningSignature { candidate: 0, signature },
        text("Paris."),
        Delta::Logprobs { candidate: 0, logprobs: json!({"content": entries, "refusal": null}) },
        finish(FinishReason::Stop),
        Delta::Usage(Usage::new(75, 1186, Basis::Reported).with_parts(10, 1024)),
    ];
    same(&steps(include_str!("fixtures/reasoning.sse")), &expected);
}

#[test]
fn a_refusal_is_streamed_as_one() {
    let steps = steps(include_str!("fixtures/refusal.sse"));
    let refused = |text: &str| Delta::Refusal { candidate: 0, text: text.to_owned() };
    let expected = vec![refused("I'm sorry, "), refused("I cannot assist with that request.")];
    same(&steps[1..3].to_vec(), &expected);
}

#[test]
fn a_failure_within_a_stream_is_the_error_that_it_means() {
    let error = replay(include_str!("fixtures/failed.sse")).0.unwrap_err();
    assert_eq!(error.code(), "upstream_unavailable");
    for frame in [
        r#"data: {"type":"error","code":"rate_limit_exceeded","message":"slow down","param":null,"sequence_number":1}"#,
        r#"data: {"type":"error","sequence_number":1,"error":{"type":"rate_limit_error","code":"rate_limit_exceeded","message":"x"}}"#,
    ] {
        assert_eq!(replay(frame).0.unwrap_err().code(), "upstream_rate_limited");
    }
}

#[test]
fn a_stream_that_was_cut_is_not_finished() {
    let whole = include_str!("fixtures/text.sse");
    let cut = &whole[..whole.find("event: response.output_text.done").unwrap()];
    let (deltas, is_finished) = replay(cut);
    assert_eq!(deltas.unwrap().len(), 3);
    assert!(!is_finished);
}

#[test]
fn a_malformed_event_is_garbage_and_an_unknown_one_is_passed_over() {
    for event in [
        "data: {\"type\":",
        "data: 7",
        r#"data: {"type":"response.output_text.delta","output_index":0}"#,
        r#"data: {"type":"response.output_text.delta","delta":"x"}"#,
        r#"data: {"type":"response.function_call_arguments.delta","output_index":3,"delta":"x"}"#,
        r#"data: {"type":"response.output_item.added","output_index":0,"item":{"type":"function_call"}}"#,
        r#"data: {"type":"response.completed"}"#,
    ] {
        assert_eq!(replay(event).0.unwrap_err().code(), "upstream_garbage", "{event}");
    }
    for event in [
        r#"data: {"type":"response.web_search_call.searching","output_index":0,"item_id":"ws_1"}"#,
        r#"data: {"type":"keepalive","sequence_number":7}"#,
        "data: [DONE]",
    ] {
        let steps = replay(event).0.unwrap();
        assert!(steps.iter().all(|step| matches!(step, Delta::Begin { .. })), "{event}");
    }
}

#[test]
fn a_server_that_only_tells_items_when_they_are_done_is_understood() {
    let sse = r#"
data: {"type":"response.output_item.done","output_index":0,"item":{"type":"reasoning","summary":[],"content":[{"type":"reasoning_text","text":"hm"}]}}
data: {"type":"response.output_item.done","output_index":1,"item":{"type":"message","role":"assistant","content":[{"type":"output_text","text":"yes"}]}}
data: {"type":"response.output_item.done","output_index":2,"item":{"type":"function_call","call_id":"c","name":"f","arguments":""}}
data: {"type":"response.output_item.done","output_index":3,"item":{"type":"web_search_call","id":"ws_1","status":"completed"}}
data: {"type":"response.completed","response":{"status":"completed"}}
"#;
    let search = own(json!({"type": "web_search_call", "id": "ws_1", "status": "completed"}));
    let expected = vec![
        begin("", ""),
        Delta::Reasoning { candidate: 0, text: "hm".to_owned() },
        text("yes"),
        call(0, "c", "f", false),
        arguments(0, "{}"),
        Delta::Part { candidate: 0, part: Part::Other(search) },
        finish(FinishReason::ToolCalls),
    ];
    same(&steps(sse), &expected);
}

#[test]
fn an_error_body_becomes_the_error_that_callers_act_on() {
    // Guide "Error codes" of OpenAI.
    let body = r#"{"error":{"message":"Incorrect API key provided: sk-abc***. You can find your API key at https://platform.openai.com/account/api-keys.","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}"#;
    let error = Responses.refusal(401, body, None, Some("sk-abc"));
    assert_eq!(error, RelayError::refused(401, "the provider does not accept the configured key"));
    let body = r#"{"error":{"message":"Your input exceeds the context window of this model. Please adjust your input and try again.","type":"invalid_request_error","param":"input","code":"context_length_exceeded"}}"#;
    assert_eq!(Responses.refusal(400, body, None, None), RelayError::ContextTooLong);
}
