//! `oblivious up`, everything in one process with its private servers, and `oblivious serve`, some roles of many.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Instant;

use anyhow::{Context as _, anyhow};

use crate::config::Config;
use crate::embedded::{self, Embedded};
use crate::node::Node;
use crate::roles::{Models, Role, Running};
use crate::secret::Secret;
use crate::signals::Stop;
use crate::{admin, console, first_channels, metrics};

/// Starts the servers, brings the schema up to date, runs until asked to end, and ends everything in order.
///
/// # Errors
/// Something does not start, or is lost for good while running.
pub(crate) async fn run(config: &Config) -> anyhow::Result<()> {
    let began = Instant::now();
    let mut stop = Stop::listen().context("cannot listen for signals")?;
    // Asked to end while starting: the servers end because we do.
    let started = tokio::select! {
        started = embedded::start(config) => started,
        signal = stop.asked() => return Err(anyhow!("ended by {signal} while starting")),
    };
    let mut servers = started?;
    for note in &servers.notes {
        console(note);
    }
    let outcome = run_all(config, &mut servers, &mut stop, began).await;
    servers.shutdown().await;
    outcome
}

async fn run_all(config: &Config, servers: &mut Embedded, stop: &mut Stop, began: Instant) -> anyhow::Result<()> {
    // Before anything counts.
    metrics::recorder()?;
    let node = Node::connect(config, &servers.database_url, &servers.nats_url, true).await?;
    if config.database_url.is_none() {
        // The private database is this process's alone: whoever held leases was its predecessor, and is dead.
        handlers::jobs::end_leases(&node.pool).await?;
    }
    let mut running = Running::start(config, &node, &Role::all()).await?;
    let address = running.http_addr.unwrap_or(config.http_addr);
    let models = running.models();
    let welcomed = tokio::select! {
        welcomed = welcome(config, &node, &models, address) => welcomed,
        signal = stop.asked() => Err(anyhow!("ended by {signal} while starting")),
        error = running.failed() => Err(error),
    };
    running.open();
    let outcome = match welcomed {
        Ok(address) => {
            console("");
            let took = began.elapsed().as_secs_f64();
            console(&format!("Oblivious is ready after {took:.1} s: open {address}"));
            until_asked(servers, &mut running, stop).await
        }
        Err(error) => Err(error),
    };
    running.stop().await;
    node.close().await;
    outcome
}

async fn until_asked(servers: &mut Embedded, running: &mut Running, stop: &mut Stop) -> anyhow::Result<()> {
    tokio::select! {
        signal = stop.asked() => {
            console(&format!("{}: stopping.", signal.as_str()));
            Ok(())
        }
        error = servers.failed() => Err(error),
        error = running.failed() => Err(error),
    }
}

/// Makes the administrator and the first channels if need be, and waits until both can be used; where to go.
async fn welcome(config: &Config, node: &Node, models: &Models, address: SocketAddr) -> anyhow::Result<String> {
    if let Some(new) = admin::ensure(config, node).await? {
        console("");
        match new.password {
            Some(password) => console(&format!(
                "An administrator was made. Sign in as {} with the password {password} (shown only now).",
                new.email
            )),
            None => console(&format!("An administrator was made: {}, with the configured password.", new.email)),
        }
    }
    first_channels::ensure(config, node, models.has_local_model).await?;
    admin::wait_until_known(node).await?;
    models.wait_for_one().await;
    Ok(config.public_url.clone().unwrap_or_else(|| format!("http://{address}")))
}

/// Runs `roles` on the configured servers until asked to end.
///
/// # Errors
/// A URL is missing, a server does not answer, or a role fails.
pub(crate) async fn serve(config: &Config, roles: BTreeSet<Role>) -> anyhow::Result<()> {
    let mut stop = Stop::listen().context("cannot listen for signals")?;
    metrics::recorder()?;
    let missing = |name| format!("{name} is not set: `serve` uses servers that exist (`oblivious up` starts its own)");
    let url = |url: &Option<Secret>, name| url.clone().with_context(|| missing(name));
    let (database, bus) = (url(&config.database_url, "DATABASE_URL")?, url(&config.nats_url, "NATS_URL")?);
    // The migrations take a lock, so that of many processes one applies them.
    let node = Node::connect(config, &database, &bus, true).await?;
    let mut running = Running::start(config, &node, &roles).await?;
    let models = running.models();
    if roles.contains(&Role::Handlers) {
        let begin = async {
            let made = admin::ensure(config, &node).await?;
            first_channels::ensure(config, &node, models.has_local_model).await?;
            if roles.contains(&Role::Projections) {
                admin::wait_until_known(&node).await?;
            }
            anyhow::Ok(made)
        };
        let made = tokio::select! {
            made = begin => made?,
            error = running.failed() => return Err(error),
        };
        if let Some(new) = made {
            let password =
                new.password.map_or_else(|| "the configured one".to_owned(), |one| format!("{one} (shown only now)"));
            console(&format!("An administrator was made: {}, password: {password}.", new.email));
        }
    }
    running.open();
    match running.http_addr {
        Some(address) => console(&format!("Ready: http://{address}")),
        None => console("Ready."),
    }
    let outcome = tokio::select! {
        signal = stop.asked() => {
            console(&format!("{}: stopping.", signal.as_str()));
            Ok(())
        }
        error = running.failed() => Err(error),
    };
    running.stop().await;
    node.close().await;
    outcome
}
