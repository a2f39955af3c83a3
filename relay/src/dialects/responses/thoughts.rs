//! The thoughts that are being given in a stream, as the one summary of their item.

use serde_json::{Value, json};

use super::object::{self, Status};
use super::writer::Events;

/// A reasoning item between `output_item.added` and `output_item.done`.
pub(super) struct OpenThoughts {
    id: String,
    place: usize,
    /// Empty where the thoughts are hidden.
    text: String,
    encrypted: Option<String>,
}

impl OpenThoughts {
    pub(super) fn begin(id: String, place: usize, events: &mut Events) -> Self {
        let item = object::reasoning(&id, "", None, Status::InProgress);
        events.push("response.output_item.added", json!({"output_index": place, "item": item}));
        Self { id, place, text: String::new(), encrypted: None }
    }

    pub(super) fn place(&self) -> usize {
        self.place
    }

    /// The next piece; never empty.
    pub(super) fn think(&mut self, more: &str, events: &mut Events) {
        if self.text.is_empty() {
            let mut fields = self.at();
            fields["part"] = json!({"type": "summary_text", "text": ""});
            events.push("response.reasoning_summary_part.added", fields);
        }
        self.text.push_str(more);
        let mut fields = self.at();
        fields["delta"] = json!(more);
        events.push("response.reasoning_summary_text.delta", fields);
    }

    /// What the provider wants to see again.
    pub(super) fn sign(&mut self, encrypted: String) {
        self.encrypted = Some(encrypted);
    }

    /// The item as it is now.
    pub(super) fn item(&self, status: Status) -> Value {
        object::reasoning(&self.id, &self.text, self.encrypted.as_deref(), status)
    }

    /// The last events, and the item.
    pub(super) fn end(self, events: &mut Events) -> Value {
        if !self.text.is_empty() {
            let mut fields = self.at();
            fields["text"] = json!(self.text);
            events.push("response.reasoning_summary_text.done", fields);
            let mut fields = self.at();
            fields["part"] = json!({"type": "summary_text", "text": self.text});
            events.push("response.reasoning_summary_part.done", fields);
        }
        let item = self.item(Status::Completed);
        events.push("response.output_item.done", json!({"output_index": self.place, "item": item}));
        item
    }

    /// Where the summary stands.
    fn at(&self) -> Value {
        json!({"item_id": self.id, "output_index": self.place, "summary_index": 0})
    }
}
