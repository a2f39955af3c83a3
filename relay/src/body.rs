//! The body of a client's request: read once, and taken apart only as far as anybody wants to know.
//!
//! Promise: what is refused, and with which words, is what would be refused if it were read as a tree; what the tree says
//! and what passes as bytes is the same. The parameters are read; the conversation and its tools, which are nearly all of
//! a body, are looked through once for what the house must know of them ([`Marks`]) and stay where they are in the bytes.
//! People's own words, therefore absent from `Debug`.

mod marks;
mod read;
mod walk;

use std::fmt;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use serde::de::DeserializeSeed as _;
use serde_json::{Map, Value};

pub(crate) use self::marks::Marks;
use self::read::{Member, read};
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
    /// As it was sent; empty where it was made here, or is read as a tree.
    text: Bytes,
    /// Of the text.
    members: Vec<Member>,
    found: Found,
    /// Everything; made when somebody asks for it, where there is a text.
    tree: OnceLock<Map<String, Value>>,
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
        if let Some((members, found)) = read(&text) {
            return Ok(Self(Arc::new(Inner { text, members, found, tree: OnceLock::new() })));
        }
        // Nearly always only to say what is wrong with it.
        match serde_json::from_slice(&text)? {
            Value::Object(body) => Ok(body.into()),
            _ => Err(UnreadableBody::NoObject),
        }
    }

    /// One of its parameters. Whatever may be long stands there as something of the same type: an array that has elements
    /// as an array of one `null`, an object and a text as empty ones.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        match self.0.text.is_empty() {
            true => self.tree().get(name),
            false => self.member(name).map(|member| &member.value),
        }
    }

    /// All of its parameters, as [`Self::get`] tells them.
    #[must_use]
    pub fn head(&self) -> Map<String, Value> {
        let Inner { text, members, .. } = &*self.0;
        if text.is_empty() {
            return self.tree().clone();
        }
        let name = |member: &Member| String::from_utf8_lossy(member.name(text)).into_owned();
        members.iter().map(|member| (name(member), member.value.clone())).collect()
    }

    /// Of members with the same name the last one counts.
    fn member(&self, name: &str) -> Option<&Member> {
        let Inner { text, members, .. } = &*self.0;
        members.iter().rfind(|member| member.name(text) == name.as_bytes())
    }

    /// Everything that it says.
    #[must_use]
    pub fn tree(&self) -> &Map<String, Value> {
        // It was read before.
        self.0.tree.get_or_init(|| serde_json::from_slice(&self.0.text).unwrap_or_default())
    }

    /// The same, to be changed.
    #[must_use]
    pub fn into_tree(self) -> Map<String, Value> {
        match Arc::try_unwrap(self.0) {
            Ok(Inner { text, tree, .. }) => {
                tree.into_inner().unwrap_or_else(|| serde_json::from_slice(&text).unwrap_or_default())
            }
            Err(shared) => Self(shared).tree().clone(),
        }
    }

    /// How long it is.
    #[must_use]
    pub fn length(&self) -> Length {
        let Inner { text, found, .. } = &*self.0;
        if text.is_empty() {
            let bytes = written_length(self.tree());
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
        self.member(name).is_some_and(|member| member.is_long)
    }

    /// `body`, which was [`Self::head`] and may have been changed since, as JSON with what stands for long members
    /// replaced by them.
    pub(crate) fn write(&self, body: &Map<String, Value>) -> serde_json::Result<Vec<u8>> {
        let text = &self.0.text;
        let mut out = Vec::with_capacity(text.len() + 64);
        out.push(b'{');
        for (name, value) in body {
            if out.len() > 1 {
                out.push(b',');
            }
            serde_json::to_writer(&mut out, name)?;
            out.push(b':');
            match self.member(name).filter(|member| member.is_long && member.value == *value) {
                Some(member) => out.extend_from_slice(member.sent(text)),
                None => serde_json::to_writer(&mut out, value)?,
            }
        }
        out.push(b'}');
        Ok(out)
    }

    /// What was sent with these members of ours in the place of those of the same names, and of those that are `None` no
    /// trace. `None` where it cannot be told so: a member of it is not `left` as it is, or is there twice.
    pub(crate) fn with(
        &self,
        ours: &[(&str, Option<Value>)],
        left: impl Fn(&str, &Value) -> bool,
    ) -> Option<serde_json::Result<Vec<u8>>> {
        let Inner { text, members, .. } = &*self.0;
        let name = |member: &Member| member.name(text);
        let mut known = members.iter().enumerate();
        let is_once = known.all(|(at, one)| members.iter().skip(at + 1).all(|other| name(one) != name(other)));
        let is_ours = |member: &&Member| ours.iter().any(|(ours, _)| ours.as_bytes() == name(member));
        let is_left = |member: &Member| std::str::from_utf8(name(member)).is_ok_and(|name| left(name, &member.value));
        if text.is_empty() || !is_once || !members.iter().filter(|member| !is_ours(member)).all(is_left) {
            return None;
        }
        let theirs = members.iter().filter(|member| !is_ours(member)).map(|member| (name(member), member.sent(text)));
        Some(written(theirs, ours, text.len()))
    }
}

/// An object with these members, written already, and those.
fn written<'t>(
    theirs: impl Iterator<Item = (&'t [u8], &'t [u8])>,
    ours: &[(&str, Option<Value>)],
    about: usize,
) -> serde_json::Result<Vec<u8>> {
    let mut out = Vec::with_capacity(about + 64);
    for (name, value) in theirs {
        out.extend_from_slice(if out.is_empty() { b"{\"" } else { b",\"" });
        out.extend_from_slice(name);
        out.extend_from_slice(b"\":");
        out.extend_from_slice(value);
    }
    for (name, value) in ours.iter().filter_map(|(name, value)| value.as_ref().map(|value| (name, value))) {
        out.push(if out.is_empty() { b'{' } else { b',' });
        serde_json::to_writer(&mut out, name)?;
        out.push(b':');
        serde_json::to_writer(&mut out, value)?;
    }
    out.push(b'}');
    Ok(out)
}

/// One that was made here.
impl From<Map<String, Value>> for RequestBody {
    fn from(tree: Map<String, Value>) -> Self {
        let mut found = Found::default();
        for name in LONG {
            let Some(value) = tree.get(name) else { continue };
            let mut of_member = Found::default();
            // Deeper than anybody may send: everything may be in it.
            let is_read = Walk::of(&mut of_member).deserialize(value).is_ok();
            found.add(name == TOOLS, if is_read { of_member } else { Found { marks: Marks::ALL, ..of_member } });
        }
        Self(Arc::new(Inner { found, tree: tree.into(), ..Inner::default() }))
    }
}

impl PartialEq for RequestBody {
    fn eq(&self, other: &Self) -> bool {
        self.tree() == other.tree()
    }
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let members = if self.0.text.is_empty() { self.tree().len() } else { self.0.members.len() };
        write!(f, "RequestBody({members} members)")
    }
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
