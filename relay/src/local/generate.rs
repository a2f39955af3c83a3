//! One answer of the loaded model, token by token.
//!
//! Runs on a thread of its own; every step of the model is one piece of work for the arithmetic pool, so answers that
//! are generated at the same time take turns by token. Between two pieces cancellation and a caller that left are seen.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use candle_core::quantized::gguf_file;
use rayon::ThreadPool;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::LocalConfig;
use super::llama::{Llama, Memory};
use super::prompt::Prompter;
use super::sample::{Sampler, is_looping};
use crate::{Basis, ChatRequest, Finish, RelayError, ReplyDelta, Turn, Usage};

/// The prompt is read in pieces of this many tokens: fast, and a cancellation waits for one piece at most.
const PREFILL_TOKENS: usize = 64;
/// The model's own recommendation for conversations is a low temperature.
const DEFAULT_TEMPERATURE: f32 = 0.2;

/// A model in memory, shared by all answers.
pub(super) struct Model {
    llama: Llama,
    prompter: Prompter,
}

/// Steps of the answer on their way to the caller. Its capacity covers a whole answer, so sending never waits.
pub(super) type Out = mpsc::Sender<Result<ReplyDelta, RelayError>>;

impl Model {
    /// Reads weights, tokenizer and template.
    ///
    /// # Errors
    /// [`RelayError::ModelMissing`] if the file is absent, damaged or of another kind.
    pub(super) fn load(path: &Path, context: usize) -> Result<Self, RelayError> {
        let unreadable = |what: String| RelayError::ModelMissing(format!("{}: {what}", path.display()));
        let file = File::open(path).map_err(|error| unreadable(error.to_string()))?;
        let mut file = BufReader::with_capacity(1 << 20, file);
        let content = gguf_file::Content::read(&mut file).map_err(|_| unreadable("not a GGUF file".to_owned()))?;
        let llama = Llama::load(&content, &mut file, context).map_err(|error| unreadable(first_line(&error)))?;
        Ok(Self { llama, prompter: Prompter::load(&content)? })
    }

    /// How many tokens the conversation takes of a window of `budget`.
    ///
    /// # Errors
    /// As [`Prompter::prompt`].
    pub(super) fn prompt_tokens(&self, turns: &[Turn], budget: usize) -> Result<u64, RelayError> {
        Ok(self.prompter.prompt(turns, budget)?.len() as u64)
    }
}

/// One answer being generated.
pub(super) struct Generation<'a> {
    model: &'a Model,
    pool: &'a ThreadPool,
    cancel: &'a CancellationToken,
    out: &'a Out,
    memory: Memory,
    prompt: Vec<u32>,
    said: Vec<u32>,
    max_output: usize,
    sampler: Sampler,
}

impl<'a> Generation<'a> {
    /// Lays out the prompt; nothing is computed yet.
    ///
    /// # Errors
    /// [`RelayError::ContextTooLong`] if the last turn does not fit beside the answer.
    pub(super) fn new(
        model: &'a Model,
        pool: &'a ThreadPool,
        config: &LocalConfig,
        request: &ChatRequest,
        cancel: &'a CancellationToken,
        out: &'a Out,
    ) -> Result<Self, RelayError> {
        let bound = request.max_output_tokens.unwrap_or(config.max_output_tokens).min(config.max_output_tokens);
        let max_output = bound.max(1) as usize;
        let budget = config.context_tokens.saturating_sub(max_output);
        let prompt = model.prompter.prompt(&request.turns, budget)?;
        let temperature = request.temperature.unwrap_or(DEFAULT_TEMPERATURE);
        let sampler = Sampler::new(config.seed, temperature);
        let memory = model.llama.memory();
        Ok(Self { model, pool, cancel, out, memory, prompt, said: Vec::new(), max_output, sampler })
    }

    /// Generates to the end and sends every step; `Done` last.
    pub(super) fn run(mut self) -> Result<(), RelayError> {
        let Some(finish) = self.say()? else { return Ok(()) };
        let usage = Usage::new(self.prompt.len() as u64, self.said.len() as u64, Basis::Counted);
        // A caller that left needs no end.
        drop(self.out.try_send(Ok(ReplyDelta::Done { finish, usage: Some(usage) })));
        Ok(())
    }

    /// Everything up to the reason of the end; `None` if the caller left.
    fn say(&mut self) -> Result<Option<Finish>, RelayError> {
        let prompt = std::mem::take(&mut self.prompt);
        let mut logits = Vec::new();
        for piece in prompt.chunks(PREFILL_TOKENS) {
            if self.is_over() {
                self.prompt = prompt;
                return Ok(Some(Finish::Cancelled));
            }
            logits = self.step(piece)?;
        }
        self.prompt = prompt;
        let mut text = self.model.prompter.tokenizer().decode_stream(true);
        loop {
            if self.is_over() {
                return Ok(Some(Finish::Cancelled));
            }
            let broken = || RelayError::LocalFailure("the model computed no numbers".to_owned());
            let token = self.sampler.choose(logits, &self.said).ok_or_else(broken)?;
            if self.model.prompter.is_end(token) {
                return Ok(Some(Finish::Stop));
            }
            self.said.push(token);
            // Nothing comes out while a code point is incomplete.
            let piece = text.step(token).map_err(|_| RelayError::LocalFailure("a token has no text".to_owned()))?;
            if let Some(piece) = piece.filter(|piece| !piece.is_empty())
                && self.out.try_send(Ok(ReplyDelta::Text(piece))).is_err()
            {
                return Ok(None);
            }
            if self.said.len() >= self.max_output {
                return Ok(Some(Finish::Length));
            }
            if is_looping(&self.said) {
                return Ok(Some(Finish::Other("repetition".to_owned())));
            }
            logits = self.step(&[token])?;
        }
    }

    fn step(&mut self, tokens: &[u32]) -> Result<Vec<f32>, RelayError> {
        let (llama, memory) = (&self.model.llama, &mut self.memory);
        self.pool
            .install(|| llama.forward(tokens, memory))
            .map_err(|error| RelayError::LocalFailure(first_line(&error)))
    }

    fn is_over(&self) -> bool {
        self.cancel.is_cancelled() || self.out.is_closed()
    }
}

/// The library's errors carry back traces; the first line says what is wrong.
fn first_line(error: &candle_core::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}
