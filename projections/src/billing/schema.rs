//! How price lists read in JSON, for the description of the API: decimals, as strings.

use serde::Serialize;
use utoipa::ToSchema;

/// A price list: decimals per million tokens, or for each piece.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Rates)]
pub struct RatesSchema {
    pub input: String,
    pub output: String,
    /// As `input` where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cached_input: Option<String>,
    /// As `output` where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<String>,
    /// Of input that is written to the provider's cache; as `input` where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<String>,
    /// Of input that is written to the provider's cache for an hour; as `cache_write` where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_write_hour: Option<String>,
    /// As `input` where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio_input: Option<String>,
    /// As `input` where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_input: Option<String>,
    /// As `output` where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio_output: Option<String>,
    /// As `output` where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_output: Option<String>,
    /// For each call, whatever it consumes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_request: Option<String>,
    /// For each picture that is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_image: Option<String>,
    /// For each search of a ranking: a question with up to 100 documents.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_search: Option<String>,
    /// For each character that is read aloud.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_character: Option<String>,
    /// For each second of sound that is heard.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_second: Option<String>,
    /// Instead of the rates above, for calls whose whole input is longer than a threshold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub long: Vec<LongRatesSchema>,
    /// What all of it is multiplied by: the factor of the payer's group, in what was held and charged only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub factor: Option<String>,
}

/// What all tokens of a call with a long input cost.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LongRates)]
pub struct LongRatesSchema {
    /// Beyond so many input tokens, cached ones included.
    pub above_input_tokens: u64,
    pub rates: TiersSchema,
}

/// Decimals per million tokens.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Tiers)]
pub struct TiersSchema {
    pub input: String,
    pub output: String,
    /// As `input` where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cached_input: Option<String>,
    /// As `output` where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<String>,
    /// Of input that is written to the provider's cache; as `input` where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<String>,
    /// Of input that is written to the provider's cache for an hour; as `cache_write` where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_write_hour: Option<String>,
    /// As `input` where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio_input: Option<String>,
    /// As `input` where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_input: Option<String>,
    /// As `output` where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio_output: Option<String>,
    /// As `output` where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_output: Option<String>,
}

/// What is sold by the piece; what is absent is none.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Pieces)]
pub struct PiecesSchema {
    /// Pictures that were made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub images: Option<u32>,
    /// Searches of a ranking.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub searches: Option<u32>,
    /// Characters that were read aloud.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub characters: Option<u32>,
    /// Milliseconds of sound that were heard.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sound_ms: Option<u32>,
}
