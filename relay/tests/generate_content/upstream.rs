//! Whole answers and errors of models, and what they are asked.

use std::time::Duration;

use relay::dialects::generate_content::{GenerateContent, sign_calls, unsigned_calls};
use relay::model::{Author, FinishReason, MediaSource, Message, Part, Prompt, Tool, ToolOutcome};
use relay::{Basis, RelayError, Served, Spoken, Usage};
use serde_json::{Value, json};

use crate::{answer, call, envelope, fixture, google, spoken};

const SIGNATURE_A: &str = "PFNpZ25hdHVyZSBBPg==";

#[test]
fn a_plain_answer_is_its_text_its_end_and_its_usage() {
    let answer = answer(fixture!("gemini_answer.json")).unwrap();
    assert_eq!((answer.id.as_str(), answer.model.as_str()), ("mAitaLmkHPPlz7IPvtfUqQ4", "gemini-2.5-flash"));
    let [candidate] = &answer.candidates[..] else { panic!("one candidate") };
    assert!(spoken(&candidate.parts) == [Part::text("AI works by learning patterns from data.")]);
    assert_eq!(candidate.finish, FinishReason::Stop);
    assert_eq!(answer.usage, Some(Usage::new(8, 9, Basis::Reported)));
}

#[test]
fn parallel_calls_get_ids_that_differ_and_are_the_same_whenever_the_answer_is_read() {
    let calls = || {
        let answer = answer(fixture!("gemini_parallel_calls.json")).unwrap();
        assert_eq!(answer.candidates[0].finish, FinishReason::ToolCalls);
        assert_eq!(answer.usage, Some(Usage::new(72, 154, Basis::Reported).with_parts(0, 118)));
        answer.candidates[0].parts.clone()
    };
    let parts = calls();
    let [Part::ToolCall { id: paris, .. }, Part::ToolCall { id: london, .. }] = &parts[..] else { panic!("two calls") };
    assert_ne!(paris, london);
    assert!(
        parts
            == [
                call(paris, "get_current_temperature", r#"{"location":"Paris"}"#, Some(SIGNATURE_A)),
                call(london, "get_current_temperature", r#"{"location":"London"}"#, None),
            ]
    );
    assert!(parts == calls());
}

#[test]
fn a_blocked_prompt_is_the_content_filter_with_what_it_cost() {
    let read = answer(fixture!("gemini_blocked.json")).unwrap();
    assert_eq!(read.candidates[0].finish, FinishReason::ContentFilter);
    assert!(spoken(&read.candidates[0].parts).is_empty());
    let usage = read.usage.unwrap();
    assert_eq!((usage.input_tokens, usage.output_tokens), (12, 0));
    let told = Served::write(&GenerateContent, &envelope(json!({})), read, &usage);
    assert_eq!(told["promptFeedback"]["blockReason"], "PROHIBITED_CONTENT");
    assert!(told.get("candidates").is_none(), "a blocked prompt has no candidates: {told}");
}

#[test]
fn ratings_citations_and_grounding_reach_a_client_of_the_same_dialect_as_they_are() {
    let source: Value = serde_json::from_str(fixture!("gemini_grounded.json")).unwrap();
    let answer = answer(fixture!("gemini_grounded.json")).unwrap();
    let usage = answer.usage.unwrap();
    assert_eq!((usage.input_tokens, usage.output_tokens), (54, 16));
    let told = Served::write(&GenerateContent, &envelope(json!({})), answer, &usage);
    for field in ["content", "finishReason", "index", "groundingMetadata", "citationMetadata"] {
        assert_eq!(told["candidates"][0][field], source["candidates"][0][field], "{field}");
    }
    assert_eq!((&told["modelVersion"], &told["responseId"]), (&json!("public"), &json!("ours-1")));
}

#[test]
fn a_picture_in_an_answer_is_a_picture_and_its_signature_comes_back() {
    let answer = answer(fixture!("gemini_image_answer.json")).unwrap();
    let parts = answer.candidates[0].parts.clone();
    let source = MediaSource::Inline { media_type: "image/png".to_owned(), base64: "iVBORw0KGgo=".to_owned() };
    assert!(parts.get(1) == Some(&Part::Image { source, detail: None, cache: None }));
    assert_eq!(answer.usage.unwrap().image_output_tokens, 1_290);
    let next = Prompt {
        model: "gemini-3-pro-image-preview".to_owned(),
        messages: vec![
            Message { author: Author::Assistant, name: None, parts },
            Message::text(Author::User, "Make it blue."),
        ],
        ..Prompt::default()
    };
    let source: Value = serde_json::from_str(fixture!("gemini_image_answer.json")).unwrap();
    let body = Spoken::write(&GenerateContent, &next);
    assert_eq!(body["contents"][0], source["candidates"][0]["content"]);
}

#[test]
fn errors_are_what_callers_act_on() {
    let refusal = |status, body: &str| GenerateContent.refusal(status, body, None, Some("secret"));
    assert_eq!(
        refusal(400, fixture!("gemini_error_key.json")),
        RelayError::UpstreamRefused {
            status: 401,
            message: "the provider does not accept the configured key".to_owned(),
            code: None,
            param: None
        }
    );
    let wait = Some(Duration::from_secs(36));
    assert_eq!(
        refusal(429, fixture!("gemini_error_quota.json")),
        RelayError::UpstreamRateLimited { retry_after: wait }
    );
    assert_eq!(refusal(400, fixture!("gemini_error_context.json")), RelayError::ContextTooLong);
    assert_eq!(answer(fixture!("gemini_error_context.json")).err(), Some(RelayError::ContextTooLong));
}

#[test]
fn what_is_no_answer_is_garbage_and_is_not_quoted() {
    for body in [json!("secret"), json!({}), json!({ "candidates": "secret" }), json!({ "candidates": [] })] {
        let error = answer(&body.to_string()).err().unwrap();
        assert_eq!(error.code(), "upstream_garbage", "{body}");
        assert!(!error.to_string().contains("secret"));
    }
}

fn turn(signature: Option<&str>) -> Vec<Message> {
    let calls = vec![call("c1", "check_flight", r#"{"flight":"AA100"}"#, signature), call("c2", "taxi", "{}", None)];
    let result = |id: &str, text: &str| {
        Part::ToolResult(ToolOutcome {
            call_id: id.to_owned(),
            name: None,
            content: vec![Part::text(text)],
            is_error: false,
            cache: None,
        })
    };
    vec![
        Message::text(Author::System, "You are a travel agent."),
        Message::text(Author::User, "Is my flight late?"),
        Message { author: Author::Assistant, name: None, parts: calls },
        Message { author: Author::User, name: None, parts: vec![result("c1", "delayed")] },
        Message { author: Author::User, name: None, parts: vec![result("c2", "booked")] },
    ]
}

fn asked(model: &str, messages: Vec<Message>) -> Value {
    let prompt = Prompt { model: model.to_owned(), messages, ..Prompt::default() };
    Spoken::write(&GenerateContent, &prompt).into()
}

#[test]
fn instructions_are_gathered_and_results_of_parallel_calls_are_one_content() {
    let body = asked("gemini-3-pro-preview", turn(Some(SIGNATURE_A)));
    assert_eq!(body["systemInstruction"], json!({ "parts": [{ "text": "You are a travel agent." }] }));
    let roles: Vec<&Value> = body["contents"].as_array().unwrap().iter().map(|content| &content["role"]).collect();
    assert_eq!(roles, ["user", "model", "user"]);
    let results = &body["contents"][2]["parts"];
    assert_eq!(
        results[0]["functionResponse"],
        json!({ "id": "c1", "name": "check_flight", "response": { "output": "delayed" } })
    );
    assert_eq!(results[1]["functionResponse"]["name"], "taxi");
}

#[test]
fn a_signature_comes_back_on_the_call_that_it_came_with() {
    let body = asked("gemini-3-pro-preview", turn(Some(SIGNATURE_A)));
    let calls = &body["contents"][1]["parts"];
    assert_eq!(calls[0]["thoughtSignature"], SIGNATURE_A);
    assert!(calls[1].get("thoughtSignature").is_none(), "only the first of parallel calls is signed");
}

#[test]
fn calls_whose_signatures_clients_dropped_are_signed_again_or_marked_as_the_guide_says() {
    let mut prompt = Prompt { model: "gemini-3-flash".to_owned(), messages: turn(None), ..Prompt::default() };
    assert_eq!(unsigned_calls(&prompt), ["c1", "c2"]);
    let marked = asked("gemini-3-flash", turn(None));
    assert_eq!(marked["contents"][1]["parts"][0]["thoughtSignature"], "skip_thought_signature_validator");
    let earlier = asked("gemini-2.5-flash", turn(None));
    assert!(earlier["contents"][1]["parts"][0].get("thoughtSignature").is_none(), "2.5 does not check");
    sign_calls(&mut prompt, |id| (id == "c1").then(|| google(SIGNATURE_A)));
    let signed = Spoken::write(&GenerateContent, &prompt);
    assert_eq!(signed["contents"][1]["parts"][0]["thoughtSignature"], SIGNATURE_A);
}

#[test]
fn calls_of_earlier_turns_are_left_alone() {
    let mut messages = turn(None);
    messages.push(Message::text(Author::Assistant, "It is late."));
    messages.push(Message::text(Author::User, "Thanks."));
    let body = asked("gemini-3-flash", messages);
    assert!(body["contents"][1]["parts"][0].get("thoughtSignature").is_none());
}

#[test]
fn a_question_of_instructions_only_is_still_a_question() {
    let body = asked("gemini-2.5-flash", vec![Message::text(Author::System, "Say hello.")]);
    assert_eq!(body["contents"], json!([{ "role": "user", "parts": [{ "text": "Say hello." }] }]));
    assert!(body.get("systemInstruction").is_none());
}

#[test]
fn what_the_dialect_cannot_say_is_left_out() {
    let prompt = Prompt {
        messages: vec![Message {
            author: Author::User,
            name: Some("ann".to_owned()),
            parts: vec![
                Part::text("hi"),
                Part::File { name: None, source: MediaSource::Uploaded("file-1".to_owned()), cache: None },
            ],
        }],
        tools: vec![Tool::Other(relay::model::Opaque {
            dialect: relay::Dialect::Responses,
            value: json!({ "type": "web_search" }),
        })],
        cache_key: Some("k".to_owned()),
        user_tag: Some("u".to_owned()),
        parallel_tool_calls: Some(false),
        service_tier: Some("auto".to_owned()),
        ..Prompt::default()
    };
    let body = Value::Object(Spoken::write(&GenerateContent, &prompt));
    assert_eq!(body, json!({ "contents": [{ "role": "user", "parts": [{ "text": "hi" }] }] }));
}
