//! The scriptable model provider as a program: an upstream for browser journeys and benchmarks.
//!
//! `mock-provider --port 9100`, then `OPENAI_BASE_URL=http://127.0.0.1:9100/v1` and `OPENAI_MODELS=mock-1` for the
//! server under test. Directives in the last user message choose what happens: see `testkit::provider::Script`.
#![expect(clippy::print_stdout, reason = "the address is this program's output")]

use std::net::SocketAddr;

use clap::Parser;
use testkit::provider::MockProvider;

/// A model provider that speaks the dialects of OpenAI, Anthropic and Google and does what the prompt's directives say.
#[derive(Parser)]
struct Arguments {
    /// The loopback port; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
}

#[tokio::main]
async fn main() {
    let arguments = Arguments::parse();
    let provider = MockProvider::start_on(SocketAddr::from(([127, 0, 0, 1], arguments.port))).await;
    println!("{}", provider.base_url());
    provider.run_forever().await;
}
