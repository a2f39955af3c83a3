//! What the dialect can say survives it: a prompt that goes upstream and is read there as a client's is the same prompt;
//! an answer's steps that go to a client and are read by us as an upstream's are the same answer.

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::envelope;
use crate::dialects::chat_completions::{ChatCompletions, Quirks, Thinking, Thoughts, Upstream};
use crate::model::{
    Author, Candidate, Delta, Effort, FinishReason, Gathered, MediaSource, Message, Opaque, OutputFormat, Part, Prompt,
    Reasoning, Sampling, Tool, ToolChoice, ToolOutcome,
};
use crate::{Basis, Dialect, Served, Spoken, Usage};

/// A server that takes everything that the dialect has.
const EVERYTHING: Quirks = Quirks {
    dropped: &[],
    cache_control: true,
    call_signatures: true,
    thinking: Thinking::Object,
    thoughts: Thoughts::Details,
    ..Quirks::OPENAI
};

fn words() -> impl Strategy<Value = String> {
    "[a-zA-Zäß你好😀 .,{}\"<>]{1,12}"
}

fn id() -> impl Strategy<Value = String> {
    "[a-z]{1,6}"
}

fn cache() -> impl Strategy<Value = Option<Value>> {
    of(Just(json!({"type": "ephemeral"})))
}

fn source() -> impl Strategy<Value = MediaSource> {
    prop_oneof![
        "[A-Za-z0-9]{4,8}".prop_map(|base64| MediaSource::Inline { media_type: "image/png".to_owned(), base64 }),
        id().prop_map(|path| MediaSource::Url { url: format!("https://x.example/{path}"), media_type: None }),
    ]
}

fn text() -> impl Strategy<Value = Part> {
    (words(), cache()).prop_map(|(text, cache)| Part::Text { text, citations: vec![], cache })
}

fn said() -> impl Strategy<Value = Part> {
    prop_oneof![
        3 => text(),
        1 => (source(), of(Just("low".to_owned())), cache())
            .prop_map(|(source, detail, cache)| Part::Image { source, detail, cache }),
        1 => (of(id()), id(), cache())
            .prop_map(|(name, file, cache)| Part::File { name, source: MediaSource::Uploaded(file), cache }),
    ]
}

/// An item that a provider of this dialect made.
fn own_thought() -> impl Strategy<Value = Part> {
    (words(), id()).prop_map(|(text, mark)| {
        let item = json!({"type": "reasoning.text", "text": text, "signature": mark, "format": "unknown"});
        Part::Reasoning { text, signature: Some(Opaque { dialect: Dialect::ChatCompletions, value: item }) }
    })
}

fn call() -> impl Strategy<Value = Part> {
    let signature =
        of(id()).prop_map(|mark| mark.map(|mark| Opaque { dialect: Dialect::GenerateContent, value: mark.into() }));
    (id(), id(), any::<bool>(), signature).prop_map(|(id, name, custom, signature)| {
        let arguments = if custom { "SELECT 1".to_owned() } else { json!({ &*id: 1 }).to_string() };
        Part::ToolCall { id, name, arguments, custom, signature }
    })
}

fn message(author: Author, parts: impl Strategy<Value = Vec<Part>>) -> impl Strategy<Value = Message> {
    (of(id()), parts).prop_map(move |(name, parts)| Message { author, name, parts })
}

fn answered() -> impl Strategy<Value = Message> {
    let parts = (vec(own_thought(), 0..3), vec(text(), 0..3), vec(call(), 0..3))
        .prop_map(|(thoughts, texts, calls)| [thoughts, texts, calls].concat());
    message(Author::Assistant, parts)
}

/// A call with its outcome, because the dialect matches them.
fn outcome() -> impl Strategy<Value = [Message; 2]> {
    (id(), id(), vec(text(), 1..3), cache()).prop_map(|(call_id, name, content, cache)| {
        let call = Part::ToolCall {
            id: call_id.clone(),
            name: name.clone(),
            arguments: "{}".to_owned(),
            custom: false,
            signature: None,
        };
        let result = ToolOutcome { call_id, name: Some(name), content, is_error: false, cache };
        [
            Message { author: Author::Assistant, name: None, parts: vec![call] },
            Message { author: Author::User, name: None, parts: vec![Part::ToolResult(result)] },
        ]
    })
}

fn messages() -> impl Strategy<Value = Vec<Message>> {
    let group = prop_oneof![
        message(Author::System, vec(text(), 1..3)).prop_map(|message| vec![message]),
        message(Author::User, vec(said(), 1..4)).prop_map(|message| vec![message]),
        answered().prop_map(|message| vec![message]),
        outcome().prop_map(|messages| messages.to_vec()),
    ];
    vec(group, 1..6).prop_map(|groups| groups.concat())
}

fn tools() -> impl Strategy<Value = Vec<Tool>> {
    let tool = prop_oneof![
        (id(), of(words()), of(any::<bool>()), cache()).prop_map(|(name, description, strict, cache)| {
            let parameters = Some(json!({"type": "object", "properties": {"b": {}, "a": {}}}));
            Tool::Function { name, description, parameters, strict, cache }
        }),
        (id(), of(words())).prop_map(|(name, description)| {
            Tool::Custom { name, description, format: Some(json!({"type": "text"})) }
        }),
        id().prop_map(|name| Tool::Other(Opaque {
            dialect: Dialect::ChatCompletions,
            value: json!({"type": "web_search", "name": name})
        })),
    ];
    vec(tool, 1..4)
}

fn choice() -> impl Strategy<Value = Option<ToolChoice>> {
    of(prop_oneof![
        Just(ToolChoice::Auto),
        Just(ToolChoice::None),
        Just(ToolChoice::Required),
        id().prop_map(ToolChoice::Named),
    ])
}

fn format() -> impl Strategy<Value = OutputFormat> {
    prop_oneof![
        Just(OutputFormat::Text),
        Just(OutputFormat::Json),
        (id(), of(words()), of(any::<bool>())).prop_map(|(name, description, strict)| OutputFormat::Schema {
            name,
            description,
            schema: json!({"type": "object"}),
            strict
        }),
    ]
}

fn reasoning() -> impl Strategy<Value = Option<Reasoning>> {
    let effort = prop_oneof![Just(Effort::None), Just(Effort::Low), Just(Effort::High), Just(Effort::Max)];
    let visible = of(any::<bool>());
    of(prop_oneof![
        (effort, visible.clone()).prop_map(|(effort, visible)| Reasoning {
            effort: Some(effort),
            budget_tokens: None,
            visible
        }),
        (1_u32..99_999, visible).prop_map(|(budget, visible)| Reasoning {
            effort: None,
            budget_tokens: Some(budget),
            visible
        }),
    ])
}

fn sampling() -> impl Strategy<Value = Sampling> {
    (of(0.0_f64..2.0), of(0.0_f64..1.0), of(1_u32..100), of(any::<i64>()), of(-2.0_f64..2.0)).prop_map(
        |(temperature, top_p, top_k, seed, penalty)| Sampling {
            temperature,
            top_p,
            top_k,
            seed,
            presence_penalty: penalty,
            frequency_penalty: penalty,
            logit_bias: penalty.map(|bias| ("7".to_owned(), bias.into())).into_iter().collect(),
        },
    )
}

fn prompts() -> impl Strategy<Value = Prompt> {
    let asked = (messages(), tools(), choice(), of(any::<bool>()), sampling(), format(), reasoning());
    let more = (of(1_u32..9_999), vec(words(), 0..3), of(1_u32..4), of(0_u8..20), of(id()), any::<bool>());
    (asked, more).prop_map(
        |(
            (messages, tools, tool_choice, parallel_tool_calls, sampling, format, reasoning),
            (max_output_tokens, stop, candidates, logprobs, tag, stream),
        )| Prompt {
            model: "m".to_owned(),
            messages,
            tools,
            tool_choice,
            parallel_tool_calls,
            sampling,
            max_output_tokens,
            stop,
            candidates,
            format,
            reasoning,
            logprobs,
            audio: tag.as_ref().map(|voice| json!({"voice": voice, "format": "wav"})),
            cache_key: tag.clone(),
            service_tier: tag.clone(),
            user_tag: tag.clone(),
            metadata: tag.iter().map(|tag| (tag.clone(), "x".into())).collect(),
            stream,
            extra: tag.map(|tag| Opaque { dialect: Dialect::ChatCompletions, value: json!({"something_new": tag}) }),
        },
    )
}

fn steps() -> impl Strategy<Value = Vec<Delta>> {
    let signature = prop_oneof![Just(Dialect::Messages), Just(Dialect::GenerateContent), Just(Dialect::Responses)]
        .prop_map(|dialect| Opaque { dialect, value: json!({"mark": "EqQB"}) });
    let thought = (words(), signature).prop_map(|(text, signature)| {
        vec![Delta::Reasoning { candidate: 0, text }, Delta::ReasoningSignature { candidate: 0, signature }]
    });
    let said = words().prop_map(|text| vec![Delta::Text { candidate: 0, text }]);
    (vec(thought, 0..3), vec(said, 1..4), vec((id(), of(id())), 0..3)).prop_map(|(thoughts, texts, calls)| {
        let calls = (0_u32..).zip(calls).flat_map(|(call, (id, mark))| {
            let id = format!("{id}{call}");
            let signature = mark.map(|mark| Opaque { dialect: Dialect::GenerateContent, value: mark.into() });
            let fragment = |text: &str| Delta::ToolArguments { candidate: 0, call, fragment: text.to_owned() };
            let begin = Delta::ToolCall { candidate: 0, call, id, name: "f".to_owned(), custom: false, signature };
            [begin, fragment("{\"a\""), fragment(":1}")]
        });
        let begin = Delta::Begin { id: "chatcmpl-1".to_owned(), model: "public".to_owned(), usage: None };
        [begin].into_iter().chain(thoughts.concat()).chain(texts.concat()).chain(calls).collect()
    })
}

fn gathered(deltas: impl IntoIterator<Item = Delta>) -> Vec<Candidate> {
    let mut gathered = Gathered::default();
    deltas.into_iter().for_each(|delta| gathered.take(delta));
    gathered.answer().candidates
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_prompt_that_went_upstream_reads_as_it_was_written(prompt in prompts()) {
        let body = Upstream::new(EVERYTHING).write(&prompt);
        let read = ChatCompletions.read(body.clone());
        prop_assert!(read.as_ref().is_ok_and(|read| *read == prompt), "{}", Value::from(body));
    }

    #[test]
    fn no_provider_row_makes_a_body_that_cannot_be_read(prompt in prompts()) {
        for row in &crate::providers::compatible::COMPATIBLE {
            let body = Upstream::new(row.quirks.clone()).write(&prompt);
            prop_assert!(ChatCompletions.read(body.clone()).is_ok(), "{}: {}", row.id, Value::from(body));
        }
    }

    #[test]
    fn steps_that_went_to_a_client_are_heard_as_they_were_told(deltas in steps()) {
        let has_calls = deltas.iter().any(|delta| matches!(delta, Delta::ToolCall { .. }));
        let finish = if has_calls { FinishReason::ToolCalls } else { FinishReason::Stop };
        let end = Delta::Finish { candidate: 0, finish, stop_sequence: None };
        let told: Vec<Delta> = deltas.into_iter().chain([end]).collect();
        let mut writer = ChatCompletions.writer(envelope());
        let mut chunks: Vec<String> =
            told.iter().flat_map(|delta| writer.write(delta.clone())).map(|event| event.data.to_string()).collect();
        chunks.extend(writer.end(&Usage::new(1, 1, Basis::Reported)).into_iter().map(|event| event.data.to_string()));
        let (heard, reader) =
            super::steps(&Upstream::new(EVERYTHING), chunks.iter().map(String::as_str)).map_err(|error| {
                TestCaseError::fail(error.to_string())
            })?;
        prop_assert!(reader.is_finished());
        prop_assert!(gathered(heard) == gathered(told), "{chunks:?}");
    }
}
