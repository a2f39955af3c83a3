//! Commands of the operator on servers that run: the dead letters.
//!
//! While `oblivious up` runs with private servers, their URLs are in `<data dir>/running.toml`, readable by its owner
//! only; these commands find them there.

use std::time::Duration;

use anyhow::Context as _;
use clap::Subcommand;
use nats::Sent;

use crate::answer;
use crate::config::Config;
use crate::embedded;
use crate::node::Node;

const WAIT: Duration = Duration::from_secs(10);
/// Dead letters shown at once.
const SHOWN: i64 = 200;

#[derive(Debug, Subcommand)]
pub(crate) enum DeadLetters {
    /// List them, newest first, one JSON object a line; bodies stay sealed.
    List,
    /// Send one again under its own command id and say what it came to.
    Retry {
        /// As listed.
        id: i64,
    },
    /// Delete one; its command stays dead.
    Drop {
        /// As listed.
        id: i64,
    },
}

/// # Errors
/// A server is away, or there is no such letter.
pub(crate) async fn dead_letters(config: &Config, command: DeadLetters) -> anyhow::Result<()> {
    let node = connect(config).await?;
    let letters = handlers::dead_letters::DeadLetters::new(node.pool.clone(), node.vault.clone());
    match command {
        DeadLetters::List => {
            for letter in letters.list(SHOWN).await? {
                answer(&(serde_json::to_string(&letter)? + "\n"));
            }
        }
        DeadLetters::Retry { id } => match letters.retry(id, &node.commands(config), WAIT).await? {
            Sent::Outcome(outcome) => answer(&(serde_json::to_string(&outcome)? + "\n")),
            Sent::Pending => answer("Queued; no handler has answered yet.\n"),
        },
        DeadLetters::Drop { id } => {
            letters.drop_letter(id).await?;
            answer("Dropped.\n");
        }
    }
    node.close().await;
    Ok(())
}

async fn connect(config: &Config) -> anyhow::Result<Node> {
    let running = embedded::running_services(config)?;
    let missing = "is not set, and no `oblivious up` with private servers runs on this data directory";
    let database =
        config.database_url.clone().or(running.database_url).with_context(|| format!("DATABASE_URL {missing}"))?;
    let bus = config.nats_url.clone().or(running.nats_url).with_context(|| format!("NATS_URL {missing}"))?;
    Node::connect(config, &database, &bus, false).await
}
