//! Calls besides conversations: vectors, rankings, pictures, sound, moderation. The same way for all of them.
//!
//! Promise: as with conversations, credit for the most that a call can cost is set apart before anybody is asked, and the
//! call is settled by what it consumed: tokens as the provider reports them, else as they are counted here, and what is
//! sold by the piece. Only channels that can do what is asked are asked. A call whose body can be sent again is tried
//! elsewhere as long as nothing of an answer has come; an upload that passes through is sent once.

mod answer;
mod bill;
mod call;
mod form;
mod sound;
mod upload;

use std::sync::Arc;

use axum::{http::StatusCode, response::Response};
use domain::{CallId, HoldId, billing::Pieces, relay::Surface};
use metering::{Begun, Choices, Held, Known, Offer};
use relay::{
    Basis, Counted,
    modalities::{Modality, ModalityBody},
};
use serde_json::{Map, Value};
use uuid::Uuid;

use self::{bill::Bill, call::Work};
pub(crate) use self::{bill::written_tokens, form::FormRequest, upload::Upload};
use super::{
    ask::Caller,
    refusals::{of_meter, of_upstream},
    story::kind_of,
};
use crate::problem::Problem;

/// What a client asks, as far as it concerns the price.
pub(crate) struct Beside {
    pub(crate) modality: Modality,
    /// As users name it.
    pub(crate) model: String,
    /// The answer is asked for piece by piece.
    pub(crate) stream: bool,
    pub(crate) worth: Worth,
    pub(crate) sent: Sent,
}

/// What a call consumes, as far as that is known before it is made.
#[derive(Debug, Default, Clone)]
pub(crate) struct Worth {
    /// What the model reads; it is counted.
    pub(crate) texts: Vec<String>,
    /// Tokens that need no counting.
    pub(crate) tokens: u64,
    /// Of the output, at most.
    pub(crate) output_tokens: u32,
    /// At most.
    pub(crate) pieces: Pieces,
}

/// Everything that was sent.
pub(crate) enum Sent {
    /// An object, as it came.
    Document(Arc<Map<String, Value>>),
    /// A form with files.
    Form(Upload),
}

impl Sent {
    pub(crate) fn document(body: Map<String, Value>) -> Self {
        Self::Document(Arc::new(body))
    }

    /// Whether a second try can send the same.
    const fn is_repeatable(&self) -> bool {
        match self {
            Self::Document(_) => true,
            Self::Form(upload) => upload.is_whole(),
        }
    }

    /// To be sent now; `None` of what was sent already and passed through.
    fn body(&self) -> Option<ModalityBody> {
        match self {
            Self::Document(body) => Some(ModalityBody::Json(Arc::clone(body))),
            Self::Form(upload) => upload.body(),
        }
    }
}

impl Caller {
    /// Prices the call, sets its credit apart, makes it and answers it.
    pub(crate) async fn beside(self, asked: Beside) -> Result<Response, Problem> {
        let hold_id = HoldId::new(Uuid::now_v7());
        let mut following = self.calls.meter.recorder().follow(Begun {
            id: CallId::new(hold_id.uuid()),
            user: self.holder.user,
            purpose: self.purpose(),
            surface: surface(asked.modality),
            model: Some(asked.model.clone()),
            stream: asked.stream,
        });
        let (manner, id) = (self.manner, self.id.clone());
        let heard = match self.prepare_beside(asked, hold_id).await {
            Ok((work, held)) => {
                following.held(&held);
                work.begin(held, following, self)
            }
            Err(problem) => {
                following.names_one_of(&self.calls.catalogue);
                following.refused(kind_of(&problem));
                return Err(problem);
            }
        };
        answer::answer(heard, manner, id).await
    }

    async fn prepare_beside(&self, asked: Beside, hold_id: HoldId) -> Result<(Work, Held), Problem> {
        let Beside { modality, model, worth, sent, .. } = asked;
        let group = self.group(&model).await?;
        let choices = self.calls.catalogue.able_choices(&model, &group, |offer| offers(offer, modality)).await;
        let choices = choices.map_err(of_upstream)?.ok_or_else(|| not_offered(&model, modality))?;
        let choices = if sent.is_repeatable() { choices } else { choices.without_fallbacks() };
        let counted = count(&choices, worth.texts).await?;
        let input = Counted { tokens: counted.tokens.saturating_add(worth.tokens), ..counted };
        let bill = Bill { modality, input, output_tokens: worth.output_tokens, pieces: worth.pieces };
        let input_tokens = bill.input_at_most();
        self.allowance.take(input.tokens)?;
        let mut quote = choices.quote(input_tokens, Some(bill.output_tokens), self.calls.meter.bounds());
        // Nobody upstream is told a bound of these, so what is held for is what may come.
        quote.min_output_tokens = quote.max_output_tokens;
        quote.pieces = bill.pieces;
        let call = self.paid_by_this(hold_id);
        let held = self.calls.meter.hold(call, quote.times(group.factor)).await.map_err(of_meter)?;
        // Not to be compared with what a model reads at once: each text of many is read by itself.
        let known = Known { affinity: None, tokens: input.tokens, exactly: false };
        Ok((Work::new(model, (choices, &known), sent, bill), held))
    }
}

/// Whether the channel can be asked for this at all.
fn offers(offer: &Offer, modality: Modality) -> bool {
    offer.provider.modalities().is_some_and(|modalities| modalities.offers(modality))
}

fn not_offered(model: &str, modality: Modality) -> Problem {
    let detail = format!("The model `{model}` is not offered for `{}` by any channel here.", modality.path());
    Problem::new(StatusCode::BAD_REQUEST, "unsupported_operation", detail).about("model")
}

/// Counting is arithmetic for milliseconds, so it is done off the async threads.
async fn count(choices: &Choices, texts: Vec<String>) -> Result<Counted, Problem> {
    if texts.is_empty() {
        return Ok(Counted { tokens: 0, basis: Basis::Counted });
    }
    let model = choices.first().upstream.clone();
    let count = move || relay::count_texts(&model, &texts);
    tokio::task::spawn_blocking(count).await.map_err(|error| Problem::bug(&error))
}

/// The door of a modality.
const fn surface(modality: Modality) -> Surface {
    match modality {
        Modality::Embeddings => Surface::Embeddings,
        Modality::Rerank => Surface::Rerank,
        Modality::ImageGeneration | Modality::ImageEdit => Surface::Images,
        Modality::Speech => Surface::Speech,
        Modality::Transcription | Modality::Translation => Surface::Transcription,
        Modality::Moderation => Surface::Moderation,
    }
}
