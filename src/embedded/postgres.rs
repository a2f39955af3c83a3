//! A private Postgres on a Unix socket.
//!
//! Promise: when `start` returns, the server answers queries over a socket that only its user (and root) can reach, and
//! the database exists. A server that an earlier process left behind on the same data is stopped first, whatever state
//! it is in; an interrupted first start leaves nothing half-made. It does not listen on TCP.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use nix::sys::signal::Signal;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions as _, Connection as _, Executor as _};

use super::child::{Child, RunAs, Spec};
use super::files::{private_directory, private_file, tail};
use super::stale;

const SUPERUSER: &str = "postgres";
/// Crash recovery of a large log can take long; an ordinary start takes well under a second.
const START_LIMIT: Duration = Duration::from_secs(120);
/// The sessions of a killed server take a moment to notice; until then the next server refuses to start.
const ATTEMPTS: u32 = 4;
const RETRY_DELAY: Duration = Duration::from_millis(500);
/// The kernel's limit for the path of a Unix socket is 104 to 108 bytes, `/.s.PGSQL.5432` included.
const LONGEST_SOCKET_DIRECTORY: usize = 85;
/// A cluster in the making; each attempt has its own, so that it does not meet an earlier one that is still ending.
const UNFINISHED: &str = "unfinished-";
/// SIGINT is Postgres' fast shutdown: transactions roll back, everything is flushed. SIGQUIT leaves recovery to the next
/// start and is still safe.
const STOP: &[(Signal, Duration)] = &[
    (Signal::SIGINT, Duration::from_secs(30)),
    (Signal::SIGQUIT, Duration::from_secs(10)),
    (Signal::SIGKILL, Duration::from_secs(5)),
];

/// Where and how to run.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// Holds `postgres` and `initdb`.
    pub(crate) bin: PathBuf,
    /// Holds data, socket, password and logs. Created if missing.
    pub(crate) directory: PathBuf,
    pub(crate) run_as: Option<RunAs>,
    /// Created if missing.
    pub(crate) database: String,
    pub(crate) max_connections: u32,
    /// False only for databases that nobody will miss: a power cut may destroy them.
    pub(crate) durable: bool,
}

/// A running server.
#[derive(Debug)]
pub(crate) struct Postgres {
    pub(crate) child: Child,
    /// With user and password; the host is the socket directory.
    pub(crate) url: String,
}

impl Postgres {
    /// Starts the server, after creating the cluster if there is none.
    ///
    /// # Errors
    /// The data is of another major version, the user may not write the directory, or the server ended; the message then
    /// holds the end of its log.
    pub(crate) async fn start(options: &Options) -> anyhow::Result<Self> {
        let layout = Layout::of(options)?;
        private_directory(&options.directory, options.run_as)
            .with_context(|| format!("cannot prepare {}", options.directory.display()))?;
        if layout.data.exists() {
            same_major_version(&layout.data, &options.bin).await?;
            stale::stop(&layout.data.join("postmaster.pid"), &layout.data).await?;
        } else {
            create_cluster(options, &layout).await?;
        }
        private_directory(&layout.socket, options.run_as)
            .with_context(|| format!("cannot prepare {}", layout.socket.display()))?;
        let connect = layout.connect_options()?;
        let child = start_server(options, &layout, &connect).await?;
        if let Err(error) = create_database(&connect, &options.database).await {
            child.stop(STOP).await;
            return Err(error);
        }
        Ok(Self { child, url: connect.database(&options.database).to_url_lossy().to_string() })
    }

    /// Fast shutdown: open transactions roll back, everything committed is on disk.
    pub(crate) async fn stop(&self) {
        self.child.stop(STOP).await;
    }
}

struct Layout {
    data: PathBuf,
    socket: PathBuf,
    password: PathBuf,
    log: PathBuf,
}

impl Layout {
    fn of(options: &Options) -> anyhow::Result<Self> {
        let directory = &options.directory;
        let mut socket = directory.join("socket");
        if socket.as_os_str().len() > LONGEST_SOCKET_DIRECTORY {
            socket = short_socket_directory(directory, options.run_as)?;
        }
        Ok(Self {
            data: directory.join("data"),
            socket,
            password: directory.join("password"),
            log: directory.join("postgres.log"),
        })
    }

    fn connect_options(&self) -> anyhow::Result<PgConnectOptions> {
        let password = fs::read_to_string(&self.password)
            .with_context(|| format!("cannot read the password of the database in {}", self.password.display()))?;
        let base = PgConnectOptions::from_str("postgres://localhost")?;
        Ok(base.socket(&self.socket).port(5432).username(SUPERUSER).password(password.trim()).database("postgres"))
    }
}

/// A directory under /tmp that belongs to this data directory alone, for paths that are too long for a socket.
fn short_socket_directory(directory: &Path, run_as: Option<RunAs>) -> anyhow::Result<PathBuf> {
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::fs::MetadataExt as _;
    let id = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_URL, directory.as_os_str().as_bytes()).simple().to_string();
    let path = Path::new("/tmp").join(format!("oblivious-{}", &id[..16]));
    private_directory(&path, run_as).with_context(|| format!("cannot prepare {}", path.display()))?;
    let found = fs::symlink_metadata(&path)?;
    let owner = run_as.map_or_else(|| nix::unistd::geteuid().as_raw(), |user| user.uid);
    // Anybody may create names in /tmp: one that another user prepared for us is refused.
    if !found.is_dir() || found.uid() != owner {
        bail!("{} belongs to somebody else; remove it or choose a shorter OBLIVIOUS_DATA_DIR", path.display());
    }
    Ok(path)
}

async fn same_major_version(data: &Path, bin: &Path) -> anyhow::Result<()> {
    let ours = fs::read_to_string(data.join("PG_VERSION"))
        .with_context(|| format!("{} is not a Postgres data directory that we may read", data.display()))?;
    let output = tokio::process::Command::new(bin.join("postgres")).arg("--version").env_clear().output().await?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    // `postgres (PostgreSQL) 18.6`
    let theirs = printed.split_whitespace().nth(2).and_then(|version| version.split('.').next()).unwrap_or_default();
    if ours.trim() != theirs {
        bail!(
            "the data in {} is of Postgres {}, the kit holds Postgres {theirs}: start it once with the older release, dump \
             the database, and restore it here",
            data.display(),
            ours.trim()
        );
    }
    Ok(())
}

/// Runs `initdb` beside the final place and renames it there: a cluster that exists is whole.
async fn create_cluster(options: &Options, layout: &Layout) -> anyhow::Result<()> {
    for entry in fs::read_dir(&options.directory)?.flatten() {
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            // The killed initdb may still be cleaning up itself; what remains goes next time.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    let unfinished = options.directory.join(format!("{UNFINISHED}{}", uuid::Uuid::new_v4().simple()));
    let mut file = private_file(&layout.password, options.run_as)?;
    file.write_all(super::new_password()?.as_bytes())?;
    file.sync_all()?;
    private_directory(&unfinished, options.run_as)?;
    let log = options.directory.join("initdb.log");
    let mut arguments =
        vec!["--pgdata".into(), unfinished.clone().into(), "--pwfile".into(), layout.password.clone().into()];
    // With plain C, pg_trgm would drop every Chinese character; with a provider of the system, indexes would break when
    // its collations change.
    arguments.extend(
        ["--username=postgres", "--auth=scram-sha-256", "--encoding=UTF8", "--locale-provider=builtin"].map(Into::into),
    );
    arguments
        .extend(["--builtin-locale=C.UTF-8", "--locale=C", "--lc-ctype=C.UTF-8", "--no-instructions"].map(Into::into));
    if !options.durable {
        arguments.push("--no-sync".into());
    }
    let spec =
        Spec { program: options.bin.join("initdb"), arguments, run_as: options.run_as, log: File::create(&log)? };
    let status = Child::start(spec).await.context("cannot run initdb")?.ended().await;
    if !status.is_some_and(|status| status.success()) {
        bail!("initdb could not create the database cluster:\n{}", tail(&log));
    }
    fs::rename(&unfinished, &layout.data)?;
    Ok(())
}

async fn start_server(options: &Options, layout: &Layout, connect: &PgConnectOptions) -> anyhow::Result<Child> {
    let mut attempt = 1;
    loop {
        if layout.log.exists() {
            // One earlier log is kept: it says why the last server ended.
            fs::rename(&layout.log, layout.log.with_extension("log.1"))?;
        }
        let child = Child::start(Spec {
            program: options.bin.join("postgres"),
            arguments: server_arguments(options, layout),
            run_as: options.run_as,
            log: File::create(&layout.log)?,
        })
        .await
        .with_context(|| format!("cannot run {}", options.bin.join("postgres").display()))?;
        match wait_until_ready(&child, connect).await {
            Ok(()) => return Ok(child),
            Err(_) if child.exit_status().is_some() && attempt < ATTEMPTS => tokio::time::sleep(RETRY_DELAY).await,
            Err(error) => {
                child.stop(STOP).await;
                return Err(error.context(format!("Postgres did not start:\n{}", tail(&layout.log))));
            }
        }
        attempt += 1;
    }
}

fn server_arguments(options: &Options, layout: &Layout) -> Vec<std::ffi::OsString> {
    let switch = |on: bool| if on { "on" } else { "off" };
    let durable = switch(options.durable);
    let settings = [
        "listen_addresses=".to_owned(),
        "port=5432".to_owned(),
        format!("unix_socket_directories={}", layout.socket.display()),
        format!("max_connections={}", options.max_connections),
        format!("fsync={durable}"),
        format!("synchronous_commit={durable}"),
        format!("full_page_writes={durable}"),
        // Whoever stops in the middle of signing in (a test whose runtime has ended) holds up every DROP DATABASE so long.
        "authentication_timeout=10".to_owned(),
        // The wheel holds no time zone files of the system it was built on.
        "timezone=UTC".to_owned(),
        "log_timezone=UTC".to_owned(),
        "cluster_name=oblivious".to_owned(),
    ];
    let mut arguments = vec!["-D".into(), layout.data.clone().into()];
    arguments.extend(settings.into_iter().flat_map(|setting| ["-c".into(), setting.into()]));
    arguments
}

async fn wait_until_ready(child: &Child, connect: &PgConnectOptions) -> anyhow::Result<()> {
    let give_up = Instant::now() + START_LIMIT;
    loop {
        if let Some(status) = child.exit_status() {
            bail!("it ended with {status}");
        }
        match PgConnection::connect_with(connect).await {
            Ok(connection) => return Ok(connection.close().await?),
            Err(error) if Instant::now() > give_up => {
                return Err(anyhow::Error::from(error).context("it was not ready in time"));
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

async fn create_database(connect: &PgConnectOptions, name: &str) -> anyhow::Result<()> {
    let mut connection = PgConnection::connect_with(connect).await?;
    let exists: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
        .bind(name)
        .fetch_one(&mut connection)
        .await?;
    if !exists {
        connection.execute(format!("CREATE DATABASE \"{name}\"").as_str()).await?;
    }
    Ok(connection.close().await?)
}
