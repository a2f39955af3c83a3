//! Commands on channels and on responses that are kept, and the end of responses that nobody finishes.

mod unfinished;

use domain::relay::{CallBatch, Channel, Group, Response};

pub use unfinished::{ABANDON_RESPONSE_JOB, UnfinishedReactor, UnfinishedWorker};

use crate::dispatch::Plans;

pub(crate) fn plans() -> Plans {
    Plans::default().aggregate::<Channel>().aggregate::<Group>().aggregate::<Response>().aggregate::<CallBatch>()
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use domain::{
        Sealed, UserId,
        relay::{ResponseEvent, response::MAX_KEPT_BYTES},
    };
    use uuid::Uuid;

    use crate::store::NewEvent;

    #[test]
    fn the_largest_response_that_is_kept_is_an_event() {
        let owner = UserId::new(Uuid::nil());
        // Each quote takes two bytes within JSON.
        let text = |bytes: usize| Sealed::new(owner, "\"".repeat(bytes / 2));
        let half = || text(MAX_KEPT_BYTES / 2);
        let at = DateTime::UNIX_EPOCH;
        let created = ResponseEvent::Created { owner, previous: None, input: half(), response: half(), at };
        assert!(NewEvent::encode(&created).is_ok());
        assert!(NewEvent::encode(&ResponseEvent::Completed { response: text(MAX_KEPT_BYTES), at }).is_ok());
    }
}
