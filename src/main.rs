//! The executable: command line, configuration, private servers, and which roles run here.
//!
//! Read `cli.rs` for the commands, `config/keys.rs` for every setting, `embedded/` for the private servers.

mod admin;
mod channels;
mod cli;
mod config;
mod connect;
mod contracts;
mod doctor;
mod embedded;
mod events;
mod first_channels;
mod logging;
mod master_key;
mod metrics;
mod node;
mod operator;
mod rebuild;
mod reconcile;
mod roles;
mod routing;
mod secret;
mod signals;
mod up;
mod with_services;

use std::process::ExitCode;

use clap::Parser as _;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    bound_model_threads();
    // Two providers are compiled in by different libraries: without this each connection would panic.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cli = cli::Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let outcome = runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(cli.run()));
    logging::finish();
    outcome.unwrap_or_else(|error| {
        console(&format!("oblivious: {error:#}"));
        ExitCode::FAILURE
    })
}

/// The local model's arithmetic library takes the size of its pool from the environment and from nowhere else.
#[expect(unsafe_code, reason = "the environment may only be changed while there is one thread")]
fn bound_model_threads() {
    if std::env::var_os(relay::local::THREADS_VARIABLE).is_none() {
        // SAFETY: called first in `main`, before any thread that could read the environment at the same time.
        unsafe { std::env::set_var(relay::local::THREADS_VARIABLE, relay::local::default_threads().to_string()) };
    }
}

/// Prints a line for the person at the terminal; logs go the same way.
fn console(line: &str) {
    use std::io::Write as _;
    // Nobody reads: not a reason to end.
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Prints what a command was asked for, so that it can be piped.
fn answer(text: &str) {
    use std::io::Write as _;
    let _ = std::io::stdout().write_all(text.as_bytes());
}
