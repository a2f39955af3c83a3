//! One call besides conversations, from its first byte to its settlement, whoever still listens.
//!
//! Promise: the provider is read whether somebody listens or not. A whole answer is let finish, because half of it has no price; one
//! that comes piece by piece is read on for a client that has gone as long as a conversation is, then stopped and settled
//! for all that was sent: nobody says how much of it was made. A failure before any output gives the hold back.

use std::{sync::Arc, time::Duration};

use axum::body::Bytes;
use domain::billing::{Basis, ReleaseReason, Tokens};
use futures::{StreamExt as _, stream::BoxStream};
use metering::{Choices, Following, Held, Known, Offer};
use relay::{
    RelayError,
    modalities::{Consumed, ModalityAnswer, ModalityCall, Piece},
};
use routing::{Answered, Asked, Demand, Tries, Waiting};
use serde_json::Value;
use tokio::{sync::OwnedSemaphorePermit, time::timeout};
use tokio_util::sync::CancellationToken;

use super::{
    super::{
        ask::Caller,
        call::{Calls, Route, SETTLED, SETTLED_AT_LAST},
        line::{Listener, Speaker},
    },
    Sent,
    bill::Bill,
};

/// What the client's side is told. `Whole`, `End` and `Failed` are the last, and come after the settlement.
pub(super) enum Told {
    /// A provider took the call; comes first, unless nobody did.
    Taken(Route),
    /// An answer of this content type comes, piece by piece.
    Begins(String),
    Bytes(Bytes),
    End,
    Whole(Value),
    Failed(RelayError),
}

/// A call whose price is known.
pub(super) struct Work {
    /// As the client named it.
    model: String,
    choices: Choices,
    demand: Demand,
    sent: Sent,
    bill: Bill,
}

/// A call under way.
struct Running {
    work: Work,
    calls: Calls,
    listener: Speaker<Told>,
    _room: OwnedSemaphorePermit,
}

/// What remains to be done with the hold.
enum Settlement {
    /// By whoever answered.
    Charge((Tokens, Basis), Arc<Offer>),
    Release(ReleaseReason),
}

impl Work {
    pub(super) fn new(model: String, (choices, known): (Choices, &Known), sent: Sent, bill: Bill) -> Self {
        let tries = Tries::default();
        let tries = if sent.is_repeatable() { tries } else { Tries { most: 1, ..tries } };
        // Two who draw the same picture would both be paid.
        let demand = Demand { hedge_after: None, ..choices.demand(known, tries) };
        Self { model, choices, demand, sent, bill }
    }

    /// Makes the call. Dropping the listener is the client going away.
    pub(super) fn begin(self, held: Held, following: Following, caller: Caller) -> Listener<Told> {
        let Caller { calls, room, .. } = caller;
        let running = |listener| Running { work: self, calls: calls.clone(), listener, _room: room };
        calls.lines.open(|listener| running(listener).run(held, following))
    }
}

impl Running {
    async fn run(self, held: Held, mut following: Following) {
        let (settlement, last) = self.make(&mut following).await;
        // All that is known of the call is known here.
        match &last {
            Told::Failed(error) => following.failed(error),
            _ => following.completed(),
        }
        let settling = match settlement {
            Settlement::Charge(consumed, by) => held.settle_consumed(consumed, &by),
            Settlement::Release(reason) => held.release(reason),
        };
        // Before the end is told, so that a balance that is read after it includes it.
        let mut settling = Box::pin(settling.wait(SETTLED_AT_LAST));
        let in_time = timeout(SETTLED, &mut settling).await;
        self.listener.tell(last).await;
        if in_time.is_err() {
            // The client has its answer; the shutdown still knows of this.
            settling.await;
        }
    }

    async fn make(&self, following: &mut Following) -> (Settlement, Told) {
        let upstream = CancellationToken::new();
        let _close = upstream.clone().drop_guard();
        let (answer, by) = match self.ask(&upstream, following).await {
            Ok(answered) => answered,
            Err(error) => {
                tracing::info!(model = self.work.model, code = error.code(), "a call brought nothing");
                return (Settlement::Release(ReleaseReason::Failed), Told::Failed(error));
            }
        };
        let (consumed, last) = match answer {
            ModalityAnswer::Json { body, consumed } => (consumed, Told::Whole(body)),
            ModalityAnswer::Stream { content_type, pieces } => {
                following.speaks();
                self.listener.tell(Told::Begins(content_type)).await;
                self.pass(pieces, &by).await
            }
        };
        let sound = match &self.work.sent {
            Sent::Form(upload) if self.work.bill.pieces.sound_ms > 0 => Some(upload.sound()),
            _ => None,
        };
        let consumed = self.work.bill.of(&consumed, sound, &by);
        following.consumed_all(consumed);
        (Settlement::Charge(consumed, by), last)
    }

    /// Passes on what comes, until its end or until nobody wants it any more.
    async fn pass(&self, mut pieces: BoxStream<'static, Result<Piece, RelayError>>, by: &Offer) -> (Consumed, Told) {
        let drain = by.routing.drain.map_or(self.calls.drain, |drain| Duration::from_secs(drain.seconds.into()));
        let passing = async {
            while let Some(piece) = pieces.next().await {
                match piece {
                    Ok(Piece::Bytes(bytes)) => self.listener.tell(Told::Bytes(bytes)).await,
                    Ok(Piece::Done(consumed)) => return (consumed, Told::End),
                    Err(error) => return (Consumed::default(), Told::Failed(error)),
                }
            }
            (Consumed::default(), Told::Failed(RelayError::UpstreamCut))
        };
        let stopped = (Consumed::default(), Told::Failed(RelayError::Cancelled));
        tokio::select! {
            ended = passing => ended,
            () = self.listener.left(|| drain) => stopped,
        }
    }

    /// Asks one after the other of those who may answer, while somebody waits; the answer has begun.
    async fn ask(
        &self,
        upstream: &CancellationToken,
        following: &mut Following,
    ) -> Result<(ModalityAnswer, Arc<Offer>), RelayError> {
        let work = &self.work;
        let ask = |asked: Asked| {
            let (offer, upstream, body) = (Arc::clone(work.choices.offer(&asked)), upstream.clone(), work.sent.body());
            async move {
                let (Some(body), Some(modalities)) = (body, offer.provider.modalities()) else {
                    return Err(RelayError::Misconfigured("this cannot be asked of it".to_owned()));
                };
                let call = ModalityCall {
                    modality: work.bill.modality,
                    model: offer.upstream.clone(),
                    public_model: work.model.clone(),
                    body,
                    created: chrono::Utc::now().timestamp(),
                    key: asked.key,
                };
                modalities.ask(call, upstream).await.map_err(|error| self.blamed(error))
            }
        };
        let still = || !self.listener.is_alone();
        let waiting = Waiting { cancel: upstream, still: &still };
        let attempt = self.calls.catalogue.router().attempt(&work.demand, waiting, ask).await;
        let Answered { answer, by, story } = attempt.map_err(|unanswered| {
            following.tried(&unanswered.story);
            unanswered.error
        })?;
        let offer = Arc::clone(work.choices.offer(&by));
        following.tried(&story);
        following.answers(&offer);
        let (channel, model) = work.choices.told(&by).unwrap_or_default();
        self.listener.tell(Told::Taken(Route { tries: story.asked(), channel, model })).await;
        Ok((answer, offer))
    }

    /// A channel is not to blame for an upload that the client breaks off.
    fn blamed(&self, error: RelayError) -> RelayError {
        match &self.work.sent {
            Sent::Form(upload) if upload.broke() => RelayError::UpstreamRefused {
                status: 400,
                message: "the upload broke off, or it is larger than what is taken".to_owned(),
                code: Some("unreadable_body".to_owned()),
                param: None,
            },
            _ => error,
        }
    }
}
