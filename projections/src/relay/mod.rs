//! Channels to model providers as operators and the catalogue of models read them: schema `relay_v1`.
//!
//! Promise: keys leave only through [`sealed_keys`], encrypted as they were stored; what an answer shows of them is their
//! hint. [`version`] grows with every change of any channel.

mod projector;
mod rows;

pub use projector::RelayProjector;
pub use rows::{Channel, Model, Provider, channel, channels, sealed_keys, version};
