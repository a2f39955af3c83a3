//! Why a channel refuses.

use serde_json::{Value, json};
use thiserror::Error;

use super::{
    MAX_KEYS, MAX_NAME_CHARS, MAX_NOTE_CHARS, MAX_TAG_CHARS, MAX_TAGS,
    models::{MAX_MODEL_CHARS, MAX_MODELS, MAX_UPCOMING},
    overrides::MAX_OVERRIDES,
    routing::{
        MAX_DRAIN_SECONDS, MAX_FALLBACKS, MAX_GROUPS, MAX_HEDGE_MS, MAX_PRIORITY, MAX_PUBLIC_NAME_CHARS, MAX_WEIGHT,
    },
};
use crate::{billing::rates::MAX_LONG, decider::Refusal};

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
    #[error("a key that shall stay is not there any more")]
    UnknownKey,
    #[error("a channel offers 1 to {MAX_MODELS} models")]
    NoModels,
    #[error(
        "`{model}` is no name of a model of this channel: 1 to {MAX_MODEL_CHARS} characters without spaces, each once, \
         with at most {MAX_FALLBACKS} other models to fall back to, and a second channel asked after 1 to {MAX_HEDGE_MS} ms \
         or never"
    )]
    InvalidModel { model: String },
    #[error("`{model}` has no price; nothing is offered without one, write 0 for what is free")]
    PriceMissing { model: String },
    #[error(
        "`{model}` cannot be priced like this: at most {MAX_LONG} lists for long inputs with rising thresholds, at most \
         {MAX_UPCOMING} prices that begin later, and no factor: that is a group's"
    )]
    InvalidPrice { model: String },
    #[error(
        "a channel has a priority within {MAX_PRIORITY} of 0, a weight up to {MAX_WEIGHT}, up to {MAX_GROUPS} groups by \
         their names, limits above 0, a public name of 1 to {MAX_PUBLIC_NAME_CHARS} characters or none, and drains for at \
         most {MAX_DRAIN_SECONDS} s"
    )]
    InvalidRouting,
    #[error(
        "`{name}` cannot be changed in requests of this channel: at most {MAX_OVERRIDES} parameters and as many headers, \
         each header once, and neither the model, the stream nor what the connection consists of"
    )]
    InvalidOverride { name: String },
    #[error(
        "a channel has up to {MAX_TAGS} tags of 1 to {MAX_TAG_CHARS} characters and a note of up to {MAX_NOTE_CHARS}"
    )]
    InvalidNote,
    #[error("this channel is an account at another provider; what it was cannot be what this one becomes")]
    OtherProvider,
}

impl Refusal for ChannelRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::AlreadyAdded => "channel_already_added",
            Self::ChannelNotFound => "channel_not_found",
            Self::InvalidName => "invalid_name",
            Self::InvalidBaseUrl => "invalid_base_url",
            Self::TooManyKeys => "too_many_keys",
            Self::UnknownKey => "unknown_key",
            Self::NoModels => "no_models",
            Self::InvalidModel { .. } => "invalid_model",
            Self::PriceMissing { .. } => "price_missing",
            Self::InvalidPrice { .. } => "invalid_price",
            Self::InvalidRouting => "invalid_routing",
            Self::InvalidOverride { .. } => "invalid_override",
            Self::InvalidNote => "invalid_note",
            Self::OtherProvider => "other_provider",
        }
    }

    fn details(&self) -> Value {
        match self {
            Self::InvalidModel { model } | Self::PriceMissing { model } | Self::InvalidPrice { model } => {
                json!({ "model": model })
            }
            Self::InvalidOverride { name } => json!({ "name": name }),
            _ => Value::Null,
        }
    }
}
