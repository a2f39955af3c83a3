//! Which models can be asked now.
//!
//! A snapshot of all channels that is replaced as a whole: readers never wait, and see a change of a channel after the
//! next `reload`. A name that is not in the snapshot is looked up afresh before it is refused, so that a new channel
//! serves on every node at once.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use domain::ChannelId;
use relay::{Provider, RelayError};

use crate::Offer;

/// Unknown names make us look at most this often.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Where channels come from.
#[async_trait]
pub trait ChannelSource: Send + Sync {
    /// Every model of every enabled channel, the preferred channel first.
    ///
    /// # Errors
    /// The channels cannot be read now.
    async fn load(&self) -> anyhow::Result<Vec<Arc<Offer>>>;

    /// The provider of one channel, enabled or not, with the public and upstream names of its models; `None` if there is
    /// no such channel.
    ///
    /// # Errors
    /// The channel cannot be read or set up; the sentence is fit for operators.
    async fn provider(&self, channel: ChannelId) -> anyhow::Result<Option<ChannelProvider>>;
}

/// A channel that can be tried.
#[derive(Clone)]
pub struct ChannelProvider {
    pub provider: Arc<dyn Provider>,
    /// Public name and upstream's name, in order of preference.
    pub models: Vec<(String, String)>,
}

/// All models that can be asked. Cheap to clone; all clones see the same.
#[derive(Clone)]
pub struct Catalogue {
    source: Arc<dyn ChannelSource>,
    offers: Arc<RwLock<Arc<[Arc<Offer>]>>>,
    looked: Arc<Mutex<Option<Instant>>>,
}

impl Catalogue {
    /// An empty catalogue until the first [`Self::reload`].
    #[must_use]
    pub fn new(source: Arc<dyn ChannelSource>) -> Self {
        Self { source, offers: Arc::new(RwLock::new(Arc::from([]))), looked: Arc::default() }
    }

    /// A catalogue of these offers for ever.
    #[must_use]
    pub fn of(offers: Arc<[Arc<Offer>]>) -> Self {
        let source = Arc::new(Fixed(Arc::clone(&offers)));
        Self { source, offers: Arc::new(RwLock::new(offers)), looked: Arc::default() }
    }

    /// Takes the channels as they are now.
    ///
    /// # Errors
    /// They cannot be read; the old snapshot stays.
    pub async fn reload(&self) -> anyhow::Result<()> {
        let mut names = HashSet::new();
        let offers: Vec<_> =
            self.source.load().await?.into_iter().filter(|offer| names.insert(offer.model.clone())).collect();
        *self.offers.write().unwrap_or_else(PoisonError::into_inner) = offers.into();
        Ok(())
    }

    /// Every model once, served by the preferred channel that offers it.
    #[must_use]
    pub fn offers(&self) -> Arc<[Arc<Offer>]> {
        Arc::clone(&self.offers.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// What answers where nobody names a model.
    #[must_use]
    pub fn default_model(&self) -> Option<String> {
        self.offers().first().map(|offer| offer.model.clone())
    }

    /// The offer of `model`, or the default one.
    ///
    /// # Errors
    /// [`RelayError::UnknownModel`] if no enabled channel offers it.
    pub async fn resolve(&self, model: Option<&str>) -> Result<Arc<Offer>, RelayError> {
        if let Some(offer) = self.find(model) {
            return Ok(offer);
        }
        if self.may_look()
            && let Err(error) = self.reload().await
        {
            tracing::warn!(error = format!("{error:#}"), "the channels cannot be read now");
        }
        self.find(model).ok_or_else(|| RelayError::UnknownModel(model.unwrap_or("default").to_owned()))
    }

    /// The provider of one channel, enabled or not.
    ///
    /// # Errors
    /// As [`ChannelSource::provider`].
    pub async fn provider_of(&self, channel: ChannelId) -> anyhow::Result<Option<ChannelProvider>> {
        self.source.provider(channel).await
    }

    fn find(&self, model: Option<&str>) -> Option<Arc<Offer>> {
        self.offers().iter().find(|offer| model.is_none_or(|wanted| wanted == offer.model)).cloned()
    }

    fn may_look(&self) -> bool {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        let may = looked.is_none_or(|at| at.elapsed() >= LOOK_AGAIN);
        if may {
            *looked = Some(Instant::now());
        }
        may
    }
}

/// Channels that never change.
struct Fixed(Arc<[Arc<Offer>]>);

#[async_trait]
impl ChannelSource for Fixed {
    async fn load(&self) -> anyhow::Result<Vec<Arc<Offer>>> {
        Ok(self.0.to_vec())
    }

    async fn provider(&self, channel: ChannelId) -> anyhow::Result<Option<ChannelProvider>> {
        let mut of_channel = self.0.iter().filter(|offer| offer.channel_id == channel).peekable();
        let Some(first) = of_channel.peek() else { return Ok(None) };
        let provider = Arc::clone(&first.provider);
        let models = of_channel.map(|offer| (offer.model.clone(), offer.upstream.clone())).collect();
        Ok(Some(ChannelProvider { provider, models }))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use async_trait::async_trait;
    use domain::{billing::Rates, relay::ProviderKind};
    use relay::{ChatRequest, ReplyStream, ServedAnswer, ServedCall};
    use tokio_util::sync::CancellationToken;
    use uuid::Uuid;

    use super::*;

    struct Nobody;

    #[async_trait]
    impl Provider for Nobody {
        fn name(&self) -> &str {
            "nobody"
        }

        async fn chat(&self, _: ChatRequest, _: CancellationToken) -> Result<ReplyStream, RelayError> {
            Err(RelayError::UpstreamCut)
        }

        async fn call(&self, _: ServedCall, _: CancellationToken) -> Result<ServedAnswer, RelayError> {
            Err(RelayError::UpstreamCut)
        }

        async fn list_models(&self) -> Result<Vec<String>, RelayError> {
            Ok(vec![])
        }
    }

    fn offer(channel: u128, model: &str) -> Arc<Offer> {
        Arc::new(Offer {
            model: model.to_owned(),
            upstream: model.to_owned(),
            channel_id: ChannelId::new(Uuid::from_u128(channel)),
            channel: channel.to_string(),
            kind: ProviderKind::Openai,
            provider: Arc::new(Nobody),
            demonstration: false,
            context_tokens: None,
            max_output_tokens: None,
            prices: Rates::default(),
            costs: Rates::default(),
            price_version: 1,
            routing: Arc::default(),
            traits: Arc::default(),
            created_at: chrono::DateTime::UNIX_EPOCH,
        })
    }

    /// Has the model `late` only once it was added.
    #[derive(Default)]
    struct Growing(AtomicBool);

    #[async_trait]
    impl ChannelSource for Growing {
        async fn load(&self) -> anyhow::Result<Vec<Arc<Offer>>> {
            let mut offers = vec![offer(1, "a"), offer(1, "shared"), offer(2, "shared"), offer(2, "b")];
            if self.0.load(Ordering::SeqCst) {
                offers.push(offer(3, "late"));
            }
            Ok(offers)
        }

        async fn provider(&self, _: ChannelId) -> anyhow::Result<Option<ChannelProvider>> {
            Ok(None)
        }
    }

    #[tokio::test]
    async fn a_model_that_two_channels_offer_is_served_by_the_first_and_shown_once() {
        let catalogue = Catalogue::new(Arc::new(Growing::default()));
        catalogue.reload().await.unwrap();
        let names: Vec<_> = catalogue.offers().iter().map(|offer| offer.model.clone()).collect();
        assert_eq!(names, ["a", "shared", "b"]);
        let shared = catalogue.resolve(Some("shared")).await.unwrap();
        assert_eq!(shared.channel, "1");
        assert_eq!(catalogue.default_model().as_deref(), Some("a"));
    }

    #[tokio::test]
    async fn an_unknown_name_is_looked_up_afresh_before_it_is_refused_but_not_by_every_caller() {
        let source = Arc::new(Growing::default());
        let catalogue = Catalogue::new(Arc::clone(&source) as Arc<dyn ChannelSource>);
        assert_eq!(catalogue.resolve(Some("late")).await.err().map(|error| error.code()), Some("unknown_model"));
        source.0.store(true, Ordering::SeqCst);
        assert!(catalogue.resolve(Some("late")).await.is_err(), "it was looked up a moment ago");
        tokio::time::sleep(LOOK_AGAIN).await;
        assert_eq!(catalogue.resolve(Some("late")).await.unwrap().channel, "3");
    }

    #[tokio::test]
    async fn a_house_without_channels_has_no_default_model() {
        let empty = Catalogue::of(Arc::from([]));
        assert_eq!(empty.resolve(None).await.err().map(|error| error.code()), Some("unknown_model"));
    }
}
