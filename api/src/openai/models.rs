//! `GET /v1/models` and `GET /v1/models/{id}`: what the key may use.

use axum::{
    Extension, Json,
    extract::{Path, State},
};
use domain::users::Scope;
use metering::{Catalogue, Offer};
use serde_json::{Value, json};

use super::error::unknown_model;
use crate::{holder::Holder, problem::Problem};

pub(super) async fn list(
    Extension(holder): Extension<Holder>,
    State(catalogue): State<Catalogue>,
) -> Result<Json<Value>, Problem> {
    holder.require(Scope::Models)?;
    let offers = catalogue.offers();
    let data: Vec<Value> =
        offers.iter().filter(|offer| holder.may_ask(&offer.model)).map(|offer| model(offer)).collect();
    Ok(Json(json!({ "object": "list", "data": data })))
}

pub(super) async fn get(
    Extension(holder): Extension<Holder>,
    State(catalogue): State<Catalogue>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    holder.require(Scope::Models)?;
    let id = id.trim_end_matches('/');
    if !holder.may_ask(id) {
        return Err(unknown_model(id));
    }
    let offer = catalogue.resolve(Some(id)).await.map_err(|_| unknown_model(id))?;
    Ok(Json(model(&offer)))
}

fn model(offer: &Offer) -> Value {
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
