//! Which channels, keys and models rest, since when, until when and why.

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use metering::Catalogue;
use projections::Page;
use routing::{Illness, Moment, Part, State as Breaker};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{auth::Admin, openapi::Problems, problem::Problem};

/// What rests of a channel: it as a whole, one of its keys or one of its models.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ChannelPart {
    Channel,
    Key,
    Model,
}

/// How far it is from being asked again.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum BreakerState {
    /// It is not asked before `until`.
    Open,
    /// A few calls or a probe try whether it works again.
    HalfOpen,
    /// It is not asked until it is changed or resumed.
    Dead,
}

/// A channel, a key or a model that does not take every call now. What is not listed does.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChannelHealth {
    channel_id: Uuid,
    part: ChannelPart,
    /// The key's `name`, or the model as its provider names it; absent of the channel as a whole.
    #[schema(required = true)]
    name: Option<String>,
    state: BreakerState,
    /// When it last took every call.
    #[schema(required = true)]
    since: Option<DateTime<Utc>>,
    #[schema(required = true)]
    until: Option<DateTime<Utc>>,
    /// Why, in a word for programs, as in the errors of calls.
    cause: String,
    /// Whether the node that answers has seen it itself; otherwise another one told of it.
    seen_here: bool,
    /// How many times it has rested since it last went well.
    times: u32,
}

/// What rests of all channels, as far as this node knows. It is little: there is one page.
#[utoipa::path(get, path = "/api/v1/admin/channels/health", operation_id = "list_channel_health", tag = "admin",
    responses((status = 200, body = Page<ChannelHealth>), Problems), security(("bearer" = [])))]
pub(super) async fn list(_: Admin, State(catalogue): State<Catalogue>) -> Result<Json<Page<ChannelHealth>>, Problem> {
    let items = catalogue.router().illnesses().into_iter().filter_map(ChannelHealth::of).collect();
    Ok(Json(Page { items, next_cursor: None }))
}

impl ChannelHealth {
    /// `None` of what has recovered just now.
    fn of(ill: Illness) -> Option<Self> {
        let (part, name) = match ill.part {
            Part::Channel => (ChannelPart::Channel, None),
            Part::Key { name } => (ChannelPart::Key, Some(name)),
            Part::Model { name } => (ChannelPart::Model, Some(name)),
        };
        let (state, until) = match ill.state {
            Breaker::Closed => return None,
            Breaker::Open { until } => (BreakerState::Open, instant(until)),
            Breaker::HalfOpen => (BreakerState::HalfOpen, None),
            Breaker::Dead => (BreakerState::Dead, None),
        };
        let (since, channel_id) = (instant(ill.since), ill.channel.uuid());
        let Illness { cause, seen_here, opened: times, .. } = ill;
        Some(Self { channel_id, part, name, state, since, until, cause, seen_here, times })
    }
}

fn instant(moment: Moment) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_millis(i64::try_from(moment.as_millis()).ok()?)
}
