//! What the dialect can say survives the way upstream: the body that we write says to a server of this dialect what the
//! prompt says.

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::dialects::claude;
use crate::dialects::messages::{asked::FORMAT_NAME, block};
use crate::model::{
    Author, Effort, MediaSource, Message, Opaque, OutputFormat, Part, Reasoning, Sampling, Tool, ToolChoice,
    ToolOutcome,
};

fn word() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9_-]{1,12}"
}

fn sentence() -> impl Strategy<Value = String> {
    "[a-z你é\"\\\\]{1,8}[ \n]?[A-Z🦀]{1,4}"
}

fn cache() -> impl Strategy<Value = Option<Value>> {
    of(select(vec![json!({"type": "ephemeral"}), json!({"type": "ephemeral", "ttl": "1h"})]))
}

fn text() -> impl Strategy<Value = Part> {
    (sentence(), cache()).prop_map(|(text, cache)| Part::Text { text, citations: vec![], cache })
}

fn source() -> impl Strategy<Value = MediaSource> {
    prop_oneof![
        word().prop_map(|base64| MediaSource::Inline { media_type: "application/pdf".to_owned(), base64 }),
        word().prop_map(|word| MediaSource::Url { url: format!("https://x.example/{word}"), media_type: None }),
        word().prop_map(MediaSource::Uploaded),
    ]
}

fn media() -> impl Strategy<Value = Part> {
    prop_oneof![
        (source(), cache()).prop_map(|(source, cache)| Part::Image { source, detail: None, cache }),
        (of(sentence()), source(), cache()).prop_map(|(name, source, cache)| Part::File { name, source, cache }),
        sentence().prop_map(|text| Part::File { name: None, source: MediaSource::Text(text), cache: None }),
    ]
}

fn other() -> impl Strategy<Value = Part> {
    word().prop_map(|id| Part::Other(block::opaque(json!({"type": "container_upload", "file_id": id}))))
}

fn outcome() -> impl Strategy<Value = Part> {
    let content = vec(prop_oneof![text(), media()], 0..3);
    (word(), content, any::<bool>(), cache()).prop_map(|(call_id, content, is_error, cache)| {
        // No call has an id that begins like this.
        let call_id = format!("lost{call_id}");
        Part::ToolResult(ToolOutcome { call_id, name: None, content, is_error, cache })
    })
}

fn thought() -> impl Strategy<Value = Part> {
    prop_oneof![
        (sentence(), word()).prop_map(|(text, word)| Part::Reasoning { text, signature: Some(claude::signed(&word)) }),
        word().prop_map(|data| Part::Reasoning { text: String::new(), signature: Some(claude::redacted(&data)) }),
    ]
}

fn call() -> impl Strategy<Value = Part> {
    (word(), word(), vec((word(), any::<i32>()), 0..3)).prop_map(|(id, name, fields)| {
        let arguments: Map<_, _> = fields.into_iter().map(|(key, value)| (key, Value::from(value))).collect();
        let arguments = Value::Object(arguments).to_string();
        Part::ToolCall { id: format!("call{id}"), name, arguments, custom: false, signature: None }
    })
}

/// Turns as the dialect has them: they alternate, and outcomes of tools come first.
fn conversation() -> impl Strategy<Value = Vec<Message>> {
    let message = |author, parts| Message { author, name: None, parts };
    let asks = move || {
        let rest = vec(prop_oneof![text(), media(), other()], 1..3);
        (vec(outcome(), 0..2), rest).prop_map(move |(outcomes, rest)| message(Author::User, [outcomes, rest].concat()))
    };
    let answers = (vec(thought(), 1..3), vec(prop_oneof![text(), other()], 0..3), vec(call(), 0..3))
        .prop_map(move |(thoughts, said, calls)| message(Author::Assistant, [thoughts, said, calls].concat()));
    let system = of(vec(text(), 1..3).prop_map(move |parts| message(Author::System, parts)));
    (system, asks(), vec((answers, asks()), 0..3)).prop_map(|(system, first, turns)| {
        let turns = turns.into_iter().flat_map(|(answer, ask)| [answer, ask]);
        system.into_iter().chain([first]).chain(turns).collect()
    })
}

fn tool() -> impl Strategy<Value = Tool> {
    prop_oneof![
        (word(), of(sentence()), word(), of(any::<bool>()), cache()).prop_map(
            |(name, description, field, strict, cache)| {
                let schema = json!({"type": "object", "properties": {field: {"type": "string"}}});
                Tool::Function { name, description, parameters: Some(schema), strict, cache }
            }
        ),
        word().prop_map(|name| Tool::Other(block::opaque(json!({"type": "bash_20250124", "name": name})))),
    ]
}

/// How much to think, and a model of the generation that is asked in that way.
fn thinking() -> impl Strategy<Value = (String, Option<Reasoning>)> {
    let reasoning = |effort, budget_tokens, visible| Some(Reasoning { effort, budget_tokens, visible });
    let efforts = select(vec![Effort::Low, Effort::Medium, Effort::High, Effort::Max]);
    let budget = (1_024_u32..8_000, of(any::<bool>()))
        .prop_map(move |(budget, visible)| ("claude-sonnet-4-5".to_owned(), reasoning(None, Some(budget), visible)));
    let adaptive = (of(efforts), of(any::<bool>()))
        .prop_map(move |(effort, visible)| ("claude-opus-4-6".to_owned(), reasoning(effort, None, visible)));
    let disabled = Just(("claude-sonnet-4-5".to_owned(), reasoning(None, Some(0), None)));
    prop_oneof![Just(("claude-3-5-haiku".to_owned(), None)), budget, adaptive, disabled]
}

fn format() -> impl Strategy<Value = OutputFormat> {
    let schema = word().prop_map(|field| OutputFormat::Schema {
        name: FORMAT_NAME.to_owned(),
        description: None,
        schema: json!({"type": "object", "properties": {field: {"type": "number"}}}),
        strict: Some(true),
    });
    prop_oneof![Just(OutputFormat::Text), schema]
}

prop_compose! {
    fn prompts()(
        (model, reasoning) in thinking(),
        messages in conversation(),
        tools in vec(tool(), 0..3),
        choice in of(prop_oneof![Just(ToolChoice::Auto), Just(ToolChoice::None)]),
        parallel_tool_calls in of(any::<bool>()),
        (temperature, top_k) in (of(0.0..=1.0_f64), of(1_u32..100)),
        max_output_tokens in 8_000_u32..32_000,
        stop in vec(sentence(), 0..3),
        format in format(),
        user_tag in of(word()),
        service_tier in of(select(vec!["auto".to_owned(), "default".to_owned()])),
        stream in any::<bool>(),
        geo in of(word()),
    ) -> Prompt {
        let thinks = reasoning.as_ref().is_some_and(|reasoning| reasoning.budget_tokens != Some(0));
        let tool_choice = choice.filter(|_| !tools.is_empty());
        // The dialect says the one only within the other.
        let can_say_parallel = matches!(tool_choice, Some(ToolChoice::Auto));
        let extra = geo.map(|geo| Opaque { dialect: Dialect::Messages, value: json!({"inference_geo": geo}) });
        Prompt {
            model, messages, tools, tool_choice, reasoning, stop, format, user_tag, service_tier, stream, extra,
            parallel_tool_calls: parallel_tool_calls.filter(|_| can_say_parallel),
            sampling: Sampling {
                temperature: temperature.filter(|_| !thinks),
                top_k: top_k.filter(|_| !thinks),
                ..Sampling::default()
            },
            max_output_tokens: Some(max_output_tokens),
            ..Prompt::default()
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn what_goes_upstream_says_what_was_asked(prompt in prompts()) {
        let body = written(&prompt);
        let back = Served::read(&Messages, object(body.clone())).unwrap();
        prop_assert!(back == prompt, "{body:#}");
    }
}
