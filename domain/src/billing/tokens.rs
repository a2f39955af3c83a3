//! What a call consumed, and how that is known.
//!
//! Promise: every token is in exactly one tier, so none is ever paid for twice; what was stored before a tier was known
//! has none of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Pieces;

/// What a call consumed; every token is in exactly one tier, so none is ever paid for twice.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tokens {
    /// What is in no other tier of the input.
    pub input: u64,
    /// Input that the provider had in its cache.
    pub cached_input: u64,
    /// What is in no other tier of the output.
    pub output: u64,
    /// What the model thought before it answered.
    pub reasoning: u64,
    /// Input that the provider wrote to its cache.
    #[serde(default, skip_serializing_if = "is_none")]
    pub cache_write: u64,
    /// Input that the provider wrote to its cache for an hour.
    #[serde(default, skip_serializing_if = "is_none")]
    pub cache_write_hour: u64,
    /// Input that was sound.
    #[serde(default, skip_serializing_if = "is_none")]
    pub audio_input: u64,
    /// Input that was pictures.
    #[serde(default, skip_serializing_if = "is_none")]
    pub image_input: u64,
    /// Output that was sound.
    #[serde(default, skip_serializing_if = "is_none")]
    pub audio_output: u64,
    /// Output that was pictures.
    #[serde(default, skip_serializing_if = "is_none")]
    pub image_output: u64,
    /// What of it is sold by the piece, besides any tokens.
    #[serde(default, skip_serializing_if = "Pieces::is_none")]
    pub pieces: Pieces,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
const fn is_none(tokens: &u64) -> bool {
    *tokens == 0
}

impl Tokens {
    /// The input by tier, in the order of [`super::Tiers::of_input`].
    #[must_use]
    pub const fn of_input(&self) -> [u64; 6] {
        [self.input, self.cached_input, self.cache_write, self.cache_write_hour, self.audio_input, self.image_input]
    }

    /// The output by tier, in the order of [`super::Tiers::of_output`].
    #[must_use]
    pub const fn of_output(&self) -> [u64; 4] {
        [self.output, self.reasoning, self.audio_output, self.image_output]
    }

    /// The whole prompt: what thresholds of price lists are about.
    #[must_use]
    pub fn all_input(&self) -> u64 {
        self.of_input().into_iter().fold(0, u64::saturating_add)
    }

    /// Every tier by its name.
    #[must_use]
    pub const fn by_tier(&self) -> [(&'static str, u64); 10] {
        [
            ("input", self.input),
            ("cached_input", self.cached_input),
            ("cache_write", self.cache_write),
            ("cache_write_hour", self.cache_write_hour),
            ("audio_input", self.audio_input),
            ("image_input", self.image_input),
            ("output", self.output),
            ("reasoning", self.reasoning),
            ("audio_output", self.audio_output),
            ("image_output", self.image_output),
        ]
    }

    /// The same with no tier beyond `most`.
    #[must_use]
    pub fn at_most(&self, most: u64) -> Self {
        Self {
            input: self.input.min(most),
            cached_input: self.cached_input.min(most),
            output: self.output.min(most),
            reasoning: self.reasoning.min(most),
            cache_write: self.cache_write.min(most),
            cache_write_hour: self.cache_write_hour.min(most),
            audio_input: self.audio_input.min(most),
            image_input: self.image_input.min(most),
            audio_output: self.audio_output.min(most),
            image_output: self.image_output.min(most),
            pieces: self.pieces,
        }
    }
}

/// How the tokens of a settlement are known, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// The provider said so.
    Reported,
    /// Counted with the model's own tokenizer.
    Counted,
    /// Counted with another one, or bounded by what was held.
    Estimated,
}

impl Basis {
    /// The word in rows and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reported => "reported",
            Self::Counted => "counted",
            Self::Estimated => "estimated",
        }
    }
}
