//! What goes upstream.

use relay::{Limits, ServedCall};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::upstream::{Answer, Upstream};
use crate::{adapter_with, object, request};

async fn sent(request: ServedCall) -> Value {
    let answer = if request.stream {
        Answer::stream(include_str!("../fixtures/openai_chat_stream.sse"))
    } else {
        Answer::document(include_str!("../fixtures/openai_completion.json"))
    };
    let upstream = Upstream::start(answer).await;
    let adapter = adapter_with(&upstream, Limits::default());
    adapter.call(request, CancellationToken::new()).await.unwrap();
    upstream.asked()
}

#[tokio::test]
async fn tools_and_everything_unknown_go_upstream_as_the_client_sent_them() {
    let example: Value = serde_json::from_str(include_str!("../fixtures/openai_tools_request.json")).unwrap();
    let more = json!({"parallel_tool_calls": false, "reasoning_effort": "low", "prompt_cache_key": "k",
        "metadata": {"a": "b"}, "never_heard_of": [1.5, {"x": null}]});
    let mut body = object(example);
    body.extend(object(more));
    let asked = ServedCall { model: "up-1".to_owned(), body: body.clone().into(), ..request(json!({}), false) };
    let sent = sent(asked).await;
    body.insert("model".to_owned(), json!("up-1"));
    body.insert("stream".to_owned(), json!(false));
    assert_eq!(sent, Value::from(body));
}

#[tokio::test]
async fn a_conversation_with_results_of_tools_and_reasoning_goes_back_as_it_came() {
    let call = json!({"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let messages = json!([
        {"role": "system", "content": [{"type": "text", "text": "Be brief."}]},
        {"role": "user", "content": "Weather?", "name": "ann"},
        {"role": "assistant", "content": null, "reasoning_content": "Look it up.", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "rain"},
    ]);
    assert_eq!(sent(request(json!({"messages": messages}), true)).await["messages"], messages);
}

#[tokio::test]
async fn model_stream_bound_and_the_wish_for_usage_are_ours() {
    let theirs = json!({"model": "theirs", "stream": false, "max_tokens": 1000,
        "stream_options": {"include_usage": false}});
    let ours = ServedCall { max_output_tokens: Some(7), ..request(theirs, true) };
    let sent = sent(ours).await;
    assert_eq!(
        (&sent["model"], &sent["stream"], &sent["max_tokens"]),
        (&json!("gpt-4o-mini"), &json!(true), &json!(7))
    );
    assert_eq!(sent["stream_options"], json!({"include_usage": true}));
}

#[tokio::test]
async fn a_call_goes_to_the_operation_behind_the_base_url_with_the_key() {
    let upstream = Upstream::start(Answer::document(include_str!("../fixtures/openai_completion.json"))).await;
    let adapter = adapter_with(&upstream, Limits::default());
    adapter.call(request(json!({}), false), CancellationToken::new()).await.unwrap();
    let head = upstream.heads().remove(0);
    assert!(head.starts_with("POST /v1/chat/completions HTTP/1.1\n"), "{head}");
    assert!(head.contains("authorization: Bearer sk-test-key") && head.contains("content-type: application/json"));
}
