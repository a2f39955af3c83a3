//! Whole answers: what upstreams send, and what clients get.

use serde_json::{Value, json};

use super::{envelope, generic, provider};
use crate::dialects::chat_completions::ChatCompletions;
use crate::model::{Answer, Audio, Candidate, FinishReason, MediaSource, Opaque, Part};
use crate::{Basis, Dialect, Envelope, Served, Spoken, Usage};

fn recorded(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn heard(body: Value) -> Answer {
    generic().read(body).map_err(|error| error.to_string()).unwrap()
}

fn answer(parts: Vec<Part>, finish: FinishReason) -> Answer {
    let candidate = Candidate { parts, finish, stop_sequence: None, logprobs: None };
    Answer {
        id: "up".to_owned(),
        model: "upstream".to_owned(),
        created: 7,
        candidates: vec![candidate],
        usage: None,
        extra: None,
    }
}

fn told(envelope: &Envelope, answer: Answer) -> Value {
    ChatCompletions.write(envelope, answer, &Usage::new(3, 4, Basis::Reported))
}

fn call(id: &str, signature: Option<Opaque>) -> Part {
    Part::ToolCall { id: id.to_owned(), name: "f".to_owned(), arguments: "{}".to_owned(), custom: false, signature }
}

#[test]
fn openais_example_answers_are_read_and_told_again() {
    for text in [
        include_str!("../../../../tests/fixtures/openai_completion.json"),
        include_str!("../../../../tests/fixtures/openai_completion_tool.json"),
        include_str!("../../../../tests/fixtures/openai_completion_image.json"),
    ] {
        let recorded = recorded(text);
        let told = told(&envelope(), provider("openai").read(recorded.clone()).unwrap());
        for (mine, theirs) in told["choices"].as_array().unwrap().iter().zip(recorded["choices"].as_array().unwrap()) {
            for key in ["content", "tool_calls", "role"] {
                assert_eq!(mine["message"].get(key), theirs["message"].get(key), "{key}");
            }
            assert_eq!(mine["finish_reason"], theirs["finish_reason"]);
        }
        assert_eq!((&told["id"], &told["model"]), (&json!("chatcmpl-1"), &json!("public")));
        assert_eq!(told["usage"]["total_tokens"], 7, "the usage is what is billed");
    }
}

#[test]
fn everything_that_a_message_can_hold_is_heard_in_order() {
    let answer = heard(json!({"id": "a", "created": 5, "model": "m", "system_fingerprint": "fp", "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "reasoning": "Hm.", "content": "Yes",
            "annotations": [{"type": "url_citation", "url_citation": {"url": "https://x.example"}}],
            "tool_calls": [{"id": "x", "type": "custom", "custom": {"name": "sql", "input": "SELECT"}}]},
            "logprobs": {"content": []}},
        {"index": 1, "finish_reason": "length", "message": {"content": null, "refusal": "No."}}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 9}}));
    let citation = json!({"type": "url_citation", "url_citation": {"url": "https://x.example"}});
    let first = vec![
        Part::Reasoning { text: "Hm.".to_owned(), signature: None },
        Part::Text {
            text: "Yes".to_owned(),
            citations: vec![Opaque { dialect: Dialect::ChatCompletions, value: citation }],
            cache: None,
        },
        Part::ToolCall {
            id: "x".to_owned(),
            name: "sql".to_owned(),
            arguments: "SELECT".to_owned(),
            custom: true,
            signature: None,
        },
    ];
    assert!(answer.candidates[0].parts == first);
    assert_eq!(answer.candidates[0].finish, FinishReason::ToolCalls);
    assert!(answer.candidates[1].parts == [Part::Refusal("No.".to_owned())]);
    assert_eq!((answer.created, answer.usage.map(|usage| usage.output_tokens)), (5, Some(9)));
    assert_eq!(told(&envelope(), answer)["system_fingerprint"], "fp");
}

/// Source: docs.x.ai, "Chat completions" (response): reasoning is counted beside the completion.
#[test]
fn a_whole_answer_of_xai_counts_its_reasoning() {
    let answer = provider("xai").read(json!({"id": "x", "object": "chat.completion", "created": 1, "model": "grok-4",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "4", "refusal": null},
            "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 32, "completion_tokens": 9, "total_tokens": 135,
            "prompt_tokens_details": {"text_tokens": 32, "audio_tokens": 0, "image_tokens": 0, "cached_tokens": 6},
            "completion_tokens_details": {"reasoning_tokens": 94, "audio_tokens": 0}}}));
    let usage = answer.unwrap().usage;
    assert_eq!(usage, Some(Usage::new(32, 103, Basis::Reported).with_parts(6, 94)));
}

#[test]
fn what_is_no_answer_is_garbage_and_an_error_within_is_an_error() {
    for body in [json!([]), json!({}), json!({"choices": []}), json!({"choices": [{"text": "old"}]}), json!("x")] {
        assert_eq!(generic().read(body.clone()).err().map(|error| error.code()), Some("upstream_garbage"), "{body}");
    }
    let error = generic().read(json!({"error": {"code": 429, "message": "m"}}));
    assert_eq!(error.err().map(|error| error.code()), Some("upstream_rate_limited"));
    // MiniMax, "Error codes": 1008 is an account without balance.
    let poor = json!({"choices": null, "base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}});
    let error = provider("minimax").read(poor).err().unwrap();
    assert!(!error.is_retryable() && !error.to_string().contains("balance"));
}

#[test]
fn a_clients_message_has_every_field_that_sdks_expect_and_thoughts_beside() {
    let told = told(&envelope(), answer(vec![Part::text("Yes")], FinishReason::StopSequence));
    let message = json!({"role": "assistant", "content": "Yes", "refusal": null});
    let choice = json!({"index": 0, "message": message, "logprobs": null, "finish_reason": "stop"});
    assert_eq!(told["choices"], json!([choice]));
    assert_eq!(told["object"], "chat.completion");
    assert_eq!(told["created"], 1_700_000_000);
}

#[test]
fn signed_thoughts_are_a_text_for_people_and_a_list_for_the_next_request() {
    let signature = |dialect, value: Value| Some(Opaque { dialect, value });
    let parts = vec![
        Part::Reasoning {
            text: "Hm.".to_owned(),
            signature: signature(Dialect::Messages, json!({"signature": "EqQB"})),
        },
        Part::text("See"),
        call("a", signature(Dialect::GenerateContent, json!("CkQB"))),
        call("b", None),
    ];
    let told = told(&envelope(), answer(parts.clone(), FinishReason::ToolCalls));
    let message = &told["choices"][0]["message"];
    assert_eq!(message["reasoning_content"], "Hm.");
    assert_eq!(message["reasoning_details"][0]["text"], "Hm.");
    assert_eq!(message["tool_calls"][0]["extra_content"]["google"]["thought_signature"], "CkQB");
    assert!(message["tool_calls"][1].get("extra_content").is_none());
    let next = super::prompt(json!({"model": "m", "messages": [{"role": "user", "content": "?"}, message]}));
    assert!(next.messages[1].parts == parts, "a client that gives the message back gives everything back");
}

#[test]
fn pictures_sound_and_citations_of_other_dialects_are_told_as_openais_clients_know_them() {
    let cited = Opaque {
        dialect: Dialect::Messages,
        value: json!({"type": "web_search_result_location", "url": "https://x.example", "title": "X", "cited_text": "…"}),
    };
    let unsaid = Opaque { dialect: Dialect::Messages, value: json!({"type": "char_location"}) };
    let image = MediaSource::Inline { media_type: "image/png".to_owned(), base64: "aGk=".to_owned() };
    let audio = Audio {
        format: "wav".to_owned(),
        base64: "aGk=".to_owned(),
        transcript: Some("Hi".to_owned()),
        id: Some("audio_1".to_owned()),
    };
    let told = told(
        &envelope(),
        answer(
            vec![
                Part::Text { text: "See".to_owned(), citations: vec![cited, unsaid], cache: None },
                Part::Image { source: image, detail: None, cache: None },
                Part::Audio(audio),
            ],
            FinishReason::Stop,
        ),
    );
    let message = &told["choices"][0]["message"];
    let citation = json!({"type": "url_citation", "url_citation": {"url": "https://x.example", "title": "X"}});
    assert_eq!(message["annotations"], json!([citation]));
    assert_eq!(message["images"][0]["image_url"]["url"], "data:image/png;base64,aGk=");
    assert_eq!(message["audio"]["transcript"], "Hi");
}

#[test]
fn every_end_is_a_word_that_openais_clients_know() {
    for (finish, word) in [
        (FinishReason::Stop, "stop"),
        (FinishReason::Length, "length"),
        (FinishReason::ContextWindow, "length"),
        (FinishReason::ContentFilter, "content_filter"),
        (FinishReason::Refusal, "content_filter"),
        (FinishReason::Pause, "stop"),
        (FinishReason::Other("odd".to_owned()), "stop"),
    ] {
        assert_eq!(told(&envelope(), answer(vec![], finish))["choices"][0]["finish_reason"], word);
    }
}

#[test]
fn a_client_of_functions_gets_a_function_call() {
    let request = super::object(json!({"functions": [{"name": "f"}]}));
    let told = told(
        &Envelope { request: request.into(), ..envelope() },
        answer(vec![call("a", None)], FinishReason::ToolCalls),
    );
    let choice = &told["choices"][0];
    assert_eq!(choice["message"]["function_call"], json!({"name": "f", "arguments": "{}"}));
    assert!(choice["message"].get("tool_calls").is_none());
    assert_eq!(choice["finish_reason"], "function_call");
}
