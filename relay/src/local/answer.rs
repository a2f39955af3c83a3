//! The local model behind the served APIs: what it can do of a request, and its text as the steps of an answer.
//!
//! The rule: what only tunes or offers is left out (`tools` with a free choice, `logprobs`, `stop`, `seed`, penalties,
//! `top_p`, reasoning and whatever is unknown); what promises something that would not be kept is refused with status 400
//! (more than one answer, anything but text, a tool that must be called, an answer that must be JSON).

use futures::{StreamExt, stream};

use super::MODEL_ID;
use crate::model::{Answer, Author, Candidate, Delta, FinishReason, Message, OutputFormat, Part, Prompt, ToolChoice};
use crate::{
    Basis, ChatRequest, DeltaWriter, Envelope, Finish, RelayError, ReplyDelta, ReplyStream, Role, ServedFrame,
    ServedStream, Turn, Usage,
};

/// The conversation in a client's request.
///
/// # Errors
/// [`RelayError::UpstreamRefused`] with status 400 and the parameter, by the rule above.
pub(super) fn chat_request(prompt: &Prompt) -> Result<ChatRequest, RelayError> {
    refuse_promises(prompt)?;
    let temperature = prompt.sampling.temperature.map(|temperature| match (0.0..=2.0).contains(&temperature) {
        true => Ok(temperature as f32),
        false => Err(refused("temperature", "`temperature` must be a number from 0 to 2")),
    });
    Ok(ChatRequest {
        model: prompt.model.clone(),
        turns: turns(prompt)?,
        max_output_tokens: prompt.max_output_tokens,
        temperature: temperature.transpose()?,
        user_tag: None,
        key: None,
    })
}

/// What was said, as far as this model can read it.
///
/// # Errors
/// As [`chat_request`].
pub(super) fn turns(prompt: &Prompt) -> Result<Vec<Turn>, RelayError> {
    let turns: Vec<Turn> =
        prompt.messages.iter().filter_map(|message| turn(message).transpose()).collect::<Result<_, _>>()?;
    if turns.is_empty() {
        return Err(refused("messages", "there must be at least one message"));
    }
    Ok(turns)
}

fn refuse_promises(prompt: &Prompt) -> Result<(), RelayError> {
    if prompt.candidates.is_some_and(|candidates| candidates != 1) {
        return Err(refused("n", "this model gives one answer: `n` must be 1"));
    }
    if prompt.format != OutputFormat::Text {
        return Err(refused("response_format", "this model cannot promise JSON"));
    }
    if matches!(prompt.tool_choice, Some(ToolChoice::Required | ToolChoice::Named(_))) {
        return Err(refused("tool_choice", "this model calls no tools"));
    }
    let wanted = prompt.extra.as_ref().and_then(|extra| extra.value.get("modalities")?.as_array());
    if prompt.audio.is_some() || wanted.into_iter().flatten().any(|modality| modality != "text") {
        return Err(refused("modalities", "this model gives text only"));
    }
    Ok(())
}

/// One message as a turn; `None` where it holds nothing that this model can read, such as a mere call of a tool.
fn turn(message: &Message) -> Result<Option<Turn>, RelayError> {
    let role = match message.author {
        Author::System => Role::System,
        // What a tool said is news to the model, as what a person says.
        Author::User => Role::User,
        Author::Assistant => Role::Assistant,
    };
    let content = text(&message.parts)?;
    Ok((!content.is_empty() || role == Role::User).then_some(Turn { role, content }))
}

fn text(parts: &[Part]) -> Result<String, RelayError> {
    let mut all = String::new();
    for part in parts {
        match part {
            Part::Text { text, .. } | Part::Refusal(text) => all.push_str(text),
            Part::ToolResult(outcome) => all.push_str(&text(&outcome.content)?),
            Part::ToolCall { .. } | Part::Reasoning { .. } => {}
            _ => return Err(refused("messages", "this model reads text only")),
        }
    }
    Ok(all)
}

fn refused(param: &str, message: &str) -> RelayError {
    RelayError::UpstreamRefused {
        status: 400,
        message: message.to_owned(),
        code: Some("unsupported_value".to_owned()),
        param: Some(param.to_owned()),
    }
}

/// What the model consumed; it always counts.
fn counted(usage: Option<Usage>, envelope: &Envelope) -> Usage {
    usage.unwrap_or(Usage::new(envelope.input_tokens, 0, Basis::Estimated))
}

fn reason(finish: &Finish) -> FinishReason {
    match finish {
        Finish::Length => FinishReason::Length,
        Finish::ContentFilter => FinishReason::ContentFilter,
        Finish::Stop | Finish::Cancelled | Finish::Other(_) => FinishReason::Stop,
    }
}

/// The whole answer.
///
/// # Errors
/// What ended it early, a cancellation included.
pub(super) async fn whole(mut reply: ReplyStream, envelope: &Envelope) -> Result<(Answer, Usage), RelayError> {
    let mut content = String::new();
    while let Some(step) = reply.next().await {
        match step? {
            ReplyDelta::Text(text) => content.push_str(&text),
            ReplyDelta::Done { finish: Finish::Cancelled, .. } => return Err(RelayError::Cancelled),
            ReplyDelta::Done { finish, usage } => {
                let candidate = Candidate {
                    parts: vec![Part::text(content)],
                    finish: reason(&finish),
                    stop_sequence: None,
                    logprobs: None,
                };
                let answer = Answer {
                    id: envelope.id.clone(),
                    model: MODEL_ID.to_owned(),
                    created: envelope.created,
                    candidates: vec![candidate],
                    usage: None,
                    extra: None,
                };
                return Ok((answer, counted(usage, envelope)));
            }
        }
    }
    Err(RelayError::LocalFailure("the answer vanished".to_owned()))
}

/// The answer in events: its begin, the text, the reason of its end unless it was cancelled, the end.
pub(super) fn events(reply: ReplyStream, envelope: Envelope, writer: Box<dyn DeltaWriter>) -> ServedStream {
    let mut telling = Telling { envelope, writer, pieces: 0 };
    let begin = Delta::Begin { id: telling.envelope.id.clone(), model: MODEL_ID.to_owned(), usage: None };
    let opening = telling.writer.write(begin);
    let frames = reply.flat_map(move |step| stream::iter(telling.frames(step)));
    stream::iter(opening.into_iter().map(ServedFrame::Event)).chain(frames).boxed()
}

struct Telling {
    envelope: Envelope,
    writer: Box<dyn DeltaWriter>,
    /// Pieces of text so far, each a token or more.
    pieces: u64,
}

impl Telling {
    fn frames(&mut self, step: Result<ReplyDelta, RelayError>) -> Vec<ServedFrame> {
        match step {
            Ok(ReplyDelta::Text(text)) => {
                self.pieces += 1;
                let events = self.writer.write(Delta::Text { candidate: 0, text });
                events.into_iter().map(ServedFrame::Event).collect()
            }
            Ok(ReplyDelta::Done { finish: Finish::Cancelled, usage }) => {
                vec![ServedFrame::Done { last: vec![], usage: counted(usage, &self.envelope) }]
            }
            Ok(ReplyDelta::Done { finish, usage }) => {
                let usage = counted(usage, &self.envelope);
                let end = Delta::Finish { candidate: 0, finish: reason(&finish), stop_sequence: None };
                let mut last = self.writer.write(end);
                last.extend(self.writer.end(&usage));
                vec![ServedFrame::Done { last, usage }]
            }
            Err(error) => {
                let consumed = Usage::new(self.envelope.input_tokens, self.pieces, Basis::Estimated);
                vec![ServedFrame::Failed { error, usage: (self.pieces > 0).then_some(consumed) }]
            }
        }
    }
}
