//! The wire dialects, one folder each: what clients and upstreams say, and the model between them.
//!
//! Promise: everything here is pure. A dialect knows [`crate::model`] and no other dialect; what several need is in
//! `common`.

pub mod chat_completions;
mod claude;
mod common;
pub mod generate_content;
pub mod messages;
pub mod responses;
mod turns;
