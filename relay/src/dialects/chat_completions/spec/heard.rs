//! What upstreams answer in steps.

use serde_json::json;

use super::{chunk, generic, lines, provider, said, steps};
use crate::RelayError;

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../../../../tests/fixtures/", $name))
    };
}

#[test]
fn openais_stream_is_text_an_end_and_a_usage() {
    let expected = ["text: Hello! How can I assist you today?", "finish Stop", "usage [19, 0, 10, 0]"];
    let said = said("openai", fixture!("openai_chat_stream.sse"));
    assert!(said[0].starts_with("begin chatcmpl-"), "{said:?}");
    assert!(said[1].starts_with("text: Hello"), "{said:?}");
    assert_eq!(said[2..], expected[1..]);
}

#[test]
fn a_call_in_fragments_is_one_call() {
    let said = said("openai", fixture!("openai_tool_stream.sse"));
    let expected = [
        "call 0 call_abc123 get_current_weather",
        "arguments 0: {\"location\":\"Boston, MA\"}",
        "finish ToolCalls",
        "usage [82, 0, 17, 0]",
    ];
    assert_eq!(said[1..], expected);
}

#[test]
fn parallel_calls_are_told_apart_however_a_server_numbers_them() {
    for stream in [
        fixture!("openai_parallel_tools.sse"),
        fixture!("gateway_tools_from_one.sse"),
        fixture!("gateway_tools_all_zero.sse"),
        fixture!("gateway_tools_without_index.sse"),
    ] {
        let said = said("openai_compatible", stream);
        let calls: Vec<&String> =
            said.iter().filter(|line| line.starts_with("call") || line.starts_with("arg")).collect();
        assert!(calls[0].starts_with("call 0 ") && calls[1].starts_with("arguments 0: {"), "{said:?}");
        assert!(calls[2].starts_with("call 1 ") && calls[3].starts_with("arguments 1: {"), "{said:?}");
        assert!(said.contains(&"finish ToolCalls".to_owned()), "{said:?}");
    }
}

#[test]
fn two_choices_do_not_mix() {
    let (deltas, reader) = steps(&generic(), super::data(fixture!("openai_two_choices.sse"))).unwrap();
    assert!(reader.is_finished());
    let said = lines(deltas);
    let ends: Vec<&String> = said.iter().filter(|line| line.contains("finish")).collect();
    assert_eq!(ends.len(), 2, "{said:?}");
    assert!(ends.iter().any(|end| end.starts_with("1 finish")), "{said:?}");
}

#[test]
fn deepseeks_thoughts_come_before_its_answer_and_its_usage_with_the_end() {
    let said = said("deepseek", fixture!("deepseek_reasoning.sse"));
    assert!(said[1].starts_with("thought: ") && said[2].starts_with("text: "), "{said:?}");
    assert_eq!(said[3..], ["finish Stop", "usage [80, 64, 12, 6]"]);
}

#[test]
fn odd_chunks_are_read_for_what_they_say() {
    let (deltas, reader) = steps(&generic(), super::data(fixture!("gateway_odd_chunks.sse"))).unwrap();
    assert!(reader.is_finished());
    let said = lines(deltas);
    assert_eq!(said.iter().filter(|line| line.starts_with("begin")).count(), 1);
    let after = said.iter().skip_while(|line| !line.starts_with("finish")).skip(1);
    assert!(after.clone().all(|line| line.starts_with("usage")), "{said:?}");
}

/// Source: docs.mistral.ai, "Reasoning": the content of a delta is a list with `thinking`; usage in the last chunk.
#[test]
fn mistrals_thoughts_are_parts_of_its_content() {
    let said = said(
        "mistral",
        r#"
data: {"id":"m1","object":"chat.completion.chunk","created":1,"model":"magistral-medium-latest","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}
data: {"id":"m1","object":"chat.completion.chunk","created":1,"model":"magistral-medium-latest","choices":[{"index":0,"delta":{"content":[{"type":"thinking","thinking":[{"type":"text","text":"Let me"}]}]},"finish_reason":null}]}
data: {"id":"m1","object":"chat.completion.chunk","created":1,"model":"magistral-medium-latest","choices":[{"index":0,"delta":{"content":[{"type":"thinking","thinking":[{"type":"text","text":" see."}]},{"type":"text","text":"It is"}]},"finish_reason":null}]}
data: {"id":"m1","object":"chat.completion.chunk","created":1,"model":"magistral-medium-latest","choices":[{"index":0,"delta":{"content":" 4."},"finish_reason":"stop"}],"usage":{"prompt_tokens":10,"total_tokens":30,"completion_tokens":20}}
data: [DONE]
"#,
    );
    let expected = [
        "begin m1 magistral-medium-latest",
        "thought: Let me see.",
        "text: It is 4.",
        "finish Stop",
        "usage [10, 0, 20, 0]",
    ];
    assert_eq!(said, expected);
}

/// Source: console.groq.com/docs, "Streaming" and "Reasoning": `x_groq.usage` in the last chunk, `reasoning` in a delta.
#[test]
fn groq_reports_its_usage_in_a_field_of_its_own() {
    let said = said(
        "groq",
        r#"
data: {"id":"g1","object":"chat.completion.chunk","created":1,"model":"qwen/qwen3-32b","choices":[{"index":0,"delta":{"role":"assistant","content":"","reasoning":"Hm."},"logprobs":null,"finish_reason":null}],"x_groq":{"id":"req_1"}}
data: {"id":"g1","object":"chat.completion.chunk","created":1,"model":"qwen/qwen3-32b","choices":[{"index":0,"delta":{"content":"4"},"logprobs":null,"finish_reason":null}]}
data: {"id":"g1","object":"chat.completion.chunk","created":1,"model":"qwen/qwen3-32b","choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}],"x_groq":{"id":"req_1","usage":{"queue_time":0.1,"prompt_tokens":11,"completion_tokens":7,"total_tokens":18}}}
data: [DONE]
"#,
    );
    assert_eq!(said, ["begin g1 qwen/qwen3-32b", "thought: Hm.", "text: 4", "finish Stop", "usage [11, 0, 7, 0]"]);
}

/// Source: platform.kimi.ai/docs/api/chat, "Streaming": the usage of a choice in its last chunk; `reasoning_content` as of
/// "Using thinking models".
#[test]
fn moonshot_reports_its_usage_within_the_choice() {
    let said = said(
        "moonshot",
        r#"
data: {"id":"cmpl-1","object":"chat.completion.chunk","created":1,"model":"kimi-k2-thinking","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}
data: {"id":"cmpl-1","object":"chat.completion.chunk","created":1,"model":"kimi-k2-thinking","choices":[{"index":0,"delta":{"reasoning_content":"The user"},"finish_reason":null}]}
data: {"id":"cmpl-1","object":"chat.completion.chunk","created":1,"model":"kimi-k2-thinking","choices":[{"index":0,"delta":{"content":"你好"},"finish_reason":null}]}
data: {"id":"cmpl-1","object":"chat.completion.chunk","created":1,"model":"kimi-k2-thinking","choices":[{"index":0,"delta":{},"finish_reason":"stop","usage":{"prompt_tokens":19,"completion_tokens":13,"total_tokens":32,"cached_tokens":12}}]}
data: [DONE]
"#,
    );
    let expected =
        ["begin cmpl-1 kimi-k2-thinking", "thought: The user", "text: 你好", "finish Stop", "usage [19, 12, 13, 0]"];
    assert_eq!(said, expected);
}

/// Sources: platform.minimax.io, "OpenAI API compatible" (`reasoning_split`, the last chunk repeats the message); issue
/// MiniMax-AI/MiniMax-M2#95 (the documented example expects all thoughts so far, the service sends the next ones).
#[test]
fn minimax_is_heard_once_whether_its_thoughts_come_in_pieces_or_grow() {
    let stream = |second: &str| {
        format!(
            r#"
data: {{"id":"x1","object":"chat.completion.chunk","created":1,"model":"MiniMax-M2.5","choices":[{{"index":0,"delta":{{"role":"assistant","content":"","reasoning_details":[{{"type":"reasoning.text","id":"reasoning-text-1","format":"MiniMax-response-v1","index":0,"text":"The user asks"}}]}}}}]}}
data: {{"id":"x1","object":"chat.completion.chunk","created":1,"model":"MiniMax-M2.5","choices":[{{"index":0,"delta":{{"content":"","reasoning_details":[{{"type":"reasoning.text","id":"reasoning-text-1","format":"MiniMax-response-v1","index":0,"text":"{second}"}}]}}}}]}}
data: {{"id":"x1","object":"chat.completion.chunk","created":1,"model":"MiniMax-M2.5","choices":[{{"index":0,"delta":{{"content":"Hi!"}}}}]}}
data: {{"id":"x1","object":"chat.completion","created":1,"model":"MiniMax-M2.5","choices":[{{"index":0,"finish_reason":"stop","message":{{"role":"assistant","content":"Hi!"}}}}],"usage":{{"total_tokens":45,"prompt_tokens":26,"completion_tokens":19}},"base_resp":{{"status_code":0,"status_msg":""}}}}
"#
        )
    };
    let expected =
        ["begin x1 MiniMax-M2.5", "thought: The user asks why.", "text: Hi!", "finish Stop", "usage [26, 0, 19, 0]"];
    for second in [" why.", "The user asks why."] {
        assert_eq!(said("minimax", &stream(second)), expected, "{second}");
    }
}

/// Source: platform.minimax.io, "OpenAI API compatible": without `reasoning_split` the thoughts are in the content.
#[test]
fn thoughts_between_tags_are_taken_out_of_the_text() {
    let stream = ["<thi", "nk>\nHm.", "\n</think>\n", "\nHi!"].map(|text| chunk(json!({"content": text})));
    let end = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}).to_string();
    let data = stream.iter().map(String::as_str).chain([end.as_str()]);
    let (deltas, _) = steps(&provider("minimax"), data.clone()).unwrap();
    assert_eq!(lines(deltas)[1..], ["thought: Hm.", "text: Hi!", "finish Stop"]);
    let (deltas, _) = steps(&provider("openai"), data).unwrap();
    assert_eq!(lines(deltas)[1], "text: <think>\nHm.\n</think>\n\nHi!");
}

/// Source: openrouter.ai/docs, "Reasoning Tokens", streaming with `reasoning_details`.
#[test]
fn what_openrouter_wants_to_see_again_is_put_together_from_its_pieces() {
    let said = said(
        "openrouter",
        r#"
data: {"id":"gen-1","object":"chat.completion.chunk","created":1,"model":"anthropic/claude-sonnet-4.5","provider":"Anthropic","choices":[{"index":0,"delta":{"role":"assistant","content":"","reasoning":"Let me","reasoning_details":[{"type":"reasoning.text","text":"Let me","format":"anthropic-claude-v1","index":0}]},"finish_reason":null}]}
data: {"id":"gen-1","object":"chat.completion.chunk","created":1,"model":"anthropic/claude-sonnet-4.5","choices":[{"index":0,"delta":{"content":"","reasoning":" see.","reasoning_details":[{"type":"reasoning.text","text":" see.","format":"anthropic-claude-v1","index":0}]},"finish_reason":null}]}
data: {"id":"gen-1","object":"chat.completion.chunk","created":1,"model":"anthropic/claude-sonnet-4.5","choices":[{"index":0,"delta":{"content":"","reasoning":null,"reasoning_details":[{"type":"reasoning.text","signature":"EqQB","format":"anthropic-claude-v1","index":0}]},"finish_reason":null}]}
data: {"id":"gen-1","object":"chat.completion.chunk","created":1,"model":"anthropic/claude-sonnet-4.5","choices":[{"index":0,"delta":{"content":"4"},"finish_reason":"stop","native_finish_reason":"end_turn"}]}
data: {"id":"gen-1","object":"chat.completion.chunk","created":1,"model":"anthropic/claude-sonnet-4.5","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}],"usage":{"prompt_tokens":10,"completion_tokens":9,"total_tokens":19,"cost":0.001,"prompt_tokens_details":{"cached_tokens":3},"completion_tokens_details":{"reasoning_tokens":5}}}
data: [DONE]
"#,
    );
    let item =
        r#"{"type":"reasoning.text","text":"Let me see.","format":"anthropic-claude-v1","index":0,"signature":"EqQB"}"#;
    let expected = ["thought: Let me see.", &format!("signed {item}"), "text: 4", "finish Stop", "usage [10, 3, 9, 5]"];
    assert_eq!(said[1..], expected);
}

/// Source: ai.google.dev, "Thought signatures", OpenAI compatibility.
#[test]
fn googles_signature_of_a_call_is_kept_with_the_call() {
    let call = json!({"tool_calls": [{"index": 0, "id": "function-call-1", "type": "function",
        "extra_content": {"google": {"thought_signature": "CkQB"}},
        "function": {"name": "f", "arguments": "{\"a\":1}"}}]});
    let (deltas, _) = steps(&generic(), [chunk(call).as_str()]).unwrap();
    assert_eq!(lines(deltas)[1..], ["call 0 function-call-1 f \"CkQB\"", "arguments 0: {\"a\":1}"]);
}

/// Source: learn.microsoft.com, "Content filtering": a first chunk without choices that tells of the prompt.
#[test]
fn azures_chunk_about_the_prompt_says_nothing_of_the_answer() {
    let said = said(
        "azure_openai",
        r#"
data: {"choices":[],"created":0,"id":"","model":"","object":"chat.completion.chunk","prompt_filter_results":[{"prompt_index":0,"content_filter_results":{"hate":{"filtered":false,"severity":"safe"}}}]}
data: {"choices":[{"content_filter_results":{},"delta":{"content":"","refusal":null,"role":"assistant"},"finish_reason":null,"index":0,"logprobs":null}],"created":1,"id":"chatcmpl-a","model":"gpt-4.1","object":"chat.completion.chunk","system_fingerprint":"fp"}
data: {"choices":[{"content_filter_results":{"hate":{"filtered":false,"severity":"safe"}},"delta":{"content":"Hi"},"finish_reason":null,"index":0,"logprobs":null}],"created":1,"id":"chatcmpl-a","model":"gpt-4.1","object":"chat.completion.chunk"}
data: {"choices":[{"content_filter_results":{},"delta":{},"finish_reason":"content_filter","index":0,"logprobs":null}],"created":1,"id":"chatcmpl-a","model":"gpt-4.1","object":"chat.completion.chunk"}
data: [DONE]
"#,
    );
    assert_eq!(said, ["begin chatcmpl-a gpt-4.1", "text: Hi", "finish ContentFilter"]);
}

/// Source: ollama/ollama, `openai/openai.go`: a whole call in one chunk, without a gap in its arguments; and servers that
/// send them as an object, or without an id.
#[test]
fn a_call_in_one_piece_is_a_call_whatever_it_lacks() {
    let call = json!({"tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}, {"function": {"name": "g"}}]});
    let end = json!({"id": "c", "choices": [{"delta": {}, "finish_reason": "stop"}]}).to_string();
    let read = || lines(steps(&provider("ollama"), [chunk(call.clone()).as_str(), end.as_str()]).unwrap().0);
    let said = read();
    assert!(said[1].starts_with("call 0 call_") && said[3].starts_with("call 1 call_"), "{said:?}");
    assert_ne!(said[1].split(' ').nth(2), said[3].split(' ').nth(2));
    assert_eq!(said[2], "arguments 0: {\"a\":1}");
    assert_eq!(said[4..], ["arguments 1: {}", "finish ToolCalls"]);
    assert_eq!(said, read(), "made ids are the same each time");
}

#[test]
fn a_name_that_comes_late_does_not_lose_the_arguments() {
    let fragments = [
        json!({"tool_calls": [{"index": 0, "id": "a", "type": "function", "function": {"arguments": "{\"x\""}}]}),
        json!({"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": ":1}"}}]}),
    ]
    .map(chunk);
    let (deltas, _) = steps(&generic(), fragments.iter().map(String::as_str)).unwrap();
    assert_eq!(lines(deltas)[1..], ["call 0 a f", "arguments 0: {\"x\":1}"]);
}

#[test]
fn refusals_citations_sound_pictures_and_probabilities_are_steps() {
    let fragments = [
        json!({"refusal": "No."}),
        json!({"annotations": [{"type": "url_citation", "url_citation": {"url": "https://x.example"}}]}),
        json!({"audio": {"id": "audio_1", "data": "aGk="}}),
        json!({"images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}]}),
    ]
    .map(chunk);
    let probable =
        json!({"choices": [{"index": 0, "delta": {"content": "a"}, "logprobs": {"content": []}}]}).to_string();
    let data = fragments.iter().map(String::as_str).chain([probable.as_str()]);
    let (deltas, reader) = steps(&generic(), data).unwrap();
    let kinds: Vec<String> = lines(deltas).iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(kinds, ["begin", "refusal:", "citation", "audio", "part", "text:", "logprobs"]);
    assert!(!reader.is_finished(), "a stream that ends here was cut");
}

#[test]
fn reasons_to_end_mean_what_each_provider_means_by_them() {
    let end = |reason: &str| {
        let end = json!({"choices": [{"index": 0, "delta": {"content": "x"}, "finish_reason": reason}]}).to_string();
        steps(&generic(), [end.as_str()]).map(|(deltas, _)| lines(deltas).pop().unwrap())
    };
    for (reason, expected) in [
        ("stop", "finish Stop"),
        ("length", "finish Length"),
        ("model_length", "finish ContextWindow"),
        ("sensitive", "finish ContentFilter"),
        ("function_call", "finish ToolCalls"),
        ("unheard_of", "finish Other(\"unheard_of\")"),
    ] {
        assert_eq!(end(reason).unwrap(), expected);
    }
    for failure in ["error", "network_error", "insufficient_system_resource"] {
        assert_eq!(end(failure).unwrap_err().code(), "upstream_unavailable");
    }
}

#[test]
fn an_error_within_a_stream_and_what_is_no_chunk_end_it() {
    let failed = |data: &str| steps(&generic(), [data]).err().map(|error| error.code());
    let (_, mut reader) = steps(&generic(), []).unwrap();
    assert!(!reader.is_finished() && reader.read(None, " [DONE] ").unwrap().is_empty() && reader.is_finished());
    for frame in super::data(fixture!("gateway_error_frame.sse")).filter(|data| data.contains("error")) {
        assert!(failed(frame).is_some_and(|code| code.starts_with("upstream_")), "{frame}");
    }
    assert_eq!(
        failed(r#"{"choices":[{"index":0,"error":{"code":429,"message":"m"}}]}"#),
        Some("upstream_rate_limited")
    );
    assert_eq!(failed(r#"{"base_resp":{"status_code":1002,"status_msg":"m"}}"#), Some("upstream_rate_limited"));
    for garbage in [
        "",
        "{",
        "[]",
        "{}",
        r#"{"choices":{}}"#,
        r#"{"choices":[7]}"#,
        r#"{"choices":[{"index":-1}]}"#,
        r#"{"choices":[{"index":9999}]}"#,
        r#"{"choices":[{"delta":"x"}]}"#,
        r#"{"choices":[{"delta":{"content":7}}]}"#,
        r#"{"choices":[{"delta":{},"finish_reason":7}]}"#,
        r#"{"choices":[{"delta":{"tool_calls":["x"]}}]}"#,
    ] {
        assert_eq!(failed(garbage), Some("upstream_garbage"), "{garbage}");
    }
    let half = &chunk(json!({"content": "a"}))[..40];
    assert!(matches!(steps(&generic(), [half]).err(), Some(RelayError::UpstreamGarbage(_))));
}
