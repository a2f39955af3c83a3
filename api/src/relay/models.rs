//! Which models can be asked, and what they cost.

use axum::{Json, extract::State};
use domain::billing::Rates;
use metering::Catalogue;
use projections::billing::RatesSchema;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{auth::Caller, openapi::Problems, problem::Problem};

/// All models of this installation.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Models {
    items: Vec<Model>,
}

/// One model.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Model {
    id: String,
    /// Who serves it: `local`, `openai`.
    provider: &'static str,
    /// Answers where no model is named.
    default: bool,
    /// Shows that the house works; often wrong.
    demonstration: bool,
    /// Per million tokens.
    #[schema(value_type = RatesSchema)]
    prices: Rates,
}

/// The models that the enabled channels offer, the preferred ones first.
#[utoipa::path(get, path = "/api/v1/models", operation_id = "list_models", tag = "models",
    responses((status = 200, body = Models), Problems), security(("bearer" = [])))]
pub(super) async fn list(_: Caller, State(catalogue): State<Catalogue>) -> Result<Json<Models>, Problem> {
    let offers = catalogue.offers();
    let item = |(place, offer): (usize, &std::sync::Arc<metering::Offer>)| Model {
        id: offer.model.clone(),
        provider: offer.kind.as_str(),
        default: place == 0,
        demonstration: offer.demonstration,
        prices: offer.prices.clone(),
    };
    Ok(Json(Models { items: offers.iter().enumerate().map(item).collect() }))
}
