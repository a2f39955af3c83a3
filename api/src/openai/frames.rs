//! The client's side of a call: the whole answer, or its frames.
//!
//! Promise: a failure before the first frame has its own status; after it, it is one error frame and the end.

use std::time::Duration;

use async_stream::stream;
use axum::{
    Json,
    response::{IntoResponse as _, Response, sse::Event},
};
use futures::Stream;
use serde_json::Value;
use tokio::{sync::mpsc::Receiver, time::timeout};

use super::{call::Heard, error};
use crate::{chat::stream_answer, problem::Problem, served::of_upstream};

/// A first frame that takes longer is not waited for: the stream begins with a ping, and proxies stay patient.
const FIRST_FRAME: Duration = Duration::from_secs(10);

/// The answer in one piece.
pub(super) async fn whole(mut heard: Receiver<Heard>) -> Result<Response, Problem> {
    match heard.recv().await {
        Some(Heard::Whole(body)) => Ok(Json(body).into_response()),
        Some(Heard::Failed(error)) => Err(of_upstream(error)),
        _ => Err(lost()),
    }
}

/// The answer as it is generated.
pub(super) async fn streamed(mut heard: Receiver<Heard>) -> Result<Response, Problem> {
    let first = match timeout(FIRST_FRAME, heard.recv()).await {
        Err(_) => None,
        Ok(Some(Heard::Failed(error))) => return Err(of_upstream(error)),
        Ok(Some(first)) => Some(first),
        Ok(None) => return Err(lost()),
    };
    Ok(stream_answer(frames(first, heard)))
}

fn frames(first: Option<Heard>, mut heard: Receiver<Heard>) -> impl Stream<Item = Event> + Send {
    stream! {
        let mut next = match first {
            Some(first) => Some(first),
            None => {
                yield Event::default().comment("ping");
                heard.recv().await
            }
        };
        loop {
            match next {
                Some(Heard::Event(event)) => yield data(&event.data),
                Some(Heard::End(last)) => {
                    for event in last {
                        yield data(&event.data);
                    }
                    yield Event::default().data("[DONE]");
                    return;
                }
                Some(Heard::Failed(failure)) => {
                    yield data(&error::error(&of_upstream(failure)));
                    return;
                }
                Some(Heard::Whole(_)) | None => {
                    yield data(&error::error(&lost()));
                    return;
                }
            }
            next = heard.recv().await;
        }
    }
}

fn data(frame: &Value) -> Event {
    Event::default().data(frame.to_string())
}

/// The task of a call died, or its client took nothing for too long.
fn lost() -> Problem {
    Problem::bug("a call ended without an answer")
}
