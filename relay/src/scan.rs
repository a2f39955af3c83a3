//! JSON looked through where it stands, for those few documents that come with every call: nothing is kept of it but what
//! whoever looks asks for.
//!
//! Promise: what is looked through to its end without `None` is JSON as RFC 8259 has it, and means what was told. What is
//! seldom, such as names with escapes or values within more than [`DEEPEST`] others, is left to a parser: it is `None`, too.

use std::ops::Range;

/// Values within values that are skipped, at most.
const DEEPEST: u8 = 60;

/// A place in a document.
pub(crate) struct Scan<'a> {
    text: &'a str,
    at: usize,
}

/// A text as it is written, and how long it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Text<'a> {
    /// Between its quotes.
    pub(crate) written: &'a str,
    /// The bytes of what it says.
    pub(crate) bytes: usize,
}

impl<'a> Scan<'a> {
    pub(crate) const fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// Nothing follows.
    pub(crate) fn end(mut self) -> Option<()> {
        self.peek().is_none().then_some(())
    }

    /// An object. `member` is told the name of each member, and has to read its value.
    pub(crate) fn object(&mut self, mut member: impl FnMut(&mut Self, &'a str) -> Option<()>) -> Option<()> {
        self.take(b'{')?;
        if self.peek()? == b'}' {
            self.at += 1;
            return Some(());
        }
        loop {
            let Text { written, bytes } = self.text()?;
            if bytes != written.len() {
                return None;
            }
            self.take(b':')?;
            member(self, written)?;
            if self.ends(b'}')? {
                return Some(());
            }
        }
    }

    /// An array. `element` has to read one.
    pub(crate) fn array(&mut self, mut element: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.take(b'[')?;
        if self.peek()? == b']' {
            self.at += 1;
            return Some(());
        }
        loop {
            element(self)?;
            if self.ends(b']')? {
                return Some(());
            }
        }
    }

    /// `null`, or what `read` reads.
    pub(crate) fn or_null<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        if self.peek()? == b'n' { self.word("null").map(|()| None) } else { read(self).map(Some) }
    }

    /// A text.
    pub(crate) fn text(&mut self) -> Option<Text<'a>> {
        self.take(b'"')?;
        let start = self.at;
        let mut unsaid = 0;
        loop {
            self.at = plain(self.text.as_bytes(), self.at);
            match self.bump()? {
                b'"' => break,
                b'\\' => unsaid += self.escape()?,
                _ => return None,
            }
        }
        let written = self.text.get(start..self.at - 1)?;
        Some(Text { written, bytes: written.len() - unsaid })
    }

    /// A whole number that is not negative.
    pub(crate) fn number(&mut self) -> Option<u64> {
        let place = self.skip()?;
        let digits = self.text.get(place)?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
    }

    /// Any value; where it stands.
    pub(crate) fn skip(&mut self) -> Option<Range<usize>> {
        self.skip_within(DEEPEST)
    }

    fn skip_within(&mut self, depth: u8) -> Option<Range<usize>> {
        let (first, start) = (self.peek()?, self.at);
        let deeper = depth.checked_sub(1)?;
        match first {
            b'"' => drop(self.text()?),
            b'{' => self.object(|scan, _| scan.skip_within(deeper).map(drop))?,
            b'[' => self.array(|scan| scan.skip_within(deeper).map(drop))?,
            b't' => self.word("true")?,
            b'f' => self.word("false")?,
            b'n' => self.word("null")?,
            _ => self.any_number()?,
        }
        Some(start..self.at)
    }

    /// What an escape after its backslash is longer than what it says.
    fn escape(&mut self) -> Option<usize> {
        match self.bump()? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(1),
            b'u' => match self.unit()? {
                0..0x80 => Some(5),
                0x80..0x800 => Some(4),
                0xd800..0xdc00 if self.bump()? == b'\\' && self.bump()? == b'u' => {
                    matches!(self.unit()?, 0xdc00..0xe000).then_some(8)
                }
                0xd800..0xe000 => None,
                _ => Some(3),
            },
            _ => None,
        }
    }

    /// Four hexadecimal digits.
    fn unit(&mut self) -> Option<u16> {
        let digits = self.text.get(self.at..self.at + 4)?;
        self.at += 4;
        // A sign is no digit, and would be read.
        digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| u16::from_str_radix(digits, 16).ok())?
    }

    fn any_number(&mut self) -> Option<()> {
        if self.peek()? == b'-' {
            self.at += 1;
        }
        let is_zero = self.here() == Some(b'0');
        if self.digits()? > 1 && is_zero {
            return None;
        }
        if self.here() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.here(), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.here(), Some(b'+' | b'-')));
            self.digits()?;
        }
        Some(())
    }

    /// Digits, of which there is at least one; how many.
    fn digits(&mut self) -> Option<usize> {
        let start = self.at;
        while self.here().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        Some(self.at - start).filter(|many| *many > 0)
    }

    fn word(&mut self, word: &str) -> Option<()> {
        let is_there = self.text.as_bytes().get(self.at..)?.starts_with(word.as_bytes());
        self.at += word.len();
        is_there.then_some(())
    }

    /// Whether a list ends here with that byte, or else goes on.
    fn ends(&mut self, with: u8) -> Option<bool> {
        let byte = self.peek()?;
        self.at += 1;
        (byte == with || byte == b',').then_some(byte == with)
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        let is_there = self.peek()? == byte;
        self.at += 1;
        is_there.then_some(())
    }

    /// The next byte that is no space.
    fn peek(&mut self) -> Option<u8> {
        loop {
            let byte = self.here()?;
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    fn here(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn bump(&mut self) -> Option<u8> {
        let byte = self.here()?;
        self.at += 1;
        Some(byte)
    }
}

/// Where from `at` on the first quote, backslash or control character is, or the end. Eight bytes are looked at together:
/// of a word, the highest bit of its first byte that is one of these is set, and none before it.
fn plain(bytes: &[u8], mut at: usize) -> usize {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGHEST: u64 = ONES << 7;
    while let Some(word) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let word = u64::from_le_bytes(*word);
        let is_zero = |word: u64| word.wrapping_sub(ONES) & !word;
        let is_control = word.wrapping_sub(ONES * 0x20) & !word;
        let found = (is_control | is_zero(word ^ (ONES * 0x22)) | is_zero(word ^ (ONES * 0x5c))) & HIGHEST;
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    let rest = bytes.get(at..).unwrap_or_default();
    let ends = |byte: &u8| *byte < 0x20 || matches!(byte, b'"' | b'\\');
    at + rest.iter().position(ends).unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn is_json(text: &str) -> bool {
        let mut scan = Scan::new(text);
        scan.skip().is_some() && scan.end().is_some()
    }

    #[test]
    fn what_is_json_is_known_and_what_is_not_is_not() {
        for text in
            ["{}", " [ ] ", "0", "-0.5e+10", "\"\\ud83d\\ude00\\n\"", "[1,{\"a\":[null,true,false,\"é\"]}]", "1E5"]
        {
            assert!(is_json(text) && serde_json::from_str::<Value>(text).is_ok(), "{text}");
        }
        for text in [
            "",
            "{",
            "[1,]",
            "{\"a\"}",
            "{\"a\":1,}",
            "01",
            "-",
            "1.",
            "1e",
            "+1",
            ".5",
            "nul",
            "\"",
            "\"\\x\"",
            "\"\\u12g4\"",
            "\"\\u+123\"",
            "\"\\ud800\"",
            "\"\\ud800\\u0041\"",
            "\"\\udc00\"",
            "\"\u{1}\"",
            "1 2",
            "{} x",
            "[1 2]",
            "{1:2}",
        ] {
            assert!(!is_json(text) && serde_json::from_str::<Value>(text).is_err(), "{text}");
        }
        assert!(!is_json(&"[".repeat(1_000_000)), "what is very deep is left to others");
    }

    #[test]
    fn the_length_of_a_text_is_that_of_what_it_says() {
        for text in ["", "plain text of more than eight bytes", "a\"\\\n\u{7}b", "é漢😀", "\u{7f}\u{80}\u{7ff}\u{800}"]
        {
            for written in [serde_json::to_string(text).unwrap(), escaped(text)] {
                let told = Scan::new(&written).text().unwrap();
                assert_eq!((told.bytes, told.written), (text.len(), &written[1..written.len() - 1]), "{written}");
            }
        }
    }

    /// Every character as its code.
    fn escaped(text: &str) -> String {
        let units: String = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
        format!("\"{units}\"")
    }

    #[test]
    fn numbers_are_those_that_fit() {
        let number = |text| Scan::new(text).number();
        assert_eq!((number("18446744073709551615"), number(" 7 "), number("0")), (Some(u64::MAX), Some(7), Some(0)));
        for text in ["18446744073709551616", "-1", "1.0", "1e2", "\"1\"", "null"] {
            assert_eq!(number(text), None, "{text}");
        }
    }

    proptest! {
        /// Bytes of JSON in any order: whatever is taken is JSON, and what is JSON and has no escapes is taken.
        #[test]
        fn it_takes_what_a_parser_takes(
            text in r#"([\[\]{}:,"0-9.eE+\-]|\\u[0-9a-dA-D]{4}|\\[nt"]|true|null|"a"|[ é]){0,14}"#,
        ) {
            if is_json(&text) {
                prop_assert!(serde_json::from_str::<&serde_json::value::RawValue>(&text).is_ok());
            } else if !text.contains('\\') {
                prop_assert!(serde_json::from_str::<Value>(&text).is_err());
            }
        }
    }
}
