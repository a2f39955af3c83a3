//! Requests.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::dialects::claude;
use crate::dialects::converse::block;
use crate::model::{
    Audio, Author, Effort, MediaSource, Message, OutputFormat, Part, Reasoning, Sampling, Tool, ToolChoice, ToolOutcome,
};

fn asking(model: &str, parts: Vec<Part>) -> Prompt {
    let message = Message { author: Author::User, name: None, parts };
    Prompt { model: model.to_owned(), messages: vec![message], ..Prompt::default() }
}

fn content(parts: Vec<Part>) -> Value {
    written(&asking("amazon.nova-pro-v1:0", parts))["messages"][0]["content"].clone()
}

fn inline(media_type: &str, base64: &str) -> MediaSource {
    MediaSource::Inline { media_type: media_type.to_owned(), base64: base64.to_owned() }
}

fn url(url: &str) -> MediaSource {
    MediaSource::Url { url: url.to_owned(), media_type: None }
}

fn file(name: &str, source: MediaSource) -> Part {
    Part::File { name: Some(name.to_owned()), source, cache: None }
}

fn call(id: &str) -> Part {
    Part::ToolCall {
        id: id.to_owned(),
        name: "top_song".to_owned(),
        arguments: "{\"sign\":\"WZPZ\"}".to_owned(),
        custom: false,
        signature: None,
    }
}

fn function(cache: Option<Value>) -> Tool {
    Tool::Function {
        name: "top_song".to_owned(),
        description: Some("Get the most popular song".to_owned()),
        parameters: Some(json!({"type": "object", "properties": {"sign": {"type": "string"}}})),
        strict: None,
        cache,
    }
}

#[test]
fn a_request_with_tools_is_the_documented_one() {
    let outcome = ToolOutcome {
        call_id: "tooluse_1".to_owned(),
        name: None,
        content: vec![Part::text("Elemental Hotel")],
        is_error: true,
        cache: None,
    };
    let thought = Part::Reasoning { text: "hm".to_owned(), signature: Some(claude::signed("EqQB")) };
    let prompt = Prompt {
        model: "anthropic.claude-opus-4-6-v1:0".to_owned(),
        messages: vec![
            Message::text(Author::System, "Be short."),
            Message::text(Author::User, "What is the most popular song on WZPZ?"),
            Message { author: Author::Assistant, name: None, parts: vec![thought, call("tooluse_1")] },
            Message { author: Author::User, name: None, parts: vec![Part::ToolResult(outcome)] },
        ],
        tools: vec![function(Some(json!({"type": "ephemeral", "ttl": "1h"})))],
        tool_choice: Some(ToolChoice::Auto),
        sampling: Sampling { temperature: Some(0.5), top_k: Some(200), ..Sampling::default() },
        max_output_tokens: Some(512),
        stop: vec!["END".to_owned()],
        stream: true,
        ..Prompt::default()
    };
    let schema = json!({"type": "object", "properties": {"sign": {"type": "string"}}});
    let expected = json!({
        "messages": [
            {"role": "user", "content": [{"text": "What is the most popular song on WZPZ?"}]},
            {"role": "assistant", "content": [
                {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "EqQB"}}},
                {"toolUse": {"toolUseId": "tooluse_1", "name": "top_song", "input": {"sign": "WZPZ"}}},
            ]},
            {"role": "user", "content": [{"toolResult": {"toolUseId": "tooluse_1",
                "content": [{"text": "Elemental Hotel"}], "status": "error"}}]},
        ],
        "system": [{"text": "Be short."}],
        "inferenceConfig": {"maxTokens": 512, "temperature": 0.5, "stopSequences": ["END"]},
        "toolConfig": {
            "tools": [
                {"toolSpec": {"name": "top_song", "inputSchema": {"json": schema}, "description": "Get the most popular song"}},
                {"cachePoint": {"type": "default", "ttl": "1h"}},
            ],
            "toolChoice": {"auto": {}},
        },
        "additionalModelRequestFields": {"top_k": 200},
    });
    assert_eq!(written(&prompt), expected);
}

#[test]
fn pictures_documents_and_films_are_told_by_their_format() {
    let blocks = content(vec![
        Part::Image { source: inline("image/jpg", "/9j/"), detail: None, cache: None },
        Part::Image { source: url("s3://bucket/a.webp"), detail: None, cache: None },
        file("Q3 report.pdf", inline("application/pdf", "JVBE")),
        file("table.xlsx", inline("application/octet-stream", "UEsD")),
        file("notes", MediaSource::Text("hello".to_owned())),
        file("film", inline("video/mp4", "AAAA")),
        Part::Audio(Audio { format: "mp3".to_owned(), base64: "SUQz".to_owned(), transcript: None, id: None }),
    ]);
    let expected = json!([
        {"image": {"format": "jpeg", "source": {"bytes": "/9j/"}}},
        {"image": {"format": "webp", "source": {"s3Location": {"uri": "s3://bucket/a.webp"}}}},
        {"document": {"format": "pdf", "name": "Q3 report pdf", "source": {"bytes": "JVBE"}}},
        {"document": {"format": "xlsx", "name": "table xlsx", "source": {"bytes": "UEsD"}}},
        {"document": {"format": "txt", "name": "notes", "source": {"bytes": "aGVsbG8="}}},
        {"video": {"format": "mp4", "source": {"bytes": "AAAA"}}},
        {"audio": {"format": "mp3", "source": {"bytes": "SUQz"}}},
    ]);
    assert_eq!(blocks, expected);
}

#[test]
fn a_picture_that_nothing_fetches_is_told_by_its_address_and_an_upload_elsewhere_is_left_out() {
    let blocks = content(vec![
        Part::Image { source: url("https://x.example/a.png"), detail: None, cache: None },
        Part::Image { source: MediaSource::Uploaded("file-1".to_owned()), detail: None, cache: None },
        Part::text(" "),
    ]);
    assert_eq!(blocks, json!([{"text": "https://x.example/a.png"}]));
}

#[test]
fn documents_of_one_request_have_different_names() {
    let text = || MediaSource::Text("x".to_owned());
    let blocks = content(vec![file("a/b", text()), file("a b", text()), file("", text()), file("a b 2", text())]);
    let names: Vec<_> = blocks.as_array().unwrap().iter().map(|block| block["document"]["name"].clone()).collect();
    assert_eq!(names, ["a b", "a b 2", "document", "a b 2 2"]);
}

#[test]
fn what_may_be_cached_is_marked_after_it() {
    let cache = || Some(json!({"type": "ephemeral"}));
    let text = |text: &str| Part::Text { text: text.to_owned(), citations: vec![], cache: cache() };
    let system = Message { author: Author::System, name: None, parts: vec![text("long")] };
    let mut prompt = asking("m", vec![text("first"), text(" "), Part::text("second")]);
    prompt.messages.insert(0, system);
    let body = written(&prompt);
    let mark = json!({"cachePoint": {"type": "default"}});
    assert_eq!(body["system"], json!([{"text": "long"}, mark]));
    assert_eq!(body["messages"][0]["content"], json!([{"text": "first"}, mark, {"text": "second"}]));
}

#[test]
fn claude_is_told_to_think_and_other_models_are_not() {
    let thinking = |model: &str, effort| {
        let reasoning = Some(Reasoning { effort: Some(effort), ..Reasoning::default() });
        let sampling = Sampling { temperature: Some(0.3), ..Sampling::default() };
        written(&Prompt { reasoning, sampling, ..asking(model, vec![Part::text("Hi")]) })
    };
    let budget = thinking("us.anthropic.claude-sonnet-4-5-20250929-v1:0", Effort::Medium);
    let enabled = json!({"thinking": {"type": "enabled", "budget_tokens": 8192}});
    assert_eq!(budget["additionalModelRequestFields"], enabled);
    assert_eq!(budget["inferenceConfig"], json!({"maxTokens": 32_000}));
    let adaptive = thinking("anthropic.claude-opus-4-6-v1:0", Effort::Max);
    assert_eq!(adaptive["additionalModelRequestFields"], json!({"thinking": {"type": "adaptive"}}));
    assert_eq!(adaptive["outputConfig"], json!({"effort": "max"}));
    let nova = thinking("amazon.nova-pro-v1:0", Effort::High);
    assert!(nova.get("additionalModelRequestFields").is_none());
    assert_eq!(nova["inferenceConfig"], json!({"temperature": 0.3}));
}

#[test]
fn a_schema_of_the_answer_is_text_within_the_request() {
    let schema = json!({"type": "object", "properties": {"z": {"type": "string"}, "a": {"type": "number"}}});
    let format = OutputFormat::Schema {
        name: "song".to_owned(),
        description: Some("A song".to_owned()),
        schema: schema.clone(),
        strict: Some(true),
    };
    let body = written(&Prompt { format, ..asking("m", vec![Part::text("Hi")]) });
    let definition = json!({"schema": schema.to_string(), "name": "song", "description": "A song"});
    let expected = json!({"textFormat": {"type": "json_schema", "structure": {"jsonSchema": definition}}});
    assert_eq!(body["outputConfig"], expected);
}

#[test]
fn calls_of_the_past_bring_their_tools_and_without_them_none_is_no_tools() {
    let mut prompt = asking("m", vec![Part::text("Hi")]);
    prompt.tools = vec![function(None)];
    prompt.tool_choice = Some(ToolChoice::None);
    assert!(written(&prompt).get("toolConfig").is_none());
    prompt.messages.push(Message { author: Author::Assistant, name: None, parts: vec![call("t")] });
    let config = written(&prompt)["toolConfig"].clone();
    assert_eq!((config["tools"].as_array().unwrap().len(), config.get("toolChoice")), (1, None));
    prompt.tools = vec![];
    let config = written(&prompt)["toolConfig"].clone();
    assert_eq!(config["tools"][0]["toolSpec"]["name"], "top_song");
    prompt.tools = vec![function(None)];
    prompt.tool_choice = Some(ToolChoice::Named("top_song".to_owned()));
    assert_eq!(written(&prompt)["toolConfig"]["toolChoice"], json!({"tool": {"name": "top_song"}}));
}

#[test]
fn ids_of_calls_fit_and_belong_together() {
    let id = format!("functions.{}:7", "x".repeat(80));
    let outcome = ToolOutcome { call_id: id.clone(), name: None, content: vec![], is_error: false, cache: None };
    let blocks = content(vec![call(&id), Part::ToolResult(outcome)]);
    let (result, called) = (&blocks[0]["toolResult"], &blocks[1]["toolUse"]);
    assert_eq!(result["toolUseId"], called["toolUseId"]);
    assert_eq!(called["toolUseId"].as_str().unwrap().len(), 64);
    assert_eq!(result["content"], json!([{"text": "(nothing)"}]));
}

#[test]
fn thoughts_that_nobody_signed_stay_here() {
    let thought = |signature| Part::Reasoning { text: "hm".to_owned(), signature };
    let foreign = crate::model::Opaque { dialect: Dialect::GenerateContent, value: json!("Ck==") };
    assert!(block::write(&thought(None)).is_empty() && block::write(&thought(Some(foreign))).is_empty());
}

proptest! {
    #[test]
    fn what_a_model_says_comes_back_as_it_said_it(
        text in "[a-z你🦀\"]{1,12}",
        signature in "[a-zA-Z0-9+/=]{1,20}",
        id in "[a-zA-Z0-9_-]{1,64}",
        (key, number) in ("[a-z]{1,6}", any::<i64>()),
    ) {
        let parts = [
            Part::text(text.clone()),
            Part::Reasoning { text, signature: Some(claude::signed(&signature)) },
            Part::Reasoning { text: String::new(), signature: Some(claude::redacted(&signature)) },
            Part::ToolCall { id, name: "f".to_owned(), arguments: json!({ key: number }).to_string(), custom: false, signature: None },
            Part::Image { source: inline("image/png", &signature), detail: None, cache: None },
        ];
        for part in parts {
            let [block] = <[Value; 1]>::try_from(block::write(&part)).unwrap();
            prop_assert!(block::read(block) == Some(part));
        }
    }
}
