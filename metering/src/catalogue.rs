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
