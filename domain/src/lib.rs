//! The rules of Oblivious, and nothing else.
//!
//! Promise: every rule about who may do what, and what then happened, is in this crate as a pure function. No I/O, no
//! clock, no randomness: time, ids, prices and hashes arrive inside the command. Same events in, same state out, for ever.
//!
//! One folder a capability, one file an aggregate; each file reads like a specification: commands, events, refusals,
//! state, `decide`, `apply`, specs.
//!
//! Places of capabilities to come, each a folder here and a file of the same name in every layer:
//! - `agents`: assistants and their market
//! - `knowledge`: documents, chunks, retrieval
//! - `files`: uploads, quotas, delivery
//! - `plugins`: tools, permissions, sandboxes
//! - `worker`: schedules and their runs

pub mod billing;
pub mod chat;
pub mod decider;
pub mod id;
pub mod relay;
pub mod schema;
pub mod sealed;
pub mod upcast;
pub mod users;

pub use decider::{Decided, Decider, Refusal};
pub use id::{
    ApiKeyId, CallBatchId, CallId, ChannelId, DeviceId, GroupId, HoldId, MessageId, ResponseId, RunId, SessionId,
    UserId,
};
pub use sealed::Sealed;
