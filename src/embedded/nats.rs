//! A private nats-server with JetStream on a loopback port.
//!
//! Promise: when `start` returns, the server accepts connections of the one user with the given password and keeps its
//! streams under the given directory. It listens on 127.0.0.1 only.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use nix::sys::signal::Signal;

use super::child::{Child, RunAs, Spec};
use super::files::{private_directory, private_file, tail};

/// The largest message; events are at most half of it.
const MAX_PAYLOAD_BYTES: usize = 1024 * 1024;
/// From start to the first accepted connection; 60 ms on a quiet machine, more when large streams are recovered.
const START_LIMIT: Duration = Duration::from_secs(60);
const USER: &str = "oblivious";

/// Where and how to run.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) program: PathBuf,
    /// Holds configuration, log, ports file and streams. Created if missing.
    pub(crate) directory: PathBuf,
    pub(crate) run_as: Option<RunAs>,
    /// Letters and digits only; `None` lets everybody on this machine in, which only tests want.
    pub(crate) password: Option<String>,
    /// 0: any free one.
    pub(crate) port: u16,
}

/// A running server.
#[derive(Debug)]
pub(crate) struct Nats {
    pub(crate) child: Child,
    pub(crate) port: u16,
    /// With user and password. (async-nats does not read them from there: give them to it separately.)
    pub(crate) url: String,
}

impl Nats {
    /// Starts the server and waits until it accepts connections.
    ///
    /// # Errors
    /// The directory cannot be written, or the server ended; the message then holds the end of its log.
    pub(crate) async fn start(options: &Options) -> anyhow::Result<Self> {
        let directory = &options.directory;
        let ports = directory.join("ports");
        let log_path = directory.join("nats.log");
        let configuration = directory.join("server.conf");
        for path in [directory, &ports, &directory.join("jetstream")] {
            private_directory(path, options.run_as).with_context(|| format!("cannot prepare {}", path.display()))?;
        }
        // A ports file of an earlier server would be read as that of the new one.
        for old in ports_files(&ports)? {
            fs::remove_file(old)?;
        }
        private_file(&configuration, options.run_as)?.write_all(configuration_text(options).as_bytes())?;
        let child = Child::start(Spec {
            program: options.program.clone(),
            arguments: vec!["--config".into(), configuration.into()],
            run_as: options.run_as,
            log: File::create(&log_path)?,
        })
        .await
        .with_context(|| format!("cannot run {}", options.program.display()))?;
        let port = match wait_for_port(&child, &ports).await {
            Ok(port) => port,
            Err(error) => {
                child.stop(STOP).await;
                return Err(error.context(format!("nats-server did not start:\n{}", tail(&log_path))));
            }
        };
        let credentials = options.password.as_ref().map(|password| format!("{USER}:{password}@")).unwrap_or_default();
        Ok(Self { child, port, url: format!("nats://{credentials}127.0.0.1:{port}") })
    }

    /// Flushes and ends the server.
    pub(crate) async fn stop(&self) {
        self.child.stop(STOP).await;
    }
}

const STOP: &[(Signal, Duration)] =
    &[(Signal::SIGINT, Duration::from_secs(10)), (Signal::SIGKILL, Duration::from_secs(5))];

fn configuration_text(options: &Options) -> String {
    let listen = if options.port == 0 { "-1".to_owned() } else { options.port.to_string() };
    let directory = options.directory.display();
    let authorization = options
        .password
        .as_ref()
        .map(|password| format!("authorization {{ user: \"{USER}\", password: \"{password}\" }}\n"))
        .unwrap_or_default();
    format!(
        "server_name: oblivious-embedded\n\
         listen: \"127.0.0.1:{listen}\"\n\
         ports_file_dir: \"{directory}/ports\"\n\
         pid_file: \"{directory}/nats.pid\"\n\
         max_payload: {MAX_PAYLOAD_BYTES}\n\
         jetstream {{ store_dir: \"{directory}/jetstream\" }}\n\
         {authorization}",
    )
}

/// The server writes its ports file once it listens.
async fn wait_for_port(child: &Child, ports: &Path) -> anyhow::Result<u16> {
    let give_up = Instant::now() + START_LIMIT;
    loop {
        if let Some(status) = child.exit_status() {
            bail!("it ended with {status}");
        }
        for file in ports_files(ports)? {
            // `{"nats": ["nats://127.0.0.1:4222"], …}`; it may be half written when we look first.
            let Ok(known) = serde_json::from_slice::<serde_json::Value>(&fs::read(file)?) else { continue };
            let port = known["nats"][0].as_str().and_then(|url| url.rsplit(':').next()?.parse().ok());
            if let Some(port) = port {
                // The ports file can precede the first accept by a moment.
                if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                    return Ok(port);
                }
            }
        }
        if Instant::now() > give_up {
            bail!("it was not ready within {} s", START_LIMIT.as_secs());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn ports_files(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = fs::read_dir(directory)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "ports"));
    Ok(files)
}
