//! One conversation, rich enough for every provider: what is asked, what is answered, and the steps of an answer.
//!
//! Promise: whatever two dialects both can say has one place here, so that a conversation translated from one to the
//! other and back says the same. What only one dialect can say travels as [`Opaque`] under that dialect's name: it is
//! put back where the same dialect is spoken, and left out elsewhere by rule, never an error. Nothing here does I/O.
//!
//! `Debug` of these types shows no text of people or models.

mod answer;
mod delta;
mod gather;
mod prompt;
mod shown;
mod steps;

pub use answer::{Answer, Candidate, FinishReason};
pub use delta::Delta;
pub use gather::Gathered;
pub use prompt::{
    Audio, Author, Effort, MediaSource, Message, Opaque, OutputFormat, Part, Prompt, Reasoning, Sampling, Tool,
    ToolChoice, ToolOutcome,
};
