//! What a server that speaks chat completions does in its own way, as plain data.
//!
//! [`Quirks::OPENAI`] is the dialect as OpenAI documents it; a provider's row changes what differs and nothing else. Only
//! what must be *sent* differently is here: what servers send is read with the same tolerance from all of them.

/// How one server wants to be asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Quirks {
    /// The name of the output bound.
    pub bound: Bound,
    /// Parameters that the server refuses or misreads; never sent, whoever set them.
    pub dropped: &'static [&'static str],
    /// Parameters with another name there, as (OpenAI's, theirs).
    pub renamed: &'static [(&'static str, &'static str)],
    /// Switches that are always sent, unless the client set them.
    pub added: &'static [(&'static str, bool)],
    /// The least and the greatest temperature; others are moved to the nearer end.
    pub temperature: (f64, f64),
    /// `stream_options` is understood. Where it is not, the usage comes without being asked for.
    pub stream_options: bool,
    /// The role `developer` is understood; else it is called `system`.
    pub developer: bool,
    /// `name` of a message is understood.
    pub names: bool,
    /// Text-only content must be one string, not a list of parts.
    pub flat_text: bool,
    /// `response_format` of type `json_schema` is understood; else any JSON object is asked for.
    pub schemas: bool,
    /// Tools that take text are understood; else they are told as functions with one argument.
    pub custom_tools: bool,
    /// `strict` of a tool is understood.
    pub strict: bool,
    /// Anthropic's `cache_control` on parts is understood.
    pub cache_control: bool,
    /// Signatures of calls may be given back in `extra_content`, as Google's own endpoint wants them.
    pub call_signatures: bool,
    /// What `tool_choice` may be.
    pub tool_choice: ToolChoices,
    /// How the model is told how much to think.
    pub thinking: Thinking,
    /// How the model's earlier thoughts are given back.
    pub thoughts: Thoughts,
    /// The content may begin with thoughts between `<think>` and `</think>`.
    pub think_tags: bool,
    /// How the names of models begin that answer in streams only.
    pub streams_only: &'static [&'static str],
}

/// The name of the output bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// `max_tokens`.
    MaxTokens,
    /// `max_completion_tokens`.
    MaxCompletionTokens,
}

/// What `tool_choice` may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToolChoices {
    /// `auto`, `none`, `required` and the name of a tool.
    All,
    /// As [`ToolChoices::All`], and `required` is called `any`.
    Any,
    /// `auto`, `none` and the name of a tool; `required` becomes `auto`.
    NotRequired,
    /// `auto` only: everything else is left out, and with `none` the tools are.
    Auto,
}

/// How the model is told how much to think.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thinking {
    /// It cannot be told.
    Unasked,
    /// `reasoning_effort`; the highest grade has this word.
    Effort {
        /// Such as `xhigh`.
        highest: &'static str,
    },
    /// `reasoning_effort` with `none`, `low`, `medium` and `high`, and only for models whose names begin so: the others
    /// refuse it.
    EffortOf {
        /// Such as `grok-4.3`.
        models: &'static [&'static str],
    },
    /// `thinking: {"type": …}` with `disabled`, or the server's word for the contrary.
    Switch {
        /// Such as `enabled`.
        on: &'static str,
    },
    /// Both of them: the switch, and the effort where it is on.
    SwitchAndEffort {
        /// Such as `max`.
        highest: &'static str,
    },
    /// `enable_thinking`, and `thinking_budget` in tokens.
    Enable,
    /// `chat_template_kwargs` with `enable_thinking` (Qwen, GLM) and `reasoning_effort` (gpt-oss) for servers that render
    /// the model's own template.
    Template,
    /// OpenRouter's object `reasoning` with `effort` or `max_tokens`, and `exclude`.
    Object,
}

/// How the model's earlier thoughts are given back in an assistant's message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thoughts {
    /// They are not: the server refuses or ignores them.
    Never,
    /// As the text `reasoning_content`.
    ReasoningContent,
    /// As the text `reasoning`.
    Reasoning,
    /// As `reasoning_details` with their signatures, in OpenRouter's form.
    Details,
    /// As parts of type `thinking` of the content, in Mistral's form.
    Parts,
}

impl Quirks {
    /// OpenAI's own API.
    pub const OPENAI: Self = Self {
        bound: Bound::MaxCompletionTokens,
        dropped: &["top_k"],
        renamed: &[],
        added: &[],
        temperature: (0.0, 2.0),
        stream_options: true,
        developer: true,
        names: true,
        flat_text: false,
        schemas: true,
        custom_tools: true,
        strict: true,
        cache_control: false,
        call_signatures: false,
        tool_choice: ToolChoices::All,
        thinking: Thinking::Effort { highest: "xhigh" },
        thoughts: Thoughts::Never,
        think_tags: false,
        streams_only: &[],
    };

    /// What no other server than OpenAI's has to know.
    pub const OTHERS: Self = Self { developer: false, custom_tools: false, ..Self::OPENAI };

    /// A server of which nothing is known but that it speaks the dialect: the oldest names, and tolerance.
    pub const GENERIC: Self = Self {
        bound: Bound::MaxTokens,
        dropped: &[],
        call_signatures: true,
        thinking: Thinking::Effort { highest: "high" },
        thoughts: Thoughts::ReasoningContent,
        think_tags: true,
        ..Self::OTHERS
    };
}
