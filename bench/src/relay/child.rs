//! Processes that take part; each ends with its value here.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread::available_parallelism;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// Until a process of ours has told its address.
const STARTS_WITHIN: Duration = Duration::from_secs(30);

/// The processor that whoever is compared has for itself; upstream and load have the first one.
const CONTESTANT: Option<usize> = Some(1);
const OTHERS: Option<usize> = Some(0);

/// Where a process may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Core {
    Contestant,
    Others,
    /// The servers that an installation brings along.
    Any,
}

/// A command on its processor; on a machine of one processor, or without `taskset`, where the system puts it.
pub(crate) fn command(program: impl AsRef<OsStr>, core: Core) -> Command {
    let place = match core {
        Core::Contestant => CONTESTANT,
        Core::Others => OTHERS,
        Core::Any => None,
    };
    let mut command = match place.filter(|_| has_places()) {
        Some(place) => {
            let mut command = Command::new("taskset");
            command.args(["--cpu-list", &place.to_string()]).arg(program);
            command
        }
        None => Command::new(program),
    };
    // A part of ours ends when its standard input does; and nobody outlives its value here.
    command.stdin(Stdio::piped()).kill_on_drop(true).env_remove("RUST_BACKTRACE");
    command
}

/// Whether everybody is put on a processor.
pub(crate) fn has_places() -> bool {
    let found = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|one| one.join("taskset").is_file()));
    found && available_parallelism().is_ok_and(|cores| cores.get() > 1)
}

/// A process, with what it says in a file.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) pid: u32,
    log: PathBuf,
    child: Child,
}

impl Running {
    /// Starts it; what it says goes to `<name>.log` in `folder`.
    ///
    /// # Errors
    /// It does not start.
    pub(crate) fn start(mut command: Command, folder: &Path, name: &str) -> anyhow::Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let file = File::create(&log)?;
        let child = command.stdout(file.try_clone()?).stderr(file).spawn();
        let child = child.with_context(|| format!("cannot start {name}"))?;
        let pid = child.id().with_context(|| format!("{name} ended at once"))?;
        Ok(Self { pid, log, child })
    }

    /// What follows `mark` in what it said, once it has; an error with the end of that when it ends before.
    ///
    /// # Errors
    /// It ended, or says nothing of the kind in time.
    pub(crate) async fn says(&mut self, mark: &str, within: Duration) -> anyhow::Result<String> {
        let waiting = async {
            loop {
                let said = fs::read_to_string(&self.log).unwrap_or_default();
                let line = said.lines().find_map(|line| Some(line.split_once(mark)?.1.trim().to_owned()));
                if let Some(line) = line.filter(|_| said.ends_with('\n')) {
                    return Ok(line);
                }
                self.require()?;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(within, waiting).await.with_context(|| format!("nothing of `{mark}` was said in time"))?
    }

    /// Refuses where it has ended.
    ///
    /// # Errors
    /// It has ended; the end of what it said is in the error.
    pub(crate) fn require(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            Some(status) => bail!("it ended with {status}: {}", self.last_words()),
            None => Ok(()),
        }
    }

    fn last_words(&self) -> String {
        let said = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = said.lines().collect();
        lines.get(lines.len().saturating_sub(12)..).unwrap_or_default().join("\n")
    }
}

/// A process of this executable that serves; it ends when we do.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) pid: u32,
    _child: Child,
}

impl Server {
    /// Starts the subcommand and waits for its address.
    ///
    /// # Errors
    /// It does not start.
    pub(crate) async fn start(arguments: &[&str], core: Core) -> anyhow::Result<Self> {
        let mut child = command(std::env::current_exe()?, core).args(arguments).stdout(Stdio::piped()).spawn()?;
        let output = child.stdout.take().context("no output")?;
        let mut line = String::new();
        timeout(STARTS_WITHIN, BufReader::new(output).read_line(&mut line)).await??;
        let address = line.trim().parse().with_context(|| format!("{arguments:?} told no address"))?;
        let pid = child.id().with_context(|| format!("{arguments:?} ended at once"))?;
        Ok(Self { address, pid, _child: child })
    }
}

/// Runs a subcommand of this executable to its end; what it printed.
///
/// # Errors
/// It failed, or took longer than that.
pub(crate) async fn ask(arguments: &[&str], within: Duration) -> anyhow::Result<String> {
    let mut child = command(std::env::current_exe()?, Core::Others).args(arguments).stdout(Stdio::piped()).spawn()?;
    let mut printed = String::new();
    let mut output = child.stdout.take().context("no output")?;
    let status = timeout(within, async {
        output.read_to_string(&mut printed).await?;
        child.wait().await
    });
    let status = status.await.with_context(|| format!("{} took too long", arguments[0]))??;
    anyhow::ensure!(status.success(), "{} failed", arguments[0]);
    Ok(printed)
}
