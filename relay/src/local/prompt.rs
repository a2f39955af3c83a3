//! From turns to token ids, by the tokenizer and the chat template inside the model file.
//!
//! The template's own tokens are control tokens; what people wrote never is: a message that contains `<|im_end|>` is
//! encoded as those characters, so nobody can forge a turn.

use candle_core::quantized::gguf_file::{Content, Value};
use candle_core::quantized::tokenizer::TokenizerFromGguf;
use minijinja::{Environment, Value as Jinja, context};
use tokenizers::Tokenizer;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;

use crate::{RelayError, Role, Turn};

/// Stands for the text of turn n while the template is rendered; texts themselves are not rendered.
const OPEN: char = '\u{e000}';
const CLOSE: char = '\u{e001}';
/// No token of the vocabulary stands for more bytes than this, so longer texts need not be encoded to be refused.
const MAX_BYTES_PER_TOKEN: usize = 64;
/// Control tokens that end an answer, beside the one that the file names.
const END_TOKENS: [&str; 3] = ["<|im_end|>", "<|endoftext|>", "<|im_start|>"];

/// Makes prompts for one model, and text from its tokens.
pub(super) struct Prompter {
    template: String,
    /// Knows control tokens.
    of_template: Tokenizer,
    /// Sees characters only.
    of_people: Tokenizer,
    ends: Vec<u32>,
}

impl Prompter {
    /// Reads tokenizer and template.
    ///
    /// # Errors
    /// [`RelayError::ModelMissing`] if the file lacks one of them.
    pub(super) fn load(content: &Content) -> Result<Self, RelayError> {
        let unreadable = |what: &str| RelayError::ModelMissing(format!("its file has no usable {what}"));
        let mut tokenizer = Tokenizer::from_gguf(content).map_err(|_| unreadable("tokenizer"))?;
        let text = |key: &str| content.metadata.get(key).and_then(|value| value.to_string().ok());
        if text("tokenizer.ggml.pre").is_some_and(|kind| kind == "smollm") {
            // The library's default for kinds that it does not know adds a space before every text and merges digits.
            let bytes = ByteLevel::new(false, true, true);
            tokenizer.with_pre_tokenizer(Some(Sequence::new(vec![Digits::new(true).into(), bytes.into()])));
            tokenizer.with_decoder(Some(bytes));
        }
        let template = text("tokenizer.chat_template").ok_or_else(|| unreadable("chat template"))?.clone();
        let named = content.metadata.get("tokenizer.ggml.eos_token_id").map(Value::to_u32);
        let mut ends: Vec<u32> = END_TOKENS.iter().filter_map(|token| tokenizer.token_to_id(token)).collect();
        ends.extend(named.and_then(Result::ok));
        let mut of_people = tokenizer.clone();
        of_people.set_encode_special_tokens(true);
        Ok(Self { template, of_template: tokenizer, of_people, ends })
    }

    /// Whether that token ends the answer.
    pub(super) fn is_end(&self, token: u32) -> bool {
        self.ends.contains(&token)
    }

    /// The tokenizer that turns tokens into text.
    pub(super) fn tokenizer(&self) -> &Tokenizer {
        &self.of_template
    }

    /// The conversation in at most `budget` tokens. Where it is longer, the oldest turns are left out, a question
    /// together with its answer; leading system turns and the last turn always stay.
    ///
    /// # Errors
    /// [`RelayError::ContextTooLong`] if what always stays is longer than the budget.
    pub(super) fn prompt(&self, turns: &[Turn], budget: usize) -> Result<Vec<u32>, RelayError> {
        let leading = turns.iter().take_while(|turn| turn.role == Role::System).count();
        let last = turns.len().checked_sub(1).ok_or(RelayError::ContextTooLong)?;
        let mut contents: Vec<Option<Vec<u32>>> = vec![None; turns.len()];
        let mut first = last;
        let mut chosen = None;
        loop {
            let kept: Vec<usize> = (0..leading.min(last)).chain(first..=last).collect();
            match self.assemble(turns, &kept, &mut contents, budget)? {
                Some(tokens) => chosen = Some(tokens),
                None => break,
            }
            // The next earlier question, so that a conversation never begins with an answer.
            match (leading..first).rev().find(|&at| turns[at].role == Role::User) {
                Some(earlier) => first = earlier,
                None => break,
            }
        }
        chosen.ok_or(RelayError::ContextTooLong)
    }

    /// The prompt of the kept turns, or `None` if it is longer than `budget`.
    fn assemble(
        &self,
        turns: &[Turn],
        kept: &[usize],
        contents: &mut [Option<Vec<u32>>],
        budget: usize,
    ) -> Result<Option<Vec<u32>>, RelayError> {
        let place = |&at: &usize| context! { role => role(turns[at].role), content => format!("{OPEN}{at}{CLOSE}") };
        let messages: Vec<Jinja> = kept.iter().map(place).collect();
        let rendered = Environment::new()
            .render_str(&self.template, context! { messages, add_generation_prompt => true })
            .map_err(|_| RelayError::LocalFailure("the chat template cannot be rendered".to_owned()))?;
        let mut tokens = Vec::new();
        for (number, part) in rendered.split([OPEN, CLOSE]).enumerate() {
            if number % 2 == 0 {
                tokens.extend(encode(&self.of_template, part)?);
            } else if let Some((turn, content)) =
                part.parse::<usize>().ok().and_then(|at| turns.get(at).zip(contents.get_mut(at)))
            {
                if turn.content.len() > budget.saturating_mul(MAX_BYTES_PER_TOKEN) {
                    return Ok(None);
                }
                let encoded = match content.take() {
                    Some(encoded) => encoded,
                    None => encode(&self.of_people, &turn.content)?,
                };
                tokens.extend_from_slice(&encoded);
                *content = Some(encoded);
            }
            if tokens.len() > budget {
                return Ok(None);
            }
        }
        Ok(Some(tokens))
    }
}

fn role(role: Role) -> &'static str {
    match role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
    }
}

fn encode(tokenizer: &Tokenizer, text: &str) -> Result<Vec<u32>, RelayError> {
    let encoding = tokenizer
        .encode_fast(text, false)
        .map_err(|_| RelayError::LocalFailure("a text cannot be tokenized".to_owned()))?;
    Ok(encoding.get_ids().to_vec())
}
