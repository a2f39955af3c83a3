//! Streams: what passes unchanged, what is made regular, and how they end.

use std::time::{Duration, Instant};

use futures::StreamExt;
use relay::{Basis, Limits, RelayError, ServedAnswer, ServedFrame, Usage};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::upstream::{Answer, End, Upstream};
use crate::{adapter_with, assemble, read, recorded, request, streamed};

const PLAIN: &str = include_str!("../fixtures/openai_chat_stream.sse");
const TOOL: &str = include_str!("../fixtures/openai_tool_stream.sse");
const PARALLEL: &str = include_str!("../fixtures/openai_parallel_tools.sse");
const TWO_CHOICES: &str = include_str!("../fixtures/openai_two_choices.sse");
const DEEPSEEK: &str = include_str!("../fixtures/deepseek_reasoning.sse");

/// A recorded stream as a client is to get it: without usage, and without the frame that has nothing else.
fn as_delivered(stream: &str) -> Vec<Value> {
    let mut chunks = recorded(stream);
    chunks.retain(|chunk| chunk["choices"] != json!([]));
    for chunk in &mut chunks {
        chunk["model"] = json!("public");
        chunk.as_object_mut().unwrap().remove("usage");
    }
    chunks
}

fn reported(input: u64, output: u64, cached: u64, reasoning: u64) -> Result<Usage, RelayError> {
    Ok(Usage::new(input, output, Basis::Reported).with_parts(cached, reasoning))
}

#[tokio::test]
async fn what_openai_sends_arrives_unchanged_but_for_the_usage() {
    for (stream, usage) in [
        (PLAIN, reported(19, 10, 0, 0)),
        (TOOL, reported(82, 17, 0, 0)),
        (PARALLEL, reported(82, 34, 64, 0)),
        (DEEPSEEK, reported(80, 12, 64, 6)),
    ] {
        let (chunks, outcome) = streamed(Answer::stream(stream), json!({})).await;
        assert_eq!(chunks, as_delivered(stream));
        assert_eq!(outcome, usage);
    }
}

#[tokio::test]
async fn a_tool_call_in_fragments_is_put_together_by_a_client() {
    let (chunks, _) = streamed(Answer::stream(TOOL), json!({})).await;
    let message = assemble(&chunks, 0);
    let call = json!({"index": 0, "id": "call_abc123", "type": "function",
        "function": {"name": "get_current_weather", "arguments": "{\"location\":\"Boston, MA\"}"}});
    assert_eq!((&message["tool_calls"], &message["finish_reason"]), (&json!([call]), &json!("tool_calls")));
}

#[tokio::test]
async fn parallel_calls_are_put_together_however_a_server_numbers_them() {
    for (stream, ids) in [
        (PARALLEL, ["call_1", "call_2"]),
        (include_str!("../fixtures/gateway_tools_from_one.sse"), ["toolu_1", "toolu_2"]),
        (include_str!("../fixtures/gateway_tools_all_zero.sse"), ["function-call-1", "function-call-2"]),
        (include_str!("../fixtures/gateway_tools_without_index.sse"), ["call_1", "call_2"]),
    ] {
        let (chunks, outcome) = streamed(Answer::stream(stream), json!({})).await;
        let message = assemble(&chunks, 0);
        for ((at, id), city) in ids.iter().enumerate().zip(["Boston", "Oslo"]) {
            let call = &message["tool_calls"][at];
            assert_eq!((&call["index"], &call["id"]), (&json!(at), &json!(id)), "{message}");
            assert_eq!(call["function"]["name"], "get_current_weather");
            let arguments: Value = serde_json::from_str(call["function"]["arguments"].as_str().unwrap()).unwrap();
            assert_eq!(arguments, json!({"location": city}));
        }
        assert_eq!(message["tool_calls"].as_array().unwrap().len(), 2);
        assert_eq!(message["finish_reason"], "tool_calls");
        assert!(outcome.unwrap().output_tokens > 10);
    }
}

#[tokio::test]
async fn a_call_that_was_forced_ends_with_the_word_that_the_server_used() {
    let stream = include_str!("../fixtures/gateway_tools_all_zero.sse");
    for choice in [json!("required"), json!({"type": "function", "function": {"name": "get_current_weather"}})] {
        let (chunks, _) = streamed(Answer::stream(stream), json!({"tool_choice": choice})).await;
        assert_eq!(assemble(&chunks, 0)["finish_reason"], "stop");
    }
}

#[tokio::test]
async fn reasoning_passes_through() {
    let (chunks, _) = streamed(Answer::stream(DEEPSEEK), json!({})).await;
    let message = assemble(&chunks, 0);
    assert_eq!(message["reasoning_content"], "Compare the decimals.");
    assert_eq!(message["content"], "9.8 is greater.");
}

#[tokio::test]
async fn of_two_choices_each_is_read_to_its_own_end() {
    let (chunks, outcome) = streamed(Answer::stream(TWO_CHOICES), json!({"n": 2})).await;
    assert_eq!(chunks, as_delivered(TWO_CHOICES));
    assert_eq!(
        (&assemble(&chunks, 0)["content"], &assemble(&chunks, 1)["content"]),
        (&json!("Heads!"), &json!("Tails"))
    );
    assert_eq!(outcome, reported(12, 5, 0, 0));
}

#[tokio::test]
async fn a_choice_that_nobody_asked_for_is_not_delivered() {
    let (chunks, _) = streamed(Answer::stream(TWO_CHOICES), json!({})).await;
    assert_eq!(assemble(&chunks, 0)["content"], "Heads!");
    assert_eq!(assemble(&chunks, 1), json!({}));
}

#[tokio::test]
async fn a_server_that_gives_one_choice_where_two_were_asked_ends_properly_but_a_choice_without_its_end_is_a_cut() {
    let one = r#"data: {"choices":[{"index":0,"delta":{"content":"Hello"},"finish_reason":"stop"}]}"#;
    let (chunks, outcome) = streamed(Answer::stream(format!("{one}\n\n")), json!({"n": 2})).await;
    assert_eq!((&assemble(&chunks, 0)["content"], outcome.is_ok()), (&json!("Hello"), true));
    let other = r#"data: {"choices":[{"index":1,"delta":{"content":"Half"}}]}"#;
    let (_, outcome) = streamed(Answer::stream(format!("{one}\n\n{other}\n\n")), json!({"n": 2})).await;
    assert_eq!(outcome, Err(RelayError::UpstreamCut));
}

#[tokio::test]
async fn odd_chunks_are_made_such_that_official_clients_can_read_them() {
    let stream = include_str!("../fixtures/gateway_odd_chunks.sse");
    let (chunks, outcome) = streamed(Answer::stream(stream), json!({})).await;
    let message = assemble(&chunks, 0);
    assert_eq!((&message["content"], &message["finish_reason"]), (&json!("Hello there"), &json!("stop")));
    assert!(chunks[0].get("prompt_filter_results").is_some(), "what else a chunk says is kept");
    assert_eq!(chunks.len(), 4, "frames that say nothing and what follows the end are not: {chunks:?}");
    assert_eq!(outcome, reported(19, 2, 0, 0));
}

#[tokio::test]
async fn an_answer_is_complete_with_its_finish_reason_or_its_end_marker_whatever_follows() {
    let finish = r#"data: {"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"Hello"},"finish_reason":"stop"}]}"#;
    let said = r#"data: {"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"Hello"}}]}"#;
    for (stream, end) in [
        (format!("{finish}\n\n"), End::Closed),
        (format!("{finish}\n\n"), End::Broken),
        (format!("{finish}\n\ndata: {{\"choices\": oops\n\n"), End::Silent),
        (format!("{finish}\n\ndata: {{\"error\": {{\"message\": \"late\", \"code\": 500}}}}\n\n"), End::Silent),
        (format!("{said}\n\ndata: [DONE]\n\n"), End::Silent),
        (format!("{said}\n\ndata: [DONE]"), End::Closed),
    ] {
        let (chunks, outcome) = streamed(Answer::stream(&stream).then(end), json!({})).await;
        assert_eq!(assemble(&chunks, 0)["content"], "Hello", "{stream}");
        let usage = outcome.unwrap();
        assert_eq!((usage.output_tokens, usage.basis), (1, Basis::Counted), "{stream}");
    }
}

#[tokio::test]
async fn what_breaks_off_is_an_error_and_what_came_before_was_delivered() {
    let half = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Half\"}}]}\n\n";
    let with = |more: &str| Answer::stream(format!("{half}{more}"));
    for (answer, code) in [
        (with(""), "upstream_cut"),
        (with("").then(End::Broken), "upstream_cut"),
        (with("data: {\"choices\":[{\"ind"), "upstream_cut"),
        (with("data: {\"choices\": oops\n\n"), "upstream_garbage"),
        (with("data: {\"choices\": 7}\n\n"), "upstream_garbage"),
        (with("data: {\"choices\": [{\"delta\": \"text\"}]}\n\n"), "upstream_garbage"),
        (with("data: {\"choices\": [{\"index\": \"0\", \"delta\": {}}]}\n\n"), "upstream_garbage"),
        (with("data: {\"choices\": [{\"delta\": {\"tool_calls\": [7]}}]}\n\n"), "upstream_garbage"),
        (with("data: {\"detail\": \"boom\"}\n\n"), "upstream_garbage"),
        (with("data: \"text\"\n\n"), "upstream_garbage"),
        (with("data: \u{0}\n\n"), "upstream_garbage"),
        (with("data: {\"error\": {\"message\": \"gone\", \"code\": 502}}\n\n"), "upstream_unavailable"),
        (with("data: {\"error\": {\"message\": \"slow\", \"code\": 429}}\n\n"), "upstream_rate_limited"),
        (with("data: {\"object\": \"error\", \"message\": \"no\", \"code\": 400}\n\n"), "upstream_refused"),
    ] {
        let (chunks, outcome) = streamed(answer.clone(), json!({})).await;
        assert_eq!(assemble(&chunks, 0)["content"], "Half");
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert_eq!(outcome.unwrap_err().code(), code, "{text}");
    }
}

#[tokio::test]
async fn an_error_frame_keeps_the_providers_code_and_parameter() {
    let half = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Half\"}}]}\n\n";
    let frame = format!("{half}data: {}\n\n", include_str!("../fixtures/openai_error_param.json").replace('\n', " "));
    let (_, outcome) = streamed(Answer::stream(frame), json!({})).await;
    let RelayError::UpstreamRefused { status, code, param, .. } = outcome.unwrap_err() else { panic!("no refusal") };
    assert_eq!((status, code.as_deref(), param.as_deref()), (200, Some("invalid_value"), Some("messages[0].role")));
}

#[tokio::test]
async fn a_stream_that_fails_before_its_first_chunk_is_no_stream_so_that_another_upstream_can_be_asked() {
    for (body, code) in [
        ("data: {\"error\": {\"message\": \"later\", \"code\": 429}}\n\n", "upstream_rate_limited"),
        (": ping\n\n", "upstream_cut"),
        ("data: oops\n\n", "upstream_garbage"),
    ] {
        let upstream = Upstream::start(Answer::stream(body)).await;
        let adapter = adapter_with(&upstream, Limits::default());
        let error = adapter.call(request(json!({}), true), CancellationToken::new()).await.unwrap_err();
        assert_eq!(error.code(), code);
    }
}

#[tokio::test]
async fn a_stream_that_falls_silent_times_out() {
    let half = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Half\"}}]}\n\n";
    let upstream = Upstream::start(Answer::stream(half).then(End::Silent)).await;
    let limits = Limits { idle: Duration::from_millis(200), ..Limits::default() };
    let answer = adapter_with(&upstream, limits).call(request(json!({}), true), CancellationToken::new()).await;
    let Ok(ServedAnswer::Stream(stream)) = answer else { panic!("{answer:?}") };
    let (chunks, outcome) = read(stream).await;
    assert_eq!((chunks.len(), outcome.unwrap_err().code()), (1, "timed_out"));
}

#[tokio::test]
async fn a_cancelled_stream_ends_with_the_usage_of_everything_that_was_generated() {
    let stream = TOOL.split("data: {\"id\":\"chatcmpl-123\"").take(4).collect::<Vec<_>>();
    let stream = stream.join("data: {\"id\":\"chatcmpl-123\"");
    let upstream = Upstream::start(Answer::stream(&stream).then(End::Silent)).await;
    let cancel = CancellationToken::new();
    let answer = adapter_with(&upstream, Limits::default()).call(request(json!({}), true), cancel.clone()).await;
    let Ok(ServedAnswer::Stream(mut stream)) = answer else { panic!("{answer:?}") };
    for _ in 0..3 {
        assert!(matches!(stream.next().await, Some(ServedFrame::Event(_) | ServedFrame::Passed(_))));
    }
    let cancelled = Instant::now();
    cancel.cancel();
    let (rest, outcome) = read(stream).await;
    let usage = outcome.unwrap();
    // `get_current_weather{"location`
    assert!(rest.is_empty() && (4..=7).contains(&usage.output_tokens), "{usage:?}");
    assert_eq!(usage.basis, Basis::Counted);
    assert!(cancelled.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_server_that_does_not_stream_is_told_as_a_stream() {
    let document = include_str!("../fixtures/openai_completion_tool.json");
    let (chunks, outcome) = streamed(Answer::document(document), json!({})).await;
    let message = assemble(&chunks, 0);
    let asked: Value = serde_json::from_str(document).unwrap();
    let mut call = asked["choices"][0]["message"]["tool_calls"][0].clone();
    call["index"] = json!(0);
    assert_eq!((&message["tool_calls"], &message["role"]), (&json!([call]), &json!("assistant")));
    assert_eq!(message["finish_reason"], "tool_calls");
    assert_eq!(chunks.last().unwrap()["choices"][0]["delta"], json!({}));
    assert_eq!(outcome, reported(82, 17, 0, 0));
}

#[tokio::test]
async fn a_document_that_is_an_error_or_garbage_is_refused_before_the_stream_begins() {
    for (document, code) in [
        (r#"{"error": {"message": "no", "code": 503}}"#, "upstream_unavailable"),
        (r#"{"choices": "none"}"#, "upstream_garbage"),
        ("oops", "upstream_garbage"),
    ] {
        let upstream = Upstream::start(Answer::document(document)).await;
        let adapter = adapter_with(&upstream, Limits::default());
        let error = adapter.call(request(json!({}), true), CancellationToken::new()).await.unwrap_err();
        assert_eq!(error.code(), code);
    }
}

/// Sources: console.groq.com/docs, "Reasoning" and streaming's `x_groq`; platform.minimax.io, "OpenAI API compatible", whose
/// last chunk has the whole message once more; docs.mistral.ai, "Reasoning".
#[tokio::test]
async fn thoughts_usage_and_text_are_where_clients_look_for_them_whoever_sends_them() {
    let chunk = |choice: Value, more: Value| {
        let mut chunk = json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
            "choices": [choice]});
        chunk.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        format!("data: {chunk}\n\n")
    };
    let groq = chunk(json!({"index": 0, "delta": {"content": "", "reasoning": "Hm."}}), json!({}))
        + &chunk(json!({"index": 0, "delta": {"content": "Yes"}}), json!({}))
        + &chunk(
            json!({"index": 0, "delta": {}, "finish_reason": "stop"}),
            json!({"x_groq": {"usage": {"prompt_tokens": 11, "completion_tokens": 7}}}),
        );
    let minimax = chunk(
        json!({"index": 0, "delta": {"reasoning_details": [{"type": "reasoning.text", "text": "Hm."}]}}),
        json!({}),
    ) + &chunk(json!({"index": 0, "delta": {"content": "Yes"}}), json!({}))
        + &chunk(
            json!({"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Yes"}}),
            json!({"usage": {"prompt_tokens": 11, "completion_tokens": 7}}),
        );
    let content =
        json!([{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}, {"type": "text", "text": "Yes"}]);
    let mistral = chunk(
        json!({"index": 0, "delta": {"content": content}, "finish_reason": "stop"}),
        json!({"usage": {"prompt_tokens": 11, "completion_tokens": 7}}),
    );
    for stream in [groq, minimax, mistral] {
        let (chunks, outcome) = streamed(Answer::stream(&(stream.clone() + "data: [DONE]\n\n")), json!({})).await;
        let text = |key: &str| {
            let pieces = chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"][key].as_str());
            pieces.collect::<String>()
        };
        assert_eq!((text("content"), text("reasoning_content")), ("Yes".to_owned(), "Hm.".to_owned()), "{stream}");
        assert_eq!(outcome, reported(11, 7, 0, 0));
    }
}
