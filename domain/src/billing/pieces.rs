//! What is sold by the piece and not by the token: pictures, searches, characters read aloud, seconds of sound.
//!
//! Promise: counts are integers (sound in milliseconds), so what they cost is exact; what was stored before anything was
//! sold by the piece has none.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Fee;

/// Milliseconds of a second, for which a fee is.
const PER_SECOND: i128 = 1_000;

/// Pieces that a call consumed, or may consume.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pieces {
    /// Pictures that were made.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub images: u32,
    /// Searches of a ranking: a question with up to 100 documents each.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub searches: u32,
    /// Characters that were read aloud.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub characters: u32,
    /// Milliseconds of sound that were heard.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub sound_ms: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
const fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl Pieces {
    /// Nothing is sold by the piece.
    pub const NONE: Self = Self { images: 0, searches: 0, characters: 0, sound_ms: 0 };

    /// Whether there are none.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::NONE
    }

    /// Every kind by its name.
    #[must_use]
    pub const fn by_kind(&self) -> [(&'static str, u32); 4] {
        [
            ("images", self.images),
            ("searches", self.searches),
            ("characters", self.characters),
            ("sound_ms", self.sound_ms),
        ]
    }

    /// What they cost in thousandths of a nano-unit; `fees` are in the order of the fields, the last one for a second.
    pub(super) fn cost(&self, fees: [Fee; 4]) -> i128 {
        let counts = self.by_kind().map(|(_, count)| i128::from(count));
        let weights = [PER_SECOND, PER_SECOND, PER_SECOND, 1];
        let costs = fees.into_iter().zip(counts).zip(weights);
        costs.map(|((fee, count), weight)| i128::from(fee.nanos()) * count * weight).sum()
    }
}

#[cfg(test)]
mod spec {
    use super::*;

    #[test]
    fn each_kind_costs_its_own_fee_and_sound_by_the_millisecond() {
        let fees = ["1", "0.002", "0.000015", "0.0001"].map(|text| text.parse().unwrap());
        let pieces = Pieces { images: 2, searches: 3, characters: 4, sound_ms: 1_500 };
        let nanos = 2_000_000_000 + 6_000_000 + 60_000 + 150_000;
        assert_eq!(pieces.cost(fees), nanos * 1_000);
        assert_eq!(Pieces::NONE.cost(fees), 0);
    }

    #[test]
    fn no_pieces_are_written_as_nothing_and_read_from_it() {
        assert_eq!(serde_json::to_string(&Pieces::NONE).unwrap(), "{}");
        assert_eq!(serde_json::from_str::<Pieces>("{}").unwrap(), Pieces::NONE);
    }
}
