//! `logprobsResult` and OpenAI's `logprobs` object, one into the other.
//!
//! Source: `LogprobsResult` of google.ai.generativelanguage.v1beta.

use serde_json::{Value, json};

/// OpenAI's object of Google's; `None` where nothing is in it.
pub(super) fn read(result: &Value) -> Option<Value> {
    let chosen = result.get("chosenCandidates")?.as_array()?;
    let others = result.get("topCandidates").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let tokens = chosen.iter().enumerate().filter_map(|(at, token)| {
        let alternatives = others.get(at).and_then(|step| step.get("candidates")).and_then(Value::as_array);
        let alternatives: Vec<Value> = alternatives.into_iter().flatten().filter_map(openai_token).collect();
        let mut token = openai_token(token)?;
        token.as_object_mut()?.insert("top_logprobs".to_owned(), alternatives.into());
        Some(token)
    });
    let tokens: Vec<Value> = tokens.collect();
    (!tokens.is_empty()).then(|| json!({ "content": tokens, "refusal": null }))
}

fn openai_token(token: &Value) -> Option<Value> {
    let text = token.get("token")?.as_str()?;
    Some(json!({ "token": text, "logprob": token.get("logProbability")?.as_f64()?, "bytes": text.as_bytes() }))
}

/// Google's object of OpenAI's.
pub(super) fn write(logprobs: &Value) -> Option<Value> {
    let tokens = logprobs.get("content")?.as_array()?;
    let chosen: Vec<Value> = tokens.iter().filter_map(google_token).collect();
    let steps = tokens.iter().map(|token| {
        let alternatives = token.get("top_logprobs").and_then(Value::as_array).into_iter().flatten();
        json!({ "candidates": alternatives.filter_map(google_token).collect::<Vec<_>>() })
    });
    (!chosen.is_empty()).then(|| json!({ "chosenCandidates": chosen, "topCandidates": steps.collect::<Vec<_>>() }))
}

fn google_token(token: &Value) -> Option<Value> {
    Some(json!({ "token": token.get("token")?.as_str()?, "logProbability": token.get("logprob")?.as_f64()? }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_say_the_same_in_both_forms() {
        let google = json!({
            "chosenCandidates": [{ "token": "Hé", "logProbability": -0.25 }],
            "topCandidates": [{ "candidates": [
                { "token": "Hé", "logProbability": -0.25 }, { "token": "Yo", "logProbability": -1.5 }] }],
        });
        let openai = read(&google).unwrap();
        assert_eq!(openai["content"][0]["bytes"], json!([72, 195, 169]));
        assert_eq!(openai["content"][0]["top_logprobs"][1]["logprob"], -1.5);
        assert_eq!(write(&openai), Some(google));
    }

    #[test]
    fn an_empty_result_is_none() {
        assert_eq!(read(&json!({})), None);
        assert_eq!(read(&json!({ "chosenCandidates": [] })), None);
        assert_eq!(write(&json!({ "content": null })), None);
    }
}
