//! Requests: what clients ask, and what of it goes upstream.

use super::*;
use crate::InvalidRequest;
use crate::model::{
    Author, Effort, MediaSource, Message, OutputFormat, Part, Reasoning, Tool, ToolChoice, ToolOutcome,
};

const REQUEST: &str = include_str!("../../../../tests/fixtures/anthropic_request.json");

fn request() -> Prompt {
    asked(serde_json::from_str(REQUEST).unwrap())
}

fn refused(body: Value) -> InvalidRequest {
    let Err(error) = Served::read(&Messages, object(body)) else { panic!("it was accepted") };
    error
}

fn user(content: impl Into<Value>) -> Value {
    json!({"model": "m", "messages": [{"role": "user", "content": content.into()}]})
}

#[test]
fn a_request_with_everything_is_read() {
    let prompt = request();
    let authors: Vec<_> = prompt.messages.iter().map(|message| message.author).collect();
    assert_eq!(authors, [Author::System, Author::User, Author::Assistant, Author::User]);
    let ephemeral = Some(json!({"type": "ephemeral"}));
    let report = Part::File {
        name: Some("Report".to_owned()),
        source: MediaSource::Uploaded("file_011CNha8iCJcU1wXNR6q4V8w".to_owned()),
        cache: ephemeral.clone(),
    };
    assert!(prompt.messages[1].parts[2] == report);
    assert_eq!(prompt.tools.len(), 2);
    assert!(matches!(&prompt.tools[0], Tool::Function { strict: Some(true), cache, .. } if *cache == ephemeral));
    assert!(matches!(&prompt.tools[1], Tool::Other(tool) if tool.value["name"] == "web_search"));
    assert_eq!((prompt.tool_choice, prompt.parallel_tool_calls), (Some(ToolChoice::Auto), Some(false)));
    let thinking = Reasoning { effort: Some(Effort::Medium), budget_tokens: None, visible: Some(true) };
    assert_eq!(prompt.reasoning, Some(thinking));
    assert!(matches!(prompt.format, OutputFormat::Schema { .. }));
    assert_eq!(prompt.user_tag.as_deref(), Some("13803d75-b4b5-4c3e-b2a2-6f21399b021b"));
    assert_eq!(prompt.service_tier.as_deref(), Some("default"));
    assert_eq!(prompt.extra.unwrap().value, json!({"container": "container_011CPR5CNjB747bTd36fQLFk"}));
}

#[test]
fn outcomes_of_tools_are_named_after_their_calls() {
    let prompt = request();
    let outcomes: Vec<&ToolOutcome> = prompt.messages[3]
        .parts
        .iter()
        .filter_map(|part| if let Part::ToolResult(outcome) = part { Some(outcome) } else { None })
        .collect();
    assert_eq!(outcomes[0].name.as_deref(), Some("get_weather"));
    assert!(outcomes[0].content == [Part::text("15 degrees")] && !outcomes[0].is_error);
    assert_eq!((outcomes[1].name.as_deref(), outcomes[1].content.len()), (Some("get_time"), 2));
    assert!(outcomes[1].is_error);
}

#[test]
fn a_request_with_everything_says_the_same_upstream() {
    let prompt = request();
    let body = written(&prompt);
    assert!(asked(body.clone()) == prompt);
    let original: Value = serde_json::from_str(REQUEST).unwrap();
    for same in
        ["system", "tools", "tool_choice", "thinking", "output_config", "metadata", "container", "stop_sequences"]
    {
        assert_eq!(body[same], original[same], "{same}");
    }
}

#[test]
fn malformed_requests_are_refused_with_the_place() {
    let place = |body| refused(body).param.unwrap();
    assert_eq!(place(json!({"messages": []})), "model");
    assert_eq!(place(json!({"model": "m"})), "messages");
    assert_eq!(place(json!({"model": "m", "messages": []})), "messages");
    assert_eq!(place(json!({"model": "m", "messages": [{"role": "tool", "content": ""}]})), "messages.0.role");
    assert_eq!(place(user(json!(7))), "messages.0.content");
    assert_eq!(place(user(json!([{"text": "x"}]))), "messages.0.content.0.type");
    assert_eq!(
        place(user(json!([{"type": "image", "source": {"type": "base64"}}]))),
        "messages.0.content.0.source.media_type"
    );
    let nested = json!([{"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text"}]}]);
    assert_eq!(place(user(nested)), "messages.0.content.0.content.0.text");
    let mut body = user(json!("x"));
    body["tool_choice"] = json!({"type": "always"});
    assert_eq!(place(body), "tool_choice.type");
}

#[test]
fn documents_of_text_and_search_results_are_files_that_every_dialect_knows() {
    let content = json!([{"type": "text", "text": "first"}, {"type": "text", "text": "second"}]);
    let prompt = asked(user(json!([
        {"type": "document", "source": {"type": "content", "content": content}},
        {"type": "search_result", "source": "https://example.com", "title": "Found", "content": content},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "plain"}},
    ])));
    let text = |text: &str| MediaSource::Text(text.to_owned());
    let file = |name: Option<&str>, source| Part::File { name: name.map(str::to_owned), source, cache: None };
    let expected =
        [file(None, text("first\nsecond")), file(Some("Found"), text("first\nsecond")), file(None, text("plain"))];
    assert!(prompt.messages[0].parts == expected);
}

#[test]
fn the_answer_is_bounded_even_where_the_client_says_nothing() {
    let bound = |model: &str| written(&asked_with(model, json!({})))["max_tokens"].clone();
    assert_eq!(bound("claude-3-haiku-20240307"), 4_096);
    assert_eq!(bound("claude-opus-4-6"), 32_000);
    assert_eq!(bound("somebody-elses"), 8_192);
    assert_eq!(written(&asked_with("m", json!({"max_tokens": 0})))["max_tokens"], 0);
}

#[test]
fn turns_alternate_the_operators_words_are_gathered_and_outcomes_come_first() {
    let message = |author, text: &str| Message::text(author, text);
    let outcome =
        ToolOutcome { call_id: "functions.f:0".to_owned(), name: None, content: vec![], is_error: false, cache: None };
    let call = Part::ToolCall {
        id: "functions.f:0".to_owned(),
        name: "f".to_owned(),
        arguments: "not json".to_owned(),
        custom: false,
        signature: None,
    };
    let parts = vec![Part::text("late"), Part::ToolResult(outcome)];
    let prompt = Prompt {
        model: "m".to_owned(),
        messages: vec![
            message(Author::System, "one"),
            message(Author::User, "a"),
            message(Author::System, "two"),
            message(Author::User, "b"),
            Message { author: Author::Assistant, name: None, parts: vec![call] },
            message(Author::User, " "),
            Message { author: Author::User, name: None, parts },
        ],
        ..Prompt::default()
    };
    let body = written(&prompt);
    assert_eq!(body["system"], json!([{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]));
    let expected = json!([
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {"role": "assistant", "content":
            [{"type": "tool_use", "id": "functions_f_0", "name": "f", "input": {"input": "not json"}}]},
        {"role": "user", "content":
            [{"type": "tool_result", "tool_use_id": "functions_f_0"}, {"type": "text", "text": "late"}]},
    ]);
    assert_eq!(body["messages"], expected);
}

#[test]
fn where_only_the_operator_speaks_his_words_are_asked() {
    let prompt = Prompt { messages: vec![Message::text(Author::System, "Say hi.")], ..Prompt::default() };
    let body = written(&prompt);
    assert_eq!(body["messages"], json!([{"role": "user", "content": [{"type": "text", "text": "Say hi."}]}]));
    assert!(body.get("system").is_none());
}

#[test]
fn a_temperature_beyond_the_dialects_is_its_highest() {
    let sampled = |model: &str, parameters| written(&asked_with(model, parameters));
    assert_eq!(sampled("claude-3-haiku", json!({"temperature": 1.7}))["temperature"], 1.0);
    let both = sampled("claude-opus-4-5", json!({"temperature": 0.5, "top_p": 0.9}));
    assert_eq!((&both["temperature"], both.get("top_p")), (&json!(0.5), None));
    let newest = sampled("claude-opus-4-7", json!({"temperature": 0.5, "top_p": 0.9, "top_k": 3}));
    assert!(["temperature", "top_p", "top_k"].iter().all(|key| newest.get(key).is_none()));
}

#[test]
fn a_budget_of_thinking_fits_into_the_answer() {
    let budget = |parameters: Value| written(&asked_with("claude-sonnet-4-5", parameters))["thinking"].clone();
    let wish = |tokens: u32| json!({"type": "enabled", "budget_tokens": tokens});
    assert_eq!(budget(json!({"max_tokens": 4096, "thinking": wish(2048)})), wish(2048));
    assert_eq!(budget(json!({"max_tokens": 4096, "thinking": wish(9000)})), wish(3072));
    assert_eq!(budget(json!({"max_tokens": 4096, "thinking": wish(5)})), wish(1024));
    assert_eq!(budget(json!({"max_tokens": 1000, "thinking": wish(2000)})), Value::Null);
    assert_eq!(budget(json!({"thinking": {"type": "disabled"}})), json!({"type": "disabled"}));
    assert_eq!(budget(json!({"output_config": {"effort": "high"}})), wish(24_576));
}

#[test]
fn a_model_that_decides_itself_gets_the_effort_and_an_old_one_nothing() {
    let body =
        written(&asked_with("claude-opus-4-7", json!({"thinking": {"type": "enabled", "budget_tokens": 30_000}})));
    assert_eq!((&body["thinking"], &body["output_config"]), (&json!({"type": "adaptive"}), &json!({"effort": "max"})));
    let old = written(&asked_with("claude-3-5-sonnet-20241022", json!({"output_config": {"effort": "low"}})));
    assert!(old.get("thinking").is_none() && old.get("output_config").is_none());
}

#[test]
fn with_thinking_nothing_is_said_about_sampling_and_a_forced_call_wins_over_thinking() {
    let tools = json!([{"name": "f", "input_schema": {"type": "object"}}]);
    let thinking = json!({"type": "enabled", "budget_tokens": 2000});
    let sampled = json!({"thinking": thinking, "temperature": 0.2, "top_k": 4, "top_p": 0.5, "tools": tools});
    let body = written(&asked_with("claude-sonnet-4-5", sampled));
    assert!(["temperature", "top_p", "top_k"].iter().all(|key| body.get(key).is_none()));
    let forced = json!({"thinking": thinking, "temperature": 0.2, "tools": tools, "tool_choice": {"type": "any"}});
    let body = written(&asked_with("claude-sonnet-4-5", forced));
    assert_eq!((body.get("thinking"), &body["temperature"]), (None, &json!(0.2)));
}

#[test]
fn thoughts_that_nobody_signed_stay_here_and_a_budget_with_them() {
    let call = json!({"type": "tool_use", "id": "t", "name": "f", "input": {}});
    let turns = |thinking: Value| {
        json!({"thinking": {"type": "enabled", "budget_tokens": 2000}, "messages": [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": [thinking, call]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t"}]},
        ]})
    };
    let unsigned = turns(json!({"type": "thinking", "thinking": "hm", "signature": ""}));
    let body = written(&asked_with("claude-sonnet-4-5", unsigned));
    assert_eq!(body["messages"][1]["content"], json!([call]));
    assert!(body.get("thinking").is_none());
    let signed = turns(json!({"type": "thinking", "thinking": "hm", "signature": "EqQB"}));
    let body = written(&asked_with("claude-sonnet-4-5", signed));
    assert_eq!(body["messages"][1]["content"][0]["signature"], "EqQB");
    assert_eq!(body["thinking"]["budget_tokens"], 2000);
}

#[test]
fn a_choice_without_tools_is_not_sent_and_one_call_at_a_time_is_said_without_a_choice() {
    let nothing = written(&asked_with("m", json!({"tool_choice": {"type": "any"}})));
    assert!(nothing.get("tool_choice").is_none());
    let mut prompt = asked_with("m", json!({"tools": [{"name": "f", "input_schema": {"type": "object"}}]}));
    prompt.parallel_tool_calls = Some(false);
    assert_eq!(written(&prompt)["tool_choice"], json!({"type": "auto", "disable_parallel_tool_use": true}));
}

#[test]
fn what_others_can_say_is_put_in_this_dialects_words_or_left_out() {
    let inline = |media_type: &str, base64: &str| MediaSource::Inline {
        media_type: media_type.to_owned(),
        base64: base64.to_owned(),
    };
    let file = |source| Part::File { name: None, source, cache: None };
    let picture = Part::Image { source: inline("image/jpg", "/9j/"), detail: Some("low".to_owned()), cache: None };
    let parts = vec![
        picture,
        file(inline("text/plain", "aGVsbG8=")),
        file(inline("image/png", "iVBO")),
        file(inline("application/pdf", "JVBE")),
        Part::Refusal("No.".to_owned()),
        Part::text("  "),
    ];
    let prompt = Prompt {
        messages: vec![Message { author: Author::User, name: Some("Ann".to_owned()), parts }],
        tools: vec![Tool::Custom { name: "patch".to_owned(), description: None, format: None }],
        service_tier: Some("flex".to_owned()),
        candidates: Some(2),
        logprobs: Some(3),
        ..Prompt::default()
    };
    let body = written(&prompt);
    let expected = json!([
        {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "/9j/"}},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "hello"}},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"}},
        {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"}},
        {"type": "text", "text": "No."},
    ]);
    assert_eq!(body["messages"][0]["content"], expected);
    assert_eq!(body["tools"][0]["input_schema"]["required"], json!(["input"]));
    assert_eq!(body["service_tier"], "auto");
    assert!(["seed", "n", "logprobs", "stream"].iter().all(|key| body.get(key).is_none()));
}
