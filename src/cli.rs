//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};

use crate::config::Config;
use crate::{answer, connect, doctor, logging, up, with_services};

/// Self-hosted AI chat: event-sourced, message-driven, one executable.
///
/// `oblivious up` is all a first try needs: it starts a private Postgres and NATS beside the server itself.
/// Settings come from a TOML file and the environment: `oblivious config` lists them.
#[derive(Debug, Parser)]
#[command(name = "oblivious", version, max_term_width = 120)]
pub(crate) struct Cli {
    /// Configuration file; without it `OBLIVIOUS_CONFIG`, or `oblivious.toml` in the current directory.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start everything in one process, with private servers where `DATABASE_URL` or `NATS_URL` are not set.
    Up,
    /// Bring the schema of the database to this release.
    Migrate,
    /// Print the effective configuration with the origin of each value, secrets masked.
    Config,
    /// Say what was found on this machine and what would block a start.
    Doctor,
    /// Run a command with a private test Postgres; its URL is in `OBLIVIOUS_TEST_DATABASE_URL`.
    #[command(hide = true)]
    WithServices(WithServices),
}

#[derive(Args, Debug)]
struct WithServices {
    /// The command and its arguments.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

impl Cli {
    /// Runs the command; the exit code is 0 only when it did what it was asked.
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let file = self.config.as_deref();
        match self.command {
            // Tests bring their own configuration.
            Command::WithServices(arguments) => return with_services::run(&arguments.command).await,
            // Reads the configuration itself: a broken one is a finding.
            Command::Doctor => return doctor::run(file).await,
            _ => {}
        }
        let (config, values) = Config::load(file).context("the configuration is not usable")?;
        match self.command {
            Command::Up => {
                logging::start(&config)?;
                up::run(&config).await?;
            }
            Command::Migrate => {
                logging::start(&config)?;
                migrate(&config).await?;
            }
            Command::Config => answer(&values.to_toml()),
            Command::Doctor | Command::WithServices(_) => {}
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn migrate(config: &Config) -> anyhow::Result<()> {
    let url = config.database_url.as_ref().context(
        "DATABASE_URL is not set: `migrate` is for a database that exists (`oblivious up` migrates its own)",
    )?;
    let pool = connect::postgres(url, config.database_connections).await?;
    migrations::run(&pool).await.context("the migrations do not apply")?;
    answer("The database has the schema of this release.\n");
    Ok(())
}
