//! What is read of a request's body, and what is refused of it.

use serde_json::json;

use super::*;

fn read(text: &str) -> RequestBody {
    RequestBody::read(Bytes::copy_from_slice(text.as_bytes())).unwrap()
}

/// Deeper by one than a tree is read.
fn deep(levels: usize) -> String {
    format!("{{\"messages\": {}{}}}", "[".repeat(levels), "]".repeat(levels))
}

#[test]
fn parameters_are_read_and_what_may_be_long_is_stood_for() {
    let text = r#"{"model": "m", "messages": [{"role": "user", "content": "hi"}], "tools": [], "n": 2,
        "system": {"a": 1}, "input": "text", "instructions": null}"#;
    let body = read(text);
    let head = json!({"model": "m", "messages": [null], "tools": [], "n": 2, "system": {}, "input": "",
        "instructions": null});
    assert_eq!(Value::Object(body.head()), head);
    let tree: Value = serde_json::from_str(text).unwrap();
    assert_eq!(Value::Object(body.tree().clone()), tree);
    assert_eq!(Value::Object(body.clone().into_tree()), tree);
    assert_eq!(Value::Object(body.into_tree()), tree);
}

#[test]
fn what_is_written_is_what_was_sent_but_for_what_was_changed() {
    let body = read(r#"{"messages": [ {"content": "a\u00e4", "x": 1.50} ], "model": "m", "ab": [1], "tools": []}"#);
    let mut head = body.head();
    head.insert("model".to_owned(), json!("up"));
    head.shift_remove("tools");
    let written = String::from_utf8(body.write(&head).unwrap()).unwrap();
    assert_eq!(written, r#"{"messages":[ {"content": "a\u00e4", "x": 1.50} ],"model":"up","ab":[1]}"#);
    head.insert("messages".to_owned(), json!("mine"));
    assert!(body.write(&head).unwrap().starts_with(br#"{"messages":"mine""#), "what was put in its place counts");
    assert_eq!(RequestBody::default().write(&Map::new()).unwrap(), b"{}");
}

#[test]
fn what_is_sent_is_found_where_it_stands_whatever_is_around_it() {
    let spaced = "\r\n{ \"tools\"\t: [ ] ,\n\"n\": 1 ,\"messages\" :[\"}\", \" : ,\"] , \"input\":\"a,\" \n} \n";
    let body = read(spaced);
    let written = String::from_utf8(body.write(&body.head()).unwrap()).unwrap();
    assert_eq!(written, r#"{"tools":[ ],"n":1,"messages":["}", " : ,"],"input":"a,"}"#);
    assert_eq!((body.get("n"), body.get("input"), body.get("none")), (Some(&json!(1)), Some(&json!("")), None));
}

#[test]
fn names_with_escapes_and_very_many_members_say_what_a_tree_says() {
    let many: Map<String, Value> = (0..300).map(|n| (format!("x{n}"), json!([n]))).collect();
    for text in [
        r#"{"a\"b": 1, "messages": [{"tool_call_id": "c"}], "mod\u0065l": "m"}"#.to_owned(),
        json!({"messages": ["a"], "many": many}).to_string().replace("\"many\":{", "").replacen("}}", "}", 1),
    ] {
        let (body, tree) = (read(&text), serde_json::from_str::<Map<String, Value>>(&text).unwrap());
        assert_eq!((body.tree(), &body.head()), (&tree, &tree), "{text}");
        assert!(tree.iter().all(|(name, value)| body.get(name) == Some(value)), "{text}");
        assert_eq!(body.may_bring_results(), text.contains("tool_call_id"));
        assert_eq!(serde_json::from_slice::<Value>(&body.write(&tree).unwrap()).unwrap(), Value::Object(tree));
    }
}

#[test]
fn of_members_with_one_name_the_last_counts_as_it_does_in_a_tree() {
    for text in [
        r#"{"messages": [1], "model": "a", "messages": [2], "model": "b"}"#,
        r#"{"messages": [1], "messages": null}"#,
        r#"{"messages": null, "mess\u0061ges": ["x"]}"#,
    ] {
        let (body, tree) = (read(text), serde_json::from_str::<Value>(text).unwrap());
        assert_eq!(Value::Object(body.tree().clone()), tree);
        assert_eq!(serde_json::from_slice::<Value>(&body.write(&body.head()).unwrap()).unwrap(), tree, "{text}");
    }
}

#[test]
fn what_a_tree_refuses_is_refused_in_the_same_words() {
    let wrong = [
        "",
        "{",
        "{} tail",
        r#"{"messages": [1,]}"#,
        r#"{"messages": [1e999]}"#,
        r#"{"messages": ["\ud800"]}"#,
        r#"{"messages": ["\x"]}"#,
        "{\"messages\": [\"\n\"]}",
        r#"{"model" "m"}"#,
        r#"{"messages": [nul]}"#,
        &deep(200),
        &deep(127),
    ];
    for text in wrong {
        let expected = serde_json::from_str::<Value>(text).unwrap_err().to_string();
        let told = RequestBody::read(Bytes::copy_from_slice(text.as_bytes())).unwrap_err().to_string();
        assert_eq!(told, expected, "{text}");
    }
    let bytes = b"{\"messages\": [\"\xff\"]}";
    let expected = serde_json::from_slice::<Value>(bytes).unwrap_err().to_string();
    assert_eq!(RequestBody::read(Bytes::from_static(bytes)).unwrap_err().to_string(), expected);
    for text in ["[]", "null", "\"text\"", "7"] {
        let error = RequestBody::read(Bytes::copy_from_slice(text.as_bytes())).unwrap_err();
        assert!(matches!(error, UnreadableBody::NoObject), "{text}");
    }
    assert_eq!(read(&deep(126)).tree().len(), 1, "as deep as a tree may be");
}

#[test]
fn pictures_recordings_and_files_are_found_and_texts_are_none() {
    let flat = |body: Value| {
        let parsed = read(&body.to_string()).has_flat_parts();
        assert_eq!(parsed, RequestBody::from(body.as_object().unwrap().clone()).has_flat_parts(), "{body}");
        parsed
    };
    for content in [
        json!([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x"}}]}]),
        json!([{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]),
        json!([{"role": "user", "content": [{"type": "tool_result", "content": [{"type": "image"}]}]}]),
        json!([{"role": "user", "content": [{"type": "document"}]}]),
        json!([{"parts": [{"inlineData": {"mimeType": "image/png"}}]}]),
        json!([{"parts": [{"file_data": {"fileUri": "x"}}]}]),
    ] {
        assert!(["messages", "input", "contents"].iter().all(|name| flat(json!({*name: content}))), "{content}");
    }
    for content in [
        json!("image"),
        json!([{"role": "user", "content": "image"}]),
        json!([{"type": "message", "content": [{"type": "input_text", "text": "an image"}]}]),
        json!([{"parts": [{"text": "inlineData"}]}]),
    ] {
        assert!(!flat(json!({"messages": content})), "{content}");
    }
    assert!(!flat(json!({"tools": [{"type": "image_generation"}]})), "a tool is none");
}

#[test]
fn a_body_is_no_longer_than_its_length() {
    let texts = ["", "a", "你好，世界", "🦀", "\u{1}\n\r\t\"\\/", "0123456789"];
    for text in texts {
        let body = json!({"model": "m", "messages": [{"role": "user", "content": text, "x": [1e300, 1e5, -1, null]}]});
        let whole = written_length(body.as_object().unwrap());
        for body in [read(&body.to_string()), read(&format!("{body:#}")), body.as_object().unwrap().clone().into()] {
            assert!(body.length().at_most >= whole);
            assert!(body.length().about.abs_diff(whole) <= whole / 2, "{:?} of {whole}", body.length());
        }
    }
    let exponents = read(r#"{"messages": [1e9,1e9,1e9]}"#);
    assert!(exponents.length().at_most >= written_length(exponents.tree()));
}

#[test]
fn nothing_that_people_said_is_shown() {
    assert_eq!(format!("{:?}", read(r#"{"messages": ["secret"]}"#)), "RequestBody(1 members)");
}
