//! `GET /v1beta/models` and `GET /v1beta/models/{model}`: what the key may use, in Google's form.
//!
//! Source: "Models" of the Gemini API reference (ai.google.dev/api/models).

use axum::http::Uri;
use metering::Offer;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{problem::Problem, served::Models};

/// What the names of resources begin with.
const COLLECTION: &str = "models/";
const DEFAULT_PAGE: usize = 50;
const LARGEST_PAGE: usize = 1000;

/// The name that users know, of a resource's name.
pub(super) fn public_name(name: &str) -> &str {
    name.strip_prefix(COLLECTION).unwrap_or(name)
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Page {
    page_size: Option<usize>,
    page_token: Option<String>,
}

/// A page of them.
pub(crate) fn list(models: &Models, uri: &Uri) -> Result<Value, Problem> {
    let page: Page = models.page(uri)?;
    let size = page.page_size.filter(|size| *size > 0).unwrap_or(DEFAULT_PAGE).min(LARGEST_PAGE);
    let offers = models.after(page.page_token.as_deref().filter(|token| !token.is_empty()), "pageToken")?;
    let shown: Vec<Value> = offers.iter().take(size).map(|offer| model(offer)).collect();
    let mut list = json!({ "models": shown });
    if let Some(last) = offers.get(size.saturating_sub(1)).filter(|_| offers.len() > size) {
        list["nextPageToken"] = json!(last.model);
    }
    Ok(list)
}

/// One of them.
pub(crate) fn model(offer: &Offer) -> Value {
    let mut model = json!({
        "name": format!("{COLLECTION}{}", offer.model),
        "baseModelId": offer.model,
        "version": offer.price_version.to_string(),
        "displayName": offer.model,
        "supportedGenerationMethods": ["generateContent", "streamGenerateContent", "countTokens"],
    });
    // Only what is known.
    for (name, tokens) in [("inputTokenLimit", offer.context_tokens), ("outputTokenLimit", offer.max_output_tokens)] {
        if let Some(tokens) = tokens {
            model[name] = json!(tokens);
        }
    }
    model
}
