//! The configuration: one typed struct from a TOML file and the environment.
//!
//! Promise: a value comes from the environment, else from the file, else from the default; a name that is not known, in
//! the file or as `OBLIVIOUS_…`, is refused with the nearest one that is; a value that does not fit is refused with where
//! it came from and what was expected. Nothing here is a secret unless its type is [`Secret`].
//!
//! A new setting is a row in `keys.rs`, a field of [`Config`] and a line in `Config::from_values`.

mod keys;
mod values;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::Context as _;
use domain::billing::wallet::MAX_MOVEMENT;
use domain::billing::{Currency, ExpiryPolicy, InvalidRate, Nanos, Rates};

use crate::secret::Secret;
pub(crate) use values::Values;

const PRICES: &str = "input and output prices per million tokens such as 2.50/10.00";

/// What is done with a reply whose process died.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AfterDeath {
    /// Generate it again as a new attempt; the lost one is on the house.
    Again,
    /// Complete it with the text that there was.
    Interrupted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

/// Everything that can be set.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) http_addr: SocketAddr,
    /// Where every process shows its metrics; absent: at the API's address.
    pub(crate) metrics_addr: Option<SocketAddr>,
    /// As browsers see this installation; absent: the address above.
    pub(crate) public_url: Option<String>,
    /// Holds private servers, the master secret and prepared models.
    pub(crate) data_dir: PathBuf,
    pub(crate) admin_email: Option<String>,
    pub(crate) admin_password: Option<Secret>,
    /// 32 bytes in base64; absent: generated into the data directory at the first start.
    pub(crate) secret_key: Option<Secret>,
    /// Filter directives such as `info,sqlx=warn`.
    pub(crate) log: String,
    pub(crate) log_format: LogFormat,
    /// Of the command stream; the same on every node.
    pub(crate) partitions: u16,
    pub(crate) max_body_bytes: usize,
    /// Of a call of the compatible API, which carries whole conversations and pictures.
    pub(crate) max_completion_body_bytes: usize,
    /// Of a call of the compatible API with files, such as recordings.
    pub(crate) max_upload_bytes: usize,
    /// Pages on other hosts that may call the API.
    pub(crate) cors_origins: Vec<String>,
    /// Behind a proxy that sets `X-Forwarded-For`: its last entry is the client's address.
    pub(crate) trust_forwarded_for: bool,
    /// Sign-ins and registrations from one address.
    pub(crate) sign_ins_per_minute: u32,
    /// Replies generated at the same time by one process.
    pub(crate) job_concurrency: usize,
    pub(crate) after_death: AfterDeath,
    /// Of the ledger; not changed once money was moved.
    pub(crate) currency: Currency,
    /// Given to every new account.
    pub(crate) signup_grant: Nanos,
    /// A shorter answer than this is not asked for when credit is short.
    pub(crate) min_output_tokens: u32,
    /// The bound of answers where neither client nor model names one.
    pub(crate) default_output_tokens: u32,
    /// How long the credit of a call whose process died stays out of reach.
    pub(crate) hold_seconds: u32,
    pub(crate) expired_holds: ExpiryPolicy,
    /// How long an answer goes on for a client that went away.
    pub(crate) drain_seconds: u32,
    /// Failures in a row after which an upstream rests.
    pub(crate) breaker_failures: u32,
    /// For how long it rests the first time, and at most.
    pub(crate) breaker_rest_seconds: u32,
    pub(crate) breaker_longest_rest_seconds: u32,
    /// Second tries that all requests together may have, in percent of them.
    pub(crate) retry_percent: u32,
    /// Before a key that its provider called void is asked after; 0: never.
    pub(crate) key_probe_seconds: u32,
    /// Days for which single calls can be looked at.
    pub(crate) call_days: u32,
    /// Calls of the compatible API by one user.
    pub(crate) api_requests_per_minute: u32,
    /// Tokens of their input.
    pub(crate) api_tokens_per_minute: u32,
    /// Channels may point to link-local addresses, where clouds keep their credentials.
    pub(crate) allow_link_local: bool,
    /// Of the local model, made into a channel at the first start.
    pub(crate) local_prices: Prices,
    /// Absent: a private Postgres is started.
    pub(crate) database_url: Option<Secret>,
    /// Of this process, all roles together.
    pub(crate) database_connections: u32,
    /// Absent: a private nats-server is started.
    pub(crate) nats_url: Option<Secret>,
    pub(crate) openai_api_key: Option<Secret>,
    pub(crate) openai_base_url: Option<String>,
    /// Empty: the server is asked for its list.
    pub(crate) openai_models: Vec<String>,
    /// Of the channel that `OPENAI_*` becomes at the first start.
    pub(crate) openai_prices: Prices,
}

/// Two prices per million tokens, written `input/output`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Prices(pub(crate) Rates);

impl FromStr for Prices {
    type Err = InvalidRate;

    fn from_str(text: &str) -> Result<Self, InvalidRate> {
        let (input, output) = text.split_once('/').ok_or(InvalidRate)?;
        Ok(Self(Rates { input: input.trim().parse()?, output: output.trim().parse()?, ..Rates::default() }))
    }
}

impl Config {
    /// How long read models remember what is not needed for ever.
    pub(crate) const fn retention(&self) -> projections::Retention {
        projections::Retention { call_days: self.call_days }
    }

    /// Reads the file (`--config`, else `OBLIVIOUS_CONFIG`, else `oblivious.toml` if it is there) and the environment.
    ///
    /// # Errors
    /// The file cannot be read, a name is unknown, or a value does not fit.
    pub(crate) fn load(file: Option<&Path>) -> anyhow::Result<(Self, Values)> {
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect::<Vec<_>>();
        let named = file.map(Path::to_owned).or_else(|| std::env::var_os("OBLIVIOUS_CONFIG").map(PathBuf::from));
        let file = match named {
            Some(path) => Some(path),
            None => Some(PathBuf::from("oblivious.toml")).filter(|path| path.exists()),
        };
        let text = file
            .map(|path| {
                let text = std::fs::read_to_string(&path)
                    .with_context(|| format!("cannot read the configuration file {}", path.display()))?;
                anyhow::Ok((path, text))
            })
            .transpose()?;
        let values = Values::collect(text.as_ref().map(|(path, text)| (path.as_path(), text.as_str())), &environment)?;
        Ok((Self::from_values(&values)?, values))
    }

    fn from_values(values: &Values) -> anyhow::Result<Self> {
        Ok(Self {
            http_addr: values.parse("http_addr", "an address and port such as 127.0.0.1:8080")?,
            metrics_addr: values
                .text("metrics_addr")
                .map(|_| values.parse("metrics_addr", "an address and port such as 127.0.0.1:9090"))
                .transpose()?,
            public_url: values.text("public_url"),
            data_dir: values.parse("data_dir", "a directory")?,
            admin_email: values.text("admin_email"),
            admin_password: values.secret("admin_password"),
            secret_key: values.secret("secret_key"),
            log: values.parse("log", "filter directives such as info,sqlx=warn")?,
            log_format: values.one_of("log_format", &[("text", LogFormat::Text), ("json", LogFormat::Json)])?,
            partitions: values.within("partitions", 1, 1024)?,
            max_body_bytes: values.within("max_body_bytes", 1024, 64 * 1024 * 1024)?,
            max_completion_body_bytes: values.within("max_completion_body_bytes", 1024, 64 * 1024 * 1024 * 1024)?,
            max_upload_bytes: values.within("max_upload_bytes", 1024, 64 * 1024 * 1024 * 1024)?,
            cors_origins: values.list("cors_origins"),
            trust_forwarded_for: values.one_of("trust_forwarded_for", &[("yes", true), ("no", false)])?,
            sign_ins_per_minute: values.within("sign_ins_per_minute", 1, 1_000_000)?,
            job_concurrency: values.within("job_concurrency", 1, 1024)?,
            after_death: values
                .one_of("after_death", &[("again", AfterDeath::Again), ("interrupted", AfterDeath::Interrupted)])?,
            currency: values.parse("currency", "three capital letters such as USD")?,
            signup_grant: values.read("signup_grant", "an amount such as 1.00, at most 1000000", |text| {
                Nanos::from_units(text).ok().filter(|amount| *amount <= MAX_MOVEMENT)
            })?,
            min_output_tokens: values.within("min_output_tokens", 1, 1_000_000)?,
            default_output_tokens: values.within("default_output_tokens", 1, 10_000_000)?,
            hold_seconds: values.within("hold_seconds", 5, 86_400)?,
            expired_holds: values
                .one_of("expired_holds", &[("release", ExpiryPolicy::Release), ("charge", ExpiryPolicy::Charge)])?,
            drain_seconds: values.within("drain_seconds", 0, 600)?,
            breaker_failures: values.within("breaker_failures", 1, 1000)?,
            breaker_rest_seconds: values.within("breaker_rest_seconds", 1, 3600)?,
            breaker_longest_rest_seconds: values.within("breaker_longest_rest_seconds", 1, 86_400)?,
            retry_percent: values.within("retry_percent", 0, 100)?,
            key_probe_seconds: values.within("key_probe_seconds", 0, 86_400)?,
            call_days: values.within("call_days", 1, 3650)?,
            api_requests_per_minute: values.within("api_requests_per_minute", 1, 10_000_000)?,
            api_tokens_per_minute: values.within("api_tokens_per_minute", 1_000, 1_000_000_000)?,
            allow_link_local: values.one_of("allow_link_local", &[("yes", true), ("no", false)])?,
            local_prices: values.parse("local_prices", PRICES)?,
            database_url: values.secret("database_url"),
            database_connections: values.within("database_connections", 5, 1000)?,
            nats_url: values.secret("nats_url"),
            openai_api_key: values.secret("openai_api_key"),
            openai_base_url: values.text("openai_base_url"),
            openai_models: values.list("openai_models"),
            openai_prices: values.parse("openai_prices", PRICES)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(file: &str, environment: &[(&str, &str)]) -> anyhow::Result<(Config, Values)> {
        let environment: Vec<_> = environment.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let values = Values::collect(Some((Path::new("test.toml"), file)), &environment)?;
        Ok((Config::from_values(&values)?, values))
    }

    fn refusal(file: &str, environment: &[(&str, &str)]) -> String {
        format!("{:#}", load(file, environment).expect_err("refused"))
    }

    #[test]
    fn without_anything_set_the_defaults_are_complete() {
        let (config, _) = load("", &[]).expect("the defaults fit");
        assert_eq!(config.http_addr.to_string(), "127.0.0.1:8080");
        assert_eq!(config.data_dir, Path::new(".oblivious"));
        assert_eq!(config.partitions, 32);
        assert_eq!(config.after_death, AfterDeath::Again);
        assert!(config.database_url.is_none() && config.openai_models.is_empty());
    }

    #[test]
    fn the_environment_wins_over_the_file_and_the_file_over_the_default() {
        let file = "http_addr = \"0.0.0.0:1\"\npartitions = 8\nopenai_models = [\"a\", \"b\"]";
        let (config, _) =
            load(file, &[("OBLIVIOUS_HTTP_ADDR", "[::1]:2"), ("OBLIVIOUS_LOG_FORMAT", "json")]).expect("fits");
        assert_eq!(config.http_addr.to_string(), "[::1]:2");
        assert_eq!(config.partitions, 8);
        assert_eq!(config.log_format, LogFormat::Json);
        assert_eq!(config.openai_models, ["a", "b"]);
    }

    #[test]
    fn an_unknown_name_is_refused_with_the_nearest_known_one() {
        let in_file = refusal("http_adr = \"0.0.0.0:1\"", &[]);
        assert!(in_file.contains("`http_adr`") && in_file.contains("`http_addr`"), "{in_file}");
        let in_environment = refusal("", &[("OBLIVIOUS_DATADIR", "x")]);
        assert!(
            in_environment.contains("OBLIVIOUS_DATADIR") && in_environment.contains("OBLIVIOUS_DATA_DIR"),
            "{in_environment}"
        );
        assert!(load("", &[("OBLIVIOUS_TEST_DATABASE_URL", "x"), ("OBLIVIOUS_KIT_DIR", "x"), ("OTHER", "x")]).is_ok());
    }

    #[test]
    fn a_value_that_does_not_fit_is_refused_with_its_origin_and_what_is_expected() {
        let address = refusal("", &[("OBLIVIOUS_HTTP_ADDR", "nine")]);
        assert!(address.contains("OBLIVIOUS_HTTP_ADDR") && address.contains("127.0.0.1:8080"), "{address}");
        let range = refusal("partitions = 0", &[]);
        assert!(range.contains("test.toml") && range.contains("1 to 1024"), "{range}");
        let choice = refusal("", &[("OBLIVIOUS_AFTER_DEATH", "never")]);
        assert!(choice.contains("again") && choice.contains("interrupted"), "{choice}");
        for grant in ["1,00", "-1", "1000000.1"] {
            let grant = refusal("", &[("OBLIVIOUS_SIGNUP_GRANT", grant)]);
            assert!(grant.contains("at most 1000000"), "{grant}");
        }
        let prices = refusal("", &[("OPENAI_PRICES", "2.50")]);
        assert!(prices.contains("2.50/10.00"), "{prices}");
        let kind = refusal("http_addr = { host = \"x\" }", &[]);
        assert!(kind.contains("http_addr"), "{kind}");
    }

    #[test]
    fn a_refused_secret_is_not_repeated_in_the_message() {
        let message = refusal("openai_api_key = { a = \"sk-very-secret\" }", &[]);
        assert!(!message.contains("sk-very-secret"), "{message}");
        let broken = refusal("openai_api_key = \"sk-very-secret", &[]);
        assert!(!broken.contains("sk-very-secret"), "{broken}");
    }

    #[test]
    fn an_empty_variable_counts_as_not_set() {
        let (config, _) = load("", &[("DATABASE_URL", ""), ("OBLIVIOUS_PARTITIONS", "")]).expect("fits");
        assert!(config.database_url.is_none());
        assert_eq!(config.partitions, 32);
    }

    #[test]
    fn the_printed_configuration_masks_secrets_names_origins_and_can_be_read_again() {
        let environment = [
            ("DATABASE_URL", "postgres://app:hunter2@db:5432/app"),
            ("NATS_URL", "nats://bus:hunter2@bus"),
            ("OPENAI_API_KEY", "hunter2"),
            ("OBLIVIOUS_ADMIN_PASSWORD", "hunter2"),
            ("OPENAI_MODELS", "one, two"),
        ];
        let (_, values) = load("partitions = 8", &environment).expect("fits");
        let printed = values.to_toml();
        assert!(!printed.contains("hunter2"), "{printed}");
        assert!(printed.contains("postgres://app:********@db:5432/app"), "{printed}");
        assert!(printed.contains("from OPENAI_API_KEY") && printed.contains("from test.toml"), "{printed}");
        let again = Values::collect(Some((Path::new("again.toml"), &printed)), &[]).expect("it is valid TOML");
        assert_eq!(Config::from_values(&again).expect("it fits").openai_models, ["one", "two"]);
    }
}
