//! The process that is counted, and its counts.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tokio::process::Command;

/// When this function returns, callgrind writes down what it counted since the last time. It is called for each
/// `GET /metrics` and for nothing else.
const WRITES_AFTER: &str = "metrics_exporter_prometheus::recorder::PrometheusHandle::render*";
const FILE: &str = "callgrind.out";

#[derive(Debug)]
pub(super) struct Callgrind {
    folder: PathBuf,
    /// So many times it has written.
    written: u32,
}

impl Callgrind {
    /// Counts go to `folder`.
    pub(super) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), written: 0 }
    }

    /// The api role of `executable`, on one thread for what is asynchronous, so that none takes work from another.
    ///
    /// # Errors
    /// There is no valgrind.
    pub(super) fn command(&self, executable: &Path) -> anyhow::Result<Command> {
        let found = std::process::Command::new("valgrind").arg("--version").output();
        found.ok().filter(|output| output.status.success()).context(
            "valgrind is missing: on Debian `apt-get install valgrind` (as root `make instructions` does it by itself)",
        )?;
        let file = self.folder.join(FILE);
        let mut command = Command::new("valgrind");
        command.args(["--tool=callgrind", "--quiet", &format!("--dump-after={WRITES_AFTER}")]);
        command.arg(format!("--callgrind-out-file={}", file.display()));
        command.arg(executable).args(["serve", "--roles", "api"]);
        // An error that nobody sees would be counted with the frames that it came through.
        command.env("TOKIO_WORKER_THREADS", "1").env_remove("RUST_BACKTRACE");
        command.stdin(std::process::Stdio::null()).kill_on_drop(true);
        Ok(command)
    }

    /// The sum of what was written last.
    ///
    /// # Errors
    /// Nothing was written: the function has another name now.
    pub(super) fn read(&mut self) -> anyhow::Result<u64> {
        self.written += 1;
        let path = self.folder.join(format!("{FILE}.{}", self.written));
        let text = fs::read_to_string(&path);
        let text =
            text.with_context(|| format!("callgrind wrote nothing to {} after `{WRITES_AFTER}`", path.display()))?;
        sum(&text).with_context(|| format!("{} has no sum", path.display()))
    }
}

fn sum(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("totals:").or_else(|| line.strip_prefix("summary:")))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::sum;

    #[test]
    fn the_sum_is_found() {
        assert_eq!(sum("version: 1\nevents: Ir\nsummary: 42\n\nfn=x\n"), Some(42));
        assert_eq!(sum("events: Ir\nfn=x\n\ntotals: 1234567890123\n"), Some(1_234_567_890_123));
        assert_eq!(sum("events: Ir\n"), None);
    }
}
