//! Reads a body in one walk: parameters become values, what may be long is looked through where it stands.

use std::fmt;
use std::ops::Range;

use serde::de::{Deserializer as _, Error as _, MapAccess, Visitor};
use serde_json::{Map, Value};

use super::walk::{Found, Walk};
use super::{LONG, TOOLS};

/// Members that are looked up one by one; a body with more is read as a tree.
const MOST_MEMBERS: usize = 64;

/// A member of a body.
pub(super) struct Member {
    /// Of the name, in the text, without its quotes.
    name: Range<usize>,
    /// Of the value, in the text.
    place: Range<usize>,
    /// What it says; of a long one, something that stands for it.
    pub(super) value: Value,
    pub(super) is_long: bool,
}

impl Member {
    pub(super) fn name<'t>(&self, text: &'t [u8]) -> &'t [u8] {
        text.get(self.name.clone()).unwrap_or_default()
    }

    /// The value as it was sent.
    pub(super) fn sent<'t>(&self, text: &'t [u8]) -> &'t [u8] {
        text.get(self.place.clone()).unwrap_or_default()
    }
}

/// The members in the order in which they were sent, and what was found in the long ones. `None` of whatever is no JSON
/// object, and of objects that are better read as a tree: with very many members, or names that are written with escapes.
pub(super) fn read(text: &[u8]) -> Option<(Vec<Member>, Found)> {
    let text = std::str::from_utf8(text).ok()?;
    let mut json = serde_json::Deserializer::from_str(text);
    let members = json.deserialize_map(Members { text }).ok()?;
    json.end().ok()?;
    Some(members)
}

struct Members<'t> {
    text: &'t str,
}

impl Members<'_> {
    /// Where in the text a part of it is.
    fn place(&self, part: &str) -> Range<usize> {
        let start = (part.as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize);
        start..start + part.len()
    }

    /// What follows a name, from the first character of its value on.
    fn after(&self, name: &Range<usize>) -> &str {
        let rest = self.text.get(name.end + 1..).unwrap_or_default();
        rest.trim_start_matches(|character: char| character == ':' || is_space(character))
    }

    /// Where a value ends that begins at `start` and is followed by the name at `next`, or else by the body's end.
    fn ends(&self, start: usize, next: Option<&Range<usize>>) -> usize {
        let end = next.map_or(self.text.len(), |next| next.start.saturating_sub(1));
        let value = self.text.get(start..end).unwrap_or_default().trim_end_matches(is_space);
        let value = value.strip_suffix(if next.is_some() { ',' } else { '}' }).unwrap_or(value);
        start + value.trim_end_matches(is_space).len()
    }
}

impl<'t> Visitor<'t> for Members<'t> {
    type Value = (Vec<Member>, Found);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'t>>(self, mut sent: A) -> Result<Self::Value, A::Error> {
        let (mut members, mut all) = (Vec::<Member>::with_capacity(8), Found::default());
        loop {
            let name = sent.next_key::<&'t str>()?;
            let place = name.map(|name| self.place(name));
            if let Some(last) = members.last_mut() {
                last.place.end = self.ends(last.place.start, place.as_ref());
                all.bytes += if last.is_long { last.place.len() as u64 } else { 0 };
            }
            let Some((name, place)) = name.zip(place) else { return Ok((members, all)) };
            if members.len() == MOST_MEMBERS {
                return Err(A::Error::custom("a tree"));
            }
            let value = self.after(&place);
            let start = self.place(value).start;
            let stand_in = LONG.contains(&name).then(|| standing_for(value)).flatten();
            let is_long = stand_in.is_some();
            let value = match stand_in {
                Some(stand_in) => {
                    let mut found = Found::default();
                    sent.next_value_seed(Walk::of(&mut found))?;
                    all.add(name == TOOLS, found);
                    stand_in
                }
                None => sent.next_value()?,
            };
            members.push(Member { name: place, place: start..start, value, is_long });
        }
    }
}

/// What stands for a long value that begins so; `None` for a short one, which is itself.
fn standing_for(value: &str) -> Option<Value> {
    match value.as_bytes() {
        [b'[', inner @ ..] => {
            let first = inner.iter().find(|byte| !is_space(char::from(**byte)));
            Some(Value::Array(if first == Some(&b']') { vec![] } else { vec![Value::Null] }))
        }
        [b'{', ..] => Some(Value::Object(Map::new())),
        [b'"', ..] => Some(Value::String(String::new())),
        _ => None,
    }
}

/// What may stand between the parts of JSON.
const fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\n' | '\r' | '\t')
}
