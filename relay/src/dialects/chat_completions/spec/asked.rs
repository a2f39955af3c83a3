//! What upstreams are asked, each in its own terms.

use serde_json::{Value, json};

use super::{object, prompt, provider};
use crate::Spoken;
use crate::dialects::chat_completions::{Quirks, Upstream};
use crate::model::{Author, MediaSource, Message, Opaque, Part, Prompt, ToolOutcome};
use crate::{Dialect, Served};

fn asked(id: &str, body: Value) -> Value {
    provider(id).write(&prompt(body)).into()
}

/// A client's whole request.
fn request() -> Value {
    json!({
        "model": "m",
        "messages": [
            {"role": "developer", "content": [{"type": "text", "text": "Be"}, {"type": "text", "text": "brief."}]},
            {"role": "user", "name": "ann", "content": "Hello"},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}, "strict": true}}],
        "tool_choice": "required",
        "max_tokens": 100,
        "temperature": 1.9,
        "top_k": 40,
        "seed": 7,
        "n": 1,
        "presence_penalty": 0.5,
        "logprobs": true,
        "top_logprobs": 2,
        "user": "u-1",
        "reasoning_effort": "xhigh",
        "response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object"}}},
        "stream": true,
    })
}

#[test]
fn openai_is_asked_as_its_documentation_says() {
    let expected = json!({
        "model": "m",
        "messages": [
            {"role": "system", "content": [{"type": "text", "text": "Be"}, {"type": "text", "text": "brief."}]},
            {"role": "user", "content": "Hello", "name": "ann"},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}, "strict": true}}],
        "tool_choice": "required",
        "max_completion_tokens": 100,
        "temperature": 1.9,
        "seed": 7,
        "n": 1,
        "presence_penalty": 0.5,
        "logprobs": true,
        "top_logprobs": 2,
        "user": "u-1",
        "reasoning_effort": "xhigh",
        "response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object"}}},
        "stream": true,
        "stream_options": {"include_usage": true},
    });
    assert_eq!(asked("openai", request()), expected);
}

/// What the bodies differ in from that for OpenAI; `null` where a parameter is absent. Sources: the providers' rows.
#[test]
// tidy: long because it is one table, a row for each provider
fn each_provider_is_asked_in_its_own_terms() {
    let absent = Value::Null;
    let json_object = json!({"type": "json_object"});
    let plain_tool = json!({"name": "f", "parameters": {"type": "object"}});
    for (id, differences) in [
        (
            "deepseek",
            vec![
                ("/max_tokens", json!(100)),
                ("/max_completion_tokens", absent.clone()),
                ("/messages/0/content", json!("Be\n\nbrief.")),
                ("/seed", absent.clone()),
                ("/thinking/type", json!("enabled")),
                ("/reasoning_effort", json!("max")),
                ("/response_format", json_object.clone()),
            ],
        ),
        (
            "moonshot",
            vec![
                ("/temperature", absent.clone()),
                ("/n", absent.clone()),
                ("/max_completion_tokens", json!(100)),
                ("/tools/0/function", plain_tool.clone()),
            ],
        ),
        (
            "zhipu",
            vec![
                ("/max_tokens", json!(100)),
                ("/temperature", json!(1.0)),
                ("/tool_choice", json!("auto")),
                ("/stream_options", absent.clone()),
                ("/user_id", json!("u-1")),
                ("/user", absent.clone()),
                ("/messages/1/name", absent.clone()),
                ("/presence_penalty", absent.clone()),
                ("/thinking", json!({"type": "enabled"})),
                ("/tools/0/function", plain_tool),
                ("/response_format", json_object),
            ],
        ),
        (
            "qwen",
            vec![
                ("/enable_thinking", json!(true)),
                ("/thinking_budget", json!(32_768)),
                ("/tool_choice", json!("auto")),
                ("/top_k", json!(40)),
            ],
        ),
        ("qianfan", vec![("/enable_thinking", json!(true)), ("/temperature", json!(1.0)), ("/n", absent.clone())]),
        ("volcengine", vec![("/thinking/type", json!("enabled")), ("/reasoning_effort", json!("high"))]),
        ("hunyuan", vec![("/thinking/type", json!("enabled")), ("/max_tokens", json!(100))]),
        ("minimax", vec![("/reasoning_split", json!(true)), ("/temperature", json!(1.0)), ("/n", absent.clone())]),
        (
            "mistral",
            vec![
                ("/random_seed", json!(7)),
                ("/seed", absent.clone()),
                ("/tool_choice", json!("any")),
                ("/user", absent.clone()),
                ("/stream_options", absent.clone()),
                ("/temperature", json!(1.5)),
                ("/reasoning_effort", json!("high")),
            ],
        ),
        ("groq", vec![("/logprobs", absent.clone()), ("/n", absent.clone()), ("/messages/1/name", absent.clone())]),
        ("xai", vec![("/presence_penalty", absent.clone()), ("/reasoning_effort", absent.clone())]),
        ("openrouter", vec![("/reasoning", json!({"effort": "xhigh"})), ("/reasoning_effort", absent.clone())]),
        ("ollama", vec![("/reasoning_effort", json!("high")), ("/max_tokens", json!(100))]),
        ("vllm", vec![("/chat_template_kwargs/reasoning_effort", json!("high")), ("/top_k", json!(40))]),
        ("llama_cpp", vec![("/chat_template_kwargs/enable_thinking", json!(true))]),
    ] {
        let body = asked(id, request());
        for (pointer, expected) in differences {
            assert_eq!(body.pointer(pointer).unwrap_or(&Value::Null), &expected, "{id} {pointer}");
        }
        assert_eq!(body["messages"][0]["role"], "system", "{id}");
        assert_eq!(body["stream"], true, "{id}");
    }
}

#[test]
fn a_body_that_passes_through_is_put_into_the_same_terms_and_only_once() {
    let mut body = object(request());
    body.insert("something_new".to_owned(), json!({"deep": [1]}));
    body.insert("stream_options".to_owned(), json!({"include_obfuscation": false}));
    let quirks = provider("deepseek").quirks().clone();
    quirks.adapt(&mut body);
    let once = body.clone();
    assert_eq!((&once["messages"][0]["role"], &once["max_tokens"]), (&json!("system"), &json!(100)));
    assert_eq!(once["stream_options"], json!({"include_obfuscation": false, "include_usage": true}));
    assert_eq!(once["something_new"], json!({"deep": [1]}));
    quirks.adapt(&mut body);
    assert_eq!(body, once);
    let mut whole = object(json!({"model": "m", "messages": [], "stream_options": {}, "stream": false}));
    Quirks::GENERIC.adapt(&mut whole);
    assert!(!whole.contains_key("stream_options"));
    let mut without = object(json!({"tools": [1], "tool_choice": "none"}));
    provider("zhipu").quirks().adapt(&mut without);
    assert!(!without.contains_key("tools") && !without.contains_key("tool_choice"));
}

/// A client that talked with one provider goes on with another: what the first one's answers left in the conversation is
/// put into the second one's terms, or left out.
#[test]
fn what_other_servers_left_in_a_conversation_does_not_reach_one_that_refuses_it() {
    let body = json!({
        "model": "m",
        "reasoning_effort": "none",
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}},
                {"type": "text", "text": "b"}]},
            {"role": "assistant", "content": "Yes", "reasoning_content": "Hm.",
                "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"},
                    "extra_content": {"google": {"thought_signature": "CkQB"}}}]},
        ],
    });
    let passed = |id: &str| {
        let mut passed = object(body.clone());
        provider(id).quirks().adapt(&mut passed);
        let once = passed.clone();
        provider(id).quirks().adapt(&mut passed);
        assert_eq!(passed, once, "{id}");
        Value::from(passed)
    };
    let openai = passed("openai");
    assert_eq!(openai["messages"][0]["content"], json!([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]));
    let call = json!({"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    assert_eq!(openai["messages"][1], json!({"role": "assistant", "content": "Yes", "tool_calls": [call]}));
    let deepseek = passed("deepseek");
    assert_eq!(deepseek["messages"][0]["content"], "a\n\nb");
    assert_eq!(deepseek["messages"][1]["reasoning_content"], "Hm.");
    assert_eq!((&deepseek["thinking"]["type"], deepseek.get("reasoning_effort")), (&json!("disabled"), None));
    assert_eq!(passed("qwen")["enable_thinking"], false);
    assert_eq!(passed("vllm")["messages"][1]["reasoning"], "Hm.");
    assert_eq!(
        passed("openai_compatible")["messages"][1]["tool_calls"][0]["extra_content"]["google"]["thought_signature"],
        "CkQB"
    );
    assert!(passed("xai").get("reasoning_effort").is_none());
}

#[test]
fn what_a_client_says_in_a_providers_own_words_stays_as_it_is() {
    let mut body =
        object(json!({"thinking": {"type": "disabled"}, "reasoning_effort": "high", "enable_thinking": true}));
    provider("deepseek").quirks().adapt(&mut body);
    assert_eq!(body["thinking"]["type"], "disabled");
    let mut body = object(json!({"reasoning_effort": "default"}));
    provider("groq").quirks().adapt(&mut body);
    assert_eq!(body["reasoning_effort"], "default");
}

#[test]
fn what_a_client_said_beyond_the_model_is_said_again_in_this_dialect_only() {
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "x"}], "web_search_options": {"a": 1}});
    assert_eq!(asked("openai", body)["web_search_options"], json!({"a": 1}));
    let foreign = Opaque { dialect: Dialect::Messages, value: json!({"container": "c"}) };
    let prompt = Prompt { extra: Some(foreign), ..Prompt::default() };
    assert!(!provider("openai").write(&prompt).contains_key("container"));
}

#[test]
fn thoughts_go_back_in_the_field_that_the_server_has_for_them() {
    let answer = json!({"role": "assistant", "reasoning_content": "Hm.", "content": "Yes"});
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "?"}, answer]});
    let message = |id: &str| asked(id, body.clone())["messages"][1].clone();
    assert_eq!(message("openai"), json!({"role": "assistant", "content": "Yes"}));
    assert_eq!(message("deepseek")["reasoning_content"], "Hm.");
    assert_eq!(message("vllm")["reasoning"], "Hm.");
    assert_eq!(message("minimax")["reasoning_details"], json!([{"type": "reasoning.text", "text": "Hm.", "index": 0}]));
    let parts =
        json!([{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}, {"type": "text", "text": "Yes"}]);
    assert_eq!(message("mistral")["content"], parts);
}

#[test]
fn a_signature_goes_back_to_whoever_made_it_and_to_nobody_else() {
    let own = json!({"type": "reasoning.encrypted", "data": "xyz", "format": "openai-responses-v1", "index": 0});
    let call = json!({"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"},
        "extra_content": {"google": {"thought_signature": "CkQB"}}});
    let answer = json!({"role": "assistant", "reasoning_details": [own], "tool_calls": [call]});
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "?"}, answer]});
    let message = |id: &str| asked(id, body.clone())["messages"][1].clone();
    assert_eq!(message("openrouter")["reasoning_details"], json!([own]));
    assert_eq!(message("openai_compatible")["tool_calls"][0], call);
    assert!(message("openai").get("reasoning_details").is_none());
    assert!(message("openai")["tool_calls"][0].get("extra_content").is_none());
    assert_eq!(message("openai")["content"], Value::Null);
}

#[test]
fn calls_of_tools_that_take_text_are_functions_where_only_those_are_known() {
    let call = json!({"id": "a", "type": "custom", "custom": {"name": "sql", "input": "SELECT 1"}});
    let body = json!({"model": "m", "messages": [{"role": "assistant", "tool_calls": [call]}]});
    let message = |id: &str| asked(id, body.clone())["messages"][0]["tool_calls"][0].clone();
    assert_eq!(message("openai"), call);
    let function = json!({"name": "sql", "arguments": "{\"input\":\"SELECT 1\"}"});
    assert_eq!(message("deepseek"), json!({"id": "a", "type": "function", "function": function}));
}

#[test]
fn pictures_in_a_tools_result_follow_as_a_message_because_a_result_is_text() {
    let image = Part::Image {
        source: MediaSource::Inline { media_type: "image/png".to_owned(), base64: "aGk=".to_owned() },
        detail: None,
        cache: None,
    };
    let outcome = |id: &str, content: Vec<Part>| {
        Part::ToolResult(ToolOutcome { call_id: id.to_owned(), name: None, content, is_error: false, cache: None })
    };
    let parts = vec![outcome("a", vec![image]), outcome("b", vec![Part::text("4")]), Part::text("Go on")];
    let message = Message { author: Author::User, name: None, parts };
    let body = provider("openai").write(&Prompt { messages: vec![message], ..Prompt::default() });
    let expected = json!([
        {"role": "tool", "tool_call_id": "a", "content": "See the next message."},
        {"role": "tool", "tool_call_id": "b", "content": "4"},
        {"role": "user", "content": [
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
            {"type": "text", "text": "Go on"},
        ]},
    ]);
    assert_eq!(body["messages"], expected);
}

/// Sources: OpenAI's example requests "Image input" and "Functions" (`openapi.yaml`).
#[test]
fn openais_example_requests_go_upstream_as_they_are() {
    for text in [
        include_str!("../../../../tests/fixtures/openai_image_request.json"),
        include_str!("../../../../tests/fixtures/openai_tools_request.json"),
    ] {
        let body: Value = serde_json::from_str(text).unwrap();
        let mut asked = Upstream::new(Quirks { bound: super::super::Bound::MaxTokens, ..Quirks::OPENAI })
            .write(&super::super::ChatCompletions.read(object(body.clone())).unwrap());
        assert_eq!(asked.shift_remove("stream"), Some(json!(false)));
        assert_eq!(Value::from(asked), body);
    }
}
