//! Channels to model providers as operators and the catalogue of models read them, groups of
//! users, and responses that are kept: schema `relay_v1`.
//!
//! Promise: what is secret leaves only through [`secrets`], encrypted as it was stored; what an answer shows of a key is
//! its hint, and of a header that it is there. [`version`] grows with every change of any channel or group.

mod groups;
mod history;
mod projector;
mod provider;
mod responses;
mod rows;
mod schema;
pub mod statistics;

pub use groups::{Group, GroupOf, channels_naming, group, group_of, groups};
pub use history::{Change, history, settings_at};
pub use projector::RelayProjector;
pub use provider::Provider;
pub use responses::{
    ConversationError, KeptResponse, MAX_CONVERSATION_BYTES, MAX_TURNS, conversation, response, wait_for_response,
};
pub use rows::{
    Channel, Header, Key, Model, Secrets, Suspension, TraitsSchema, UpcomingPrice, channel, channels, next_price,
    secrets, version,
};
pub use schema::{
    CapabilitySchema, DrainSchema, FallbacksSchema, LimitsSchema, ModalitySchema, ParameterSchema, ProbeBySchema,
    StrategySchema,
};
