//! The name of one event: which aggregate, which number in its stream.
//!
//! Its text form `type:id:sequence` is what a command reply carries as `X-Event` and a read sends back as `X-After`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// One event of one aggregate. The aggregate's type holds no colon; its id may.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct EventRef {
    pub aggregate_type: String,
    pub aggregate_id: String,
    pub sequence: i64,
}

/// The text is not `type:id:sequence`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an event is named type:id:sequence")]
pub struct InvalidEventRef;

impl fmt::Display for EventRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.aggregate_type, self.aggregate_id, self.sequence)
    }
}

impl FromStr for EventRef {
    type Err = InvalidEventRef;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (aggregate_type, rest) = text.split_once(':').ok_or(InvalidEventRef)?;
        let (aggregate_id, sequence) = rest.rsplit_once(':').ok_or(InvalidEventRef)?;
        let sequence: i64 = sequence.parse().map_err(|_| InvalidEventRef)?;
        if aggregate_type.is_empty() || aggregate_id.is_empty() || sequence < 0 {
            return Err(InvalidEventRef);
        }
        Ok(Self { aggregate_type: aggregate_type.to_owned(), aggregate_id: aggregate_id.to_owned(), sequence })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_name_survives_its_text_form_even_when_the_id_holds_colons() {
        for id in ["0197", "email:abc:def"] {
            let event = EventRef { aggregate_type: "session".into(), aggregate_id: id.into(), sequence: 12 };
            assert_eq!(event.to_string().parse(), Ok(event));
        }
    }

    #[test]
    fn a_text_that_names_no_event_is_refused() {
        for text in ["", "session", "session:1", "session:1:x", ":1:2", "session::2", "session:1:-1"] {
            assert_eq!(text.parse::<EventRef>(), Err(InvalidEventRef), "{text}");
        }
    }
}
