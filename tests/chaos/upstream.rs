//! The model's server, in this process so that it sees the truth: each answer reports a usage that no other one does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use testkit::provider::{MockProvider, Outcome, Script};

pub const MODEL: &str = "m";
/// Reported for every answer.
pub const INPUT_TOKENS: u64 = 100;
/// The n-th answer reports this plus n.
const FIRST_OUTPUT_TOKENS: u64 = 1_000;
/// While it is slow.
const SLOW: Duration = Duration::from_millis(1_500);

/// The server and its mood.
pub struct Upstream {
    provider: MockProvider,
    mood: Arc<AtomicU8>,
}

const WELL: u8 = 0;
const REFUSING: u8 = 1;
const SLUGGISH: u8 = 2;

/// One request as the server saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The first word of the last thing that its user said.
    pub tag: String,
    /// An answer was begun; else it was refused.
    pub began: bool,
    /// The answer was taken to its end.
    pub delivered: bool,
    /// What it said at its end that it took: input, output.
    pub reported: Option<(u64, u64)>,
}

impl Upstream {
    pub async fn start() -> Self {
        let provider = MockProvider::start().await;
        let mood = Arc::new(AtomicU8::new(WELL));
        let (felt, count) = (Arc::clone(&mood), AtomicU64::new(FIRST_OUTPUT_TOKENS));
        provider.answer_with(move |prompt| {
            if felt.load(Ordering::Relaxed) == REFUSING {
                return Script::fails(503, r#"{"error": {"message": "no capacity", "type": "server_error"}}"#);
            }
            let mut script = Script::from_prompt(prompt);
            if !["[[no-usage]]", "[[cut"].iter().any(|mishap| prompt.contains(mishap)) {
                script = script.usage(INPUT_TOKENS, count.fetch_add(1, Ordering::Relaxed));
            }
            if felt.load(Ordering::Relaxed) == SLUGGISH {
                script = script.first_byte_after(SLOW);
            }
            script
        });
        Self { provider, mood }
    }

    pub fn base_url(&self) -> String {
        self.provider.base_url().to_owned()
    }

    /// Is unwell for a while.
    pub async fn falls_ill(&self, refuses: bool, time: Duration) {
        self.mood.store(if refuses { REFUSING } else { SLUGGISH }, Ordering::Relaxed);
        tokio::time::sleep(time).await;
        self.mood.store(WELL, Ordering::Relaxed);
    }

    /// Everything that it was asked, in order.
    pub fn asked(&self) -> Vec<Asked> {
        let asked = self.provider.requests().into_iter().map(|request| Asked {
            tag: tag_of(request.last_message()),
            began: !request.refused,
            delivered: request.outcome == Outcome::Finished && !request.refused,
            reported: request.reported,
        });
        asked.collect()
    }
}

/// The first word of a text; ours name the step that said it.
pub fn tag_of(text: &str) -> String {
    text.split_whitespace().next().unwrap_or_default().to_owned()
}
