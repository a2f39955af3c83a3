//! Benchmarks against named baselines, each side by side in one run on one server.
//!
//! Promise: a figure is printed with its machine, its date and the command that measures it again; targets that are
//! missed are printed as missed; figures of a server that could lose what it acknowledged are never written down.
//!
//! `make bench` runs all of them. One alone: `oblivious with-services --durable -- bench write-path`.

mod rebuild;
mod results;
mod write_path;

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

/// As in the executable.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Benchmarks against named baselines. They want a server of their own and a quiet machine: see `make bench`.
#[derive(Debug, Parser)]
#[command(name = "bench", version, max_term_width = 120)]
struct Cli {
    #[command(subcommand)]
    benchmark: Benchmark,
}

#[derive(Debug, Subcommand)]
enum Benchmark {
    /// Commands per second beside stock postgres-es and raw inserts; the lag from commit to row.
    WritePath(write_path::Options),
    /// Events per second at which the ledger and the messages are made again from a million events.
    Rebuild(rebuild::Arguments),
}

/// What every benchmark can be told.
#[derive(Debug, Clone, Copy, Args)]
struct Common {
    /// Few and short measurements, to see that it works; their figures mean nothing.
    #[arg(long)]
    quick: bool,
    /// Write the benchmark's section of bench/RESULTS.md.
    #[arg(long, conflicts_with = "quick")]
    write: bool,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let outcome = runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(run(cli.benchmark)));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            results::note(&format!("bench: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(benchmark: Benchmark) -> anyhow::Result<()> {
    match benchmark {
        Benchmark::WritePath(options) => write_path::run(&options).await,
        Benchmark::Rebuild(arguments) => rebuild::run(arguments).await,
    }
}
