//! Connections: taken, served, and closed when the server goes down.

use std::{convert::Infallible, io, net::SocketAddr, pin::pin, time::Duration};

use axum::http::Request;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use tokio::{
    net::{TcpListener, TcpStream},
    time::sleep,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::Api;

/// After the process could not take a connection, usually because it has too many files open.
const PAUSE: Duration = Duration::from_secs(1);

/// Serves `api` to everybody who connects. When `cancel` is cancelled nobody else is let in, and it ends with the last
/// request that is under way.
pub async fn serve(listener: TcpListener, api: Api, cancel: CancellationToken) {
    let connections = TaskTracker::new();
    while let Some((stream, peer)) = cancel.run_until_cancelled(accept(&listener)).await {
        connections.spawn(connection(stream, peer, api.clone(), cancel.clone()));
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // Small frames must not wait for each other.
                drop(stream.set_nodelay(true));
                return (stream, peer);
            }
            Err(error) if is_of_the_client(&error) => {}
            Err(error) => {
                tracing::error!(%error, "a connection could not be taken");
                sleep(PAUSE).await;
            }
        }
    }
}

/// It went away before it was taken.
fn is_of_the_client(error: &io::Error) -> bool {
    use io::ErrorKind as E;
    matches!(error.kind(), E::ConnectionRefused | E::ConnectionAborted | E::ConnectionReset)
}

async fn connection(stream: TcpStream, peer: SocketAddr, api: Api, cancel: CancellationToken) {
    let answer = service_fn(move |request: Request<Incoming>| {
        let answer = Box::pin(api.clone().answer(request, Some(peer)));
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let builder = Builder::new(TokioExecutor::new());
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), answer));
    tokio::select! {
        biased;
        // A client that goes away is no error of ours.
        _ = &mut connection => return,
        () = cancel.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    drop(connection.await);
}
