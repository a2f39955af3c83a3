//! What clients ask.

use relay::dialects::generate_content::GenerateContent;
use relay::model::{Author, Effort, MediaSource, OutputFormat, Part, Reasoning, Tool, ToolChoice};
use relay::{Basis, Served, Spoken, Usage};
use serde_json::{Value, json};

use crate::{answer, envelope, fixture, json as parsed, object, prompt};

#[test]
fn both_spellings_of_every_field_are_understood() {
    let prompt = prompt(parsed(fixture!("gemini_request_tools.json")));
    assert_eq!(prompt.messages[0].author, Author::System);
    let parameters = json!({ "type": "object",
        "properties": { "location": { "type": "string", "description": "The city name" } }, "required": ["location"] });
    assert!(matches!(&prompt.tools[0], Tool::Function { name, parameters: Some(schema), .. }
        if name == "get_current_temperature" && *schema == parameters));
    assert!(matches!(&prompt.tools[1], Tool::Other(tool) if tool.value == json!({ "googleSearch": {} })));
    assert_eq!(prompt.tool_choice, Some(ToolChoice::Named("get_current_temperature".to_owned())));
    assert_eq!((prompt.sampling.top_k, prompt.max_output_tokens), (Some(40), Some(800)));
    assert_eq!(prompt.stop, ["Title"]);
    assert_eq!(prompt.reasoning, Some(Reasoning { visible: Some(true), ..Reasoning::default() }));
    assert_eq!(prompt.extra.unwrap().value["safetySettings"][0]["threshold"], "BLOCK_ONLY_HIGH");
}

#[test]
fn calls_without_ids_are_matched_with_their_results_by_name_and_order() {
    let prompt = prompt(parsed(fixture!("gemini_request_tools.json")));
    let ids = |parts: &[Part]| -> Vec<String> {
        let ids = parts.iter().filter_map(|part| match part {
            Part::ToolCall { id, .. } => Some(id.clone()),
            Part::ToolResult(outcome) => Some(outcome.call_id.clone()),
            _ => None,
        });
        ids.collect()
    };
    let (calls, results) = (ids(&prompt.messages[2].parts), ids(&prompt.messages[3].parts));
    assert_eq!(calls, results);
    assert_ne!(calls[0], calls[1]);
    let Part::ToolResult(second) = &prompt.messages[3].parts[1] else { panic!("no result") };
    assert!(second.content == [Part::text("12 C")]);
}

#[test]
fn pictures_documents_and_a_schema_are_understood() {
    let prompt = prompt(parsed(fixture!("gemini_request_image.json")));
    let parts = &prompt.messages[0].parts;
    assert!(matches!(&parts[0], Part::Image { source: MediaSource::Inline { media_type, .. }, .. }
        if media_type == "image/jpeg"));
    assert!(matches!(&parts[1], Part::File { source: MediaSource::Url { media_type: Some(kind), .. }, .. }
        if kind == "application/pdf"));
    assert!(matches!(&prompt.format, OutputFormat::Schema { schema, .. } if schema["type"] == "object"));
}

#[test]
fn unknown_parameters_are_kept_and_put_back_where_the_dialect_is_spoken() {
    let body = json!({
        "contents": [{ "role": "user", "parts": [{ "text": "hi" }] }],
        "cachedContent": "cachedContents/abc",
        "somethingNew": { "deep_field": 1 },
        "generationConfig": { "responseModalities": ["TEXT", "IMAGE"], "imageConfig": { "aspectRatio": "16:9" } },
        "toolConfig": { "retrievalConfig": { "latLng": { "latitude": 1.5 } } },
    });
    let back = Value::Object(Spoken::write(&GenerateContent, &prompt(body.clone())));
    let mut expected = body;
    expected["somethingNew"] = json!({ "deepField": 1 });
    assert_eq!(back, expected);
}

#[test]
fn a_malformed_request_is_refused_with_its_place() {
    let cases = [
        (json!({}), "contents"),
        (json!({ "contents": [] }), "contents"),
        (json!({ "contents": [{ "role": "system", "parts": [{ "text": "x" }] }] }), "contents[0].role"),
        (json!({ "contents": [{ "parts": "secret" }] }), "contents[0].parts"),
        (json!({ "contents": [{ "parts": [{ "inlineData": {} }] }] }), "contents[0].parts[0].inlineData.mimeType"),
        (
            json!({ "contents": [{ "parts": [{ "text": "x" }] }], "tools": [{ "functionDeclarations": [{}] }] }),
            "tools[0].functionDeclarations[0].name",
        ),
        (
            json!({ "contents": [{ "parts": [{ "text": "x" }] }], "generationConfig": { "temperature": "warm" } }),
            "generationConfig.temperature",
        ),
    ];
    for (body, place) in cases {
        let error = Served::read(&GenerateContent, object(body)).err().unwrap();
        assert_eq!(error.param.as_deref(), Some(place));
        assert!(!error.message.contains("secret"));
    }
}

#[test]
fn levels_and_budgets_of_thinking_are_understood() {
    let reasoning = |thinking: Value| {
        let body = json!({ "contents": [{ "parts": [{ "text": "x" }] }],
            "generationConfig": { "thinkingConfig": thinking } });
        prompt(body).reasoning
    };
    let low = Reasoning { effort: Some(Effort::Low), ..Reasoning::default() };
    assert_eq!(reasoning(json!({ "thinkingLevel": "LOW" })), Some(low));
    let bound = Reasoning { budget_tokens: Some(1_024), ..Reasoning::default() };
    assert_eq!(reasoning(json!({ "thinking_budget": 1024 })), Some(bound));
    assert_eq!(reasoning(json!({ "thinkingBudget": -1 })), None);
}

#[test]
fn a_whole_answer_tells_what_is_charged_under_the_name_that_was_asked_for() {
    let read = answer(fixture!("gemini_answer.json")).unwrap();
    let charged = Usage::new(5, 7, Basis::Counted);
    let told = Served::write(&GenerateContent, &envelope(json!({})), read, &charged);
    let expected = json!({
        "candidates": [{
            "content": { "parts": [{ "text": "AI works by learning patterns from data." }], "role": "model" },
            "finishReason": "STOP", "index": 0, "avgLogprobs": -0.25,
            "safetyRatings": [{ "category": "HARM_CATEGORY_HARASSMENT", "probability": "NEGLIGIBLE" }],
        }],
        "usageMetadata": { "promptTokenCount": 5, "candidatesTokenCount": 7, "totalTokenCount": 12 },
        "modelVersion": "public", "responseId": "ours-1",
    });
    assert_eq!(told, expected);
}
