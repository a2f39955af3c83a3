//! Conversations with models.

pub mod session;
pub mod transcript;
mod tree;

pub use session::{Finish, Parent, Session, SessionCommand, SessionEvent, SessionRefusal, Usage};
pub use transcript::{Transcript, Turn, preview_of, transcript};
pub use tree::{Author, Run, RunStage, Tree};
