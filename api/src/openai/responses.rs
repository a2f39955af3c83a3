//! `POST /v1/responses`, and `GET`, `DELETE`, `cancel` and the input of those that are kept.
//!
//! Source: "Responses" of OpenAI's API reference (platform.openai.com/docs/api-reference/responses).

use axum::{
    Extension, Json,
    extract::{Query, State},
    http::{StatusCode, Uri},
    response::Response,
};
use domain::users::Scope;
use relay::dialects::responses::state::{Page, page};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    kept::{Keeping, items, object},
    request,
    told::Told,
};
use crate::{
    extract::Name,
    holder::Holder,
    problem::Problem,
    request_id::Origin,
    served::{Incoming, Wire, of_request},
};

/// Answers a conversation, which may go on from a response that is kept.
pub(super) async fn create(keeping: Keeping, incoming: Incoming) -> Result<Response, Problem> {
    let Incoming { body, caller } = incoming;
    let mut ask = request::responses(body)?;
    let (body, kept) = keeping.prepare(caller.user(), caller.origin(), ask.body.into_tree()).await?;
    ask.body = body.into();
    caller.answer_kept(ask, Wire::Numbered(Told::default()), kept).await
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Look {
    stream: bool,
    after: Option<String>,
    limit: Option<usize>,
    order: Option<String>,
}

fn look(uri: &Uri) -> Result<Look, Problem> {
    let query = Query::<Look>::try_from_uri(uri);
    query
        .map(|Query(look)| look)
        .map_err(|error| Problem::new(StatusCode::BAD_REQUEST, "invalid_query", error.body_text()))
}

/// A response that is kept, as far as it has come.
pub(super) async fn get(
    Extension(holder): Extension<Holder>,
    State(keeping): State<Keeping>,
    Name(name): Name,
    uri: Uri,
) -> Result<Json<Value>, Problem> {
    holder.require(Scope::Chat)?;
    if look(&uri)?.stream {
        let detail = "Unsupported parameter: 'stream': only a response that was made in the background could be \
            streamed again; what is kept of this one is the object, not its events.";
        return Err(Problem::new(StatusCode::BAD_REQUEST, "unsupported_parameter", detail).about("stream"));
    }
    let kept = keeping.find(holder.user, &name).await?;
    Ok(Json(object(&kept)))
}

/// Its own input, without what came before it.
pub(super) async fn input_items(
    Extension(holder): Extension<Holder>,
    State(keeping): State<Keeping>,
    Name(name): Name,
    uri: Uri,
) -> Result<Json<Value>, Problem> {
    holder.require(Scope::Chat)?;
    let Look { after, limit, order, .. } = look(&uri)?;
    let wanted = Page { after, limit, ascending: order.as_deref() == Some("asc") };
    let kept = keeping.find(holder.user, &name).await?;
    page(items(&kept.input), &wanted).map(Json).map_err(of_request)
}

/// Says that it cannot be stopped: OpenAI stops responses that are made in the background, and here none is.
pub(super) async fn cancel(
    Extension(holder): Extension<Holder>,
    State(keeping): State<Keeping>,
    Name(name): Name,
) -> Result<Json<Value>, Problem> {
    holder.require(Scope::Chat)?;
    keeping.find(holder.user, &name).await?;
    let detail = "Cannot cancel a synchronous response; close its connection instead.";
    Err(Problem::new(StatusCode::BAD_REQUEST, "response_not_in_background", detail))
}

/// Forgets it.
pub(super) async fn delete(
    Extension(holder): Extension<Holder>,
    State(keeping): State<Keeping>,
    origin: Origin,
    Name(name): Name,
) -> Result<Json<Value>, Problem> {
    holder.require(Scope::Chat)?;
    keeping.delete(holder.user, origin, &name).await?;
    Ok(Json(json!({ "id": name, "object": "response", "deleted": true })))
}
