//! What happened to a channel. Stored for ever: a change is a new version (see `tests/wire/`).

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    models::{ModelPrices, OfferedModel},
    overrides::{Overrides, SealedKey},
    provider::ProviderKind,
    routing::Routing,
};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChannelEvent {
    /// An operator added an account at a model provider, or the model in this house. It is disabled until `enabled`.
    Added {
        /// As operators call it.
        name: String,
        provider: ProviderKind,
        /// Where the provider is spoken to; absent for the local model, and where the provider's own address is meant.
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
        /// The new one; the provider's own where absent.
        base_url: Option<String>,
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
    /// Some models of the channel cost something else, now or later.
    PricesChanged {
        /// Those that changed, each with all that it costs from now on.
        models: Vec<ModelPrices>,
        /// The price list that they were taken from, where they were.
        source: Option<String>,
        at: DateTime<Utc>,
    },
    /// Other calls find the channel from now on.
    RoutingChanged {
        /// All of it.
        routing: Routing,
        at: DateTime<Utc>,
    },
    /// Requests go out in another form, or another way.
    OverridesChanged {
        /// All of them.
        overrides: Overrides,
        at: DateTime<Utc>,
    },
    /// Operators describe the channel in other words.
    Annotated {
        /// All of them.
        tags: BTreeSet<String>,
        /// Empty where nothing is to be said.
        note: String,
        at: DateTime<Utc>,
    },
    /// The provider says that a key is void: it is not used until it works again, or an operator says so.
    KeySuspended {
        /// The name of the key within its channel; nothing of the key itself.
        key: Uuid,
        /// Why, in a word for programs: `invalid_api_key`.
        code: String,
        at: DateTime<Utc>,
    },
    /// A key that was suspended is used again.
    KeyResumed {
        /// The name of the key within its channel.
        key: Uuid,
        at: DateTime<Utc>,
    },
    /// The channel's models can be asked.
    Enabled { at: DateTime<Utc> },
    /// The channel's models cannot be asked until it is enabled again.
    Disabled { at: DateTime<Utc> },
    /// The channel is gone for good.
    Removed { at: DateTime<Utc> },
}

impl cqrs_es::DomainEvent for ChannelEvent {
    fn event_type(&self) -> String {
        match self {
            Self::Added { .. } => "channel.added",
            Self::Renamed { .. } => "channel.renamed",
            Self::AddressChanged { .. } => "channel.address_changed",
            Self::KeysReplaced { .. } => "channel.keys_replaced",
            Self::ModelsOffered { .. } => "channel.models_offered",
            Self::PricesChanged { .. } => "channel.prices_changed",
            Self::RoutingChanged { .. } => "channel.routing_changed",
            Self::OverridesChanged { .. } => "channel.overrides_changed",
            Self::Annotated { .. } => "channel.annotated",
            Self::KeySuspended { .. } => "channel.key_suspended",
            Self::KeyResumed { .. } => "channel.key_resumed",
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
