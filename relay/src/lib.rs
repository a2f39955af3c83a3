//! Model providers: wire mapping and streaming transport, one file a provider.
//!
//! [`provider`] makes of a [`ProviderConfig`] a [`Provider`]. A caller builds a [`ChatRequest`] and reads a stream of
//! [`ReplyDelta`]; a caller that serves an API of others' design hands over a [`ServedCall`] instead and gets its answer
//! in the same dialect, whichever the upstream speaks ([`dialects`]). Every stream that succeeds ends with exactly one
//! `Done`; every other end is one [`RelayError`], which says by [`RelayError::is_retryable`] whether another attempt could
//! help.
//!
//! The crate knows no other member of the workspace and no database. It keeps no record of prompts or replies, and
//! neither its errors nor its `Debug` output contain message text, keys or full URLs.

mod account;
mod address;
mod body;
mod call;
mod chat;
mod count;
mod dialect;
pub mod dialects;
mod error;
mod http;
pub mod local;
mod memory;
pub mod modalities;
pub mod model;
mod provider;
pub mod providers;
mod scan;
mod sse;
mod usage;
mod watched;

pub use address::{AddressPolicy, check_base_url};
pub use body::{Length, RequestBody, UnreadableBody};
pub use call::{Counted, KeyRef, ServedAnswer, ServedCall, ServedFrame, ServedStream};
pub use chat::{ChatRequest, Finish, ReplyDelta, ReplyStream, Role, Turn};
pub use count::{count_call, count_prompt, count_texts, count_turns};
pub use dialect::{
    DeltaReader, DeltaWriter, Dialect, Envelope, InvalidRequest, PassedEvent, Served, ServedEvent, Spoken,
};
pub use error::{RelayError, VOID_KEY};
pub use memory::{Memory, Remember, Thoughts};
pub use provider::Provider;
pub use providers::{
    KeyOrder, Kind, Limits, ParameterOverride, ProviderConfig, ProviderKey, SecretString, check_account_url, kinds,
    provider,
};
pub use usage::{Basis, Usage};
pub use watched::Watched;
