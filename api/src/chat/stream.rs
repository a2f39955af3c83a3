//! What all event streams have in common: how many there may be, when they end, how they are written.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    http::{HeaderName, HeaderValue, header},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use chrono::Utc;
use domain::UserId;
use futures::Stream;
use projections::chat as rows;
use serde::Serialize;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::frames::{Cursor, Frame, is_over};
use crate::{
    auth::{Auth, Caller},
    problem::Problem,
    read::Reads,
};

/// Idle streams say that they live this often; proxies and pages give up after more.
const PING: Duration = Duration::from_secs(10);
/// How often the read model is asked for the end of a run, should live text be lost.
pub(super) const POLL: Duration = Duration::from_secs(2);
/// How often a stream looks whether its device is still signed in.
pub(super) const CHECK: Duration = Duration::from_secs(10);
/// How long the beginning of a stream waits for what live text has kept.
pub(super) const CATCH_UP: Duration = Duration::from_secs(3);

/// The places for open streams, and when they have to go.
#[derive(Clone)]
pub(crate) struct Streams {
    open: Arc<Mutex<HashMap<UserId, usize>>>,
    per_user: usize,
    /// How long a stream outlives its access token.
    grace: Duration,
    shutdown: CancellationToken,
}

/// One open stream; given back when dropped.
pub(super) struct Place {
    streams: Streams,
    caller: Caller,
}

impl Streams {
    pub(crate) fn new(per_user: usize, grace: Duration, shutdown: CancellationToken) -> Self {
        Self { open: Arc::default(), per_user, grace, shutdown }
    }

    /// A place for one more stream of `caller`.
    pub(super) fn enter(&self, caller: Caller) -> Result<Place, Problem> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(caller.user).or_default();
        if *count >= self.per_user {
            return Err(Problem::too_many(
                "too_many_streams",
                "you have too many open event streams; close some tabs",
                Duration::from_secs(5),
            ));
        }
        *count += 1;
        metrics::gauge!("http_event_streams").increment(1.0);
        Ok(Place { streams: self.clone(), caller })
    }
}

impl Place {
    /// Whether the stream must end: its device was signed out, or its token expired long ago.
    pub(super) async fn is_over(&self, auth: &Auth) -> bool {
        let outlived = (Utc::now() - self.caller.until).to_std().is_ok_and(|age| age > self.streams.grace);
        outlived || auth.has_ended(self.caller.device).await
    }

    /// Ends when the server goes.
    pub(super) async fn closing(&self) {
        self.streams.shutdown.cancelled().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        metrics::gauge!("http_event_streams").decrement(1.0);
        let mut open = self.streams.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.caller.user) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.caller.user);
            }
        }
    }
}

/// Ticks first after one period; a late tick delays the next ones.
pub(super) fn every(period: Duration) -> Interval {
    let mut interval = interval_at(Instant::now() + period, period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

/// Appends to `out` the end of `run`, if the read model knows it. A database that is away knows nothing.
pub(super) async fn finish(reads: &Reads, owner: UserId, run: &rows::Run, cursor: &mut Cursor, out: &mut Vec<Frame>) {
    if !is_over(run.status) {
        return;
    }
    if let Ok(Some(message)) = rows::message(reads.pool(), owner.uuid(), run.message_id).await {
        cursor.finish(&message, run.id, out);
    }
}

/// As [`finish`], for a run of which only the id is known.
pub(super) async fn finish_by_id(reads: &Reads, owner: UserId, run: Uuid, cursor: &mut Cursor, out: &mut Vec<Frame>) {
    if let Ok(Some(run)) = rows::run(reads.pool(), owner.uuid(), run).await {
        finish(reads, owner, &run, cursor, out).await;
    }
}

/// A frame on the wire.
pub(super) fn frame_event(frame: &Frame) -> Event {
    let event = Event::default().event(frame.name()).id(frame.position().to_string());
    match frame.data() {
        Ok(data) => event.data(data),
        Err(error) => failed(&error),
    }
}

/// A named event without an id: it does not move the place to resume from.
pub(super) fn plain_event(name: &str, data: &impl Serialize) -> Event {
    match serde_json::to_string(data) {
        Ok(data) => Event::default().event(name).data(data),
        Err(error) => failed(&error),
    }
}

/// Strings and numbers always serialise; if not, the reader gets a comment instead of a broken frame.
fn failed(error: &serde_json::Error) -> Event {
    tracing::error!(%error, "a frame could not be written");
    Event::default().comment("a frame was lost")
}

/// The answer that carries `events`, with the usual pings.
pub(super) fn answer(events: impl Stream<Item = Event> + Send + 'static) -> Response {
    use futures::StreamExt as _;
    let keep_alive = KeepAlive::new().interval(PING).event(Event::default().comment("ping"));
    let mut response = Sse::new(events.map(Ok::<_, Infallible>)).keep_alive(keep_alive).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // Proxies would hold frames back.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response
}
