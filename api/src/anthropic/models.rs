//! `GET /v1/models` and `GET /v1/models/{id}`: what the key may use, in Anthropic's form.
//!
//! Source: "List Models" of Anthropic's API documentation (platform.claude.com/docs/en/api/models/list).

use axum::http::Uri;
use chrono::SecondsFormat;
use metering::Offer;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    problem::Problem,
    served::{Models, invalid},
};

const DEFAULT_PAGE: usize = 20;
const LARGEST_PAGE: usize = 1000;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Page {
    limit: Option<usize>,
    after_id: Option<String>,
    before_id: Option<String>,
}

/// A page of them.
pub(crate) fn list(models: &Models, uri: &Uri) -> Result<Value, Problem> {
    let page: Page = models.page(uri)?;
    let limit = page.limit.unwrap_or(DEFAULT_PAGE);
    if !(1..=LARGEST_PAGE).contains(&limit) {
        return Err(invalid("limit", "invalid_value", format!("limit: an integer from 1 to {LARGEST_PAGE} is needed")));
    }
    let (shown, has_more) = match (&page.after_id, &page.before_id) {
        (_, None) => {
            let offers = models.after(page.after_id.as_deref(), "after_id")?;
            (offers.get(..limit).unwrap_or(offers), offers.len() > limit)
        }
        (_, Some(before)) => {
            let offers = models.before(before, "before_id")?;
            let from = offers.len().saturating_sub(limit);
            (offers.get(from..).unwrap_or(offers), from > 0)
        }
    };
    Ok(json!({
        "data": shown.iter().map(|offer| model(offer)).collect::<Vec<_>>(),
        "has_more": has_more,
        "first_id": shown.first().map(|offer| &offer.model),
        "last_id": shown.last().map(|offer| &offer.model),
    }))
}

/// One of them.
pub(crate) fn model(offer: &Offer) -> Value {
    json!({
        "type": "model",
        "id": offer.model,
        "display_name": offer.model,
        "created_at": offer.created_at.to_rfc3339_opts(SecondsFormat::Secs, true),
        // What is not known is null, as the documentation has it.
        "max_input_tokens": offer.context_tokens,
        "max_tokens": offer.max_output_tokens,
    })
}
