//! Server-sent events as providers send them, read with limits.
//!
//! Bytes in, events out, whatever the packets were: a line is looked at once it is whole, so a code point that arrives in
//! two packets is never broken. A line or an event beyond its limit, and data that is not UTF-8, end the stream. Nothing
//! waits here: who reads knows by [`Parser::heard_a_line`] that the other side lives, also by its comments (`: ping`).

use std::borrow::Cow;
use std::ops::Range;

use memchr::memchr;

/// One event. Ids are not used by any provider here.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Event<'p> {
    /// The `event` field.
    pub(crate) name: Option<Cow<'p, str>>,
    pub(crate) data: Cow<'p, str>,
    /// False where the connection ended before the empty line that completes an event.
    pub(crate) complete: bool,
}

/// A limit was passed or the text is not UTF-8; the text says which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Garbage(pub(crate) &'static str);

/// Makes events of bytes. Holds at most what was pushed and not yet read, one line and the data of one event.
pub(crate) struct Parser {
    buffer: Vec<u8>,
    /// Where the next line begins.
    start: usize,
    /// From the next line's begin, how far there is no end of a line.
    scanned: usize,
    max_bytes: usize,
    name: Option<Text>,
    data: Option<Text>,
    heard_a_line: bool,
    is_at_end: bool,
}

/// The text of a field until its event is complete.
enum Text {
    /// There in the buffer: nearly always.
    Within(Range<usize>),
    /// Of several lines, or of an earlier packet.
    Gathered(Vec<u8>),
}

impl Parser {
    /// Of lines, and of events, of at most `max_bytes`.
    pub(crate) fn new(max_bytes: usize) -> Self {
        Self {
            buffer: Vec::new(),
            start: 0,
            scanned: 0,
            max_bytes,
            name: None,
            data: None,
            heard_a_line: false,
            is_at_end: false,
        }
    }

    /// Takes what came next.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        for text in [&mut self.name, &mut self.data] {
            *text = text.take().map(|text| Text::Gathered(text.gathered(&self.buffer)));
        }
        // What was read is forgotten once for each packet and not for each line.
        drop(self.buffer.drain(..self.start));
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// Nothing more comes.
    pub(crate) fn end(&mut self) {
        self.is_at_end = true;
    }

    /// Whether a whole line was read since this was last asked.
    pub(crate) fn heard_a_line(&mut self) -> bool {
        std::mem::take(&mut self.heard_a_line)
    }

    /// The next event that has data; `None` where more must come first, or nothing more comes.
    ///
    /// # Errors
    /// Nothing after this can be read.
    pub(crate) fn next(&mut self) -> Result<Option<Event<'_>>, Garbage> {
        let complete = loop {
            match self.line()? {
                Some((from, to)) if from < to => self.field(from, to)?,
                // A name without data is forgotten.
                Some(_) if self.data.is_none() => self.name = None,
                Some(_) => break true,
                None if self.is_at_end => break false,
                None => return Ok(None),
            }
        };
        let (name, data) = (self.name.take(), self.data.take());
        let Some(data) = data else { return Ok(None) };
        let name = name.map(|name| name.read(&self.buffer)).transpose()?;
        Ok(Some(Event { name, data: data.read(&self.buffer)?, complete }))
    }

    /// Where the next line is, without its end.
    fn line(&mut self) -> Result<Option<(usize, usize)>, Garbage> {
        let too_long = Garbage("a line is too long");
        let rest = self.buffer.get(self.start + self.scanned..).unwrap_or_default();
        let (to, next) = match memchr(b'\n', rest) {
            Some(at) => (self.start + self.scanned + at, self.start + self.scanned + at + 1),
            None if rest.len() + self.scanned > self.max_bytes => return Err(too_long),
            None if self.is_at_end && self.start < self.buffer.len() => (self.buffer.len(), self.buffer.len()),
            None => {
                self.scanned += rest.len();
                return Ok(None);
            }
        };
        let from = self.start;
        if to - from > self.max_bytes {
            return Err(too_long);
        }
        (self.start, self.scanned, self.heard_a_line) = (next, 0, true);
        let ends_in_return = to > from && self.buffer.get(to - 1) == Some(&b'\r');
        Ok(Some((from, to - usize::from(ends_in_return))))
    }

    /// Takes note of a line that is not empty.
    fn field(&mut self, from: usize, to: usize) -> Result<(), Garbage> {
        let line = self.buffer.get(from..to).unwrap_or_default();
        let line = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line);
        if let Some(value) = value_of(line, b"data") {
            self.data = Some(match self.data.take() {
                None => Text::Within(to - value.len()..to),
                Some(data) if data.len() + value.len() > self.max_bytes => {
                    return Err(Garbage("an event is too long"));
                }
                Some(data) => {
                    let mut gathered = data.gathered(&self.buffer);
                    gathered.push(b'\n');
                    gathered.extend_from_slice(value);
                    Text::Gathered(gathered)
                }
            });
        } else if let Some(value) = value_of(line, b"event") {
            self.name = Some(Text::Within(to - value.len()..to));
        }
        Ok(())
    }
}

impl Text {
    fn len(&self) -> usize {
        match self {
            Self::Within(range) => range.len(),
            Self::Gathered(bytes) => bytes.len(),
        }
    }

    /// Its bytes, out of the buffer.
    fn gathered(self, buffer: &[u8]) -> Vec<u8> {
        match self {
            Self::Within(range) => buffer.get(range).unwrap_or_default().to_vec(),
            Self::Gathered(bytes) => bytes,
        }
    }

    fn read(self, buffer: &[u8]) -> Result<Cow<'_, str>, Garbage> {
        let garbage = Garbage("the text is not UTF-8");
        match self {
            Self::Within(range) => {
                let bytes = buffer.get(range).unwrap_or_default();
                std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(|_| garbage)
            }
            Self::Gathered(bytes) => String::from_utf8(bytes).map(Cow::Owned).map_err(|_| garbage),
        }
    }
}

/// The value of the field `name`, without the one space that may follow the colon.
fn value_of<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let value = line.strip_prefix(name)?.strip_prefix(b":")?;
    Some(value.strip_prefix(b" ").unwrap_or(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes of these packets, up to the first that cannot be read.
    fn read(packets: &[&[u8]], max_bytes: usize) -> Vec<Result<Event<'static>, Garbage>> {
        let mut parser = Parser::new(max_bytes);
        let mut events = Vec::new();
        for packet in packets.iter().copied().map(Some).chain([None]) {
            match packet {
                Some(packet) => parser.push(packet),
                None => parser.end(),
            }
            while let Some(event) = parser.next().transpose() {
                let failed = event.is_err();
                events.push(event.map(|event| Event {
                    name: event.name.map(|name| name.into_owned().into()),
                    data: event.data.into_owned().into(),
                    complete: event.complete,
                }));
                if failed {
                    return events;
                }
            }
        }
        events
    }

    fn event(data: &str) -> Result<Event<'_>, Garbage> {
        Ok(Event { name: None, data: data.into(), complete: true })
    }

    #[test]
    fn a_code_point_split_over_two_packets_arrives_whole() {
        let text = "data: 你好\n\n".as_bytes();
        assert_eq!(read(&[&text[..7], &text[7..8], &text[8..]], 1024), [event("你好")]);
    }

    #[test]
    fn events_are_the_same_however_their_bytes_are_cut() {
        let text = "\u{feff}: hi\r\nevent: x\r\ndata: 你\r\ndata:好\r\n\r\ndata: b\n\n\ndata: c".as_bytes();
        let whole = read(&[text], 1024);
        assert_eq!(whole.len(), 3);
        for at in 0..=text.len() {
            let (before, after) = text.split_at(at);
            assert_eq!(read(&[before, after], 1024), whole, "cut at {at}");
        }
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(read(&bytes, 1024), whole);
    }

    #[test]
    fn several_data_lines_are_one_event_and_comments_and_other_fields_are_none() {
        let events = read(&[b": ping\n\nevent: x\nid: 1\ndata: a\ndata:b\n\n\n\nretry: 5\n\n"], 1024);
        assert_eq!(events, [Ok(Event { name: Some("x".into()), data: "a\nb".into(), complete: true })]);
    }

    #[test]
    fn a_name_without_data_is_forgotten_with_its_event() {
        assert_eq!(read(&[b"event: x\n\ndata: a\n\n"], 1024), [event("a")]);
    }

    #[test]
    fn carriage_returns_and_a_byte_order_mark_do_not_matter() {
        let events = read(&["\u{feff}data: a\r\n\r\n".as_bytes(), b"data: b\r\n\r\n"], 1024);
        assert_eq!(events, [event("a"), event("b")]);
    }

    #[test]
    fn an_event_without_its_empty_line_is_given_as_incomplete() {
        let events = read(&[b"data: [DONE]"], 1024);
        assert_eq!(events, [Ok(Event { name: None, data: "[DONE]".into(), complete: false })]);
    }

    #[test]
    fn a_line_beyond_the_limit_ends_the_stream_whether_it_is_whole_or_not() {
        let too_long = [Err(Garbage("a line is too long"))];
        assert_eq!(read(&[b"data: 0123456789"], 8), too_long);
        assert_eq!(read(&[b"data: 0123456789\n\n"], 8), too_long);
        assert_eq!(read(&[b"data", b": 01", b"2345"], 8), too_long);
    }

    #[test]
    fn an_event_of_many_short_lines_beyond_the_limit_ends_the_stream() {
        let events = read(&[b"data: 012345\ndata: 6789ab\ndata: cdef\n\n"], 14);
        assert_eq!(events, [Err(Garbage("an event is too long"))]);
    }

    #[test]
    fn data_that_is_not_utf8_ends_the_stream() {
        assert_eq!(read(&[b"data: \xff\xfe\n\n"], 1024), [Err(Garbage("the text is not UTF-8"))]);
    }

    #[test]
    fn comments_are_signs_of_life_and_half_a_line_is_none() {
        let mut parser = Parser::new(1024);
        parser.push(b": still he");
        assert_eq!(parser.next(), Ok(None));
        assert!(!parser.heard_a_line());
        parser.push(b"re\n");
        assert_eq!(parser.next(), Ok(None));
        assert!(parser.heard_a_line() && !parser.heard_a_line());
    }
}
