//! A line of the log for people.
//!
//! Promise: it is, to the byte, what the library's own formatter writes without colours (a test compares them), at a third
//! of the cost: each request writes one. Whatever is not plain is left to the library.

use std::cell::{Cell, RefCell};
use std::fmt::{self, Write as _};
use std::time::{SystemTime, UNIX_EPOCH};

use chrono::DateTime;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::field::{RecordFields, VisitOutput as _};
use tracing_subscriber::fmt::format::{DefaultFields, DefaultVisitor, Format, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// Events that came from the crate `log` have this target; their own is among their fields.
const FROM_LOG: &str = "log";
/// A field without a name.
const MESSAGE: &str = "message";
/// More memory than for so long a line is not kept.
const LONG_LINE: usize = 16 * 1024;
/// Such fields are not written.
const LOG_FIELDS: &str = "log.";

/// Writes events.
#[derive(Default)]
pub(super) struct Line(Format);

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let (level, target) = (event.metadata().level(), event.metadata().target());
        if writer.has_ansi_escapes() || target == FROM_LOG {
            return self.0.format_event(context, writer, event);
        }
        composed(&mut writer, |line| {
            push_now(line);
            line.push_str(padded(*level));
            if let Some(scope) = context.event_scope() {
                for span in scope.from_root() {
                    line.push_str(span.metadata().name());
                    let extensions = span.extensions();
                    let fields = extensions.get::<FormattedFields<N>>();
                    if let Some(fields) = fields.filter(|fields| !fields.is_empty()) {
                        push_all(line, ["{", fields.fields.as_str(), "}"]);
                    }
                    line.push(':');
                }
                line.push(' ');
            }
            push_all(line, [target, ": "]);
            push_fields(line, event)?;
            line.push('\n');
            Ok(())
        })
    }
}

/// What `compose` makes in memory that is kept for the next line, written at once: a writer is called through a pointer.
fn composed(writer: &mut Writer<'_>, compose: impl FnOnce(&mut String) -> fmt::Result) -> fmt::Result {
    thread_local! {
        static TEXT: Cell<String> = const { Cell::new(String::new()) };
    }
    // Whoever logs while something is written down for the log finds an empty one.
    let mut text = TEXT.take();
    text.clear();
    let written = compose(&mut text).and_then(|()| writer.write_str(&text));
    if text.capacity() <= LONG_LINE {
        TEXT.set(text);
    }
    written
}

fn push_all<const N: usize>(line: &mut String, parts: [&str; N]) {
    for part in parts {
        line.push_str(part);
    }
}

fn padded(level: Level) -> &'static str {
    match level {
        Level::TRACE => " TRACE ",
        Level::DEBUG => " DEBUG ",
        Level::INFO => "  INFO ",
        Level::WARN => "  WARN ",
        Level::ERROR => " ERROR ",
    }
}

/// The moment in UTC, to the microsecond. Its text up to the second is kept as long as that is the same.
fn push_now(line: &mut String) {
    thread_local! {
        static SECOND: RefCell<(u64, String)> = RefCell::default();
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    SECOND.with_borrow_mut(|(second, text)| {
        if *second != now.as_secs() {
            let at = i64::try_from(now.as_secs()).ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0));
            *text = at.unwrap_or_default().format("%Y-%m-%dT%H:%M:%S.").to_string();
            *second = now.as_secs();
        }
        line.push_str(text);
    });
    // With a one before them, so that there are always six.
    let mut digits = itoa::Buffer::new();
    let digits = digits.format(1_000_000 + now.subsec_micros());
    push_all(line, [digits.get(1..).unwrap_or_default(), "Z"]);
}

/// Writes the fields of events and spans.
#[derive(Default)]
pub(super) struct Fields(DefaultFields);

impl<'w> FormatFields<'w> for Fields {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'w>, fields: R) -> fmt::Result {
        if writer.has_ansi_escapes() {
            return self.0.format_fields(writer, fields);
        }
        composed(&mut writer, |text| push_fields(text, fields))
    }
}

fn push_fields(text: &mut String, fields: impl RecordFields) -> fmt::Result {
    let mut visitor = Visitor { text, is_first: true, result: Ok(()) };
    fields.record(&mut visitor);
    visitor.result
}

struct Visitor<'t> {
    text: &'t mut String,
    is_first: bool,
    result: fmt::Result,
}

impl Visitor<'_> {
    /// `name=` and what `value` writes.
    fn named(&mut self, name: &str, value: impl FnOnce(&mut String) -> fmt::Result) {
        self.pad();
        push_all(self.text, [name, "="]);
        self.and(value);
    }

    fn pad(&mut self) {
        if !self.is_first {
            self.text.push(' ');
        }
        self.is_first = false;
    }

    fn and(&mut self, write: impl FnOnce(&mut String) -> fmt::Result) {
        if self.result.is_ok() {
            self.result = write(self.text);
        }
    }

    /// What the library writes for this field.
    fn usual(&mut self, field: &Field, record: impl FnOnce(&mut DefaultVisitor<'_>)) {
        let mut visitor = DefaultVisitor::new(Writer::new(self.text), self.is_first);
        record(&mut visitor);
        self.result = self.result.and(visitor.finish());
        self.is_first &= field.name().starts_with(LOG_FIELDS);
    }
}

/// Whether a field of this name is a name and a value.
fn is_plain_name(name: &str) -> bool {
    name != MESSAGE && !name.starts_with(LOG_FIELDS) && !name.starts_with("r#")
}

/// Whether it has no character but the printable ones of ASCII.
fn is_printable(text: &str) -> bool {
    // To the end whatever is found, so that many are looked at together.
    text.bytes().fold(true, |is_plain, byte| is_plain & matches!(byte, b' '..=b'~'))
}

/// Whether quoting is all that `Debug` does to it.
fn is_plain_text(text: &str) -> bool {
    is_printable(text) && text.bytes().fold(true, |is_plain, byte| is_plain & (byte != b'"') & (byte != b'\\'))
}

/// Whether `Debug` writes it without an exponent.
fn is_usual(value: f64) -> bool {
    (1e-4..1e15).contains(&value)
}

impl Visit for Visitor<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if is_plain_name(field.name()) && is_plain_text(value) {
            self.named(field.name(), |text| {
                push_all(text, ["\"", value, "\""]);
                Ok(())
            });
        } else {
            self.usual(field, |visitor| visitor.record_str(field, value));
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if is_plain_name(field.name()) {
            self.named(field.name(), |text| {
                text.push_str(itoa::Buffer::new().format(value));
                Ok(())
            });
        } else {
            self.usual(field, |visitor| visitor.record_u64(field, value));
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if is_plain_name(field.name()) && is_usual(value) {
            self.named(field.name(), |text| {
                text.push_str(zmij::Buffer::new().format_finite(value));
                Ok(())
            });
        } else {
            self.usual(field, |visitor| visitor.record_f64(field, value));
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.usual(field, |visitor| visitor.record_error(field, value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if is_plain_name(field.name()) {
            return self.named(field.name(), |text| write!(text, "{value:?}"));
        }
        let (before, was_first) = (self.text.len(), self.is_first);
        if field.name() == MESSAGE {
            self.pad();
            self.and(|text| write!(text, "{value:?}"));
        }
        if field.name() != MESSAGE || !self.text.get(before..).is_some_and(is_printable) {
            // It may have been written for the eyes of a terminal: then what it does there is written out.
            self.text.truncate(before);
            self.is_first = was_first;
            self.usual(field, |visitor| visitor.record_debug(field, value));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use tracing::{debug, error, info, info_span, warn};
    use tracing_subscriber::fmt::MakeWriter;

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Written {
        type Writer = Self;

        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    impl Written {
        /// Each line without its time, which is of this form.
        fn lines(&self) -> Vec<String> {
            let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
            let without_time = |line: &str| {
                let (time, rest) = line.split_once(' ').unwrap();
                assert_eq!(time.len(), "2026-11-22T16:39:39.123456Z".len(), "{line}");
                assert!(time.parse::<DateTime<chrono::Utc>>().is_ok(), "{line}");
                rest.to_owned()
            };
            text.lines().map(without_time).collect()
        }
    }

    fn log_everything() {
        let cause = io::Error::other("the cause");
        let error = io::Error::other(io::Error::new(io::ErrorKind::NotFound, cause));
        let absent: Option<&str> = None;
        let span =
            info_span!("http", request_id = "r-1", method = %"POST", route = "/v1/{id}", later = tracing::field::Empty);
        let _entered = span.enter();
        info!(status = 200_u16, code = absent, duration_ms = 1.25, is_new = true, below = -3, "answered");
        span.record("later", "now");
        let _inner = info_span!("inner").entered();
        warn!(text = "with \"quotes\", a \\ and\na line; 你好 \u{1b}[31m", shown = %"as \u{1b} it is", debug = ?[1, 2]);
        error!(error = &error as &dyn std::error::Error, r#type = "word", "message with \u{1b}[31m and {}", 7);
        debug!(target: "elsewhere", message = "text as a field", empty = "");
        info!(
            tiny = 1e-7,
            huge = 1e16,
            sum = 0.1 + 0.2,
            exact = 123_456.75,
            zero = 0.0,
            no = f64::NAN,
            most = u64::MAX,
            ""
        );
    }

    #[test]
    fn a_line_is_what_the_library_writes() {
        let (ours, theirs) = (Written::default(), Written::default());
        let builder = || tracing_subscriber::fmt().with_max_level(Level::TRACE).with_ansi(false);
        let line = builder().event_format(Line::default()).fmt_fields(Fields::default());
        tracing::subscriber::with_default(line.with_writer(ours.clone()).finish(), log_everything);
        tracing::subscriber::with_default(builder().with_writer(theirs.clone()).finish(), log_everything);
        assert_eq!(ours.lines(), theirs.lines());
        assert_eq!(ours.lines().len(), 5);
    }
}
