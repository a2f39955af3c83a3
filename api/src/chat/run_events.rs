//! The text of one run as it is written, resumable.

use async_stream::stream;
use axum::{
    extract::State,
    http::{HeaderMap, HeaderName},
    response::{Response, sse::Event},
};
use domain::UserId;
use futures::Stream;
use nats::live::LiveReader;
use projections::chat as rows;
use serde::Deserialize;
use tokio::time::timeout;
use utoipa::IntoParams;
use uuid::Uuid;

use super::{
    frames::{Cursor, Frame, Position},
    runs::no_run,
    stream::{self, CATCH_UP, CHECK, POLL, Place, Streams},
};
use crate::{
    auth::{Auth, Caller},
    extract::{Id, Query},
    openapi::Problems,
    problem::Problem,
    read::{After, Model, Reads, missing},
};

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Where to go on, for clients that cannot set headers.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ResumeQuery {
    /// As the header `Last-Event-ID`: `run:attempt:offset`.
    last_event_id: Option<String>,
}

/// The frames of one run: `delta`, `reset`, `done`. The stream ends after `done`.
#[utoipa::path(get, path = "/api/v1/runs/{id}/events", tag = "runs",
    params(("id" = Uuid, Path), ResumeQuery,
        ("Last-Event-ID" = Option<String>, Header, description = "`run:attempt:offset`: send only what follows")),
    responses((status = 200, description = "Server-sent events; `data` is a DeltaFrame, RunRef (`reset`) or DoneFrame",
        body = String, content_type = "text/event-stream"), Problems),
    security(("bearer" = [])))]
#[expect(clippy::too_many_arguments, reason = "each is one piece of state or of the request")]
pub(super) async fn run_events(
    caller: Caller,
    After(after): After,
    State(auth): State<Auth>,
    State(client): State<async_nats::Client>,
    State(reads): State<Reads>,
    State(streams): State<Streams>,
    headers: HeaderMap,
    Id(run_id): Id,
    Query(query): Query<ResumeQuery>,
) -> Result<Response, Problem> {
    let stale = reads.is_behind(Model::Chat, after.as_ref()).await?;
    let owner = caller.user;
    let run = known_run(&reads, owner, run_id).await?.ok_or_else(|| missing(stale, no_run))?;
    let place = streams.enter(caller)?;
    let claimed = headers.get(LAST_EVENT_ID).map(|value| value.to_str().unwrap_or_default().to_owned());
    let cursor = cursor(claimed.or(query.last_event_id).as_deref(), &run);
    let reader = LiveReader::of_run(client, owner.uuid(), run_id);
    Ok(stream::answer(follow(Follow { auth, reads, owner, run_id, place, cursor, reader })))
}

/// The run, also in the moments between its command and its row.
async fn known_run(reads: &Reads, owner: UserId, run_id: Uuid) -> Result<Option<rows::Run>, Problem> {
    for wait_ms in [0, 50, 150, 300] {
        tokio::time::sleep(std::time::Duration::from_millis(wait_ms)).await;
        if let Some(run) = rows::run(reads.pool(), owner.uuid(), run_id).await? {
            return Ok(Some(run));
        }
    }
    Ok(None)
}

/// Where the reader stands. A place that does not exist is answered from the start, preceded by `reset`.
fn cursor(claimed: Option<&str>, run: &rows::Run) -> Cursor {
    let Some(claimed) = claimed.filter(|text| !text.is_empty()) else { return Cursor::start() };
    match claimed.parse::<Position>() {
        Ok(position) if position.run == run.id => Cursor::resume(position, run.attempt),
        _ => Cursor::restart(),
    }
}

struct Follow {
    auth: Auth,
    reads: Reads,
    owner: UserId,
    run_id: Uuid,
    place: Place,
    cursor: Cursor,
    reader: LiveReader,
}

fn follow(follow: Follow) -> impl Stream<Item = Event> + Send {
    let Follow { auth, reads, owner, run_id, place, mut cursor, mut reader } = follow;
    stream! {
        let mut out = Vec::new();
        // What there is already goes out as one frame. A finished run is answered from the read model.
        stream::finish_by_id(&reads, owner, run_id, &mut cursor, &mut out).await;
        if !cursor.is_done() {
            // Late is no harm: the same frames follow one by one.
            let _ = timeout(CATCH_UP, catch_up(&mut reader, &mut cursor, &mut out)).await;
        }
        let (mut poll, mut check) = (stream::every(POLL), stream::every(CHECK));
        loop {
            for frame in std::mem::take(&mut out) {
                yield stream::frame_event(&frame);
            }
            if cursor.is_done() {
                return;
            }
            let is_over = tokio::select! {
                frame = reader.next() => {
                    cursor.take(frame, &mut out);
                    false
                }
                _ = poll.tick() => {
                    stream::finish_by_id(&reads, owner, run_id, &mut cursor, &mut out).await;
                    false
                }
                _ = check.tick() => place.is_over(&auth).await,
                () = place.closing() => true,
            };
            if is_over {
                return;
            }
        }
    }
}

/// Takes what the stream has kept of the run.
async fn catch_up(reader: &mut LiveReader, cursor: &mut Cursor, out: &mut Vec<Frame>) {
    while matches!(reader.caught_up().await, Ok(false)) {
        let frame = reader.next().await;
        cursor.take(frame, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(attempt: i32) -> rows::Run {
        rows::Run {
            id: Uuid::from_u128(1),
            session_id: Uuid::from_u128(2),
            message_id: Uuid::from_u128(3),
            status: rows::MessageStatus::Streaming,
            attempt,
            model: "m".to_owned(),
            owner: Uuid::from_u128(4),
        }
    }

    #[test]
    fn a_place_in_this_run_is_resumed_and_any_other_restarted() {
        let id = Uuid::from_u128(1);
        assert_eq!(cursor(None, &run(1)), Cursor::start());
        let position = Position { run: id, attempt: 1, offset: 5 };
        assert_eq!(cursor(Some(&position.to_string()), &run(1)), Cursor::resume(position, 1));
        let others = [format!("{id}:2:5"), format!("{}:1:5", Uuid::nil()), "nonsense".into(), format!("{id}:-1:0")];
        for other in others {
            assert_eq!(cursor(Some(&other), &run(1)), Cursor::restart(), "{other}");
        }
    }
}
