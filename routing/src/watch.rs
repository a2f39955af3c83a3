//! The eyes of the router on one try: from when it is sent until its answer ends, however that happens.
//!
//! Promise: a try that began is reported exactly once, also if its answer is dropped.

use std::sync::Arc;
use std::time::Instant;

use relay::RelayError;

use crate::{Answer, Ended, Label, Router, Ticket, answer::Seen, label::OK};

/// One try under way.
pub struct Watch {
    router: Arc<Router>,
    /// Absent once it was reported.
    ticket: Option<Ticket>,
    /// The same request failed there before.
    repeats: bool,
    channel: Label,
    begun: Instant,
}

impl Watch {
    pub(crate) const fn new(
        router: Arc<Router>,
        ticket: Ticket,
        repeats: bool,
        channel: Label,
        begun: Instant,
    ) -> Self {
        Self { router, ticket: Some(ticket), repeats, channel, begun }
    }

    /// Waits for the answer and for its beginning, and watches it from then on.
    pub(crate) async fn over<A: Answer>(
        mut self,
        answer: impl Future<Output = Result<A, RelayError>>,
    ) -> Result<A, RelayError> {
        match answer.await {
            Ok(answer) => answer.begun(self).await,
            Err(error) => {
                self.failed(&error);
                Err(error)
            }
        }
    }

    /// Something was generated.
    pub fn first_output(&mut self) {
        if let Some(ticket) = &mut self.ticket {
            self.router.first_output(ticket);
        }
    }

    /// It went well to its end; `tokens` of input and output together.
    pub fn done(&mut self, tokens: Option<u64>) {
        self.report(Ended::Well { tokens }, OK);
    }

    /// All of it came at once.
    pub fn whole(&mut self, tokens: Option<u64>) {
        let Some(ticket) = self.ticket.take() else { return };
        self.router.whole(ticket, Ended::Well { tokens });
        self.tell(OK);
    }

    /// It failed.
    pub fn failed(&mut self, error: &RelayError) {
        let ended = match error {
            RelayError::Cancelled => Ended::Left,
            error => Ended::Failed { error, repeats: self.repeats },
        };
        self.report(ended, error.code());
    }

    pub(crate) fn see(&mut self, seen: &Seen<'_>) {
        match seen {
            Seen::Preamble | Seen::Output => {}
            Seen::Done { tokens } => self.done(*tokens),
            Seen::Stopped => self.report(Ended::Left, "cancelled"),
            Seen::Failed(error) | Seen::Broken(error) => self.failed(error),
        }
    }

    fn report(&mut self, ended: Ended<'_>, outcome: &'static str) {
        let Some(ticket) = self.ticket.take() else { return };
        self.router.end(ticket, ended);
        self.tell(outcome);
    }

    fn tell(&self, outcome: &'static str) {
        self.channel.count(outcome);
        tracing::debug!(channel = &*self.channel, outcome, seconds = self.begun.elapsed().as_secs_f64(), "a try ended");
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.report(Ended::Left, "cancelled");
    }
}
