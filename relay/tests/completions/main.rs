//! The compatible API passed through the OpenAI adapter, against servers that answer recorded bytes.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in tests a panic is the failure report")]

mod requests;
mod streams;
mod streams_only;
mod upstream;
mod usages;
mod wholes;

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use relay::{
    Dialect, Envelope, KeyRef, Limits, Memory, Provider, ProviderConfig, ProviderKey, RelayError, RequestBody,
    ServedAnswer, ServedCall, ServedEvent, ServedFrame, ServedStream, Usage, provider,
};
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use self::upstream::{Answer, Upstream};

const PATIENCE: Duration = Duration::from_secs(20);

fn adapter_with(upstream: &Upstream, limits: Limits) -> Arc<dyn Provider> {
    provider(ProviderConfig {
        base_url: Some(upstream.base_url.clone()),
        keys: vec![ProviderKey { name: KeyRef::new("first"), secret: "sk-test-key".into() }],
        limits,
        ..ProviderConfig::new("openai")
    })
    .unwrap()
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        other => panic!("{other} is no object"),
    }
}

/// A request with this body and the default conversation.
fn request(more: Value, stream: bool) -> ServedCall {
    let mut body = object(json!({"messages": [{"role": "user", "content": "Hello"}]}));
    body.extend(object(more));
    ServedCall {
        dialect: Dialect::ChatCompletions,
        model: "gpt-4o-mini".to_owned(),
        body: RequestBody::read(Value::Object(body).to_string().into()).unwrap(),
        max_output_tokens: None,
        stream,
        envelope: Envelope {
            id: "chatcmpl-ours".to_owned(),
            model: "public".to_owned(),
            created: 1_763_000_000,
            input_tokens: 8,
            include_usage: false,
            request: Default::default(),
        },
        headers: vec![],
        key: None,
        memory: Memory::default(),
    }
}

type Outcome = Result<Usage, RelayError>;

/// What a stream gave. Every promise about chunks is checked on every one of them.
async fn read(mut stream: ServedStream) -> (Vec<Value>, Outcome) {
    let mut chunks = Vec::new();
    loop {
        let step = tokio::time::timeout(PATIENCE, stream.next()).await.expect("the stream goes on");
        let step = match step.expect("a stream ends with Done or an error") {
            ServedFrame::Passed(passed) => ServedFrame::Event(passed.read()),
            step => step,
        };
        let outcome = match step {
            ServedFrame::Event(ServedEvent { name: None, data: chunk }) => {
                check(&chunk);
                chunks.push(chunk);
                continue;
            }
            named @ (ServedFrame::Event(_) | ServedFrame::Passed(_)) => panic!("{named:?} has a name"),
            ServedFrame::Done { last, usage } => {
                assert_eq!(last, [], "nobody asked for the usage");
                Ok(usage)
            }
            ServedFrame::Failed { error, .. } => Err(error),
        };
        assert!(stream.next().await.is_none(), "something follows the end");
        return (chunks, outcome);
    }
}

fn check(chunk: &Value) {
    assert_eq!(chunk["model"], "public", "{chunk}");
    assert_eq!(chunk["object"], "chat.completion.chunk", "{chunk}");
    assert!(chunk.get("usage").is_none(), "{chunk}");
    for choice in chunk["choices"].as_array().unwrap_or_else(|| panic!("no choices: {chunk}")) {
        assert!(choice["index"].is_u64() && choice["delta"].is_object(), "{chunk}");
        assert!(choice["finish_reason"].is_null() || choice["finish_reason"].is_string(), "{chunk}");
        for call in choice["delta"]["tool_calls"].as_array().into_iter().flatten() {
            assert!(call["index"].is_u64(), "{chunk}");
        }
    }
}

/// A message as the official SDKs put it together: strings are joined, whatever has a new index is a new item.
fn assemble(chunks: &[Value], index: u64) -> Value {
    let mut message = json!({});
    let choices = chunks.iter().flat_map(|chunk| chunk["choices"].as_array().unwrap());
    for choice in choices.filter(|choice| choice["index"] == index) {
        merge(&mut message, &choice["delta"]);
        if !choice["finish_reason"].is_null() {
            message["finish_reason"] = choice["finish_reason"].clone();
        }
    }
    message
}

fn merge(into: &mut Value, delta: &Value) {
    for (key, value) in delta.as_object().unwrap() {
        let known = into.get(key).cloned().unwrap_or_default();
        into[key] = match (known, value) {
            (known, Value::Null) => known,
            (Value::String(known), Value::String(more)) if key != "type" && key != "role" => (known + more).into(),
            (Value::Array(mut items), Value::Array(more)) => {
                more.iter().for_each(|item| merge_item(&mut items, item));
                items.into()
            }
            (Value::Null, Value::Array(more)) => {
                let mut items = Vec::new();
                more.iter().for_each(|item| merge_item(&mut items, item));
                items.into()
            }
            (mut known @ Value::Object(_), Value::Object(_)) => {
                merge(&mut known, value);
                known
            }
            (_, value) => value.clone(),
        };
    }
}

fn merge_item(items: &mut Vec<Value>, item: &Value) {
    let at = usize::try_from(item["index"].as_u64().expect("an item has an index")).unwrap();
    assert!(at <= items.len(), "the index {at} comes before its time");
    if at == items.len() {
        items.push(json!({}));
    }
    merge(&mut items[at], item);
}

/// Asks for a stream with a body that has `more`, and reads it.
async fn streamed(answer: Answer, more: Value) -> (Vec<Value>, Outcome) {
    let upstream = Upstream::start(answer).await;
    let adapter = adapter_with(&upstream, Limits::default());
    match adapter.call(request(more, true), CancellationToken::new()).await.expect("an answer begins") {
        ServedAnswer::Stream(stream) => read(stream).await,
        whole => panic!("{whole:?} where a stream was asked for"),
    }
}

/// Asks for a whole answer with a body that has `more`.
async fn whole(answer: Answer, more: Value) -> Result<(Value, Usage), RelayError> {
    let upstream = Upstream::start(answer).await;
    let adapter = adapter_with(&upstream, Limits::default());
    match adapter.call(request(more, false), CancellationToken::new()).await?.read() {
        ServedAnswer::Whole { body, usage } => Ok((body, usage)),
        _ => panic!("a stream where none was asked for"),
    }
}

/// The chunks that a recorded stream holds.
fn recorded(stream: &str) -> Vec<Value> {
    let data = stream.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]");
    data.map(|data| serde_json::from_str(data).unwrap()).collect()
}
