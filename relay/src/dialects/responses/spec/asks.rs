//! What clients ask, and what reaches an upstream.

use serde_json::{Value, json};

use super::{OWN, object, same};
use crate::dialects::responses::Responses;
use crate::model::{
    Author, Effort, MediaSource, Message, Opaque, OutputFormat, Part, Prompt, Reasoning, Tool, ToolChoice, ToolOutcome,
};
use crate::{Dialect, InvalidRequest, Served, Spoken};

fn read(body: Value) -> Result<Prompt, InvalidRequest> {
    Served::read(&Responses, object(body))
}

fn read_input(input: &Value) -> Vec<Message> {
    read(json!({"model": "m", "input": input})).unwrap().messages
}

fn write(prompt: &Prompt) -> Value {
    Value::Object(Spoken::write(&Responses, prompt))
}

#[test]
fn a_text_with_instructions_is_two_messages() {
    let body = json!({"model": "gpt-4.1", "instructions": "Be brief.", "input": "Hi", "stream": true});
    let prompt = read(body).unwrap();
    assert!(prompt.stream && prompt.model == "gpt-4.1" && prompt.extra.is_none());
    let expected = vec![Message::text(Author::System, "Be brief."), Message::text(Author::User, "Hi")];
    same(&prompt.messages, &expected);
}

// API reference, "Create a model response", examples "Image input" and "File input".
#[test]
fn pictures_documents_and_sound_are_read_wherever_they_are() {
    let messages = read_input(&json!([{"role": "user", "content": [
        {"type": "input_text", "text": "what is in this image?"},
        {"type": "input_image", "image_url": "https://example.com/boardwalk.jpg", "detail": "high"},
        {"type": "input_image", "image_url": "data:image/png;base64,aGk="},
        {"type": "input_image", "file_id": "file-1"},
        {"type": "input_file", "filename": "draconomicon.pdf", "file_data": "data:application/pdf;base64,aGk="},
        {"type": "input_file", "file_url": "https://example.com/letter.pdf"},
        {"type": "input_file", "filename": "a.csv", "file_data": "aGk="},
        {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}},
    ]}]));
    let parts = &messages[0].parts;
    let source = |part: &Part| match part {
        Part::Image { source, .. } | Part::File { source, .. } => source.clone(),
        _ => panic!("neither picture nor file"),
    };
    let inline = |kind: &str| MediaSource::Inline { media_type: kind.to_owned(), base64: "aGk=".to_owned() };
    let url = |url: &str| MediaSource::Url { url: url.to_owned(), media_type: None };
    assert!(source(&parts[1]) == url("https://example.com/boardwalk.jpg"));
    assert!(source(&parts[2]) == inline("image/png"));
    assert!(source(&parts[3]) == MediaSource::Uploaded("file-1".to_owned()));
    assert!(source(&parts[4]) == inline("application/pdf"));
    assert!(source(&parts[5]) == url("https://example.com/letter.pdf"));
    assert!(source(&parts[6]) == inline("text/csv"));
    assert!(matches!(&parts[7], Part::Audio(audio) if audio.format == "wav"));
    let back = write(&Prompt { model: "m".to_owned(), messages, ..Prompt::default() });
    let content = &back["input"][0]["content"];
    assert_eq!(content[1]["detail"], "high");
    assert_eq!(content[2]["image_url"], "data:image/png;base64,aGk=");
    assert_eq!(content[3]["file_id"], "file-1");
    assert_eq!(content[4]["filename"], "draconomicon.pdf");
    assert_eq!(content[7]["input_audio"]["format"], "wav");
}

// Guide "Function calling", the conversation of its example.
#[test]
fn items_of_one_turn_are_one_message_and_outcomes_know_their_tool() {
    let messages = read_input(&json!([
        {"role": "user", "content": "What is my horoscope?"},
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAA"},
        {"type": "message", "role": "assistant", "id": "msg_1", "status": "completed",
            "content": [{"type": "output_text", "text": "I look.", "annotations": []}]},
        {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "get_horoscope", "arguments": "{\"sign\":\"Aquarius\"}"},
        {"type": "custom_tool_call", "id": "ctc_1", "call_id": "call_2", "name": "exec", "input": "print(1)"},
        {"type": "function_call_output", "call_id": "call_1", "output": "{\"horoscope\":\"otter\"}"},
        {"type": "custom_tool_call_output", "call_id": "call_2", "output": [{"type": "input_text", "text": "1"}]},
        {"role": "user", "content": "And now?"},
    ]));
    assert_eq!(messages.len(), 4);
    let kinds: Vec<String> = messages[1].parts.iter().map(|part| format!("{part:?}")).collect();
    assert!(kinds[0].starts_with("Reasoning(0 bytes, signed: true"));
    assert!(
        kinds[1].starts_with("Text")
            && kinds[2].starts_with("ToolCall(call_1")
            && kinds[3].starts_with("ToolCall(call_2")
    );
    let [Part::ToolResult(first), Part::ToolResult(second)] = messages[2].parts.as_slice() else {
        panic!("no outcomes")
    };
    assert_eq!((first.name.as_deref(), second.name.as_deref()), (Some("get_horoscope"), Some("exec")));
    assert!(messages[3].author == Author::User);
}

#[test]
fn parameters_have_their_place_and_unknown_ones_stay() {
    let prompt = read(json!({
        "model": "o4-mini", "input": "x", "max_output_tokens": 99, "temperature": 0.5, "top_p": 0.9,
        "parallel_tool_calls": false, "reasoning": {"effort": "xhigh", "summary": "detailed"},
        "text": {"format": {"type": "json_schema", "name": "s", "schema": {"type": "object"}, "strict": true}, "verbosity": "low"},
        "top_logprobs": 3, "include": ["message.output_text.logprobs", "file_search_call.results", "reasoning.encrypted_content"],
        "store": false, "previous_response_id": null, "truncation": "auto", "metadata": {"a": "b"},
        "user": "u1", "safety_identifier": "s1", "prompt_cache_key": "k", "service_tier": "flex", "brand_new": {"x": 1},
    }))
    .unwrap();
    assert_eq!((prompt.max_output_tokens, prompt.parallel_tool_calls), (Some(99), Some(false)));
    assert_eq!((prompt.sampling.temperature, prompt.sampling.top_p), (Some(0.5), Some(0.9)));
    let reasoning = Reasoning { effort: Some(Effort::Max), budget_tokens: None, visible: Some(true) };
    assert_eq!(prompt.reasoning, Some(reasoning));
    assert!(matches!(&prompt.format, OutputFormat::Schema { name, strict: Some(true), .. } if name == "s"));
    assert_eq!((prompt.logprobs, prompt.user_tag.as_deref()), (Some(3), Some("s1")));
    assert_eq!((prompt.cache_key.as_deref(), prompt.service_tier.as_deref()), (Some("k"), Some("flex")));
    let extra = json!({
        "text": {"verbosity": "low"}, "reasoning": {"summary": "detailed"}, "include": ["file_search_call.results"],
        "user": "u1", "store": false, "truncation": "auto", "brand_new": {"x": 1},
    });
    assert_eq!(prompt.extra.as_ref().unwrap().value, extra);
    let body = write(&prompt);
    assert_eq!(body["text"]["verbosity"], "low");
    assert_eq!(body["text"]["format"]["name"], "s");
    assert_eq!(body["reasoning"], json!({"effort": "xhigh", "summary": "detailed"}));
    let include = json!(["reasoning.encrypted_content", "message.output_text.logprobs", "file_search_call.results"]);
    assert_eq!((&body["include"], &body["brand_new"]), (&include, &json!({"x": 1})));
}

#[test]
fn state_is_kept_here_and_never_at_an_upstream() {
    let body = json!({"model": "gpt-4.1", "input": "x", "store": true, "previous_response_id": "resp_1",
        "stream_options": {"include_obfuscation": false}});
    let body = write(&read(body).unwrap());
    assert_eq!(
        body,
        json!({"model": "gpt-4.1", "input": [
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "x"}]}
    ], "store": false})
    );
}

#[test]
fn what_another_dialect_said_about_parameters_stays_out() {
    let extra = Opaque { dialect: Dialect::Messages, value: json!({"container": "c"}) };
    let prompt = Prompt { model: "m".to_owned(), extra: Some(extra), ..Prompt::default() };
    assert!(write(&prompt).get("container").is_none());
}

#[test]
fn tools_are_flat_and_built_in_ones_stay_as_they_are() {
    let search = json!({"type": "web_search", "search_context_size": "low"});
    let prompt = read(json!({"model": "m", "input": "x", "tools": [
        {"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}, "strict": true},
        {"type": "custom", "name": "c", "format": {"type": "grammar", "syntax": "lark", "definition": "start: A"}},
        search,
    ], "tool_choice": {"type": "custom", "name": "c"}}))
    .unwrap();
    assert!(matches!(&prompt.tools[0], Tool::Function { name, strict: Some(true), .. } if name == "f"));
    let Tool::Custom { format: Some(format), .. } = &prompt.tools[1] else { panic!("no custom tool") };
    assert_eq!(format["grammar"]["syntax"], "lark");
    assert_eq!(prompt.tool_choice, Some(ToolChoice::Named("c".to_owned())));
    let body = write(&prompt);
    assert_eq!(body["tools"][0]["name"], "f");
    assert_eq!((&body["tools"][1]["format"]["syntax"], &body["tools"][2]), (&json!("lark"), &search));
    assert_eq!(body["tool_choice"], json!({"type": "custom", "name": "c"}));
}

#[test]
fn a_function_without_a_word_about_strictness_is_not_strict_as_everywhere_else() {
    let tool = Tool::Function { name: "f".to_owned(), description: None, parameters: None, strict: None, cache: None };
    let prompt = Prompt { model: "m".to_owned(), tools: vec![tool], ..Prompt::default() };
    assert_eq!(write(&prompt)["tools"][0]["strict"], false);
}

#[test]
fn allowed_tools_leave_the_others_out() {
    let function = |name: &str| json!({"type": "function", "name": name, "parameters": {}});
    let mcp = json!({"type": "mcp", "server_label": "deepwiki"});
    let prompt = read(json!({"model": "m", "input": "x",
        "tools": [function("a"), function("b"), mcp, {"type": "image_generation"}],
        "tool_choice": {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "b"}, mcp]}}))
    .unwrap();
    assert_eq!((prompt.tools.len(), prompt.tool_choice), (2, Some(ToolChoice::Required)));
}

#[test]
fn a_choice_of_a_built_in_tool_reaches_only_its_own_dialect() {
    let choice = json!({"type": "mcp", "server_label": "deepwiki", "name": "ask"});
    let prompt = read(json!({"model": "m", "input": "x", "tool_choice": choice})).unwrap();
    assert_eq!(prompt.tool_choice, None);
    assert_eq!(write(&prompt)["tool_choice"], choice);
}

#[test]
fn thoughts_go_back_only_to_whom_they_came_from() {
    let own = Opaque { dialect: OWN, value: json!({"id": "rs_1", "encrypted_content": "gAAAA"}) };
    let foreign = Opaque { dialect: Dialect::Messages, value: json!("EqQB") };
    let thought = |signature| Part::Reasoning { text: "hm".to_owned(), signature };
    let parts = vec![thought(Some(own)), thought(Some(foreign)), thought(None), Part::text("yes")];
    let messages = vec![Message { author: Author::Assistant, name: None, parts }];
    let input = write(&Prompt { model: "m".to_owned(), messages, ..Prompt::default() })["input"].clone();
    assert_eq!(input.as_array().unwrap().len(), 2);
    let summary = json!([{"type": "summary_text", "text": "hm"}]);
    assert_eq!(input[0], json!({"id": "rs_1", "encrypted_content": "gAAAA", "type": "reasoning", "summary": summary}));
}

#[test]
fn a_request_that_cannot_be_is_refused_with_its_place() {
    let param = |body: Value| read(body).unwrap_err().param.unwrap();
    assert_eq!(param(json!({"input": "x"})), "model");
    assert_eq!(param(json!({"model": "m"})), "input");
    assert_eq!(param(json!({"model": "m", "input": 7})), "input");
    assert_eq!(param(json!({"model": "m", "input": "x", "max_output_tokens": "many"})), "max_output_tokens");
    assert_eq!(param(json!({"model": "m", "input": "x", "background": true})), "background");
    assert_eq!(param(json!({"model": "m", "input": "x", "conversation": "conv_1"})), "conversation");
    assert_eq!(param(json!({"model": "m", "input": "x", "tools": [{"name": "f"}]})), "tools[0].type");
    assert_eq!(param(json!({"model": "m", "input": "x", "reasoning": {"effort": "huge"}})), "reasoning.effort");
    assert_eq!(param(json!({"model": "m", "input": "x", "text": {"format": {"type": "xml"}}})), "text.format.type");
    let item = |item: Value| param(json!({"model": "m", "input": [item]}));
    assert_eq!(item(json!("x")), "input[0]");
    assert_eq!(item(json!({"role": "wizard", "content": "x"})), "input[0].role");
    assert_eq!(item(json!({"role": "user", "content": [{"type": "smell"}]})), "input[0].content[0].type");
    assert_eq!(item(json!({"role": "user", "content": [{"type": "input_image"}]})), "input[0].content[0].image_url");
    assert_eq!(item(json!({"type": "item_reference", "id": "msg_1"})), "input[0]");
    assert_eq!(item(json!({"type": "function_call_output", "output": "x"})), "input[0].call_id");
}

#[test]
fn outcomes_of_tools_may_hold_pictures() {
    let source = MediaSource::Inline { media_type: "image/png".to_owned(), base64: "aGk=".to_owned() };
    let content = vec![Part::text("a"), Part::Image { source, detail: None, cache: None }];
    let outcome = ToolOutcome { call_id: "c".to_owned(), name: None, content, is_error: false, cache: None };
    let messages = vec![Message { author: Author::User, name: None, parts: vec![Part::ToolResult(outcome)] }];
    let body = write(&Prompt { model: "m".to_owned(), messages, ..Prompt::default() });
    assert_eq!(body["input"][0]["type"], "function_call_output");
    assert_eq!(body["input"][0]["output"][1]["image_url"], "data:image/png;base64,aGk=");
}
