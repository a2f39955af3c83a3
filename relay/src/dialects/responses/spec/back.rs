//! What reaches an upstream, read as a client would say it, is the same prompt.

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::OWN;
use crate::dialects::responses::Responses;
use crate::model::{
    Audio, Author, Effort, MediaSource, Message, Opaque, OutputFormat, Part, Prompt, Reasoning, Sampling, Tool,
    ToolChoice, ToolOutcome,
};
use crate::{Served, Spoken};

fn word() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9_-]{1,12}"
}

fn some_text() -> impl Strategy<Value = String> {
    // Letters of several scripts, quotes and line breaks; an empty text has no place in a message of a model.
    "[a-zé中😀\"\\\\\n ]{1,20}"
}

fn source() -> impl Strategy<Value = MediaSource> {
    prop_oneof![
        Just(MediaSource::Inline { media_type: "image/png".to_owned(), base64: "aGk=".to_owned() }),
        word().prop_map(|path| MediaSource::Url { url: format!("https://a.example/{path}"), media_type: None }),
        word().prop_map(MediaSource::Uploaded),
    ]
}

fn text() -> impl Strategy<Value = Part> {
    some_text().prop_map(Part::text)
}

fn of_person() -> impl Strategy<Value = Part> {
    let picture = (source(), prop_oneof![Just("low"), Just("high"), Just("auto")]);
    let picture =
        picture.prop_map(|(source, detail)| Part::Image { source, detail: Some(detail.to_owned()), cache: None });
    let file = (source(), word()).prop_map(|(source, name)| {
        let name = matches!(source, MediaSource::Inline { .. }).then_some(name);
        Part::File { name, source, cache: None }
    });
    let sound = Audio { format: "wav".to_owned(), base64: "aGk=".to_owned(), transcript: None, id: None };
    prop_oneof![text(), picture, file, Just(Part::Audio(sound))]
}

/// A call with the id `c` and what the tool said to it, so that both agree on the tool.
fn turn(n: usize) -> impl Strategy<Value = Vec<Message>> {
    let cited = some_text().prop_map(|text| {
        let value =
            json!({"type": "url_citation", "url": "https://a.example", "title": "A", "start_index": 0, "end_index": 1});
        Part::Text { text, citations: vec![Opaque { dialect: OWN, value }], cache: None }
    });
    let thought = (some_text(), word()).prop_map(|(text, word)| {
        let value = json!({"id": format!("rs_{word}"), "encrypted_content": format!("gAAAA{word}")});
        Part::Reasoning { text, signature: Some(Opaque { dialect: OWN, value }) }
    });
    let search = word().prop_map(|word| {
        let value = json!({"type": "web_search_call", "id": format!("ws_{word}"), "status": "completed"});
        Part::Other(Opaque { dialect: OWN, value })
    });
    let source = MediaSource::Inline { media_type: "image/png".to_owned(), base64: "aGk=".to_owned() };
    let picture = Part::Image { source, detail: None, cache: None };
    let refusal = some_text().prop_map(Part::Refusal);
    let said = vec(prop_oneof![text(), cited, thought, search, refusal, Just(picture)], 1..5);
    let outcome = vec(prop_oneof![text(), of_person()], 1..3);
    (said, word(), any::<bool>(), some_text(), outcome).prop_map(move |(mut said, name, custom, input, content)| {
        let id = format!("call_{n}");
        let arguments = if custom { input } else { json!({ "a": input }).to_string() };
        said.push(Part::ToolCall { id: id.clone(), name: name.clone(), arguments, custom, signature: None });
        // Sound is no outcome here.
        let content = content.into_iter().filter(|part| !matches!(part, Part::Audio(_))).collect::<Vec<_>>();
        let content = if content.is_empty() { vec![Part::text("x")] } else { content };
        let outcome = ToolOutcome { call_id: id, name: Some(name), content, is_error: false, cache: None };
        vec![
            Message { author: Author::Assistant, name: None, parts: said },
            Message { author: Author::User, name: None, parts: vec![Part::ToolResult(outcome)] },
        ]
    })
}

fn messages() -> impl Strategy<Value = Vec<Message>> {
    let of = |author| move |parts| vec![Message { author, name: None, parts }];
    let system = vec(text(), 1..3).prop_map(of(Author::System));
    let person = vec(of_person(), 1..4).prop_map(of(Author::User));
    let any = (0..4usize).prop_flat_map(move |n| prop_oneof![turn(n).boxed(), turn(n + 9).boxed()]);
    let piece = prop_oneof![system, person, any];
    vec(piece, 1..6).prop_map(|pieces| pieces.into_iter().flatten().collect())
}

fn tool() -> impl Strategy<Value = Tool> {
    let schema = json!({"type": "object", "properties": {"b": {}, "a": {}}});
    let function = (word(), of(some_text()), any::<bool>(), of(Just(schema))).prop_map(
        |(name, description, strict, parameters)| Tool::Function {
            name,
            description,
            parameters,
            strict: Some(strict),
            cache: None,
        },
    );
    let grammar = json!({"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: A"}});
    let custom = (word(), of(prop_oneof![Just(grammar), Just(json!({"type": "text"}))]))
        .prop_map(|(name, format)| Tool::Custom { name, description: None, format });
    let search = Just(Tool::Other(Opaque { dialect: OWN, value: json!({"type": "web_search"}) }));
    prop_oneof![function, custom, search]
}

fn format() -> impl Strategy<Value = OutputFormat> {
    let schema = (word(), of(some_text()), of(any::<bool>())).prop_map(|(name, description, strict)| {
        OutputFormat::Schema { name, description, schema: json!({"type": "object"}), strict }
    });
    prop_oneof![Just(OutputFormat::Text), Just(OutputFormat::Json), schema]
}

fn reasoning() -> impl Strategy<Value = Reasoning> {
    let efforts = [Effort::None, Effort::Minimal, Effort::Low, Effort::Medium, Effort::High, Effort::Max];
    (prop::sample::select(efforts.to_vec()), of(Just(true))).prop_map(|(effort, visible)| Reasoning {
        effort: Some(effort),
        budget_tokens: None,
        visible,
    })
}

fn choice() -> impl Strategy<Value = ToolChoice> {
    prop_oneof![
        Just(ToolChoice::Auto),
        Just(ToolChoice::None),
        Just(ToolChoice::Required),
        word().prop_map(ToolChoice::Named)
    ]
}

fn prompt() -> impl Strategy<Value = Prompt> {
    let how = (format(), of(reasoning()), of(0u8..21), of(choice()), of(any::<bool>()), of(1u32..9_999));
    let labels = (of(word()), of(word()), of(word()), any::<bool>(), of(0.0f64..2.0), of(word()));
    (messages(), vec(tool(), 0..4), how, labels).prop_map(|(messages, tools, how, labels)| {
        let (format, reasoning, logprobs, tool_choice, parallel_tool_calls, max_output_tokens) = how;
        let (cache_key, user_tag, label, stream, temperature, unknown) = labels;
        let extra = unknown.map(|word| Opaque { dialect: OWN, value: json!({"truncation": "auto", "new": word}) });
        Prompt {
            model: "gpt-5".to_owned(),
            messages,
            tools,
            tool_choice,
            parallel_tool_calls,
            sampling: Sampling { temperature, ..Sampling::default() },
            max_output_tokens,
            format,
            reasoning,
            logprobs,
            cache_key,
            user_tag,
            metadata: label.map(|label| Map::from_iter([("label".to_owned(), json!(label))])).unwrap_or_default(),
            stream,
            extra,
            ..Prompt::default()
        }
    })
}

/// A prompt without what only says that nothing is kept at the upstream.
fn without_store(mut prompt: Prompt) -> Prompt {
    if let Some(Value::Object(extra)) = prompt.extra.as_mut().map(|extra| &mut extra.value) {
        extra.shift_remove("store");
        if extra.is_empty() {
            prompt.extra = None;
        }
    }
    prompt
}

proptest! {
    #[test]
    fn a_prompt_that_this_dialect_can_say_comes_back_as_it_was(prompt in prompt()) {
        let body = Spoken::write(&Responses, &prompt);
        let shown = Value::Object(body.clone()).to_string();
        let back = Served::read(&Responses, body).map_err(|error| TestCaseError::fail(format!("{error:?}: {shown}")))?;
        prop_assert!(without_store(back) == prompt, "{}", shown);
    }
}
