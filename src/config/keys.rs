//! Every name that can be set, in the order in which `oblivious config` prints them.

use super::values::Kind::{self, List, Number, SecretText, Text, Url};

/// One setting.
#[derive(Debug)]
pub(super) struct Key {
    /// In the file.
    pub(super) name: &'static str,
    /// In the environment.
    pub(super) variable: &'static str,
    pub(super) kind: Kind,
    pub(super) default: Option<&'static str>,
}

const fn key(name: &'static str, variable: &'static str, kind: Kind, default: Option<&'static str>) -> Key {
    Key { name, variable, kind, default }
}

pub(super) const KEYS: &[Key] = &[
    key("http_addr", "OBLIVIOUS_HTTP_ADDR", Text, Some("127.0.0.1:8080")),
    key("metrics_addr", "OBLIVIOUS_METRICS_ADDR", Text, None),
    key("public_url", "OBLIVIOUS_PUBLIC_URL", Text, None),
    key("data_dir", "OBLIVIOUS_DATA_DIR", Text, Some(".oblivious")),
    key("admin_email", "OBLIVIOUS_ADMIN_EMAIL", Text, None),
    key("admin_password", "OBLIVIOUS_ADMIN_PASSWORD", SecretText, None),
    key("secret_key", "OBLIVIOUS_SECRET_KEY", SecretText, None),
    key("log", "OBLIVIOUS_LOG", Text, Some("info,sqlx=warn,async_nats=warn,memory_serve=warn")),
    key("log_format", "OBLIVIOUS_LOG_FORMAT", Text, Some("text")),
    key("partitions", "OBLIVIOUS_PARTITIONS", Number, Some("32")),
    key("max_body_bytes", "OBLIVIOUS_MAX_BODY_BYTES", Number, Some("1048576")),
    key("max_completion_body_bytes", "OBLIVIOUS_MAX_COMPLETION_BODY_BYTES", Number, Some("16777216")),
    key("max_upload_bytes", "OBLIVIOUS_MAX_UPLOAD_BYTES", Number, Some("33554432")),
    key("cors_origins", "OBLIVIOUS_CORS_ORIGINS", List, None),
    key("trust_forwarded_for", "OBLIVIOUS_TRUST_FORWARDED_FOR", Text, Some("no")),
    key("sign_ins_per_minute", "OBLIVIOUS_SIGN_INS_PER_MINUTE", Number, Some("300")),
    key("job_concurrency", "OBLIVIOUS_JOB_CONCURRENCY", Number, Some("64")),
    key("after_death", "OBLIVIOUS_AFTER_DEATH", Text, Some("again")),
    key("currency", "OBLIVIOUS_CURRENCY", Text, Some("USD")),
    key("signup_grant", "OBLIVIOUS_SIGNUP_GRANT", Text, Some("1.00")),
    key("min_output_tokens", "OBLIVIOUS_MIN_OUTPUT_TOKENS", Number, Some("64")),
    key("default_output_tokens", "OBLIVIOUS_DEFAULT_OUTPUT_TOKENS", Number, Some("4096")),
    key("hold_seconds", "OBLIVIOUS_HOLD_SECONDS", Number, Some("120")),
    key("expired_holds", "OBLIVIOUS_EXPIRED_HOLDS", Text, Some("release")),
    key("drain_seconds", "OBLIVIOUS_DRAIN_SECONDS", Number, Some("5")),
    key("breaker_failures", "OBLIVIOUS_BREAKER_FAILURES", Number, Some("5")),
    key("breaker_rest_seconds", "OBLIVIOUS_BREAKER_REST_SECONDS", Number, Some("5")),
    key("breaker_longest_rest_seconds", "OBLIVIOUS_BREAKER_LONGEST_REST_SECONDS", Number, Some("600")),
    key("retry_percent", "OBLIVIOUS_RETRY_PERCENT", Number, Some("20")),
    key("key_probe_seconds", "OBLIVIOUS_KEY_PROBE_SECONDS", Number, Some("600")),
    key("call_days", "OBLIVIOUS_CALL_DAYS", Number, Some("30")),
    key("api_requests_per_minute", "OBLIVIOUS_API_REQUESTS_PER_MINUTE", Number, Some("600")),
    key("api_tokens_per_minute", "OBLIVIOUS_API_TOKENS_PER_MINUTE", Number, Some("10000000")),
    key("allow_link_local", "OBLIVIOUS_ALLOW_LINK_LOCAL", Text, Some("no")),
    key("local_prices", "OBLIVIOUS_LOCAL_PRICES", Text, Some("0.10/0.40")),
    key("database_url", "DATABASE_URL", Url, None),
    key("database_connections", "OBLIVIOUS_DATABASE_CONNECTIONS", Number, Some("40")),
    key("nats_url", "NATS_URL", Url, None),
    key("openai_api_key", "OPENAI_API_KEY", SecretText, None),
    key("openai_base_url", "OPENAI_BASE_URL", Text, None),
    key("openai_models", "OPENAI_MODELS", List, None),
    key("openai_prices", "OPENAI_PRICES", Text, Some("2.50/10.00")),
];

/// Our own variables that are no settings: they say where to look, or belong to the tests.
pub(super) fn is_other_variable(name: &str) -> bool {
    matches!(name, "OBLIVIOUS_CONFIG" | "OBLIVIOUS_KIT_DIR") || name.starts_with("OBLIVIOUS_TEST_")
}
