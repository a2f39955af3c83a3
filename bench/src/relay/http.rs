//! HTTP/1.1 as everybody of ours in the comparison speaks it: hyper, connections that are kept, no delay of small writes.

use std::convert::Infallible;
use std::net::SocketAddr;

use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, combinators::BoxBody};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// Connections that wait to be taken.
const BACKLOG: u32 = 4096;

/// What those of us who serve answer.
pub(crate) type Answer = Response<BoxBody<Bytes, hyper::Error>>;

/// A connection to somebody.
pub(crate) type Connection = SendRequest<Full<Bytes>>;

/// Connects.
///
/// # Errors
/// Nobody is there.
pub(crate) async fn connect(address: SocketAddr) -> anyhow::Result<Connection> {
    let stream = TcpStream::connect(address).await.with_context(|| format!("nobody answers at {address}"))?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    // It ends with the connection, and whoever asks is told why.
    tokio::spawn(async move { drop(connection.await) });
    Ok(sender)
}

/// Asks for a page and waits until it is there.
///
/// # Errors
/// It cannot be had.
pub(crate) async fn get(address: SocketAddr, path: &str) -> anyhow::Result<()> {
    let request = Request::get(path).header(http::header::HOST, address.to_string()).body(Full::default())?;
    let response = connect(address).await?.send_request(request).await?;
    let status = response.status();
    response.into_body().collect().await?;
    anyhow::ensure!(status.is_success(), "{path}: {status}");
    Ok(())
}

/// A listener on a free port, which is told on standard output.
///
/// # Errors
/// There is no port.
pub(crate) async fn announce() -> anyhow::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let listener = socket.listen(BACKLOG)?;
    let address = listener.local_addr()?;
    std::io::Write::write_all(&mut std::io::stdout(), format!("{address}\n").as_bytes())?;
    Ok(listener)
}

/// Serves until standard input ends, which is when whoever started this process has gone.
///
/// # Errors
/// The listener is lost.
pub(crate) async fn serve<S, F>(listener: TcpListener, answer: S) -> anyhow::Result<()>
where
    S: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    let serving = async {
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let answer = answer.clone();
            let service = service_fn(move |request| {
                let answered = answer(request);
                async move { Ok::<_, Infallible>(answered.await) }
            });
            let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            // A client that goes away is no error of ours.
            tokio::spawn(async move { drop(connection.await) });
        }
    };
    tokio::select! {
        served = serving => served,
        () = abandoned() => Ok(()),
    }
}

/// An answer that is known before it is asked for, in JSON.
pub(crate) fn whole(text: &'static str) -> Answer {
    let body = Full::new(Bytes::from_static(text.as_bytes())).map_err(|never| match never {});
    let mut response = Response::new(body.boxed());
    response.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    response
}

/// Waits until standard input ends.
pub(crate) async fn abandoned() {
    let mut nothing = [0; 64];
    while tokio::io::stdin().read(&mut nothing).await.is_ok_and(|read| read > 0) {}
}
