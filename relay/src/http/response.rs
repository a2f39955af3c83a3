//! What an upstream answers: its head, and its body as it comes.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::Incoming;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;

use super::connection::{Answer, Connection, Cut};
use super::pool::Pool;

/// An answer. Dropping it before its end closes its connection.
pub(crate) enum Response {
    /// Over a connection of our own.
    Direct(Direct),
    /// By way of a proxy.
    Proxied(reqwest::Response),
}

/// An answer over a connection of our own.
pub(crate) struct Direct {
    status: StatusCode,
    headers: HeaderMap,
    body: Incoming,
    /// `None` once the body came to its end.
    connection: Option<Connection>,
    /// Where the connection rests then.
    pool: Arc<Pool>,
}

impl Direct {
    pub(super) fn new((answer, connection): (Answer, Connection), pool: Arc<Pool>) -> Self {
        let (head, body) = answer.into_parts();
        Self { status: head.status, headers: head.headers, body, connection: Some(connection), pool }
    }

    fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Cut>> {
        let Some(connection) = &mut self.connection else { return Poll::Ready(Ok(None)) };
        match ready!(connection.poll_body(&mut self.body, context)) {
            Some(Ok(bytes)) => return Poll::Ready(Ok(Some(bytes))),
            Some(Err(cut)) => {
                self.connection = None;
                return Poll::Ready(Err(cut));
            }
            None => {}
        }
        if let Some(connection) = self.connection.take() {
            self.pool.give_back(connection);
        }
        Poll::Ready(Ok(None))
    }
}

impl Response {
    /// Its status.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Direct(answer) => answer.status,
            Self::Proxied(answer) => answer.status(),
        }
    }

    /// Its headers.
    pub(crate) fn headers(&self) -> &HeaderMap {
        match self {
            Self::Direct(answer) => &answer.headers,
            Self::Proxied(answer) => answer.headers(),
        }
    }

    /// The next piece of its body; `None` at the end. Nothing is lost where this is not waited for to its end.
    ///
    /// # Errors
    /// It was cut off.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, Cut> {
        poll_fn(|context| self.poll_chunk(context)).await
    }

    /// The same.
    pub(crate) fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Cut>> {
        match self {
            Self::Direct(answer) => answer.poll_chunk(context),
            // Made anew for each look: it keeps nothing of its own.
            Self::Proxied(answer) => pin!(answer.chunk()).poll(context).map_err(|_| Cut),
        }
    }
}
