//! Events of one stream that differ in nothing but a piece of text: known by the bytes around it.
//!
//! Promise: an event is taken by its template only where whoever learned the template would have read the same from it,
//! but for the text: the bytes before and after are those of an event that was read, and what lies between them is the
//! inside of one JSON string that is not empty. Whatever else comes is read.

use std::borrow::Cow;

use crate::count::Generated;

/// What surrounds the text of an event that was read.
#[derive(Default)]
pub(super) struct Template {
    /// Up to and including the quote that opens the text; empty as long as nothing was learned.
    before: String,
    /// From the quote that closes it.
    after: String,
    /// Thoughts and no answer.
    is_thought: bool,
}

/// The text of an event that fits.
pub(super) struct Fitting<'a> {
    /// As it is written within its quotes.
    pub(super) written: &'a str,
    /// As it is meant.
    text: Cow<'a, str>,
    is_thought: bool,
}

impl Template {
    /// Learns from an event that says `text`, which is a piece of `data` without anything escaped in it; what is not is
    /// not learned.
    pub(super) fn learn(&mut self, data: &str, text: &str, is_thought: bool) -> Option<()> {
        self.forget();
        let start = (text.as_ptr() as usize).checked_sub(data.as_ptr() as usize)?;
        let (before, after) = (data.get(..start)?, data.get(start.checked_add(text.len())?..)?);
        if before.ends_with('"') && after.starts_with('"') {
            self.before.push_str(before);
            self.after.push_str(after);
            self.is_thought = is_thought;
        }
        Some(())
    }

    /// Fits nothing any more.
    pub(super) fn forget(&mut self) {
        self.before.clear();
        self.after.clear();
    }

    /// What stands before the text, and behind it.
    pub(super) fn around(&self) -> Option<(&str, &str)> {
        (!self.before.is_empty()).then_some((&self.before, &self.after))
    }

    /// The text of an event that differs in it alone.
    pub(super) fn fit<'a>(&self, data: &'a str) -> Option<Fitting<'a>> {
        let (before, after) = self.around()?;
        let written = data.strip_prefix(before)?.strip_suffix(after)?;
        if written.is_empty() {
            return None;
        }
        let is_plain = |byte: &u8| *byte >= b' ' && *byte != b'"' && *byte != b'\\';
        let text = if written.as_bytes().iter().all(is_plain) {
            Cow::Borrowed(written)
        } else {
            // With its quotes: one that is escaped at the end would close nothing.
            let quoted = data.get(before.len() - 1..data.len() - after.len() + 1)?;
            Cow::Owned(serde_json::from_str(quoted).ok()?)
        };
        Some(Fitting { written, text, is_thought: self.is_thought })
    }
}

impl Fitting<'_> {
    /// Takes note of what was generated.
    pub(super) fn add_to(&self, generated: &mut Generated) {
        generated.add(&self.text, self.is_thought);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn template(event: &str, text: &str) -> Template {
        let mut template = Template::default();
        let at = event.find(text).unwrap();
        template.learn(event, &event[at..at + text.len()], false).unwrap();
        template
    }

    fn told(template: &Template, event: &str) -> Option<String> {
        let mut generated = Generated::default();
        template.fit(event)?.add_to(&mut generated);
        Some(generated.said)
    }

    #[test]
    fn an_event_that_differs_in_its_text_alone_fits_and_says_what_json_says() {
        let template = template(r#"{"a":"first","b":1}"#, "first");
        assert_eq!(told(&template, r#"{"a":"你好","b":1}"#).as_deref(), Some("你好"));
        assert_eq!(told(&template, r#"{"a":"\"\u4f60\n\\","b":1}"#).as_deref(), Some("\"你\n\\"));
    }

    #[test]
    fn what_is_not_one_string_between_the_same_bytes_does_not_fit() {
        let template = template(r#"{"a":"first","b":1}"#, "first");
        for event in [
            r#"{"a":"","b":1}"#,
            r#"{"a":"x\","b":1}"#,
            r#"{"a":"x","c":"y","b":1}"#,
            r#"{"a":"\ud800","b":1}"#,
            r#"{"a":"\x","b":1}"#,
            "{\"a\":\"x\ny\",\"b\":1}",
            r#"{"a":"x","b":2}"#,
            r#"{"A":"x","b":1}"#,
            r#"{"a":"#,
            "",
        ] {
            assert_eq!(told(&template, event), None, "{event}");
        }
        assert_eq!(told(&Template::default(), "x"), None, "nothing was learned");
    }

    #[test]
    fn a_text_that_is_no_piece_of_the_event_is_not_learned() {
        let mut template = Template::default();
        assert!(template.learn(r#"{"a":"first"}"#, "elsewhere", false).is_none() || template.around().is_none());
        let event = r#"{"a":"first"}"#;
        template.learn(event, &event[6..8], false);
        assert!(template.around().is_none(), "half a string is none");
    }

    proptest! {
        #[test]
        fn whatever_fits_is_read_by_a_json_parser_the_same(inside in r#"[a-z"\\nu0-9{}:,\x00-\x1f你 ]{0,12}"#) {
            let template = template(r#"{"a":"first","b":1}"#, "first");
            let event = format!(r#"{{"a":"{inside}","b":1}}"#);
            if let Some(text) = told(&template, &event) {
                let read: serde_json::Value = serde_json::from_str(&event).unwrap();
                prop_assert_eq!(&read["a"], &text);
                prop_assert_eq!(read.as_object().unwrap().len(), 2);
            }
        }

        #[test]
        fn every_string_that_is_not_empty_fits(text in ".{1,12}") {
            let template = template(r#"{"a":"first","b":1}"#, "first");
            let event = format!(r#"{{"a":{},"b":1}}"#, serde_json::Value::from(text.as_str()));
            prop_assert_eq!(told(&template, &event), Some(text));
        }
    }
}
