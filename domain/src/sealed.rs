//! Personal data inside events.
//!
//! Promise: a `Sealed<T>` names the person whose data it is. The event store encrypts every such field with that
//! person's data key before it is written and opens it after it is read; when the key was destroyed the field reads as
//! erased, and the fact around it keeps its shape. No rule may branch on whether a field is erased.
//!
//! Wire form, found by the store wherever it stands in a payload: `{"$sealed": {"subject": <uuid>, "open": <value>}}`
//! while open, `{"$sealed": {"subject", "key", "nonce", "data"}}` at rest, `{"$sealed": {"subject"}}` once erased.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::UserId;

/// The key under which a sealed field stands in JSON.
pub const SEALED_KEY: &str = "$sealed";

/// A value that belongs to the person `subject`; `None` inside once that person's key was destroyed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed<T> {
    #[serde(rename = "$sealed")]
    content: Content<T>,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Content<T> {
    subject: UserId,
    #[serde(default = "Option::default", skip_serializing_if = "Option::is_none")]
    open: Option<T>,
}

impl<T> Sealed<T> {
    /// Data of `subject`, to be encrypted wherever it comes to rest.
    pub const fn new(subject: UserId, value: T) -> Self {
        Self { content: Content { subject, open: Some(value) } }
    }

    /// What remains after the key of `subject` was destroyed.
    #[must_use]
    pub const fn erased(subject: UserId) -> Self {
        Self { content: Content { subject, open: None } }
    }

    /// The value, unless it was erased.
    pub const fn open(&self) -> Option<&T> {
        self.content.open.as_ref()
    }

    /// The value by move, unless it was erased.
    pub fn into_open(self) -> Option<T> {
        self.content.open
    }

    /// Whose data this is.
    pub const fn subject(&self) -> UserId {
        self.content.subject
    }
}

/// Never prints the value: logs and panics must not carry personal data.
impl<T> fmt::Debug for Sealed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.content.open.is_some() { "open" } else { "erased" };
        write!(f, "Sealed({state}, of {})", self.content.subject)
    }
}

#[cfg(test)]
mod spec {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn an_open_field_is_written_under_its_marker() {
        let subject = UserId::new(Uuid::nil());
        let text = serde_json::to_value(Sealed::new(subject, "hello".to_owned())).unwrap();
        assert_eq!(text, json!({"$sealed": {"subject": Uuid::nil(), "open": "hello"}}));
    }

    #[test]
    fn a_field_without_its_key_reads_as_erased() {
        let read: Sealed<String> = serde_json::from_value(json!({"$sealed": {"subject": Uuid::nil()}})).unwrap();
        assert_eq!(read, Sealed::erased(UserId::new(Uuid::nil())));
        assert_eq!(read.open(), None);
    }

    #[test]
    fn debug_output_never_shows_the_value() {
        let field = Sealed::new(UserId::new(Uuid::nil()), "secret".to_owned());
        assert!(!format!("{field:?}").contains("secret"));
    }
}
