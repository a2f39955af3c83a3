//! Commands: how every write goes to its aggregate and what is answered, and `GET commands/{id}`.
//!
//! Promise: 2xx other than 202 means committed in Postgres; 202 means that the queue has the command on disk and its
//! outcome can be asked for; everything else means that it did not happen, or says that this is not known.

use std::{fmt, time::Duration};

use axum::{
    Json,
    extract::State,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use chrono::{TimeDelta, Utc};
use domain::{Decider, DeviceId, UserId, billing::Paid};
use nats::{Body, CommandClient, CommandMessage, EventRef, Outcome, Sent};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use crate::{
    auth::Caller, extract::Id, idempotency::CommandIdentity, openapi::Problems, problem::Problem, read::Reads,
    request_id::Origin, state::App,
};

/// Names the last event of a write, for `X-After` of later reads.
pub(crate) const X_EVENT: HeaderName = HeaderName::from_static("x-event");
/// Set where the read model had not caught up in time.
pub(crate) const X_STALE: HeaderName = HeaderName::from_static("x-stale");
/// There is one tenant until there are several.
const TENANT: &str = "default";
/// After this age an id without an outcome was never a command of ours, or its outcome was dropped.
const OUTCOME_RETENTION: TimeDelta = TimeDelta::days(7);

/// Who acts, as it stands in outcomes and events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Actor {
    User(UserId),
    /// Known by its refresh token alone.
    Device(DeviceId),
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(user) => write!(f, "user:{user}"),
            Self::Device(device) => write!(f, "device:{device}"),
        }
    }
}

/// The way to every aggregate.
#[derive(Clone)]
pub(crate) struct Bus {
    client: CommandClient,
    wait: Duration,
}

/// A command and where it goes.
pub(crate) struct Envelope {
    pub(crate) capability: &'static str,
    pub(crate) aggregate: &'static str,
    pub(crate) verb: String,
    pub(crate) aggregate_id: Uuid,
    pub(crate) body: Body,
}

/// A command that was not refused.
#[derive(Debug)]
pub(crate) enum Accepted {
    /// Decided and committed. `events` are the types of the events it appended, `event` names the last one.
    Done { event: Option<EventRef>, events: Vec<String> },
    /// Queued: its outcome will be found under this id.
    Pending(Uuid),
}

impl Bus {
    pub(crate) const fn new(client: CommandClient, wait: Duration) -> Self {
        Self { client, wait }
    }

    /// Sends `command` to the aggregate `D` with this id and waits for what it comes to.
    pub(crate) async fn send<D: Decider>(
        &self,
        origin: Origin,
        actor: Actor,
        identity: CommandIdentity,
        aggregate_id: Uuid,
        command: &D::Command,
    ) -> Result<Accepted, Problem> {
        let body = Body::of(command).map_err(|error| Problem::bug(&error))?;
        let verb = verb_of(&body)?;
        let envelope = Envelope { capability: D::CAPABILITY, aggregate: D::TYPE, verb, aggregate_id, body };
        self.send_envelope(origin, actor, identity, envelope).await
    }

    /// As [`Self::send`], for a command that is decided together with one on the payer's wallet.
    pub(crate) async fn send_paid<D: Decider>(
        &self,
        origin: Origin,
        actor: Actor,
        identity: CommandIdentity,
        aggregate_id: Uuid,
        paid: &Paid<D::Command>,
    ) -> Result<Accepted, Problem> {
        let written = |of: serde_json::Result<Body>| of.map_err(|error| Problem::bug(&error));
        let verb = verb_of(&written(Body::of(&paid.command))?)?;
        let body = written(Body::of(paid))?;
        let envelope = Envelope { capability: D::CAPABILITY, aggregate: D::TYPE, verb, aggregate_id, body };
        self.send_envelope(origin, actor, identity, envelope).await
    }

    /// As [`Self::send`], for a body that is more than the aggregate's own command.
    pub(crate) async fn send_envelope(
        &self,
        origin: Origin,
        actor: Actor,
        identity: CommandIdentity,
        envelope: Envelope,
    ) -> Result<Accepted, Problem> {
        let command_id = identity.command_id;
        let message = CommandMessage {
            command_id,
            capability: envelope.capability.to_owned(),
            aggregate: envelope.aggregate.to_owned(),
            verb: envelope.verb,
            aggregate_id: envelope.aggregate_id.to_string(),
            actor: actor.to_string(),
            tenant: TENANT.to_owned(),
            correlation_id: origin.correlation_id,
            causation_id: None,
            deadline: TimeDelta::from_std(self.wait).ok().map(|wait| Utc::now() + wait),
            traceparent: origin.traceparent,
            fingerprint: identity.fingerprint,
            body: envelope.body,
        };
        match self.client.send(message, self.wait).await? {
            Sent::Pending => Ok(Accepted::Pending(command_id)),
            Sent::Outcome(Outcome::Done { event, events, .. }) => Ok(Accepted::Done { event, events }),
            Sent::Outcome(Outcome::Refused { code, message, details }) => Err(Problem::refused(code, message, details)),
            Sent::Outcome(Outcome::KeyReused) => Err(Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "idempotency_key_reused",
                "this `Idempotency-Key` was used for another request; choose a new one",
            )),
            Sent::Outcome(Outcome::Dead) => Err(Problem::bug(&format!("command {command_id} is dead"))),
        }
    }
}

/// The one key of a command's JSON is its imperative.
fn verb_of(command: &Body) -> Result<String, Problem> {
    command.verb().map(str::to_owned).ok_or_else(|| Problem::bug("a command without a name"))
}

/// The answer to a write.
#[derive(Debug)]
pub(crate) enum Written<T> {
    /// `stale`: the body was read before the read model had caught up.
    Done {
        status: StatusCode,
        event: Option<EventRef>,
        stale: bool,
        body: T,
    },
    Pending(Uuid),
}

impl<T: IntoResponse> IntoResponse for Written<T> {
    fn into_response(self) -> Response {
        match self {
            Self::Done { status, event, stale, body } => {
                let mut response = (status, body).into_response();
                mark(&mut response, event.as_ref(), stale);
                response
            }
            Self::Pending(command_id) => {
                let location = [(header::LOCATION, format!("/api/v1/commands/{command_id}"))];
                (StatusCode::ACCEPTED, location, Json(CommandStatus::pending(command_id))).into_response()
            }
        }
    }
}

/// Adds what a client needs to read its own writes.
pub(crate) fn mark(response: &mut Response, event: Option<&EventRef>, stale: bool) {
    if let Some(value) = event.and_then(|event| HeaderValue::from_str(&event.to_string()).ok()) {
        response.headers_mut().insert(X_EVENT, value);
    }
    if stale {
        response.headers_mut().insert(X_STALE, HeaderValue::from_static("true"));
    }
}

/// What a command came to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Command)]
pub(crate) struct CommandStatus {
    command_id: Uuid,
    status: Stage,
    /// Why it was refused, for programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    code: Option<String>,
    /// Why it was refused, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    message: Option<String>,
    /// The last event that it appended, for `X-After`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    event: Option<String>,
}

/// How far a command has come.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Stage {
    Pending,
    Done,
    Refused,
    /// It failed for good and waits for an operator.
    Dead,
}

impl CommandStatus {
    const fn pending(command_id: Uuid) -> Self {
        Self { command_id, status: Stage::Pending, code: None, message: None, event: None }
    }

    fn of(command_id: Uuid, outcome: Outcome) -> Self {
        let pending = Self::pending(command_id);
        match outcome {
            Outcome::Done { event, .. } => {
                Self { status: Stage::Done, event: event.map(|event| event.to_string()), ..pending }
            }
            Outcome::Refused { code, message, .. } => {
                Self { status: Stage::Refused, code: Some(code), message: Some(message), ..pending }
            }
            // Never stored: it is found out when a key is used again.
            Outcome::KeyReused => {
                Self { status: Stage::Refused, code: Some("idempotency_key_reused".into()), ..pending }
            }
            Outcome::Dead => Self { status: Stage::Dead, ..pending },
        }
    }
}

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(get_command))
}

/// What a command of yours came to.
#[utoipa::path(get, path = "/api/v1/commands/{id}", tag = "commands",
    params(("id" = Uuid, Path, description = "The `command_id` of a 202 answer")),
    responses((status = 200, body = CommandStatus), Problems), security(("bearer" = [])))]
async fn get_command(
    caller: Caller,
    State(reads): State<Reads>,
    Id(command_id): Id,
) -> Result<Json<CommandStatus>, Problem> {
    let no_such = || Problem::not_found("command_not_found", "there is no such command");
    let row: Option<(String, sqlx::types::Json<Outcome>)> =
        sqlx::query_as("SELECT actor, outcome FROM command_outcomes WHERE tenant = $1 AND command_id = $2")
            .bind(TENANT)
            .bind(command_id)
            .fetch_optional(reads.pool())
            .await?;
    match row {
        Some((by, outcome)) if by == Actor::User(caller.user).to_string() => {
            Ok(Json(CommandStatus::of(command_id, outcome.0)))
        }
        Some(_) => Err(no_such()),
        None if can_be_queued(command_id) => Ok(Json(CommandStatus::pending(command_id))),
        None => Err(no_such()),
    }
}

/// A command has no row before it was decided, so an unknown id counts as queued unless it cannot be one of ours.
fn can_be_queued(command_id: Uuid) -> bool {
    match command_id.get_version_num() {
        5 => true,
        7 => command_id.get_timestamp().is_some_and(|at| {
            let (seconds, _) = at.to_unix();
            let age = Utc::now().timestamp() - i64::try_from(seconds).unwrap_or(i64::MAX);
            (-60..=OUTCOME_RETENTION.num_seconds()).contains(&age)
        }),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ids_that_could_be_ours_count_as_queued() {
        assert!(can_be_queued(Uuid::now_v7()));
        assert!(can_be_queued(Uuid::new_v5(&Uuid::nil(), b"x")));
        assert!(!can_be_queued(Uuid::new_v4()));
        assert!(!can_be_queued(Uuid::nil()));
        let long_ago = uuid::Timestamp::from_unix(uuid::NoContext, 1_600_000_000, 0);
        assert!(!can_be_queued(Uuid::new_v7(long_ago)));
    }

    #[test]
    fn a_pending_command_is_202_with_the_place_to_ask() {
        let response = Written::<()>::Pending(Uuid::from_u128(7)).into_response();
        assert_eq!(response.status(), StatusCode::ACCEPTED);
        assert_eq!(response.headers()["location"], format!("/api/v1/commands/{}", Uuid::from_u128(7)));
    }
}
