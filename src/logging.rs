//! Logs go to standard error, as text for people or as JSON for machines.

mod line;
mod sink;

use std::io::{IsTerminal as _, stderr};
use std::sync::OnceLock;

use anyhow::Context as _;
use tracing_subscriber::EnvFilter;

use crate::config::{Config, LogFormat};

/// Where lines go, once logging was started.
static SINK: OnceLock<sink::Sink> = OnceLock::new();

/// Starts logging for the rest of the process.
///
/// # Errors
/// The filter is not valid.
pub(crate) fn start(config: &Config) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&config.log)
        .with_context(|| format!("`log` is `{}`; it must be filter directives such as info,sqlx=warn", config.log))?;
    let sink = sink::Sink::start().context("a thread for the log cannot be started")?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(SINK.get_or_init(|| sink).clone())
        .with_ansi(stderr().is_terminal());
    let started = match config.log_format {
        LogFormat::Text => builder.event_format(line::Line::default()).fmt_fields(line::Fields::default()).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(true).try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("logging was started twice: {error}"))
}

/// Writes the lines that wait; the last thing that a process does.
pub(crate) fn finish() {
    if let Some(sink) = SINK.get() {
        sink.flush();
    }
}
