//! Every served dialect with every upstream dialect, against servers that answer bytes as the makers document them.
//!
//! The bytes are written from OpenAI's API reference ("Chat completions", "Responses", their streams), Anthropic's
//! ("Streaming messages", "Errors"), Google's ("GenerateContentResponse") and AWS' ("ConverseStream"): see `bytes.rs`.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in tests a panic is the failure report")]

mod accounts;
mod bytes;
mod ends;
mod mutated;
mod secrets;
mod told;
#[path = "../completions/upstream.rs"]
mod upstream;

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use relay::{
    Basis, Dialect, Envelope, KeyRef, Limits, Memory, Provider, ProviderConfig, ProviderKey, RelayError, RequestBody,
    ServedAnswer, ServedCall, ServedEvent, ServedFrame, Usage, provider,
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use self::bytes::Scene;
use self::told::{Told, told};
use self::upstream::Upstream;

const PATIENCE: Duration = Duration::from_secs(20);
const SERVED: [Dialect; 4] =
    [Dialect::ChatCompletions, Dialect::Responses, Dialect::Messages, Dialect::GenerateContent];
const SPOKEN: [Dialect; 5] =
    [Dialect::ChatCompletions, Dialect::Responses, Dialect::Messages, Dialect::GenerateContent, Dialect::Converse];

/// An account at a server that speaks that dialect.
fn account(upstream: &Upstream, spoken: Dialect, limits: Limits) -> Arc<dyn Provider> {
    let kind = match spoken {
        Dialect::ChatCompletions => "openai_compatible",
        Dialect::Responses => "azure_openai",
        Dialect::Messages => "anthropic",
        Dialect::GenerateContent => "gemini",
        Dialect::Converse => "bedrock",
    };
    provider(ProviderConfig {
        base_url: Some(upstream.base_url.clone()),
        keys: vec![ProviderKey { name: KeyRef::new("first"), secret: "sk-test-key".into() }],
        limits,
        ..ProviderConfig::new(kind)
    })
    .unwrap()
}

/// The same question in each dialect: a user who asks for the weather, and a tool.
fn question(served: Dialect) -> Value {
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
    let text = "How is the weather in Paris?";
    match served {
        Dialect::ChatCompletions => json!({"model": "public", "messages": [{"role": "user", "content": text}],
            "tools": [{"type": "function", "function": {"name": "get_weather", "parameters": schema}}]}),
        Dialect::Responses => json!({"model": "public", "input": text,
            "tools": [{"type": "function", "name": "get_weather", "parameters": schema}]}),
        Dialect::Messages => json!({"model": "public", "max_tokens": 100,
            "messages": [{"role": "user", "content": text}],
            "tools": [{"name": "get_weather", "input_schema": schema}]}),
        Dialect::GenerateContent => json!({"contents": [{"role": "user", "parts": [{"text": text}]}],
            "generationConfig": {"thinkingConfig": {"includeThoughts": true}},
            "tools": [{"functionDeclarations": [{"name": "get_weather", "parameters": schema}]}]}),
        Dialect::Converse => panic!("nobody is served in it"),
    }
}

fn call(served: Dialect, stream: bool) -> ServedCall {
    let Value::Object(body) = question(served) else { panic!("a question is an object") };
    ServedCall {
        dialect: served,
        // A model that an account at Azure asks by Responses, whatever its clients speak.
        model: "up-codex-1".to_owned(),
        body: RequestBody::read(Value::Object(body.clone()).to_string().into()).unwrap(),
        max_output_tokens: Some(64),
        stream,
        envelope: Envelope {
            id: "our-id".to_owned(),
            model: "public".to_owned(),
            created: 1_763_000_000,
            input_tokens: 21,
            include_usage: true,
            request: body.into(),
        },
        headers: vec![],
        key: None,
        memory: Memory::default(),
    }
}

/// How a stream ended.
#[derive(Debug)]
enum End {
    Done(Usage),
    Failed(RelayError, Option<Usage>),
}

async fn read(answer: Result<ServedAnswer, RelayError>) -> (Vec<ServedEvent>, End) {
    let mut stream = match answer.unwrap() {
        ServedAnswer::Stream(stream) => stream,
        whole => panic!("{whole:?} where a stream was asked for"),
    };
    let mut events = vec![];
    loop {
        let frame = tokio::time::timeout(PATIENCE, stream.next()).await.expect("the stream goes on");
        let end = match frame.expect("a stream ends with Done or Failed") {
            ServedFrame::Event(event) => {
                events.push(event);
                continue;
            }
            ServedFrame::Passed(passed) => {
                events.push(passed.read());
                continue;
            }
            ServedFrame::Done { last, usage } => {
                events.extend(last);
                End::Done(usage)
            }
            ServedFrame::Failed { error, usage } => End::Failed(error, usage),
        };
        assert!(stream.next().await.is_none(), "something follows the end");
        return (events, end);
    }
}

/// What a client of `served` is told when an upstream of `spoken` answers that scene.
async fn answered(served: Dialect, spoken: Dialect, scene: Scene, stream: bool) -> (Told, Usage) {
    let upstream = Upstream::start(bytes::answer(spoken, scene, stream)).await;
    let provider = account(&upstream, spoken, Limits::default());
    let answer = provider.call(call(served, stream), CancellationToken::new()).await;
    if stream {
        let (events, end) = read(answer).await;
        let End::Done(usage) = end else { panic!("{served:?} of {spoken:?}: {end:?}") };
        return (told(served, &told::assembled(served, &events)), usage);
    }
    match answer.unwrap().read() {
        ServedAnswer::Whole { body, usage } => (told(served, &body), usage),
        _ => panic!("a stream where none was asked for"),
    }
}

async fn every_pair(scene: Scene, expected: &Told) {
    for spoken in SPOKEN {
        for served in SERVED {
            for stream in [false, true] {
                let (told, usage) = answered(served, spoken, scene, stream).await;
                assert_eq!(&told, expected, "{served:?} of {spoken:?}, stream: {stream}");
                assert_eq!(usage, Usage::new(20, 10, Basis::Reported), "{served:?} of {spoken:?}, stream: {stream}");
            }
        }
    }
}

#[tokio::test]
async fn a_plain_answer_says_the_same_in_every_dialect_of_every_upstream() {
    let expected = Told { text: "It is sunny.".to_owned(), ..Told::default() };
    every_pair(Scene::Plain, &expected).await;
}

#[tokio::test]
async fn a_call_of_a_tool_after_thoughts_arrives_in_every_dialect_from_every_upstream() {
    let expected = Told {
        thought: "Look it up.".to_owned(),
        calls: vec![("get_weather".to_owned(), json!({"city": "Paris"}))],
        ..Told::default()
    };
    every_pair(Scene::Tool, &expected).await;
}
