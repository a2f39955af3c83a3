//! The floor: a relay of the least duty that can be called one, and nothing besides.
//!
//! Promise: who calls is known by the hash of the key, how often is limited, the head of the request is read (the model
//! must be one that is offered), the upstream is asked on a connection that is kept, and the usage that it tells is
//! counted. No choice among upstreams, no translation, no money. What a product takes beyond this is what its features
//! cost.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderValue};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body, Frame, Incoming};
use hyper::{Method, Request, Response, StatusCode};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::http::{Answer, Connection, announce, connect, serve, whole};

/// Connections that wait for their next request, at most.
const MAX_IDLE: usize = 512;
/// Of an answer so much is kept to look for its usage in: the last events, or the end of a whole one.
const TAIL_BYTES: usize = 1024;
const MAX_BODY_BYTES: usize = 16 << 20;

/// What it is told on its command line.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Who is asked.
    pub(crate) upstream: SocketAddr,
    /// The one key that is let in.
    pub(crate) key: String,
    /// The one model that is offered.
    pub(crate) model: String,
}

/// Serves until whoever started it has gone.
///
/// # Errors
/// There is no port.
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let upstream_host = HeaderValue::from_str(&arguments.upstream.to_string())?;
    let account = Account { left: AtomicI64::new(i64::MAX), tokens: AtomicU64::new(0) };
    let floor = Arc::new(Floor {
        accounts: [(hash(arguments.key.as_bytes()), Arc::new(account))].into(),
        model: arguments.model,
        upstream: arguments.upstream,
        upstream_host,
        idle: Mutex::default(),
    });
    let listener = announce().await?;
    let answer = move |request| {
        let floor = Arc::clone(&floor);
        async move { floor.answer(request).await.unwrap_or_else(refusal) }
    };
    serve(listener, answer).await
}

/// Who pays, as far as there is such a thing here.
struct Account {
    /// Calls that it may still make.
    left: AtomicI64,
    /// Consumed by all its calls.
    tokens: AtomicU64,
}

struct Floor {
    accounts: HashMap<[u8; 32], Arc<Account>>,
    model: String,
    upstream: SocketAddr,
    upstream_host: HeaderValue,
    idle: Mutex<Vec<Connection>>,
}

/// What is read of a request; the rest passes.
#[derive(Deserialize)]
struct Head<'b> {
    #[serde(borrow)]
    model: Cow<'b, str>,
    #[serde(default)]
    #[expect(dead_code, reason = "read, as a relay must, to know the form of the answer")]
    stream: bool,
}

impl Floor {
    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Result<Answer, StatusCode> {
        let account = self.account(request.headers()).ok_or(StatusCode::UNAUTHORIZED)?;
        if account.left.fetch_sub(1, Ordering::Relaxed) <= 0 {
            return Err(StatusCode::TOO_MANY_REQUESTS);
        }
        let body = http_body_util::Limited::new(request.into_body(), MAX_BODY_BYTES);
        let body = body.collect().await.map_err(|_| StatusCode::BAD_REQUEST)?.to_bytes();
        let head: Head<'_> = serde_json::from_slice(&body).map_err(|_| StatusCode::BAD_REQUEST)?;
        if head.model != self.model {
            return Err(StatusCode::NOT_FOUND);
        }
        let mut connection = self.connection().await.map_err(|_| StatusCode::BAD_GATEWAY)?;
        let response = connection.send_request(self.asked(body)).await.map_err(|_| StatusCode::BAD_GATEWAY)?;
        let (parts, body) = response.into_parts();
        let passing = Passing { body, tail: vec![], account, floor: self, connection: Some(connection), ended: false };
        let mut answer = Response::new(passing.boxed());
        *answer.status_mut() = parts.status;
        for name in [CONTENT_TYPE, http::header::CONTENT_LENGTH] {
            if let Some(value) = parts.headers.get(&name) {
                answer.headers_mut().insert(name, value.clone());
            }
        }
        Ok(answer)
    }

    fn account(&self, headers: &HeaderMap) -> Option<Arc<Account>> {
        let key = headers.get(AUTHORIZATION)?.as_bytes().strip_prefix(b"Bearer ")?;
        self.accounts.get(&hash(key)).cloned()
    }

    fn asked(&self, body: Bytes) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = http::Uri::from_static("/v1/chat/completions");
        let headers = request.headers_mut();
        headers.insert(HOST, self.upstream_host.clone());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer sk-upstream"));
        request
    }

    async fn connection(&self) -> anyhow::Result<Connection> {
        loop {
            let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some(mut connection) = idle else { return connect(self.upstream).await };
            if connection.ready().await.is_ok() {
                return Ok(connection);
            }
        }
    }

    fn keep(&self, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MAX_IDLE {
            idle.push(connection);
        }
    }
}

fn hash(key: &[u8]) -> [u8; 32] {
    Sha256::digest(key).into()
}

fn refusal(status: StatusCode) -> Answer {
    let mut response = whole("{\"error\":{}}");
    *response.status_mut() = status;
    response
}

/// An answer on its way: as it comes, its end remembered.
struct Passing {
    body: Incoming,
    tail: Vec<u8>,
    account: Arc<Account>,
    floor: Arc<Floor>,
    connection: Option<Connection>,
    ended: bool,
}

impl Passing {
    fn remember(&mut self, piece: &[u8]) {
        let kept = (self.tail.len() + piece.len()).saturating_sub(TAIL_BYTES).min(self.tail.len());
        self.tail.drain(..kept);
        self.tail.extend_from_slice(piece.get(piece.len().saturating_sub(TAIL_BYTES)..).unwrap_or_default());
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        self.account.tokens.fetch_add(total_tokens(&self.tail).unwrap_or_default(), Ordering::Relaxed);
        // Of a whole answer the end is not asked for once its length has come.
        let ended = self.ended || self.body.is_end_stream();
        if let Some(connection) = self.connection.take().filter(|_| ended) {
            self.floor.keep(connection);
        }
    }
}

/// The last sum of tokens that is told.
fn total_tokens(tail: &[u8]) -> Option<u64> {
    const NAME: &[u8] = b"\"total_tokens\":";
    let at = memchr::memmem::rfind(tail, NAME)? + NAME.len();
    let mut digits = tail.get(at..)?.iter().take_while(|byte| byte.is_ascii_digit());
    digits.try_fold(0_u64, |sum, digit| sum.checked_mul(10)?.checked_add(u64::from(digit - b'0')))
}

impl Body for Passing {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                if let Some(piece) = frame.data_ref() {
                    self.remember(piece);
                }
            }
            // A cut is passed on as a cut.
            Some(Err(_)) => {}
            None => self.ended = true,
        }
        Poll::Ready(frame)
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::total_tokens;

    #[test]
    fn usage_is_found_at_the_end() {
        assert_eq!(total_tokens(br#"{"usage":{"total_tokens":50,"x":{}}}"#), Some(50));
        assert_eq!(total_tokens(b"data: {\"usage\":{\"total_tokens\":224}}\n\ndata: [DONE]\n\n"), Some(224));
        assert_eq!(total_tokens(b"data: [DONE]\n\n"), None);
    }
}
