//! `GET /v1/models` and `GET /v1beta/models`: what the key may use, in the form of the API whose credentials were used.

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::{Query, State},
    http::{StatusCode, Uri},
};
use domain::users::Scope;
use metering::{Catalogue, Offer};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Manner, invalid, refusals::of_meter, unknown_model};
use crate::{anthropic, extract::Name, gemini, holder::Holder, openai, problem::Problem};

/// The models that somebody may use, in the order of the channels.
pub(crate) struct Models(Vec<Arc<Offer>>);

impl Models {
    async fn of(holder: &Holder, catalogue: &Catalogue) -> Result<Self, Problem> {
        let group = catalogue.group_of(holder.user).await.map_err(of_meter)?;
        let offers = catalogue.models_for(&group).into_iter();
        Ok(Self(offers.filter(|offer| holder.may_ask(&offer.model)).collect()))
    }

    /// Which page is wanted.
    pub(crate) fn page<P: DeserializeOwned>(&self, uri: &Uri) -> Result<P, Problem> {
        let query = Query::<P>::try_from_uri(uri);
        query
            .map(|Query(page)| page)
            .map_err(|error| Problem::new(StatusCode::BAD_REQUEST, "invalid_query", error.body_text()))
    }

    /// All of them.
    pub(crate) fn all(&self) -> &[Arc<Offer>] {
        &self.0
    }

    /// Those that follow the one called `id`, which `param` named; all without it.
    pub(crate) fn after(&self, id: Option<&str>, param: &str) -> Result<&[Arc<Offer>], Problem> {
        let Some(id) = id else { return Ok(&self.0) };
        let at = self.position(id, param)?;
        Ok(self.0.get(at + 1..).unwrap_or_default())
    }

    /// Those before the one called `id`, which `param` named.
    pub(crate) fn before(&self, id: &str, param: &str) -> Result<&[Arc<Offer>], Problem> {
        let at = self.position(id, param)?;
        Ok(self.0.get(..at).unwrap_or_default())
    }

    fn position(&self, id: &str, param: &str) -> Result<usize, Problem> {
        let unknown = || invalid(param, "invalid_value", format!("{param}: there is no such model to go on from"));
        self.0.iter().position(|offer| offer.model == id).ok_or_else(unknown)
    }
}

/// All of them, or a page.
pub(crate) async fn list(
    Extension(holder): Extension<Holder>,
    Extension(manner): Extension<Manner>,
    State(catalogue): State<Catalogue>,
    uri: Uri,
) -> Result<Json<Value>, Problem> {
    holder.require(Scope::Models)?;
    let models = Models::of(&holder, &catalogue).await?;
    let list = match manner {
        Manner::Openai => openai::list(&models),
        Manner::Anthropic => anthropic::list(&models, &uri)?,
        Manner::Gemini => gemini::list(&models, &uri)?,
    };
    Ok(Json(list))
}

/// One of them.
pub(crate) async fn get(
    Extension(holder): Extension<Holder>,
    Extension(manner): Extension<Manner>,
    State(catalogue): State<Catalogue>,
    Name(id): Name,
) -> Result<Json<Value>, Problem> {
    holder.require(Scope::Models)?;
    let id = id.trim_end_matches('/');
    if !holder.may_ask(id) {
        return Err(unknown_model(id));
    }
    let group = catalogue.group_of(holder.user).await.map_err(of_meter)?;
    let offer = catalogue.resolve(Some(id), &group).await.map_err(|_| unknown_model(id))?;
    Ok(Json(match manner {
        Manner::Openai => openai::model(&offer),
        Manner::Anthropic => anthropic::model(&offer),
        Manner::Gemini => gemini::model(&offer),
    }))
}
