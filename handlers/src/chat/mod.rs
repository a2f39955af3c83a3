//! Commands on conversations, and the job that answers them.

mod answer;
mod attempt;
mod reply;
mod text;

use domain::chat::Session;

pub use reply::{AfterDeath, REPLY_JOB, ReplyOptions, ReplyReactor, ReplyWorker};

use crate::{billing::Together, dispatch::Plans};

/// What asks a model, and what ends its answer, is paid for in the same transaction.
pub(crate) fn plans() -> Plans {
    ["send_message", "regenerate_reply", "complete_reply", "fail_reply"]
        .into_iter()
        .fold(Plans::default().aggregate::<Session>(), |plans, verb| {
            plans.verb::<Session>(verb, Together::<Session>::default())
        })
}
