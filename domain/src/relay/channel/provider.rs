//! Who a channel is an account at.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a provider is spoken to. The relay knows each by the same word (`tests/contracts.rs` compares).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProviderKind {
    /// `OpenAI`, and before there were rows for others whoever spoke its chat completions.
    Openai,
    /// Azure `OpenAI`, by the names of models.
    AzureOpenai,
    /// Azure `OpenAI`, by the names of deployments.
    AzureOpenaiDeployments,
    /// Anthropic's messages.
    Anthropic,
    /// Google's Gemini.
    Gemini,
    /// AWS Bedrock's converse.
    Bedrock,
    /// `DeepSeek`.
    Deepseek,
    /// Moonshot AI's Kimi.
    Moonshot,
    /// Zhipu's GLM.
    Zhipu,
    /// Alibaba's Qwen on DashScope.
    Qwen,
    /// Baidu's ERNIE on Qianfan.
    Qianfan,
    /// ByteDance's Doubao on Volcengine.
    Volcengine,
    /// Tencent's Hunyuan.
    Hunyuan,
    /// `MiniMax`.
    Minimax,
    /// Mistral AI.
    Mistral,
    /// Groq.
    Groq,
    /// xAI's Grok.
    Xai,
    /// `OpenRouter`.
    Openrouter,
    /// An Ollama of one's own.
    Ollama,
    /// A vLLM of one's own.
    Vllm,
    /// A llama.cpp server of one's own.
    LlamaCpp,
    /// An LM Studio of one's own.
    LmStudio,
    /// Any other server that speaks `OpenAI`'s chat completions.
    OpenaiCompatible,
    /// The model in this process.
    Local,
}

impl ProviderKind {
    /// Every one.
    pub const ALL: [Self; 24] = [
        Self::Openai,
        Self::AzureOpenai,
        Self::AzureOpenaiDeployments,
        Self::Anthropic,
        Self::Gemini,
        Self::Bedrock,
        Self::Deepseek,
        Self::Moonshot,
        Self::Zhipu,
        Self::Qwen,
        Self::Qianfan,
        Self::Volcengine,
        Self::Hunyuan,
        Self::Minimax,
        Self::Mistral,
        Self::Groq,
        Self::Xai,
        Self::Openrouter,
        Self::Ollama,
        Self::Vllm,
        Self::LlamaCpp,
        Self::LmStudio,
        Self::OpenaiCompatible,
        Self::Local,
    ];

    /// The word in rows and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Openai => "openai",
            Self::AzureOpenai => "azure_openai",
            Self::AzureOpenaiDeployments => "azure_openai_deployments",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::Bedrock => "bedrock",
            Self::Deepseek => "deepseek",
            Self::Moonshot => "moonshot",
            Self::Zhipu => "zhipu",
            Self::Qwen => "qwen",
            Self::Qianfan => "qianfan",
            Self::Volcengine => "volcengine",
            Self::Hunyuan => "hunyuan",
            Self::Minimax => "minimax",
            Self::Mistral => "mistral",
            Self::Groq => "groq",
            Self::Xai => "xai",
            Self::Openrouter => "openrouter",
            Self::Ollama => "ollama",
            Self::Vllm => "vllm",
            Self::LlamaCpp => "llama_cpp",
            Self::LmStudio => "lm_studio",
            Self::OpenaiCompatible => "openai_compatible",
            Self::Local => "local",
        }
    }

    /// The provider of a word.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// Where it is spoken to is different for everybody, so that a channel must say it.
    #[must_use]
    pub const fn needs_address(self) -> bool {
        matches!(self, Self::AzureOpenai | Self::AzureOpenaiDeployments | Self::OpenaiCompatible)
    }
}

#[cfg(test)]
mod spec {
    use super::*;

    #[test]
    fn every_provider_is_one_word_in_rows_in_json_and_here() {
        for kind in ProviderKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
            assert_eq!(ProviderKind::of(kind.as_str()), Some(kind));
        }
        let words: std::collections::BTreeSet<_> = ProviderKind::ALL.iter().map(|kind| kind.as_str()).collect();
        assert_eq!(words.len(), ProviderKind::ALL.len());
        assert_eq!(ProviderKind::of("nobody"), None);
    }
}
