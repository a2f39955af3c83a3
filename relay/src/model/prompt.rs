//! What is asked of a model.

use std::fmt;

use serde_json::{Map, Value};

use crate::Dialect;

/// One question to a model: instructions, the conversation so far, tools, and how the answer shall be made.
#[derive(Clone, Default, PartialEq)]
pub struct Prompt {
    /// The model by the name that the asked side knows.
    pub model: String,
    /// Instructions of the operator, the conversation and results of tools, oldest first.
    pub messages: Vec<Message>,
    /// What the model may call.
    pub tools: Vec<Tool>,
    /// Whether it may or must.
    pub tool_choice: Option<ToolChoice>,
    /// Whether it may make several calls at once; `None` leaves it to the provider.
    pub parallel_tool_calls: Option<bool>,
    /// How the next token is chosen.
    pub sampling: Sampling,
    /// Tokens of each answer, reasoning included, at most.
    pub max_output_tokens: Option<u32>,
    /// Texts that end an answer and are not part of it.
    pub stop: Vec<String>,
    /// How many answers to the same question; 1 where absent.
    pub candidates: Option<u32>,
    /// What form the answer has.
    pub format: OutputFormat,
    /// How much the model shall think before it answers; `None` leaves it to the provider.
    pub reasoning: Option<Reasoning>,
    /// Probabilities of the chosen tokens are wanted, and of so many alternatives each.
    pub logprobs: Option<u8>,
    /// An answer that is spoken: OpenAI's `audio` object with voice and format.
    pub audio: Option<Value>,
    /// Requests with the same key share a prefix; a hint for caches and for routing.
    pub cache_key: Option<String>,
    /// OpenAI's word for how urgent it is: `auto`, `default`, `flex`, `priority`.
    pub service_tier: Option<String>,
    /// An opaque tag of the end user for abuse reports; never an e-mail address or a name.
    pub user_tag: Option<String>,
    /// The client's own labels, kept by providers that keep answers.
    pub metadata: Map<String, Value>,
    /// Whether the answer comes in steps.
    pub stream: bool,
    /// Parameters that only the client's dialect has.
    pub extra: Option<Opaque>,
}

/// How the next token is chosen; every `None` leaves it to the provider.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sampling {
    /// 0 to 2 at most providers, 0 to 1 at Anthropic.
    pub temperature: Option<f64>,
    /// Nucleus sampling, 0 to 1.
    pub top_p: Option<f64>,
    /// Only so many of the likeliest tokens.
    pub top_k: Option<u32>,
    /// The same seed tends to give the same answer.
    pub seed: Option<i64>,
    /// -2 to 2.
    pub presence_penalty: Option<f64>,
    /// -2 to 2.
    pub frequency_penalty: Option<f64>,
    /// OpenAI's map from token ids to biases of -100 to 100.
    pub logit_bias: Map<String, Value>,
}

/// Who says a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Author {
    /// The operator: `system` and `developer` of OpenAI, `system` of Anthropic, `systemInstruction` of Gemini. May stand
    /// anywhere; dialects that have one place for it gather it there in order.
    System,
    /// The person, and results of tools.
    User,
    /// The model, in an earlier answer.
    Assistant,
}

/// One message, in parts that keep their order.
#[derive(Clone, PartialEq)]
pub struct Message {
    /// Who says it.
    pub author: Author,
    /// The speaker's name where several share a role.
    pub name: Option<String>,
    /// What is said; results of tools are parts of a user's message.
    pub parts: Vec<Part>,
}

/// One part of a message, of a prompt or an answer.
#[derive(Clone, PartialEq)]
pub enum Part {
    /// Plain text.
    Text {
        /// What is said.
        text: String,
        /// Where it is taken from, each in the words of the dialect that gave it.
        citations: Vec<Opaque>,
        /// Everything up to here may be kept in the provider's cache: Anthropic's `cache_control`.
        cache: Option<Value>,
    },
    /// A picture.
    Image {
        /// Where it is.
        source: MediaSource,
        /// OpenAI's `low`, `high` or `auto`.
        detail: Option<String>,
        /// As of [`Part::Text`].
        cache: Option<Value>,
    },
    /// Something spoken.
    Audio(Audio),
    /// A document such as a PDF; also video where the media type says so.
    File {
        /// What people call it.
        name: Option<String>,
        /// Where it is.
        source: MediaSource,
        /// As of [`Part::Text`].
        cache: Option<Value>,
    },
    /// The model calls a tool.
    ToolCall {
        /// By which the outcome is matched; made here, and unique in its conversation, where a provider gives none.
        id: String,
        /// Of the tool.
        name: String,
        /// The arguments: the text of a JSON object, `{}` where there are none; for a custom tool any text.
        arguments: String,
        /// A tool that takes text instead of JSON.
        custom: bool,
        /// What the provider wants to see again with this call: Gemini's `thoughtSignature`.
        signature: Option<Opaque>,
    },
    /// What a tool call came to.
    ToolResult(ToolOutcome),
    /// What the model thought.
    Reasoning {
        /// The thoughts or their summary; empty where the provider hides them.
        text: String,
        /// What the provider wants to see again, unread and unchanged: Anthropic's `signature` or the `data` of redacted
        /// thinking, Gemini's `thoughtSignature`, the encrypted content of a Responses item.
        signature: Option<Opaque>,
    },
    /// The model says why it does not answer.
    Refusal(String),
    /// A part that only one dialect has, such as a search that the provider made itself.
    Other(Opaque),
}

/// Where bytes of a picture or a document are.
#[derive(Clone, PartialEq, Eq)]
pub enum MediaSource {
    /// Here, as standard base64 with padding.
    Inline {
        /// Such as `image/png`.
        media_type: String,
        /// The bytes.
        base64: String,
    },
    /// At an address that the provider fetches; also `gs://` and `s3://` of the providers that know them.
    Url {
        /// Where.
        url: String,
        /// Where the client said so.
        media_type: Option<String>,
    },
    /// Uploaded to the provider before: an id that only it knows.
    Uploaded(String),
    /// Plain text as a document.
    Text(String),
}

/// Something spoken, in a prompt or an answer.
#[derive(Clone, PartialEq, Eq)]
pub struct Audio {
    /// `wav`, `mp3`, `pcm16` …
    pub format: String,
    /// The bytes as standard base64.
    pub base64: String,
    /// What is said, where it is known.
    pub transcript: Option<String>,
    /// The id of an earlier spoken answer, which stands for its bytes.
    pub id: Option<String>,
}

/// What a tool call came to.
#[derive(Clone, PartialEq)]
pub struct ToolOutcome {
    /// The call's id.
    pub call_id: String,
    /// The tool's name, which Gemini wants; looked up in the conversation where the dialect does not give it.
    pub name: Option<String>,
    /// Texts, pictures, documents.
    pub content: Vec<Part>,
    /// The tool failed, and the content says how.
    pub is_error: bool,
    /// As of [`Part::Text`].
    pub cache: Option<Value>,
}

/// What the model may call.
#[derive(Clone, PartialEq)]
pub enum Tool {
    /// A function of the client.
    Function {
        /// Letters, digits, `_` and `-`.
        name: String,
        /// For the model.
        description: Option<String>,
        /// JSON Schema of the arguments; absent where there are none.
        parameters: Option<Value>,
        /// The arguments follow the schema without exception.
        strict: Option<bool>,
        /// As of [`Part::Text`].
        cache: Option<Value>,
    },
    /// Takes text instead of JSON: OpenAI's `custom` tools.
    Custom {
        /// Of the tool.
        name: String,
        /// For the model.
        description: Option<String>,
        /// OpenAI's `format` object: a grammar, or free text.
        format: Option<Value>,
    },
    /// A tool that the provider itself has, such as a web search.
    Other(Opaque),
}

/// Whether the model may or must call a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToolChoice {
    /// It decides.
    Auto,
    /// It must not.
    None,
    /// It must call one of them.
    Required,
    /// It must call this one.
    Named(String),
}

/// What form the answer has.
#[derive(Clone, Default, PartialEq)]
pub enum OutputFormat {
    /// As the model likes.
    #[default]
    Text,
    /// Some JSON object.
    Json,
    /// JSON that follows a schema.
    Schema {
        /// Of the schema.
        name: String,
        /// For the model.
        description: Option<String>,
        /// JSON Schema.
        schema: Value,
        /// Without exception.
        strict: Option<bool>,
    },
}

/// How much the model shall think before it answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reasoning {
    /// In a word.
    pub effort: Option<Effort>,
    /// In tokens, at most; 0 is not at all. The more exact of the two where both are given.
    pub budget_tokens: Option<u32>,
    /// Whether the thoughts are wanted in the answer; `None` leaves it to the provider.
    pub visible: Option<bool>,
}

/// How much to think, as OpenAI and others grade it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effort {
    /// Not at all.
    None,
    /// As little as the model can.
    Minimal,
    /// A little.
    Low,
    /// The usual.
    Medium,
    /// Much.
    High,
    /// As much as the model can.
    Max,
}

/// What only one dialect can say, as it said it.
#[derive(Clone, PartialEq)]
pub struct Opaque {
    /// Whose words these are.
    pub dialect: Dialect,
    /// The words.
    pub value: Value,
}

impl Opaque {
    /// The words, if `dialect` is spoken.
    #[must_use]
    pub fn in_dialect(&self, dialect: Dialect) -> Option<&Value> {
        (self.dialect == dialect).then_some(&self.value)
    }
}

impl Message {
    /// A message of one text.
    #[must_use]
    pub fn text(author: Author, text: impl Into<String>) -> Self {
        Self { author, name: None, parts: vec![Part::text(text)] }
    }
}

impl Part {
    /// Plain text and nothing else.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text { text: text.into(), citations: vec![], cache: None }
    }
}

impl Effort {
    /// Tokens that stand for the word where a provider wants a number; `None` for not at all. The grades are those that
    /// Google documents for its OpenAI-compatible endpoint, `Max` is the largest budget that its models take.
    #[must_use]
    pub const fn budget_tokens(self) -> Option<u32> {
        match self {
            Self::None => None,
            Self::Minimal | Self::Low => Some(1_024),
            Self::Medium => Some(8_192),
            Self::High => Some(24_576),
            Self::Max => Some(32_768),
        }
    }

    /// The word for a number of tokens, for providers that want a word.
    #[must_use]
    pub const fn of_budget(tokens: u32) -> Self {
        match tokens {
            0 => Self::None,
            1..=2_048 => Self::Low,
            2_049..=16_384 => Self::Medium,
            16_385..=24_576 => Self::High,
            _ => Self::Max,
        }
    }
}

impl fmt::Debug for Prompt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prompt")
            .field("model", &self.model)
            .field("messages", &self.messages.len())
            .field("tools", &self.tools.len())
            .field("max_output_tokens", &self.max_output_tokens)
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message").field("author", &self.author).field("parts", &self.parts).finish_non_exhaustive()
    }
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text { text, .. } => write!(f, "Text({} bytes)", text.len()),
            Self::Image { .. } => f.write_str("Image"),
            Self::Audio(_) => f.write_str("Audio"),
            Self::File { .. } => f.write_str("File"),
            Self::ToolCall { id, name, arguments, .. } => {
                write!(f, "ToolCall({id}, {name}, {} bytes)", arguments.len())
            }
            Self::ToolResult(outcome) => write!(f, "ToolResult({}, {} parts)", outcome.call_id, outcome.content.len()),
            Self::Reasoning { text, signature } => {
                write!(f, "Reasoning({} bytes, signed: {})", text.len(), signature.is_some())
            }
            Self::Refusal(text) => write!(f, "Refusal({} bytes)", text.len()),
            Self::Other(opaque) => write!(f, "Other({:?})", opaque.dialect),
        }
    }
}
