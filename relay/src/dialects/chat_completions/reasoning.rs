//! How much the model shall think, in the words of each server.
//!
//! Sources: OpenAI `reasoning_effort`; OpenRouter's object `reasoning`; the providers' rows for the rest.

use serde_json::{Map, Value, json};

use super::quirks::Thinking;
use crate::InvalidRequest;
use crate::dialects::common::Fields;
use crate::model::{Effort, Reasoning};

/// Takes `reasoning_effort` and OpenRouter's `reasoning` from a body. A word that nobody knows stays where it is.
///
/// # Errors
/// One of them has another type.
pub(super) fn read(body: &mut Fields, extra: &mut Map<String, Value>) -> Result<Option<Reasoning>, InvalidRequest> {
    let mut said = Reasoning::default();
    let mut word = body.take::<String>("reasoning_effort")?;
    if let Some(mut object) = body.object("reasoning")? {
        word = object.take("effort")?.or(word);
        said.budget_tokens = object.take("max_tokens")?;
        said.visible = object.take::<bool>("exclude")?.map(|exclude| !exclude);
        if object.take::<bool>("enabled")? == Some(false) {
            word = Some("none".to_owned());
        }
    }
    match word.as_deref().map(effort) {
        Some(None) => drop(extra.insert("reasoning_effort".to_owned(), word.into())),
        known => said.effort = known.flatten(),
    }
    Ok((said != Reasoning::default()).then_some(said))
}

fn effort(word: &str) -> Option<Effort> {
    Some(match word {
        "none" => Effort::None,
        "minimal" => Effort::Minimal,
        "low" => Effort::Low,
        "medium" => Effort::Medium,
        "high" => Effort::High,
        "xhigh" | "max" => Effort::Max,
        _ => return None,
    })
}

fn word(effort: Effort, highest: &'static str) -> &'static str {
    match effort {
        Effort::None => "none",
        Effort::Minimal => "minimal",
        Effort::Low => "low",
        Effort::Medium => "medium",
        Effort::High => "high",
        Effort::Max => highest,
    }
}

/// Says it in a server's way; where the server's models differ, the one that `body` names.
pub(super) fn write(reasoning: &Reasoning, thinking: Thinking, body: &mut Map<String, Value>) {
    let is_asked = is_asked(thinking, body);
    let effort = reasoning.budget_tokens.map(Effort::of_budget).or(reasoning.effort);
    let wanted = effort != Some(Effort::None);
    let mut say = |key: &str, value: Value| drop(body.insert(key.to_owned(), value));
    let switch = |on: &str| json!({"type": if wanted { on } else { "disabled" }});
    match thinking {
        Thinking::Unasked => {}
        Thinking::Effort { highest } => {
            if let Some(effort) = effort {
                say("reasoning_effort", word(effort, highest).into());
            }
        }
        Thinking::EffortOf { .. } => {
            // The four grades that such models have.
            let effort = effort.map(|effort| if effort == Effort::Minimal { Effort::Low } else { effort });
            if let Some(effort) = effort.filter(|_| is_asked) {
                say("reasoning_effort", word(effort, "high").into());
            }
        }
        Thinking::Switch { on } => say("thinking", switch(on)),
        Thinking::SwitchAndEffort { highest } => {
            say("thinking", switch("enabled"));
            if let Some(effort) = effort.filter(|_| wanted) {
                say("reasoning_effort", word(effort, highest).into());
            }
        }
        Thinking::Enable => {
            say("enable_thinking", wanted.into());
            let budget = reasoning.budget_tokens.or_else(|| effort.and_then(Effort::budget_tokens));
            if let Some(budget) = budget.filter(|_| wanted) {
                say("thinking_budget", budget.into());
            }
        }
        Thinking::Template => {
            let mut kwargs = json!({"enable_thinking": wanted});
            if let Some(effort) = effort.filter(|_| wanted) {
                kwargs["reasoning_effort"] = word(effort, "high").into();
            }
            say("chat_template_kwargs", kwargs);
        }
        Thinking::Object => say("reasoning", object(reasoning)),
    }
}

/// Puts what a body says in OpenAI's word or OpenRouter's object into a server's way. What it says in the server's own
/// way already, and a word that nobody knows, stays.
pub(super) fn adapt(thinking: Thinking, body: &mut Map<String, Value>) {
    let told: Map<String, Value> =
        ["reasoning_effort", "reasoning"].iter().filter_map(|key| body.shift_remove_entry(*key)).collect();
    if told.is_empty() {
        return;
    }
    let mut unknown = Map::new();
    match read(&mut Fields::new(told.clone(), ""), &mut unknown) {
        Err(_) => return body.extend(told),
        Ok(None) => {}
        Ok(Some(reasoning)) => {
            let mut said: Map<String, Value> = body.get_key_value("model").into_iter().map(owned).collect();
            write(&reasoning, thinking, &mut said);
            for (key, value) in said {
                body.entry(key).or_insert(value);
            }
        }
    }
    if is_asked(thinking, body) {
        body.extend(unknown);
    }
}

/// Whether the model that `body` names can be told at all.
fn is_asked(thinking: Thinking, body: &Map<String, Value>) -> bool {
    let model = body.get("model").and_then(Value::as_str).unwrap_or_default();
    match thinking {
        Thinking::Unasked => false,
        Thinking::EffortOf { models } => models.iter().any(|known| model.starts_with(known)),
        _ => true,
    }
}

fn owned((key, value): (&String, &Value)) -> (String, Value) {
    (key.clone(), value.clone())
}

/// OpenRouter's form; of effort and budget it takes one.
fn object(reasoning: &Reasoning) -> Value {
    let mut object = Map::new();
    if let Some(budget) = reasoning.budget_tokens {
        object.insert("max_tokens".to_owned(), budget.into());
    } else if let Some(effort) = reasoning.effort {
        object.insert("effort".to_owned(), word(effort, "xhigh").into());
    } else if reasoning.visible.is_none() {
        object.insert("enabled".to_owned(), true.into());
    }
    if let Some(visible) = reasoning.visible {
        object.insert("exclude".to_owned(), (!visible).into());
    }
    object.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(body: Value) -> (Option<Reasoning>, Value) {
        let mut extra = Map::new();
        let read = read(&mut Fields::of(body, "").unwrap(), &mut extra).unwrap();
        (read, extra.into())
    }

    fn written(reasoning: &Reasoning, thinking: Thinking) -> Value {
        let mut body = Map::new();
        write(reasoning, thinking, &mut body);
        body.into()
    }

    fn of_effort(effort: Effort) -> Reasoning {
        Reasoning { effort: Some(effort), ..Reasoning::default() }
    }

    #[test]
    fn openais_word_and_openrouters_object_mean_the_same() {
        assert_eq!(read_all(json!({})), (None, json!({})));
        assert_eq!(read_all(json!({"reasoning_effort": "xhigh"})).0, Some(of_effort(Effort::Max)));
        assert_eq!(read_all(json!({"reasoning": {"effort": "low"}})).0, Some(of_effort(Effort::Low)));
        assert_eq!(read_all(json!({"reasoning": {"enabled": false}})).0, Some(of_effort(Effort::None)));
        let budget = Reasoning { budget_tokens: Some(2_000), visible: Some(false), effort: None };
        assert_eq!(read_all(json!({"reasoning": {"max_tokens": 2000, "exclude": true}})).0, Some(budget));
        assert_eq!(read_all(json!({"reasoning_effort": "default"})), (None, json!({"reasoning_effort": "default"})));
    }

    /// Sources: the providers' rows in `providers/compatible/rows.rs`.
    #[test]
    fn each_server_is_told_in_its_own_way() {
        let (high, none) = (of_effort(Effort::High), of_effort(Effort::None));
        let budget = Reasoning { budget_tokens: Some(9_000), ..Reasoning::default() };
        let max = Thinking::SwitchAndEffort { highest: "max" };
        for (reasoning, thinking, expected) in [
            (&high, Thinking::Unasked, json!({})),
            (&high, Thinking::Effort { highest: "xhigh" }, json!({"reasoning_effort": "high"})),
            (&budget, Thinking::Effort { highest: "xhigh" }, json!({"reasoning_effort": "medium"})),
            (&none, Thinking::Effort { highest: "xhigh" }, json!({"reasoning_effort": "none"})),
            (&none, Thinking::Switch { on: "enabled" }, json!({"thinking": {"type": "disabled"}})),
            (&high, Thinking::Switch { on: "adaptive" }, json!({"thinking": {"type": "adaptive"}})),
            (&high, Thinking::EffortOf { models: &["grok-4.3"] }, json!({})),
            (&of_effort(Effort::Max), max, json!({"thinking": {"type": "enabled"}, "reasoning_effort": "max"})),
            (&none, max, json!({"thinking": {"type": "disabled"}})),
            (&budget, Thinking::Enable, json!({"enable_thinking": true, "thinking_budget": 9000})),
            (&none, Thinking::Enable, json!({"enable_thinking": false})),
            (&none, Thinking::Template, json!({"chat_template_kwargs": {"enable_thinking": false}})),
            (
                &high,
                Thinking::Template,
                json!({"chat_template_kwargs": {"enable_thinking": true, "reasoning_effort": "high"}}),
            ),
            (&budget, Thinking::Object, json!({"reasoning": {"max_tokens": 9000}})),
            (&Reasoning::default(), Thinking::Object, json!({"reasoning": {"enabled": true}})),
        ] {
            assert_eq!(written(reasoning, thinking), expected);
        }
    }

    #[test]
    fn only_models_that_take_an_effort_are_told_one_where_the_others_refuse_it() {
        let thinking = Thinking::EffortOf { models: &["grok-4.3", "grok-3-mini"] };
        let adapted = |model: &str, effort: &str| {
            let mut body =
                Map::from_iter([("model".to_owned(), json!(model)), ("reasoning_effort".to_owned(), json!(effort))]);
            adapt(thinking, &mut body);
            body.get("reasoning_effort").and_then(Value::as_str).map(str::to_owned)
        };
        for (effort, told) in
            [("none", "none"), ("minimal", "low"), ("low", "low"), ("high", "high"), ("xhigh", "high"), ("own", "own")]
        {
            assert_eq!(adapted("grok-4.3", effort).as_deref(), Some(told));
            assert_eq!(adapted("grok-4.20-reasoning", effort), None);
        }
        assert_eq!(adapted("grok-3-mini-fast", "low").as_deref(), Some("low"));
    }
}
