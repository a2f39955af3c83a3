//! What runs beside the router of a process: news between nodes, probes of channels that rest, and what the log says of
//! keys.

mod keys;
mod probes;

use std::sync::Arc;
use std::time::Duration;

use metering::Catalogue;
use routing::{BreakerOptions, BudgetOptions, HealthOptions, RouterOptions, ShareOptions};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::keys::Keys;
use self::probes::Probes;
use crate::config::Config;
use crate::node::Node;

/// How this installation judges.
pub(crate) fn options(config: &Config) -> RouterOptions {
    let seconds = |seconds: u32| Duration::from_secs(u64::from(seconds));
    let breaker = BreakerOptions {
        failures: config.breaker_failures,
        open: seconds(config.breaker_rest_seconds),
        longest_open: seconds(config.breaker_longest_rest_seconds.max(config.breaker_rest_seconds)),
        ..BreakerOptions::default()
    };
    let budget = BudgetOptions { share: f64::from(config.retry_percent) / 100.0, ..BudgetOptions::default() };
    RouterOptions { health: HealthOptions { breaker, ..HealthOptions::default() }, budget }
}

/// Keeps the health of `catalogue`'s channels up to date until `cancel`.
pub(crate) fn start(
    tasks: &mut JoinSet<anyhow::Result<()>>,
    (config, node): (&Config, &Node),
    catalogue: &Catalogue,
    cancel: &CancellationToken,
) {
    let router = catalogue.router();
    let sharing = routing::share(Arc::clone(router), node.nats.clone(), ShareOptions::default(), cancel.clone());
    tasks.spawn(async {
        sharing.await;
        Ok(())
    });
    let probing = routing::probe(Arc::clone(router), Arc::new(Probes(catalogue.clone())), cancel.clone());
    tasks.spawn(async {
        probing.await;
        Ok(())
    });
    let keys = Keys {
        pool: node.pool.clone(),
        commands: node.commands(config),
        catalogue: catalogue.clone(),
        probe_after: (config.key_probe_seconds > 0).then(|| Duration::from_secs(config.key_probe_seconds.into())),
    };
    let keeping = keys.keep(cancel.clone());
    tasks.spawn(async {
        keeping.await;
        Ok(())
    });
}
