//! Benchmarks against named baselines, each side by side in one run on one server.
//!
//! Promise: a figure is printed with its machine, its date and the command that measures it again; targets that are
//! missed are printed as missed; figures of a server that could lose what it acknowledged are never written down.
//!
//! `make bench` runs all of them. One alone: `oblivious with-services --durable -- bench write-path`.

mod flamegraph;
mod instructions;
mod rebuild;
mod relay;
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
    /// Calls of a compatible API beside nginx, LiteLLM, Portkey and a bare pass-through of our own.
    Relay(relay::Options),
    /// Instructions of the api role for each request and event, under callgrind; fails where they are too many.
    Instructions(instructions::Options),
    /// A picture of where the api role's processor time goes, by `perf`.
    Flamegraph(flamegraph::Options),
    /// A part of `relay`: the model provider that everybody asks.
    #[command(hide = true)]
    Upstream,
    /// A part of `relay`: the least that can be called a relay.
    #[command(hide = true)]
    PassThrough(relay::pass_through::Arguments),
    /// A part of `relay`: asks as it is told and prints what it saw.
    #[command(hide = true)]
    Load {
        /// What to do, in JSON.
        job: String,
    },
}

impl Benchmark {
    /// What takes part in a measurement has one thread, so that what it does is what it costs.
    const fn is_part(&self) -> bool {
        matches!(self, Self::Upstream | Self::PassThrough(_) | Self::Load { .. })
    }
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
    let runtime = match cli.benchmark.is_part() {
        true => tokio::runtime::Builder::new_current_thread().enable_all().build(),
        false => tokio::runtime::Builder::new_multi_thread().enable_all().build(),
    };
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
        Benchmark::Relay(options) => relay::run(&options).await,
        Benchmark::Instructions(options) => instructions::run(&options).await,
        Benchmark::Flamegraph(options) => flamegraph::run(&options).await,
        Benchmark::Upstream => relay::upstream().await,
        Benchmark::PassThrough(arguments) => relay::pass_through::run(arguments).await,
        Benchmark::Load { job } => relay::load(&job).await,
    }
}
