//! Conversations as their owners read them: schema `chat_v1`.
//!
//! Promise: rows are shaped as `docs/API.md` names them; every query but [`run_anywhere`] takes the owner, and what
//! belongs to somebody else is as absent as what never was.

mod messages;
mod projector;
mod rows;
mod sessions;
mod step;
mod write;

pub use messages::{Branch, MessageQuery, Order, active_runs, message, messages, run, run_anywhere};
pub use projector::ChatProjector;
pub use rows::{FinishReason, Message, MessageError, MessageRole, MessageStatus, MessageUsage, Run, Session};
pub use sessions::{session, sessions};
