//! A channel: an account at a model provider, or the model in this house, with what it offers at which price.
//!
//! Promise: every change has an author and a place in the log; keys arrive encrypted and are never opened here; a model
//! is offered only at a stated price, and each change of a price is a new version, so that any bill can be computed again.
// tidy: long because an aggregate is read as one specification, from its commands to how events change its state.

pub mod routing;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use thiserror::Error;

use crate::{
    ChannelId,
    billing::Rates,
    decider::{Decider, Refusal},
};

/// Characters of a channel's name, at most.
pub const MAX_NAME_CHARS: usize = 80;
/// Characters of a model's name, at most.
pub const MAX_MODEL_CHARS: usize = 200;
/// Models of one channel, at most.
pub const MAX_MODELS: usize = 500;
/// Keys of one channel, at most.
pub const MAX_KEYS: usize = 50;

/// How a provider is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProviderKind {
    /// OpenAI's chat completions, by whomever they are served.
    Openai,
    /// The model in this process.
    Local,
}

impl ProviderKind {
    /// The word in rows and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Openai => "openai",
            Self::Local => "local",
        }
    }
}

/// A provider's key, encrypted under the master secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SealedKey {
    /// Its last characters, by which people know it.
    pub hint: String,
    /// The encrypted key, as base64; only the server can open it.
    pub sealed: String,
}

/// By so many characters of its end people know a key; of a short one they see nothing.
const HINT_CHARS: usize = 4;

impl SealedKey {
    /// What a key of `channel` is encrypted for: it opens nowhere else.
    #[must_use]
    pub fn context(channel: ChannelId) -> String {
        format!("channel:{channel}")
    }

    /// What people may see of `key`.
    #[must_use]
    pub fn hint_of(key: &str) -> String {
        let shown = key.len().checked_sub(HINT_CHARS).filter(|rest| *rest >= 2 * HINT_CHARS);
        shown.and_then(|from| key.get(from..)).unwrap_or_default().to_owned()
    }
}

/// A model as an operator describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ModelSpec {
    /// As users name it.
    pub name: String,
    /// As the provider names it.
    pub upstream: String,
    /// Input and output together, at most; not known where absent.
    pub context_tokens: Option<u32>,
    /// Of one answer, at most; not known where absent.
    pub max_output_tokens: Option<u32>,
}

/// A model as it is offered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OfferedModel {
    #[serde(flatten)]
    pub spec: ModelSpec,
    /// What users pay.
    pub prices: Rates,
    /// What the provider charges us.
    pub costs: Rates,
    /// Counts changes of prices and costs from 1.
    pub price_version: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChannelCommand {
    AddChannel {
        name: String,
        provider: ProviderKind,
        /// Checked and in its final form; absent for the local model.
        base_url: Option<String>,
        keys: Vec<SealedKey>,
        models: Vec<ModelSpec>,
        /// By public name, one for every model.
        prices: BTreeMap<String, Rates>,
        /// Nothing where absent.
        costs: BTreeMap<String, Rates>,
        enabled: bool,
        at: DateTime<Utc>,
    },
    /// Change what is given.
    ChangeChannel {
        name: Option<String>,
        base_url: Option<String>,
        /// Replaces all keys.
        keys: Option<Vec<SealedKey>>,
        /// Replaces the list; models that stay keep their prices.
        models: Option<Vec<ModelSpec>>,
        /// Changes those named.
        prices: BTreeMap<String, Rates>,
        /// Changes those named.
        costs: BTreeMap<String, Rates>,
        enabled: Option<bool>,
        at: DateTime<Utc>,
    },
    RemoveChannel {
        at: DateTime<Utc>,
    },
}

/// Stored for ever: a change is a new version (see `tests/wire/`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChannelEvent {
    /// An operator added an account at a model provider, or the model in this house. It is disabled until `enabled`.
    Added {
        /// As operators call it.
        name: String,
        provider: ProviderKind,
        /// Where the provider is spoken to; absent for the local model.
        base_url: Option<String>,
        at: DateTime<Utc>,
    },
    /// Operators call the channel something else.
    Renamed {
        /// The new one.
        name: String,
        at: DateTime<Utc>,
    },
    /// The provider is spoken to at another address.
    AddressChanged {
        /// The new one.
        base_url: String,
        at: DateTime<Utc>,
    },
    /// These keys are used from now on, and no others.
    KeysReplaced {
        /// All of them; none where the provider wants none.
        keys: Vec<SealedKey>,
        at: DateTime<Utc>,
    },
    /// These are all models of the channel from now on, each at its price.
    ModelsOffered {
        /// All of them.
        models: Vec<OfferedModel>,
        at: DateTime<Utc>,
    },
    /// The channel's models can be asked.
    Enabled { at: DateTime<Utc> },
    /// The channel's models cannot be asked until it is enabled again.
    Disabled { at: DateTime<Utc> },
    /// The channel is gone for good.
    Removed { at: DateTime<Utc> },
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ChannelRefusal {
    #[error("this channel was added already")]
    AlreadyAdded,
    #[error("there is no such channel")]
    ChannelNotFound,
    #[error("a channel's name has 1 to {MAX_NAME_CHARS} characters")]
    InvalidName,
    #[error("a channel of this provider needs the address of its server, and the local model has none")]
    InvalidBaseUrl,
    #[error("a channel has at most {MAX_KEYS} keys")]
    TooManyKeys,
    #[error("a channel offers 1 to {MAX_MODELS} models")]
    NoModels,
    #[error(
        "`{model}` is no name of a model of this channel: 1 to {MAX_MODEL_CHARS} characters without spaces, each once"
    )]
    InvalidModel { model: String },
    #[error("`{model}` has no price; nothing is offered without one, write 0 for what is free")]
    PriceMissing { model: String },
}

impl Refusal for ChannelRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::AlreadyAdded => "channel_already_added",
            Self::ChannelNotFound => "channel_not_found",
            Self::InvalidName => "invalid_name",
            Self::InvalidBaseUrl => "invalid_base_url",
            Self::TooManyKeys => "too_many_keys",
            Self::NoModels => "no_models",
            Self::InvalidModel { .. } => "invalid_model",
            Self::PriceMissing { .. } => "price_missing",
        }
    }

    fn details(&self) -> Value {
        match self {
            Self::InvalidModel { model } | Self::PriceMissing { model } => json!({ "model": model }),
            _ => Value::Null,
        }
    }
}

/// Not yet, or in use, or removed for good.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
pub enum Channel {
    #[default]
    Unknown,
    Added {
        name: String,
        provider: ProviderKind,
        base_url: Option<String>,
        models: Vec<OfferedModel>,
        /// The last version of every model that was ever offered here: a name that returns does not begin again.
        versions: BTreeMap<String, u32>,
        enabled: bool,
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
        match command {
            C::AddChannel { name, provider, base_url, keys, models, prices, costs, enabled, at } => {
                if *self != Self::Unknown {
                    return Err(ChannelRefusal::AlreadyAdded);
                }
                let name = checked_name(&name)?;
                check_address(provider, base_url.as_deref())?;
                check_keys(&keys)?;
                let models = offered(models, &prices, &costs, &[], &BTreeMap::new())?;
                let mut events = vec![ChannelEvent::Added { name, provider, base_url, at }];
                if !keys.is_empty() {
                    events.push(ChannelEvent::KeysReplaced { keys, at });
                }
                events.push(ChannelEvent::ModelsOffered { models, at });
                if enabled {
                    events.push(ChannelEvent::Enabled { at });
                }
                Ok(events)
            }
            C::ChangeChannel { .. } => self.change(command),
            C::RemoveChannel { at } => match self {
                Self::Added { .. } => Ok(vec![ChannelEvent::Removed { at }]),
                Self::Removed => Ok(vec![]),
                Self::Unknown => Err(ChannelRefusal::ChannelNotFound),
            },
        }
    }

    fn apply(&mut self, event: ChannelEvent) {
        use ChannelEvent as E;
        if let E::Added { name, provider, base_url, .. } = event {
            let (models, versions) = (vec![], BTreeMap::new());
            *self = Self::Added { name, provider, base_url, models, versions, enabled: false };
            return;
        }
        let Self::Added { name, base_url, models, versions, enabled, .. } = self else { return };
        match event {
            E::Renamed { name: new, .. } => *name = new,
            E::AddressChanged { base_url: new, .. } => *base_url = Some(new),
            E::ModelsOffered { models: new, .. } => {
                versions.extend(new.iter().map(|model| (model.spec.name.clone(), model.price_version)));
                *models = new;
            }
            E::Enabled { .. } => *enabled = true,
            E::Disabled { .. } => *enabled = false,
            E::Removed { .. } => *self = Self::Removed,
            E::Added { .. } | E::KeysReplaced { .. } => {}
        }
    }
}

impl Channel {
    fn change(&self, command: ChannelCommand) -> Result<Vec<ChannelEvent>, ChannelRefusal> {
        let Self::Added { name: old_name, provider, base_url: old_url, models: old_models, versions, enabled: was_on } =
            self
        else {
            return Err(ChannelRefusal::ChannelNotFound);
        };
        let ChannelCommand::ChangeChannel { name, base_url, keys, models, prices, costs, enabled, at } = command else {
            return Ok(vec![]);
        };
        let mut events = vec![];
        if let Some(name) = name.map(|name| checked_name(&name)).transpose()?.filter(|name| name != old_name) {
            events.push(ChannelEvent::Renamed { name, at });
        }
        if let Some(base_url) = base_url.filter(|new| Some(new) != old_url.as_ref()) {
            check_address(*provider, Some(&base_url))?;
            events.push(ChannelEvent::AddressChanged { base_url, at });
        }
        if let Some(keys) = keys {
            check_keys(&keys)?;
            events.push(ChannelEvent::KeysReplaced { keys, at });
        }
        let specs = models.unwrap_or_else(|| old_models.iter().map(|model| model.spec.clone()).collect());
        let models = offered(specs, &prices, &costs, old_models, versions)?;
        if models != *old_models {
            events.push(ChannelEvent::ModelsOffered { models, at });
        }
        match enabled {
            Some(true) if !was_on => events.push(ChannelEvent::Enabled { at }),
            Some(false) if *was_on => events.push(ChannelEvent::Disabled { at }),
            _ => {}
        }
        Ok(events)
    }
}

fn checked_name(name: &str) -> Result<String, ChannelRefusal> {
    let name = name.trim();
    let fits = !name.is_empty() && name.chars().count() <= MAX_NAME_CHARS && !name.contains(char::is_control);
    if fits { Ok(name.to_owned()) } else { Err(ChannelRefusal::InvalidName) }
}

fn check_address(provider: ProviderKind, base_url: Option<&str>) -> Result<(), ChannelRefusal> {
    match (provider, base_url) {
        (ProviderKind::Openai, Some(url)) if !url.is_empty() => Ok(()),
        (ProviderKind::Local, None) => Ok(()),
        _ => Err(ChannelRefusal::InvalidBaseUrl),
    }
}

fn check_keys(keys: &[SealedKey]) -> Result<(), ChannelRefusal> {
    if keys.len() <= MAX_KEYS { Ok(()) } else { Err(ChannelRefusal::TooManyKeys) }
}

/// The models with their prices: those given, else those they had; a new version where one differs.
fn offered(
    specs: Vec<ModelSpec>,
    prices: &BTreeMap<String, Rates>,
    costs: &BTreeMap<String, Rates>,
    old: &[OfferedModel],
    versions: &BTreeMap<String, u32>,
) -> Result<Vec<OfferedModel>, ChannelRefusal> {
    if specs.is_empty() || specs.len() > MAX_MODELS {
        return Err(ChannelRefusal::NoModels);
    }
    let mut names = BTreeSet::new();
    for spec in &specs {
        let well_formed = [&spec.name, &spec.upstream].iter().all(|name| is_model_name(name));
        if !well_formed || !names.insert(spec.name.as_str()) {
            return Err(ChannelRefusal::InvalidModel { model: spec.name.clone() });
        }
    }
    if let Some(unknown) = prices.keys().chain(costs.keys()).find(|name| !names.contains(name.as_str())) {
        return Err(ChannelRefusal::InvalidModel { model: unknown.clone() });
    }
    let offer = |spec: ModelSpec| {
        let before = old.iter().find(|model| model.spec.name == spec.name);
        let prices = prices.get(&spec.name).or_else(|| before.map(|model| &model.prices)).cloned();
        let prices = prices.ok_or_else(|| ChannelRefusal::PriceMissing { model: spec.name.clone() })?;
        let costs = costs.get(&spec.name).or_else(|| before.map(|model| &model.costs)).cloned().unwrap_or_default();
        let same = before.filter(|model| model.prices == prices && model.costs == costs);
        let next = versions.get(&spec.name).map_or(1, |version| version.saturating_add(1));
        let price_version = same.map_or(next, |model| model.price_version);
        Ok(OfferedModel { spec, prices, costs, price_version })
    };
    specs.into_iter().map(offer).collect()
}

fn is_model_name(name: &str) -> bool {
    !name.is_empty()
        && name.chars().count() <= MAX_MODEL_CHARS
        && !name.contains(|character: char| character.is_whitespace() || character.is_control())
}

impl cqrs_es::DomainEvent for ChannelEvent {
    fn event_type(&self) -> String {
        match self {
            Self::Added { .. } => "channel.added",
            Self::Renamed { .. } => "channel.renamed",
            Self::AddressChanged { .. } => "channel.address_changed",
            Self::KeysReplaced { .. } => "channel.keys_replaced",
            Self::ModelsOffered { .. } => "channel.models_offered",
            Self::Enabled { .. } => "channel.enabled",
            Self::Disabled { .. } => "channel.disabled",
            Self::Removed { .. } => "channel.removed",
        }
        .to_owned()
    }

    fn event_version(&self) -> String {
        "1".to_owned()
    }
}

#[cfg(test)]
mod spec;
