//! The metrics of this process: the one recorder, what every name means, what is looked at from time to time, and where
//! they can be read.
//!
//! Promise: every name that any crate records is described in `catalogue.rs` (`tests/contracts.rs` sees to it), and
//! docs/METRICS.md is that list.

pub(crate) mod catalogue;
mod listener;
mod process;
mod samples;

use std::sync::OnceLock;
use std::time::Duration;

use anyhow::anyhow;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::console;
use crate::node::Node;

/// Bounds of histograms of seconds: from a cache hit to a slow model.
const SECONDS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0];
/// Bounds of histograms of counts: a group of commands has at most 512.
const COUNTS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];
/// What was recorded is put into its buckets so often; until then each value takes room.
const UPKEEP: Duration = Duration::from_secs(5);

/// The recorder, installed at the first call.
///
/// # Errors
/// Another one was installed before.
pub(crate) fn recorder() -> anyhow::Result<PrometheusHandle> {
    static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();
    if let Some(handle) = RECORDER.get() {
        return Ok(handle.clone());
    }
    let handle = builder()
        .and_then(PrometheusBuilder::install_recorder)
        .map_err(|error| anyhow!("metrics cannot be recorded: {error}"))?;
    catalogue::describe();
    Ok(RECORDER.get_or_init(|| handle).clone())
}

fn builder() -> Result<PrometheusBuilder, BuildError> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("_size".to_owned()), COUNTS)
}

/// Keeps the metrics of this process, and serves them where an address is set, until `cancel`.
///
/// # Errors
/// The address is in use.
pub(crate) async fn start(
    tasks: &mut JoinSet<anyhow::Result<()>>,
    config: &Config,
    node: &Node,
    cancel: CancellationToken,
) -> anyhow::Result<()> {
    let handle = recorder()?;
    if let Some(address) = config.metrics_addr {
        let listener = listener::bind(address).await?;
        console(&format!("Metrics: http://{}/metrics", listener.local_addr()?));
        tasks.spawn(listener::serve(listener, handle.clone(), cancel.clone()));
    }
    tasks.spawn(samples::take(node.clone(), cancel.clone()));
    tasks.spawn(async move {
        while cancel.run_until_cancelled(tokio::time::sleep(UPKEEP)).await.is_some() {
            handle.run_upkeep();
        }
        Ok(())
    });
    Ok(())
}
