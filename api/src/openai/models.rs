//! `GET /v1/models` and `GET /v1/models/{id}`: what the key may use, in OpenAI's form with what else is known.

use metering::Offer;
use serde_json::{Value, json};

use crate::served::Models;

/// All of them: OpenAI has no pages here.
pub(crate) fn list(models: &Models) -> Value {
    let data: Vec<Value> = models.all().iter().map(|offer| model(offer)).collect();
    json!({ "object": "list", "data": data })
}

/// One of them.
pub(crate) fn model(offer: &Offer) -> Value {
    let mut model = json!({
        "id": offer.model,
        "object": "model",
        "created": offer.created_at.timestamp(),
        "owned_by": offer.kind.as_str(),
        "pricing": offer.prices,
    });
    // Only what is known.
    let known = [("context_window", offer.context_tokens), ("max_output_tokens", offer.max_output_tokens)];
    for (name, tokens) in known {
        if let Some(tokens) = tokens {
            model[name] = json!(tokens);
        }
    }
    model
}
