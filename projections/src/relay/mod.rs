//! Channels to model providers as operators and the catalogue of models read them, and responses that are kept: schema
//! `relay_v1`.
//!
//! Promise: keys leave only through [`sealed_keys`], encrypted as they were stored; what an answer shows of them is their
//! hint. [`version`] grows with every change of any channel.

mod projector;
mod provider;
mod responses;
mod rows;

pub use projector::RelayProjector;
pub use provider::Provider;
pub use responses::{
    ConversationError, KeptResponse, MAX_CONVERSATION_BYTES, MAX_TURNS, conversation, response, wait_for_response,
};
pub use rows::{Channel, Model, channel, channels, sealed_keys, version};
