//! Metrics on an address of their own, for processes of every role.

use std::net::SocketAddr;

use anyhow::Context as _;
use axum::Router;
use axum::http::header;
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// # Errors
/// The address is in use, or is not this machine's.
pub(super) async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address} (OBLIVIOUS_METRICS_ADDR)"))
}

/// Answers `GET /metrics`, and `GET /healthz` for whoever watches a process without HTTP of its own.
///
/// # Errors
/// The listener fails.
pub(super) async fn serve(
    listener: TcpListener,
    handle: PrometheusHandle,
    cancel: CancellationToken,
) -> anyhow::Result<()> {
    let metrics = move || async move { ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], handle.render()) };
    let router = Router::new().route("/metrics", get(metrics)).route("/healthz", get(async || "ok"));
    axum::serve(listener, router)
        .with_graceful_shutdown(cancel.cancelled_owned())
        .await
        .context("metrics cannot be served")
}
