//! One stream per tab: the frames of all runs of a user, hints that something changed, and how far the read models are.

use std::collections::{BTreeMap, HashMap, HashSet};

use async_stream::stream;
use axum::{
    extract::State,
    response::{Response, sse::Event},
};
use domain::UserId;
use futures::{Stream, StreamExt as _};
use nats::live::{self, Hint, LiveReader};
use projections::{chat as rows, read_your_writes};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{
    frames::{Cursor, Frame, Position},
    stream::{self, CATCH_UP, CHECK, POLL, Place, Streams},
};
use crate::{
    auth::{Auth, Caller},
    extract::Query,
    openapi::Problems,
    problem::Problem,
    read::Reads,
};

/// Places of one reconnect, at most.
const MAX_RESUMED: usize = 64;
/// Runs that one stream remembers, at most; finished ones are forgotten first.
const MAX_RUNS: usize = 1024;
/// A run that the read model did not know this often is not followed any more.
const MAX_MISSES: u32 = 5;

/// Where to go on.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ResumeQuery {
    /// `run:attempt:offset` of each run whose text the page has begun; at most 64.
    #[serde(default)]
    resume: Vec<String>,
}

/// `event: changed`: something of yours changed; fetch it again. At most once.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChangedFrame {
    /// `sessions`, `messages` or `me`.
    topic: String,
    #[schema(required = true)]
    session_id: Option<Uuid>,
    position: i64,
}

/// `event: positions`: how far each read model is. After a jump that no `changed` announced, fetch again.
#[derive(Debug, Serialize, ToSchema)]
#[serde(transparent)]
pub(crate) struct PositionsFrame(BTreeMap<String, i64>);

/// The frames of all your runs that are active now or start later, and what changed.
#[utoipa::path(get, path = "/api/v1/events/stream", tag = "runs", params(ResumeQuery),
    responses((status = 200, content_type = "text/event-stream", body = String,
        description = "Server-sent events; `data` is a DeltaFrame, RunRef (`reset`), DoneFrame, ChangedFrame or PositionsFrame"),
        Problems),
    security(("bearer" = [])))]
pub(super) async fn events_stream(
    caller: Caller,
    State(auth): State<Auth>,
    State(client): State<async_nats::Client>,
    State(reads): State<Reads>,
    State(streams): State<Streams>,
    Query(query): Query<ResumeQuery>,
) -> Result<Response, Problem> {
    let place = streams.enter(caller)?;
    let user = caller.user.uuid();
    let bus_is_closed = |error: async_nats::SubscribeError| Problem::bug(&error);
    let hints = live::subscribe_hints(&client, user).await.map_err(bus_is_closed)?;
    let reader = LiveReader::of_user(client, user);
    let claims: Vec<Position> = query.resume.iter().take(MAX_RESUMED).filter_map(|text| text.parse().ok()).collect();
    let runs = Runs { reads: reads.clone(), owner: caller.user, runs: HashMap::new(), out: vec![] };
    Ok(stream::answer(follow(auth, reads, place, runs, claims, reader, hints)))
}

fn follow(
    auth: Auth,
    reads: Reads,
    place: Place,
    mut runs: Runs,
    claims: Vec<Position>,
    mut reader: LiveReader,
    hints: impl Stream<Item = Hint> + Send,
) -> impl Stream<Item = Event> + Send {
    stream! {
        let mut hints = std::pin::pin!(hints.fuse());
        let mut events: Vec<Event> = positions(&reads).await.into_iter().collect();
        runs.resume(&claims).await;
        // Late is no harm: the same frames follow one by one.
        let _ = timeout(CATCH_UP, runs.catch_up(&mut reader)).await;
        let (mut poll, mut check) = (stream::every(POLL), stream::every(CHECK));
        loop {
            events.extend(runs.out.drain(..).map(|frame| stream::frame_event(&frame)));
            for event in events.drain(..) {
                yield event;
            }
            let is_over = tokio::select! {
                frame = reader.next() => {
                    runs.take(frame);
                    false
                }
                Some(hint) = hints.next() => {
                    let Hint { topic, session_id, position } = hint;
                    events.push(stream::plain_event("changed", &ChangedFrame { topic, session_id, position }));
                    false
                }
                _ = poll.tick() => {
                    runs.finish().await;
                    false
                }
                _ = check.tick() => {
                    runs.look().await;
                    events.extend(positions(&reads).await);
                    place.is_over(&auth).await
                }
                () = place.closing() => true,
            };
            if is_over {
                return;
            }
        }
    }
}

async fn positions(reads: &Reads) -> Option<Event> {
    let positions = read_your_writes::positions(reads.pool()).await.ok()?;
    Some(stream::plain_event("positions", &PositionsFrame(positions)))
}

/// What this reader has of each run, and what is to be sent.
struct Runs {
    reads: Reads,
    owner: UserId,
    runs: HashMap<Uuid, Followed>,
    out: Vec<Frame>,
}

struct Followed {
    cursor: Cursor,
    /// The reader has begun this run before.
    is_resumed: bool,
    /// How often the read model did not know it.
    misses: u32,
}

impl Followed {
    const fn new(cursor: Cursor, is_resumed: bool) -> Self {
        Self { cursor, is_resumed, misses: 0 }
    }
}

impl Runs {
    /// Goes on where the reader says that it is. Runs of others are dropped.
    async fn resume(&mut self, claims: &[Position]) {
        for claim in claims {
            // While the database is away the claim is believed: what is sent comes from the reader's own runs anyway.
            let attempt = match rows::run(self.reads.pool(), self.owner.uuid(), claim.run).await {
                Ok(Some(run)) => run.attempt,
                Ok(None) => continue,
                Err(_) => claim.attempt,
            };
            self.runs.insert(claim.run, Followed::new(Cursor::resume(*claim, attempt), true));
        }
        self.finish().await;
        self.look().await;
    }

    fn take(&mut self, frame: live::LiveFrame) {
        self.make_room();
        let run = self.runs.entry(frame.run_id).or_insert(Followed::new(Cursor::start(), false));
        run.cursor.take(frame, &mut self.out);
    }

    /// Takes what the stream has kept. Runs that ended before this reader came, and that it had not begun, are left out:
    /// their messages are read as rows.
    async fn catch_up(&mut self, reader: &mut LiveReader) {
        while matches!(reader.caught_up().await, Ok(false)) {
            let frame = reader.next().await;
            let id = frame.run_id;
            self.take(frame);
            if self.runs.get(&id).is_some_and(|run| run.cursor.is_done() && !run.is_resumed) {
                self.out.retain(|frame| frame.position().run != id);
            }
        }
    }

    /// Learns from the read model which runs are active, so that their end is noticed whatever happens to live text.
    async fn look(&mut self) {
        let Ok(active) = rows::active_runs(self.reads.pool(), self.owner.uuid()).await else { return };
        self.make_room();
        for run in active {
            self.runs.entry(run.id).or_insert(Followed::new(Cursor::start(), false));
        }
    }

    /// Ends, from the read model, the runs whose end was not seen live.
    async fn finish(&mut self) {
        if self.runs.values().all(|run| run.cursor.is_done()) {
            return;
        }
        let owner = self.owner.uuid();
        let Ok(active) = rows::active_runs(self.reads.pool(), owner).await else { return };
        let active: HashSet<Uuid> = active.into_iter().map(|run| run.id).collect();
        for (id, followed) in &mut self.runs {
            if followed.cursor.is_done() || active.contains(id) {
                continue;
            }
            match rows::run(self.reads.pool(), owner, *id).await {
                Ok(Some(run)) => {
                    stream::finish(&self.reads, self.owner, &run, &mut followed.cursor, &mut self.out).await;
                }
                Ok(None) => followed.misses += 1,
                Err(_) => return,
            }
        }
        self.runs.retain(|_, run| run.misses < MAX_MISSES);
    }

    fn make_room(&mut self) {
        if self.runs.len() >= MAX_RUNS {
            self.runs.retain(|_, run| !run.cursor.is_done());
        }
    }
}
