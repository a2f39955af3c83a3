//! `oblivious doctor`: what is on this machine, and what would block a start.
//!
//! Promise: it changes nothing. Each finding that blocks says what to do; the exit code is 0 only when none does.

use std::fmt;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, ExitCode};

use nix::sys::statvfs::statvfs;
use nix::unistd::{User, geteuid};

use crate::config::{Config, Values};
use crate::embedded::{Kit, in_use_by, unprivileged_user};
use crate::{answer, connect, master_key};

/// Below this the first start may succeed and the first day not.
const LITTLE_SPACE_BYTES: u64 = 2 * 1024 * 1024 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Fine,
    Note,
    Blocks,
}

#[derive(Debug)]
struct Finding {
    level: Level,
    about: &'static str,
    text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.level {
            Level::Fine => "fine  ",
            Level::Note => "note  ",
            Level::Blocks => "BLOCKS",
        };
        writeln!(formatter, "{level}  {:<13}  {}", self.about, self.text)
    }
}

#[derive(Debug, Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn fine(&mut self, about: &'static str, text: impl Into<String>) {
        self.0.push(Finding { level: Level::Fine, about, text: text.into() });
    }

    fn note(&mut self, about: &'static str, text: impl Into<String>) {
        self.0.push(Finding { level: Level::Note, about, text: text.into() });
    }

    fn blocks(&mut self, about: &'static str, text: impl Into<String>) {
        self.0.push(Finding { level: Level::Blocks, about, text: text.into() });
    }
}

/// Looks, prints, and tells by the exit code whether a start would work.
///
/// # Errors
/// None today: whatever goes wrong is a finding.
pub(crate) async fn run(file: Option<&Path>) -> anyhow::Result<ExitCode> {
    let mut found = Findings::default();
    let machine =
        format!("{} {} on {} {}", "oblivious", env!("CARGO_PKG_VERSION"), std::env::consts::OS, std::env::consts::ARCH);
    found.fine("executable", machine);
    match Config::load(file) {
        Ok((config, _)) => look(&config, &mut found).await,
        Err(error) => found.blocks("configuration", format!("{error:#}")),
    }
    let blocked = found.0.iter().filter(|finding| finding.level == Level::Blocks).count();
    for finding in &found.0 {
        answer(&finding.to_string());
    }
    answer(&match blocked {
        0 => "\nNothing blocks a start.\n".to_owned(),
        1 => "\nOne thing blocks a start.\n".to_owned(),
        n => format!("\n{n} things block a start.\n"),
    });
    Ok(if blocked == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn look(config: &Config, found: &mut Findings) {
    found.fine("configuration", format!("{} settings, all valid (`oblivious config` prints them)", Values::count()));
    if config.database_url.is_none() || config.nats_url.is_none() {
        look_at_kit(found);
        look_at_user(config, found);
    }
    look_at_data_dir(config, found);
    look_at_servers(config, found).await;
    look_at_address(config, found);
    look_at_model(config, found);
}

fn look_at_kit(found: &mut Findings) {
    let kit = match Kit::find() {
        Ok(kit) => kit,
        Err(error) => return found.blocks("kit", format!("{error:#}")),
    };
    found.fine("kit", kit.directory.display().to_string());
    for (about, program) in [("postgres", kit.postgres_bin.join("postgres")), ("nats-server", kit.nats_server)] {
        match Command::new(&program).arg("--version").env_clear().output() {
            Ok(output) if output.status.success() => {
                found.fine(about, String::from_utf8_lossy(&output.stdout).trim().to_owned());
            }
            Ok(output) => {
                let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
                found.blocks(about, format!("{} does not run here: {why}", program.display()));
            }
            Err(error) => found.blocks(about, format!("{} does not run here: {error}", program.display())),
        }
    }
}

fn look_at_user(config: &Config, found: &mut Findings) {
    let uid = geteuid();
    let name = User::from_uid(uid).ok().flatten().map(|user| user.name);
    match (uid.is_root(), name) {
        (true, _) => match unprivileged_user(&config.data_dir.join("postgres")) {
            Ok((_, name)) => found.note("user", format!("root; the private servers will run as `{name}`")),
            Err(error) => found.blocks("user", format!("{error:#}")),
        },
        (false, Some(name)) => found.fine("user", name),
        (false, None) => found.blocks(
            "user",
            format!("user id {uid} has no entry in /etc/passwd, which Postgres insists on: run as a named user, or set DATABASE_URL"),
        ),
    }
}

fn look_at_data_dir(config: &Config, found: &mut Findings) {
    let directory = &config.data_dir;
    let shown = directory.display();
    if let Some(pid) = in_use_by(directory) {
        return found.blocks(
            "data",
            format!("{shown} is in use by process {pid}: stop it, or choose another OBLIVIOUS_DATA_DIR"),
        );
    }
    // Of a directory that is to be made, the nearest one that exists decides.
    let absolute = std::path::absolute(directory).unwrap_or_else(|_| directory.clone());
    let Some(existing) = absolute.ancestors().find(|path| path.exists()) else { return };
    if nix::unistd::access(existing, nix::unistd::AccessFlags::W_OK).is_err() {
        return found
            .blocks("data", format!("{} is not writable: choose another OBLIVIOUS_DATA_DIR", existing.display()));
    }
    let free = statvfs(existing).map_or(u64::MAX, |about| free_bytes(&about));
    let room = format!("{shown}, {} MiB free", free / (1024 * 1024));
    if free < LITTLE_SPACE_BYTES {
        found.note("data", format!("{room}: that is little"));
    } else {
        found.fine("data", room);
    }
    if directory.join("secret.key").exists() || config.secret_key.is_some() {
        match master_key::load(config) {
            Ok(_) => found.fine("secret", "the master secret is there; keep a copy outside this machine"),
            Err(error) => found.blocks("secret", format!("{error:#}")),
        }
    } else {
        found.note(
            "secret",
            format!("the first start will make the master secret {shown}/secret.key; keep a copy of it"),
        );
    }
}

#[expect(clippy::unnecessary_cast, reason = "the width of these fields differs between platforms")]
fn free_bytes(about: &nix::sys::statvfs::Statvfs) -> u64 {
    (about.blocks_available() as u64).saturating_mul(about.fragment_size() as u64)
}

async fn look_at_servers(config: &Config, found: &mut Findings) {
    match &config.database_url {
        None => found.fine("database", "a private Postgres will be started"),
        Some(url) => match connect::postgres(url, 1).await {
            Ok(_) => found.fine("database", "the Postgres of DATABASE_URL answers"),
            Err(error) => found.blocks("database", format!("DATABASE_URL: {error:#}")),
        },
    }
    match &config.nats_url {
        None => found.fine("bus", "a private nats-server will be started"),
        Some(url) => match connect::nats(url).await {
            Ok(client) => found.fine("bus", format!("the NATS {} of NATS_URL answers", client.server_info().version)),
            Err(error) => found.blocks("bus", format!("NATS_URL: {error:#}")),
        },
    }
}

fn look_at_address(config: &Config, found: &mut Findings) {
    match TcpListener::bind(config.http_addr) {
        Ok(_) => found.fine("address", format!("http://{} is free", config.http_addr)),
        Err(error) => {
            found.blocks("address", format!("cannot listen on {}: {error}; set OBLIVIOUS_HTTP_ADDR", config.http_addr));
        }
    }
}

fn look_at_model(config: &Config, found: &mut Findings) {
    let models = if config.openai_models.is_empty() { "its own list".into() } else { config.openai_models.join(", ") };
    match (&config.openai_base_url, &config.openai_api_key) {
        (Some(url), _) => found.fine("model", format!("the server at {url} with {models}")),
        (None, Some(_)) => found.fine("model", format!("OpenAI with {models}")),
        (None, None) => found.note(
            "model",
            "the small local one, a demonstration: set OPENAI_API_KEY, or OPENAI_BASE_URL for any compatible server",
        ),
    }
}
