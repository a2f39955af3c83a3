//! Chunks that pass as their bytes and chunks that are corrected say the same.

use proptest::prelude::*;

use super::*;
use crate::Basis;

fn chunks(include_usage: bool) -> Chunks {
    let envelope = Envelope {
        id: "chatcmpl-ours".to_owned(),
        model: "public".to_owned(),
        created: 5,
        input_tokens: 3,
        include_usage,
        request: Default::default(),
    };
    Chunks::of(1, false, envelope)
}

/// What becomes of these chunks, and what was heard in all.
fn heard(chunks: &mut Chunks, sent: &[&str]) -> Heard<ServedFrame> {
    let mut heard = Heard::default();
    sent.iter().for_each(|data| chunks.hear(None, data, &mut heard).unwrap());
    heard
}

fn data(frame: &ServedFrame) -> Value {
    match frame {
        ServedFrame::Event(event) => event.data.clone(),
        ServedFrame::Passed(passed) => serde_json::from_str(&passed.data).unwrap(),
        other => panic!("{other:?}"),
    }
}

/// The same without the way past the parser.
fn corrected(sent: &[&str]) -> (Vec<Value>, String, String) {
    let mut chunks = chunks(true);
    // White space that no server sends and that changes nothing makes a chunk unusual.
    let sent: Vec<String> = sent.iter().map(|data| format!("\n{data}")).collect();
    let heard = heard(&mut chunks, &sent.iter().map(String::as_str).collect::<Vec<_>>());
    let mut told: Vec<Value> = heard.steps.iter().map(data).collect();
    told.extend(chunks.last(&Usage::new(3, 4, Basis::Reported)).into_iter().map(|event| event.data));
    (told, heard.generated.said, heard.generated.thought)
}

const HEAD: &str = r#""id":"c-1","object":"chat.completion.chunk","created":7,"model":"up","system_fingerprint":"fp""#;

fn chunk(rest: &str) -> String {
    format!("{{{HEAD},{rest}}}")
}

#[test]
fn what_passes_as_its_bytes_says_the_same_as_what_is_corrected() {
    let said = |delta: &str| chunk(&format!(r#""choices":[{{"index":0,"delta":{delta},"finish_reason":null}}]"#));
    let call = |call: &str| said(&format!(r#"{{"tool_calls":[{call}]}}"#));
    let chunks_of = [
        said(r#"{"role":"assistant","content":""}"#),
        said(r#"{"content":"a\n \u4f60 \"b\" 好"}"#),
        said(r#"{"content":null,"reasoning_content":"hm"}"#),
        said(r#"{"content":"x","reasoning":"y"}"#),
        said(r#"{"content":[{"type":"text","text":"parts"}]}"#),
        said(r#"{"refusal":"no","provider_word":{"a":[1,2.50]}}"#),
        chunk(
            r#""choices":[{"index":0,"delta":{"content":"u"},"logprobs":null,"finish_reason":null}],"usage":null"#,
        ),
        format!(
            r#"{{"usage" : null , {HEAD}, "choices": [{{"index": 0, "delta": {{"content": "v"}}, "finish_reason": null}}]}}"#
        ),
        chunk(r#""choices":[{"index":0,"delta":{"content":"w"}}],"x":1"#),
        chunk(r#""choices":[{"delta":{"content":"w"},"finish_reason":null}]"#),
        chunk(r#""choices":[{"index":1,"delta":{"content":"of nobody"},"finish_reason":null}]"#),
        chunk(r#""choices":[],"prompt_filter_results":[]"#),
        r#"{"id":"c-2","created":8,"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"z"},"finish_reason":null}],"model":"a \" b"}"#.to_owned(),
        said(r#"{"content":"again"}"#),
        call(r#"{"index":1,"id":"t-1","type":"function","function":{"name":"f","arguments":""}}"#),
        call(r#"{"index":1,"function":{"arguments":"{\"a\":"}}"#),
        call(r#"{"index":2,"id":"t-2","type":"function","function":{"name":"g","arguments":""}}"#),
        call(r#"{"index":2,"id":"t-2","function":{"arguments":"1}"}}"#),
        chunk(
            r#""choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":4}"#,
        ),
    ];
    let sent: Vec<&str> = chunks_of.iter().map(String::as_str).collect();
    let mut passing = chunks(true);
    let heard = heard(&mut passing, &sent);
    let mut told: Vec<Value> = heard.steps.iter().map(data).collect();
    told.extend(passing.last(&Usage::new(3, 4, Basis::Reported)).into_iter().map(|event| event.data));
    assert_eq!((told, heard.generated.said, heard.generated.thought), corrected(&sent));
    let passed = heard.steps.iter().filter(|frame| matches!(frame, ServedFrame::Passed(_))).count();
    assert_eq!(passed, 7, "of {}", heard.steps.len());
}

#[test]
fn arguments_of_a_call_that_has_its_number_pass_as_their_bytes_and_others_are_numbered() {
    let call = |number: u32| {
        let call = format!(r#"{{"index":{number},"function":{{"arguments":"{{}}"}}}}"#);
        chunk(&format!(r#""choices":[{{"index":0,"delta":{{"tool_calls":[{call}]}},"finish_reason":null}}]"#))
    };
    let named = |number: u32| call(number).replace(r#""function":{"#, r#""id":"t","function":{"name":"f","#);
    for (number, passes) in [(0, true), (1, false)] {
        let told = heard(&mut chunks(false), &[&named(number), &call(number)]).steps;
        assert_eq!(matches!(told[1], ServedFrame::Passed(_)), passes);
        assert_eq!(data(&told[1])["choices"][0]["delta"]["tool_calls"][0]["index"], 0);
    }
}

#[test]
fn every_chunk_bears_the_name_that_was_asked_for_and_the_usage_frame_the_id_of_the_answer() {
    let mut chunks = chunks(true);
    let chunk = json!({"id": "c-1", "created": 7, "model": "upstream-2026", "system_fingerprint": "fp",
        "choices": [{"index": 0, "delta": {"content": "x"}}]});
    let told = data(&heard(&mut chunks, &[&chunk.to_string()]).steps[0]);
    assert_eq!((&told["model"], &told["id"]), (&json!("public"), &json!("c-1")));
    let frame = chunks.last(&Usage::new(3, 4, Basis::Reported)).remove(0).data;
    assert_eq!(
        (&frame["id"], &frame["created"], &frame["system_fingerprint"]),
        (&json!("c-1"), &json!(7), &json!("fp"))
    );
    assert_eq!((&frame["model"], &frame["choices"]), (&json!("public"), &json!([])));
    assert_eq!(frame["usage"]["total_tokens"], 7);
}

#[test]
fn the_usage_frame_comes_only_if_it_was_asked_for() {
    assert!(chunks(false).last(&Usage::new(3, 4, Basis::Reported)).is_empty());
    let empty = chunks(true).last(&Usage::new(3, 0, Basis::Counted)).remove(0).data;
    assert_eq!((&empty["id"], &empty["created"]), (&json!("chatcmpl-ours"), &json!(5)));
}

/// A chunk of some kind, with that text.
fn of_kind(kind: u8, text: &str) -> String {
    let text = Value::from(text);
    let said = |delta: String| chunk(&format!(r#""choices":[{{"index":0,"delta":{delta},"finish_reason":null}}]"#));
    match kind {
        0..6 => said(format!(r#"{{"content":{text}}}"#)),
        6 => said(format!(r#"{{"content":null,"reasoning_content":{text}}}"#)),
        7 => said(format!(r#"{{"content":{text},"reasoning_content":{text}}}"#)),
        8 => said(format!(r#"{{"content":{text}}}"#)).replace("\"c-1\"", "\"c-2\""),
        9 => {
            let usage = format!(r#"{{"content":{text}}}"#);
            chunk(&format!(r#""usage":null,"choices":[{{"index":0,"delta":{usage},"finish_reason":null}}]"#))
        }
        10 => {
            said(format!(r#"{{"tool_calls":[{{"index":0,"id":"t","function":{{"name":"f","arguments":{text}}}}}]}}"#))
        }
        11..13 => said(format!(r#"{{"tool_calls":[{{"index":0,"function":{{"arguments":{text}}}}}]}}"#)),
        13 => said(format!(r#"{{"content":{text},"provider_word":{text}}}"#)),
        14 => said(r#"{"role":"assistant","content":""}"#.to_owned()),
        // The same with an escape that JSON does not need.
        _ => said(format!(r#"{{"content":{}}}"#, text.to_string().replace('a', "\\u0061"))),
    }
}

proptest! {
    #[test]
    fn any_stream_says_the_same_whichever_way_its_chunks_go(
        kinds in prop::collection::vec((0_u8..16, prop_oneof!["[a-c]{0,3}", "[a\"\\\\\n你]{1,3}"]), 1..24)
    ) {
        let sent: Vec<String> = kinds.iter().map(|(kind, text)| of_kind(*kind, text)).collect();
        let sent: Vec<&str> = sent.iter().map(String::as_str).collect();
        let mut passing = chunks(true);
        let heard = heard(&mut passing, &sent);
        let mut told: Vec<Value> = heard.steps.iter().map(data).collect();
        told.extend(passing.last(&Usage::new(3, 4, Basis::Reported)).into_iter().map(|event| event.data));
        prop_assert_eq!((told, heard.generated.said, heard.generated.thought), corrected(&sent));
    }
}

#[test]
fn chunks_that_differ_in_their_text_alone_are_told_as_each_of_them_would_be() {
    let sent: Vec<String> = (0..4).map(|number| of_kind(9, &format!("piece {number}"))).collect();
    let alone = |data: &String| {
        let mut chunks = chunks(true);
        // So that the choice is known.
        match &heard(&mut chunks, &[&of_kind(14, ""), data]).steps[1] {
            ServedFrame::Passed(passed) => passed.data.clone(),
            other => panic!("{other:?}"),
        }
    };
    let mut together = chunks(true);
    let mut first = vec![of_kind(14, "")];
    first.extend(sent.clone());
    let heard = heard(&mut together, &first.iter().map(String::as_str).collect::<Vec<_>>());
    let told: Vec<String> = heard
        .steps
        .iter()
        .skip(1)
        .map(|frame| match frame {
            ServedFrame::Passed(passed) => passed.data.clone(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(told, sent.iter().map(alone).collect::<Vec<_>>());
    assert!(together.template.fit(&of_kind(9, "next")).is_some(), "it was learned");
    assert!(told[3].contains("piece 3") && told[3].contains("\"public\"") && !told[3].contains("usage"), "{}", told[3]);
}
