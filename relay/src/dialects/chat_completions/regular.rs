//! What compatible servers send in their own form, in the form that clients of chat completions read: for answers that
//! pass through.
//!
//! Clients look for a text in `content` and for thoughts in `reasoning_content`. Mistral sends both as parts of the
//! content; vLLM, Groq, Ollama and OpenRouter call the thoughts `reasoning`; MiniMax has them in `reasoning_details`.

use serde_json::{Map, Value};

const THOUGHTS: &str = "reasoning_content";

/// Puts a delta or a message into that form. Everything else stays; so do the server's own names for the same.
pub(crate) fn regularize(message: &mut Map<String, Value>) {
    let mut thoughts = String::new();
    if let Some(content) = message.get_mut("content") {
        *content = match content.take() {
            Value::Array(parts) => join(parts, &mut thoughts),
            other => other,
        };
    }
    let has = |key: &str| message.get(key).and_then(Value::as_str).is_some_and(|text| !text.is_empty());
    if has(THOUGHTS) {
        return;
    }
    if thoughts.is_empty() && has("reasoning") {
        thoughts = message.get("reasoning").and_then(Value::as_str).unwrap_or_default().to_owned();
    } else if thoughts.is_empty() {
        let items = message.get("reasoning_details").and_then(Value::as_array).into_iter().flatten();
        thoughts = items.filter_map(|item| item.get("text")?.as_str()).collect();
    }
    if !thoughts.is_empty() {
        message.insert(THOUGHTS.to_owned(), thoughts.into());
    }
}

/// The text of parts that are only text and thoughts; the parts themselves where there is anything else.
fn join(parts: Vec<Value>, thoughts: &mut String) -> Value {
    let kind = |part: &Value| part.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
    // Mistral's references say where a text is taken from and are no part of it.
    if parts.iter().any(|part| !matches!(kind(part).as_str(), "text" | "thinking" | "reference")) {
        return parts.into();
    }
    let text = |part: &Value| part.get("text").and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut said = String::new();
    for part in &parts {
        let thinking = part.get("thinking").and_then(Value::as_array).into_iter().flatten();
        thoughts.extend(thinking.map(text));
        said.push_str(&text(part));
    }
    said.into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn regular(message: Value) -> Value {
        let Value::Object(mut message) = message else { panic!("it is an object") };
        regularize(&mut message);
        message.into()
    }

    /// Sources: docs.mistral.ai, "Reasoning"; docs.vllm.ai, "Reasoning outputs"; platform.minimax.io, "OpenAI API
    /// compatible".
    #[test]
    fn thoughts_are_where_clients_look_for_them() {
        let mistral = json!({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]},
            {"type": "text", "text": "Y"}, {"type": "reference", "reference_ids": [1]}, {"type": "text", "text": "es"}]});
        assert_eq!(regular(mistral), json!({"content": "Yes", "reasoning_content": "Hm."}));
        let vllm = json!({"content": "Yes", "reasoning": "Hm."});
        assert_eq!(regular(vllm), json!({"content": "Yes", "reasoning": "Hm.", "reasoning_content": "Hm."}));
        let minimax = json!({"content": "", "reasoning_details": [{"type": "reasoning.text", "text": "Hm."}]});
        assert_eq!(regular(minimax)["reasoning_content"], "Hm.");
    }

    #[test]
    fn what_is_regular_stays_as_it_is() {
        for message in [
            json!({"role": "assistant", "content": ""}),
            json!({"content": null, "refusal": "No."}),
            json!({"content": "Yes", "reasoning_content": "Hm.", "reasoning": "Hm."}),
            json!({"content": [{"type": "image_url", "image_url": {"url": "x"}}, {"type": "text", "text": "a"}]}),
            json!({"tool_calls": [{"index": 0}]}),
            json!({}),
        ] {
            assert_eq!(regular(message.clone()), message);
        }
    }
}
