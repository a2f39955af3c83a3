//! Where the processor time of the api role goes, as a flamegraph.
//!
//! Promise: what is looked at is the real executable, built as a release is, with `serve --roles api` in a whole
//! installation; callers, upstream, other roles and servers are other processes and not in the picture. `perf` samples it
//! while it works, in user space and in the kernel, and finds the callers by the tables that every executable carries for
//! unwinding. So neither frame pointers nor debug information are needed; what was inlined counts as part of where it
//! went. callgrind (`bench instructions --keep`) counts exactly instead, but does not tell apart who called a function:
//! a flamegraph of its files would share everything below a poll among all who poll.

use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::{Args, ValueEnum};
use inferno::collapse::Collapse as _;
use inferno::collapse::perf::Folder;
use tokio::process::Command;

use crate::relay::{self, Core, FREE, Ours, PRICED, Script, Server, Shape};
use crate::results::note;

/// What this can be told.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Where the picture goes: an SVG that browsers show and search.
    file: PathBuf,
    /// What is asked meanwhile.
    #[arg(long, value_enum, default_value = "free")]
    of: Kind,
    /// Who is looked at.
    #[arg(long, value_name = "FILE", default_value = "target/release/oblivious")]
    executable: PathBuf,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    /// Whole answers of a model that costs nothing.
    Free,
    /// Whole answers with exact billing.
    Billed,
    /// Streams of a model that costs nothing, an event each 10 ms.
    Streams,
}

const CALLERS: usize = 64;
const WARM_UP: Duration = Duration::from_secs(2);
const LOOKED_AT: Duration = Duration::from_secs(10);
/// A prime number, so that nothing regular keeps step with it.
const SAMPLES_PER_SECOND: &str = "199";
/// With as much of the stack as perf can take: futures lie within each other, and some are large. Of what is deeper still
/// the outermost callers are missing, and the picture has it beside them as `[unknown]`.
const STACKS: &str = "dwarf,65528";
/// Room for samples of that size until they are written; with perf's own half a megabyte most are lost.
const ROOM: &str = "32M";
/// Callers of callers; perf's own 127 are not enough for what is asynchronous.
const CALLERS_ABOVE: &str = "1024";
/// In per cent: what is narrower cannot be read, and would be most of the file.
const NARROWEST: f64 = 0.2;

impl Kind {
    const fn model(self) -> &'static str {
        match self {
            Self::Free | Self::Streams => FREE,
            Self::Billed => PRICED,
        }
    }

    const fn shape(self) -> Shape {
        match self {
            Self::Free | Self::Billed => Shape::Callers(CALLERS),
            Self::Streams => Shape::Streams { streams: CALLERS, script: Script { events: 200, pace_us: 10_000 } },
        }
    }

    const fn title(self) -> &'static str {
        match self {
            Self::Free => "api role, 64 callers of a model that costs nothing",
            Self::Billed => "api role, 64 callers with exact billing",
            Self::Streams => "api role, 64 streams with an event each 10 ms",
        }
    }
}

/// Looks, and draws.
///
/// # Errors
/// There is no `perf`, it may not look, or something does not start.
pub(crate) async fn run(options: &Options) -> anyhow::Result<()> {
    require_perf().await?;
    let (of, executable) = (options.of, &options.executable);
    ensure!(executable.is_file(), "{} is missing: `make release` builds it", executable.display());
    let folder = relay::folder()?;
    note("starting an installation");
    let upstream = Server::start(&["upstream"], Core::Others).await?;
    let mut api = relay::command(executable, Core::Contestant);
    api.args(["serve", "--roles", "api"]);
    let ours = Ours::open(&relay::executable()?, api, upstream.address, folder.path(), CALLERS).await?;
    note(&format!("{}, for {} s", of.title(), LOOKED_AT.as_secs()));
    let samples = folder.path().join("perf.data");
    let asked = ours.contestant(of.title(), of.model());
    let span = LOOKED_AT + WARM_UP;
    let (seen, recorded) = tokio::join!(asked.measure(of.shape(), WARM_UP, span), record(ours.api(), &samples));
    recorded?;
    let seen = seen?;
    ensure!(seen.answers > 0 && seen.failed == 0, "nothing was answered: {}", seen.failure.unwrap_or_default());
    note("finding the callers");
    let told = folder.path().join("perf.txt");
    tell(&samples, &told).await?;
    draw(&told, &options.file, of.title())?;
    note(&format!("{} is written: open it in a browser", options.file.display()));
    Ok(())
}

async fn require_perf() -> anyhow::Result<()> {
    let found = Command::new("perf").arg("--version").stdin(Stdio::null()).output().await;
    found
        .ok()
        .filter(|output| output.status.success())
        .context("perf is missing: on Debian `apt-get install linux-perf`, on Ubuntu `linux-tools-generic`")?;
    Ok(())
}

/// Samples the process until it has been looked at for long enough.
async fn record(pid: u32, samples: &Path) -> anyhow::Result<()> {
    tokio::time::sleep(WARM_UP).await;
    let mut perf = Command::new("perf");
    // A clock and no counter of the processor: virtual machines have none.
    perf.args(["record", "--quiet", "--event", "cpu-clock", "--freq", SAMPLES_PER_SECOND, "--call-graph", STACKS]);
    perf.args(["--mmap-pages", ROOM]);
    perf.arg("--output").arg(samples).args(["--pid", &pid.to_string()]);
    perf.args(["--", "sleep", &LOOKED_AT.as_secs().to_string()]);
    let output = perf.stdin(Stdio::null()).kill_on_drop(true).output().await?;
    ensure!(
        output.status.success() && samples.is_file(),
        "perf may not look (as root it may; or set kernel.perf_event_paranoid to 1): {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}

/// Writes down each sample with its callers.
async fn tell(samples: &Path, told: &Path) -> anyhow::Result<()> {
    let mut perf = Command::new("perf");
    perf.args(["script", "--no-inline", "--max-stack", CALLERS_ABOVE, "--input"])
        .arg(samples)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = perf.stdout(File::create(told)?).stderr(Stdio::piped()).spawn()?.wait_with_output().await?;
    ensure!(output.status.success(), "perf script failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}

/// Samples, as `perf script` tells them, become the picture.
fn draw(told: &Path, picture: &Path, title: &str) -> anyhow::Result<()> {
    let mut folded = vec![];
    Folder::default().collapse(BufReader::new(File::open(told)?), &mut folded)?;
    ensure!(!folded.is_empty(), "perf saw the api role do nothing");
    let mut options = inferno::flamegraph::Options::default();
    title.clone_into(&mut options.title);
    // What `perf` tells of each sample is how long it stands for.
    "ns".clone_into(&mut options.count_name);
    options.min_width = NARROWEST;
    // The same samples give the same file.
    options.deterministic = true;
    let file = File::create(picture).with_context(|| format!("cannot write {}", picture.display()))?;
    inferno::flamegraph::from_reader(&mut options, folded.as_slice(), BufWriter::new(file))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::draw;

    const TOLD: &str = "\
tokio-rt-worker 7 1.000001:    5025125 cpu-clock:
\t    1000 serde_json::de::from_slice+0x10 (/usr/bin/oblivious)
\t    2000 api::served::call::Call::run+0x20 (/usr/bin/oblivious)

tokio-rt-worker 7 1.005001:    5025125 cpu-clock:
\t    3000 relay::http::pool::Pool::take+0x10 (/usr/bin/oblivious)
\t    2000 api::served::call::Call::run+0x20 (/usr/bin/oblivious)

";

    #[test]
    fn samples_become_a_picture_that_names_functions_and_callers() {
        let folder = tempfile::tempdir().unwrap();
        let (told, picture) = (folder.path().join("perf.txt"), folder.path().join("picture.svg"));
        std::fs::write(&told, TOLD).unwrap();
        draw(&told, &picture, "a title of ours").unwrap();
        let svg = std::fs::read_to_string(&picture).unwrap();
        for name in ["a title of ours", "api::served::call::Call::run", "serde_json::de::from_slice", "Pool::take"] {
            assert!(svg.contains(name), "{name}");
        }
        assert!(svg.contains("<svg") && svg.contains("50.00%"), "each of the two has half of their caller");
    }

    #[test]
    fn without_a_sample_there_is_no_picture() {
        let folder = tempfile::tempdir().unwrap();
        let (told, picture) = (folder.path().join("perf.txt"), folder.path().join("picture.svg"));
        std::fs::write(&told, "").unwrap();
        assert!(draw(&told, &picture, "nothing").is_err());
        assert!(!picture.exists());
    }
}
