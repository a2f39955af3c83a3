//! A connection to an upstream: made, asked, and read, all by whoever waits for the answer.
//!
//! Promise: no task of its own drives a connection. While a request is sent, and while its answer is read, the connection
//! is polled beside; between requests it rests, and whether it still lives is seen when it is wanted again.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::task::AtomicWaker;
use hyper::body::{Body as _, Frame, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use reqwest::{Body, Url};
use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::TCP_KEEPALIVE;
use crate::RelayError;
use crate::address::Resolver;

/// A request as it is written.
pub(super) type Request = hyper::Request<Body>;

/// The head of an answer, and its body.
pub(super) type Answer = hyper::Response<Incoming>;

/// An address that does not answer at once is not waited for while there are others (RFC 8305 recommends 250 ms).
const NEXT_ADDRESS: Duration = Duration::from_millis(250);

/// Where connections lead.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Origin {
    is_tls: bool,
    host: String,
    port: u16,
}

/// How connections are made.
pub(super) struct Connector {
    pub(super) resolver: Resolver,
    pub(super) tls: TlsConnector,
}

/// One connection, for one request at a time.
pub(super) struct Connection {
    pub(super) origin: Arc<Origin>,
    sender: SendRequest<Body>,
    /// `None` once it is closed.
    driver: Option<BoxFuture<'static, hyper::Result<()>>>,
    reader: Arc<Reader>,
    /// The reader again, as the connection wakes it.
    waker: Waker,
}

/// Who reads an answer. That a piece was taken, which a body tells its connection, is no news to the one who took it and
/// drives the connection next: it would wake a task that is awake, once for each piece.
#[derive(Default)]
struct Reader {
    /// [`WAITS`], [`TAKES`], or [`TAKES_AND_WAS_WOKEN`].
    state: AtomicU8,
    task: AtomicWaker,
}

const WAITS: u8 = 0;
const TAKES: u8 = 1;
const TAKES_AND_WAS_WOKEN: u8 = 2;

/// Why there is no connection.
pub(super) enum Unreachable {
    /// The policy, or the configuration.
    Refused(RelayError),
    /// Nobody is there who speaks to us.
    Nobody,
    /// Somebody is there who cannot prove who they are, or does not speak TLS.
    Insecure,
}

/// A body ended before its end.
#[derive(Debug)]
pub(crate) struct Cut;

/// Why there is no answer.
pub(super) enum Unanswered {
    /// The connection was closed before anything of the request was written: it can be sent again.
    Unsent(Box<Request>),
    /// It broke.
    Broken,
}

impl Origin {
    /// Of an `http` or `https` address.
    pub(super) fn of(url: &Url) -> Option<Self> {
        let host = url.host_str().filter(|host| !host.is_empty())?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Some(Self { is_tls: url.scheme() == "https", host, port: url.port_or_known_default()? })
    }
}

impl Connector {
    /// A new connection.
    pub(super) async fn connect(&self, origin: Arc<Origin>) -> Result<Connection, Unreachable> {
        let addresses = self.resolver.addresses(&origin.host, origin.port).await;
        let addresses = addresses.map_err(|refused| refused.map_or(Unreachable::Nobody, Unreachable::Refused))?;
        let stream = first_of(addresses).await.ok_or(Unreachable::Nobody)?;
        // What is written is written whole: a token must not wait for the next one.
        stream.set_nodelay(true).map_err(|_| Unreachable::Nobody)?;
        let keepalive = TcpKeepalive::new().with_time(TCP_KEEPALIVE).with_interval(TCP_KEEPALIVE / 2);
        SockRef::from(&stream).set_tcp_keepalive(&keepalive).map_err(|_| Unreachable::Nobody)?;
        if !origin.is_tls {
            return Connection::over(stream, origin).await;
        }
        let name = ServerName::try_from(origin.host.clone()).map_err(|_| Unreachable::Nobody)?;
        let stream = self.tls.connect(name, stream).await.map_err(|_| Unreachable::Insecure)?;
        Connection::over(stream, origin).await
    }
}

/// A connection to the first address that takes one, tried one shortly after the other.
async fn first_of(addresses: Vec<std::net::SocketAddr>) -> Option<TcpStream> {
    let mut addresses = addresses.into_iter();
    let mut tried = FuturesUnordered::new();
    loop {
        match addresses.next() {
            Some(address) => tried.push(TcpStream::connect(address)),
            None if tried.is_empty() => return None,
            None => {}
        }
        let patience = if addresses.len() > 0 { NEXT_ADDRESS } else { Duration::MAX };
        if let Ok(Some(Ok(stream))) = tokio::time::timeout(patience, tried.next()).await {
            return Some(stream);
        }
    }
}

impl Connection {
    async fn over<S>(stream: S, origin: Arc<Origin>) -> Result<Self, Unreachable>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, driver) = http1::handshake(TokioIo::new(stream)).await.map_err(|_| Unreachable::Nobody)?;
        let reader = Arc::<Reader>::default();
        let waker = Waker::from(Arc::clone(&reader));
        Ok(Self { origin, sender, driver: Some(Box::pin(driver)), reader, waker })
    }

    /// Whether it rests and the other side has not closed it; looks without waiting.
    pub(super) fn is_usable(&mut self) -> bool {
        drive(&mut self.driver, &mut Context::from_waker(Waker::noop())).is_pending() && self.sender.is_ready()
    }

    /// Sends a request and waits for the head of its answer.
    pub(super) async fn ask(&mut self, request: Request) -> Result<Answer, Unanswered> {
        let mut answer = pin!(self.sender.try_send_request(request));
        let driver = &mut self.driver;
        let answered = poll_fn(|context| {
            if drive(driver, context).is_ready() {
                // It says why.
                return answer.as_mut().poll(context);
            }
            answer.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        });
        answered.await.map_err(|mut error| match error.take_message() {
            Some(request) => Unanswered::Unsent(Box::new(request)),
            None => Unanswered::Broken,
        })
    }

    /// The next piece of the answer's body; `None` at its end.
    pub(super) fn poll_body(
        &mut self,
        body: &mut Incoming,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Cut>>> {
        self.reader.task.register(context.waker());
        loop {
            let (mut polled, _) = self.reader.take(body);
            if polled.is_pending() {
                let is_closed = drive(&mut self.driver, &mut Context::from_waker(&self.waker)).is_ready();
                let was_woken;
                (polled, was_woken) = self.reader.take(body);
                match polled.is_pending() && !is_closed {
                    // Since it was driven.
                    true if was_woken => continue,
                    true => return Poll::Pending,
                    false => {}
                }
            }
            return match polled {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => Poll::Ready(Some(Ok(data))),
                    // Trailers say nothing to us.
                    Err(_) => continue,
                },
                Poll::Ready(Some(Err(_))) | Poll::Pending => Poll::Ready(Some(Err(Cut))),
                Poll::Ready(None) => Poll::Ready(None),
            };
        }
    }
}

impl Reader {
    /// The next piece, if it is there; and whether anything would have woken us meanwhile.
    fn take(&self, body: &mut Incoming) -> (Poll<Option<hyper::Result<Frame<Bytes>>>>, bool) {
        self.state.store(TAKES, Ordering::Release);
        // What comes comes by the connection, which wakes us.
        let polled = Pin::new(body).poll_frame(&mut Context::from_waker(Waker::noop()));
        (polled, self.state.swap(WAITS, Ordering::AcqRel) == TAKES_AND_WAS_WOKEN)
    }
}

impl Wake for Reader {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let taking = self.state.compare_exchange(TAKES, TAKES_AND_WAS_WOKEN, Ordering::AcqRel, Ordering::Acquire);
        if taking.is_err() {
            self.task.wake();
        }
    }
}

/// Moves a connection on; ready where it is closed.
fn drive(driver: &mut Option<BoxFuture<'static, hyper::Result<()>>>, context: &mut Context<'_>) -> Poll<()> {
    if let Some(running) = driver {
        // Why it ended is told to whoever waits for an answer.
        std::task::ready!(running.as_mut().poll(context)).ok();
        *driver = None;
    }
    Poll::Ready(())
}
