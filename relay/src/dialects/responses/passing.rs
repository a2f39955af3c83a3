//! Bodies and answers that pass through between a client and an upstream that both speak this dialect.
//!
//! Promise: what OpenAI says reaches the client as it was said, built-in tools and all, but state is ours: nothing is
//! kept there, ids of responses and items are those under which we keep them, and signatures that we gave out in our own
//! form are unpacked again. Thoughts that the upstream could not read are left out.

use serde_json::{Map, Value, json};

use super::asked::{OURS, thinks};
use super::object::{item_id, prefix_of};
use super::signature;
use crate::body::Marks;
use crate::{Dialect, Envelope};

/// What asks for thoughts in a form that can be brought back.
const ENCRYPTED: &str = "reasoning.encrypted_content";

/// What of a conversation [`ask`] may change.
pub(crate) const REACH: Marks = Marks::REASONING_ITEMS;

/// Makes a client's body one that leaves no state at the upstream.
pub(crate) fn ask(body: &mut Map<String, Value>) {
    for key in OURS {
        // How the stream looks is between the client and the upstream here.
        if key != "stream_options" {
            body.shift_remove(key);
        }
    }
    body.insert("store".to_owned(), json!(false));
    if body.get("model").and_then(Value::as_str).is_some_and(thinks) {
        match body.get_mut("include") {
            Some(Value::Array(include)) if include.iter().any(|what| what == ENCRYPTED) => {}
            Some(Value::Array(include)) => include.push(json!(ENCRYPTED)),
            _ => drop(body.insert("include".to_owned(), json!([ENCRYPTED]))),
        }
    }
    if let Some(Value::Array(items)) = body.get_mut("input") {
        items.retain_mut(readable);
    }
}

/// Whether the upstream can read an item, which is unpacked where it is ours.
fn readable(item: &mut Value) -> bool {
    let Some(item) = item.as_object_mut().filter(|item| item.get("type").is_some_and(|kind| kind == "reasoning"))
    else {
        return true;
    };
    let text = |item: &Map<String, Value>, key: &str| item.get(key).and_then(Value::as_str).map(str::to_owned);
    let Some(encrypted) = text(item, "encrypted_content") else { return false };
    let signed = signature::read(&encrypted, text(item, "id"));
    match signed.signature.in_dialect(Dialect::Responses) {
        Some(Value::Object(own)) if signed.call.is_none() => {
            item.extend(own.iter().map(|(key, value)| (key.clone(), value.clone())));
            true
        }
        _ => false,
    }
}

/// Puts our ids into an event, and our state into the response within it.
pub(crate) fn event(event: &mut Map<String, Value>, envelope: &Envelope) {
    if let Some(Value::Object(response)) = event.get_mut("response") {
        answer(response, envelope);
    }
    let Some(place) = event.get("output_index").and_then(Value::as_u64) else { return };
    if let Some(id) = event.get_mut("item_id") {
        rename(id, envelope, place);
    }
    if let Some(id) = event.get_mut("item").and_then(|item| item.get_mut("id")) {
        rename(id, envelope, place);
    }
}

/// The same for a whole response.
pub(crate) fn answer(response: &mut Map<String, Value>, envelope: &Envelope) {
    response.insert("id".to_owned(), json!(envelope.id));
    response.insert("model".to_owned(), json!(envelope.model));
    let asked = |key: &str| envelope.request.get(key).filter(|value| !value.is_null()).cloned();
    response.insert("store".to_owned(), asked("store").unwrap_or(json!(true)));
    response.insert("previous_response_id".to_owned(), asked("previous_response_id").unwrap_or_default());
    let output = response.get_mut("output").and_then(Value::as_array_mut).into_iter().flatten();
    for (place, item) in (0..).zip(output) {
        if let Some(id) = item.get_mut("id") {
            rename(id, envelope, place);
        }
    }
}

/// The id of an item under which it is kept here.
fn rename(id: &mut Value, envelope: &Envelope, place: u64) {
    if let Some(own) = id.as_str() {
        *id = json!(item_id(prefix_of(own), &envelope.id, place));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialects::responses::state::response_of_item;
    use crate::model::Opaque;

    fn object(value: Value) -> Map<String, Value> {
        let Value::Object(map) = value else { panic!("no object") };
        map
    }

    fn envelope() -> Envelope {
        Envelope {
            id: "resp_0199".to_owned(),
            model: "public-name".to_owned(),
            created: 0,
            input_tokens: 0,
            include_usage: false,
            request: object(json!({"previous_response_id": "resp_0198"})).into(),
        }
    }

    #[test]
    fn no_state_is_left_at_the_upstream() {
        let mut body = object(json!({"model": "gpt-5", "input": "x", "previous_response_id": "resp_1", "store": true,
            "stream_options": {"include_obfuscation": false}, "truncation": "auto"}));
        ask(&mut body);
        let expected = json!({"model": "gpt-5", "input": "x", "stream_options": {"include_obfuscation": false},
            "truncation": "auto", "store": false, "include": [ENCRYPTED]});
        assert_eq!(Value::Object(body), expected);
        let mut body = object(json!({"model": "gpt-4.1", "input": "x", "include": ["file_search_call.results"]}));
        ask(&mut body);
        assert_eq!(body["include"], json!(["file_search_call.results"]));
    }

    #[test]
    fn only_thoughts_that_the_upstream_can_read_are_brought_back() {
        let theirs =
            Opaque { dialect: Dialect::Responses, value: json!({"id": "rs_up", "encrypted_content": "gAAAA"}) };
        let foreign = Opaque { dialect: Dialect::Messages, value: json!("EqQB") };
        let thought = |encrypted: Option<String>| {
            json!({"type": "reasoning", "id": "rs_0199_0", "summary": [],
            "encrypted_content": encrypted})
        };
        let said = json!({"role": "user", "content": "x"});
        let mut body = object(json!({"model": "m", "input": [
            thought(Some(signature::of_thoughts(&theirs))), thought(Some(signature::of_thoughts(&foreign))),
            thought(Some(signature::of_call(&foreign, "call_1"))), thought(Some("gBBBB".to_owned())), thought(None), said,
        ]}));
        ask(&mut body);
        let unpacked = json!({"type": "reasoning", "id": "rs_up", "summary": [], "encrypted_content": "gAAAA"});
        assert_eq!(body["input"], json!([unpacked, thought(Some("gBBBB".to_owned())), said]));
    }

    #[test]
    fn whoever_reads_an_answer_finds_it_again_under_its_ids() {
        let mut delta =
            object(json!({"type": "response.output_text.delta", "item_id": "msg_67c9fdcf", "output_index": 1,
            "delta": "x"}));
        event(&mut delta, &envelope());
        assert_eq!(delta["item_id"], "msg_0199_1");
        let mut done = object(json!({"type": "response.output_item.done", "output_index": 0,
            "item": {"id": "ws_67c9", "type": "web_search_call"}}));
        event(&mut done, &envelope());
        assert_eq!(done["item"]["id"], "ws_0199_0");
        let output = json!([{"id": "ws_67c9", "type": "web_search_call"}, {"id": "msg_67c9fdcf", "type": "message"}]);
        let response = json!({"id": "resp_up", "model": "gpt-5-2025", "store": false, "output": output});
        let mut completed = object(json!({"type": "response.completed", "response": response}));
        event(&mut completed, &envelope());
        let expected = json!({"id": "resp_0199", "model": "public-name", "store": true, "output": [
            {"id": "ws_0199_0", "type": "web_search_call"}, {"id": "msg_0199_1", "type": "message"},
        ], "previous_response_id": "resp_0198"});
        assert_eq!(completed["response"], expected);
        assert_eq!(response_of_item("msg_0199_1").as_deref(), Some("resp_0199"));
    }
}
