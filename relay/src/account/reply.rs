//! A streamed answer as our own conversations get it: the text of the first candidate, and its end.

use futures::{StreamExt, stream};

use super::asked::Question;
use super::stream::{Heard, Listener, Next, Reading};
use super::usage::final_usage;
use super::whole::Document;
use crate::model::{Delta, FinishReason, Part};
use crate::{DeltaReader, Finish, RelayError, ReplyDelta, ReplyStream};

/// Passes the steps on as they are.
pub(super) struct Steps {
    reader: Box<dyn DeltaReader>,
}

impl Steps {
    pub(super) fn new(reader: Box<dyn DeltaReader>) -> Self {
        Self { reader }
    }
}

impl Listener for Steps {
    type Step = Delta;

    fn hear(&mut self, name: Option<&str>, data: &str, heard: &mut Heard<Delta>) -> Result<(), RelayError> {
        let is_told = self.is_finished();
        for delta in self.reader.read(name, data)? {
            heard.watch(&delta);
            if !is_told {
                heard.steps.push_back(delta);
            }
        }
        Ok(())
    }

    fn is_finished(&self) -> bool {
        self.reader.is_finished()
    }
}

/// The answer as its text.
pub(super) fn texts(reading: Reading<Steps>) -> ReplyStream {
    Box::pin(stream::unfold((reading, None), |(mut reading, mut finish)| async move {
        loop {
            let step = match reading.next().await? {
                Next::Step(Delta::Text { candidate: 0, text } | Delta::Refusal { candidate: 0, text }) => {
                    Ok(ReplyDelta::Text(text))
                }
                Next::Step(Delta::Finish { candidate: 0, finish: reason, .. }) => {
                    finish = finish.or(Some(meaning(reason)));
                    continue;
                }
                Next::Step(_) => continue,
                Next::End { cancelled, usage } => {
                    let otherwise = if cancelled { Finish::Cancelled } else { Finish::Stop };
                    let finish = finish.take().unwrap_or(otherwise);
                    Ok(ReplyDelta::Done { finish, usage: Some(usage) })
                }
                Next::Failed { error, .. } => Err(error),
            };
            return Some((step, (reading, finish)));
        }
    }))
}

/// An answer that came at once.
pub(super) async fn told(document: Document, question: Question) -> ReplyStream {
    let Document { answer, generated, .. } = document;
    let usage = final_usage(answer.usage, true, question, generated).await;
    let mut steps = vec![];
    let mut finish = Finish::Stop;
    if let Some(first) = answer.candidates.into_iter().next() {
        let texts = first.parts.into_iter().filter_map(|part| match part {
            Part::Text { text, .. } | Part::Refusal(text) => Some(text).filter(|text| !text.is_empty()),
            _ => None,
        });
        steps.extend(texts.map(|text| Ok(ReplyDelta::Text(text))));
        finish = meaning(first.finish);
    }
    steps.push(Ok(ReplyDelta::Done { finish, usage: Some(usage) }));
    stream::iter(steps).boxed()
}

/// Why an answer ended, as far as a conversation cares.
fn meaning(reason: FinishReason) -> Finish {
    match reason {
        FinishReason::Stop | FinishReason::StopSequence => Finish::Stop,
        FinishReason::Length | FinishReason::ContextWindow => Finish::Length,
        FinishReason::ContentFilter | FinishReason::Refusal => Finish::ContentFilter,
        FinishReason::ToolCalls => Finish::Other("tool_calls".to_owned()),
        FinishReason::Pause => Finish::Other("pause".to_owned()),
        FinishReason::Other(word) => Finish::Other(word),
    }
}
