//! What the served APIs have in common: the APIs of OpenAI, Anthropic and Google, which their own SDKs can call here
//! instead of there.
//!
//! Promise: a call is paid for before it is made and settled by what it consumed, whoever goes away in between; every
//! answer, also to what does not exist, is in the form of the API whose address was called. A trailing slash and a
//! doubled version, which some clients add, change nothing. What only one API has is in `openai/`, `anthropic/` and
//! `gemini/`.

mod ask;
mod beside;
mod call;
mod documents;
mod entrance;
mod fields;
mod frames;
mod line;
mod manner;
mod models;
mod reckon;
mod refusals;
mod signatures;
mod story;

pub(crate) use ask::{Ask, Caller, Incoming};
use axum::{Router, middleware};
pub(crate) use beside::{Beside, FormRequest, Sent, Upload, Worth, written_tokens};
pub(crate) use call::Calls;
pub(crate) use documents::{Document, Short, routes as documents, short};
use entrance::Allowance;
pub(crate) use entrance::{ApiRate, enter};
pub(crate) use fields::Fields;
pub(crate) use frames::{Rewrite, Wire};
pub(crate) use manner::Manner;
pub(crate) use models::{Models, get as get_model, list as list_models};
pub(crate) use refusals::{NO_CREDIT, invalid, of_request, of_upstream, unknown_model};
pub(crate) use signatures::Signatures;

use crate::{anthropic, gemini, openai, state::App};

/// Where the APIs begin whose version is 1; some clients add it to a base URL that has it.
pub(crate) const ROOTS: [&str; 2] = ["/v1", "/v1/v1"];

/// The routes; bodies of up to `max_body_bytes` are taken, forms with files of up to `max_upload_bytes`.
pub(crate) fn routes(app: App, max_body_bytes: usize, max_upload_bytes: usize) -> Router<App> {
    openai::routes(max_upload_bytes)
        .merge(anthropic::routes())
        .merge(gemini::routes())
        .route_layer(middleware::from_fn_with_state((app, max_body_bytes), entrance::layer))
}
