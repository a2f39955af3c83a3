//! For machines that watch the server: alive, ready, metrics.

use std::{collections::BTreeMap, time::Duration};

use async_nats::connection::State as Connection;
use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use metrics_exporter_prometheus::PrometheusHandle;
use projections::read_your_writes;
use serde::Serialize;
use tokio::time::timeout;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{observe::not_found, read::Reads, state::App};

/// A database that takes longer is away.
const PATIENCE: Duration = Duration::from_secs(1);

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(healthz)).routes(routes!(readyz)).routes(routes!(metrics))
}

/// 200 while the process lives.
#[utoipa::path(get, path = "/healthz", tag = "health", responses((status = 200, body = String)))]
async fn healthz() -> &'static str {
    "ok"
}

/// What the server needs, and how far its read models are.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Readiness {
    postgres: bool,
    nats: bool,
    projections: BTreeMap<String, Progress>,
}

/// How far a read model is.
#[derive(Debug, Serialize, ToSchema)]
struct Progress {
    position: i64,
    /// Events that it has not seen; counted up to 10,000.
    lag: i64,
    /// Aggregates that stand still because an event could not be applied.
    parked: i64,
}

/// Whether requests can be served: 503 while Postgres or NATS is away.
#[utoipa::path(get, path = "/readyz", tag = "health",
    responses((status = 200, body = Readiness), (status = 503, body = Readiness)))]
async fn readyz(State(reads): State<Reads>, State(client): State<async_nats::Client>) -> Response {
    let lag = timeout(PATIENCE, read_your_writes::lag(reads.pool())).await;
    let (postgres, projections) = match lag {
        Ok(Ok(lag)) => {
            let progress = |lag: read_your_writes::Lag| {
                (lag.name, Progress { position: lag.position, lag: lag.lag, parked: lag.parked })
            };
            (true, lag.into_iter().map(progress).collect())
        }
        Ok(Err(_)) | Err(_) => (false, BTreeMap::new()),
    };
    let nats = client.connection_state() == Connection::Connected;
    let status = if postgres && nats { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Readiness { postgres, nats, projections })).into_response()
}

/// Prometheus text; 404 where metrics have an address of their own.
#[utoipa::path(get, path = "/metrics", tag = "health",
    responses((status = 200, body = String, content_type = "text/plain; version=0.0.4")))]
async fn metrics(State(metrics): State<Option<PrometheusHandle>>) -> Response {
    match metrics {
        Some(metrics) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], metrics.render()).into_response(),
        None => not_found().await.into_response(),
    }
}
