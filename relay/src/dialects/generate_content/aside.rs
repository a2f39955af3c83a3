//! What Google says beside an answer: ratings, citations, where it searched, why a prompt was blocked.
//!
//! Other dialects have no place for it, so it goes through the model as one part of Google's own at the end of its
//! candidate: `{"candidate": {…}}` or `{"response": {…}}`.

use serde_json::{Map, Value};

use crate::Dialect;
use crate::model::{Opaque, Part};

const CANDIDATE: &str = "candidate";
const RESPONSE: &str = "response";

/// What is said beside an answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Aside<'a> {
    /// About one candidate, as fields of it.
    Candidate(&'a Map<String, Value>),
    /// About the answer as a whole.
    Response(&'a Map<String, Value>),
}

/// A part that carries fields of a candidate; none if there are none.
pub(super) fn of_candidate(fields: Map<String, Value>) -> Option<Part> {
    carry(CANDIDATE, fields)
}

/// A part that carries fields of the answer; none if there are none.
pub(super) fn of_response(fields: Map<String, Value>) -> Option<Part> {
    carry(RESPONSE, fields)
}

fn carry(kind: &str, fields: Map<String, Value>) -> Option<Part> {
    if fields.is_empty() {
        return None;
    }
    let value = Map::from_iter([(kind.to_owned(), Value::Object(fields))]).into();
    Some(Part::Other(Opaque { dialect: Dialect::GenerateContent, value }))
}

/// What such a part carries; none of a part that is one.
pub(super) fn of(value: &Value) -> Option<Aside<'_>> {
    let fields = |kind: &str| value.get(kind).and_then(Value::as_object);
    fields(CANDIDATE).map(Aside::Candidate).or_else(|| fields(RESPONSE).map(Aside::Response))
}

/// The same of any part.
pub(super) fn of_part(part: &Part) -> Option<Aside<'_>> {
    match part {
        Part::Other(opaque) => of(opaque.in_dialect(Dialect::GenerateContent)?),
        _ => None,
    }
}
