//! Whatever the dialect can say survives the way from the model of all dialects to the wire and back.

use proptest::prelude::*;
use relay::dialects::generate_content::GenerateContent;
use relay::model::{
    Audio, Author, Effort, MediaSource, Message, OutputFormat, Part, Prompt, Reasoning, Sampling, Tool, ToolChoice,
    ToolOutcome,
};
use relay::{Served, Spoken};
use serde_json::{Value, json};

use crate::{call, google};

fn text() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9 你好🙂\\n\"{}]{1,12}"
}

fn signature() -> impl Strategy<Value = String> {
    "[A-Za-z0-9]{4,16}"
}

fn media() -> impl Strategy<Value = Part> {
    let inline = |kind: &str| MediaSource::Inline { media_type: kind.to_owned(), base64: "aGk=".to_owned() };
    let url = |url: &str, kind: &str| MediaSource::Url { url: url.to_owned(), media_type: Some(kind.to_owned()) };
    prop_oneof![
        Just(Part::Image { source: inline("image/png"), detail: None, cache: None }),
        Just(Part::Image { source: url("https://x.example/a", "image/webp"), detail: None, cache: None }),
        Just(Part::File { name: None, source: inline("application/pdf"), cache: None }),
        Just(Part::File { name: None, source: url("gs://bucket/a", "video/mp4"), cache: None }),
        Just(Part::Audio(Audio { format: "wav".to_owned(), base64: "aGk=".to_owned(), transcript: None, id: None })),
    ]
}

/// What a model said besides calls; a signature behind a text belongs to it.
fn said() -> impl Strategy<Value = Vec<Part>> {
    let hidden = |signature: Value| Part::Reasoning { text: String::new(), signature: Some(google(signature)) };
    prop_oneof![
        text().prop_map(|text| vec![Part::text(text)]),
        (text(), signature())
            .prop_map(move |(text, signature)| { vec![Part::text(text), hidden(json!({ "previous": signature }))] }),
        signature().prop_map(move |signature| vec![hidden(signature.into())]),
        (text(), signature())
            .prop_map(|(text, signature)| { vec![Part::Reasoning { text, signature: Some(google(signature)) }] }),
        Just(vec![Part::Other(google(json!({ "executableCode": { "language": "PYTHON", "code": "1" } })))]),
    ]
}

/// A question, an answer with calls, and the results.
#[derive(Debug)]
struct Turn {
    asked: Vec<(String, Option<Part>)>,
    said: Vec<Vec<Part>>,
    calls: Vec<(String, i64, String, String, bool)>,
}

fn turn() -> impl Strategy<Value = Turn> {
    let calls = ("[a-z_]{1,8}", any::<i64>(), signature(), text(), any::<bool>());
    let asked = prop::collection::vec((text(), prop::option::of(media())), 1..3);
    (asked, prop::collection::vec(said(), 1..3), prop::collection::vec(calls, 0..3))
        .prop_map(|(asked, said, calls)| Turn { asked, said, calls })
}

fn messages(system: Option<String>, turns: Vec<Turn>) -> Vec<Message> {
    let of = |author, parts| Message { author, name: None, parts };
    let mut messages: Vec<Message> = system.map(|text| Message::text(Author::System, text)).into_iter().collect();
    let mut numbers = 0..;
    for turn in turns {
        let asked = turn.asked.into_iter().flat_map(|(text, media)| std::iter::once(Part::text(text)).chain(media));
        let mut said: Vec<Part> = turn.said.into_iter().flatten().collect();
        let mut results = vec![];
        for (name, number, signature, text, is_error) in turn.calls {
            let id = format!("c{}", numbers.next().unwrap_or(0));
            said.push(call(&id, &name, &json!({ "n": number }).to_string(), Some(&signature)));
            let content = vec![Part::text(text)];
            results.push(Part::ToolResult(ToolOutcome {
                call_id: id,
                name: Some(name),
                content,
                is_error,
                cache: None,
            }));
        }
        messages.push(of(Author::User, asked.collect()));
        messages.push(of(Author::Assistant, said));
        if !results.is_empty() {
            messages.push(of(Author::User, results));
            messages.push(Message::text(Author::Assistant, "done"));
        }
    }
    messages
}

fn sampling() -> impl Strategy<Value = Sampling> {
    let number = || prop::option::of(-2.0..2.0_f64);
    let of = |(temperature, top_p, presence_penalty, frequency_penalty, top_k, seed)| Sampling {
        temperature,
        top_p,
        top_k,
        seed,
        presence_penalty,
        frequency_penalty,
        ..Sampling::default()
    };
    (number(), number(), number(), number(), prop::option::of(0..100_u32), prop::option::of(any::<i64>())).prop_map(of)
}

fn format() -> impl Strategy<Value = OutputFormat> {
    let schema = json!({ "type": "object", "properties": { "a_b": { "type": ["string", "null"] } } });
    let schema = OutputFormat::Schema { name: "response".to_owned(), description: None, schema, strict: None };
    prop_oneof![Just(OutputFormat::Text), Just(OutputFormat::Json), Just(schema)]
}

/// With the models that take it in that form.
fn reasoning() -> impl Strategy<Value = (&'static str, Option<Reasoning>)> {
    let visible = || prop::option::of(any::<bool>());
    let levels = vec![Effort::Minimal, Effort::Low, Effort::Medium, Effort::High];
    prop_oneof![
        Just(("gemini-3-flash", None)),
        (prop::sample::select(levels), visible()).prop_map(|(effort, visible)| {
            ("gemini-3-flash", Some(Reasoning { effort: Some(effort), budget_tokens: None, visible }))
        }),
        (0..24_000_u32, visible()).prop_map(|(tokens, visible)| {
            let tokens = if tokens < 512 { 0 } else { tokens };
            ("gemini-2.5-flash-lite", Some(Reasoning { effort: None, budget_tokens: Some(tokens), visible }))
        }),
    ]
}

fn tools() -> impl Strategy<Value = (Vec<Tool>, Option<ToolChoice>)> {
    let function = Tool::Function {
        name: "get_it".to_owned(),
        description: Some("Gets it.".to_owned()),
        parameters: Some(json!({ "type": "object", "properties": { "n": { "type": "integer" } } })),
        strict: None,
        cache: None,
    };
    let bare =
        Tool::Function { name: "bare".to_owned(), description: None, parameters: None, strict: None, cache: None };
    let search = Tool::Other(google(json!({ "googleSearch": {} })));
    let choice = prop_oneof![
        Just(None),
        Just(Some(ToolChoice::Auto)),
        Just(Some(ToolChoice::None)),
        Just(Some(ToolChoice::Required)),
        Just(Some(ToolChoice::Named("get_it".to_owned()))),
    ];
    prop_oneof![
        Just((vec![], None)),
        choice.prop_map(move |choice| { (vec![function.clone(), bare.clone(), search.clone()], choice) })
    ]
}

fn prompts() -> impl Strategy<Value = Prompt> {
    let extra = json!({ "safetySettings": [{ "category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF" }],
        "generationConfig": { "mediaResolution": "MEDIA_RESOLUTION_LOW" } });
    let rest = (
        prop::option::of(1..9_000_u32),
        prop::collection::vec(text(), 0..3),
        prop::option::of(1..8_u32),
        prop::option::of(0..20_u8),
        prop::sample::select(vec![None, Some("default"), Some("flex"), Some("priority")]),
        prop::option::of(Just(google(extra))),
    );
    let conversation = (prop::option::of(text()), prop::collection::vec(turn(), 1..4), text());
    (conversation, sampling(), format(), reasoning(), tools(), rest).prop_map(
        |((system, turns, last), sampling, format, (model, reasoning), (tools, tool_choice), rest)| {
            let (max_output_tokens, stop, candidates, logprobs, service_tier, extra) = rest;
            let mut messages = messages(system, turns);
            messages.push(Message::text(Author::User, last));
            Prompt {
                model: model.to_owned(),
                messages,
                tools,
                tool_choice,
                sampling,
                max_output_tokens,
                stop,
                candidates,
                format,
                reasoning: reasoning.filter(|reasoning| *reasoning != Reasoning::default()),
                logprobs,
                service_tier: service_tier.map(str::to_owned),
                extra,
                ..Prompt::default()
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_prompt_that_is_written_for_a_model_and_read_as_a_clients_is_the_same(prompt in prompts()) {
        let body = Spoken::write(&GenerateContent, &prompt);
        let mut back = Served::read(&GenerateContent, body.clone()).map_err(|error| {
            TestCaseError::fail(format!("{error} at {:?}", error.param))
        })?;
        back.model.clone_from(&prompt.model);
        prop_assert!(back == prompt, "{}\n{prompt:?}\n{back:?}", Value::Object(body));
    }

    #[test]
    fn no_json_makes_a_reader_panic(text in "\\{\"(contents|candidates|tools)\":[\\[\\]{}\",:a-z0-9]{0,40}\\}") {
        if let Ok(Value::Object(body)) = serde_json::from_str(&text) {
            drop(Served::read(&GenerateContent, body.clone()));
            drop(Spoken::read(&GenerateContent, Value::Object(body)));
        }
        drop(GenerateContent.reader().read(None, &text));
    }
}
