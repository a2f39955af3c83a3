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

/// The models that the caller's group may use, the preferred ones first, at what it pays.
#[utoipa::path(get, path = "/api/v1/models", operation_id = "list_models", tag = "models",
    responses((status = 200, body = Models), Problems), security(("bearer" = [])))]
pub(super) async fn list(caller: Caller, State(catalogue): State<Catalogue>) -> Result<Json<Models>, Problem> {
    let group = catalogue.group_of(caller.user).await;
    let group = group.map_err(|_| Problem::unavailable("unavailable", "the groups of users cannot be read now"))?;
    let offers = catalogue.models_for(&group);
    let item = |(place, offer): (usize, &std::sync::Arc<metering::Offer>)| Model {
        id: offer.model.clone(),
        provider: offer.kind.as_str(),
        default: place == 0,
        demonstration: offer.demonstration,
        prices: offer.prices.clone().times(group.factor),
    };
    Ok(Json(Models { items: offers.iter().enumerate().map(item).collect() }))
}
