//! The private servers of the real executable: started, stopped, killed and found again.
#![expect(clippy::expect_used, clippy::panic, reason = "in tests a panic is the failure report")]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection as _, Executor as _};
use tempfile::TempDir;

const READY: &str = "Oblivious is ready after";
/// Generous: these tests share the machine with all others.
const PATIENCE: Duration = Duration::from_secs(60);

/// `oblivious up` on a data directory of its own.
struct Up {
    process: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Up {
    fn start(data_dir: &Path) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_oblivious"))
            .arg("up")
            .env("OBLIVIOUS_DATA_DIR", data_dir)
            .env("OBLIVIOUS_HTTP_ADDR", "127.0.0.1:0")
            .env_remove("DATABASE_URL")
            .env_remove("NATS_URL")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the executable runs");
        let (tell, lines) = mpsc::channel();
        let output = BufReader::new(process.stderr.take().expect("piped"));
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| tell.send(line)));
        Self { process, lines, seen: Vec::new() }
    }

    /// Waits for the line and tells how long it took.
    fn wait_for(&mut self, wanted: &str) -> Duration {
        let begin = Instant::now();
        while !self.seen.iter().any(|line| line.contains(wanted)) {
            match self.lines.recv_timeout(PATIENCE.saturating_sub(begin.elapsed())) {
                Ok(line) => self.seen.push(line),
                Err(_) => panic!("`{wanted}` did not come; there was: {:#?}", self.seen),
            }
        }
        begin.elapsed()
    }

    fn ready(data_dir: &Path) -> Self {
        let mut up = Self::start(data_dir);
        up.wait_for(READY);
        up
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.process.id().try_into().expect("a pid")), signal).expect("it lives");
    }

    fn end(&mut self) -> ExitStatus {
        self.process.wait().expect("it was ours")
    }

    fn kill_9(mut self) {
        self.signal(Signal::SIGKILL);
        self.end();
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn data_dir() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

/// Every living process that was started on this data directory, as (pid, command line).
fn processes_on(data_dir: &Path) -> Vec<(Pid, String)> {
    let marker = data_dir.to_string_lossy().into_owned();
    fs::read_dir("/proc")
        .expect("these tests read /proc")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid: i32| {
            let command = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
            Some((Pid::from_raw(pid), String::from_utf8_lossy(&command).replace('\0', " ")))
        })
        .filter(|(_, command)| command.contains(&marker))
        .collect()
}

fn server(data_dir: &Path, name: &str) -> Pid {
    let all = processes_on(data_dir);
    all.iter().find(|(_, command)| command.contains(name)).unwrap_or_else(|| panic!("no {name} among {all:?}")).0
}

fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let give_up = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < give_up, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(20));
    }
}

async fn sql(data_dir: &Path, statement: &str) {
    let password = fs::read_to_string(data_dir.join("postgres/password")).expect("the password file");
    let options = PgConnectOptions::new().socket(data_dir.join("postgres/socket")).port(5432).username("postgres");
    let mut connection =
        PgConnection::connect_with(&options.password(&password).database("oblivious")).await.expect("Postgres answers");
    connection.execute(statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
}

#[test]
fn a_second_start_is_ready_in_under_three_seconds() {
    let directory = data_dir();
    let mut first = Up::ready(directory.path());
    first.signal(Signal::SIGINT);
    assert!(first.end().success());
    let mut second = Up::start(directory.path());
    let took = second.wait_for(READY);
    assert!(took < Duration::from_secs(3), "it took {took:?}");
}

#[test]
fn ctrl_c_and_sigterm_end_every_child_in_order() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let directory = data_dir();
        let mut up = Up::ready(directory.path());
        up.signal(signal);
        assert!(up.end().success(), "asked to end, it ends well");
        assert_eq!(processes_on(directory.path()), []);
        let postgres = fs::read_to_string(directory.path().join("postgres/postgres.log")).expect("its log");
        assert!(postgres.contains("database system is shut down"), "{postgres}");
        let nats = fs::read_to_string(directory.path().join("nats/nats.log")).expect("its log");
        assert!(nats.contains("Server Exiting"), "{nats}");
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn after_kill_9_no_orphan_is_left_and_the_next_start_has_the_data() {
    let directory = data_dir();
    let up = Up::ready(directory.path());
    sql(directory.path(), "CREATE TABLE kept AS SELECT 42 AS answer").await;
    up.kill_9();
    wait_until("the end of every child", || processes_on(directory.path()).is_empty());

    let _up = Up::ready(directory.path());
    sql(directory.path(), "INSERT INTO kept SELECT answer / 0 FROM kept WHERE answer <> 42").await;
}

#[cfg(target_os = "linux")]
#[test]
fn a_start_right_after_kill_9_does_not_trip_over_servers_that_are_still_ending() {
    let directory = data_dir();
    for _ in 0..3 {
        Up::ready(directory.path()).kill_9();
    }
    Up::ready(directory.path());
}

#[test]
fn a_first_start_that_was_killed_half_way_is_made_good_by_the_next() {
    let directory = data_dir();
    let up = Up::start(directory.path());
    let made = |entry: &fs::DirEntry| entry.path().join("base").exists();
    wait_until("the work of initdb", || {
        fs::read_dir(directory.path().join("postgres"))
            .is_ok_and(|mut entries| entries.any(|entry| entry.is_ok_and(|entry| made(&entry))))
    });
    up.kill_9();
    assert!(!directory.path().join("postgres/data").exists(), "the cluster was not finished");
    Up::ready(directory.path());
}

#[tokio::test]
async fn a_server_that_is_killed_is_started_again() {
    let directory = data_dir();
    let mut up = Up::ready(directory.path());
    for name in ["bin/postgres", "bin/nats-server"] {
        let before = server(directory.path(), name);
        kill(before, Signal::SIGKILL).expect("it lives");
        wait_until("a new server", || {
            processes_on(directory.path()).iter().any(|(pid, command)| *pid != before && command.contains(name))
        });
    }
    up.wait_for("started again");
    wait_until("the socket", || directory.path().join("postgres/socket/.s.PGSQL.5432").exists());
    up.signal(Signal::SIGINT);
    assert!(up.end().success());
    assert_eq!(processes_on(directory.path()), []);
}

#[test]
fn a_stale_pid_file_is_not_trusted() {
    let directory = data_dir();
    Up::ready(directory.path()).kill_9();
    wait_until("the end of every child", || processes_on(directory.path()).is_empty());
    let pid_file = directory.path().join("postgres/data/postmaster.pid");
    // A process of somebody else that got the same number: us. And one that is dead but not reaped.
    let mut zombie = Command::new("/bin/true").spawn().expect("it runs");
    for pid in [std::process::id(), zombie.id()] {
        fs::write(&pid_file, format!("{pid}\n{}\n", directory.path().join("postgres/data").display()))
            .expect("written");
        Up::ready(directory.path()).kill_9();
        wait_until("the end of every child", || processes_on(directory.path()).is_empty());
    }
    zombie.wait().expect("it was ours");
}

#[test]
fn a_second_process_on_the_same_data_is_refused_with_the_pid_of_the_first() {
    let directory = data_dir();
    let first = Up::ready(directory.path());
    let mut second = Up::start(directory.path());
    second.wait_for(&format!("process {} already runs", first.process.id()));
    assert_eq!(second.end().code(), Some(1));
}

#[test]
fn what_is_secret_can_be_read_by_its_owner_alone() {
    let directory = data_dir();
    let _up = Up::ready(directory.path());
    for name in ["secret.key", "running.toml", "postgres", "postgres/password", "nats", "nats/server.conf"] {
        let mode = fs::metadata(directory.path().join(name)).expect(name).permissions().mode();
        assert_eq!(mode & 0o077, 0, "{name} has mode {mode:o}");
    }
}

#[test]
fn started_by_root_on_a_directory_out_of_reach_the_servers_move_to_var_lib() {
    if !geteuid().is_root() {
        return; // An ordinary user's servers run as that user: there is nothing out of reach.
    }
    let hidden = data_dir();
    fs::set_permissions(hidden.path(), fs::Permissions::from_mode(0o700)).expect("ours");
    let directory = hidden.path().join("data");
    let mut up = Up::start(&directory);
    up.wait_for("cannot reach");
    up.wait_for(READY);
    let moved = PathBuf::from(fs::read_to_string(directory.join("services")).expect("it names the place").trim());
    assert!(moved.starts_with("/var/lib/oblivious") && moved.join("postgres/data/PG_VERSION").exists());
    up.signal(Signal::SIGINT);
    assert!(up.end().success());
    fs::remove_dir_all(moved).expect("cleaned up");
}
