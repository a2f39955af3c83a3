//! How a channel is asked after: by its list of models, or by a conversation of one token.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::ChannelId;
use domain::relay::ProbeBy;
use futures::StreamExt as _;
use metering::{Catalogue, Offer, tokens_of};
use relay::{ChatRequest, KeyRef, RelayError, ReplyDelta, Role, Turn};
use routing::{Blame, Fault, Part, Probe};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// A conversation of one token takes no longer.
const WITHIN: Duration = Duration::from_secs(30);

/// Asks as the channel's operator wants it.
pub(super) struct Probes(pub(super) Catalogue);

#[async_trait]
impl Probe for Probes {
    async fn probe(&self, channel: ChannelId, part: &Part) -> Option<Result<(), RelayError>> {
        let all = self.0.all();
        let mut offers = all.iter().filter(|offer| offer.channel_id == channel);
        let offer = match part {
            Part::Model { name } => offers.find(|offer| offer.upstream == *name),
            Part::Channel | Part::Key { .. } => offers.next(),
        };
        match offer {
            Some(offer) if offer.routing.probe == ProbeBy::Chat => {
                let key = match part {
                    Part::Key { name } => Some(KeyRef::new(name)),
                    Part::Channel | Part::Model { .. } => None,
                };
                Some(by_chat(offer, key).await)
            }
            _ => self.by_list(channel, part).await,
        }
    }
}

impl Probes {
    /// Costs nothing anywhere.
    async fn by_list(&self, channel: ChannelId, part: &Part) -> Option<Result<(), RelayError>> {
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

/// Whether `offer` answers, with that key or any. A refusal that is about the question is an answer, too. What it costs is
/// the house's own: no wallet knows of it.
///
/// # Errors
/// It does not answer; what it says tells against it.
pub(super) async fn by_chat(offer: &Arc<Offer>, key: Option<KeyRef>) -> Result<(), RelayError> {
    let asked = timeout(WITHIN, ask(offer, key)).await;
    match asked.unwrap_or_else(|_| Err(RelayError::TimedOut(format!("no answer within {} s", WITHIN.as_secs())))) {
        Err(error) if Fault::of(&error).blame != Blame::Nobody => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

async fn ask(offer: &Arc<Offer>, key: Option<KeyRef>) -> Result<(), RelayError> {
    let request = ChatRequest {
        model: offer.upstream.clone(),
        turns: vec![Turn { role: Role::User, content: "Hi".to_owned() }],
        max_output_tokens: Some(1),
        temperature: None,
        user_tag: None,
        key,
    };
    // Whoever is not waited for any more takes the connection along.
    let cancel = CancellationToken::new();
    let _guard = cancel.clone().drop_guard();
    let mut answer = offer.provider.chat(request, cancel).await?;
    while let Some(delta) = answer.next().await {
        if let ReplyDelta::Done { usage, .. } = delta? {
            let cost = usage.and_then(|usage| offer.costs.cost(&tokens_of(&usage).0)).unwrap_or_default();
            let cost = u64::try_from(cost.get()).unwrap_or_default();
            metrics::counter!("upstream_cost_nanos_total", "reason" => "probe").increment(cost);
            return Ok(());
        }
    }
    Err(RelayError::UpstreamCut)
}
