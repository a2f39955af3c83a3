//! Model providers: wire mapping and streaming transport, one file a provider.
//!
//! A caller builds a [`ChatRequest`], asks the [`Catalogue`] which [`Provider`] serves its model, and reads a stream of
//! [`ReplyDelta`]. Every stream that succeeds ends with exactly one [`ReplyDelta::Done`]; every other end is one
//! [`RelayError`], which says by [`RelayError::is_retryable`] whether another attempt could help.
//!
//! The crate knows no other member of the workspace and no database. It keeps no record of prompts or replies, and
//! neither its errors nor its `Debug` output contain message text, keys or full URLs.

mod catalogue;
mod chat;
mod count;
mod error;
pub mod local;
pub mod openai;
mod sse;

pub use catalogue::Catalogue;
pub use chat::{Basis, ChatRequest, Finish, ModelInfo, Provider, ReplyDelta, ReplyStream, Role, Turn, Usage};
pub use error::RelayError;
