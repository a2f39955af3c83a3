//! Events of a picture, of speech or of a transcript that is streamed, as far as they say what it consumed.
//!
//! Sources: OpenAI's API description, `ImageGenCompletedEvent`, `ImageEditCompletedEvent`, `SpeechAudioDoneEvent` and
//! `TranscriptTextDoneEvent`: the last event of each has `usage`. The events themselves are passed on untouched.

use serde_json::Value;

use super::{Consumed, Modality, consumed};

/// Listens to a stream of events that passes.
pub(crate) struct Heard {
    modality: Modality,
    /// The line that has begun.
    line: Vec<u8>,
    /// A longer line is not looked at.
    max_line_bytes: usize,
    is_too_long: bool,
    consumed: Consumed,
}

impl Heard {
    pub(crate) fn new(modality: Modality, max_line_bytes: usize) -> Self {
        Self { modality, line: vec![], max_line_bytes, is_too_long: false, consumed: Consumed::default() }
    }

    /// The next bytes, split anywhere.
    pub(crate) fn hear(&mut self, bytes: &[u8]) {
        let mut lines = bytes.split(|byte| *byte == b'\n').peekable();
        while let Some(part) = lines.next() {
            self.is_too_long |= self.line.len() + part.len() > self.max_line_bytes;
            if !self.is_too_long {
                self.line.extend_from_slice(part);
            }
            if lines.peek().is_some() {
                self.look();
            }
        }
    }

    /// What it consumed, as far as anybody said.
    pub(crate) fn end(&mut self) -> Consumed {
        self.look();
        self.consumed
    }

    fn look(&mut self) {
        let line = std::mem::take(&mut self.line);
        if std::mem::take(&mut self.is_too_long) {
            return;
        }
        let Some(data) = line.strip_prefix(b"data:") else { return };
        // Most events are a piece of sound or of text: only the last ones are read.
        let names = [&b"\"usage\""[..], b".completed\"", b".done\""];
        if !names.iter().any(|name| data.windows(name.len()).any(|window| window == *name)) {
            return;
        }
        let Ok(event) = serde_json::from_slice::<Value>(data) else { return };
        let kind = event.get("type").and_then(Value::as_str).unwrap_or_default();
        if kind.starts_with("image_") && kind.ends_with(".completed") {
            self.consumed.images += 1;
        }
        let told = consumed(self.modality, &event);
        if told.usage.is_some() {
            self.consumed.usage = told.usage;
        }
        if told.seconds > 0.0 {
            self.consumed.seconds = told.seconds;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Basis, Usage};

    fn heard(modality: Modality, text: &str, size: usize) -> Consumed {
        let mut heard = Heard::new(modality, 1_000);
        text.as_bytes().chunks(size).for_each(|chunk| heard.hear(chunk));
        heard.end()
    }

    #[test]
    fn the_last_event_says_what_was_consumed_wherever_its_bytes_are_split() {
        let transcript = "event: transcript.text.delta\ndata: {\"type\":\"transcript.text.delta\",\"delta\":\"hi\"}\n\n\
            data: {\"type\":\"transcript.text.done\",\"text\":\"hi\",\"usage\":{\"type\":\"tokens\",\"input_tokens\":14,\
            \"input_token_details\":{\"text_tokens\":4,\"audio_tokens\":10},\"output_tokens\":3,\"total_tokens\":17}}\r\n\r\n";
        let expected = Usage { audio_input_tokens: 10, ..Usage::new(14, 3, Basis::Reported) };
        for size in [1, 7, 10_000] {
            assert_eq!(heard(Modality::Transcription, transcript, size).usage, Some(expected));
        }
        let whisper = "data: {\"type\":\"transcript.text.done\",\"usage\":{\"type\":\"duration\",\"seconds\":9}}";
        assert_eq!(heard(Modality::Transcription, whisper, 5).seconds, 9.0);
    }

    #[test]
    fn pictures_are_counted_when_they_are_complete() {
        let one = "data: {\"type\":\"image_generation.completed\",\"b64_json\":\"AA\",\"usage\":{\"input_tokens\":5,\
            \"output_tokens\":7,\"total_tokens\":12}}\n\n";
        let events = format!("data: {{\"type\":\"image_generation.partial_image\",\"b64_json\":\"AA\"}}\n\n{one}");
        let read = heard(Modality::ImageGeneration, &events, 11);
        assert_eq!((read.images, read.usage.map(|usage| usage.image_output_tokens)), (1, Some(7)));
    }

    #[test]
    fn garbage_and_endless_lines_say_nothing() {
        for text in ["data: {\"usage\"", "usage", "data: {\"usage\": 7, \"type\": 9}\n", &"\"usage\"".repeat(1_000)] {
            assert_eq!(heard(Modality::Speech, text, 3), Consumed::default());
        }
    }
}
