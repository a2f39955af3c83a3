//! Directives in a prompt: how a browser, an SDK or a benchmark scripts the mock provider without another channel.
//!
//! | directive | what it does |
//! |---|---|
//! | `[[say TEXT]]` · `[[chunks N]]` | exactly that text · that many chunks |
//! | `[[think TEXT]]` | that reasoning before the answer |
//! | `[[call TOOL ARGUMENTS]]` | a tool call instead of text; several make parallel calls |
//! | `[[echo]]` · `[[look]]` · `[[fill]]` | the parameters of the request, as JSON · which pictures came · what follows the schema of the answer or of the tool that must be called |
//! | `[[finish REASON]]` · `[[no-end]]` | the finish reason · none, and neither usage nor `[DONE]` |
//! | `[[usage IN OUT]]` · `[[cached N]]` · `[[reasoning N]]` · `[[no-usage]]` | what is reported |
//! | `[[usage-merged]]` · `[[usage-bare]]` | in the finish chunk · in a frame without `choices` |
//! | `[[slow MS]]` · `[[delay MS]]` | before the first byte · before each chunk |
//! | `[[stall N]]` · `[[cut N]]` · `[[garbage N]]` · `[[error-frame N]]` | after N chunks (3 if absent) |
//! | `[[error STATUS CODE PARAM]]` · `[[retry-after SECONDS]]` | a refusal; code and parameter may be absent |
//! | `[[packets BYTES]]` | the body in packets of that size |
//!
//! Finish reasons and codes are OpenAI's words; each dialect says them in its own. Unknown directives are ignored. Without
//! any, a useful answer repeats the question.

use std::time::Duration;

use super::script::{About, Refusal, Script, Told, Words};
use super::text;

impl Script {
    /// The script that the directives in `prompt` ask for (see the table at the head of this file).
    #[must_use]
    pub fn from_prompt(prompt: &str) -> Self {
        let (directives, question) = text::directives(prompt);
        let found = Directives(&directives);
        let script = match found.value("error") {
            Some(error) => refusal(error),
            None => answer(&found, &question),
        };
        let script = script.first_byte_after(found.milliseconds("slow"));
        match found.value("retry-after") {
            Some(seconds) => script.header("retry-after", seconds),
            None => script,
        }
    }

    /// The answer to a conversation that ends with results of tools: it quotes them, at the pace of the directives.
    #[must_use]
    pub(super) fn from_tool_results(prompt: &str, results: &[String]) -> Self {
        let (mut directives, _) = text::directives(prompt);
        directives.retain(|(name, _)| name != "call");
        directives.push(("say".to_owned(), format!("The tools answered: {}", results.join("; "))));
        answer(&Directives(&directives), "")
    }
}

struct Directives<'a>(&'a [(String, String)]);

impl Directives<'_> {
    fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.value(name).and_then(|value| value.parse().ok())
    }

    fn milliseconds(&self, name: &str) -> Duration {
        Duration::from_millis(self.number(name).unwrap_or(0))
    }
}

/// `STATUS CODE PARAM`, the last two optional, as the real provider words its refusals.
fn refusal(error: &str) -> Script {
    let mut words = error.split_whitespace();
    let status = words.next().and_then(|status| status.parse().ok()).filter(|status| (400..600).contains(status));
    let status = status.unwrap_or(500);
    let message = format!("the mock provider was told to answer {status}");
    let mut word = || words.next().map(str::to_owned);
    let told = Told { message, code: word(), param: word() };
    Script { refusal: Some(Refusal { status, words: Words::Told(told) }), ..Script::default() }
}

fn answer(found: &Directives<'_>, question: &str) -> Script {
    let mut script = Script::default();
    if let Some(reasoning) = found.value("think") {
        script = script.thinks(reasoning);
    }
    script = spoken(script, found, question);
    for (name, build) in MISHAPS {
        if let Some(chunks) = found.value(name) {
            script.steps.truncate(chunks.parse().unwrap_or(3));
            script = build(script);
        }
    }
    script = script.pause_between_chunks(found.milliseconds("delay"));
    script.packet_bytes = found.number("packets").map(|bytes| bytes.max(1) as usize);
    reported(script, found)
}

/// What the answer consists of: tool calls, an echo, or text.
fn spoken(script: Script, found: &Directives<'_>, question: &str) -> Script {
    let calls = found.all("call").map(|call| call.split_once(' ').unwrap_or((call, "{}")));
    let script = calls.fold(script, |script, (name, arguments)| script.calls(name, arguments));
    if found.value("call").is_some() {
        return script;
    }
    for (name, about) in ABOUT {
        if found.value(name).is_some() {
            return Script { about: Some(about), ..script };
        }
    }
    let answer = match (found.value("say"), found.number("chunks")) {
        (Some(text), _) => text.to_owned(),
        (None, Some(chunks)) => text::of_length(question, chunks as usize),
        (None, None) => text::answer(question),
    };
    text::pieces(&answer).fold(script, |script, piece| script.chunk(&piece))
}

/// Usage and the end.
fn reported(mut script: Script, found: &Directives<'_>) -> Script {
    if let Some((input, output)) = found.value("usage").and_then(|value| value.split_once(' ')) {
        script = script.usage(input.parse().unwrap_or(0), output.trim().parse().unwrap_or(0));
    }
    script.cached_tokens = found.number("cached");
    script.reasoning_tokens = found.number("reasoning");
    if found.value("usage-merged").is_some() {
        script = script.usage_in_the_finish_chunk();
    }
    if found.value("usage-bare").is_some() {
        script = script.usage_without_choices();
    }
    if found.value("no-usage").is_some() {
        script = script.without_usage();
    }
    if let Some(reason) = found.value("finish") {
        script = script.finish(reason);
    }
    if found.value("no-end").is_some() { script.without_end() } else { script }
}

/// A directive that ends the answer early, and how.
type Mishap = (&'static str, fn(Script) -> Script);

const MISHAPS: [Mishap; 4] = [
    ("stall", Script::stall),
    ("cut", Script::cut),
    ("garbage", Script::garbage),
    ("error-frame", Script::fails_midway),
];

const ABOUT: [(&str, About); 3] = [("echo", About::Parameters), ("look", About::Pictures), ("fill", About::Schema)];

#[cfg(test)]
mod tests {
    use super::super::script::{Step, UsageFrame};
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
        assert_eq!(Script::from_prompt("[[error 503]]").refusal.map(|refusal| refusal.status), Some(503));
        assert_eq!(said(&Script::from_prompt("[[say exactly this, 你好]]")), "exactly this, 你好");
    }
    #[test]
    fn tool_calls_are_numbered_and_come_in_fragments_that_make_up_their_arguments() {
        let script = Script::from_prompt(r#"[[call add {"a": 1, "b": 2}]] [[call now]]"#);
        let arguments = |wanted: usize| -> String {
            let fragment = |step: &Step| match step {
                Step::Arguments { index, fragment } if *index == wanted => Some(fragment.clone()),
                _ => None,
            };
            script.steps.iter().filter_map(fragment).collect()
        };
        assert_eq!((arguments(0).as_str(), arguments(1).as_str()), (r#"{"a": 1, "b": 2}"#, "{}"));
        assert_eq!(script.finish.as_deref(), Some("tool_calls"));
        assert!(script.steps.len() > 5, "one call is several fragments");
    }

    #[test]
    fn results_of_tools_are_quoted_and_not_answered_by_another_call() {
        let script =
            Script::from_tool_results("Weather? [[call weather {}]]", &["21 degrees".to_owned(), "rain".to_owned()]);
        assert_eq!(said(&script), "The tools answered: 21 degrees; rain");
        assert_eq!(script.finish.as_deref(), Some("stop"));
    }
}
