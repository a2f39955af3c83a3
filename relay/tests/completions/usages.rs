//! What an answer consumed, however its server says so, and where it says nothing that can be believed.

use relay::{Basis, Usage};
use serde_json::{Value, json};

use crate::streamed;
use crate::upstream::Answer;

/// A stream of these chunks.
fn stream(chunks: &[Value]) -> Answer {
    let frames: Vec<String> = chunks.iter().map(|chunk| format!("data: {chunk}\n\n")).collect();
    Answer::stream(frames.concat() + "data: [DONE]\n\n")
}

fn says(delta: &Value) -> Value {
    json!({"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta, "finish_reason": null}]})
}

fn ends() -> Value {
    json!({"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
}

async fn usage_of(chunks: &[Value]) -> Usage {
    streamed(stream(chunks), json!({})).await.1.unwrap()
}

#[tokio::test]
async fn a_usage_is_found_wherever_a_server_puts_it() {
    let report = json!({"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11});
    let text = says(&json!({"content": "Hello world"}));
    let separate = json!({"object": "chat.completion.chunk", "choices": [], "usage": report});
    let bare = json!({"usage": report});
    let mut merged = ends();
    merged["usage"] = report.clone();
    let mut in_choice = ends();
    in_choice["choices"][0]["usage"] = report.clone();
    for chunks in [
        vec![text.clone(), ends(), separate],
        vec![text.clone(), ends(), bare],
        vec![text.clone(), merged],
        vec![text, in_choice],
    ] {
        assert_eq!(usage_of(&chunks).await, Usage::new(9, 2, Basis::Reported), "{chunks:?}");
        let (delivered, _) = streamed(stream(&chunks), json!({})).await;
        assert_eq!(delivered.len(), 2, "the finish reason is delivered, a frame of mere usage is not: {delivered:?}");
    }
}

#[tokio::test]
async fn of_several_reports_the_last_one_counts() {
    let report = |output: u64| {
        json!({"object": "chat.completion.chunk", "usage": {"prompt_tokens": 9,
        "completion_tokens": output}, "choices": [{"index": 0, "delta": {"content": "Hi "}}]})
    };
    assert_eq!(usage_of(&[report(1), report(2), report(3), ends()]).await, Usage::new(9, 3, Basis::Reported));
}

#[tokio::test]
async fn cached_input_and_reasoning_are_parts_and_never_exceed_their_whole() {
    let report = json!({"usage": {"prompt_tokens": 100, "completion_tokens": 50,
        "prompt_tokens_details": {"cached_tokens": 64}, "completion_tokens_details": {"reasoning_tokens": 30}}});
    let usage = usage_of(&[says(&json!({"content": "x"})), ends(), report]).await;
    assert_eq!(usage, Usage::new(100, 50, Basis::Reported).with_parts(64, 30));
    let greedy = json!({"usage": {"prompt_tokens": 10, "completion_tokens": 5,
        "prompt_tokens_details": {"cached_tokens": 64}, "completion_tokens_details": {"reasoning_tokens": 30}}});
    let usage = usage_of(&[says(&json!({"content": "x"})), ends(), greedy]).await;
    assert_eq!((usage.cached_input_tokens, usage.reasoning_tokens), (10, 5));
}

#[tokio::test]
async fn a_report_that_cannot_be_believed_is_replaced_by_our_count() {
    let text = says(&json!({"content": "Hello world"}));
    for (input, output) in [(0, 0), (0, 5), (5, 0), (5, u64::MAX), (u64::MAX, 5)] {
        let report = json!({"usage": {"prompt_tokens": input, "completion_tokens": output}});
        let usage = usage_of(&[text.clone(), ends(), report]).await;
        assert_eq!(usage, Usage::new(8, 2, Basis::Counted), "{input} and {output}");
    }
    let empty = json!({"usage": {"prompt_tokens": 5, "completion_tokens": 0}});
    assert_eq!(
        usage_of(&[ends(), empty]).await,
        Usage::new(5, 0, Basis::Reported),
        "nothing was said, so zero is right"
    );
}

#[tokio::test]
async fn everything_generated_is_counted_calls_and_reasoning_included() {
    let call =
        json!({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "weather", "arguments": "Hello world"}}]});
    let calls = usage_of(&[says(&call), ends()]).await;
    assert!(calls.output_tokens >= 3 && calls.reasoning_tokens == 0, "{calls:?}");
    let thinks = says(&json!({"reasoning_content": "Hello world", "reasoning": "Hello world"}));
    let usage = usage_of(&[thinks, says(&json!({"content": "Hello world"})), ends()]).await;
    assert_eq!((usage.output_tokens, usage.reasoning_tokens), (4, 2));
    let refuses = usage_of(&[says(&json!({"refusal": "Hello world"})), ends()]).await;
    assert_eq!(refuses.output_tokens, 2);
}
