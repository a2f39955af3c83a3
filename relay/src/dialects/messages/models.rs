//! What a model takes, as far as its name tells.
//!
//! Source: "Models overview", "Extended thinking", "Adaptive thinking" and "Effort" at platform.claude.com/docs, and the
//! notes on `temperature`, `top_k` and `top_p` in the API reference. A name that says nothing (a model of somebody else
//! who speaks the dialect) is taken as one that knows budgets of thinking and all ways of sampling.

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
