//! The body of a client's request: read once, and taken apart only as far as anybody wants to know.
//!
//! Promise: what is refused, and with which words, is what would be refused if it were read as a tree; what the tree says
//! and what passes as bytes is the same. The parameters are read; the conversation and its tools, which are nearly all of
//! a body, are looked through once for what the house must know of them ([`Marks`]) and stay where they are in the bytes.
//! People's own words, therefore absent from `Debug`.

mod marks;
mod walk;

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use serde::de::{DeserializeSeed as _, Deserializer as _, MapAccess, Visitor};
use serde_json::{Map, Value, value::RawValue};

pub(crate) use self::marks::Marks;
use self::walk::{Found, Walk};

/// Members that may be long and stay unread.
pub(crate) const LONG: [&str; 6] = ["messages", "input", "contents", "tools", "system", "instructions"];
/// The one among them that is no conversation.
const TOOLS: &str = "tools";
/// What JSON may have more of a number than the client wrote: `1e9` becomes `1000000000.0`.
const LONGEST_NUMBER: u64 = 24;

/// A request's body, a JSON object. Cheap to clone.
#[derive(Clone, Default)]
pub struct RequestBody(Arc<Inner>);

#[derive(Default)]
struct Inner {
    /// As it was sent; empty where it was made here.
    text: Bytes,
    /// Its members, the long ones by something that stands for them; all of them as they are where it was made here.
    head: Map<String, Value>,
    long: Vec<Long>,
    found: Found,
    /// Everything; made when somebody asks for it.
    tree: OnceLock<Map<String, Value>>,
}

/// A member that is not read.
struct Long {
    name: &'static str,
    /// Of the value, in the text.
    place: Range<usize>,
}

/// How long a body is as JSON without spaces, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Length {
    /// Certainly no more.
    pub at_most: u64,
    /// Nearly: texts count as what they say and not as they are written.
    pub about: u64,
}

/// Why something is no body.
#[derive(Debug, thiserror::Error)]
pub enum UnreadableBody {
    /// It is no JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// It is something else than an object.
    #[error("not an object")]
    NoObject,
}

impl RequestBody {
    /// Reads what a client sent.
    ///
    /// # Errors
    /// It is no JSON object.
    pub fn read(text: Bytes) -> Result<Self, UnreadableBody> {
        if let Some((head, long, found)) = head(&text) {
            return Ok(Self(Arc::new(Inner { text, head, long, found, tree: OnceLock::new() })));
        }
        // Only to say what is wrong with it.
        match serde_json::from_slice(&text)? {
            Value::Object(body) => Ok(body.into()),
            _ => Err(UnreadableBody::NoObject),
        }
    }

    /// Its parameters. Whatever may be long stands there as something of the same type: an array that has elements as
    /// an array of one `null`, an object and a text as empty ones.
    #[must_use]
    pub fn head(&self) -> &Map<String, Value> {
        &self.0.head
    }

    /// Everything that it says.
    #[must_use]
    pub fn tree(&self) -> &Map<String, Value> {
        let Inner { text, head, long, tree, .. } = &*self.0;
        if long.is_empty() {
            return head;
        }
        // It was read before.
        tree.get_or_init(|| serde_json::from_slice(text).unwrap_or_else(|_| head.clone()))
    }

    /// The same, to be changed.
    #[must_use]
    pub fn into_tree(self) -> Map<String, Value> {
        match Arc::try_unwrap(self.0) {
            Ok(Inner { head, long, .. }) if long.is_empty() => head,
            Ok(Inner { text, head, tree, .. }) => {
                tree.into_inner().unwrap_or_else(|| serde_json::from_slice(&text).unwrap_or(head))
            }
            Err(shared) => Self(shared).tree().clone(),
        }
    }

    /// How long it is.
    #[must_use]
    pub fn length(&self) -> Length {
        let Inner { text, found, head, .. } = &*self.0;
        if text.is_empty() {
            let bytes = written_length(head);
            return Length { at_most: bytes, about: bytes };
        }
        let whole = text.len() as u64;
        let at_most = whole.saturating_add(found.fractions.saturating_mul(LONGEST_NUMBER));
        Length { at_most, about: whole.saturating_sub(found.bytes).saturating_add(found.said) }
    }

    /// Whether there is a picture, a recording or a file in its conversation: what has a price of its own, whatever its
    /// length.
    #[must_use]
    pub fn has_flat_parts(&self) -> bool {
        self.marks().any(Marks::FLAT)
    }

    /// Whether it may bring results of tools.
    #[must_use]
    pub fn may_bring_results(&self) -> bool {
        self.marks().any(Marks::RESULTS)
    }

    /// What was found in its long members.
    pub(crate) fn marks(&self) -> Marks {
        self.0.found.marks
    }

    /// Whether the member with this name stays unread.
    pub(crate) fn keeps(&self, name: &str) -> bool {
        self.0.long.iter().any(|long| long.name == name)
    }

    /// `body`, which was [`Self::head`] and may have been changed since, as JSON with what stands for long members
    /// replaced by them.
    pub(crate) fn write(&self, body: &Map<String, Value>) -> serde_json::Result<Vec<u8>> {
        let Inner { text, head, long, .. } = &*self.0;
        let mut out = Vec::with_capacity(text.len() + 64);
        out.push(b'{');
        for (name, value) in body {
            if out.len() > 1 {
                out.push(b',');
            }
            serde_json::to_writer(&mut out, name)?;
            out.push(b':');
            let kept = long.iter().find(|long| long.name == name && head.get(name) == Some(value));
            match kept.and_then(|long| text.get(long.place.clone())) {
                Some(bytes) => out.extend_from_slice(bytes),
                None => serde_json::to_writer(&mut out, value)?,
            }
        }
        out.push(b'}');
        Ok(out)
    }
}

/// One that was made here.
impl From<Map<String, Value>> for RequestBody {
    fn from(head: Map<String, Value>) -> Self {
        let mut found = Found::default();
        for name in LONG {
            let Some(value) = head.get(name) else { continue };
            let mut of_member = Found::default();
            // Deeper than anybody may send: everything may be in it.
            let is_read = Walk::of(&mut of_member).deserialize(value).is_ok();
            found.add(name == TOOLS, if is_read { of_member } else { Found { marks: Marks::ALL, ..of_member } });
        }
        Self(Arc::new(Inner { head, found, ..Inner::default() }))
    }
}

impl PartialEq for RequestBody {
    fn eq(&self, other: &Self) -> bool {
        self.tree() == other.tree()
    }
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestBody({} members)", self.0.head.len())
    }
}

type Head = (Map<String, Value>, Vec<Long>, Found);

/// The parts of a body that can be read; `None` of everything else.
fn head(text: &[u8]) -> Option<Head> {
    let text = std::str::from_utf8(text).ok()?;
    let mut json = serde_json::Deserializer::from_str(text);
    let head = json.deserialize_map(Members { text }).ok()?;
    json.end().ok()?;
    Some(head)
}

struct Members<'t> {
    text: &'t str,
}

impl<'t> Visitor<'t> for Members<'t> {
    type Value = Head;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'t>>(self, mut members: A) -> Result<Head, A::Error> {
        let (mut head, mut long, mut all) = (Map::new(), Vec::<Long>::new(), Found::default());
        while let Some(name) = members.next_key::<String>()? {
            let Some(known) = LONG.into_iter().find(|known| *known == name) else {
                head.insert(name, members.next_value()?);
                continue;
            };
            let raw: &'t RawValue = members.next_value()?;
            let (value, is_long) = standing_for(raw).map_err(serde::de::Error::custom)?;
            // Of members with the same name the last one counts.
            long.retain(|long| long.name != known);
            if is_long {
                let mut found = Found::default();
                Walk::of(&mut found)
                    .deserialize(&mut serde_json::Deserializer::from_str(raw.get()))
                    .map_err(serde::de::Error::custom)?;
                all.add(known == TOOLS, Found { bytes: raw.get().len() as u64, ..found });
                long.push(Long { name: known, place: place(self.text, raw.get()) });
            }
            head.insert(name, value);
        }
        Ok((head, long, all))
    }
}

/// Where in `text` a part of it is.
fn place(text: &str, part: &str) -> Range<usize> {
    let start = (part.as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
    start..start + part.len()
}

/// What stands for a long member, and whether it does; a short one is itself.
fn standing_for(raw: &RawValue) -> serde_json::Result<(Value, bool)> {
    let text = raw.get();
    Ok(match text.as_bytes() {
        [b'[', inner @ .., b']'] if inner.iter().all(u8::is_ascii_whitespace) => (Value::Array(vec![]), true),
        [b'[', ..] => (Value::Array(vec![Value::Null]), true),
        [b'{', ..] => (Value::Object(Map::new()), true),
        [b'"', ..] => (Value::String(String::new()), true),
        _ => (serde_json::from_str(text)?, false),
    })
}

/// The bytes that an object has as JSON.
fn written_length(body: &Map<String, Value>) -> u64 {
    struct Counting(u64);
    impl std::io::Write for Counting {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len() as u64;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut bytes = Counting(0);
    // What cannot be written is longer than anything.
    serde_json::to_writer(&mut bytes, body).map_or(u64::MAX, |()| bytes.0)
}

#[cfg(test)]
mod spec;
