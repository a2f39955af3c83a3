//! A short stream of every compatible provider that has no test of its own in `heard.rs`, in the form that the documents of
//! its row describe: where thoughts and usage are, which fields are absent, null or empty. What must pass a row without
//! harm and what must not.

use serde_json::{Map, Value, json};

use super::{object, provider, said};
use crate::providers::compatible::COMPATIBLE;

/// Chunks that have these fields in common, and the end marker.
fn stream(common: &Value, chunks: &[Value]) -> String {
    let whole = |chunk: &Value| {
        let mut whole = common.as_object().cloned().unwrap_or_default();
        whole.extend(chunk.as_object().cloned().unwrap_or_default());
        format!("data: {}\n\n", Value::Object(whole))
    };
    chunks.iter().map(whole).collect::<String>() + "data: [DONE]\n\n"
}

/// A chunk of the one choice, with what stands beside its delta.
#[expect(clippy::needless_pass_by_value, reason = "tests give it literals")]
fn delta(delta: Value, beside: Value) -> Value {
    let mut choice = json!({"index": 0, "delta": delta});
    choice.as_object_mut().unwrap().extend(object(beside));
    json!({"choices": [choice]})
}

fn common(model: &str) -> Value {
    json!({"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": model})
}

/// Provider, its stream, its input, cached input, output and reasoning in tokens. Each thinks "Hm." and says "Hello.".
fn streams() -> Vec<(&'static str, String, [u64; 4])> {
    vec![qwen(), zhipu(), qianfan(), volcengine(), hunyuan(), xai(), ollama(), vllm(), llama_cpp(), lm_studio()]
}

/// "Deep thinking" of Model Studio: content and thoughts are null by turns, `usage` is null until a chunk of its own.
fn qwen() -> (&'static str, String, [u64; 4]) {
    let open = || json!({"finish_reason": null, "logprobs": null});
    let chunks = [
        delta(json!({"content": null, "role": "assistant", "reasoning_content": ""}), open()),
        delta(json!({"content": null, "reasoning_content": "Hm."}), open()),
        delta(json!({"content": "Hello.", "reasoning_content": null}), open()),
        delta(json!({"content": "", "reasoning_content": null}), json!({"finish_reason": "stop", "logprobs": null})),
        json!({"choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 7, "total_tokens": 17,
            "prompt_tokens_details": {"cached_tokens": 4}, "completion_tokens_details": {"reasoning_tokens": 3}}}),
    ];
    let mut common = common("qwen-plus");
    common.as_object_mut().unwrap().extend(object(json!({"usage": null, "system_fingerprint": null})));
    ("qwen", stream(&common, &chunks), [10, 4, 7, 3])
}

/// "对话补全": no `object`, no empty finish reasons, the usage in the last chunk without being asked for.
fn zhipu() -> (&'static str, String, [u64; 4]) {
    let chunks = [
        delta(json!({"role": "assistant", "reasoning_content": "Hm."}), json!({})),
        delta(json!({"role": "assistant", "content": "Hello."}), json!({})),
        json!({"choices": [{"index": 0, "finish_reason": "stop", "delta": {"role": "assistant", "content": ""}}],
            "usage": {"prompt_tokens": 8, "completion_tokens": 7, "total_tokens": 15,
                "prompt_tokens_details": {"cached_tokens": 2}}}),
    ];
    let common = json!({"id": "c1", "created": 1, "request_id": "c1", "model": "glm-4.6"});
    ("zhipu", stream(&common, &chunks), [8, 2, 7, 0])
}

/// "对话Chat" of Qianfan's API V2: every choice has a `flag`; `usage` in a chunk of its own with `include_usage`.
fn qianfan() -> (&'static str, String, [u64; 4]) {
    let chunks = [
        delta(json!({"content": "", "reasoning_content": "Hm.", "role": "assistant"}), json!({"flag": 0})),
        delta(json!({"content": "Hello."}), json!({"flag": 0})),
        delta(json!({"content": ""}), json!({"finish_reason": "stop", "flag": 0})),
        json!({"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 6, "total_tokens": 15}}),
    ];
    ("qianfan", stream(&common("ernie-x1-turbo-32k"), &chunks), [9, 0, 6, 0])
}

/// "Chat API" of Ark: `service_tier` everywhere, details of both sides of the usage.
fn volcengine() -> (&'static str, String, [u64; 4]) {
    let chunks = [
        delta(json!({"content": "", "reasoning_content": "Hm.", "role": "assistant"}), json!({})),
        delta(json!({"content": "Hello.", "role": "assistant"}), json!({})),
        delta(json!({"content": "", "role": "assistant"}), json!({"finish_reason": "stop"})),
        json!({"choices": [], "usage": {"prompt_tokens": 12, "completion_tokens": 8, "total_tokens": 20,
            "prompt_tokens_details": {"cached_tokens": 5}, "completion_tokens_details": {"reasoning_tokens": 4}}}),
    ];
    let mut common = common("doubao-seed-1-6-250615");
    common.as_object_mut().unwrap().extend(object(json!({"service_tier": "default", "usage": null})));
    ("volcengine", stream(&common, &chunks), [12, 5, 8, 4])
}

/// "混元 OpenAI 兼容接口": finish reasons are empty until the last, a `note` beside, the usage grows in every chunk.
fn hunyuan() -> (&'static str, String, [u64; 4]) {
    let used = |output: u64| json!({"prompt_tokens": 6, "completion_tokens": output, "total_tokens": 6 + output});
    let with = |mut chunk: Value, output: u64| {
        chunk["usage"] = used(output);
        chunk
    };
    let chunks = [
        with(delta(json!({"role": "assistant", "reasoning_content": "Hm."}), json!({"finish_reason": ""})), 2),
        with(delta(json!({"role": "assistant", "content": "Hello."}), json!({"finish_reason": ""})), 4),
        with(delta(json!({"role": "assistant", "content": ""}), json!({"finish_reason": "stop"})), 5),
    ];
    let mut common = common("hunyuan-t1-latest");
    common.as_object_mut().unwrap().extend(object(json!({"system_fingerprint": "", "note": "AI"})));
    ("hunyuan", stream(&common, &chunks), [6, 0, 5, 0])
}

/// "Reasoning" of xAI's guides: reasoning is counted beside the completion.
fn xai() -> (&'static str, String, [u64; 4]) {
    let chunks = [
        delta(json!({"reasoning_content": "Hm.", "role": "assistant"}), json!({})),
        delta(json!({"content": "Hello.", "role": "assistant"}), json!({})),
        delta(json!({}), json!({"finish_reason": "stop"})),
        json!({"choices": [], "usage": {"prompt_tokens": 32, "completion_tokens": 9, "total_tokens": 135,
            "prompt_tokens_details": {"text_tokens": 32, "audio_tokens": 0, "image_tokens": 0, "cached_tokens": 6},
            "completion_tokens_details": {"reasoning_tokens": 94, "audio_tokens": 0}, "num_sources_used": 0}}),
    ];
    ("xai", stream(&common("grok-3-mini"), &chunks), [32, 6, 103, 94])
}

/// "OpenAI compatibility" of Ollama: thoughts in `reasoning`.
fn ollama() -> (&'static str, String, [u64; 4]) {
    let open = || json!({"finish_reason": null});
    let chunks = [
        delta(json!({"role": "assistant", "content": "", "reasoning": "Hm."}), open()),
        delta(json!({"role": "assistant", "content": "Hello."}), open()),
        delta(json!({"role": "assistant", "content": ""}), json!({"finish_reason": "stop"})),
        json!({"choices": [], "usage": {"prompt_tokens": 15, "completion_tokens": 6, "total_tokens": 21}}),
    ];
    ("ollama", stream(&common("qwen3:8b"), &chunks), [15, 0, 6, 0])
}

/// "Reasoning outputs" of vLLM: the same thoughts under the new name and the old, token ids that are null.
fn vllm() -> (&'static str, String, [u64; 4]) {
    let open = || json!({"logprobs": null, "finish_reason": null, "token_ids": null});
    let mut first = delta(json!({"role": "assistant", "content": ""}), open());
    first["prompt_token_ids"] = Value::Null;
    let chunks = [
        first,
        delta(json!({"reasoning": "Hm.", "reasoning_content": "Hm."}), open()),
        delta(json!({"content": "Hello."}), open()),
        delta(json!({"content": ""}), json!({"finish_reason": "stop", "stop_reason": null, "token_ids": null})),
        json!({"choices": [], "usage": {"prompt_tokens": 14, "total_tokens": 20, "completion_tokens": 6,
            "prompt_tokens_details": null}}),
    ];
    ("vllm", stream(&common("Qwen/Qwen3-8B"), &chunks), [14, 0, 6, 0])
}

/// The server's README of llama.cpp: a first chunk of null, `timings` at the end.
fn llama_cpp() -> (&'static str, String, [u64; 4]) {
    let open = || json!({"finish_reason": null});
    let chunks = [
        delta(json!({"role": "assistant", "content": null}), open()),
        delta(json!({"reasoning_content": "Hm."}), open()),
        delta(json!({"content": "Hello."}), open()),
        delta(json!({}), json!({"finish_reason": "stop"})),
        json!({"choices": [], "usage": {"completion_tokens": 6, "prompt_tokens": 11, "total_tokens": 17},
            "timings": {"cache_n": 5, "prompt_n": 6, "predicted_n": 6, "predicted_ms": 80.5}}),
    ];
    ("llama_cpp", stream(&common("gpt-oss-20b"), &chunks), [11, 0, 6, 0])
}

/// "OpenAI compatibility" of LM Studio.
fn lm_studio() -> (&'static str, String, [u64; 4]) {
    let open = || json!({"logprobs": null, "finish_reason": null});
    let chunks = [
        delta(json!({"role": "assistant", "reasoning_content": "Hm."}), open()),
        delta(json!({"role": "assistant", "content": "Hello."}), open()),
        delta(json!({}), json!({"logprobs": null, "finish_reason": "stop"})),
        json!({"choices": [], "usage": {"prompt_tokens": 13, "completion_tokens": 6, "total_tokens": 19,
            "completion_tokens_details": {"reasoning_tokens": 2}}}),
    ];
    ("lm_studio", stream(&common("qwen/qwen3-8b"), &chunks), [13, 0, 6, 2])
}

#[test]
fn every_compatible_provider_is_heard_in_the_form_that_its_documents_describe() {
    for (id, stream, usage) in streams() {
        let mut said = said(id, &stream);
        // Where it grows with every chunk, the last one counts.
        let last = said.pop();
        said.retain(|line| !line.starts_with("usage"));
        assert_eq!(said[1..], ["thought: Hm.", "text: Hello.", "finish Stop"], "{id}");
        assert_eq!(last, Some(format!("usage {usage:?}")), "{id}");
    }
    // Those that have a test of their own, and those that are OpenAI's own protocol or any.
    let elsewhere = ["deepseek", "mistral", "groq", "moonshot", "minimax", "openrouter", "openai", "openai_compatible"];
    for row in &COMPATIBLE {
        let is_here = streams().iter().any(|(id, ..)| *id == row.id);
        let is_there = elsewhere.contains(&row.id) || row.id.starts_with("azure_openai");
        assert!(is_here != is_there, "{} has no stream, or two", row.id);
    }
}

/// Every parameter of chat completions that has no rule beyond its name, and one that nobody knows.
fn parameters() -> Map<String, Value> {
    object(json!({
        "model": "m", "frequency_penalty": 0.1, "presence_penalty": 0.2, "logit_bias": {"5": 1}, "logprobs": true,
        "top_logprobs": 2, "n": 1, "seed": 7, "stop": ["x"], "top_p": 0.9, "top_k": 5, "user": "u", "store": false,
        "metadata": {"k": "v"}, "service_tier": "auto", "prompt_cache_key": "p", "safety_identifier": "s",
        "verbosity": "low", "parallel_tool_calls": true, "modalities": ["text"], "prediction": {"type": "content"},
        "web_search_options": {}, "audio": {"voice": "alloy"}, "future": {"x": [1.5, null]},
    }))
}

#[test]
fn of_what_a_client_says_each_provider_gets_all_but_what_its_row_drops_or_renames() {
    for row in &COMPATIBLE {
        let mut body = parameters();
        provider(row.id).quirks().adapt(&mut body);
        for (name, value) in parameters() {
            let new = row.quirks.renamed.iter().find(|(old, _)| *old == name).map_or(name.as_str(), |(_, new)| *new);
            let is_dropped = row.quirks.dropped.contains(&name.as_str());
            assert_eq!(body.get(new), (!is_dropped).then_some(&value), "{}: {name}", row.id);
        }
        assert!(!row.quirks.dropped.contains(&"future"));
        assert!(row.quirks.renamed.iter().all(|(old, _)| !body.contains_key(*old)), "{}", row.id);
    }
}
