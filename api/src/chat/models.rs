//! Which models can be asked.

use axum::{Json, extract::State};
use relay::Catalogue;
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
    provider: String,
    /// Answers where no model is named.
    default: bool,
    /// Shows that the house works; often wrong.
    demonstration: bool,
}

/// The models that can be asked, the preferred ones first.
#[utoipa::path(get, path = "/api/v1/models", operation_id = "list_models", tag = "models",
    responses((status = 200, body = Models), Problems), security(("bearer" = [])))]
pub(super) async fn list(_: Caller, State(catalogue): State<Catalogue>) -> Result<Json<Models>, Problem> {
    let default = catalogue.default_model();
    let item = |model: relay::ModelInfo| Model {
        default: default.as_deref() == Some(&model.id),
        id: model.id,
        provider: model.provider,
        demonstration: model.demonstration,
    };
    Ok(Json(Models { items: catalogue.models().into_iter().map(item).collect() }))
}
