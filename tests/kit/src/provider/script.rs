//! What the mock provider does with one request, step by step.

use std::time::Duration;

use super::text;

/// One thing that happens in an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// One chunk with this text.
    Say(String),
    /// Bytes as they are, whatever they mean.
    Raw(Vec<u8>),
    /// Nothing for a while.
    Wait(Duration),
    /// Nothing, for ever.
    Stall,
    /// The connection breaks in the middle of the body.
    Cut,
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

/// What to do with one request: by default nothing is said and the answer ends properly with usage and `[DONE]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    pub(super) refusal: Option<(u16, String)>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) first_byte_after: Duration,
    pub(super) steps: Vec<Step>,
    pub(super) pause_between_chunks: Duration,
    pub(super) packet_bytes: Option<usize>,
    pub(super) finish: Option<String>,
    pub(super) usage: UsageFrame,
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
        Self { refusal: Some((status, body.into())), ..Self::default() }
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

    /// Then an error frame, as gateways send one after a 200.
    #[must_use]
    pub fn error_frame(self, json: &str) -> Self {
        self.raw(format!("data: {{\"error\": {json}}}\n\n"))
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

    fn then(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// The script that the directives in `prompt` ask for; without any, a useful answer that repeats the question.
    ///
    /// `[[chunks N]]` length in chunks · `[[delay MS]]` pause before each chunk · `[[slow MS]]` first byte ·
    /// `[[stall N]]`, `[[cut N]]`, `[[garbage N]]`, `[[error-frame N]]` after N chunks (3 if absent) ·
    /// `[[error STATUS]]` instead of an answer · `[[packets BYTES]]` · `[[usage IN OUT]]`, `[[no-usage]]` ·
    /// `[[finish REASON]]` · `[[no-end]]` · `[[say TEXT]]` exactly that text. Unknown directives are ignored.
    #[must_use]
    pub fn from_prompt(prompt: &str) -> Self {
        let (directives, question) = text::directives(prompt);
        let value = |name: &str| directives.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str());
        let number = |name: &str| value(name).and_then(|value| value.parse::<u64>().ok());
        if let Some(status) = value("error") {
            let status = status.parse().ok().filter(|status| (400..600).contains(status)).unwrap_or(500);
            let message = format!("the mock provider was told to answer {status}");
            let body =
                serde_json::json!({"error": {"message": message, "type": "mock_error", "param": null, "code": null}});
            return Self::fails(status, body.to_string());
        }
        let answer = match (value("say"), number("chunks")) {
            (Some(text), _) => text.to_owned(),
            (None, Some(chunks)) => text::of_length(&question, chunks as usize),
            (None, None) => text::answer(&question),
        };
        let mut script = Self::says(&answer);
        let after = |name: &str| value(name).map(|value| value.parse::<usize>().unwrap_or(3));
        for (name, build) in MISHAPS {
            if let Some(chunks) = after(name) {
                script.steps.truncate(chunks);
                script = build(script);
            }
        }
        let milliseconds = |name: &str| Duration::from_millis(number(name).unwrap_or(0));
        script = script.pause_between_chunks(milliseconds("delay")).first_byte_after(milliseconds("slow"));
        script.packet_bytes = number("packets").map(|bytes| bytes.max(1) as usize);
        if let Some((input, output)) = value("usage").and_then(|value| value.split_once(' ')) {
            script = script.usage(input.parse().unwrap_or(0), output.trim().parse().unwrap_or(0));
        }
        if value("no-usage").is_some() {
            script = script.without_usage();
        }
        if let Some(reason) = value("finish") {
            script = script.finish(reason);
        }
        if value("no-end").is_some() { script.without_end() } else { script }
    }
}

/// A directive that ends the answer early, and how.
type Mishap = (&'static str, fn(Script) -> Script);

const MISHAPS: [Mishap; 4] = [
    ("stall", Script::stall),
    ("cut", Script::cut),
    ("garbage", Script::garbage),
    ("error-frame", |script| script.error_frame(r#"{"message": "the mock provider gave up", "type": "server_error"}"#)),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn said(script: &Script) -> String {
        let text = |step: &Step| match step {
            Step::Say(text) => Some(text.clone()),
            _ => None,
        };
        script.steps.iter().filter_map(text).collect()
    }

    #[test]
    fn a_prompt_without_directives_gets_an_answer_with_markdown_code_mathematics_and_chinese() {
        let answer = said(&Script::from_prompt("What is new?"));
        for part in ["What is new?", "```", "$$", "你好", "| "] {
            assert!(answer.contains(part), "{part} is missing");
        }
    }

    #[test]
    fn directives_set_length_pace_and_end_and_are_not_repeated_in_the_answer() {
        let script = Script::from_prompt("Hi [[chunks 40]] [[delay 50]] [[no-usage]] [[finish length]]");
        assert_eq!(script.steps.len(), 40);
        assert_eq!(script.pause_between_chunks, Duration::from_millis(50));
        assert_eq!((script.usage, script.finish.as_deref()), (UsageFrame::Missing, Some("length")));
        assert!(!said(&script).contains("[["));
    }

    #[test]
    fn mishaps_come_after_the_stated_number_of_chunks() {
        let script = Script::from_prompt("[[cut 10]]");
        assert_eq!((script.steps.len(), script.steps.last()), (11, Some(&Step::Cut)));
        assert_eq!(Script::from_prompt("[[stall]]").steps.last(), Some(&Step::Stall));
        assert_eq!(Script::from_prompt("[[error 503]]").refusal.map(|(status, _)| status), Some(503));
        assert_eq!(said(&Script::from_prompt("[[say exactly this, 你好]]")), "exactly this, 你好");
    }
}
