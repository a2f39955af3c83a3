//! `oblivious with-services -- COMMAND`: a private test Postgres around a command.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitCode;

use anyhow::Context as _;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::console;
use crate::embedded::{Kit, TestServices};
use crate::signals::Stop;

/// Runs the command on a server that is `durable` or fast, and answers with its exit code (128 + signal when it was killed).
///
/// # Errors
/// The servers or the command do not start.
pub(crate) async fn run(command: &[OsString], durable: bool) -> anyhow::Result<ExitCode> {
    let (program, arguments) = command.split_first().context("no command given")?;
    let kit = Kit::find()?;
    let mut stop = Stop::listen()?;
    let services = TestServices::start(&kit, durable).await?;
    let child = tokio::process::Command::new(program)
        .args(arguments)
        .env("OBLIVIOUS_TEST_DATABASE_URL", services.database_url.expose())
        .env("OBLIVIOUS_KIT_DIR", &kit.directory)
        .spawn();
    let outcome = match child {
        Ok(mut child) => loop {
            tokio::select! {
                status = child.wait() => break status.map_err(Into::into),
                signal = stop.asked() => {
                    console(&format!("{}: waiting for the command to end", signal.as_str()));
                    // A terminal sends SIGINT to the command as well; SIGTERM comes to us alone.
                    if let (Signal::SIGTERM, Some(pid)) = (signal, child.id()) {
                        let _ = kill(Pid::from_raw(i32::try_from(pid)?), signal);
                    }
                }
            }
        },
        Err(error) => Err(error).with_context(|| format!("cannot run {}", program.to_string_lossy())),
    };
    services.stop().await;
    let status = outcome?;
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}
