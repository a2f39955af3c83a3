//! What the domain says about channels, for the description of the API.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// What a channel takes, over all nodes; no limit where absent.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ChannelLimits)]
pub struct LimitsSchema {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u32>,
    /// Input and output together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_minute: Option<u64>,
    /// Calls under way at the same time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parallel: Option<u32>,
}

/// How far an answer is read on after its client has gone.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ChannelDrain)]
pub struct DrainSchema {
    /// 0 stops it at once.
    pub seconds: u32,
    /// Output tokens from then on.
    pub tokens: u32,
}

/// How a channel that rests is asked after.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ChannelProbe)]
#[serde(rename_all = "snake_case")]
pub enum ProbeBySchema {
    /// By its list of models, which costs nothing.
    List,
    /// By a conversation of one token, which the house pays.
    Chat,
}

/// How a model's calls are spread over channels of one priority.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ModelStrategy)]
#[serde(rename_all = "snake_case")]
pub enum StrategySchema {
    Weighted,
    LeastBusy,
    LowestLatency,
    LowestCost,
    Affinity,
}

/// Other models, by their public names, that answer instead; the first that can.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ModelFallbacks)]
pub struct FallbacksSchema {
    /// Where the conversation is longer than this model can read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub context_window: Vec<String>,
    /// Where the provider refuses the content.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub content_policy: Vec<String>,
    /// Where every channel of this model fails.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub general: Vec<String>,
}

/// What a model reads or writes.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ModelModality)]
#[serde(rename_all = "snake_case")]
pub enum ModalitySchema {
    Text,
    Image,
    Audio,
    Video,
    File,
    Embedding,
}

/// What can be asked of a model.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ModelCapability)]
#[serde(rename_all = "snake_case")]
pub enum CapabilitySchema {
    Chat,
    Completion,
    Embeddings,
    Rerank,
    Images,
    Speech,
    Transcription,
    Moderation,
    Tools,
    ParallelTools,
    StructuredOutput,
    Reasoning,
    PromptCache,
    Logprobs,
    WebSearch,
}

/// One change of the body of every request, after everything else that is done to it. Paths are names of fields joined
/// by dots.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ParameterOverride)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum ParameterSchema {
    /// The field has this value, whatever the client sent.
    Set { path: String, value: Value },
    /// The field has this value where the client sent none.
    Default { path: String, value: Value },
    /// The provider never sees the field.
    Remove { path: String },
    /// The provider calls the field something else.
    Rename { from: String, to: String },
}
