//! A channel: an account at a model provider, or the model in this house, with what it offers at which price.
//!
//! Promise: every change has an author and a place in the log, and can be taken back by ordinary events; keys and other
//! secrets arrive encrypted and are never opened here; a model is offered only at a stated price, and each change of a
//! price is a new version, so that any bill can be computed again.

mod command;
mod event;
mod models;
mod overrides;
mod provider;
mod refusal;
pub mod routing;
mod settings;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use self::models::{Versions, offered, versioned};
pub use self::{
    command::{Change, ChannelCommand, HeaderInput, KeyInput, MoreSettings},
    event::ChannelEvent,
    models::{InForce, ModelPrices, ModelSpec, NewPrice, OfferedModel, Terms, Upcoming},
    overrides::{HeaderOverride, HeaderText, Overrides, ParameterOverride, Proxy, SealedKey},
    provider::ProviderKind,
    refusal::ChannelRefusal,
    settings::Settings,
};
use crate::{billing::Rates, decider::Decider};

/// Characters of a channel's name, at most.
pub const MAX_NAME_CHARS: usize = 80;
/// Keys of one channel, at most.
pub const MAX_KEYS: usize = 50;
/// Tags of one channel, at most.
pub const MAX_TAGS: usize = 20;
/// Characters of a tag, at most.
pub const MAX_TAG_CHARS: usize = 40;
/// Characters of a channel's note, at most.
pub const MAX_NOTE_CHARS: usize = 2000;
/// Characters of the word for why a key is suspended, at most.
const MAX_CODE_CHARS: usize = 80;
/// Characters of the name of a price list, at most.
const MAX_SOURCE_CHARS: usize = 200;

/// Not yet, or in use, or removed for good.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
pub enum Channel {
    #[default]
    Unknown,
    Added {
        settings: Box<Settings>,
        /// The last version of every model that was ever offered here: a name that returns does not begin again.
        versions: BTreeMap<String, u32>,
        /// The names of keys that are not used. A key that was replaced stays among them: should it return, it is as void
        /// as before.
        #[serde(default)]
        suspended: BTreeSet<Uuid>,
    },
    Removed,
}

impl Decider for Channel {
    const CAPABILITY: &'static str = "relay";
    const TYPE: &'static str = "channel";
    type Command = ChannelCommand;
    type Event = ChannelEvent;
    type Refusal = ChannelRefusal;

    fn decide(&self, command: ChannelCommand) -> Result<Vec<ChannelEvent>, ChannelRefusal> {
        use ChannelCommand as C;
        match (command, self) {
            (command @ C::AddChannel { .. }, Self::Unknown) => add(command),
            (C::AddChannel { .. }, Self::Added { .. } | Self::Removed) => Err(ChannelRefusal::AlreadyAdded),
            (C::RemoveChannel { at }, Self::Added { .. }) => Ok(vec![ChannelEvent::Removed { at }]),
            (C::RemoveChannel { .. }, Self::Removed) => Ok(vec![]),
            (C::SuspendKey { channel, key, code, at }, Self::Added { settings, suspended, .. }) => {
                let is_used = settings.keys.iter().any(|known| known.name(channel) == key) && !suspended.contains(&key);
                let code = code.chars().take(MAX_CODE_CHARS).collect();
                Ok(if is_used { vec![ChannelEvent::KeySuspended { key, code, at }] } else { vec![] })
            }
            (C::ResumeKey { key, at }, Self::Added { suspended, .. }) => {
                Ok(if suspended.contains(&key) { vec![ChannelEvent::KeyResumed { key, at }] } else { vec![] })
            }
            (command @ C::ChangeChannel { .. }, Self::Added { settings, versions, .. }) => {
                change(settings, versions, command)
            }
            (C::SetPrices { prices, source, at }, Self::Added { settings, versions, .. }) => {
                let specs = settings.models.iter().map(|model| model.spec.clone()).collect();
                let models = offered(specs, &prices, &settings.models, versions, at)?;
                let source = source.map(|source| source.chars().take(MAX_SOURCE_CHARS).collect());
                Ok(Settings { models, ..(**settings).clone() }.since(settings, source, at))
            }
            (C::RevertChannel { settings: wanted, at }, Self::Added { settings, versions, .. }) => {
                revert(settings, versions, *wanted, at)
            }
            (
                C::ChangeChannel { .. }
                | C::SetPrices { .. }
                | C::RevertChannel { .. }
                | C::SuspendKey { .. }
                | C::ResumeKey { .. }
                | C::RemoveChannel { .. },
                Self::Unknown | Self::Removed,
            ) => Err(ChannelRefusal::ChannelNotFound),
        }
    }

    fn apply(&mut self, event: ChannelEvent) {
        use ChannelEvent as E;
        if let E::Added { name, provider, base_url, .. } = event {
            let settings = Box::new(Settings::new(name, provider, base_url));
            *self = Self::Added { settings, versions: BTreeMap::new(), suspended: BTreeSet::new() };
            return;
        }
        let Self::Added { settings, versions, suspended } = self else { return };
        match event {
            E::Renamed { name, .. } => settings.name = name,
            E::AddressChanged { base_url, .. } => settings.base_url = base_url,
            E::KeysReplaced { keys, .. } => settings.keys = keys,
            E::ModelsOffered { models, .. } => {
                let last = |model: &OfferedModel| (model.spec.name.clone(), model.terms.last_version());
                remember(versions, models.iter().map(last));
                settings.models = models;
            }
            E::PricesChanged { models, .. } => {
                remember(versions, models.iter().map(|new| (new.model.clone(), new.terms.last_version())));
                for new in models {
                    if let Some(model) = settings.models.iter_mut().find(|model| model.spec.name == new.model) {
                        model.terms = new.terms;
                    }
                }
            }
            E::RoutingChanged { routing, .. } => settings.routing = routing,
            E::OverridesChanged { overrides, .. } => settings.overrides = overrides,
            E::Annotated { tags, note, .. } => (settings.tags, settings.note) = (tags, note),
            E::KeySuspended { key, .. } => drop(suspended.insert(key)),
            E::KeyResumed { key, .. } => drop(suspended.remove(&key)),
            E::Enabled { .. } => settings.enabled = true,
            E::Disabled { .. } => settings.enabled = false,
            E::Removed { .. } => *self = Self::Removed,
            E::Added { .. } => {}
        }
    }
}

impl Channel {
    /// What is said about it, while it is in use.
    #[must_use]
    pub fn settings(&self) -> Option<&Settings> {
        match self {
            Self::Added { settings, .. } => Some(settings),
            Self::Unknown | Self::Removed => None,
        }
    }
}

fn remember(versions: &mut Versions, last: impl Iterator<Item = (String, u32)>) {
    for (model, version) in last {
        let known = versions.entry(model).or_default();
        *known = version.max(*known);
    }
}

fn add(command: ChannelCommand) -> Result<Vec<ChannelEvent>, ChannelRefusal> {
    let ChannelCommand::AddChannel { name, provider, base_url, keys, models, prices, costs, enabled, more, at } =
        command
    else {
        return Ok(vec![]);
    };
    let name = name.trim().to_owned();
    let begun = Settings::new(name.clone(), provider, base_url.clone());
    let models = offered(models, &new_prices(prices, costs), &[], &BTreeMap::new(), at)?;
    let wanted = Settings { keys, models, enabled, ..begun.clone() }.with(*more)?;
    wanted.check()?;
    let mut events = vec![ChannelEvent::Added { name, provider, base_url, at }];
    events.extend(wanted.since(&begun, None, at));
    Ok(events)
}

fn change(
    settings: &Settings,
    versions: &Versions,
    command: ChannelCommand,
) -> Result<Vec<ChannelEvent>, ChannelRefusal> {
    let ChannelCommand::ChangeChannel { name, base_url, keys, models, prices, costs, enabled, more, at } = command
    else {
        return Ok(vec![]);
    };
    let mut wanted = settings.clone().with(*more)?;
    wanted.name = name.map_or(wanted.name, |name| name.trim().to_owned());
    wanted.base_url = base_url.or(wanted.base_url);
    if let Some(keys) = keys {
        wanted.replace_keys(keys)?;
    }
    wanted.enabled = enabled.unwrap_or(wanted.enabled);
    let specs = models.unwrap_or_else(|| settings.models.iter().map(|model| model.spec.clone()).collect());
    wanted.models = offered(specs, &new_prices(prices, costs), &settings.models, versions, at)?;
    wanted.check()?;
    Ok(wanted.since(settings, None, at))
}

fn revert(
    settings: &Settings,
    versions: &Versions,
    mut wanted: Settings,
    at: DateTime<Utc>,
) -> Result<Vec<ChannelEvent>, ChannelRefusal> {
    if wanted.provider != settings.provider {
        return Err(ChannelRefusal::OtherProvider);
    }
    for OfferedModel { spec, terms } in &mut wanted.models {
        let before = settings.models.iter().find(|model| model.spec.name == spec.name).map(|model| &model.terms);
        *terms = versioned(&spec.name, terms.clone(), before, versions, at);
    }
    wanted.check()?;
    Ok(wanted.since(settings, None, at))
}

/// What costs something else at once.
fn new_prices(mut prices: BTreeMap<String, Rates>, costs: BTreeMap<String, Rates>) -> Vec<NewPrice> {
    let mut new: Vec<NewPrice> = costs
        .into_iter()
        .map(|(model, costs)| NewPrice { prices: prices.remove(&model), costs: Some(costs), model, from: None })
        .collect();
    new.extend(prices.into_iter().map(|(model, prices)| NewPrice {
        model,
        prices: Some(prices),
        costs: None,
        from: None,
    }));
    new
}

#[cfg(test)]
mod spec;
