//! What the mock provider does with one request, step by step, in whatever dialect it is asked.

use std::time::Duration;

use super::text;

/// One thing that happens in an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// One chunk with this text.
    Say(String),
    /// One chunk of reasoning.
    Think(String),
    /// A tool call begins; calls are numbered from 0.
    Call { index: usize, name: String },
    /// A piece of that call's arguments.
    Arguments { index: usize, fragment: String },
    /// Bytes as they are, whatever they mean.
    Raw(Vec<u8>),
    /// Nothing for a while.
    Wait(Duration),
    /// Nothing, for ever.
    Stall,
    /// The connection breaks in the middle of the body.
    Cut,
    /// The provider says in its dialect that it failed.
    Fail,
}

impl Step {
    /// Whether a model says it, rather than that it happens to the connection.
    pub(super) fn is_generated(&self) -> bool {
        matches!(self, Self::Say(_) | Self::Think(_) | Self::Call { .. } | Self::Arguments { .. })
    }
}

/// An error instead of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) words: Words,
}

/// What an error says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Words {
    /// This body, whatever the dialect.
    Exactly(String),
    /// This, in the form of the dialect.
    Told(Told),
}

/// The fields of an error, as far as a dialect has them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Told {
    pub(super) message: String,
    pub(super) code: Option<String>,
    pub(super) param: Option<String>,
}

impl Refusal {
    pub(super) fn told(status: u16, message: String) -> Self {
        Self { status, words: Words::Told(Told { message, ..Told::default() }) }
    }
}

/// What an answer is about that depends on what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    /// Every parameter of the request except the conversation.
    Parameters,
    /// The pictures that arrived.
    Pictures,
    /// The smallest document that follows the schema that was asked for.
    Schema,
}

/// The usage frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UsageFrame {
    /// One token a chunk for the answer, one a word for the question.
    Counted,
    /// These numbers, right or wrong.
    Exactly { input: u64, output: u64 },
    /// None, although it was asked for.
    Missing,
}

/// Where a stream carries its usage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UsagePlace {
    /// A frame of its own with `choices: []`, as the real provider does.
    OwnFrame,
    /// In the chunk with the finish reason, as many servers do.
    FinishChunk,
    /// A frame of its own that lacks `choices`.
    BareFrame,
}

/// What to do with one request: by default nothing is said and the answer ends properly with usage and `[DONE]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    pub(super) refusal: Option<Refusal>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) first_byte_after: Duration,
    pub(super) steps: Vec<Step>,
    pub(super) pause_between_chunks: Duration,
    pub(super) packet_bytes: Option<usize>,
    pub(super) finish: Option<String>,
    pub(super) usage: UsageFrame,
    pub(super) usage_place: UsagePlace,
    pub(super) cached_tokens: Option<u64>,
    pub(super) reasoning_tokens: Option<u64>,
    pub(super) about: Option<About>,
    pub(super) done_marker: bool,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            refusal: None,
            headers: Vec::new(),
            first_byte_after: Duration::ZERO,
            steps: Vec::new(),
            pause_between_chunks: Duration::ZERO,
            packet_bytes: None,
            finish: Some("stop".to_owned()),
            usage: UsageFrame::Counted,
            usage_place: UsagePlace::OwnFrame,
            cached_tokens: None,
            reasoning_tokens: None,
            about: None,
            done_marker: true,
        }
    }
}

impl Script {
    /// An answer with this text, in small chunks as a model sends them.
    #[must_use]
    pub fn says(text: &str) -> Self {
        Self { steps: text::pieces(text).map(Step::Say).collect(), ..Self::default() }
    }

    /// A refusal with this status and body.
    #[must_use]
    pub fn fails(status: u16, body: impl Into<String>) -> Self {
        Self { refusal: Some(Refusal { status, words: Words::Exactly(body.into()) }), ..Self::default() }
    }

    /// Adds a response header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Then one chunk with exactly this text.
    #[must_use]
    pub fn chunk(self, text: &str) -> Self {
        self.then(Step::Say(text.to_owned()))
    }

    /// Then reasoning, in small chunks.
    #[must_use]
    pub fn thinks(mut self, text: &str) -> Self {
        self.steps.extend(text::pieces(text).map(Step::Think));
        self
    }

    /// Then a call of this tool, its arguments in fragments; the answer ends with `tool_calls`.
    #[must_use]
    pub fn calls(mut self, name: &str, arguments: &str) -> Self {
        let index = self.steps.iter().filter(|step| matches!(step, Step::Call { .. })).count();
        self.steps.push(Step::Call { index, name: name.to_owned() });
        let fragments = text::pieces(arguments).map(|fragment| Step::Arguments { index, fragment });
        self.steps.extend(fragments);
        self.finish("tool_calls")
    }

    /// Says, as JSON, every parameter of the request except its conversation.
    #[must_use]
    pub fn echoes() -> Self {
        Self { about: Some(About::Parameters), ..Self::default() }
    }

    /// Then nothing for that long.
    #[must_use]
    pub fn wait(self, pause: Duration) -> Self {
        self.then(Step::Wait(pause))
    }

    /// Then nothing ever again, with the connection open.
    #[must_use]
    pub fn stall(self) -> Self {
        self.then(Step::Stall)
    }

    /// Then the connection breaks.
    #[must_use]
    pub fn cut(self) -> Self {
        self.then(Step::Cut)
    }

    /// Then an event that is no chunk.
    #[must_use]
    pub fn garbage(self) -> Self {
        self.raw("data: {\"choices\": oops\n\n")
    }

    /// Then these bytes.
    #[must_use]
    pub fn raw(self, bytes: impl AsRef<[u8]>) -> Self {
        self.then(Step::Raw(bytes.as_ref().to_vec()))
    }

    /// Then an error frame, as gateways of OpenAI's dialect send one after a 200.
    #[must_use]
    pub fn error_frame(self, json: &str) -> Self {
        self.raw(format!("data: {{\"error\": {json}}}\n\n"))
    }

    /// Then the provider says in its dialect that it failed.
    #[must_use]
    pub fn fails_midway(self) -> Self {
        self.then(Step::Fail)
    }

    /// The status line comes after that long.
    #[must_use]
    pub fn first_byte_after(mut self, pause: Duration) -> Self {
        self.first_byte_after = pause;
        self
    }

    /// A pause before every chunk.
    #[must_use]
    pub fn pause_between_chunks(mut self, pause: Duration) -> Self {
        self.pause_between_chunks = pause;
        self
    }

    /// Sends the body in packets of that many bytes, whatever they split.
    #[must_use]
    pub fn in_packets_of(mut self, bytes: usize) -> Self {
        self.packet_bytes = Some(bytes.max(1));
        self
    }

    /// Reports these numbers, right or wrong.
    #[must_use]
    pub fn usage(mut self, input: u64, output: u64) -> Self {
        self.usage = UsageFrame::Exactly { input, output };
        self
    }

    /// Reports no usage although asked.
    #[must_use]
    pub fn without_usage(mut self) -> Self {
        self.usage = UsageFrame::Missing;
        self
    }

    /// Reports that so many of the input tokens came from a cache.
    #[must_use]
    pub fn cached_tokens(mut self, tokens: u64) -> Self {
        self.cached_tokens = Some(tokens);
        self
    }

    /// Reports that so many of the output tokens were reasoning.
    #[must_use]
    pub fn reasoning_tokens(mut self, tokens: u64) -> Self {
        self.reasoning_tokens = Some(tokens);
        self
    }

    /// Streams the usage inside the chunk with the finish reason.
    #[must_use]
    pub fn usage_in_the_finish_chunk(mut self) -> Self {
        self.usage_place = UsagePlace::FinishChunk;
        self
    }

    /// Streams the usage in a frame without `choices`.
    #[must_use]
    pub fn usage_without_choices(mut self) -> Self {
        self.usage_place = UsagePlace::BareFrame;
        self
    }

    /// Ends with this reason.
    #[must_use]
    pub fn finish(mut self, reason: &str) -> Self {
        self.finish = Some(reason.to_owned());
        self
    }

    /// Ends the body properly but without finish reason, usage and `[DONE]`.
    #[must_use]
    pub fn without_end(mut self) -> Self {
        self.finish = None;
        self.done_marker = false;
        self.without_usage()
    }

    /// Leaves out `[DONE]`, as some servers do.
    #[must_use]
    pub fn without_done_marker(mut self) -> Self {
        self.done_marker = false;
        self
    }

    /// The numbers given to [`Self::usage`], unless nothing is reported after all.
    pub(super) fn reported(&self) -> Option<(u64, u64)> {
        match self.usage {
            UsageFrame::Exactly { input, output } => Some((input, output)),
            UsageFrame::Counted | UsageFrame::Missing => None,
        }
    }

    fn then(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }
}
