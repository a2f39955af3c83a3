//! OpenAI's chat completions, for clients that we serve and for upstreams that we ask.

mod quirks;

pub use quirks::{Bound, Quirks, Thinking, Thoughts, ToolChoices};
