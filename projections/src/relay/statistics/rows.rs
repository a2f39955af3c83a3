//! What calls add up to, as the HTTP API tells it.

use chrono::{DateTime, Utc};
use domain::billing::Nanos;
use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use utoipa::ToSchema;

/// What the calls of a period add up to, by what was asked for.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Statistics {
    /// The first hour.
    pub from: DateTime<Utc>,
    /// The end of the last hour.
    pub to: DateTime<Utc>,
    /// `channel`, `model`, `user`, `key`, `hour` or `day`.
    pub group_by: String,
    pub currency: String,
    /// Everything together, also where rows were left out.
    pub total: Figures,
    /// The most requests first; hours and days in order.
    pub rows: Vec<StatisticsRow>,
    /// There are more rows than are told.
    pub truncated: bool,
}

/// What has one thing in common.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct StatisticsRow {
    /// The id of the channel, account or key, the name of the model, or the instant at which the hour or day begins.
    /// `null` collects what has none: nobody was asked, nobody offers the model, or no key was used.
    #[schema(required = true)]
    pub group: Option<String>,
    /// What people call it, where it has another name and is known.
    #[schema(required = true)]
    pub name: Option<String>,
    #[serde(flatten)]
    pub figures: Figures,
}

/// Requests, errors, durations, tokens and money.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Figures {
    /// Requests that ended. Each counts for who answered, or was asked last.
    pub requests: i64,
    pub completed: i64,
    /// Whoever asked went away.
    pub cancelled: i64,
    /// Those that failed, and those that were refused before anybody was asked.
    pub errors: i64,
    /// `errors` of `requests`, from 0 to 1.
    pub error_rate: f64,
    /// Why requests failed or were refused, the most frequent first.
    pub errors_by_code: Vec<ErrorCount>,
    /// Times that channels were asked, also for requests that another one answered in the end.
    pub tries: i64,
    pub failed_tries: i64,
    /// Why tries failed, the most frequent first.
    pub failed_tries_by_code: Vec<ErrorCount>,
    /// Tries of which nobody knows what they have cost: they broke off, or were not waited for. They are in no cost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown_cost_tries: Option<i64>,
    /// What was settled.
    pub tokens: StatisticsTokens,
    /// What users paid.
    #[schema(value_type = String)]
    pub charged_nanos: Nanos,
    /// What providers charge us for it. For operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub cost_nanos: Option<Nanos>,
    /// What lost attempts and expired calls are assumed to have cost us. For operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub lost_cost_nanos: Option<Nanos>,
    /// Of requests that were completed, from the question to the end.
    pub duration: Percentiles,
    /// From the question to the first output, of answers that came piece by piece.
    pub first_output: Percentiles,
}

/// How often something went wrong for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, FromRow, ToSchema)]
pub struct ErrorCount {
    /// In a word for programs.
    pub code: String,
    pub count: i64,
}

/// Milliseconds that so many of a hundred did not pass, right to 1.6 %; `null` where there was none.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Percentiles {
    #[schema(required = true)]
    pub p50_ms: Option<u64>,
    #[schema(required = true)]
    pub p95_ms: Option<u64>,
    #[schema(required = true)]
    pub p99_ms: Option<u64>,
}

/// What calls consumed; every token is in exactly one tier.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize, FromRow, ToSchema)]
#[serde(default)]
pub struct StatisticsTokens {
    /// What is in no other tier of the input.
    #[sqlx(rename = "input_tokens")]
    pub input: i64,
    #[sqlx(rename = "cached_input_tokens")]
    pub cached_input: i64,
    /// Written to the provider's cache, for however long.
    #[sqlx(rename = "cache_write_tokens")]
    pub cache_write: i64,
    #[sqlx(rename = "audio_input_tokens")]
    pub audio_input: i64,
    #[sqlx(rename = "image_input_tokens")]
    pub image_input: i64,
    /// What is in no other tier of the output.
    #[sqlx(rename = "output_tokens")]
    pub output: i64,
    #[sqlx(rename = "reasoning_tokens")]
    pub reasoning: i64,
    #[sqlx(rename = "audio_output_tokens")]
    pub audio_output: i64,
    #[sqlx(rename = "image_output_tokens")]
    pub image_output: i64,
}
