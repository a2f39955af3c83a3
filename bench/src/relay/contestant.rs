//! Somebody who is compared: where it is asked, and which processes it is made of.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;

use super::child::{Core, Running, Server, ask};
use super::job::{Group, Job, Seen, Shape, Target};

/// What callers show to everybody who has no accounts of his own.
pub(crate) const KEY: &str = "sk-bench-0123456789abcdef0123456789abcdef";
/// The group of processes through which every byte goes.
pub(crate) const GATEWAY: &str = "gateway";
/// A measurement that has not ended so long after its span is given up.
const LATE: Duration = Duration::from_secs(90);

/// Somebody who is compared.
#[derive(Debug)]
pub(crate) struct Contestant {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) target: Target,
    /// The first one is the gateway.
    pub(crate) groups: Vec<Group>,
    /// By orders of magnitude: takes fewer and longer turns, and fewer questions at a rate.
    pub(crate) slow: bool,
    /// End with it.
    pub(crate) processes: Processes,
}

/// What a contestant started.
#[derive(Debug, Default)]
#[expect(dead_code, reason = "held until the end")]
pub(crate) enum Processes {
    /// Nothing, or somebody else holds them.
    #[default]
    None,
    Program(Running),
    OfOurs(Server),
}

/// A gateway of these processes.
pub(crate) fn gateway(roots: &[u32]) -> Vec<Group> {
    vec![Group { name: GATEWAY.to_owned(), roots: roots.to_vec() }]
}

impl Contestant {
    pub(crate) fn new(name: &str, target: Target, groups: Vec<Group>) -> Self {
        let (name, version) = (name.to_owned(), String::new());
        Self { name, version, target, groups, slow: false, processes: Processes::None }
    }

    /// The upstream itself.
    pub(crate) fn direct(upstream: SocketAddr) -> Self {
        let target = Target { address: upstream, model: "m".to_owned(), keys: vec![KEY.to_owned()], headers: vec![] };
        Self::new("direct to the upstream", target, gateway(&[]))
    }

    /// The floor.
    ///
    /// # Errors
    /// It does not start.
    pub(crate) async fn pass_through(upstream: SocketAddr) -> anyhow::Result<Self> {
        let server = Server::start(&["pass-through", &upstream.to_string(), KEY, "m"], Core::Contestant).await?;
        let keys = vec![KEY.to_owned()];
        let target = Target { address: server.address, model: "m".to_owned(), keys, headers: vec![] };
        let groups = gateway(&[server.pid]);
        Ok(Self { processes: Processes::OfOurs(server), ..Self::new("pass-through (the floor)", target, groups) })
    }

    /// Measures in a process of its own.
    ///
    /// # Errors
    /// The load generator failed; answers that are none are counted in what it saw.
    pub(crate) async fn measure(&self, shape: Shape, warm_up: Duration, measured: Duration) -> anyhow::Result<Seen> {
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let (warm_up_ms, measured_ms) = (ms(warm_up), ms(measured));
        let (target, groups) = (self.target.clone(), self.groups.clone());
        let job = serde_json::to_string(&Job { target, shape, warm_up_ms, measured_ms, groups })?;
        let printed = ask(&["load", &job], warm_up + measured + LATE).await;
        let printed = printed.with_context(|| format!("{}: {shape:?}", self.name))?;
        serde_json::from_str(&printed).context("the load generator said something else")
    }

    /// Waits until it answers, while `running` lives.
    ///
    /// # Errors
    /// It ended, or does not answer in time.
    pub(crate) async fn wait(&self, running: &mut Running, within: Duration) -> anyhow::Result<()> {
        let give_up = tokio::time::Instant::now() + within;
        loop {
            let seen = self.measure(Shape::Callers(1), Duration::ZERO, Duration::from_millis(300)).await?;
            if seen.answers > 0 && seen.failed == 0 {
                return Ok(());
            }
            running.require()?;
            anyhow::ensure!(
                tokio::time::Instant::now() < give_up,
                "it did not answer in time: {}",
                seen.failure.unwrap_or_default()
            );
        }
    }
}
