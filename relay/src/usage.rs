//! What an answer consumed, and how far the numbers can be trusted.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Where token counts come from, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Basis {
    /// The provider said so.
    Reported,
    /// Counted here with the model's own tokenizer.
    Counted,
    /// Counted here with the tokenizer of another model, or derived from the length of the text.
    Estimated,
}

/// What an answer consumed, in tokens. The parts of a side do not overlap and are together never greater than the side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of the whole prompt: cached ones included, and the template's own where they are known.
    pub input_tokens: u64,
    /// Those of the prompt that the provider had in its cache. Zero where it does not say.
    #[serde(default)]
    pub cached_input_tokens: u64,
    /// Those of the prompt that the provider wrote to its cache at a price of their own: Anthropic's
    /// `cache_creation_input_tokens`, without those for an hour. Zero where it does not say.
    #[serde(default)]
    pub cache_write_input_tokens: u64,
    /// Those of the prompt that the provider wrote to its cache for an hour, at a price of their own. Zero where it does
    /// not say.
    #[serde(default)]
    pub cache_write_hour_input_tokens: u64,
    /// Those of the prompt that were sound. Zero where nobody says.
    #[serde(default)]
    pub audio_input_tokens: u64,
    /// Those of the prompt that were pictures and have a price of their own. Zero where nobody says.
    #[serde(default)]
    pub image_input_tokens: u64,
    /// Tokens of everything that was generated: all choices, tool calls and reasoning included.
    pub output_tokens: u64,
    /// Those of the output that were reasoning. Zero where nobody says.
    #[serde(default)]
    pub reasoning_tokens: u64,
    /// Those of the output that were sound. Zero where nobody says.
    #[serde(default)]
    pub audio_output_tokens: u64,
    /// Those of the output that were pictures. Zero where nobody says.
    #[serde(default)]
    pub image_output_tokens: u64,
    /// How far the numbers can be trusted.
    pub basis: Basis,
}

impl Usage {
    /// Those of the prompt that were written to the provider's cache, for however long.
    #[must_use]
    pub const fn all_cache_write_input_tokens(&self) -> u64 {
        self.cache_write_input_tokens.saturating_add(self.cache_write_hour_input_tokens)
    }

    /// A usage of which no parts are known.
    #[must_use]
    pub const fn new(input_tokens: u64, output_tokens: u64, basis: Basis) -> Self {
        Self {
            input_tokens,
            cached_input_tokens: 0,
            cache_write_input_tokens: 0,
            cache_write_hour_input_tokens: 0,
            audio_input_tokens: 0,
            image_input_tokens: 0,
            output_tokens,
            reasoning_tokens: 0,
            audio_output_tokens: 0,
            image_output_tokens: 0,
            basis,
        }
    }

    /// The same with the parts that almost every provider tells.
    #[must_use]
    pub fn with_parts(self, cached_input_tokens: u64, reasoning_tokens: u64) -> Self {
        Self { cached_input_tokens, reasoning_tokens, ..self }.fitted()
    }

    /// The same with every part cut to what its side has left, in the order of the fields.
    #[must_use]
    pub fn fitted(mut self) -> Self {
        fn cut<const PARTS: usize>(mut left: u64, parts: [&mut u64; PARTS]) {
            for part in parts {
                *part = (*part).min(left);
                left -= *part;
            }
        }
        cut(
            self.input_tokens,
            [
                &mut self.cached_input_tokens,
                &mut self.cache_write_input_tokens,
                &mut self.cache_write_hour_input_tokens,
                &mut self.audio_input_tokens,
                &mut self.image_input_tokens,
            ],
        );
        cut(
            self.output_tokens,
            [&mut self.reasoning_tokens, &mut self.audio_output_tokens, &mut self.image_output_tokens],
        );
        self
    }

    /// The `usage` object of the compatible API; the basis has no place in it.
    #[must_use]
    pub fn to_openai(&self) -> Value {
        json!({
            "prompt_tokens": self.input_tokens,
            "completion_tokens": self.output_tokens,
            "total_tokens": self.input_tokens.saturating_add(self.output_tokens),
            "prompt_tokens_details": {
                "cached_tokens": self.cached_input_tokens,
                "audio_tokens": self.audio_input_tokens,
            },
            "completion_tokens_details": {
                "reasoning_tokens": self.reasoning_tokens,
                "audio_tokens": self.audio_output_tokens,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_never_greater_than_its_whole() {
        let usage = Usage::new(10, 5, Basis::Reported).with_parts(11, 6);
        assert_eq!((usage.cached_input_tokens, usage.reasoning_tokens), (10, 5));
    }

    #[test]
    fn parts_of_a_side_are_together_never_greater_than_the_side() {
        let usage = Usage { cached_input_tokens: 6, cache_write_input_tokens: 3, audio_input_tokens: 5, ..told(10, 5) };
        let fitted = usage.fitted();
        let parts = (fitted.cached_input_tokens, fitted.cache_write_input_tokens, fitted.audio_input_tokens);
        assert_eq!((parts, fitted.image_input_tokens), ((6, 3, 1), 0));
    }

    fn told(input: u64, output: u64) -> Usage {
        Usage::new(input, output, Basis::Reported)
    }

    #[test]
    fn the_compatible_api_gets_totals_and_details() {
        let usage = Usage::new(10, 5, Basis::Counted).with_parts(4, 2).to_openai();
        assert_eq!(usage["total_tokens"], 15);
        assert_eq!(usage["prompt_tokens_details"]["cached_tokens"], 4);
        assert_eq!(usage["completion_tokens_details"]["reasoning_tokens"], 2);
        assert_eq!(Usage::new(u64::MAX, 1, Basis::Reported).to_openai()["total_tokens"], u64::MAX);
    }

    #[test]
    fn a_usage_that_was_stored_before_parts_were_known_is_read() {
        let stored = r#"{"input_tokens":7,"output_tokens":4,"basis":"reported"}"#;
        assert_eq!(serde_json::from_str::<Usage>(stored).unwrap(), Usage::new(7, 4, Basis::Reported));
    }
}
