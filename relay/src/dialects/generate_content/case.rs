//! Google's servers take every field in camelCase and in snake_case (the JSON mapping of protocol buffers); here both
//! become camelCase, once, at the door.

use serde_json::{Map, Value};

/// Fields whose values are the client's own and are not touched.
const OWN: [&str; 11] = [
    "args",
    "default",
    "enum",
    "example",
    "headers",
    "labels",
    "parametersJsonSchema",
    "partMetadata",
    "required",
    "response",
    "responseJsonSchema",
];
/// Fields whose values are objects with names that the client chose; only what they name is of the protocol.
const NAMED: [&str; 2] = ["properties", "defs"];

/// The same object with every field of the protocol in camelCase.
pub(super) fn camel_cased(map: Map<String, Value>) -> Map<String, Value> {
    map.into_iter()
        .map(|(key, value)| {
            let key = camel(&key);
            let value = match value {
                own if OWN.contains(&key.as_str()) => own,
                Value::Object(named) if NAMED.contains(&key.as_str()) => {
                    named.into_iter().map(|(name, schema)| (name, within(schema))).collect()
                }
                other => within(other),
            };
            (key, value)
        })
        .collect()
}

fn within(value: Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(camel_cased(map)),
        Value::Array(list) => list.into_iter().map(within).collect(),
        other => other,
    }
}

fn camel(key: &str) -> String {
    let mut camel = String::with_capacity(key.len());
    let mut letters = key.chars().peekable();
    while let Some(letter) = letters.next() {
        match letters.peek() {
            Some(next) if letter == '_' && !camel.is_empty() && next.is_ascii_alphanumeric() => {
                camel.push(next.to_ascii_uppercase());
                letters.next();
            }
            _ => camel.push(letter),
        }
    }
    camel
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_of_the_protocol_become_camel_case_and_names_of_the_client_stay() {
        let Value::Object(body) = json!({
            "system_instruction": { "parts": [{ "inline_data": { "mime_type": "image/png", "data": "aGk=" } }] },
            "tools": [{ "function_declarations": [{ "name": "a_b", "parameters": {
                "type": "OBJECT", "min_properties": 1, "properties": { "user_name": { "type": "ARRAY", "max_items": 2 } },
                "required": ["user_name"], "default": { "user_name": 1 } } }] }],
            "contents": [{ "parts": [{ "function_call": { "name": "a_b", "args": { "user_name": [] } } }] }],
        }) else {
            panic!()
        };
        let expected = json!({
            "systemInstruction": { "parts": [{ "inlineData": { "mimeType": "image/png", "data": "aGk=" } }] },
            "tools": [{ "functionDeclarations": [{ "name": "a_b", "parameters": {
                "type": "OBJECT", "minProperties": 1, "properties": { "user_name": { "type": "ARRAY", "maxItems": 2 } },
                "required": ["user_name"], "default": { "user_name": 1 } } }] }],
            "contents": [{ "parts": [{ "functionCall": { "name": "a_b", "args": { "user_name": [] } } }] }],
        });
        assert_eq!(Value::Object(camel_cased(body)), expected);
    }

    #[test]
    fn a_name_that_is_camel_case_already_or_begins_with_an_underscore_stays() {
        assert_eq!(camel("topK"), "topK");
        assert_eq!(camel("_private_key"), "_privateKey");
        assert_eq!(camel("top_k"), "topK");
    }
}
