//! The OpenAI adapter against a real HTTP server that behaves, misbehaves and breaks off.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a panic with a sentence is a test's failure report")]

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use relay::{
    AddressPolicy, Basis, ChatRequest, Finish, KeyRef, Limits, Provider, ProviderConfig, ProviderKey, RelayError,
    ReplyDelta, ReplyStream, Role, Turn, Usage,
};
use testkit::provider::{MockProvider, Outcome, Script};
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(20);

fn config(provider: &MockProvider) -> ProviderConfig {
    ProviderConfig {
        base_url: Some(provider.base_url().to_owned()),
        keys: vec![ProviderKey { name: KeyRef::new("first"), secret: "sk-test-key".into() }],
        ..ProviderConfig::new("openai")
    }
}

fn adapter_with(provider: &MockProvider, limits: Limits) -> Arc<dyn Provider> {
    relay::provider(ProviderConfig { limits, ..config(provider) }).unwrap()
}

fn adapter(provider: &MockProvider) -> Arc<dyn Provider> {
    adapter_with(provider, Limits::default())
}

fn request(prompt: &str) -> ChatRequest {
    ChatRequest {
        model: "mock-1".to_owned(),
        turns: vec![Turn { role: Role::User, content: prompt.to_owned() }],
        max_output_tokens: None,
        temperature: None,
        user_tag: None,
        key: None,
    }
}

/// The text, and how it ended.
async fn read(mut stream: ReplyStream) -> (String, Result<(Finish, Option<Usage>), RelayError>) {
    let mut text = String::new();
    loop {
        let step = tokio::time::timeout(PATIENCE, stream.next()).await.expect("the stream goes on");
        match step.expect("a stream ends with Done or an error") {
            Ok(ReplyDelta::Text(piece)) => {
                assert!(!piece.is_empty(), "an empty piece of text");
                text.push_str(&piece);
            }
            Ok(ReplyDelta::Done { finish, usage }) => {
                assert!(stream.next().await.is_none(), "something follows the end");
                return (text, Ok((finish, usage)));
            }
            Err(error) => {
                assert!(stream.next().await.is_none(), "something follows the error");
                return (text, Err(error));
            }
        }
    }
}

async fn ask(provider: &MockProvider, script: Script) -> (String, Result<(Finish, Option<Usage>), RelayError>) {
    provider.enqueue(script);
    let stream = adapter(provider).chat(request("Hello"), CancellationToken::new()).await.expect("an answer begins");
    read(stream).await
}

async fn refused(provider: &MockProvider, script: Script) -> RelayError {
    provider.enqueue(script);
    adapter(provider).chat(request("Hello"), CancellationToken::new()).await.err().expect("no answer begins")
}

fn reported(input_tokens: u64, output_tokens: u64) -> Option<Usage> {
    Some(Usage::new(input_tokens, output_tokens, Basis::Reported))
}

#[tokio::test]
async fn the_stream_in_openais_documentation_is_read_with_its_usage() {
    let provider = MockProvider::start().await;
    let recorded = include_bytes!("fixtures/openai_chat_stream.sse");
    let (text, end) = ask(&provider, Script::default().raw(recorded).stall()).await;
    assert_eq!((text.as_str(), end), ("Hello", Ok((Finish::Stop, reported(19, 10)))));
}

#[tokio::test]
async fn the_request_carries_the_key_the_conversation_and_the_wish_for_usage() {
    let provider = MockProvider::start().await;
    ask(&provider, Script::says("Hi")).await.1.unwrap();
    let sent = &provider.requests()[0];
    assert_eq!(sent.authorization.as_deref(), Some("Bearer sk-test-key"));
    assert_eq!(sent.body["messages"], serde_json::json!([{"role": "user", "content": "Hello"}]));
    assert_eq!(sent.body["stream_options"]["include_usage"], true);
}

#[tokio::test]
async fn chinese_text_in_packets_that_split_characters_arrives_whole() {
    let provider = MockProvider::start().await;
    let said = "你好，世界 🌍 — ça va?";
    let (text, end) = ask(&provider, Script::says(said).in_packets_of(5)).await;
    assert_eq!((text.as_str(), end.unwrap().0), (said, Finish::Stop));
}

#[tokio::test]
async fn a_provider_that_reports_no_usage_is_counted() {
    let provider = MockProvider::start().await;
    let (_, end) = ask(&provider, Script::says("Hello world").without_usage()).await;
    let usage = end.unwrap().1.unwrap();
    assert_eq!((usage.output_tokens, usage.basis), (2, Basis::Estimated));
    assert!(usage.input_tokens >= 1);
}

#[tokio::test]
async fn a_report_of_no_tokens_for_a_text_that_is_there_is_not_believed() {
    let provider = MockProvider::start().await;
    let (_, end) = ask(&provider, Script::says("Hello world").usage(5, 0)).await;
    let usage = end.unwrap().1.unwrap();
    assert_eq!((usage.output_tokens, usage.basis), (2, Basis::Estimated));
}

#[tokio::test]
async fn the_reason_of_the_end_is_passed_on() {
    let provider = MockProvider::start().await;
    for (word, finish) in [
        ("length", Finish::Length),
        ("content_filter", Finish::ContentFilter),
        ("tool_calls", Finish::Other("tool_calls".to_owned())),
    ] {
        assert_eq!(ask(&provider, Script::says("x").finish(word)).await.1.unwrap().0, finish);
    }
}

#[tokio::test]
async fn a_body_that_ends_without_a_finish_is_a_cut_whatever_was_said() {
    let provider = MockProvider::start().await;
    let (text, end) = ask(&provider, Script::says("Half an").without_end()).await;
    assert_eq!((text.as_str(), end), ("Half an", Err(RelayError::UpstreamCut)));
}

#[tokio::test]
async fn a_connection_that_breaks_is_a_cut_and_the_text_before_it_was_delivered() {
    let provider = MockProvider::start().await;
    let (text, end) = ask(&provider, Script::says("Half an").wait(Duration::from_millis(50)).cut()).await;
    assert_eq!((text.as_str(), end), ("Half an", Err(RelayError::UpstreamCut)));
}

#[tokio::test]
async fn half_a_chunk_at_the_end_of_the_body_is_a_cut() {
    let provider = MockProvider::start().await;
    let script = Script::says("Half").raw("data: {\"choices\":[{\"ind").without_end();
    assert_eq!(ask(&provider, script).await.1, Err(RelayError::UpstreamCut));
}

#[tokio::test]
async fn a_connection_that_breaks_after_the_finish_reason_does_not_spoil_the_answer() {
    let provider = MockProvider::start().await;
    let end = r#"data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
    let script = Script::says("All of it").raw(format!("{end}\n\n")).wait(Duration::from_millis(50)).cut();
    let (text, end) = ask(&provider, script).await;
    assert_eq!((text.as_str(), end.unwrap().0), ("All of it", Finish::Stop));
}

#[tokio::test]
async fn a_chunk_that_is_no_json_is_garbage() {
    let provider = MockProvider::start().await;
    let (text, end) = ask(&provider, Script::says("Fine so far").garbage()).await;
    assert_eq!((text.as_str(), end.unwrap_err().code()), ("Fine so far", "upstream_garbage"));
}

#[tokio::test]
async fn a_line_without_end_is_refused_at_the_limit() {
    let provider = MockProvider::start().await;
    provider.enqueue(Script::default().raw(format!("data: {}", "x".repeat(100_000))).stall());
    let limits = Limits { event_bytes: 10_000, ..Limits::default() };
    let stream = adapter_with(&provider, limits).chat(request("Hello"), CancellationToken::new()).await.unwrap();
    assert_eq!(read(stream).await.1.unwrap_err().code(), "upstream_garbage");
}

#[tokio::test]
async fn an_answer_beyond_the_limit_is_refused() {
    let provider = MockProvider::start().await;
    provider.enqueue(Script::says(&"word ".repeat(100)));
    let limits = Limits { answer_bytes: 100, ..Limits::default() };
    let stream = adapter_with(&provider, limits).chat(request("Hello"), CancellationToken::new()).await.unwrap();
    let (text, end) = read(stream).await;
    assert_eq!(end.unwrap_err().code(), "upstream_garbage");
    assert!(text.len() <= 100);
}

#[tokio::test]
async fn an_error_frame_after_a_success_status_ends_the_answer_with_its_meaning() {
    let provider = MockProvider::start().await;
    let recorded = include_bytes!("fixtures/gateway_error_frame.sse");
    let (text, end) = ask(&provider, Script::default().raw(recorded)).await;
    assert_eq!(text, "Half an");
    assert_eq!(end.unwrap_err().code(), "upstream_unavailable");
}

#[tokio::test]
async fn a_wrong_key_is_a_refusal_that_repeats_neither_key_nor_address() {
    let provider = MockProvider::start().await;
    let error = refused(&provider, Script::fails(401, include_str!("fixtures/openai_error_401.json"))).await;
    assert_eq!((error.code(), error.is_retryable()), ("upstream_refused", false));
    let sentence = format!("{error} {error:?}");
    assert!(!sentence.contains("sk-") && !sentence.contains("://"), "{sentence}");
}

#[tokio::test]
async fn a_conversation_that_is_too_long_has_its_own_error() {
    let provider = MockProvider::start().await;
    let error = refused(&provider, Script::fails(400, include_str!("fixtures/openai_error_context.json"))).await;
    assert_eq!(error, RelayError::ContextTooLong);
}

#[tokio::test]
async fn a_rate_limit_tells_how_long_to_wait() {
    let provider = MockProvider::start().await;
    let error = refused(&provider, Script::fails(429, "{}").header("retry-after", "7")).await;
    assert_eq!(error, RelayError::UpstreamRateLimited { retry_after: Some(Duration::from_secs(7)) });
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let provider = MockProvider::start().await;
    let error = refused(&provider, Script::fails(307, "").header("location", "http://127.0.0.1:9/v1")).await;
    assert_eq!((error.code(), provider.received()), ("upstream_refused", 1));
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable_and_worth_another_attempt() {
    let gone = MockProvider::start().await;
    let adapter = adapter(&gone);
    drop(gone);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let error = adapter.chat(request("Hello"), CancellationToken::new()).await.err().unwrap();
    assert_eq!((error.code(), error.is_retryable()), ("upstream_unavailable", true));
}

#[tokio::test]
async fn a_first_byte_that_does_not_come_and_a_stream_that_falls_silent_time_out() {
    let provider = MockProvider::start().await;
    let limit = Duration::from_millis(200);
    let limits = Limits { first_byte: limit, idle: limit, ..Limits::default() };
    let adapter = adapter_with(&provider, limits);

    provider.enqueue(Script::says("late").first_byte_after(PATIENCE));
    let error = adapter.chat(request("Hello"), CancellationToken::new()).await.err().unwrap();
    assert_eq!(error, RelayError::TimedOut("the first byte did not come within 200 ms".to_owned()));

    provider.enqueue(Script::says("Half an").stall());
    let (text, end) = read(adapter.chat(request("Hello"), CancellationToken::new()).await.unwrap()).await;
    assert_eq!((text.as_str(), end.unwrap_err().code()), ("Half an", "timed_out"));
}

#[tokio::test]
async fn a_cancelled_answer_keeps_its_text_is_counted_and_closes_the_upstream_connection() {
    let provider = MockProvider::start().await;
    provider.enqueue(Script::says("Hello world").stall());
    let cancel = CancellationToken::new();
    let mut stream = adapter(&provider).chat(request("Hello"), cancel.clone()).await.unwrap();
    let mut text = String::new();
    while text != "Hello world" {
        match stream.next().await {
            Some(Ok(ReplyDelta::Text(piece))) => text.push_str(&piece),
            other => panic!("{other:?}"),
        }
    }
    cancel.cancel();
    let (rest, end) = read(stream).await;
    let (finish, usage) = end.unwrap();
    assert_eq!((rest.as_str(), finish, usage.unwrap().output_tokens), ("", Finish::Cancelled, 2));
    provider.wait_until(1, PATIENCE, |request| request.outcome == Outcome::Aborted).await;
}

#[tokio::test]
async fn an_answer_that_the_caller_drops_closes_the_upstream_connection() {
    let provider = MockProvider::start().await;
    provider.enqueue(Script::says("Hello").stall());
    let stream = adapter(&provider).chat(request("Hello"), CancellationToken::new()).await.unwrap();
    drop(stream);
    provider.wait_until(1, PATIENCE, |request| request.outcome == Outcome::Aborted).await;
}

#[tokio::test]
async fn a_cancellation_before_the_first_byte_ends_the_call() {
    let provider = MockProvider::start().await;
    provider.enqueue(Script::says("late").first_byte_after(PATIENCE));
    let cancel = CancellationToken::new();
    let adapter = adapter(&provider);
    let call = adapter.chat(request("Hello"), cancel.clone());
    let (answer, ()) = tokio::join!(call, async {
        provider.wait_until(1, PATIENCE, |_| true).await;
        cancel.cancel();
    });
    assert_eq!(answer.err(), Some(RelayError::Cancelled));
}

#[tokio::test]
async fn a_server_that_answers_without_streaming_is_understood() {
    let provider = MockProvider::start().await;
    let document = r#"{"object": "chat.completion", "choices": [{"index": 0,
        "message": {"role": "assistant", "content": "All at once, 你好"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 6, "total_tokens": 9}}"#;
    let (text, end) = ask(&provider, Script::fails(200, document)).await;
    assert_eq!((text.as_str(), end), ("All at once, 你好", Ok((Finish::Stop, reported(3, 6)))));
}

#[tokio::test]
async fn a_document_that_is_an_error_is_refused_before_the_answer_begins() {
    let provider = MockProvider::start().await;
    let error = refused(&provider, Script::fails(200, r#"{"error": {"message": "no", "code": 503}}"#)).await;
    assert_eq!(error.code(), "upstream_unavailable");
}

#[tokio::test]
async fn the_models_of_a_server_are_listed_in_its_order() {
    let provider = MockProvider::start().await;
    assert_eq!(adapter(&provider).list_models().await.unwrap(), ["mock-1", "mock-2"]);
}

#[tokio::test]
async fn a_server_that_has_no_list_of_models_is_a_clear_error() {
    let provider = MockProvider::start().await;
    let base_url = Some(format!("{}/elsewhere", provider.base_url()));
    let account = relay::provider(ProviderConfig { base_url, ..config(&provider) }).unwrap();
    let error = account.list_models().await.unwrap_err();
    assert_eq!(error.code(), "upstream_refused");
}

#[test]
fn an_account_in_a_link_local_network_is_refused_unless_it_is_allowed() {
    let account = |allow_link_local| ProviderConfig {
        base_url: Some("http://169.254.169.254/v1".to_owned()),
        address_policy: AddressPolicy { allow_link_local },
        ..ProviderConfig::new("openai")
    };
    assert_eq!(relay::provider(account(false)).err().map(|error| error.code()), Some("misconfigured"));
    assert!(relay::provider(account(true)).is_ok());
}

#[tokio::test]
async fn a_server_may_be_named_instead_of_numbered() {
    let provider = MockProvider::start().await;
    let base_url = Some(provider.base_url().replace("127.0.0.1", "localhost"));
    let account = relay::provider(ProviderConfig { base_url, ..config(&provider) }).unwrap();
    assert_eq!(account.list_models().await.unwrap(), ["mock-1", "mock-2"]);
}
