//! Which models can be asked now.
//!
//! A snapshot of all channels that is replaced as a whole: readers never wait, and see a change of a channel after the
//! next `reload`. A name that is not in the snapshot is looked up afresh before it is refused, so that a new channel
//! serves on every node at once.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use domain::{ChannelId, UserId, billing::Factor, relay::group};
use moka::future::Cache;
use relay::{Provider, RelayError};
use routing::{Router, RouterOptions};

use crate::{Choices, MeterError, Offer};

/// Unknown names make us look at most this often.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// How long a node believes that an account is in a group: what an operator changes counts within a second.
const GROUP_LIFE: Duration = Duration::from_secs(1);
/// Accounts whose group a node remembers.
const MAX_GROUPS: u64 = 10_000;

/// The group of whoever pays for a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayerGroup {
    pub name: Arc<str>,
    /// What its users pay of every price.
    pub factor: Factor,
}

impl Default for PayerGroup {
    fn default() -> Self {
        Self { name: group::DEFAULT.into(), factor: Factor::ONE }
    }
}

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

    /// The group that an account is in; the default one where there are no others.
    ///
    /// # Errors
    /// The groups cannot be read now.
    async fn group_of(&self, _user: UserId) -> anyhow::Result<PayerGroup> {
        Ok(PayerGroup::default())
    }
}

/// A channel that can be tried.
#[derive(Clone)]
pub struct ChannelProvider {
    pub provider: Arc<dyn Provider>,
    /// Public name and upstream's name, in order of preference.
    pub models: Vec<(String, String)>,
}

/// The offers, and the reading that found them: one that began later knows at least as much.
struct Snapshot {
    reading: u64,
    offers: Arc<Offers>,
}

/// Every offer, and where those of one model are: a call looks at no others.
pub(crate) struct Offers {
    all: Arc<[Arc<Offer>]>,
    by_model: HashMap<String, OfModel>,
}

/// The offers of one model.
#[derive(Default)]
struct OfModel {
    /// The preferred channel first.
    offers: Vec<Arc<Offer>>,
    /// What people of a group have the choice of, by the group's name, once somebody of it has asked.
    choices: RwLock<BTreeMap<Arc<str>, Choices>>,
}

impl Offers {
    fn of(all: Arc<[Arc<Offer>]>) -> Arc<Self> {
        let mut by_model = HashMap::<String, OfModel>::new();
        for offer in all.iter() {
            by_model.entry(offer.model.clone()).or_default().offers.push(Arc::clone(offer));
        }
        Arc::new(Self { all, by_model })
    }

    /// Those of one model, the preferred channel first.
    pub(crate) fn of_model(&self, model: &str) -> &[Arc<Offer>] {
        self.by_model.get(model).map(|known| known.offers.as_slice()).unwrap_or_default()
    }

    /// What people of `group` have the choice of; `None` where nobody offers them `model`.
    fn choices(&self, model: &str, group: &PayerGroup, router: &Router) -> Option<Choices> {
        let of_model = self.by_model.get(model)?;
        let known = of_model.choices.read().unwrap_or_else(PoisonError::into_inner).get(&group.name).cloned();
        if known.is_some() {
            return known;
        }
        let choices = Choices::of(model, self, &|offer| offer.routing.admits(&group.name), router)?;
        if choices.are_lasting() {
            let mut known = of_model.choices.write().unwrap_or_else(PoisonError::into_inner);
            known.insert(Arc::clone(&group.name), choices.clone());
        }
        Some(choices)
    }
}

/// All models that can be asked. Cheap to clone; all clones see the same.
#[derive(Clone)]
pub struct Catalogue {
    source: Arc<dyn ChannelSource>,
    offers: Arc<RwLock<Snapshot>>,
    /// How many readings have begun.
    readings: Arc<AtomicU64>,
    groups: Cache<UserId, PayerGroup>,
    looked: Arc<Mutex<Option<Instant>>>,
    router: Arc<Router>,
}

impl Catalogue {
    /// An empty catalogue until the first [`Self::reload`].
    #[must_use]
    pub fn new(source: Arc<dyn ChannelSource>) -> Self {
        Self::with(source, Arc::from([]))
    }

    /// A catalogue of these offers for ever.
    #[must_use]
    pub fn of(offers: Arc<[Arc<Offer>]>) -> Self {
        Self::with(Arc::new(Fixed(Arc::clone(&offers))), offers)
    }

    fn with(source: Arc<dyn ChannelSource>, offers: Arc<[Arc<Offer>]>) -> Self {
        let groups = Cache::builder().max_capacity(MAX_GROUPS).time_to_live(GROUP_LIFE).build();
        Self {
            source,
            offers: Arc::new(RwLock::new(Snapshot { reading: 0, offers: Offers::of(offers) })),
            readings: Arc::default(),
            groups,
            looked: Arc::default(),
            router: Router::new(RouterOptions::default()),
        }
    }

    /// The same channels behind another router.
    #[must_use]
    pub fn routed_by(self, router: Arc<Router>) -> Self {
        Self { router, ..self }
    }

    /// Who chooses among the channels of a model, and knows how they are.
    #[must_use]
    pub const fn router(&self) -> &Arc<Router> {
        &self.router
    }

    /// Takes the channels and groups as they are now. Of readings that overlap, the one that began last counts: an older
    /// one that is late would take back what somebody has already seen.
    ///
    /// # Errors
    /// They cannot be read; the old snapshot stays.
    pub async fn reload(&self) -> anyhow::Result<()> {
        self.groups.invalidate_all();
        let reading = 1 + self.readings.fetch_add(1, Ordering::Relaxed);
        let offers = Offers::of(self.source.load().await?.into());
        let mut snapshot = self.offers.write().unwrap_or_else(PoisonError::into_inner);
        if snapshot.reading < reading {
            *snapshot = Snapshot { reading, offers };
        }
        Ok(())
    }

    /// Every offer of every channel, the preferred channel first, whoever may use it.
    #[must_use]
    pub fn all(&self) -> Arc<[Arc<Offer>]> {
        Arc::clone(&self.offers().all)
    }

    fn offers(&self) -> Arc<Offers> {
        Arc::clone(&self.offers.read().unwrap_or_else(PoisonError::into_inner).offers)
    }

    /// Every model that people of `group` may use once, as the preferred channel offers it.
    #[must_use]
    pub fn models_for(&self, group: &PayerGroup) -> Vec<Arc<Offer>> {
        let all = self.all();
        let mut names = HashSet::new();
        let admitted = all.iter().filter(|offer| offer.routing.admits(&group.name));
        admitted.filter(|offer| names.insert(offer.model.as_str())).cloned().collect()
    }

    /// What answers people of `group` where nobody names a model.
    #[must_use]
    pub fn default_model(&self, group: &PayerGroup) -> Option<String> {
        self.find(None, group).map(|offer| offer.model.clone())
    }

    /// The preferred offer of `model` to people of `group`, or the default one.
    ///
    /// # Errors
    /// [`RelayError::UnknownModel`] if no enabled channel offers it to them.
    pub async fn resolve(&self, model: Option<&str>, group: &PayerGroup) -> Result<Arc<Offer>, RelayError> {
        if let Some(offer) = self.find(model, group) {
            return Ok(offer);
        }
        if self.may_look()
            && let Err(error) = Box::pin(self.reload()).await
        {
            tracing::warn!(error = format!("{error:#}"), "the channels cannot be read now");
        }
        self.find(model, group).ok_or_else(|| RelayError::UnknownModel(model.unwrap_or("default").to_owned()))
    }

    /// Everybody who may answer `model`, or the default one, to people of `group`, and whoever may answer instead.
    ///
    /// # Errors
    /// [`RelayError::UnknownModel`] if no enabled channel offers it to them.
    pub async fn choices(&self, model: Option<&str>, group: &PayerGroup) -> Result<Choices, RelayError> {
        if let Some(choices) = model.and_then(|model| self.offers().choices(model, group, &self.router)) {
            return Ok(choices);
        }
        let first = self.resolve(model, group).await?;
        let choices = self.offers().choices(&first.model, group, &self.router);
        choices.ok_or_else(|| RelayError::UnknownModel(first.model.clone()))
    }

    /// Those among [`Self::choices`] that are `able` to do what is asked. `None` where nobody of them is.
    ///
    /// # Errors
    /// [`RelayError::UnknownModel`] if no enabled channel offers the model to people of `group`.
    pub async fn able_choices(
        &self,
        model: &str,
        group: &PayerGroup,
        able: impl Fn(&Offer) -> bool,
    ) -> Result<Option<Choices>, RelayError> {
        self.resolve(Some(model), group).await?;
        let admits = |offer: &Offer| offer.routing.admits(&group.name) && able(offer);
        Ok(Choices::of(model, &self.offers(), &admits, &self.router))
    }

    /// The group of whoever pays, as it is now or was within the last second.
    ///
    /// # Errors
    /// [`MeterError::Unavailable`]: without it nobody knows what a call costs.
    pub async fn group_of(&self, user: UserId) -> Result<PayerGroup, MeterError> {
        let found = self.groups.try_get_with(user, self.source.group_of(user)).await;
        found.map_err(|error| MeterError::Unavailable(format!("the groups cannot be read: {error:#}")))
    }

    /// The provider of one channel, enabled or not.
    ///
    /// # Errors
    /// As [`ChannelSource::provider`].
    pub async fn provider_of(&self, channel: ChannelId) -> anyhow::Result<Option<ChannelProvider>> {
        self.source.provider(channel).await
    }

    fn find(&self, model: Option<&str>, group: &PayerGroup) -> Option<Arc<Offer>> {
        let offers = self.offers();
        let asked = model.map_or(&*offers.all, |model| offers.of_model(model));
        asked.iter().find(|offer| offer.routing.admits(&group.name)).cloned()
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
mod tests;
