//! A call as a client wants it, and the way to its answer: parse, price, hold, ask. The same for every dialect.

use axum::{
    body::Bytes,
    extract::{FromRef, FromRequest, Request},
    http::{HeaderMap, StatusCode, request::Parts},
};
use domain::{
    CallId, HoldId, UserId,
    billing::{Purpose, Quote, ReleaseReason},
    users::Scope,
};
use metering::{Begun, Call, Choices, Held, Known, MeterError, PayerGroup, surface_of};
use relay::{Basis, Counted, Dialect, Envelope, RequestBody, ServedCall, UnreadableBody};
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;
use uuid::Uuid;

use super::{
    Allowance, Manner,
    call::{Calls, Heard, Paid},
    line::Listener,
    reckon::{count, roughly},
    refusals::{context_too_long, of_meter, of_upstream},
    story::kind_of,
};
use crate::{
    commands::Actor,
    extract,
    holder::Holder,
    openai::Kept,
    problem::Problem,
    request_id::{Origin, RequestId},
};

/// Headers of clients that mean something to an upstream of the same dialect.
const PASSED_ON: &str = "anthropic-";

/// What a client asks, as far as it concerns the price and the form of the answer.
pub(crate) struct Ask {
    pub(crate) dialect: Dialect,
    /// As users name it.
    pub(crate) model: String,
    pub(crate) stream: bool,
    /// The client of a stream of chat completions can read a frame without choices.
    pub(crate) include_usage: bool,
    /// How many answers to the same question.
    pub(crate) choices: u32,
    /// The client's own bound for each of them.
    pub(crate) max_output_tokens: Option<u32>,
    /// Everything that was sent.
    pub(crate) body: RequestBody,
}

/// A request of somebody who may call, with its body.
pub(crate) struct Incoming {
    /// A JSON object.
    pub(crate) body: RequestBody,
    pub(crate) caller: Caller,
}

/// Who calls, and what the call needs of the request beside its body.
pub(crate) struct Caller {
    pub(super) calls: Calls,
    pub(super) holder: Holder,
    pub(super) allowance: Allowance,
    pub(super) origin: Origin,
    headers: Vec<(String, String)>,
    /// For the request's bytes.
    pub(super) room: OwnedSemaphorePermit,
    pub(super) manner: Manner,
    pub(super) id: RequestId,
}

impl<S> FromRequest<S> for Incoming
where
    S: Send + Sync,
    Calls: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let caller = Caller::of(&mut parts, state).await?;
        let bytes = extract::read(Request::from_parts(parts, body)).await?;
        Self::new(caller, bytes)
    }
}

impl Incoming {
    /// What `caller` sent.
    pub(crate) fn new(mut caller: Caller, bytes: Bytes) -> Result<Self, Problem> {
        caller.room = caller.calls.make_room(bytes.len())?;
        Ok(Self { body: object(bytes)?, caller })
    }
}

impl Caller {
    /// Whoever sent a request with this head and may call; room for its body is made when that is read.
    pub(super) async fn of<S>(parts: &mut Parts, state: &S) -> Result<Self, Problem>
    where
        S: Send + Sync,
        Calls: FromRef<S>,
    {
        let (Some(holder), Some(allowance), Some(manner), Some(id)) = (
            parts.extensions.remove(),
            parts.extensions.remove(),
            parts.extensions.remove(),
            parts.extensions.get::<RequestId>().cloned(),
        ) else {
            return Err(Problem::bug("a served route without its entrance"));
        };
        Self::new(Calls::from_ref(state), (holder, allowance), (manner, id), &parts.headers)
    }

    /// Who was let in and sent these headers, if they may call.
    pub(crate) fn new(
        calls: Calls,
        (holder, allowance): (Holder, Allowance),
        (manner, id): (Manner, RequestId),
        headers: &HeaderMap,
    ) -> Result<Self, Problem> {
        holder.require(Scope::Chat)?;
        calls.require_open()?;
        let origin = Origin::of(&id, headers);
        let (headers, room) = (passed_on(headers), calls.make_room(0)?);
        Ok(Self { calls, holder, allowance, origin, headers, room, manner, id })
    }

    /// Who pays.
    pub(crate) const fn user(&self) -> UserId {
        self.holder.user
    }

    pub(crate) const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Prices the call, sets its credit apart and makes it. Dropping the listener is the client going away.
    pub(super) async fn call(mut self, ask: Ask, kept: Option<Kept>) -> Result<Listener<Heard>, Problem> {
        let hold_id = kept.as_ref().map_or_else(|| HoldId::new(Uuid::now_v7()), Kept::hold_id);
        let mut following = self.calls.meter.recorder().follow(Begun {
            id: CallId::new(hold_id.uuid()),
            user: self.holder.user,
            purpose: self.purpose(),
            surface: surface_of(ask.dialect),
            model: Some(ask.model.clone()),
            stream: ask.stream,
        });
        match Box::pin(self.prepare(ask, kept, hold_id)).await {
            Ok(paid) => {
                following.held(&paid.held);
                Ok(self.calls.begin(paid, following, self.room))
            }
            Err(problem) => {
                following.names_one_of(&self.calls.catalogue);
                following.refused(kind_of(&problem));
                Err(problem)
            }
        }
    }

    pub(super) fn purpose(&self) -> Purpose {
        Purpose::Api { api_key_id: self.holder.api_key() }
    }

    async fn prepare(&mut self, ask: Ask, kept: Option<Kept>, hold_id: HoldId) -> Result<Paid, Problem> {
        let (choices, group) = self.choices(&ask.model).await?;
        // That a response which is kept was abandoned is known by the end of its hold.
        let paying = Call { must_hold: kept.is_some(), ..self.paid_by_this(hold_id) };
        let (counted, held) = self.hold(&ask, &choices, &group, paying).await?;
        let affinity = affinity(&ask.body).map(|name| format!("{}:{name}", self.holder.user));
        let known = Known { affinity, tokens: counted.tokens, exactly: counted.basis == Basis::Counted };
        let envelope = Envelope {
            id: kept.as_ref().map_or_else(|| id_of(ask.dialect), Kept::name),
            model: ask.model,
            created: chrono::Utc::now().timestamp(),
            input_tokens: counted.tokens,
            include_usage: ask.include_usage,
            request: ask.body.clone(),
        };
        if let Some(kept) = &kept
            && let Err(problem) = Box::pin(kept.begin(&envelope)).await
        {
            // It gives the credit back whether this is waited for or not.
            drop(held.release(ReleaseReason::Failed));
            return Err(problem);
        }
        let memory = self.calls.signatures.of(self.holder.user, &ask.body).await;
        let call = ServedCall {
            dialect: ask.dialect,
            model: choices.first().upstream.clone(),
            body: ask.body,
            // The bound is each choice's own, what is held is all of theirs.
            max_output_tokens: Some((held.max_output_tokens() / ask.choices).max(1)),
            stream: ask.stream,
            envelope,
            headers: std::mem::take(&mut self.headers),
            key: None,
            memory,
        };
        Ok(Paid { choices, known, call, held, kept })
    }

    /// Sets the call's credit apart, and says how long its input is: as it was counted, or guessed where that will do.
    async fn hold(
        &self,
        ask: &Ask,
        choices: &Choices,
        group: &PayerGroup,
        call: Call,
    ) -> Result<(Counted, Held), Problem> {
        let meter = &self.calls.meter;
        let of_each = ask.choices;
        let quote = |tokens, wanted| quote(choices, tokens, wanted, of_each, &self.calls).times(group.factor);
        let rough = roughly(ask, choices).filter(|_| !meter.charges_expired());
        if let Some(rough) = rough {
            self.allowance.take(rough.about)?;
            match meter.hold_whole(call.clone(), quote(rough.at_most, ask.max_output_tokens)).await {
                Ok(held) => return Ok((rough.guess(), held)),
                Err(MeterError::InsufficientCredit { .. }) => {}
                Err(error) => return Err(of_meter(error)),
            }
        }
        let counted = count(choices.first(), ask.dialect, ask.body.clone()).await?;
        let wanted = fitting(choices, counted, ask.max_output_tokens)?;
        if rough.is_none() {
            self.allowance.take(counted.tokens)?;
        }
        let held = meter.hold(call, quote(counted.tokens, wanted)).await.map_err(of_meter)?;
        Ok((counted, held))
    }

    /// Tokens of a request that is not made.
    pub(crate) async fn count(self, dialect: Dialect, model: &str, body: RequestBody) -> Result<u64, Problem> {
        let (choices, _) = self.choices(model).await?;
        count(choices.first(), dialect, body).await.map(|counted| counted.tokens)
    }

    /// A call that the caller pays for.
    pub(super) fn paid_by_this(&self, hold_id: HoldId) -> Call {
        Call {
            payer: self.holder.user,
            hold_id,
            purpose: self.purpose(),
            actor: Actor::User(self.holder.user).to_string(),
            correlation_id: self.origin.correlation_id,
            must_hold: false,
        }
    }

    /// The group of a caller who may ask `model`.
    pub(super) async fn group(&self, model: &str) -> Result<PayerGroup, Problem> {
        if !self.holder.may_ask(model) {
            let detail = format!("this API key may not ask the model `{model}`");
            return Err(Problem::new(StatusCode::FORBIDDEN, "model_not_allowed", detail).about("model"));
        }
        self.calls.catalogue.group_of(self.holder.user).await.map_err(of_meter)
    }

    async fn choices(&self, model: &str) -> Result<(Choices, PayerGroup), Problem> {
        let group = self.group(model).await?;
        let choices = self.calls.catalogue.choices(Some(model), &group).await.map_err(of_upstream)?;
        Ok((choices, group))
    }
}

/// The body of a request, which in every dialect is an object.
fn object(bytes: Bytes) -> Result<RequestBody, Problem> {
    let wrong = |detail: String| Problem::new(StatusCode::BAD_REQUEST, "invalid_json", detail);
    RequestBody::read(bytes).map_err(|error| match error {
        UnreadableBody::NoObject => wrong("the body of the request must be a JSON object".to_owned()),
        UnreadableBody::Json(error) => wrong(format!("We could not parse the JSON body of your request: {error}")),
    })
}

fn passed_on(headers: &HeaderMap) -> Vec<(String, String)> {
    let passed = headers.iter().filter(|(name, _)| name.as_str().starts_with(PASSED_ON));
    passed.filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))).collect()
}

/// What an upstream's cache knows a conversation by, in the words of any dialect.
fn affinity(body: &RequestBody) -> Option<&str> {
    let named = ["prompt_cache_key", "previous_response_id", "conversation", "user"];
    let metadata = body.get("metadata").and_then(|metadata| metadata.get("user_id"));
    named.into_iter().filter_map(|name| body.get(name)).chain(metadata).find_map(Value::as_str)
}

/// The wanted bound, as far as the model's context window has room for it.
///
/// Only a count with the model's own vocabulary refuses or shortens anything: an estimate may be wrong.
fn fitting(choices: &Choices, counted: Counted, wanted: Option<u32>) -> Result<Option<u32>, Problem> {
    if counted.basis != Basis::Counted {
        return Ok(wanted);
    }
    let offer = choices.first();
    // Another channel of the model may read more than the preferred one; then it is the one that is chosen.
    let own = offer.context_tokens.filter(|window| u64::from(*window) > counted.tokens);
    let Some(window) = own.or_else(|| choices.largest_context()) else { return Ok(wanted) };
    match u64::from(window).checked_sub(counted.tokens) {
        // Whoever reads less is left out when somebody is chosen.
        None | Some(0) if choices.has_larger_context() => Ok(wanted),
        None | Some(0) => Err(context_too_long()),
        Some(left) => {
            let left = u32::try_from(left).unwrap_or(window);
            let wanted = wanted.or(offer.max_output_tokens);
            // Without any bound the usual one is smaller than most windows, but not than all.
            Ok(wanted.map(|wanted| wanted.min(left)))
        }
    }
}

/// The most that the call can cost, all choices together.
fn quote(offers: &Choices, input_tokens: u64, wanted: Option<u32>, choices: u32, calls: &Calls) -> Quote {
    let one = offers.quote(input_tokens, wanted, calls.meter.bounds());
    Quote {
        max_output_tokens: one.max_output_tokens.saturating_mul(choices),
        min_output_tokens: one.min_output_tokens.saturating_mul(choices),
        ..one
    }
}

/// Our id of an answer, in the dialect's manner.
fn id_of(dialect: Dialect) -> String {
    let prefix = match dialect {
        Dialect::ChatCompletions => "chatcmpl-",
        Dialect::Responses => "resp_",
        Dialect::Messages => "msg_",
        Dialect::GenerateContent | Dialect::Converse => "",
    };
    let mut buffer = Uuid::encode_buffer();
    let unique: &str = Uuid::now_v7().simple().encode_lower(&mut buffer);
    [prefix, unique].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_moved_for_every_call_is_small() {
        // More than about so much is copied byte by byte.
        const FAST: usize = 4096;
        fn bytes<A, B, C, F>(_: impl FnOnce(A, B, C) -> F) -> usize {
            size_of::<F>()
        }
        let call = bytes(|caller: Caller, ask, kept| caller.call(ask, kept));
        assert!(call < FAST, "{call} bytes");
    }

    #[test]
    fn what_is_no_json_object_is_refused() {
        for body in ["", "{", "[]", "null", "\"text\"", "{} tail"] {
            assert_eq!(object(Bytes::from(body)).err().unwrap().code(), "invalid_json", "{body}");
        }
        assert!(object(Bytes::from("{\"future\": {\"x\": 1}}")).ok().unwrap().get("future").is_some());
    }
}
