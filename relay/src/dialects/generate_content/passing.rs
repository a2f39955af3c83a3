//! A client's body on its way to an upstream of the same dialect.

use serde_json::{Map, Value};

use super::family::Family;
use super::{case, signature};
use crate::body::Marks;

/// What of a conversation [`ask`] may change.
pub(crate) fn reach() -> Marks {
    Marks::SNAKE_CASE | Marks::GOOGLE_CALLS
}

/// Makes a client's body fit for an upstream: one spelling of every field, without the model and the stream, which stand
/// in the address, without signatures that only we can read, and with the word for a missing one where the model would
/// refuse a call without.
pub(crate) fn ask(body: &mut Map<String, Value>, model: &str) {
    *body = case::camel_cased(std::mem::take(body));
    ["model", "stream"].iter().for_each(|key| drop(body.shift_remove(*key)));
    let Some(Value::Array(contents)) = body.get_mut("contents") else { return };
    contents.retain_mut(|content| match content.get_mut("parts") {
        Some(Value::Array(parts)) if !parts.is_empty() => {
            parts.retain_mut(keep);
            !parts.is_empty()
        }
        _ => true,
    });
    if Family::of(model).wants_signatures() {
        sign(contents);
    }
}

/// Whether a part stays; it stays without what another provider signed.
fn keep(part: &mut Value) -> bool {
    let Some(part) = part.as_object_mut() else { return true };
    let foreign = part.get("thoughtSignature").and_then(Value::as_str).is_some_and(signature::is_foreign);
    if !foreign {
        return true;
    }
    part.shift_remove("thoughtSignature");
    let is_thought = part.get("thought") == Some(&Value::Bool(true));
    !is_thought && part.get("text").and_then(Value::as_str) != Some("")
}

/// Signs each step of the current turn.
fn sign(contents: &mut [Value]) {
    let asks = |content: &Value| {
        let parts = content.get("parts").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        !is_models(content) && parts.iter().any(|part| part.get("functionResponse").is_none())
    };
    let current = contents.iter().rposition(asks).unwrap_or(0);
    let steps = contents.iter_mut().skip(current).filter(|content| is_models(content));
    for parts in steps.filter_map(|content| content.get_mut("parts")?.as_array_mut()) {
        signature::sign_step(parts);
    }
}

fn is_models(content: &Value) -> bool {
    content.get("role").and_then(Value::as_str) == Some("model")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Dialect;
    use crate::model::Opaque;

    fn passed(body: Value, model: &str) -> Value {
        let Value::Object(mut body) = body else { panic!("no object") };
        ask(&mut body, model);
        Value::Object(body)
    }

    #[test]
    fn a_body_passes_in_one_spelling_and_otherwise_unchanged() {
        let body = json!({
            "model": "x", "stream": true,
            "contents": [{ "role": "user", "parts": [{ "text": "hi" }] }],
            "generation_config": { "max_output_tokens": 5, "response_json_schema": { "type": "object" } },
            "something_new": 1,
        });
        let expected = json!({
            "contents": [{ "role": "user", "parts": [{ "text": "hi" }] }],
            "generationConfig": { "maxOutputTokens": 5, "responseJsonSchema": { "type": "object" } },
            "somethingNew": 1,
        });
        assert_eq!(passed(body, "gemini-2.5-flash"), expected);
    }

    #[test]
    fn calls_of_the_current_turn_are_marked_where_a_client_dropped_their_signatures() {
        let call = |name: &str| json!({ "functionCall": { "name": name, "args": {} } });
        let result = json!({ "functionResponse": { "name": "f", "response": {} } });
        let body = json!({ "contents": [
            { "role": "user", "parts": [{ "text": "one" }] },
            { "role": "model", "parts": [call("f")] },
            { "role": "user", "parts": [result] },
            { "role": "model", "parts": [{ "text": "done" }] },
            { "role": "user", "parts": [{ "text": "two" }] },
            { "role": "model", "parts": [call("f"), call("g")] },
            { "role": "user", "parts": [result] },
        ] });
        let marked = |body: &Value, content: usize, part: usize| {
            body["contents"][content]["parts"][part].get("thoughtSignature").is_some()
        };
        let three = passed(body.clone(), "gemini-3-flash");
        assert_eq!((marked(&three, 1, 0), marked(&three, 5, 0), marked(&three, 5, 1)), (false, true, false));
        assert_eq!(passed(body.clone(), "gemini-2.5-flash"), body);
    }

    #[test]
    fn signatures_of_other_providers_do_not_reach_google_and_its_own_do() {
        let theirs = signature::for_client(&Opaque { dialect: Dialect::Messages, value: json!("EqQB") });
        let own = json!({ "text": "", "thoughtSignature": "PFNpZ25hdHVyZSBDPg==" });
        let body = json!({ "contents": [
            { "role": "model", "parts": [{ "text": "hm", "thought": true, "thoughtSignature": theirs }] },
            { "role": "model", "parts": [{ "text": "said", "thoughtSignature": theirs }, own] },
        ] });
        let expected = json!([{ "role": "model", "parts": [{ "text": "said" }, own] }]);
        assert_eq!(passed(body, "gemini-2.5-flash")["contents"], expected);
    }
}
