//! The body of a request on its way.
//!
//! Promise: whoever reads a body waits for each next piece of it for a bounded time, and then finds [`TookTooLong`]. A body
//! that is there already, as nearly all are, starts no timer.

use std::{
    error::Error,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    BoxError,
    body::{Body, Bytes, HttpBody},
    extract::Request,
    http::StatusCode,
};
use http_body::{Frame, SizeHint};
use http_body_util::{BodyExt as _, LengthLimitError};
use tokio::time::{Sleep, sleep};

use crate::problem::Problem;

/// Nothing came for too long.
#[derive(Debug, thiserror::Error)]
#[error("the body took too long to arrive")]
pub(crate) struct TookTooLong;

/// A body that its reader waits for with patience.
pub(crate) struct Arriving<B> {
    body: B,
    patience: Duration,
    /// While a piece is waited for.
    waiting: Option<Pin<Box<Sleep>>>,
}

/// The request, whose body may let its reader wait for so long.
pub(crate) fn bounded(request: Request, patience: Duration) -> Request {
    request.map(|body| if body.is_end_stream() { body } else { Body::new(Arriving::new(body, patience)) })
}

/// All of a body, within the limits that it has.
pub(crate) async fn gather<B>(mut body: B) -> Result<Bytes, Problem>
where
    B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Unpin,
{
    let Some(first) = next(&mut body).await? else { return Ok(Bytes::new()) };
    if body.is_end_stream() {
        return Ok(first);
    }
    let mut all = Vec::from(first);
    while let Some(piece) = next(&mut body).await? {
        all.extend_from_slice(&piece);
    }
    Ok(all.into())
}

/// The next piece; trailers are passed over.
async fn next<B>(body: &mut B) -> Result<Option<Bytes>, Problem>
where
    B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Unpin,
{
    loop {
        match body.frame().await {
            None => return Ok(None),
            Some(Err(error)) => return Err(broken(&*error.into())),
            Some(Ok(frame)) => {
                if let Ok(piece) = frame.into_data() {
                    return Ok(Some(piece));
                }
            }
        }
    }
}

/// Why it could not be read.
fn broken(error: &(dyn Error + 'static)) -> Problem {
    if is::<LengthLimitError>(error) {
        let detail = "the body of the request is larger than what is taken";
        return Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail);
    }
    if is::<TookTooLong>(error) {
        let detail = "the body of the request took too long to arrive";
        return Problem::new(StatusCode::REQUEST_TIMEOUT, "body_timeout", detail);
    }
    Problem::new(StatusCode::BAD_REQUEST, "unreadable_body", "the body of the request broke off")
}

/// Whether `T` is what happened, somewhere below `error`.
fn is<T: Error + 'static>(error: &(dyn Error + 'static)) -> bool {
    error.is::<T>() || error.source().is_some_and(is::<T>)
}

impl<B> Arriving<B> {
    pub(crate) const fn new(body: B, patience: Duration) -> Self {
        Self { body, patience, waiting: None }
    }
}

impl<B> HttpBody for Arriving<B>
where
    B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Unpin,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        if let Poll::Ready(piece) = Pin::new(&mut this.body).poll_frame(context) {
            this.waiting = None;
            return Poll::Ready(piece.map(|piece| piece.map_err(Into::into)));
        }
        let waiting = this.waiting.get_or_insert_with(|| Box::pin(sleep(this.patience)));
        ready!(waiting.as_mut().poll(context));
        Poll::Ready(Some(Err(TookTooLong.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use futures::{StreamExt as _, stream};
    use http_body_util::Limited;

    use super::*;

    /// What is read of a body whose pieces come after these pauses, in seconds.
    async fn read(pauses: &'static [u64]) -> Result<Bytes, String> {
        let pieces = stream::iter(pauses).then(async |pause| {
            sleep(Duration::from_secs(*pause)).await;
            Ok::<_, axum::Error>(Bytes::from_static(b"x"))
        });
        let request = bounded(Request::new(Body::from_stream(pieces)), Duration::from_secs(10));
        gather(Limited::new(request.into_body(), 4)).await.map_err(|problem| problem.code().to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn each_piece_has_its_own_time_and_a_later_one_ends_the_reading() {
        assert_eq!(read(&[0, 9, 9, 9]).await.unwrap(), "xxxx");
        assert_eq!(read(&[9, 11]).await.unwrap_err(), "body_timeout");
    }

    #[tokio::test(start_paused = true)]
    async fn more_than_the_limit_is_not_read() {
        assert_eq!(read(&[0; 4]).await.unwrap(), "xxxx");
        assert_eq!(read(&[0; 5]).await.unwrap_err(), "body_too_large");
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_is_there_is_read_as_it_is() {
        let request = bounded(Request::new(Body::from("whole")), Duration::ZERO);
        assert_eq!(request.body().size_hint().exact(), Some(5));
        assert_eq!(gather(request.into_body()).await.unwrap(), "whole");
    }
}
