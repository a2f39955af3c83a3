//! What can be asked of a channel.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Settings,
    models::{ModelSpec, NewPrice},
    overrides::{HeaderOverride, ParameterOverride, Proxy, SealedKey},
    provider::ProviderKind,
    routing::{Drain, Limits, ProbeBy},
};
use crate::{ChannelId, billing::Rates};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChannelCommand {
    AddChannel {
        name: String,
        provider: ProviderKind,
        /// Checked and in its final form; absent for the local model, and where the provider's own is meant.
        base_url: Option<String>,
        keys: Vec<SealedKey>,
        models: Vec<ModelSpec>,
        /// By public name, one for every model.
        prices: BTreeMap<String, Rates>,
        /// Nothing where absent.
        costs: BTreeMap<String, Rates>,
        enabled: bool,
        #[serde(default)]
        more: Box<MoreSettings>,
        at: DateTime<Utc>,
    },
    /// Change what is given.
    ChangeChannel {
        name: Option<String>,
        base_url: Option<String>,
        /// Replaces all keys.
        keys: Option<Vec<KeyInput>>,
        /// Replaces the list; models that stay keep their prices.
        models: Option<Vec<ModelSpec>>,
        /// Changes those named.
        prices: BTreeMap<String, Rates>,
        /// Changes those named.
        costs: BTreeMap<String, Rates>,
        enabled: Option<bool>,
        #[serde(default)]
        more: Box<MoreSettings>,
        at: DateTime<Utc>,
    },
    /// Change what models cost, now or from an instant on.
    SetPrices {
        prices: Vec<NewPrice>,
        /// The list that they are from, where they are from one.
        source: Option<String>,
        at: DateTime<Utc>,
    },
    /// Make the channel again what it was. Prices return under new versions.
    RevertChannel {
        settings: Box<Settings>,
        at: DateTime<Utc>,
    },
    /// The provider says that a key is void. What is no key of the channel any more, or is suspended, changes nothing.
    SuspendKey {
        /// The channel itself: a key is named within it.
        channel: ChannelId,
        /// As [`SealedKey::name`] tells it.
        key: Uuid,
        code: String,
        at: DateTime<Utc>,
    },
    /// A key works again, or shall be tried again. One that is not suspended changes nothing.
    ResumeKey {
        key: Uuid,
        at: DateTime<Utc>,
    },
    RemoveChannel {
        at: DateTime<Utc>,
    },
}

/// What else can be said about a channel; what is absent stays.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MoreSettings {
    pub priority: Option<i32>,
    pub weight: Option<u32>,
    pub groups: Option<BTreeSet<String>>,
    pub limits: Option<Limits>,
    pub drain: Option<Change<Drain>>,
    pub public_name: Option<Change<String>>,
    pub probe: Option<ProbeBy>,
    pub parameters: Option<Vec<ParameterOverride>>,
    pub headers: Option<Vec<HeaderInput>>,
    pub proxy: Option<Change<Proxy>>,
    pub tags: Option<BTreeSet<String>>,
    pub note: Option<String>,
}

/// What may be absent is set, or taken away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change<T> {
    To(T),
    Nothing,
}

impl<T> Change<T> {
    /// What is there afterwards.
    pub(super) fn into_value(self) -> Option<T> {
        match self {
            Self::To(value) => Some(value),
            Self::Nothing => None,
        }
    }
}

/// A header as it shall be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeaderInput {
    To(HeaderOverride),
    /// As it is: whoever changes another header need not know this one's secret.
    Keep {
        name: String,
    },
}

/// A key as it shall be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum KeyInput {
    To(SealedKey),
    /// As it is: whoever adds a key, or takes one away, need not know the others.
    Keep {
        /// The channel that is changed: a key is named within it.
        channel: ChannelId,
        /// As [`SealedKey::name`] tells it.
        name: Uuid,
    },
}
