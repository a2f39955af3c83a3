//! Typed looks at the body of a request: only what concerns the price and the form of the answer is looked at, the rest
//! is passed on as it is.
//!
//! Promise: what is wrong is told by its parameter; `null` counts as absent.

use serde_json::{Map, Value};

use super::refusals::invalid;
use crate::problem::Problem;

/// An object of a request.
pub(crate) struct Fields<'a> {
    object: Option<&'a Map<String, Value>>,
    /// What stands before the names, such as `stream_options.`.
    path: String,
}

impl<'a> Fields<'a> {
    /// The body itself.
    pub(crate) fn of(body: &'a Map<String, Value>) -> Self {
        Self { object: Some(body), path: String::new() }
    }

    /// The value under the first of these names that has one, and that name.
    fn get(&self, names: &[&'a str]) -> Option<(String, &'a Value)> {
        let object = self.object?;
        let found =
            |name: &&str| object.get(*name).filter(|value| !value.is_null()).map(|value| (self.at(name), value));
        names.iter().find_map(found)
    }

    fn at(&self, name: &str) -> String {
        format!("{}{name}", self.path)
    }

    fn missing(&self, name: &str) -> Problem {
        let param = self.at(name);
        invalid(&param, "missing_required_parameter", format!("Missing required parameter: '{param}'."))
    }

    /// Whether there is a value.
    pub(crate) fn has(&self, name: &'a str) -> bool {
        self.get(&[name]).is_some()
    }

    /// The object under the first of these names; an empty one where there is none.
    pub(crate) fn object(&self, names: &[&'a str]) -> Result<Self, Problem> {
        match self.get(names) {
            None => Ok(Self { object: None, path: String::new() }),
            Some((path, Value::Object(object))) => Ok(Self { object: Some(object), path: format!("{path}.") }),
            Some((path, other)) => Err(wrong_type(&path, "an object", other)),
        }
    }

    /// A text that must be there and not be empty.
    pub(crate) fn text(&self, name: &'a str) -> Result<String, Problem> {
        match self.get(&[name]) {
            Some((_, Value::String(text))) if !text.is_empty() => Ok(text.clone()),
            Some((_, Value::String(_))) | None => Err(self.missing(name)),
            Some((path, other)) => Err(wrong_type(&path, "a string", other)),
        }
    }

    /// An array that must be there and not be empty.
    pub(crate) fn filled(&self, name: &'a str) -> Result<&'a [Value], Problem> {
        match self.get(&[name]) {
            Some((path, Value::Array(items))) if items.is_empty() => {
                Err(invalid(&path, "empty_array", format!("Invalid '{path}': at least one element is needed.")))
            }
            Some((_, Value::Array(items))) => Ok(items),
            Some((path, other)) => Err(wrong_type(&path, "an array", other)),
            None => Err(self.missing(name)),
        }
    }

    /// Where it is absent, no.
    pub(crate) fn flag(&self, name: &'a str) -> Result<bool, Problem> {
        match self.get(&[name]) {
            None => Ok(false),
            Some((_, Value::Bool(flag))) => Ok(*flag),
            Some((path, other)) => Err(wrong_type(&path, "a boolean", other)),
        }
    }

    /// A number from 1 to `most`, under any of these names.
    pub(crate) fn number(&self, names: &[&'a str], most: u64) -> Result<Option<u32>, Problem> {
        let Some((path, value)) = self.get(names) else { return Ok(None) };
        let number = value.as_u64().filter(|number| (1..=most).contains(number));
        match number.and_then(|number| u32::try_from(number).ok()) {
            Some(number) => Ok(Some(number)),
            None if value.is_number() => Err(invalid(
                &path,
                "invalid_value",
                format!("Invalid '{path}': an integer from 1 to {most} is needed."),
            )),
            None => Err(wrong_type(&path, "an integer", value)),
        }
    }

    /// A bound of tokens, under any of these names. More than any model gives is no bound at all.
    pub(crate) fn bound(&self, names: &[&'a str]) -> Result<Option<u32>, Problem> {
        let Some((path, value)) = self.get(names) else { return Ok(None) };
        match value.as_u64() {
            Some(tokens @ 1..) => Ok(Some(u32::try_from(tokens).unwrap_or(u32::MAX))),
            _ if value.is_number() => {
                Err(invalid(&path, "invalid_value", format!("Invalid '{path}': an integer of at least 1 is needed.")))
            }
            _ => Err(wrong_type(&path, "an integer", value)),
        }
    }

    /// As [`Self::bound`], where there must be one.
    pub(crate) fn required_bound(&self, name: &'a str) -> Result<u32, Problem> {
        self.bound(&[name])?.ok_or_else(|| self.missing(name))
    }

    /// Refuses a parameter that cannot be served here; a value that changes nothing is let pass.
    pub(crate) fn refuse(&self, name: &'a str, why: &str) -> Result<(), Problem> {
        match self.get(&[name]) {
            None | Some((_, Value::Bool(false))) => Ok(()),
            Some((path, _)) => {
                Err(invalid(&path, "unsupported_parameter", format!("Unsupported parameter: '{path}': {why}.")))
            }
        }
    }

    /// The parameter has the wrong type.
    pub(crate) fn wrong_type(&self, name: &str, wanted: &str, found: &Value) -> Problem {
        wrong_type(&self.at(name), wanted, found)
    }

    /// The value of a required parameter of several types.
    pub(crate) fn required(&self, name: &'a str) -> Result<&'a Value, Problem> {
        self.get(&[name]).map(|(_, value)| value).ok_or_else(|| self.missing(name))
    }
}

fn wrong_type(param: &str, wanted: &str, found: &Value) -> Problem {
    let found = match found {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    invalid(param, "invalid_type", format!("Invalid type for '{param}': expected {wanted}, but got {found} instead."))
}
