//! The message that is being said in a stream: its content parts, each from `added` to `done`.

use serde_json::{Value, json};

use super::content::{annotation, output_text, refused};
use super::object::{self, Status};
use super::writer::Events;
use crate::model::Opaque;

/// A message between `output_item.added` and `output_item.done`.
pub(super) struct OpenMessage {
    id: String,
    place: usize,
    /// Content parts that are done.
    done: Vec<Value>,
    open: Option<Piece>,
}

/// A content part between `added` and `done`.
enum Piece {
    Text { text: String, annotations: Vec<Value>, logprobs: Vec<Value> },
    Refusal(String),
}

impl Piece {
    fn value(&self) -> Value {
        match self {
            Self::Text { text, annotations, logprobs } => output_text(text, annotations, logprobs),
            Self::Refusal(text) => refused(text),
        }
    }
}

impl OpenMessage {
    pub(super) fn begin(id: String, place: usize, events: &mut Events) -> Self {
        let item = object::message(&id, &[], Status::InProgress);
        events.push("response.output_item.added", json!({"output_index": place, "item": item}));
        Self { id, place, done: vec![], open: None }
    }

    pub(super) fn place(&self) -> usize {
        self.place
    }

    /// The next piece of text.
    pub(super) fn say(&mut self, more: &str, mut more_logprobs: Vec<Value>, events: &mut Events) {
        if !matches!(self.open, Some(Piece::Text { .. })) {
            self.open_text(events);
        }
        let mut fields = self.at();
        fields["delta"] = json!(more);
        fields["logprobs"] = json!(more_logprobs);
        events.push("response.output_text.delta", fields);
        if let Some(Piece::Text { text, logprobs, .. }) = &mut self.open {
            text.push_str(more);
            logprobs.append(&mut more_logprobs);
        }
    }

    /// Where the text so far is taken from, if this dialect can say it.
    pub(super) fn cite(&mut self, citation: &Opaque, events: &mut Events) {
        if !matches!(self.open, Some(Piece::Text { .. })) {
            self.open_text(events);
        }
        let mut fields = self.at();
        let Some(Piece::Text { text, annotations, .. }) = &mut self.open else { return };
        let Some(annotation) = annotation(citation, text.chars().count()) else { return };
        fields["annotation_index"] = json!(annotations.len());
        fields["annotation"] = annotation.clone();
        annotations.push(annotation);
        events.push("response.output_text.annotation.added", fields);
    }

    /// The next piece of a refusal.
    pub(super) fn refuse(&mut self, more: &str, events: &mut Events) {
        if !matches!(self.open, Some(Piece::Refusal(_))) {
            self.open_piece(Piece::Refusal(String::new()), events);
        }
        let mut fields = self.at();
        fields["delta"] = json!(more);
        events.push("response.refusal.delta", fields);
        if let Some(Piece::Refusal(text)) = &mut self.open {
            text.push_str(more);
        }
    }

    /// The last events, and the item.
    pub(super) fn end(mut self, status: Status, events: &mut Events) -> Value {
        self.close_piece(events);
        let item = object::message(&self.id, &self.done, status);
        events.push("response.output_item.done", json!({"output_index": self.place, "item": item}));
        item
    }

    fn open_text(&mut self, events: &mut Events) {
        let text = Piece::Text { text: String::new(), annotations: vec![], logprobs: vec![] };
        self.open_piece(text, events);
    }

    fn open_piece(&mut self, piece: Piece, events: &mut Events) {
        self.close_piece(events);
        let mut fields = self.at();
        fields["part"] = piece.value();
        self.open = Some(piece);
        events.push("response.content_part.added", fields);
    }

    fn close_piece(&mut self, events: &mut Events) {
        let mut fields = self.at();
        let Some(piece) = self.open.take() else { return };
        let part = piece.value();
        match piece {
            Piece::Text { text, logprobs, .. } => {
                fields["text"] = json!(text);
                fields["logprobs"] = json!(logprobs);
                events.push("response.output_text.done", fields);
            }
            Piece::Refusal(text) => {
                fields["refusal"] = json!(text);
                events.push("response.refusal.done", fields);
            }
        }
        let mut fields = self.at();
        fields["part"] = part.clone();
        self.done.push(part);
        events.push("response.content_part.done", fields);
    }

    /// Where the open part stands.
    fn at(&self) -> Value {
        json!({"item_id": self.id, "output_index": self.place, "content_index": self.done.len()})
    }
}
