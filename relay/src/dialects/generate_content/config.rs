//! `generationConfig`: how the answer is made.
//!
//! Source: `GenerationConfig` of google.ai.generativelanguage.v1beta (ai.google.dev/api/generate-content). What the model
//! of all dialects has no place for (modalities, voices, media resolution, a thinking budget of -1) is kept as it is and
//! put back where this dialect is spoken.

use serde_json::{Map, Value, json};

use super::family::Family;
use super::schema;
use crate::InvalidRequest;
use crate::dialects::common::Fields;
use crate::model::{Effort, OutputFormat, Prompt, Reasoning};

/// The name of a schema, for dialects that want one.
const SCHEMA_NAME: &str = "response";
const JSON: &str = "application/json";

/// Reads the configuration into the prompt and gives back what is left of it.
///
/// # Errors
/// A parameter has another type than Google says.
pub(super) fn read(mut config: Fields, prompt: &mut Prompt) -> Result<Map<String, Value>, InvalidRequest> {
    let sampling = &mut prompt.sampling;
    sampling.temperature = config.take("temperature")?;
    sampling.top_p = config.take("topP")?;
    sampling.top_k = whole(&mut config, "topK")?;
    sampling.seed = config.take("seed")?;
    sampling.presence_penalty = config.take("presencePenalty")?;
    sampling.frequency_penalty = config.take("frequencyPenalty")?;
    prompt.candidates = whole(&mut config, "candidateCount")?;
    prompt.max_output_tokens = whole(&mut config, "maxOutputTokens")?;
    prompt.stop = config.take("stopSequences")?.unwrap_or_default();
    let wanted = config.take::<bool>("responseLogprobs")?;
    let alternatives = config.take::<u8>("logprobs")?;
    prompt.logprobs = (wanted == Some(true)).then(|| alternatives.unwrap_or(0));
    let thinking = match config.object("thinkingConfig")? {
        Some(thinking) => read_thinking(thinking, prompt)?,
        None => Map::new(),
    };
    let format = read_format(&mut config, prompt)?;
    let mut rest = config.rest();
    rest.extend(format);
    if !thinking.is_empty() {
        rest.insert("thinkingConfig".to_owned(), thinking.into());
    }
    Ok(rest)
}

/// The SDKs declare some whole numbers as floats and send `40.0`.
fn whole(config: &mut Fields, key: &str) -> Result<Option<u32>, InvalidRequest> {
    let Some(number) = config.take::<f64>(key)? else { return Ok(None) };
    if number.fract() == 0.0 && number >= 0.0 {
        // More than fits is the highest that we can say.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast of a float saturates")]
        return Ok(Some(number as u32));
    }
    Err(InvalidRequest::at(config.place(key), "This must be a whole number that is not negative."))
}

fn read_thinking(mut thinking: Fields, prompt: &mut Prompt) -> Result<Map<String, Value>, InvalidRequest> {
    let visible = thinking.take("includeThoughts")?;
    let budget: Option<i64> = thinking.take("thinkingBudget")?;
    let level: Option<String> = thinking.take("thinkingLevel")?;
    let mut rest = thinking.rest();
    let budget_tokens = budget.and_then(|tokens| u32::try_from(tokens).ok());
    if let (Some(tokens), None) = (budget, budget_tokens) {
        // -1: as much as the model likes.
        rest.insert("thinkingBudget".to_owned(), json!(tokens));
    }
    let effort = level.as_deref().and_then(|level| match level.to_ascii_uppercase().as_str() {
        "MINIMAL" => Some(Effort::Minimal),
        "LOW" => Some(Effort::Low),
        "MEDIUM" => Some(Effort::Medium),
        "HIGH" => Some(Effort::High),
        "XHIGH" => Some(Effort::Max),
        _ => None,
    });
    if let (Some(level), None) = (level, effort) {
        rest.insert("thinkingLevel".to_owned(), json!(level));
    }
    if effort.is_some() || budget_tokens.is_some() || visible.is_some() {
        prompt.reasoning = Some(Reasoning { effort, budget_tokens, visible });
    }
    Ok(rest)
}

/// What is said about the form and is none of JSON or text (an enumeration, say) is left as it is.
fn read_format(config: &mut Fields, prompt: &mut Prompt) -> Result<Map<String, Value>, InvalidRequest> {
    let kind: Option<String> = config.take("responseMimeType")?;
    let json_schema: Option<Value> = config.take("responseJsonSchema")?;
    let schema: Option<Value> = config.take("responseSchema")?;
    let mut rest = Map::new();
    match kind.as_deref() {
        Some(JSON) => {
            let schema = json_schema.or_else(|| schema.map(schema::json_schema));
            prompt.format = schema.map_or(OutputFormat::Json, |schema| OutputFormat::Schema {
                name: SCHEMA_NAME.to_owned(),
                description: None,
                schema,
                strict: None,
            });
        }
        None | Some("text/plain") if json_schema.is_none() && schema.is_none() => {}
        _ => {
            let all = [
                ("responseMimeType", kind.map(Value::from)),
                ("responseJsonSchema", json_schema),
                ("responseSchema", schema),
            ];
            rest.extend(all.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))));
        }
    }
    Ok(rest)
}

/// The configuration for a model, over what was kept of a client's own.
pub(super) fn write(prompt: &Prompt, family: Family, config: &mut Map<String, Value>) {
    let sampling = &prompt.sampling;
    let mut put = |key: &str, value: Option<Value>| config.extend(value.map(|value| (key.to_owned(), value)));
    put("temperature", sampling.temperature.map(Value::from));
    put("topP", sampling.top_p.map(Value::from));
    put("topK", sampling.top_k.map(Value::from));
    put("seed", sampling.seed.map(Value::from));
    put("presencePenalty", sampling.presence_penalty.map(Value::from));
    put("frequencyPenalty", sampling.frequency_penalty.map(Value::from));
    put("candidateCount", prompt.candidates.map(Value::from));
    put("maxOutputTokens", prompt.max_output_tokens.map(Value::from));
    put("stopSequences", (!prompt.stop.is_empty()).then(|| json!(prompt.stop)));
    put("responseLogprobs", prompt.logprobs.map(|_| true.into()));
    put("logprobs", prompt.logprobs.filter(|alternatives| *alternatives > 0).map(Value::from));
    match &prompt.format {
        OutputFormat::Text => {}
        OutputFormat::Json => put("responseMimeType", Some(JSON.into())),
        OutputFormat::Schema { schema, .. } => {
            put("responseMimeType", Some(JSON.into()));
            if family.takes_json_schema() {
                put("responseJsonSchema", Some(schema.clone()));
            } else {
                put("responseSchema", Some(schema::reduced(schema)));
            }
        }
    }
    let kept = config.remove("thinkingConfig").and_then(|kept| kept.as_object().cloned());
    let asked = prompt.reasoning.as_ref().and_then(|reasoning| family.thinking(reasoning));
    let mut thinking = kept.unwrap_or_default();
    thinking.extend(asked.and_then(|asked| asked.as_object().cloned()).unwrap_or_default());
    if !thinking.is_empty() {
        config.insert("thinkingConfig".to_owned(), thinking.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(config: Value) -> (Prompt, Value) {
        let mut prompt = Prompt::default();
        let rest = read(Fields::of(config, "generationConfig").unwrap(), &mut prompt).unwrap();
        (prompt, rest.into())
    }

    #[test]
    fn whole_numbers_may_be_floats_and_nothing_else() {
        let (prompt, _) = read_all(json!({ "topK": 40.0, "maxOutputTokens": 16 }));
        assert_eq!((prompt.sampling.top_k, prompt.max_output_tokens), (Some(40), Some(16)));
        let (prompt, _) = read_all(json!({ "maxOutputTokens": u64::MAX }));
        assert_eq!(prompt.max_output_tokens, Some(u32::MAX));
        for bad in [json!(1.5), json!(-1), json!("many")] {
            let config = Fields::of(json!({ "topK": bad }), "generationConfig").unwrap();
            let error = read(config, &mut Prompt::default()).unwrap_err();
            assert_eq!(error.param.as_deref(), Some("generationConfig.topK"));
        }
    }

    #[test]
    fn what_only_google_knows_is_kept() {
        let config = json!({ "responseModalities": ["IMAGE"], "thinkingConfig": { "thinkingBudget": -1 },
            "responseMimeType": "text/x.enum", "responseSchema": { "type": "STRING", "enum": ["A"] } });
        let (prompt, rest) = read_all(config.clone());
        assert_eq!(prompt.reasoning, None);
        assert!(prompt.format == OutputFormat::Text);
        assert_eq!(rest, config);
    }

    #[test]
    fn a_level_and_a_budget_are_an_effort_and_a_bound() {
        let (prompt, _) = read_all(json!({ "thinkingConfig": { "thinkingLevel": "low", "includeThoughts": true } }));
        let expected = Reasoning { effort: Some(Effort::Low), budget_tokens: None, visible: Some(true) };
        assert_eq!(prompt.reasoning, Some(expected));
        let (prompt, _) = read_all(json!({ "thinkingConfig": { "thinkingBudget": 0 } }));
        assert_eq!(prompt.reasoning.unwrap().budget_tokens, Some(0));
    }

    #[test]
    fn a_schema_is_given_in_the_form_that_the_model_takes() {
        let (prompt, rest) = read_all(json!({ "responseMimeType": "application/json",
            "responseSchema": { "type": "OBJECT", "properties": { "a": { "type": "STRING" } } } }));
        assert_eq!(rest, json!({}));
        let written = |model: &str| {
            let mut config = Map::new();
            write(&prompt, Family::of(model), &mut config);
            Value::Object(config)
        };
        let schema = json!({ "type": "object", "properties": { "a": { "type": "string" } } });
        assert_eq!(written("gemini-2.5-flash")["responseJsonSchema"], schema);
        assert_eq!(written("gemini-2.0-flash")["responseSchema"]["type"], "OBJECT");
    }
}
