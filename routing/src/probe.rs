//! Asks after channels that rest, so that they come back without a request having to find out.
//!
//! A probe is a trial like any other: it is made when a breaker's time is over, at most once at a time, and a failure
//! lets the channel rest for longer, so the back-off of the breaker is the back-off of its probes.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::ChannelId;
use futures::future::join_all;
use relay::RelayError;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::{Part, Router};

/// How often it is looked for breakers whose time is over.
const LOOK: Duration = Duration::from_secs(1);
/// A probe that takes longer has failed.
const PROBE_WITHIN: Duration = Duration::from_secs(30);
/// Channels that nobody has asked for so long are forgotten.
const FORGET_AFTER: Duration = Duration::from_secs(24 * 3600);

/// Whoever can ask after a channel at little cost.
#[async_trait]
pub trait Probe: Send + Sync {
    /// Asks, for instance for the list of models. `None` where that cannot be found out without a call that costs.
    async fn probe(&self, channel: ChannelId, part: &Part) -> Option<Result<(), RelayError>>;
}

/// Probes what is due until `cancel`.
pub async fn probe(router: Arc<Router>, by: Arc<dyn Probe>, cancel: CancellationToken) {
    let probing = async {
        loop {
            let due = router.due();
            join_all(due.into_iter().map(|(channel, part)| one(&router, &*by, channel, part))).await;
            router.forget(FORGET_AFTER);
            sleep(LOOK).await;
        }
    };
    cancel.run_until_cancelled(probing).await;
}

async fn one(router: &Arc<Router>, by: &dyn Probe, channel: ChannelId, part: Part) {
    let Ok(trial) = Trial::begin(router, channel, part) else { return };
    let result = match timeout(PROBE_WITHIN, by.probe(channel, &trial.part)).await {
        Ok(Some(result)) => result,
        // The next call finds out.
        Ok(None) => return,
        Err(_) => Err(RelayError::TimedOut(format!("a probe did not end within {} s", PROBE_WITHIN.as_secs()))),
    };
    let outcome = result.as_ref().map_or_else(RelayError::code, |()| "ok");
    metrics::counter!("routing_probes_total", "outcome" => outcome).increment(1);
    trial.end(result.as_ref().copied());
}

/// A probe under way. One that is let go gives its place back.
struct Trial<'r> {
    router: &'r Arc<Router>,
    channel: ChannelId,
    part: Part,
    passed: Option<crate::Passed>,
}

impl<'r> Trial<'r> {
    fn begin(router: &'r Arc<Router>, channel: ChannelId, part: Part) -> Result<Self, crate::Reason> {
        let passed = router.begin_probe(channel, &part)?;
        Ok(Self { router, channel, part, passed: Some(passed) })
    }

    fn end(mut self, result: Result<(), &RelayError>) {
        if let Some(passed) = self.passed.take() {
            self.router.end_probe((self.channel, &self.part, passed), result);
        }
    }
}

impl Drop for Trial<'_> {
    fn drop(&mut self) {
        if let Some(passed) = self.passed.take() {
            self.router.end_probe((self.channel, &self.part, passed), Err(&RelayError::Cancelled));
        }
    }
}
