//! Looks through a value without taking it apart: whether all of it can be read, how much it says, and what is in it.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::Marks;

/// Arrays and objects within each other, at most: as deep as a tree is read, less the body around them.
const MAX_DEPTH: u8 = 126;
/// What begins the type of a part that has a price of its own, whatever its length.
const FLAT: [&str; 6] = ["image", "input_", "audio", "file", "document", "video"];
/// The one that begins so and is a text.
const INPUT_TEXT: &str = "input_text";
/// Begins a signature that only we can read.
const CARRIED: &str = crate::dialects::common::CARRIED;

/// What was found.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Found {
    pub(super) marks: Marks,
    /// Bytes of what it says, with about as much for its form as JSON has.
    pub(super) said: u64,
    /// Bytes that it has.
    pub(super) bytes: u64,
    /// Numbers that are no integers.
    pub(super) fractions: u64,
}

impl Found {
    /// What was found in one more member.
    pub(super) fn add(&mut self, is_tools: bool, more: Self) {
        self.marks = self.marks | if is_tools { more.marks.in_tools() } else { more.marks };
        self.said += more.said;
        self.bytes += more.bytes;
        self.fractions += more.fractions;
    }

    fn mark(&mut self, mark: Marks) {
        self.marks = self.marks | mark;
    }

    /// Something with so many bytes, and what JSON puts around it.
    fn says(&mut self, bytes: usize, around: u64) {
        self.said += bytes as u64 + around;
    }
}

/// Looks through one value.
pub(super) struct Walk<'f> {
    found: &'f mut Found,
    depth: u8,
    under: Under,
}

/// The name under which a value stands, as far as it matters.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Under {
    Type,
    Role,
    Content,
    Other,
}

impl<'f> Walk<'f> {
    pub(super) const fn of(found: &'f mut Found) -> Self {
        Self { found, depth: 0, under: Under::Other }
    }

    /// One level deeper.
    fn deeper<E: Error>(&self) -> Result<u8, E> {
        if self.depth < MAX_DEPTH { Ok(self.depth + 1) } else { Err(E::custom("recursion limit exceeded")) }
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        value.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.found.says(text.len(), 3);
        match self.under {
            Under::Type if FLAT.iter().any(|flat| text.starts_with(flat)) && text != INPUT_TEXT => {
                self.found.mark(Marks::FLAT);
            }
            Under::Type if text == "reasoning" => self.found.mark(Marks::REASONING_ITEMS),
            Under::Role if text == "developer" => self.found.mark(Marks::DEVELOPER),
            _ if text.starts_with(CARRIED) => self.found.mark(Marks::CARRIED),
            _ => {}
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let depth = self.deeper()?;
        self.found.says(0, 3);
        if self.under == Under::Content {
            self.found.mark(Marks::PARTS);
        }
        while items.next_element_seed(Walk { found: &mut *self.found, depth, under: Under::Other })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        let depth = self.deeper()?;
        self.found.says(0, 3);
        while let Some(under) = fields.next_key_seed(Name(&mut *self.found))? {
            fields.next_value_seed(Walk { found: &mut *self.found, depth, under })?;
        }
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        self.found.says(5, 1);
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        self.found.says(4, 1);
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        self.found.says(4, 1);
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        self.found.says(4, 1);
        self.found.fractions += 1;
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.found.says(4, 1);
        Ok(())
    }
}

/// The name of a field.
struct Name<'f>(&'f mut Found);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Under;

    fn deserialize<D: Deserializer<'de>>(self, name: D) -> Result<Under, D::Error> {
        name.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name<'_> {
    type Value = Under;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Under, E> {
        self.0.says(name.len(), 3);
        let mark = match name {
            "type" => return Ok(Under::Type),
            "role" => return Ok(Under::Role),
            "content" => return Ok(Under::Content),
            "inlineData" | "fileData" | "inline_data" | "file_data" => Marks::FLAT,
            "tool_call_id" | "tool_use_id" | "call_id" | "functionResponse" => Marks::RESULTS,
            "name" => Marks::NAMES,
            "cache_control" => Marks::CACHE_CONTROL,
            "reasoning_content" | "reasoning" | "reasoning_details" => Marks::THOUGHTS,
            "extra_content" => Marks::EXTRA_CONTENT,
            "strict" => Marks::STRICT,
            "functionCall" | "thoughtSignature" => Marks::GOOGLE_CALLS,
            _ => Marks::NONE,
        };
        self.0.mark(mark | Marks::SNAKE_CASE.when(name.contains('_')));
        Ok(Under::Other)
    }
}
