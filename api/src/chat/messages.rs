//! What is said: send, regenerate, list.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use chrono::Utc;
use domain::Refusal as _;
use domain::{
    MessageId, RunId, Sealed, SessionId, UserId,
    billing::{Paid, WalletCommand},
    chat::{Parent, Session as Aggregate, SessionCommand, SessionRefusal, session::MAX_MESSAGE_CHARS},
};
use metering::{Catalogue, Meter, Offer, PayerGroup};
use projections::{
    Page,
    chat::{self as rows, Branch, MessageQuery, Order},
};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{Whereabouts, sessions::no_session};
use crate::{
    auth::Caller,
    commands::{Accepted, Actor, Bus, CommandStatus, Written},
    extract::{self, Id, OptionalJson, Query},
    idempotency::{IdempotencyKey, RequiredIdempotencyKey},
    openapi::{AfterParam, KeyParam, Problems, RequiredKeyParam},
    problem::Problem,
    read::{After, Fresh, Model, PageQuery, Reads, missing},
    request_id::Origin,
};

/// Bytes of a token, about; a first look at the price needs no more.
const BYTES_PER_TOKEN: u64 = 4;

/// A question.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct NewMessage {
    #[schema(min_length = 1, max_length = 32_000)]
    content: String,
    /// The default model if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    /// Absent: after the newest answer. The id of an answer: after it. `null`: a new beginning.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Uuid>)]
    parent_id: Option<Option<Uuid>>,
}

/// Tells `null` from absent.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<Uuid>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// The ids of what was begun.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Sent {
    message_id: Uuid,
    /// The message that will hold the answer.
    reply_id: Uuid,
    run_id: Uuid,
}

/// Another answer, please.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
pub(crate) struct Regenerate {
    /// The default model if absent.
    model: Option<String>,
}

/// The ids of what was begun.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Regenerated {
    run_id: Uuid,
    /// The message that will hold the answer.
    message_id: Uuid,
}

/// Says something and asks for an answer.
#[utoipa::path(post, path = "/api/v1/sessions/{id}/messages", operation_id = "send_message", tag = "messages",
    params(("id" = Uuid, Path), RequiredKeyParam), request_body = NewMessage,
    responses((status = 201, body = Sent), (status = 202, body = CommandStatus), Problems),
    security(("bearer" = [])))]
#[expect(clippy::too_many_arguments, reason = "each is one piece of state or of the request")]
pub(super) async fn send(
    caller: Caller,
    State(bus): State<Bus>,
    State(catalogue): State<Catalogue>,
    State(meter): State<Meter>,
    State(whereabouts): State<Whereabouts>,
    origin: Origin,
    Id(session): Id,
    RequiredIdempotencyKey(key): RequiredIdempotencyKey,
    extract::Json(request): extract::Json<NewMessage>,
) -> Result<Written<Json<Sent>>, Problem> {
    let identity = key.identify(caller.user, &request)?;
    let (offer, group) = resolve(&catalogue, caller.user, request.model.as_deref()).await?;
    check_length(&request.content)?;
    let wallet = require_credit(&offer, &group, &meter, request.content.len());
    let session = SessionId::new(session);
    let sent = Sent {
        message_id: identity.new_id("message"),
        reply_id: identity.new_id("reply"),
        run_id: identity.new_id("run"),
    };
    let command = SessionCommand::SendMessage {
        by: caller.user,
        message_id: MessageId::new(sent.message_id),
        parent: match request.parent_id {
            None => Parent::NewestLeaf,
            Some(None) => Parent::Root,
            Some(Some(id)) => Parent::After(MessageId::new(id)),
        },
        content: Sealed::new(caller.user, request.content),
        model: offer.model.clone(),
        run_id: RunId::new(sent.run_id),
        reply_id: MessageId::new(sent.reply_id),
        at: Utc::now(),
    };
    let (actor, paid) = (Actor::User(caller.user), Paid { command, payer: caller.user, wallet });
    let accepted = bus.send_paid::<Aggregate>(origin, actor, identity, session.uuid(), &paid).await?;
    whereabouts.remember(caller.user, session, &[sent.message_id, sent.reply_id, sent.run_id]);
    Ok(created(accepted, sent))
}

/// Asks for another answer: a sibling of this answer, or one more to this question.
#[utoipa::path(post, path = "/api/v1/messages/{id}/regenerate", operation_id = "regenerate_reply", tag = "messages",
    params(AfterParam, ("id" = Uuid, Path), KeyParam), request_body = Option<Regenerate>,
    responses((status = 201, body = Regenerated), (status = 202, body = CommandStatus), Problems),
    security(("bearer" = [])))]
#[expect(clippy::too_many_arguments, reason = "each is one piece of state or of the request")]
pub(super) async fn regenerate(
    caller: Caller,
    After(after): After,
    State(bus): State<Bus>,
    State(catalogue): State<Catalogue>,
    State(meter): State<Meter>,
    State(reads): State<Reads>,
    State(whereabouts): State<Whereabouts>,
    origin: Origin,
    Id(message): Id,
    key: IdempotencyKey,
    OptionalJson(request): OptionalJson<Regenerate>,
) -> Result<Written<Json<Regenerated>>, Problem> {
    let identity = key.identify(caller.user, &request)?;
    let (offer, group) = resolve(&catalogue, caller.user, request.model.as_deref()).await?;
    let wallet = require_credit(&offer, &group, &meter, 0);
    let session = match whereabouts.of(caller.user, message) {
        Some(session) => session,
        None => {
            let stale = reads.is_behind(Model::Chat, after.as_ref()).await?;
            let row = rows::message(reads.pool(), caller.user.uuid(), message).await?;
            SessionId::new(row.ok_or_else(|| missing(stale, no_message))?.session_id)
        }
    };
    let begun = Regenerated { run_id: identity.new_id("run"), message_id: identity.new_id("reply") };
    let command = SessionCommand::RegenerateReply {
        by: caller.user,
        message_id: MessageId::new(message),
        model: offer.model.clone(),
        run_id: RunId::new(begun.run_id),
        reply_id: MessageId::new(begun.message_id),
        at: Utc::now(),
    };
    let (actor, paid) = (Actor::User(caller.user), Paid { command, payer: caller.user, wallet });
    let accepted = bus.send_paid::<Aggregate>(origin, actor, identity, session.uuid(), &paid).await?;
    whereabouts.remember(caller.user, session, &[begun.message_id, begun.run_id]);
    Ok(created(accepted, begun))
}

fn created<T>(accepted: Accepted, body: T) -> Written<Json<T>> {
    match accepted {
        Accepted::Pending(command_id) => Written::Pending(command_id),
        Accepted::Done { event, .. } => {
            Written::Done { status: StatusCode::CREATED, event, stale: false, body: Json(body) }
        }
    }
}

/// The model for this person, and what their group means for its price.
async fn resolve(
    catalogue: &Catalogue,
    user: UserId,
    model: Option<&str>,
) -> Result<(Arc<Offer>, PayerGroup), Problem> {
    let group = catalogue.group_of(user).await;
    let group = group.map_err(|_| Problem::unavailable("unavailable", "the groups of users cannot be read now"))?;
    let resolved = catalogue.resolve(model, &group).await;
    let offer = resolved.map_err(|error| Problem::field("model", error.code(), error.to_string()))?;
    Ok((offer, group))
}

/// Nothing is asked that could not even be answered briefly; the real hold knows the whole conversation.
fn require_credit(offer: &Offer, group: &PayerGroup, meter: &Meter, content_bytes: usize) -> WalletCommand {
    let input_tokens = u64::try_from(content_bytes).unwrap_or(u64::MAX) / BYTES_PER_TOKEN;
    WalletCommand::RequireCredit { quote: offer.quote(input_tokens, None, meter.bounds()).times(group.factor) }
}

/// The same refusal as the domain's, before a body of hundreds of kilobytes goes over the bus.
fn check_length(content: &str) -> Result<(), Problem> {
    let chars = content.chars().count();
    if chars <= MAX_MESSAGE_CHARS {
        return Ok(());
    }
    let refusal = SessionRefusal::MessageTooLong { chars, limit: MAX_MESSAGE_CHARS };
    Err(Problem::refused(refusal.code().to_owned(), refusal.to_string(), refusal.details()))
}

fn no_message() -> Problem {
    Problem::not_found("message_not_found", "there is no such message")
}

/// Which messages, in which order.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// Oldest first, or newest first.
    #[serde(default)]
    #[param(inline)]
    order: OrderParam,
    /// `latest`, or the id of a message: only the path from the root through it down to its newest leaf.
    branch: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum OrderParam {
    #[default]
    Asc,
    Desc,
}

/// The messages of a conversation.
#[utoipa::path(get, path = "/api/v1/sessions/{id}/messages", operation_id = "list_messages", tag = "messages",
    params(AfterParam, ("id" = Uuid, Path), PageQuery, ListQuery),
    responses((status = 200, body = Page<rows::Message>), Problems), security(("bearer" = [])))]
pub(super) async fn list(
    caller: Caller,
    After(after): After,
    State(reads): State<Reads>,
    Id(session): Id,
    Query(page): Query<PageQuery>,
    Query(query): Query<ListQuery>,
) -> Result<Fresh<Page<rows::Message>>, Problem> {
    let query = MessageQuery {
        order: match query.order {
            OrderParam::Asc => Order::Asc,
            OrderParam::Desc => Order::Desc,
        },
        branch: branch(query.branch.as_deref())?,
        cursor: page.cursor.as_deref(),
        limit: page.limit()?,
    };
    let stale = reads.is_behind(Model::Chat, after.as_ref()).await?;
    let page = rows::messages(reads.pool(), caller.user.uuid(), session, query).await?;
    let body = page.ok_or_else(|| missing(stale, no_session))?;
    Ok(Fresh { body, stale })
}

fn branch(text: Option<&str>) -> Result<Branch, Problem> {
    match text {
        None => Ok(Branch::All),
        Some("latest") => Ok(Branch::Latest),
        Some(id) => id
            .parse()
            .map(Branch::Through)
            .map_err(|_| Problem::field("branch", "invalid_branch", "`branch` is `latest` or the id of a message")),
    }
}
