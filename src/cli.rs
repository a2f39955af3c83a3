//! The command line.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};

use crate::config::Config;
use crate::roles::Role;
use crate::{
    answer, connect, contracts, doctor, events, logging, node, operator, rebuild, reconcile, up, with_services,
};

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
    /// Run some roles as a process of its own, on the servers of `DATABASE_URL` and `NATS_URL`.
    Serve(Serve),
    /// Bring the schema of the database to this release.
    Migrate,
    /// Convert the local chat model of the kit into its fast form, once.
    Prepare,
    /// Print the OpenAPI document of the HTTP API.
    Openapi,
    /// Print the AsyncAPI document of the published events.
    Asyncapi,
    /// Write the documents that others build on, as they are committed, under a directory.
    #[command(hide = true)]
    Contracts {
        /// The root of the project.
        root: PathBuf,
    },
    /// The log of all events and the stream that publishes it.
    #[command(subcommand)]
    Events(events::Events),
    /// Commands that failed for good.
    #[command(subcommand)]
    DeadLetters(operator::DeadLetters),
    /// Make a read model again from all events, beside the live one, and put it in use without downtime.
    ///
    /// An interrupted run goes on where it stopped. Exits with 0 if the rebuilt rows are in use (with `--verify`: if the
    /// live rows are what the events say), 1 if `--verify` found differences, 2 if nothing was replaced or not everything
    /// could be compared.
    Rebuild(rebuild::Rebuild),
    /// Compare read models with the events that they come from.
    #[command(subcommand)]
    Reconcile(reconcile::Reconcile),
    /// Print the effective configuration with the origin of each value, secrets masked.
    Config,
    /// Say what was found on this machine and what would block a start.
    Doctor,
    /// Run a command with a private test Postgres; its URL is in `OBLIVIOUS_TEST_DATABASE_URL`.
    #[command(hide = true)]
    WithServices(WithServices),
}

#[derive(Args, Debug)]
struct Serve {
    /// Which roles, separated by commas; all if absent.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "ROLE")]
    roles: Vec<Role>,
}

#[derive(Args, Debug)]
struct WithServices {
    /// Keep on disk what is acknowledged, as an installation does: for measurements.
    #[arg(long)]
    durable: bool,
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
            Command::WithServices(arguments) => return with_services::run(&arguments.command, arguments.durable).await,
            // Reads the configuration itself: a broken one is a finding.
            Command::Doctor => return doctor::run(file).await,
            Command::Openapi => return printed(&contracts::openapi()?),
            Command::Asyncapi => return printed(&contracts::asyncapi()?),
            Command::Contracts { root } => return contracts::write(&root).map(|()| ExitCode::SUCCESS),
            Command::Reconcile(command) => {
                let config = Config::load(file).context("the configuration is not usable");
                return Ok(reconcile::run(config.map(|(config, _)| config), &command).await);
            }
            Command::Events(command) => {
                let config = Config::load(file).context("the configuration is not usable");
                return events::run(config.map(|(config, _)| config), command).await;
            }
            Command::Rebuild(command) => {
                let config = Config::load(file).context("the configuration is not usable");
                return Ok(rebuild::run(config.map(|(config, _)| config), &command).await);
            }
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
            Command::Serve(arguments) => {
                logging::start(&config)?;
                let roles: BTreeSet<Role> = arguments.roles.into_iter().collect();
                up::serve(&config, if roles.is_empty() { Role::all() } else { roles }).await?;
            }
            Command::Prepare => {
                let path = node::prepare_model(&config.data_dir).await?;
                answer(&format!("The local model is ready: {}\n", path.display()));
            }
            Command::DeadLetters(command) => operator::dead_letters(&config, command).await?,
            Command::Config => answer(&values.to_toml()),
            Command::Doctor
            | Command::WithServices(_)
            | Command::Rebuild(_)
            | Command::Reconcile(_)
            | Command::Events(_) => {}
            Command::Openapi | Command::Asyncapi | Command::Contracts { .. } => {}
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn printed(document: &str) -> anyhow::Result<ExitCode> {
    answer(document);
    Ok(ExitCode::SUCCESS)
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
