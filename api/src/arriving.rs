//! The body of a request on its way.
//!
//! Promise: whoever reads a body waits for each next piece of it for a bounded time, and then finds [`TookTooLong`]. A body
//! that is there already, as nearly all are, starts no timer.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::Request,
};
use http_body::{Frame, SizeHint};
use tokio::time::{Sleep, sleep};

/// Nothing came for too long.
#[derive(Debug, thiserror::Error)]
#[error("the body took too long to arrive")]
pub(crate) struct TookTooLong;

struct Arriving {
    body: Body,
    patience: Duration,
    /// While a piece is waited for.
    waiting: Option<Pin<Box<Sleep>>>,
}

/// The request, whose body may let its reader wait for so long.
pub(crate) fn bounded(request: Request, patience: Duration) -> Request {
    request.map(|body| if body.is_end_stream() { body } else { Body::new(Arriving { body, patience, waiting: None }) })
}

impl HttpBody for Arriving {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        if let Poll::Ready(piece) = Pin::new(&mut this.body).poll_frame(context) {
            this.waiting = None;
            return Poll::Ready(piece);
        }
        let waiting = this.waiting.get_or_insert_with(|| Box::pin(sleep(this.patience)));
        ready!(waiting.as_mut().poll(context));
        Poll::Ready(Some(Err(axum::Error::new(TookTooLong))))
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
    use http_body_util::BodyExt as _;

    use super::*;

    /// What is read of a body whose pieces come after these pauses, in seconds.
    async fn read(pauses: &'static [u64]) -> Result<Bytes, String> {
        let pieces = stream::iter(pauses).then(async |pause| {
            sleep(Duration::from_secs(*pause)).await;
            Ok::<_, axum::Error>(Bytes::from_static(b"x"))
        });
        let request = bounded(Request::new(Body::from_stream(pieces)), Duration::from_secs(10));
        request.into_body().collect().await.map(http_body_util::Collected::to_bytes).map_err(|error| error.to_string())
    }

    #[tokio::test(start_paused = true)]
    async fn each_piece_has_its_own_time_and_a_later_one_ends_the_reading() {
        assert_eq!(read(&[0, 9, 9, 9]).await.unwrap(), "xxxx");
        assert_eq!(read(&[9, 11]).await.unwrap_err(), TookTooLong.to_string());
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_is_there_is_read_as_it_is() {
        let request = bounded(Request::new(Body::from("whole")), Duration::ZERO);
        assert_eq!(request.body().size_hint().exact(), Some(5));
        assert_eq!(request.into_body().collect().await.unwrap().to_bytes(), "whole");
    }
}
