//! The way from a connection to a route.
//!
//! Promise: a call of a served API whose whole request is one JSON document, as nearly all are, is answered by plain
//! futures, without the router's layers, each of which is cloned and boxed for every request. Both ways do the same, by the
//! same functions: what is around every request is [`Around::observe`], who is let in [`served::enter`], what is answered
//! the route's own handler.

use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    BoxError, Router,
    body::{Body, Bytes, HttpBody},
    extract::{ConnectInfo, Request},
    http::{self, Method, request::Parts},
    response::{IntoResponse as _, Response},
};
use futures::future::BoxFuture;
use http_body_util::Limited;
use tower::{Service, ServiceExt as _};

use crate::{
    arriving::{Arriving, gather},
    observe::{Around, Seen},
    problem::Problem,
    served::{self, Caller, Document, Incoming, Manner, Short},
    state::App,
};

/// The whole HTTP service: API, page, and what is around them. Cheap to clone.
#[derive(Clone)]
pub struct Api(Arc<Front>);

struct Front {
    app: App,
    around: Arc<Around>,
    /// Routes that are answered without the router, which has them, too.
    short: Short,
    router: Router,
}

impl Api {
    /// With `is_shared` pages on other hosts may call the API; what they have to be told is a layer of the router, so that
    /// everything takes that way.
    pub(crate) fn new(app: App, around: Arc<Around>, router: Router, is_shared: bool) -> Self {
        let short = if is_shared { Short::default() } else { served::short() };
        Self(Arc::new(Front { app, around, short, router }))
    }

    /// What is answered to `request`, which came from `peer`.
    pub(crate) async fn answer<B>(self, request: http::Request<B>, peer: Option<SocketAddr>) -> Response
    where
        B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static,
    {
        let front = &*self.0;
        let path = request.uri().path();
        if *request.method() == Method::POST
            && let Some((route, document)) = front.short.find(path)
        {
            let (head, body) = request.into_parts();
            let seen = Seen::new(&head.method, &head.uri, &head.headers, route);
            // Every address of a served API has a manner.
            if let Some(manner) = seen.manner {
                // In its place from the beginning: each function that it is given to would have room for it.
                let answer = pin!(front.document(document, manner, &seen, &head, body));
                return front.around.observe(&seen, answer).await;
            }
            return Box::pin(front.routed(http::Request::from_parts(head, body), peer)).await;
        }
        Box::pin(front.routed(request, peer)).await
    }
}

impl Front {
    /// The answer of a route that takes a document, to whoever may ask.
    async fn document<B>(&self, document: Document, manner: Manner, seen: &Seen<'_>, head: &Parts, body: B) -> Response
    where
        B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Unpin,
    {
        let holder = self.app.holders.of_served(&head.headers, &head.uri).await;
        let inside = async |holder, allowance| -> Result<Response, Problem> {
            let of = (manner, seen.id.clone());
            let caller = Caller::new(self.app.calls.clone(), (holder, allowance), of, &head.headers)?;
            let limits = self.around.limits();
            let body = Arriving::new(body, limits.body_timeout);
            let bytes = gather(Limited::new(body, limits.max_completion_body_bytes)).await?;
            document.answer(&self.app, Incoming::new(caller, bytes)?).await
        };
        let inside = async |holder, allowance| inside(holder, allowance).await.into_response();
        served::enter(&self.app, manner, holder, inside).await
    }

    async fn routed<B>(&self, request: http::Request<B>, peer: Option<SocketAddr>) -> Response
    where
        B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let mut request = request.map(Body::new);
        if let Some(peer) = peer {
            request.extensions_mut().insert(ConnectInfo(peer));
        }
        let answered: Result<_, Infallible> = self.router.clone().oneshot(request).await;
        answered.unwrap_or_else(|never| match never {})
    }
}

/// For whoever calls it without a connection.
impl Service<Request> for Api {
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let api = self.clone();
        Box::pin(async move { Ok(api.answer(request, None).await) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_moved_for_every_request_is_small() {
        const SMALL: usize = 3 * 1024;
        fn bytes<A, B, C, F>(_: impl FnOnce(A, B, C) -> F) -> usize {
            size_of::<F>()
        }
        let answer = bytes(|api: Api, request: http::Request<hyper::body::Incoming>, peer| api.answer(request, peer));
        assert!(answer < SMALL, "{answer} bytes");
    }
}
