//! `usageMetadata`, read and written.
//!
//! Source: `GenerateContentResponse.UsageMetadata` (ai.google.dev/api/generate-content): the total is the sum of
//! `promptTokenCount`, `candidatesTokenCount`, `toolUsePromptTokenCount` and `thoughtsTokenCount`; cached tokens are among
//! those of the prompt.

use serde_json::{Map, Value, json};

use crate::{Basis, Usage};

/// What a provider reports; `None` where it reports nothing.
pub(super) fn read(metadata: &Value) -> Option<Usage> {
    let fields = metadata.as_object()?;
    let count = |key: &str| fields.get(key).and_then(Value::as_u64);
    let prompt = count("promptTokenCount");
    let candidates = count("candidatesTokenCount");
    let thoughts = count("thoughtsTokenCount").unwrap_or(0);
    if prompt.is_none() && candidates.is_none() {
        return None;
    }
    let input = prompt.unwrap_or(0).saturating_add(count("toolUsePromptTokenCount").unwrap_or(0));
    let said = candidates.unwrap_or(0);
    // Gateways count thoughts among the candidates' tokens; then the total is what gives them away.
    let includes_thoughts = said >= thoughts && count("totalTokenCount") == Some(input.saturating_add(said));
    let output = if includes_thoughts { said } else { said.saturating_add(thoughts) };
    let of = |list: &str, modality: &str| in_modality(fields.get(list), modality);
    let fresh = |modality: &str| {
        let tools = of("toolUsePromptTokensDetails", modality);
        of("promptTokensDetails", modality).saturating_add(tools).saturating_sub(of("cacheTokensDetails", modality))
    };
    let usage = Usage {
        cached_input_tokens: count("cachedContentTokenCount").unwrap_or(0),
        audio_input_tokens: fresh("AUDIO"),
        image_input_tokens: fresh("IMAGE"),
        reasoning_tokens: thoughts,
        audio_output_tokens: of("candidatesTokensDetails", "AUDIO"),
        image_output_tokens: of("candidatesTokensDetails", "IMAGE"),
        ..Usage::new(input, output, Basis::Reported)
    };
    Some(usage.fitted())
}

fn in_modality(details: Option<&Value>, modality: &str) -> u64 {
    let details = details.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let of_it = details.iter().filter(|detail| detail.get("modality").and_then(Value::as_str) == Some(modality));
    of_it.filter_map(|detail| detail.get("tokenCount")?.as_u64()).fold(0, u64::saturating_add)
}

/// The same for a client.
pub(crate) fn write(usage: &Usage) -> Value {
    let mut metadata = Map::new();
    let mut put = |key: &str, value: Value| metadata.insert(key.to_owned(), value);
    put("promptTokenCount", json!(usage.input_tokens));
    put("candidatesTokenCount", json!(usage.output_tokens.saturating_sub(usage.reasoning_tokens)));
    put("totalTokenCount", json!(usage.input_tokens.saturating_add(usage.output_tokens)));
    if usage.cached_input_tokens > 0 {
        put("cachedContentTokenCount", json!(usage.cached_input_tokens));
    }
    if usage.reasoning_tokens > 0 {
        put("thoughtsTokenCount", json!(usage.reasoning_tokens));
    }
    let input = details(usage.input_tokens, usage.audio_input_tokens, usage.image_input_tokens);
    let said = usage.output_tokens.saturating_sub(usage.reasoning_tokens);
    let output = details(said, usage.audio_output_tokens, usage.image_output_tokens);
    if let Some(input) = input {
        put("promptTokensDetails", input);
    }
    if let Some(output) = output {
        put("candidatesTokensDetails", output);
    }
    Value::Object(metadata)
}

/// By modality, where there is more than text.
fn details(whole: u64, audio: u64, image: u64) -> Option<Value> {
    if audio == 0 && image == 0 {
        return None;
    }
    let text = whole.saturating_sub(audio).saturating_sub(image);
    let all = [("TEXT", text), ("AUDIO", audio), ("IMAGE", image)];
    let some = all.iter().filter(|(_, count)| *count > 0);
    Some(some.map(|(modality, count)| json!({ "modality": modality, "tokenCount": count })).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thoughts_are_output_beside_the_candidates_and_results_of_tools_are_input() {
        let metadata = json!({ "promptTokenCount": 10, "candidatesTokenCount": 20, "thoughtsTokenCount": 30,
            "toolUsePromptTokenCount": 5, "cachedContentTokenCount": 4, "totalTokenCount": 65 });
        let expected = Usage::new(15, 50, Basis::Reported).with_parts(4, 30);
        assert_eq!(read(&metadata), Some(expected));
    }

    #[test]
    fn thoughts_that_a_gateway_counts_among_the_candidates_are_not_counted_twice() {
        let metadata = json!({ "promptTokenCount": 10, "candidatesTokenCount": 50, "thoughtsTokenCount": 30,
            "totalTokenCount": 60 });
        assert_eq!(read(&metadata), Some(Usage::new(10, 50, Basis::Reported).with_parts(0, 30)));
    }

    #[test]
    fn sound_and_pictures_are_told_apart_and_never_counted_as_cached_too() {
        let metadata = json!({ "promptTokenCount": 100, "cachedContentTokenCount": 50, "candidatesTokenCount": 1_290,
            "promptTokensDetails": [{ "modality": "TEXT", "tokenCount": 20 }, { "modality": "AUDIO", "tokenCount": 80 }],
            "cacheTokensDetails": [{ "modality": "AUDIO", "tokenCount": 50 }],
            "candidatesTokensDetails": [{ "modality": "IMAGE", "tokenCount": 1_290 }] });
        let usage = read(&metadata).unwrap();
        assert_eq!((usage.cached_input_tokens, usage.audio_input_tokens), (50, 30));
        assert_eq!((usage.output_tokens, usage.image_output_tokens), (1_290, 1_290));
    }

    #[test]
    fn what_is_written_is_read_as_the_same() {
        let usage = Usage {
            cached_input_tokens: 3,
            audio_input_tokens: 2,
            image_input_tokens: 4,
            reasoning_tokens: 6,
            image_output_tokens: 5,
            ..Usage::new(20, 30, Basis::Reported)
        };
        assert_eq!(read(&write(&usage)), Some(usage));
        assert_eq!(write(&usage)["totalTokenCount"], 50);
    }

    #[test]
    fn a_report_of_nothing_or_of_odd_types_is_no_report() {
        assert_eq!(read(&json!({})), None);
        assert_eq!(read(&json!({ "promptTokenCount": "many" })), None);
        assert_eq!(read(&json!("none")), None);
    }
}
