//! The real local model behind the compatible API.
//!
//! Needs the embedded kit, as `tests/local.rs`.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "in tests a panic is the failure report")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use futures::StreamExt;
use relay::local::{Local, LocalConfig, MODEL_ID, prepare};
use relay::{
    Basis, Dialect, Envelope, Memory, Provider, RelayError, ServedAnswer, ServedCall, ServedFrame, ServedStream, Usage,
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// For anything that ends well.
const PATIENCE: Duration = Duration::from_secs(120);

fn local(max_output_tokens: u32) -> Local {
    let named = std::env::var_os("OBLIVIOUS_KIT_DIR").map(PathBuf::from);
    let kit = named.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../.kit"));
    let model = prepare(&kit, &Path::new(env!("CARGO_TARGET_TMPDIR")).join("local-model")).unwrap();
    Local::new(LocalConfig { seed: Some(1), max_output_tokens, context_tokens: 512, ..LocalConfig::new(model) })
        .unwrap()
}

fn request(body: Value, stream: bool) -> ServedCall {
    let Value::Object(body) = body else { panic!("a body is an object") };
    ServedCall {
        dialect: Dialect::ChatCompletions,
        model: MODEL_ID.to_owned(),
        body: body.into(),
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

/// A question whose answer begins with a word that this model gives with a wide margin, whatever the CPU rounds.
fn opposite() -> Value {
    json!({"temperature": 0, "messages": [{"role": "user", "content": "What is the opposite of hot?"}]})
}

async fn whole(request: ServedCall) -> Result<(Value, Usage), RelayError> {
    let local = local(48);
    let answer = tokio::time::timeout(PATIENCE, local.call(request, CancellationToken::new())).await;
    match answer.expect("an answer in good time")? {
        ServedAnswer::Whole { body, usage } => Ok((body, usage)),
        _ => panic!("a stream where none was asked for"),
    }
}

async fn stream(local: &Local, request: ServedCall, cancel: &CancellationToken) -> ServedStream {
    match local.call(request, cancel.clone()).await.unwrap() {
        ServedAnswer::Stream(stream) => stream,
        whole => panic!("{whole:?} where a stream was asked for"),
    }
}

async fn read(mut stream: ServedStream) -> (Vec<Value>, Usage) {
    let mut chunks = Vec::new();
    loop {
        let frame = tokio::time::timeout(PATIENCE, stream.next()).await.expect("the stream goes on");
        match frame.expect("a stream ends with Done") {
            ServedFrame::Event(event) => chunks.push(event.data),
            ServedFrame::Passed(passed) => chunks.push(passed.read().data),
            ServedFrame::Done { last, usage } => {
                assert!(stream.next().await.is_none(), "something follows the end");
                chunks.extend(last.into_iter().map(|event| event.data));
                return (chunks, usage);
            }
            ServedFrame::Failed { error, .. } => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn a_whole_answer_is_a_chat_completion() {
    let (body, usage) = whole(request(opposite(), false)).await.unwrap();
    assert_eq!((&body["object"], &body["model"]), (&json!("chat.completion"), &json!("public")));
    assert_eq!((&body["id"], &body["created"]), (&json!("chatcmpl-ours"), &json!(1_763_000_000)));
    let choice = &body["choices"][0];
    assert_eq!((&choice["index"], &choice["message"]["role"]), (&json!(0), &json!("assistant")));
    assert!(choice["message"]["content"].as_str().unwrap().contains("cold"), "{choice}");
    assert!(choice["finish_reason"] == "stop" || choice["finish_reason"] == "length");
    assert_eq!(usage.basis, Basis::Counted);
    assert_eq!(body["usage"], usage.to_openai());
    assert_eq!(body["usage"]["total_tokens"], usage.input_tokens + usage.output_tokens);
}

#[tokio::test]
async fn a_stream_is_the_role_then_text_then_a_finish_reason() {
    let (chunks, usage) = read(stream(&local(48), request(opposite(), true), &CancellationToken::new()).await).await;
    assert!(chunks.iter().all(|chunk| chunk["object"] == "chat.completion.chunk" && chunk.get("usage").is_none()));
    assert!(chunks.iter().all(|chunk| chunk["id"] == chunks[0]["id"] && chunk["choices"][0]["index"] == 0));
    assert_eq!(chunks[0]["choices"][0]["delta"], json!({"role": "assistant", "content": ""}));
    let text = chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect::<String>();
    assert!(text.contains("cold"), "{text}");
    let (last, before) = chunks.split_last().unwrap();
    assert_eq!(last["choices"][0]["delta"], json!({}));
    assert!(last["choices"][0]["finish_reason"].is_string());
    assert!(before.iter().all(|chunk| chunk["choices"][0]["finish_reason"].is_null()));
    assert!(usage.basis == Basis::Counted && usage.output_tokens >= 2, "{usage:?}");
}

#[tokio::test]
async fn the_smallest_output_bound_holds() {
    let long = json!({"messages": [{"role": "user", "content": "Write a long story."}], "max_tokens": 3});
    let (body, usage) = whole(request(long.clone(), false)).await.unwrap();
    assert_eq!((&body["choices"][0]["finish_reason"], usage.output_tokens), (&json!("length"), 3));
    let ours = ServedCall { max_output_tokens: Some(2), ..request(long, false) };
    assert_eq!(whole(ours).await.unwrap().1.output_tokens, 2);
}

#[tokio::test]
async fn every_role_and_text_parts_are_understood_and_what_only_tunes_is_left_out() {
    let call = json!({"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let body = json!({
        "messages": [
            {"role": "developer", "content": "You are a helpful assistant."},
            {"role": "system", "content": [{"type": "text", "text": "Answer in"}, {"type": "text", "text": " English."}]},
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": null, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c", "content": "Rain"},
            {"role": "assistant", "content": [{"type": "text", "text": "It rains."}]},
            {"role": "user", "content": [{"type": "text", "text": "What is the opposite of hot?"}]},
        ],
        "temperature": 0, "n": 1, "tools": [{"type": "function", "function": {"name": "f"}}], "tool_choice": "auto",
        "logprobs": true, "top_logprobs": 3, "stop": ["x"], "seed": 7, "response_format": {"type": "text"},
        "modalities": ["text"], "unheard_of": {"x": 1}
    });
    let (answer, usage) = whole(request(body, false)).await.unwrap();
    assert!(answer["choices"][0]["message"]["content"].as_str().unwrap().to_lowercase().contains("cold"), "{answer}");
    assert!(usage.input_tokens > 40, "{usage:?}");
}

#[tokio::test]
async fn what_would_be_a_lie_is_refused_with_its_parameter() {
    let image = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}});
    for (more, param) in [
        (json!({"n": 2}), "n"),
        (json!({"n": "two"}), "n"),
        (json!({"messages": []}), "messages"),
        (json!({"messages": "Hello"}), "messages"),
        (json!({"messages": [{"role": "user", "content": [image]}]}), "messages"),
        (json!({"messages": [{"role": "user", "content": 7}]}), "messages"),
        (json!({"messages": [{"role": "robot", "content": "Hello"}]}), "messages"),
        (json!({"messages": ["Hello"]}), "messages"),
        (json!({"response_format": {"type": "json_object"}}), "response_format"),
        (json!({"tool_choice": "required"}), "tool_choice"),
        (json!({"tool_choice": {"type": "function", "function": {"name": "f"}}}), "tool_choice"),
        (json!({"modalities": ["text", "audio"]}), "modalities"),
        (json!({"temperature": 3}), "temperature"),
    ] {
        let mut asked = request(opposite(), false);
        let Value::Object(more) = more else { panic!("an object") };
        let mut body = asked.body.into_tree();
        body.extend(more);
        asked.body = body.into();
        let RelayError::UpstreamRefused { status, param: named, .. } = whole(asked).await.unwrap_err() else {
            panic!("no refusal of {param}")
        };
        assert!(status == 400 && named.as_deref().is_some_and(|named| named.starts_with(param)), "{named:?}");
    }
}

#[tokio::test]
async fn a_cancelled_stream_ends_with_its_usage_and_a_cancelled_whole_answer_is_none() {
    let local = local(400);
    let story = json!({"messages": [{"role": "user", "content": "Write a long story about a dragon."}]});
    let cancel = CancellationToken::new();
    let mut running = stream(&local, request(story.clone(), true), &cancel).await;
    for _ in 0..3 {
        assert!(matches!(running.next().await, Some(ServedFrame::Event(_))));
    }
    cancel.cancel();
    let cancelled = Instant::now();
    let (rest, usage) = read(running).await;
    assert!(rest.iter().all(|chunk| chunk["choices"][0]["finish_reason"].is_null()), "nothing claims an end: {rest:?}");
    assert!((2..400).contains(&usage.output_tokens), "{usage:?}");
    assert!(cancelled.elapsed() < Duration::from_secs(10));

    let cancel = CancellationToken::new();
    let call = local.call(request(story, false), cancel.clone());
    let (answer, ()) = tokio::join!(call, async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        cancel.cancel();
    });
    assert_eq!(answer.unwrap_err(), RelayError::Cancelled);
}
