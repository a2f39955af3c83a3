//! Typed looks at the body of a request: only what concerns the price and the form of the answer is looked at, the rest
//! is passed on as it is.
//!
//! Promise: what is wrong is told by its parameter; `null` counts as absent.

use relay::RequestBody;
use serde_json::{Map, Value};

use super::refusals::invalid;
use crate::problem::Problem;

/// An object of a request.
pub(crate) struct Fields<'a> {
    of: Source<'a>,
    /// Where in the body it stands; the body itself where absent.
    within: Option<&'a str>,
}

#[derive(Clone, Copy)]
enum Source<'a> {
    Body(&'a RequestBody),
    Object(&'a Map<String, Value>),
    /// There is none.
    Nothing,
}

impl<'a> Fields<'a> {
    /// The body itself.
    pub(crate) const fn of_body(body: &'a RequestBody) -> Self {
        Self { of: Source::Body(body), within: None }
    }

    /// The same, taken apart.
    pub(crate) const fn of(body: &'a Map<String, Value>) -> Self {
        Self { of: Source::Object(body), within: None }
    }

    /// The value under the first of these names that has one, and that name.
    fn get(&self, names: &[&'a str]) -> Option<(&'a str, &'a Value)> {
        let get = |name: &str| match self.of {
            Source::Body(body) => body.get(name),
            Source::Object(object) => object.get(name),
            Source::Nothing => None,
        };
        names.iter().find_map(|name| Some((*name, get(name).filter(|value| !value.is_null())?)))
    }

    /// The parameter in the words of the client, such as `stream_options.include_usage`.
    fn at(&self, name: &str) -> String {
        match self.within {
            Some(object) => format!("{object}.{name}"),
            None => name.to_owned(),
        }
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
            None => Ok(Self { of: Source::Nothing, within: None }),
            Some((name, Value::Object(object))) => Ok(Self { of: Source::Object(object), within: Some(name) }),
            Some((name, other)) => Err(self.wrong_type(name, "an object", other)),
        }
    }

    /// A text that must be there and not be empty.
    pub(crate) fn text(&self, name: &'a str) -> Result<String, Problem> {
        match self.get(&[name]) {
            Some((_, Value::String(text))) if !text.is_empty() => Ok(text.clone()),
            Some((_, Value::String(_))) | None => Err(self.missing(name)),
            Some((_, other)) => Err(self.wrong_type(name, "a string", other)),
        }
    }

    /// An array that must be there and not be empty.
    pub(crate) fn filled(&self, name: &'a str) -> Result<&'a [Value], Problem> {
        match self.get(&[name]) {
            Some((_, Value::Array(items))) if items.is_empty() => {
                let param = self.at(name);
                Err(invalid(&param, "empty_array", format!("Invalid '{param}': at least one element is needed.")))
            }
            Some((_, Value::Array(items))) => Ok(items),
            Some((_, other)) => Err(self.wrong_type(name, "an array", other)),
            None => Err(self.missing(name)),
        }
    }

    /// Where it is absent, no.
    pub(crate) fn flag(&self, name: &'a str) -> Result<bool, Problem> {
        match self.get(&[name]) {
            None => Ok(false),
            Some((_, Value::Bool(flag))) => Ok(*flag),
            Some((_, other)) => Err(self.wrong_type(name, "a boolean", other)),
        }
    }

    /// A number from 1 to `most`, under any of these names.
    pub(crate) fn number(&self, names: &[&'a str], most: u64) -> Result<Option<u32>, Problem> {
        let Some((name, value)) = self.get(names) else { return Ok(None) };
        let number = value.as_u64().filter(|number| (1..=most).contains(number));
        match number.and_then(|number| u32::try_from(number).ok()) {
            Some(number) => Ok(Some(number)),
            None => Err(self.no_integer(name, value, &format!("from 1 to {most}"))),
        }
    }

    /// A bound of tokens, under any of these names. More than any model gives is no bound at all.
    pub(crate) fn bound(&self, names: &[&'a str]) -> Result<Option<u32>, Problem> {
        let Some((name, value)) = self.get(names) else { return Ok(None) };
        match value.as_u64() {
            Some(tokens @ 1..) => Ok(Some(u32::try_from(tokens).unwrap_or(u32::MAX))),
            _ => Err(self.no_integer(name, value, "of at least 1")),
        }
    }

    fn no_integer(&self, name: &str, value: &Value, which: &str) -> Problem {
        if !value.is_number() {
            return self.wrong_type(name, "an integer", value);
        }
        let param = self.at(name);
        invalid(&param, "invalid_value", format!("Invalid '{param}': an integer {which} is needed."))
    }

    /// As [`Self::bound`], where there must be one.
    pub(crate) fn required_bound(&self, name: &'a str) -> Result<u32, Problem> {
        self.bound(&[name])?.ok_or_else(|| self.missing(name))
    }

    /// Refuses a parameter that cannot be served here; a value that changes nothing is let pass.
    pub(crate) fn refuse(&self, name: &'a str, why: &str) -> Result<(), Problem> {
        match self.get(&[name]) {
            None | Some((_, Value::Bool(false))) => Ok(()),
            Some(_) => {
                let param = self.at(name);
                Err(invalid(&param, "unsupported_parameter", format!("Unsupported parameter: '{param}': {why}.")))
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
