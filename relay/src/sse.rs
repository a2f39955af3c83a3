//! Server-sent events as providers send them, read with limits.
//!
//! Lines are split and decoded by a codec that waits for whole lines, so a code point that arrives in two packets is
//! never broken. A line or an event beyond its limit, and bytes that are not UTF-8, end the stream. Comments (`: ping`)
//! are signs of life: the idle limit counts from the last line of any kind.

use std::time::Duration;

use futures::StreamExt;
use tokio::io::AsyncRead;
use tokio_util::codec::{FramedRead, LinesCodec, LinesCodecError};

/// One event. Ids are not used by any provider here.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// The `event` field.
    pub(crate) name: Option<String>,
    pub(crate) data: String,
    /// False where the connection ended before the empty line that completes an event.
    pub(crate) complete: bool,
}

/// Why no further event can be read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ReadError {
    /// No line came within the idle limit.
    Idle,
    /// The transport failed before the body's end.
    Broken,
    /// A limit was passed or the bytes are not UTF-8; the text says which.
    Garbage(&'static str),
}

/// Reads events from a byte stream.
pub(crate) struct EventReader<R> {
    lines: FramedRead<R, LinesCodec>,
    max_bytes: usize,
}

impl<R: AsyncRead + Unpin> EventReader<R> {
    /// A reader that holds at most about twice `max_bytes`: one line, and the data of one event.
    pub(crate) fn new(source: R, max_bytes: usize) -> Self {
        Self { lines: FramedRead::new(source, LinesCodec::new_with_max_length(max_bytes)), max_bytes }
    }

    /// The next event that has data, or `None` at the end of the body.
    pub(crate) async fn next(&mut self, idle: Duration) -> Option<Result<Event, ReadError>> {
        let mut name: Option<String> = None;
        let mut data: Option<String> = None;
        loop {
            let line = match tokio::time::timeout(idle, self.lines.next()).await {
                Err(_) => return Some(Err(ReadError::Idle)),
                Ok(None) => return data.map(|data| Ok(Event { name, data, complete: false })),
                Ok(Some(Err(error))) => return Some(Err(read_error(&error))),
                Ok(Some(Ok(line))) => line,
            };
            if line.is_empty() {
                match data.take() {
                    Some(data) => return Some(Ok(Event { name, data, complete: true })),
                    None => {
                        name = None;
                        continue;
                    }
                }
            }
            if let Some(value) = field(&line, "event") {
                name = Some(value.to_owned());
            } else if let Some(value) = field(&line, "data") {
                match &mut data {
                    None => data = Some(value.to_owned()),
                    Some(data) if data.len() + value.len() > self.max_bytes => {
                        return Some(Err(ReadError::Garbage("an event is too long")));
                    }
                    Some(data) => {
                        data.push('\n');
                        data.push_str(value);
                    }
                }
            }
        }
    }
}

/// The value of the field `name`, without the one space that may follow the colon.
fn field<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let line = line.strip_prefix('\u{feff}').unwrap_or(line);
    let value = line.strip_prefix(name)?.strip_prefix(':')?;
    Some(value.strip_prefix(' ').unwrap_or(value))
}

fn read_error(error: &LinesCodecError) -> ReadError {
    match error {
        LinesCodecError::MaxLineLengthExceeded => ReadError::Garbage("a line is too long"),
        LinesCodecError::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            ReadError::Garbage("the text is not UTF-8")
        }
        LinesCodecError::Io(_) => ReadError::Broken,
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use futures::stream;
    use tokio_util::io::StreamReader;

    use super::*;

    const IDLE: Duration = Duration::from_secs(5);

    async fn read(chunks: Vec<&'static [u8]>, max_bytes: usize) -> Vec<Result<Event, ReadError>> {
        let bytes = stream::iter(chunks.into_iter().map(Ok::<_, io::Error>));
        let mut reader = EventReader::new(StreamReader::new(bytes), max_bytes);
        let mut events = Vec::new();
        while let Some(event) = reader.next(IDLE).await {
            let failed = event.is_err();
            events.push(event);
            if failed {
                break;
            }
        }
        events
    }

    fn event(data: &str) -> Result<Event, ReadError> {
        Ok(Event { name: None, data: data.to_owned(), complete: true })
    }

    #[tokio::test]
    async fn a_code_point_split_over_two_packets_arrives_whole() {
        let text = "data: 你好\n\n".as_bytes();
        let events = read(vec![&text[..7], &text[7..8], &text[8..]], 1024).await;
        assert_eq!(events, [event("你好")]);
    }

    #[tokio::test]
    async fn several_data_lines_are_one_event_and_comments_and_other_fields_are_none() {
        let events = read(vec![b": ping\n\nevent: x\nid: 1\ndata: a\ndata:b\n\n\n\nretry: 5\n\n"], 1024).await;
        assert_eq!(events, [Ok(Event { name: Some("x".to_owned()), data: "a\nb".to_owned(), complete: true })]);
    }

    #[tokio::test]
    async fn carriage_returns_and_a_byte_order_mark_do_not_matter() {
        let events = read(vec!["\u{feff}data: a\r\n\r\n".as_bytes(), b"data: b\r\n\r\n"], 1024).await;
        assert_eq!(events, [event("a"), event("b")]);
    }

    #[tokio::test]
    async fn an_event_without_its_empty_line_is_given_as_incomplete() {
        let events = read(vec![b"data: [DONE]"], 1024).await;
        assert_eq!(events, [Ok(Event { name: None, data: "[DONE]".to_owned(), complete: false })]);
    }

    #[tokio::test]
    async fn a_line_beyond_the_limit_ends_the_stream() {
        let events = read(vec![b"data: 0123456789"], 8).await;
        assert_eq!(events, [Err(ReadError::Garbage("a line is too long"))]);
    }

    #[tokio::test]
    async fn an_event_of_many_short_lines_beyond_the_limit_ends_the_stream() {
        let events = read(vec![b"data: 012345\ndata: 6789ab\ndata: cdef\n\n"], 14).await;
        assert_eq!(events, [Err(ReadError::Garbage("an event is too long"))]);
    }

    #[tokio::test]
    async fn bytes_that_are_not_utf8_end_the_stream() {
        let events = read(vec![b"data: \xff\xfe\n\n"], 1024).await;
        assert_eq!(events, [Err(ReadError::Garbage("the text is not UTF-8"))]);
    }

    #[tokio::test(start_paused = true)]
    async fn comments_keep_a_slow_stream_alive_and_silence_ends_it() {
        let (source, mut sink) = tokio::io::duplex(64);
        let mut reader = EventReader::new(source, 1024);
        let writer = tokio::spawn(async move {
            use tokio::io::AsyncWriteExt;
            for _ in 0..3 {
                tokio::time::sleep(Duration::from_secs(4)).await;
                sink.write_all(b": still here\n").await.unwrap();
            }
            sink.write_all(b"data: late\n\n").await.unwrap();
            tokio::time::sleep(Duration::from_secs(60)).await;
        });
        assert_eq!(reader.next(IDLE).await, Some(event("late")));
        assert_eq!(reader.next(IDLE).await, Some(Err(ReadError::Idle)));
        writer.abort();
    }
}
