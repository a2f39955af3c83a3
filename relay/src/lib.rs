//! Model providers: wire mapping and streaming transport, one file a provider.
//!
//! A caller builds a [`ChatRequest`] for a [`Provider`] and reads a stream of [`ReplyDelta`]; a caller that speaks OpenAI's own protocol passes a [`CompletionRequest`] through instead. Every
//! stream that succeeds ends with exactly one `Done`; every other end is one [`RelayError`], which says by
//! [`RelayError::is_retryable`] whether another attempt could help.
//!
//! The crate knows no other member of the workspace and no database. It keeps no record of prompts or replies, and
//! neither its errors nor its `Debug` output contain message text, keys or full URLs.

mod address;
mod chat;
mod completion;
mod count;
mod dialect;
mod error;
pub mod local;
pub mod model;
pub mod openai;
mod sse;
mod usage;
mod watched;

pub use address::{AddressPolicy, check_base_url};
pub use chat::{ChatRequest, Finish, Provider, ReplyDelta, ReplyStream, Role, Turn};
pub use completion::{Completion, CompletionFrame, CompletionRequest, CompletionStream};
pub use count::{count_request, count_turns};
pub use dialect::{DeltaReader, DeltaWriter, Dialect, Envelope, InvalidRequest, Served, ServedEvent, Spoken};
pub use error::RelayError;
pub use usage::{Basis, Usage};
pub use watched::Watched;
