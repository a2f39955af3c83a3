//! Answers that are one document.

use std::time::Duration;

use relay::{Basis, Limits, RelayError, ServedAnswer, Usage};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::upstream::{Answer, End, Upstream};
use crate::{adapter_with, object, request, whole};

#[tokio::test]
async fn what_openai_answers_arrives_unchanged_with_its_usage() {
    for (document, input, output) in [
        (include_str!("../fixtures/openai_completion.json"), 19, 10),
        (include_str!("../fixtures/openai_completion_image.json"), 1117, 46),
        (include_str!("../fixtures/openai_completion_tool.json"), 82, 17),
    ] {
        let (body, usage) = whole(Answer::document(document), json!({})).await.unwrap();
        let mut told: Value = serde_json::from_str(document).unwrap();
        told["model"] = json!("public");
        assert_eq!((body, usage), (told, Usage::new(input, output, Basis::Reported)));
    }
}

#[tokio::test]
async fn an_image_goes_up_as_it_is_and_an_unreported_one_is_estimated() {
    let sent: Value = serde_json::from_str(include_str!("../fixtures/openai_image_request.json")).unwrap();
    let mut document: Value = serde_json::from_str(include_str!("../fixtures/openai_completion_image.json")).unwrap();
    document.as_object_mut().unwrap().remove("usage");
    let upstream = Upstream::start(Answer::document(document.to_string())).await;
    let adapter = adapter_with(&upstream, Limits::default());
    let answer = adapter.call(request(sent.clone(), false), CancellationToken::new()).await.unwrap();
    assert_eq!(upstream.asked()["messages"], sent["messages"]);
    let ServedAnswer::Whole { usage, .. } = answer else { panic!("{answer:?}") };
    assert_eq!(usage.basis, Basis::Estimated);
    assert!((1_445..1_470).contains(&usage.input_tokens) && (40..50).contains(&usage.output_tokens), "{usage:?}");
}

#[tokio::test]
async fn a_refusal_keeps_status_sentence_code_and_parameter() {
    let answer = Answer::refusal(400, include_str!("../fixtures/openai_error_param.json"));
    let RelayError::UpstreamRefused { status, message, code, param } = whole(answer, json!({})).await.unwrap_err()
    else {
        panic!("no refusal")
    };
    assert!(message.starts_with("Invalid value: 'robot'."), "{message}");
    assert_eq!((status, code.as_deref(), param.as_deref()), (400, Some("invalid_value"), Some("messages[0].role")));
}

#[tokio::test]
async fn errors_mean_what_they_mean_elsewhere() {
    let key = include_str!("../fixtures/openai_error_401.json");
    let error = whole(Answer::refusal(401, key), json!({})).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("sk-"), "{error:?}");
    let long = Answer::refusal(400, include_str!("../fixtures/openai_error_context.json"));
    assert_eq!(whole(long, json!({})).await.unwrap_err(), RelayError::ContextTooLong);
    let page = Answer::refusal(502, "<html>bad gateway</html>");
    assert_eq!(whole(page, json!({})).await.unwrap_err().code(), "upstream_unavailable");
    let inside = Answer::document(r#"{"error": {"message": "later", "code": 429}}"#);
    assert_eq!(whole(inside, json!({})).await.unwrap_err().code(), "upstream_rate_limited");
}

#[tokio::test]
async fn a_document_that_is_cut_or_a_stream_instead_of_it_is_an_error() {
    let document = include_str!("../fixtures/openai_completion.json");
    let cut = whole(Answer::document(document).then(End::Broken), json!({})).await.unwrap_err();
    assert_eq!(cut, RelayError::UpstreamCut);
    let half = whole(Answer::document(&document[..200]), json!({})).await.unwrap_err();
    assert_eq!(half.code(), "upstream_garbage");
    let stream = Answer::stream(include_str!("../fixtures/openai_chat_stream.sse"));
    assert_eq!(whole(stream, json!({})).await.unwrap_err().code(), "upstream_garbage");
}

#[tokio::test]
async fn the_total_limit_and_a_cancellation_end_a_whole_answer() {
    let half = Answer::document(r#"{"choices": ["#).then(End::Silent);
    let upstream = Upstream::start(half).await;
    let limits = Limits { total: Duration::from_millis(300), ..Limits::default() };
    let late = adapter_with(&upstream, limits).call(request(json!({}), false), CancellationToken::new()).await;
    assert_eq!(late.unwrap_err().code(), "timed_out");
    let cancel = CancellationToken::new();
    let adapter = adapter_with(&upstream, Limits::default());
    let call = adapter.call(request(json!({}), false), cancel.clone());
    let (answer, ()) = tokio::join!(call, async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        cancel.cancel();
    });
    assert_eq!(answer.unwrap_err(), RelayError::Cancelled);
}

#[tokio::test]
async fn every_choice_is_counted_where_nothing_is_reported() {
    let choice = |index: u64| {
        json!({"index": index, "message": {"role": "assistant", "content": "Hello world"},
        "finish_reason": "stop"})
    };
    let document = json!({"object": "chat.completion", "choices": [choice(0), choice(1)]});
    let (body, usage) = whole(Answer::document(document.to_string()), json!({"n": 2})).await.unwrap();
    let counted = Usage::new(8, 4, Basis::Counted);
    assert_eq!((object(body).get("usage"), usage), (Some(&counted.to_openai()), counted));
}
