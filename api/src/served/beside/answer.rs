//! The client's side of a call besides conversations: a document, or bytes as they come.
//!
//! Promise: a failure before the first byte has its own status. After it, events end with one that tells of it; of sound
//! and texts the connection breaks, so that half of one is never taken for the whole. Events say that they live whenever
//! nothing came for ten seconds.

use std::{io, time::Duration};

use async_stream::stream;
use axum::{
    Json,
    body::{Body, Bytes},
    http::{HeaderName, HeaderValue, header},
    response::{IntoResponse as _, Response},
};
use futures::Stream;
use tokio::time::timeout;

use super::{
    super::{Manner, call::Route, frames::marked, line::Listener, refusals::of_upstream},
    call::Told,
};
use crate::{problem::Problem, request_id::RequestId};

/// Idle events say that they live this often.
const PING: Duration = Duration::from_secs(10);

/// The answer, once it has begun.
pub(super) async fn answer(mut heard: Listener<Told>, manner: Manner, id: RequestId) -> Result<Response, Problem> {
    let mut route: Option<Route> = None;
    loop {
        match heard.recv().await {
            Some(Told::Taken(taken)) => route = Some(taken),
            Some(Told::Whole(body)) => return Ok(marked(Json(body).into_response(), route)),
            Some(Told::Begins(content_type)) => {
                return Ok(marked(passing(&content_type, heard, manner, id), route));
            }
            Some(Told::Failed(error)) => return Err(of_upstream(error)),
            Some(Told::Bytes(_) | Told::End) | None => return Err(lost()),
        }
    }
}

fn lost() -> Problem {
    Problem::bug("a call ended without a word")
}

fn passing(content_type: &str, heard: Listener<Told>, manner: Manner, id: RequestId) -> Response {
    let is_events = content_type.trim_start().to_ascii_lowercase().starts_with("text/event-stream");
    let mut response = if is_events {
        Body::from_stream(events(heard, manner, id)).into_response()
    } else {
        Body::from_stream(bytes(heard)).into_response()
    };
    let headers = response.headers_mut();
    let kind = HeaderValue::from_str(content_type);
    headers.insert(header::CONTENT_TYPE, kind.unwrap_or(HeaderValue::from_static("application/octet-stream")));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // Proxies would hold it back.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response
}

/// Sound or a text.
fn bytes(mut heard: Listener<Told>) -> impl Stream<Item = io::Result<Bytes>> + Send {
    stream! {
        loop {
            match heard.recv().await {
                Some(Told::Bytes(bytes)) => yield Ok(bytes),
                Some(Told::End) => return,
                _ => {
                    yield Err(io::Error::other("the answer broke off"));
                    return;
                }
            }
        }
    }
}

/// Server-sent events, as the provider writes them.
fn events(mut heard: Listener<Told>, manner: Manner, id: RequestId) -> impl Stream<Item = io::Result<Bytes>> + Send {
    stream! {
        // Between two events, where something may be put in.
        let mut is_between = true;
        loop {
            match timeout(PING, heard.recv()).await {
                Err(_) if is_between => yield Ok(Bytes::from_static(b": ping\n\n")),
                Err(_) => {}
                Ok(Some(Told::Bytes(bytes))) => {
                    is_between = bytes.ends_with(b"\n\n") || bytes.ends_with(b"\r\n\r\n");
                    yield Ok(bytes);
                }
                Ok(Some(Told::End)) => return,
                Ok(last) => {
                    let problem = match last {
                        Some(Told::Failed(error)) => of_upstream(error),
                        _ => lost(),
                    };
                    let end_of_event = if is_between { "" } else { "\n\n" };
                    yield Ok(format!("{end_of_event}data: {}\n\n", manner.error(&problem, &id)).into());
                    return;
                }
            }
        }
    }
}
