//! Models that only stream, asked for whole answers: QwQ and its like at Alibaba Cloud refuse anything else.

use relay::{
    Basis, Dialect, KeyRef, ParameterOverride, Provider, ProviderConfig, ProviderKey, RelayError, ServedAnswer,
    ServedCall, Usage, provider,
};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

use crate::upstream::{Answer, End, Upstream};
use crate::{object, read, request};

const THINKING: &str = include_str!("../fixtures/qwen_thinking.sse");

fn qwen(upstream: &Upstream) -> Arc<dyn Provider> {
    provider(ProviderConfig {
        base_url: Some(upstream.base_url.clone()),
        keys: vec![ProviderKey { name: KeyRef::new("first"), secret: "sk-test-key".into() }],
        ..ProviderConfig::new("qwen")
    })
    .unwrap()
}

fn of(model: &str) -> ServedCall {
    ServedCall { model: model.to_owned(), ..request(json!({"max_tokens": 50}), false) }
}

async fn whole(upstream: &Upstream, call: ServedCall) -> Result<(Value, Usage), RelayError> {
    match qwen(upstream).call(call, CancellationToken::new()).await?.read() {
        ServedAnswer::Whole { body, usage } => Ok((body, usage)),
        _ => panic!("a stream where none was asked for"),
    }
}

#[tokio::test]
async fn a_model_that_only_streams_is_asked_for_a_stream_and_its_answer_is_told_whole() {
    let upstream = Upstream::start(Answer::stream(THINKING)).await;
    let (body, usage) = whole(&upstream, of("qwq-plus")).await.unwrap();
    let asked = upstream.asked();
    assert_eq!((&asked["stream"], &asked["stream_options"]["include_usage"]), (&json!(true), &json!(true)));
    assert_eq!((&body["object"], &body["model"]), (&json!("chat.completion"), &json!("public")));
    let message = &body["choices"][0]["message"];
    assert_eq!(message["content"], "I am Qwen.");
    assert_eq!(message["reasoning_content"], "Okay, the user asks who I am.");
    assert_eq!((&body["choices"][0]["finish_reason"], &body["usage"]["total_tokens"]), (&json!("stop"), &json!(22)));
    assert_eq!(usage, Usage::new(10, 12, Basis::Reported).with_parts(0, 8));
}

#[tokio::test]
async fn so_is_a_client_of_another_dialect() {
    let upstream = Upstream::start(Answer::stream(THINKING)).await;
    let body = object(json!({"max_tokens": 50, "messages": [{"role": "user", "content": "Hello"}]}));
    let call = ServedCall { dialect: Dialect::Messages, body: body.into(), ..of("QwQ-32B") };
    let (body, _) = whole(&upstream, call).await.unwrap();
    assert_eq!(upstream.asked()["stream"], true);
    assert_eq!((&body["type"], &body["content"][1]["text"]), (&json!("message"), &json!("I am Qwen.")));
}

#[tokio::test]
async fn other_models_are_asked_as_the_client_asks() {
    let upstream = Upstream::start(Answer::document(include_str!("../fixtures/openai_completion.json"))).await;
    whole(&upstream, of("qwen-plus")).await.unwrap();
    assert_eq!(upstream.asked()["stream"], false);
    // A server that answers with a document although it was asked for a stream is understood as well.
    let (body, _) = whole(&upstream, of("qwq-plus")).await.unwrap();
    assert_eq!(body["object"], "chat.completion");
}

#[tokio::test]
async fn half_a_stream_is_no_answer() {
    let half = &THINKING[..THINKING.len() / 2];
    let upstream = Upstream::start(Answer::stream(half).then(End::Broken)).await;
    assert_eq!(whole(&upstream, of("qwq-plus")).await.unwrap_err(), RelayError::UpstreamCut);
}

#[tokio::test]
async fn what_an_operator_overrides_goes_up_with_streams_too() {
    let upstream = Upstream::start(Answer::stream(include_str!("../fixtures/openai_chat_stream.sse"))).await;
    let overridden = provider(ProviderConfig {
        base_url: Some(upstream.base_url.clone()),
        parameters: vec![ParameterOverride::Set { path: "seed".to_owned(), value: json!(7) }],
        ..ProviderConfig::new("openai")
    });
    let answer = overridden.unwrap().call(request(json!({}), true), CancellationToken::new()).await.unwrap();
    let ServedAnswer::Stream(stream) = answer else { panic!("{answer:?}") };
    read(stream).await.1.unwrap();
    assert_eq!(upstream.asked()["seed"], 7);
}
