//! Where answers come from, and at what price.

pub mod channel;

pub use channel::{
    Channel, ChannelCommand, ChannelEvent, ChannelRefusal, ModelSpec, OfferedModel, ProviderKind, SealedKey,
    routing::{Capability, Drain, Fallbacks, Limits, Modality, ModelTraits, Routing, Strategy},
};
