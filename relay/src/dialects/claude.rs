//! Claude, wherever it runs: what a model takes as far as its name tells, how it is told to think, and what it signs.
//! Anthropic's API and AWS Bedrock differ in their words for it, not in the rules, and each takes the signatures of the
//! other.
//!
//! Source: "Models overview", "Extended thinking", "Adaptive thinking" and "Effort" at platform.claude.com/docs, and the
//! notes on `temperature`, `top_k` and `top_p` in the API reference. A name that says nothing (a model of somebody else
//! who speaks the dialect) is taken as one that knows budgets of thinking and all ways of sampling.

use serde_json::{Value, json};

use crate::Dialect;
use crate::model::{Author, Effort, Message, Opaque, Part, Prompt, Reasoning, Sampling, ToolChoice};

/// A smaller budget of thinking is refused.
const MIN_BUDGET_TOKENS: u32 = 1_024;
/// With thinking, `top_p` may not be below this.
const MIN_TOP_P_WITH_THINKING: f64 = 0.95;

/// Of Claude: 4.6 is `(4, 6)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Generation(Option<(u8, u8)>);

impl Generation {
    /// That of a model by its name at Anthropic, Bedrock, Vertex or a gateway.
    pub(crate) fn of(model: &str) -> Self {
        let name = model.to_ascii_lowercase();
        let Some((_, rest)) = name.split_once("claude") else { return Self(None) };
        // Dates are longer than versions.
        let number = |word: &str| word.parse::<u8>().ok().filter(|_| word.len() <= 2);
        let mut words = rest.split(['-', '.', '_', '@', ':']).skip_while(|word| number(word).is_none());
        let major = words.next().and_then(number);
        let minor = words.next().and_then(number).unwrap_or(0);
        Self(major.map(|major| (major, minor)))
    }

    /// Tokens of an answer where the client leaves them open, which the API does not allow: what every model of the
    /// generation can do.
    pub(crate) fn default_max_tokens(self) -> u32 {
        match self.0 {
            Some(version) if version < (3, 5) => 4_096,
            Some(version) if version >= (3, 7) => 32_000,
            _ => 8_192,
        }
    }

    /// Whether it can think before it answers.
    pub(crate) fn thinks(self) -> bool {
        self.0.is_none_or(|version| version >= (3, 7))
    }

    /// Whether it decides itself how much to think, by effort instead of a budget.
    pub(crate) fn is_adaptive(self) -> bool {
        self.0.is_some_and(|version| version >= (4, 6))
    }

    /// Whether it takes a temperature or `top_p`, but not both.
    pub(crate) fn takes_one_way_of_sampling(self) -> bool {
        self.0.is_some_and(|version| version >= (4, 1))
    }

    /// Whether it refuses `temperature`, `top_p` and `top_k`.
    pub(crate) fn refuses_sampling(self) -> bool {
        self.0.is_some_and(|version| version >= (4, 7))
    }
}

/// How much the model shall think, within what is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Thinking {
    /// Nothing is said about it.
    Unsaid,
    /// Not at all.
    Disabled,
    /// So many tokens.
    Budget(u32),
    /// As the model likes, guided by the effort.
    Adaptive(Option<Effort>),
}

impl Thinking {
    /// What a prompt wants of a model that answers with at most `max_tokens`.
    pub(crate) fn of(prompt: &Prompt, generation: Generation, max_tokens: u32) -> Self {
        let Some(Reasoning { effort, budget_tokens, .. }) = prompt.reasoning.as_ref() else { return Self::Unsaid };
        // A call that must be made and thinking exclude each other; clients rely on the call.
        let is_forced = matches!(prompt.tool_choice, Some(ToolChoice::Required | ToolChoice::Named(_)));
        if !generation.thinks() || is_forced && !prompt.tools.is_empty() {
            return Self::Unsaid;
        }
        if *budget_tokens == Some(0) || budget_tokens.is_none() && *effort == Some(Effort::None) {
            return Self::Disabled;
        }
        if generation.is_adaptive() {
            return Self::Adaptive(effort.or(budget_tokens.map(Effort::of_budget)));
        }
        let wanted = budget_tokens.or(effort.and_then(Effort::budget_tokens)).or(Effort::Medium.budget_tokens());
        let wanted = wanted.unwrap_or_default().max(MIN_BUDGET_TOKENS);
        match fitted_budget(wanted, max_tokens) {
            Some(budget) if !continues_unsigned(&prompt.messages) => Self::Budget(budget),
            _ => Self::Unsaid,
        }
    }

    pub(crate) fn is_on(self) -> bool {
        matches!(self, Self::Budget(_) | Self::Adaptive(_))
    }

    /// The `thinking` parameter.
    pub(crate) fn written(self, reasoning: Option<&Reasoning>) -> Option<Value> {
        let mut thinking = match self {
            Self::Unsaid => return None,
            Self::Disabled => return Some(json!({"type": "disabled"})),
            Self::Budget(tokens) => json!({"type": "enabled", "budget_tokens": tokens}),
            Self::Adaptive(_) => json!({"type": "adaptive"}),
        };
        if let Some(visible) = reasoning.and_then(|reasoning| reasoning.visible) {
            thinking["display"] = Value::from(if visible { "summarized" } else { "omitted" });
        }
        Some(thinking)
    }

    /// The word for the effort of a model that decides itself.
    pub(crate) fn effort(self) -> Option<&'static str> {
        let Self::Adaptive(effort) = self else { return None };
        effort.map(|effort| match effort {
            Effort::None | Effort::Minimal | Effort::Low => "low",
            Effort::Medium => "medium",
            Effort::High => "high",
            Effort::Max => "max",
        })
    }

    /// The parameters of sampling that may be sent with it.
    pub(crate) fn sampling(self, sampling: &Sampling, generation: Generation) -> Sampling {
        if generation.refuses_sampling() {
            return Sampling::default();
        }
        let thinks = self.is_on();
        let temperature = sampling.temperature.filter(|_| !thinks).map(|temperature| temperature.clamp(0.0, 1.0));
        let top_p = sampling.top_p.filter(|top_p| !thinks || *top_p >= MIN_TOP_P_WITH_THINKING);
        let top_p = top_p.filter(|_| temperature.is_none() || !generation.takes_one_way_of_sampling());
        Sampling { temperature, top_p, top_k: sampling.top_k.filter(|_| !thinks), ..Sampling::default() }
    }
}

/// A budget of thinking within `max_tokens`, of which it is a part: one that does not fit leaves a quarter for the answer.
pub(crate) fn fitted_budget(wanted: u32, max_tokens: u32) -> Option<u32> {
    let budget = if wanted < max_tokens { wanted } else { max_tokens / 4 * 3 };
    (budget >= MIN_BUDGET_TOKENS).then_some(budget)
}

/// Whether the model goes on after calls whose thoughts are lost, which is refused while it is told a budget.
fn continues_unsigned(messages: &[Message]) -> bool {
    let from_last = messages.iter().rev().skip_while(|message| message.author != Author::Assistant);
    let last = from_last.take_while(|message| message.author == Author::Assistant);
    let parts: Vec<_> = last.flat_map(|message| &message.parts).collect();
    let is_signed = |part: &&Part| matches!(part, Part::Reasoning { signature: Some(signature), .. } if signature.dialect == Dialect::Messages);
    parts.iter().any(|part| matches!(part, Part::ToolCall { .. })) && !parts.iter().any(is_signed)
}

/// What Claude thought and signed.
pub(crate) fn signed(signature: &str) -> Opaque {
    Opaque { dialect: Dialect::Messages, value: json!({"signature": signature}) }
}

/// What Claude thought and hides.
pub(crate) fn redacted(data: &str) -> Opaque {
    Opaque { dialect: Dialect::Messages, value: json!({"data": data}) }
}

/// An id of a call as both take it: other providers have ids with dots and colons. The same id becomes the same.
pub(crate) fn tool_id(id: &str) -> String {
    id.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generation_is_in_the_name_wherever_the_model_runs() {
        let known = [
            ("claude-3-haiku-20240307", (3, 0)),
            ("claude-3-7-sonnet-20250219", (3, 7)),
            ("anthropic/claude-3.5-sonnet", (3, 5)),
            ("claude-sonnet-4-20250514", (4, 0)),
            ("claude-opus-4-1@20250805", (4, 1)),
            ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", (4, 5)),
            ("claude-opus-4-7", (4, 7)),
            ("claude-sonnet-5", (5, 0)),
        ];
        for (model, version) in known {
            assert_eq!(Generation::of(model), Generation(Some(version)), "{model}");
        }
        for model in ["kimi-k2", "claude-mythos-preview", "amazon.nova-pro-v1:0", ""] {
            assert_eq!(Generation::of(model), Generation(None), "{model}");
        }
    }

    #[test]
    fn an_unknown_model_thinks_by_budget_and_samples_as_it_is_told() {
        let unknown = Generation::of("glm-4.6");
        assert!(unknown.thinks() && !unknown.is_adaptive() && !unknown.refuses_sampling());
        assert_eq!(unknown.default_max_tokens(), 8_192);
    }
}
