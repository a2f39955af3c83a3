//! What a model takes, by its name.
//!
//! The same endpoint serves models of several ages, and what one needs another refuses. Sources: Google's guides
//! "Gemini thinking", "Structured outputs", "Thought signatures" and "OpenAI compatibility" (ai.google.dev/gemini-api).

use serde_json::{Value, json};

use crate::model::{Effort, Reasoning};

/// A family of models that want to be asked alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    /// Before 2.5, and Gemma: no thoughts, schemas in Google's own form only.
    Early,
    /// 2.5: thoughts are bounded in tokens.
    Budget {
        /// The smallest bound that is not 0, and whether thinking can be switched off.
        least: u32,
        /// Thinking can be switched off.
        off: bool,
        /// The greatest bound.
        most: u32,
    },
    /// 3 and later: thoughts are graded in words, and calls of tools must be signed.
    Level {
        /// Has `MINIMAL`.
        minimal: bool,
        /// Has `MEDIUM`.
        medium: bool,
    },
    /// Draws or speaks; how it thinks cannot be asked for.
    Media {
        /// Of an age that has JSON Schema and results of tools with pictures in them.
        recent: bool,
    },
    /// A name of the operator's own, or of a model that is not known here.
    Unknown,
}

impl Family {
    /// That of the model that an upstream calls `name`.
    pub(super) fn of(name: &str) -> Self {
        let name = name.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
        if name.starts_with("gemma") || name.starts_with("learnlm") {
            return Self::Early;
        }
        let Some(rest) = name.strip_prefix("gemini-") else { return Self::Unknown };
        let version = rest.split('-').next().unwrap_or_default();
        let mut numbers = version.split('.').map(str::parse::<u32>);
        let version = match (numbers.next(), numbers.next()) {
            (Some(Ok(major)), Some(Ok(minor))) => (major, minor),
            (Some(Ok(major)), None) => (major, 0),
            _ if rest.ends_with("-latest") => (u32::MAX, 0),
            _ => return Self::Unknown,
        };
        if ["-image", "-tts", "-audio"].iter().any(|kind| rest.contains(kind)) {
            return Self::Media { recent: version >= (3, 0) };
        }
        let (pro, lite) = (rest.contains("pro"), rest.contains("lite"));
        match version {
            (0..=1, _) | (2, 0..=4) => Self::Early,
            (2, _) if pro => Self::Budget { least: 128, off: false, most: 32_768 },
            (2, _) if lite => Self::Budget { least: 512, off: true, most: 24_576 },
            (2, _) => Self::Budget { least: 1, off: true, most: 24_576 },
            _ => Self::Level { minimal: !pro, medium: !pro || version > (3, 0) },
        }
    }

    /// Whether it takes `parametersJsonSchema` and `responseJsonSchema`.
    pub(super) fn takes_json_schema(self) -> bool {
        self != Self::Early
    }

    /// Whether it refuses calls of tools that are not signed.
    pub(super) fn wants_signatures(self) -> bool {
        matches!(self, Self::Level { .. })
    }

    /// Whether a result of a tool may contain pictures and documents.
    pub(super) fn takes_media_in_results(self) -> bool {
        matches!(self, Self::Level { .. } | Self::Media { recent: true })
    }

    /// The `thinkingConfig`, if there is anything to say that it would take.
    pub(super) fn thinking(self, reasoning: &Reasoning) -> Option<Value> {
        let mut config = serde_json::Map::new();
        match self {
            Self::Early | Self::Media { .. } => return None,
            Self::Level { minimal, medium } => {
                let effort = reasoning.budget_tokens.map(Effort::of_budget).or(reasoning.effort);
                let word = effort.map(|effort| match effort {
                    Effort::None | Effort::Minimal if minimal => "MINIMAL",
                    Effort::None | Effort::Minimal | Effort::Low => "LOW",
                    Effort::Medium if medium => "MEDIUM",
                    Effort::Medium | Effort::High | Effort::Max => "HIGH",
                });
                config.extend(word.map(|word| ("thinkingLevel".to_owned(), json!(word))));
            }
            Self::Budget { .. } | Self::Unknown => {
                let by_effort = reasoning.effort.map(|effort| effort.budget_tokens().unwrap_or(0));
                let budget = reasoning.budget_tokens.or(by_effort).map(|tokens| self.within_bounds(tokens));
                config.extend(budget.map(|tokens| ("thinkingBudget".to_owned(), json!(tokens))));
            }
        }
        config.extend(reasoning.visible.map(|visible| ("includeThoughts".to_owned(), json!(visible))));
        (!config.is_empty()).then_some(Value::Object(config))
    }

    fn within_bounds(self, tokens: u32) -> u32 {
        match self {
            Self::Budget { off: true, .. } if tokens == 0 => 0,
            Self::Budget { least, most, .. } => tokens.clamp(least, most),
            _ => tokens,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thinking(model: &str, effort: Option<Effort>, budget_tokens: Option<u32>) -> Option<Value> {
        Family::of(model).thinking(&Reasoning { effort, budget_tokens, visible: None })
    }

    #[test]
    fn an_effort_is_a_budget_before_version_3_and_a_level_from_there_on() {
        let cases = [
            ("gemini-2.5-flash", Effort::Medium, json!({ "thinkingBudget": 8_192 })),
            ("gemini-2.5-flash", Effort::None, json!({ "thinkingBudget": 0 })),
            ("gemini-2.5-pro", Effort::None, json!({ "thinkingBudget": 128 })),
            ("gemini-2.5-pro", Effort::Max, json!({ "thinkingBudget": 32_768 })),
            ("gemini-2.5-flash", Effort::Max, json!({ "thinkingBudget": 24_576 })),
            ("models/gemini-3-flash-preview", Effort::Minimal, json!({ "thinkingLevel": "MINIMAL" })),
            ("gemini-3-pro-preview", Effort::None, json!({ "thinkingLevel": "LOW" })),
            ("gemini-3-pro-preview", Effort::Medium, json!({ "thinkingLevel": "HIGH" })),
            ("gemini-3.1-pro-preview", Effort::Medium, json!({ "thinkingLevel": "MEDIUM" })),
            ("gemini-flash-latest", Effort::Max, json!({ "thinkingLevel": "HIGH" })),
            ("my-tuned-model", Effort::Low, json!({ "thinkingBudget": 1_024 })),
        ];
        for (model, effort, expected) in cases {
            assert_eq!(thinking(model, Some(effort), None), Some(expected), "{model}");
        }
    }

    #[test]
    fn a_budget_is_kept_within_what_the_model_takes_and_is_a_level_where_that_is_wanted() {
        assert_eq!(thinking("gemini-2.5-flash-lite", None, Some(64)), Some(json!({ "thinkingBudget": 512 })));
        assert_eq!(thinking("gemini-2.5-flash-lite", None, Some(0)), Some(json!({ "thinkingBudget": 0 })));
        let exact = thinking("gemini-3-flash", Some(Effort::High), Some(1_000));
        assert_eq!(exact, Some(json!({ "thinkingLevel": "LOW" })), "the number is the more exact of the two");
    }

    #[test]
    fn models_that_do_not_think_or_do_it_by_themselves_are_not_told_how() {
        for model in ["gemini-2.0-flash", "gemini-1.5-pro", "gemma-3-27b-it", "gemini-2.5-flash-image"] {
            assert_eq!(thinking(model, Some(Effort::High), None), None, "{model}");
        }
        assert_eq!(thinking("gemini-3-flash", None, None), None, "nothing was asked for");
    }

    #[test]
    fn only_models_from_version_3_on_want_signatures() {
        assert!(Family::of("gemini-3-pro-preview").wants_signatures());
        assert!(Family::of("gemini-pro-latest").wants_signatures());
        assert!(!Family::of("gemini-2.5-pro").wants_signatures());
        assert!(!Family::of("mock-1").wants_signatures());
    }
}
