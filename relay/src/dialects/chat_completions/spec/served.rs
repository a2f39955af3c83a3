//! What clients ask, and the chunks that they get.

use serde_json::{Map, Value, json};

use super::{envelope, object, prompt};
use crate::dialects::chat_completions::ChatCompletions;
use crate::model::{Audio, Author, Delta, FinishReason, MediaSource, Opaque, OutputFormat, Part, ToolChoice};
use crate::{Basis, Dialect, Envelope, Served, ServedEvent, Usage};

fn asking(more: Value) -> Map<String, Value> {
    let mut body = object(json!({"model": "m", "messages": [{"role": "user", "content": "Hello"}]}));
    body.extend(object(more));
    body
}

#[test]
fn the_parameters_of_the_dialect_have_their_place() {
    let prompt = prompt(Value::from(asking(json!({
        "temperature": 0.2, "top_p": 0.9, "seed": -3, "presence_penalty": 1, "frequency_penalty": -1,
        "logit_bias": {"50256": -100}, "stop": "END", "n": 2, "max_tokens": 5, "max_completion_tokens": 7,
        "logprobs": true, "top_logprobs": 3, "response_format": {"type": "json_object"}, "parallel_tool_calls": false,
        "user": "u", "prompt_cache_key": "k", "service_tier": "flex", "metadata": {"a": "b"}, "stream": true,
        "stream_options": {"include_usage": true}, "store": null,
    }))));
    let sampling = prompt.sampling;
    assert_eq!((sampling.temperature, sampling.top_p, sampling.seed), (Some(0.2), Some(0.9), Some(-3)));
    assert_eq!((sampling.presence_penalty, sampling.frequency_penalty), (Some(1.0), Some(-1.0)));
    assert_eq!(sampling.logit_bias["50256"], -100);
    assert_eq!((prompt.stop, prompt.candidates, prompt.max_output_tokens), (vec!["END".to_owned()], Some(2), Some(7)));
    assert_eq!((prompt.logprobs, prompt.parallel_tool_calls), (Some(3), Some(false)));
    assert!(prompt.format == OutputFormat::Json);
    assert_eq!(prompt.user_tag.as_deref(), Some("u"));
    assert_eq!((prompt.cache_key.as_deref(), prompt.service_tier.as_deref()), (Some("k"), Some("flex")));
    assert_eq!(prompt.metadata["a"], "b");
    assert!(prompt.stream && prompt.extra.is_none());
}

#[test]
fn the_bound_has_two_names_and_stop_two_forms() {
    let bound = |more: Value| prompt(asking(more).into()).max_output_tokens;
    assert_eq!(bound(json!({"max_tokens": 5})), Some(5));
    assert_eq!(bound(json!({"max_completion_tokens": 6, "max_tokens": null})), Some(6));
    assert_eq!(prompt(asking(json!({"stop": ["a", "b"]})).into()).stop, ["a", "b"]);
    assert!(prompt(asking(json!({"stop": null})).into()).stop.is_empty());
}

#[test]
fn unknown_parameters_are_kept_and_never_an_error() {
    let more = json!({"enable_thinking": true, "web_search_options": {"x": [1]}, "verbosity": "low",
        "reasoning_effort": "default", "response_format": {"type": "grammar", "g": 1}});
    let extra = prompt(asking(more.clone()).into()).extra;
    assert!(extra == Some(Opaque { dialect: Dialect::ChatCompletions, value: reordered(more) }));
}

/// Those that are half known come first.
fn reordered(mut more: Value) -> Value {
    let fields = more.as_object_mut().unwrap();
    for key in ["enable_thinking", "web_search_options", "verbosity"] {
        let value = fields.shift_remove(key).unwrap();
        fields.insert(key.to_owned(), value);
    }
    more
}

#[test]
fn a_conversation_with_tools_is_read_in_the_models_order() {
    let prompt = prompt(json!({"model": "m", "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "developer", "content": "Briefer."},
        {"role": "user", "name": "ann", "content": [{"type": "text", "text": "Weather?"},
            {"type": "image_url", "image_url": {"url": "https://x.example/a.png", "detail": "high"}}]},
        {"role": "assistant", "content": null, "reasoning_content": "Hm.", "tool_calls": [
            {"id": "a", "type": "function", "function": {"name": "weather", "arguments": "{\"at\":1}"}},
            {"id": "b", "type": "custom", "custom": {"name": "sql", "input": "SELECT 1"}}]},
        {"role": "tool", "tool_call_id": "a", "content": "rain"},
        {"role": "tool", "tool_call_id": "b", "content": [{"type": "text", "text": "1"}]},
        {"role": "assistant", "content": "It rains.", "refusal": "No more.", "audio": {"id": "audio_1"}},
    ]}));
    let authors: Vec<Author> = prompt.messages.iter().map(|message| message.author).collect();
    use Author::{Assistant, System, User};
    assert_eq!(authors, [System, System, User, Assistant, User, Assistant]);
    assert_eq!(prompt.messages[2].name.as_deref(), Some("ann"));
    let image = MediaSource::Url { url: "https://x.example/a.png".to_owned(), media_type: None };
    let detail = Some("high".to_owned());
    assert!(prompt.messages[2].parts[1] == Part::Image { source: image, detail, cache: None });
    let kinds: Vec<String> = prompt.messages[3].parts.iter().map(|part| format!("{part:?}")).collect();
    let expected = ["Reasoning(3 bytes, signed: false)", "ToolCall(a, weather, 8 bytes)", "ToolCall(b, sql, 8 bytes)"];
    assert_eq!(kinds, expected);
    let names: Vec<Option<&str>> = prompt.messages[4]
        .parts
        .iter()
        .map(|part| match part {
            Part::ToolResult(outcome) => outcome.name.as_deref(),
            _ => None,
        })
        .collect();
    assert_eq!(names, [Some("weather"), Some("sql")], "results of parallel calls are one message and know their tools");
    let id = Some("audio_1".to_owned());
    let audio = Audio { format: String::new(), base64: String::new(), transcript: None, id };
    let said = [Part::text("It rains."), Part::Refusal("No more.".to_owned()), Part::Audio(audio)];
    assert!(prompt.messages[5].parts == said);
}

#[test]
fn the_older_functions_are_tools() {
    let prompt =
        prompt(json!({"model": "m", "functions": [{"name": "f"}], "function_call": {"name": "f"}, "messages": [
            {"role": "user", "content": "?"},
            {"role": "assistant", "content": null, "function_call": {"name": "f", "arguments": ""}},
            {"role": "function", "name": "f", "content": "4"},
        ]}));
    assert_eq!(prompt.tool_choice, Some(ToolChoice::Named("f".to_owned())));
    let Part::ToolCall { id, arguments, .. } = &prompt.messages[1].parts[0] else { panic!("it is a call") };
    let Part::ToolResult(outcome) = &prompt.messages[2].parts[0] else { panic!("it is a result") };
    assert_eq!((arguments.as_str(), &outcome.call_id), ("{}", id));
}

#[test]
fn a_spoken_answer_is_asked_for_by_its_audio_object() {
    let audio = json!({"voice": "alloy", "format": "wav"});
    let prompt = prompt(asking(json!({"modalities": ["text", "audio"], "audio": audio})).into());
    assert!(prompt.audio == Some(audio) && prompt.extra.is_none());
}

#[test]
fn what_is_malformed_is_named_and_nothing_of_it_is_quoted() {
    for (more, place) in [
        (json!({"model": null}), "model"),
        (json!({"messages": []}), "messages"),
        (json!({"messages": "Hello"}), "messages"),
        (json!({"messages": [{"content": "secret"}]}), "messages[0].role"),
        (json!({"messages": [{"role": "secret", "content": "x"}]}), "messages[0].role"),
        (json!({"messages": [{"role": "user"}]}), "messages[0].content"),
        (json!({"messages": [{"role": "user", "content": 7}]}), "messages[0].content"),
        (json!({"messages": [{"role": "tool", "content": "secret"}]}), "messages[0].tool_call_id"),
        (
            json!({"messages": [{"role": "assistant", "tool_calls": [{"id": "a", "function": {}}]}]}),
            "messages[0].tool_calls[0].function.name",
        ),
        (json!({"temperature": "secret"}), "temperature"),
        (json!({"max_tokens": 0}), "max_tokens"),
        (json!({"max_tokens": -1}), "max_tokens"),
        (json!({"n": 0}), "n"),
        (json!({"n": 129}), "n"),
        (json!({"top_logprobs": 21}), "top_logprobs"),
        (json!({"stop": 7}), "stop"),
        (json!({"stream": "secret"}), "stream"),
        (json!({"response_format": {}}), "response_format.type"),
        (json!({"response_format": {"type": "json_schema"}}), "response_format.json_schema"),
        (json!({"tools": [{"type": "function", "function": {"name": 7}}]}), "tools[0].function.name"),
        (json!({"tool_choice": "secret"}), "tool_choice"),
    ] {
        let error = ChatCompletions.read(asking(more.clone())).err().unwrap();
        assert_eq!(error.param.as_deref(), Some(place), "{more}");
        assert!(!error.message.contains("secret"), "{error}");
    }
}

fn written(envelope: Envelope, deltas: impl IntoIterator<Item = Delta>) -> Vec<Value> {
    let mut writer = ChatCompletions.writer(envelope);
    let mut events: Vec<ServedEvent> = deltas.into_iter().flat_map(|delta| writer.write(delta)).collect();
    events.extend(writer.end(&Usage::new(3, 4, Basis::Reported)));
    assert!(events.iter().all(|event| event.name.is_none()));
    events.into_iter().map(|event| event.data).collect()
}

fn begin() -> Delta {
    Delta::Begin { id: "up".to_owned(), model: "upstream".to_owned(), usage: None }
}

fn text(text: &str) -> Delta {
    Delta::Text { candidate: 0, text: text.to_owned() }
}

fn finish(finish: FinishReason) -> Delta {
    Delta::Finish { candidate: 0, finish, stop_sequence: None }
}

fn tool(call: u32, id: &str, signature: Option<Opaque>) -> [Delta; 2] {
    let (id, name) = (id.to_owned(), "f".to_owned());
    [
        Delta::ToolCall { candidate: 0, call, id, name, custom: false, signature },
        Delta::ToolArguments { candidate: 0, call, fragment: "{}".to_owned() },
    ]
}

fn deltas(chunks: &[Value]) -> Vec<&Value> {
    chunks.iter().filter_map(|chunk| chunk.pointer("/choices/0/delta")).collect()
}

#[test]
fn a_stream_begins_with_the_role_and_every_chunk_is_one_of_openais() {
    let chunks = written(envelope(), [begin(), text("He"), text("llo"), finish(FinishReason::Stop)]);
    let expected =
        [json!({"role": "assistant", "content": ""}), json!({"content": "He"}), json!({"content": "llo"}), json!({})];
    assert_eq!(deltas(&chunks), expected.iter().collect::<Vec<_>>());
    for chunk in &chunks {
        assert_eq!((&chunk["id"], &chunk["object"]), (&json!("chatcmpl-1"), &json!("chat.completion.chunk")));
        assert_eq!((&chunk["model"], &chunk["created"]), (&json!("public"), &json!(1_700_000_000)));
        assert_eq!(chunk["choices"].as_array().map(Vec::len), Some(1), "no chunk is without choices");
        assert!(chunk.get("usage").is_none());
    }
    let ends: Vec<&Value> = chunks.iter().map(|chunk| &chunk["choices"][0]["finish_reason"]).collect();
    assert_eq!(ends, [&Value::Null, &Value::Null, &Value::Null, &json!("stop")]);
}

#[test]
fn the_usage_is_a_chunk_of_its_own_and_only_for_those_who_asked() {
    let asked = Envelope { include_usage: true, ..envelope() };
    let chunks = written(
        asked,
        [begin(), text("x"), finish(FinishReason::Stop), Delta::Usage(Usage::new(1, 1, Basis::Reported))],
    );
    let last = chunks.last().unwrap();
    assert_eq!((&last["choices"], &last["usage"]["total_tokens"]), (&json!([]), &json!(7)));
    assert_eq!(chunks.iter().filter(|chunk| chunk.get("usage").is_some()).count(), 1);
    let unasked = written(envelope(), [begin(), text("x"), finish(FinishReason::Stop)]);
    assert!(unasked.iter().all(|chunk| chunk["choices"] != json!([])));
}

#[test]
fn calls_are_numbered_from_zero_and_say_their_names_once() {
    let thought = Delta::Reasoning { candidate: 0, text: "Hm.".to_owned() };
    let google = Opaque { dialect: Dialect::GenerateContent, value: json!("CkQB") };
    let steps = [begin(), thought].into_iter().chain(tool(0, "a", Some(google))).chain(tool(1, "b", None));
    let chunks = written(envelope(), steps.chain([finish(FinishReason::Stop)]));
    let expected = [
        json!({"role": "assistant", "content": ""}),
        json!({"reasoning_content": "Hm."}),
        json!({"tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": ""},
            "extra_content": {"google": {"thought_signature": "CkQB"}}, "index": 0}]}),
        json!({"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}),
        json!({"tool_calls": [{"id": "b", "type": "function", "function": {"name": "f", "arguments": ""}, "index": 1}]}),
        json!({"tool_calls": [{"index": 1, "function": {"arguments": "{}"}}]}),
        json!({}),
    ];
    assert_eq!(deltas(&chunks), expected.iter().collect::<Vec<_>>());
    assert_eq!(chunks.last().unwrap()["choices"][0]["finish_reason"], "tool_calls");
}

#[test]
fn a_signature_brings_its_thoughts_along_so_that_they_can_be_given_back_as_one() {
    let thought = |text: &str| Delta::Reasoning { candidate: 0, text: text.to_owned() };
    let signature = Opaque { dialect: Dialect::Messages, value: json!({"signature": "EqQB"}) };
    let hidden = Opaque { dialect: Dialect::Messages, value: json!({"redacted": "x"}) };
    let signed = |signature: &Opaque| Delta::ReasoningSignature { candidate: 0, signature: signature.clone() };
    let chunks = written(
        envelope(),
        [
            begin(),
            thought("Hm"),
            thought("."),
            signed(&signature),
            signed(&hidden),
            text("Yes"),
            finish(FinishReason::Stop),
        ],
    );
    let items: Vec<&Value> = deltas(&chunks).iter().filter_map(|delta| delta.pointer("/reasoning_details/0")).collect();
    assert_eq!((&items[0]["text"], &items[0]["index"]), (&json!("Hm."), &json!(0)));
    assert_eq!((&items[1]["type"], &items[1]["index"]), (&json!("reasoning.encrypted"), &json!(1)));
    let message =
        json!({"role": "assistant", "content": "Yes", "reasoning_content": "Hm.", "reasoning_details": items});
    let next = prompt(json!({"model": "m", "messages": [message]}));
    let thoughts = [
        Part::Reasoning { text: "Hm.".to_owned(), signature: Some(signature) },
        Part::Reasoning { text: String::new(), signature: Some(hidden) },
        Part::text("Yes"),
    ];
    assert!(next.messages[0].parts == thoughts);
}

#[test]
fn several_choices_have_a_role_and_an_end_each() {
    let of = |candidate: u32, text: &str| Delta::Text { candidate, text: text.to_owned() };
    let end = |candidate| Delta::Finish { candidate, finish: FinishReason::Length, stop_sequence: None };
    let chunks = written(envelope(), [begin(), of(0, "a"), of(1, "b"), end(1), end(0), end(0)]);
    let roles = chunks.iter().filter(|chunk| chunk.pointer("/choices/0/delta/role").is_some()).count();
    let ends = chunks.iter().filter(|chunk| chunk["choices"][0]["finish_reason"] == "length").count();
    assert_eq!((roles, ends), (2, 2));
}

#[test]
fn whole_parts_citations_sound_and_probabilities_have_their_chunks() {
    let image = Part::Image {
        source: MediaSource::Inline { media_type: "image/png".to_owned(), base64: "aGk=".to_owned() },
        detail: None,
        cache: None,
    };
    let call = Part::ToolCall {
        id: "a".to_owned(),
        name: "sql".to_owned(),
        arguments: "SELECT".to_owned(),
        custom: true,
        signature: None,
    };
    let citation =
        Opaque { dialect: Dialect::Responses, value: json!({"type": "url_citation", "url": "https://x.example"}) };
    let chunks = written(
        envelope(),
        [
            begin(),
            Delta::Refusal { candidate: 0, text: "No.".to_owned() },
            Delta::Citation { candidate: 0, citation },
            Delta::Audio { candidate: 0, audio: json!({"data": "aGk="}) },
            Delta::Part { candidate: 0, part: image },
            Delta::Part { candidate: 0, part: call },
            Delta::Logprobs { candidate: 0, logprobs: json!({"content": []}) },
            finish(FinishReason::ToolCalls),
        ],
    );
    let expected = [
        json!({"refusal": "No."}),
        json!({"annotations": [{"type": "url_citation", "url_citation": {"url": "https://x.example"}}]}),
        json!({"audio": {"data": "aGk="}}),
        json!({"images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}]}),
        json!({"tool_calls": [{"id": "a", "type": "custom", "custom": {"name": "sql", "input": ""}, "index": 0}]}),
        json!({"tool_calls": [{"index": 0, "custom": {"input": "SELECT"}}]}),
        json!({}),
        json!({}),
    ];
    assert_eq!(deltas(&chunks)[1..], expected.iter().collect::<Vec<_>>());
    assert_eq!(chunks[7]["choices"][0]["logprobs"], json!({"content": []}));
}

#[test]
fn an_answer_of_nothing_is_a_role_and_an_end() {
    let chunks = written(envelope(), []);
    assert_eq!(deltas(&chunks), [&json!({"role": "assistant", "content": ""}), &json!({})]);
    assert_eq!(chunks[1]["choices"][0]["finish_reason"], "stop");
}

#[test]
fn a_client_of_functions_gets_function_calls_in_its_stream() {
    let request = object(json!({"functions": [{"name": "f"}]}));
    let steps = [begin()].into_iter().chain(tool(0, "a", None)).chain(tool(1, "b", None));
    let chunks =
        written(Envelope { request: request.into(), ..envelope() }, steps.chain([finish(FinishReason::ToolCalls)]));
    let expected = [
        json!({"role": "assistant", "content": ""}),
        json!({"function_call": {"name": "f", "arguments": ""}}),
        json!({"function_call": {"arguments": "{}"}}),
        json!({}),
    ];
    assert_eq!(deltas(&chunks), expected.iter().collect::<Vec<_>>());
    assert_eq!(chunks[3]["choices"][0]["finish_reason"], "function_call");
}
