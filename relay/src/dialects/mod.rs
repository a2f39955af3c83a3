//! The wire dialects, one folder each: what clients and upstreams say, and the model between them.
//!
//! Promise: everything here is pure. A dialect knows [`crate::model`] and no other dialect; what several need is in
//! `common`.

pub mod chat_completions;
mod claude;
pub(crate) mod common;
pub mod converse;
pub(crate) mod custom;
pub mod generate_content;
pub mod messages;
mod refused;
pub mod responses;
mod turns;

use crate::{Dialect, RelayError, Served};

/// A dialect as clients speak it with us.
///
/// # Errors
/// [`RelayError::UpstreamRefused`] with status 400: it is only spoken with upstreams.
pub fn served(dialect: Dialect) -> Result<&'static dyn Served, RelayError> {
    match dialect {
        Dialect::ChatCompletions => Ok(&chat_completions::ChatCompletions),
        Dialect::Responses => Ok(&responses::Responses),
        Dialect::Messages => Ok(&messages::Messages),
        Dialect::GenerateContent => Ok(&generate_content::GenerateContent),
        Dialect::Converse => Err(RelayError::refused(400, "this dialect is not served")),
    }
}
