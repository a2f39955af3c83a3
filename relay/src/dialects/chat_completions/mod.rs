//! OpenAI's chat completions, for clients that we serve and for upstreams that we ask.

pub(crate) mod calls;
mod quirks;
pub(crate) mod refusal;
pub(crate) mod usage;

pub use quirks::{Bound, Quirks, Thinking, Thoughts, ToolChoices};
