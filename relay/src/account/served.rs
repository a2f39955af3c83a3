//! A streamed answer as the client of a served API gets it, whichever way it came about.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures::{Stream, StreamExt, stream};

use super::asked::Question;
use super::stream::{Heard, Listener, Next, Reading};
use super::usage::final_usage;
use super::whole::Document;
use crate::memory::Listening;
use crate::model::Delta;
use crate::{DeltaReader, DeltaWriter, RelayError, ServedEvent, ServedFrame, ServedStream, Usage};

/// Ends a served stream.
pub(super) trait Ending {
    /// The last events of an answer that ended well, with what is billed.
    fn last(&mut self, usage: &Usage) -> Vec<ServedEvent>;
}

/// The answer, about to be told.
pub(super) fn frames<L: Listener<Step = ServedFrame> + Ending>(reading: Reading<L>) -> ServedStream {
    Box::pin(Frames(reading))
}

struct Frames<L: Listener>(Reading<L>);

impl<L: Listener<Step = ServedFrame> + Ending> Stream for Frames<L> {
    type Item = ServedFrame;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<ServedFrame>> {
        let Self(reading) = &mut *self;
        Poll::Ready(ready!(reading.poll_next(context)).map(|next| match next {
            Next::Step(frame) => frame,
            Next::End { cancelled: true, usage } => ServedFrame::Done { last: vec![], usage },
            Next::End { cancelled: false, usage } => ServedFrame::Done { last: reading.listener.last(&usage), usage },
            Next::Failed { error, usage } => ServedFrame::Failed { error, usage },
        }))
    }
}

/// An answer that came at once, told as a stream.
pub(super) async fn told(document: Document, mut writer: Box<dyn DeltaWriter>, question: Question) -> ServedStream {
    let Document { answer, generated, .. } = document;
    let usage = final_usage(answer.usage, true, question, generated).await;
    let steps = answer.into_deltas().into_iter().flat_map(|delta| writer.write(delta));
    let mut frames: Vec<_> = steps.map(ServedFrame::Event).collect();
    frames.push(ServedFrame::Done { last: writer.end(&usage), usage });
    stream::iter(frames).boxed()
}

/// An answer that is read in one dialect and told in another.
pub(super) struct Translated {
    reader: Box<dyn DeltaReader>,
    writer: Box<dyn DeltaWriter>,
    /// How many answers were asked for.
    candidates: usize,
    finished: BTreeSet<u32>,
    listening: Listening,
}

impl Translated {
    pub(super) fn new(
        reader: Box<dyn DeltaReader>,
        writer: Box<dyn DeltaWriter>,
        candidates: u32,
        listening: Listening,
    ) -> Self {
        Self { reader, writer, candidates: candidates.max(1) as usize, finished: BTreeSet::new(), listening }
    }
}

impl Listener for Translated {
    type Step = ServedFrame;

    fn hear(&mut self, name: Option<&str>, data: &str, heard: &mut Heard<ServedFrame>) -> Result<(), RelayError> {
        let is_told = self.is_finished();
        for delta in self.reader.read(name, data)? {
            heard.watch(&delta);
            self.listening.hear(&delta);
            if let Delta::Finish { candidate, .. } = delta {
                self.finished.insert(candidate);
            }
            if !is_told {
                heard.steps.extend(self.writer.write(delta).into_iter().map(ServedFrame::Event));
            }
        }
        Ok(())
    }

    fn is_finished(&self) -> bool {
        self.reader.is_finished() && self.finished.len() >= self.candidates
    }

    fn may_end(&self) -> bool {
        self.reader.is_finished()
    }
}

impl Ending for Translated {
    fn last(&mut self, usage: &Usage) -> Vec<ServedEvent> {
        self.writer.end(usage)
    }
}

impl<S> Heard<S> {
    /// Takes note of what a step generated and reports.
    pub(super) fn watch(&mut self, delta: &Delta) {
        let Self { usage, generated, .. } = self;
        match delta {
            Delta::Begin { usage: Some(told), .. } | Delta::Usage(told) => *usage = Some(*told),
            Delta::Text { text, .. } | Delta::Refusal { text, .. } => generated.said.push_str(text),
            Delta::ToolArguments { fragment, .. } => generated.said.push_str(fragment),
            Delta::ToolCall { name, .. } => generated.said.push_str(name),
            Delta::Reasoning { text, .. } => generated.thought.push_str(text),
            Delta::Audio { audio, .. } => {
                let transcript = audio.get("transcript").and_then(serde_json::Value::as_str);
                generated.said.push_str(transcript.unwrap_or_default());
            }
            _ => {}
        }
    }
}
