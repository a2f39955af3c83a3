//! What runs beside the router of a process: news between nodes, and probes of channels that rest.

use std::sync::Arc;

use async_trait::async_trait;
use domain::ChannelId;
use metering::Catalogue;
use relay::RelayError;
use routing::{Part, Probe, ShareOptions};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::node::Node;

/// Keeps the health of `catalogue`'s channels up to date until `cancel`.
pub(crate) fn start(
    tasks: &mut JoinSet<anyhow::Result<()>>,
    node: &Node,
    catalogue: &Catalogue,
    cancel: &CancellationToken,
) {
    let router = catalogue.router();
    let sharing = routing::share(Arc::clone(router), node.nats.clone(), ShareOptions::default(), cancel.clone());
    tasks.spawn(async {
        sharing.await;
        Ok(())
    });
    let by = Arc::new(ByList(catalogue.clone()));
    let probing = routing::probe(Arc::clone(router), by, cancel.clone());
    tasks.spawn(async {
        probing.await;
        Ok(())
    });
}

/// Asks for the list of models, which costs nothing anywhere.
struct ByList(Catalogue);

#[async_trait]
impl Probe for ByList {
    async fn probe(&self, channel: ChannelId, part: &Part) -> Option<Result<(), RelayError>> {
        // The list is asked for with any key; of this one only a call can say how it is.
        if let Part::Key { .. } = part {
            return None;
        }
        let provider = self.0.provider_of(channel).await.ok()??.provider;
        match (provider.list_models().await, part) {
            // It has no such list.
            (Err(RelayError::Misconfigured(_) | RelayError::UpstreamRefused { .. }), _) => None,
            (Err(error), _) => Some(Err(error)),
            // Some lists are not whole: that a model is not there says nothing.
            (Ok(models), Part::Model { name }) => models.contains(name).then_some(Ok(())),
            (Ok(_), _) => Some(Ok(())),
        }
    }
}
