//! Conversations over HTTP: sessions, messages, runs, and the streams of what is being generated.

mod events_stream;
mod frames;
mod messages;
mod run_events;
mod runs;
mod sessions;
mod stream;

use std::time::Duration;

use domain::{SessionId, UserId};
pub(crate) use events_stream::{ChangedFrame, PositionsFrame};
pub(crate) use frames::{Delta as DeltaFrame, Done as DoneFrame, RunRef};
use moka::sync::Cache;
pub(crate) use stream::Streams;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use crate::state::App;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(sessions::create, sessions::list))
        .routes(routes!(sessions::get, sessions::rename, sessions::delete))
        .routes(routes!(sessions::restore))
        .routes(routes!(messages::send, messages::list))
        .routes(routes!(messages::regenerate))
        .routes(routes!(runs::get))
        .routes(routes!(runs::cancel))
        .routes(routes!(run_events::run_events))
        .routes(routes!(events_stream::events_stream))
}

/// Which session the messages and runs made by this node belong to: so that an answer can be stopped or regenerated
/// before the read model has heard of it, and while Postgres is away.
#[derive(Clone)]
pub(crate) struct Whereabouts(Cache<(UserId, Uuid), SessionId>);

impl Default for Whereabouts {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(50_000).time_to_live(Duration::from_secs(3600)).build())
    }
}

impl Whereabouts {
    fn remember(&self, owner: UserId, session: SessionId, things: &[Uuid]) {
        for thing in things {
            self.0.insert((owner, *thing), session);
        }
    }

    fn of(&self, owner: UserId, thing: Uuid) -> Option<SessionId> {
        self.0.get(&(owner, thing))
    }
}
