//! The rows. In the order in which operators see them.
//!
//! Each row names the documents that say how its server speaks. Read in November 2026. How sure it is:
//! - in the maker's own words: DeepSeek, Groq, MiniMax, Ollama, vLLM, OpenRouter; how thinking is told also Qwen, Hunyuan
//!   (TokenHub), Mistral, and Ark in the words of its sister BytePlus;
//! - in mirrors and in the clients of others: Qianfan, Kimi, GLM; how MiniMax calls the bound and switches thinking off;
//!   which of xAI's models take an effort;
//! - not settled: which grades of effort each model of Mistral takes (the smaller know `none` and `high`), and that Kimi
//!   K3 refuses to be told not to think. Either is the provider's refusal, told to the client with its sentence.
//!
//! Where a maker has moved on since, an operator's parameter overrides say so until the row does.

use super::{Compatible, KeyHeader};
use crate::dialects::chat_completions::{Bound, Quirks, Thinking, Thoughts, ToolChoices};

/// As most providers are.
const USUAL: Compatible = Compatible {
    id: "",
    name_en: "",
    name_zh: "",
    base_url: None,
    base_path: "/v1",
    prefix: "",
    query: &[],
    key: KeyHeader::Bearer,
    is_keyless: false,
    quirks: Quirks::OPENAI,
    sources: &[],
};

/// Parameters of OpenAI's own service that others refuse or store for nothing.
const OPENAI_ONLY: &[&str] =
    &["store", "metadata", "service_tier", "prompt_cache_key", "safety_identifier", "verbosity", "prediction"];

// tidy: long because a table is compared row by row, and split it would be two tables
/// Every provider that speaks OpenAI's chat completions.
pub static COMPATIBLE: [Compatible; 20] = [
    Compatible {
        id: "openai",
        name_en: "OpenAI",
        name_zh: "OpenAI",
        base_url: Some("https://api.openai.com/v1"),
        sources: &["https://platform.openai.com/docs/api-reference/chat/create", "openai/openai-openapi: openapi.yaml"],
        ..USUAL
    },
    Compatible {
        id: "azure_openai",
        name_en: "Azure OpenAI",
        name_zh: "Azure OpenAI",
        base_path: "/openai/v1",
        key: KeyHeader::ApiKey,
        sources: &["https://learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle"],
        ..USUAL
    },
    Compatible {
        id: "azure_openai_deployments",
        name_en: "Azure OpenAI (dated API, by deployment)",
        name_zh: "Azure OpenAI（按部署，带日期的接口）",
        base_path: "/openai",
        prefix: "/deployments/{model}",
        query: &[("api-version", "2024-10-21")],
        key: KeyHeader::ApiKey,
        sources: &["https://learn.microsoft.com/azure/ai-foundry/openai/reference (2024-10-21)"],
        ..USUAL
    },
    Compatible {
        id: "deepseek",
        name_en: "DeepSeek",
        name_zh: "深度求索 DeepSeek",
        base_url: Some("https://api.deepseek.com/v1"),
        quirks: Quirks {
            bound: Bound::MaxTokens,
            dropped: &["n", "seed", "logit_bias", "parallel_tool_calls", "top_k"],
            flat_text: true,
            schemas: false,
            thinking: Thinking::SwitchAndEffort { highest: "max" },
            // Within a turn with tools a missing one is a 400; elsewhere it is ignored.
            thoughts: Thoughts::ReasoningContent,
            ..Quirks::OTHERS
        },
        sources: &[
            "https://api-docs.deepseek.com/api/create-chat-completion",
            "https://api-docs.deepseek.com/guides/thinking_mode",
        ],
        ..USUAL
    },
    Compatible {
        id: "moonshot",
        name_en: "Moonshot Kimi",
        name_zh: "月之暗面 Kimi",
        base_url: Some("https://api.moonshot.cn/v1"),
        quirks: Quirks {
            // The platform fixes how the kimi models sample, and refuses other values.
            dropped: &[
                "temperature",
                "top_p",
                "top_k",
                "n",
                "presence_penalty",
                "frequency_penalty",
                "logit_bias",
                "logprobs",
                "top_logprobs",
                "seed",
            ],
            strict: false,
            // K2 knows the switch and K3 the effort; fields that a model does not know are ignored.
            thinking: Thinking::SwitchAndEffort { highest: "max" },
            thoughts: Thoughts::ReasoningContent,
            ..Quirks::OTHERS
        },
        sources: &[
            "https://platform.kimi.ai/docs/api/chat",
            "https://platform.kimi.ai/docs/api/models-overview",
            "https://platform.moonshot.ai/docs/guide/use-kimi-k2-thinking-model",
            "https://java.agentscope.io/v2/en/integration/model/kimi (what Kimi does not accept)",
        ],
        ..USUAL
    },
    Compatible {
        id: "zhipu",
        name_en: "Zhipu GLM",
        name_zh: "智谱 GLM",
        base_url: Some("https://open.bigmodel.cn/api/paas/v4"),
        base_path: "/api/paas/v4",
        quirks: Quirks {
            bound: Bound::MaxTokens,
            dropped: &[
                "frequency_penalty",
                "presence_penalty",
                "logit_bias",
                "logprobs",
                "top_logprobs",
                "n",
                "seed",
                "parallel_tool_calls",
                "top_k",
            ],
            renamed: &[("user", "user_id")],
            temperature: (0.0, 1.0),
            stream_options: false,
            names: false,
            schemas: false,
            strict: false,
            tool_choice: ToolChoices::Auto,
            thinking: Thinking::Switch { on: "enabled" },
            thoughts: Thoughts::ReasoningContent,
            ..Quirks::OTHERS
        },
        sources: &[
            "https://docs.bigmodel.cn/cn/guide/capabilities/thinking-mode",
            "https://docs.bigmodel.cn/api-reference/模型-api/对话补全",
            "https://java.agentscope.io/v2/en/integration/model/glm (what GLM does not accept)",
        ],
        ..USUAL
    },
    Compatible {
        id: "qwen",
        name_en: "Qwen (Alibaba Cloud Model Studio)",
        name_zh: "通义千问（阿里云百炼）",
        base_url: Some("https://dashscope.aliyuncs.com/compatible-mode/v1"),
        base_path: "/compatible-mode/v1",
        quirks: Quirks {
            bound: Bound::MaxTokens,
            dropped: OPENAI_ONLY,
            temperature: (0.0, 1.99),
            cache_control: true,
            tool_choice: ToolChoices::NotRequired,
            thinking: Thinking::Enable,
            thoughts: Thoughts::ReasoningContent,
            // QwQ, QVQ, Omni and the open Qwen3; of the latter's names the commercial ones begin alike and stream as well.
            streams_only: &["qwq", "qvq", "qwen-omni", "qwen2.5-omni", "qwen3-"],
            ..Quirks::OTHERS
        },
        sources: &[
            "https://www.alibabacloud.com/help/en/model-studio/deep-thinking",
            "https://www.alibabacloud.com/help/en/model-studio/use-qwen-by-calling-api",
            "https://help.aliyun.com/en/model-studio/stream (which models only stream)",
        ],
        ..USUAL
    },
    Compatible {
        id: "qianfan",
        name_en: "ERNIE (Baidu Qianfan)",
        name_zh: "文心一言（百度千帆）",
        base_url: Some("https://qianfan.baidubce.com/v2"),
        base_path: "/v2",
        quirks: Quirks {
            bound: Bound::MaxTokens,
            dropped: &[
                "n",
                "logit_bias",
                "logprobs",
                "top_logprobs",
                "service_tier",
                "prompt_cache_key",
                "top_k",
                "store",
            ],
            temperature: (0.01, 1.0),
            thinking: Thinking::Enable,
            ..Quirks::OTHERS
        },
        sources: &["https://cloud.baidu.com/doc/qianfan-api/s/3m7of64lb"],
        ..USUAL
    },
    Compatible {
        id: "volcengine",
        name_en: "Doubao (Volcengine Ark)",
        name_zh: "豆包（火山方舟）",
        base_url: Some("https://ark.cn-beijing.volces.com/api/v3"),
        base_path: "/api/v3",
        quirks: Quirks {
            dropped: &["n", "seed", "metadata", "store", "prompt_cache_key", "top_k"],
            names: false,
            thinking: Thinking::SwitchAndEffort { highest: "high" },
            thoughts: Thoughts::ReasoningContent,
            ..Quirks::OTHERS
        },
        sources: &[
            "https://www.volcengine.com/docs/82379/1494384",
            "https://docs.byteplus.com/en/docs/Byteplus_LAS/Chat_API",
        ],
        ..USUAL
    },
    Compatible {
        id: "hunyuan",
        name_en: "Tencent Hunyuan (TokenHub)",
        name_zh: "腾讯混元（TokenHub）",
        base_url: Some("https://tokenhub.tencentmaas.com/v1"),
        quirks: Quirks {
            bound: Bound::MaxTokens,
            dropped: OPENAI_ONLY,
            thinking: Thinking::Switch { on: "enabled" },
            thoughts: Thoughts::ReasoningContent,
            ..Quirks::OTHERS
        },
        sources: &[
            "https://cloud.tencent.com/document/product/1823/132252",
            "https://cloud.tencent.com/document/product/1823/131208",
            "https://cloud.tencent.com/document/product/1729/111007 (the older address, api.hunyuan.cloud.tencent.com/v1)",
        ],
        ..USUAL
    },
    Compatible {
        id: "minimax",
        name_en: "MiniMax",
        name_zh: "MiniMax 稀宇",
        base_url: Some("https://api.minimaxi.com/v1"),
        quirks: Quirks {
            // `max_tokens` is called deprecated.
            dropped: &["presence_penalty", "frequency_penalty", "logit_bias", "logprobs", "top_logprobs", "n", "top_k"],
            added: &[("reasoning_split", true)],
            temperature: (0.01, 1.0),
            // M3 thinks as it sees fit unless it is told not to; M2 always thinks.
            thinking: Thinking::Switch { on: "adaptive" },
            thoughts: Thoughts::Details,
            think_tags: true,
            ..Quirks::OTHERS
        },
        sources: &[
            "https://platform.minimax.io/docs/api-reference/text-openai-api",
            "https://platform.minimax.io/docs/api-reference/text-chat (temperature)",
            "https://java.agentscope.io/v2/en/integration/model/minimax (the bound's name, how thinking is switched)",
        ],
        ..USUAL
    },
    Compatible {
        id: "mistral",
        name_en: "Mistral",
        name_zh: "Mistral",
        base_url: Some("https://api.mistral.ai/v1"),
        quirks: Quirks {
            bound: Bound::MaxTokens,
            // Unknown parameters are refused with status 422, `extra_forbidden`.
            dropped: &[
                "logit_bias",
                "logprobs",
                "top_logprobs",
                "user",
                "store",
                "service_tier",
                "prompt_cache_key",
                "safety_identifier",
                "verbosity",
                "modalities",
                "audio",
                "top_k",
            ],
            renamed: &[("seed", "random_seed")],
            temperature: (0.0, 1.5),
            stream_options: false,
            names: false,
            tool_choice: ToolChoices::Any,
            thinking: Thinking::Effort { highest: "high" },
            thoughts: Thoughts::Parts,
            ..Quirks::OTHERS
        },
        sources: &[
            "https://docs.mistral.ai/api/endpoint/chat",
            "https://docs.mistral.ai/studio-api/conversations/reasoning",
            "https://docs.mistral.ai/resources/known-limitations",
        ],
        ..USUAL
    },
    Compatible {
        id: "groq",
        name_en: "Groq",
        name_zh: "Groq",
        base_url: Some("https://api.groq.com/openai/v1"),
        base_path: "/openai/v1",
        quirks: Quirks {
            dropped: &[
                "logprobs",
                "logit_bias",
                "top_logprobs",
                "n",
                "top_k",
                "prompt_cache_key",
                "store",
                "verbosity",
            ],
            names: false,
            thinking: Thinking::Effort { highest: "high" },
            thoughts: Thoughts::Reasoning,
            ..Quirks::OTHERS
        },
        sources: &["https://console.groq.com/docs/openai", "https://console.groq.com/docs/reasoning"],
        ..USUAL
    },
    Compatible {
        id: "xai",
        name_en: "xAI Grok",
        name_zh: "xAI Grok",
        base_url: Some("https://api.x.ai/v1"),
        quirks: Quirks {
            // Its models reason and refuse these; most have one effort and refuse to be told it.
            dropped: &["presence_penalty", "frequency_penalty", "stop", "logit_bias", "top_k"],
            thinking: Thinking::EffortOf { models: &["grok-4.3", "grok-3-mini", "grok-latest"] },
            ..Quirks::OTHERS
        },
        sources: &[
            "https://docs.x.ai/docs/guides/reasoning",
            "https://docs.x.ai/docs/api-reference",
            "vercel/ai: @ai-sdk/xai 4.0.0-canary.61 (which models take an effort, and its words)",
        ],
        ..USUAL
    },
    Compatible {
        id: "openrouter",
        name_en: "OpenRouter",
        name_zh: "OpenRouter",
        base_url: Some("https://openrouter.ai/api/v1"),
        base_path: "/api/v1",
        quirks: Quirks {
            bound: Bound::MaxTokens,
            dropped: &[],
            developer: true,
            cache_control: true,
            call_signatures: true,
            thinking: Thinking::Object,
            thoughts: Thoughts::Details,
            ..Quirks::OTHERS
        },
        sources: &[
            "https://openrouter.ai/docs/api/reference/parameters",
            "https://openrouter.ai/docs/guides/best-practices/reasoning-tokens",
            "https://openrouter.ai/docs/api/reference/errors-and-debugging",
        ],
        ..USUAL
    },
    Compatible {
        id: "ollama",
        name_en: "Ollama",
        name_zh: "Ollama",
        base_url: Some("http://localhost:11434/v1"),
        is_keyless: true,
        quirks: Quirks { thoughts: Thoughts::Reasoning, ..Quirks::GENERIC },
        sources: &["https://docs.ollama.com/api/openai-compatibility"],
        ..USUAL
    },
    Compatible {
        id: "vllm",
        name_en: "vLLM",
        name_zh: "vLLM",
        base_url: Some("http://localhost:8000/v1"),
        is_keyless: true,
        quirks: Quirks { thinking: Thinking::Template, thoughts: Thoughts::Reasoning, ..Quirks::GENERIC },
        sources: &[
            "https://docs.vllm.ai/en/stable/serving/openai_compatible_server/",
            "https://docs.vllm.ai/en/stable/features/reasoning_outputs/",
        ],
        ..USUAL
    },
    Compatible {
        id: "llama_cpp",
        name_en: "llama.cpp",
        name_zh: "llama.cpp",
        base_url: Some("http://localhost:8080/v1"),
        is_keyless: true,
        quirks: Quirks { thinking: Thinking::Template, ..Quirks::GENERIC },
        sources: &["ggml-org/llama.cpp: tools/server/README.md"],
        ..USUAL
    },
    Compatible {
        id: "lm_studio",
        name_en: "LM Studio",
        name_zh: "LM Studio",
        base_url: Some("http://localhost:1234/v1"),
        is_keyless: true,
        quirks: Quirks::GENERIC,
        sources: &["https://lmstudio.ai/docs/developer/openai-compat"],
        ..USUAL
    },
    Compatible {
        id: "openai_compatible",
        name_en: "Any OpenAI-compatible server",
        name_zh: "任何兼容 OpenAI 的服务",
        is_keyless: true,
        quirks: Quirks::GENERIC,
        sources: &["https://platform.openai.com/docs/api-reference/chat/create"],
        ..USUAL
    },
];
