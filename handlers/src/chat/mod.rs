//! Commands on conversations, and the job that answers them.

mod answer;
mod reply;
mod text;

use domain::chat::Session;

pub use reply::{AfterDeath, REPLY_JOB, ReplyOptions, ReplyReactor, ReplyWorker};

use crate::dispatch::Plans;

pub(crate) fn plans() -> Plans {
    Plans::default().aggregate::<Session>()
}
