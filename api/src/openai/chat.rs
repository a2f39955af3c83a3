//! `POST /v1/chat/completions`.

use std::sync::Arc;

use axum::{
    Extension,
    extract::{Request, State},
    http::StatusCode,
    response::Response,
};
use domain::{
    HoldId,
    billing::{Purpose, Quote},
    users::Scope,
};
use metering::{Call, Offer};
use relay::{Dialect, Envelope, ServedCall};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{
    call::{Calls, Paid},
    frames,
    request::Ask,
};
use crate::{
    commands::Actor,
    extract,
    holder::Holder,
    problem::Problem,
    request_id::Origin,
    served::{of_meter, of_upstream},
};

/// Answers a conversation: parse, price, hold, ask.
pub(super) async fn complete(
    Extension(holder): Extension<Holder>,
    State(calls): State<Calls>,
    origin: Origin,
    request: Request,
) -> Result<Response, Problem> {
    holder.require(Scope::Chat)?;
    calls.require_open()?;
    let bytes = extract::read(request, &()).await?;
    let room = calls.make_room(bytes.len())?;
    let ask = Ask::read(&bytes)?;
    drop(bytes);
    if !holder.may_ask(&ask.model) {
        let detail = format!("this API key may not ask the model `{}`", ask.model);
        return Err(Problem::new(StatusCode::FORBIDDEN, "model_not_allowed", detail).about("model"));
    }
    let offer = calls.catalogue.resolve(Some(&ask.model)).await.map_err(of_upstream)?;
    let (input_tokens, body) = count(&offer, ask.body).await?;

    let quote = quote(&offer, input_tokens, ask.max_output_tokens, ask.choices, &calls);
    let call = Call {
        payer: holder.user,
        hold_id: HoldId::new(Uuid::now_v7()),
        purpose: Purpose::Api { api_key_id: holder.api_key() },
        actor: Actor::User(holder.user).to_string(),
        correlation_id: origin.correlation_id,
    };
    let held = calls.meter.hold(call, quote).await.map_err(of_meter)?;
    let request = ServedCall {
        dialect: Dialect::ChatCompletions,
        model: offer.upstream.clone(),
        body: Arc::new(body),
        // The bound is each choice's own, what is held is all of theirs.
        max_output_tokens: Some((held.max_output_tokens() / ask.choices).max(1)),
        stream: ask.stream,
        envelope: Envelope {
            id: format!("chatcmpl-{}", Uuid::now_v7().simple()),
            model: ask.model,
            created: chrono::Utc::now().timestamp(),
            input_tokens,
            include_usage: ask.include_usage,
            request: Map::new(),
        },
        headers: vec![],
        key: None,
    };
    let heard = calls.begin(Paid { offer, request, held, room });
    if ask.stream { frames::streamed(heard).await } else { frames::whole(heard).await }
}

/// The input's tokens. Counting is arithmetic for milliseconds, so it is done off the async threads.
async fn count(offer: &Offer, body: Map<String, Value>) -> Result<(u64, Map<String, Value>), Problem> {
    let (provider, model) = (Arc::clone(&offer.provider), offer.upstream.clone());
    let count = move || (provider.count_call(Dialect::ChatCompletions, &model, &body).tokens, body);
    tokio::task::spawn_blocking(count).await.map_err(|error| Problem::bug(&error))
}

/// The most that the call can cost, all choices together.
fn quote(offer: &Offer, input_tokens: u64, wanted: Option<u32>, choices: u32, calls: &Calls) -> Quote {
    let one = offer.quote(input_tokens, wanted, calls.meter.bounds());
    Quote {
        max_output_tokens: one.max_output_tokens.saturating_mul(choices),
        min_output_tokens: one.min_output_tokens.saturating_mul(choices),
        ..one
    }
}
