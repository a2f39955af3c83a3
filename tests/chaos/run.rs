//! One run: an installation, people, faults, quiet, checks.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use testkit::TestPostgres;
use tokio::process::Command;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use crate::checks::{self, Violation};
use crate::evidence::Evidence;
use crate::faults;
use crate::journal::Journal;
use crate::person::{Person, operate};
use crate::plan::Plan;
use crate::quiet;
use crate::town::{ADMIN, Town, program};

/// All people together, however long their tries take.
const ACTIVE_AT_MOST: Duration = Duration::from_secs(240);

/// What a run came to.
pub struct Report {
    pub plan: Plan,
    pub violations: Vec<Violation>,
    /// Acts that were acknowledged, of all.
    pub acknowledged: (usize, usize),
    pub events: usize,
    pub took: Duration,
    pub folder: PathBuf,
}

/// As [`run`]; a run that does not come to its end is a finding as any other.
pub async fn guarded(plan: Plan, folder: &Path, postgres: Arc<Mutex<TestPostgres>>) -> Report {
    let began = Instant::now();
    let running = {
        let (plan, folder) = (plan.clone(), folder.to_owned());
        tokio::spawn(async move { run(plan, &folder, postgres).await })
    };
    running.await.unwrap_or_else(|error| {
        let violation = Violation::new("the run comes to its end", "the run", "an end", error.to_string());
        let (violations, took, folder) = (vec![violation], began.elapsed(), folder.to_owned());
        Report { plan, violations, acknowledged: (0, 0), events: 0, took, folder }
    })
}

/// Carries out `plan` in `folder`, which keeps plan and logs.
async fn run(plan: Plan, folder: &Path, postgres: Arc<Mutex<TestPostgres>>) -> Report {
    let began = Instant::now();
    drop(fs::remove_dir_all(folder));
    fs::create_dir_all(folder).expect("a folder for the run");
    fs::write(folder.join("plan.txt"), plan.to_string()).expect("the plan is kept");
    let town = Arc::new(Town::open(folder, postgres).await);
    let journal = Arc::new(Journal::default());
    timeout(ACTIVE_AT_MOST, active(&town, &plan, &journal)).await.expect("people and faults come to an end");
    let mut left_over = quiet::wait(&town).await;
    for (process, (name, _)) in town.processes.iter().zip(crate::plan::PROCESSES) {
        left_over.extend(process.end().await.err().map(|error| format!("{name}: {error}")));
    }
    left_over.extend(processes_of(&town.data_dir));
    let evidence = Evidence::gather(&town, journal.entries(), left_over).await;
    let mut evidence = evidence.expect("the evidence can be read");
    evidence.irreconcilable = reconcile(&town).await;
    let violations = checks::all(&evidence);
    if !violations.is_empty() {
        keep(folder, &town, &evidence, &violations).await;
    }
    drop(town.postgres.lock().await.drop_database(&town.database_url).await);
    let acknowledged = evidence.journal.iter().filter(|entry| entry.acknowledged().is_some()).count();
    Report {
        violations,
        acknowledged: (acknowledged, evidence.journal.len()),
        events: evidence.events.len(),
        took: began.elapsed(),
        folder: folder.to_owned(),
        plan,
    }
}

/// People do what they do while things break; ends when all are done and all is healed.
async fn active(town: &Arc<Town>, plan: &Plan, journal: &Arc<Journal>) {
    let breaking = tokio::spawn(faults::strike(Arc::clone(town), plan.faults.clone()));
    let arrivals = plan.people.iter().enumerate().map(|(number, steps)| {
        let mut person = Person::new(number, town.client(number % 2), Arc::clone(journal));
        async move { person.arrive().await.map(|user| (user, person, steps.clone())) }
    });
    let arrived = futures::future::join_all(arrivals).await;
    let people: Vec<_> = arrived.into_iter().flatten().collect();
    let users = people.iter().map(|(user, ..)| *user).collect();
    let mut operator = town.client(1);
    let operating = async {
        operator.sign_in_surely(ADMIN.0, ADMIN.1).await;
        operate(operator, Arc::clone(journal), plan.operator.clone(), users).await;
    };
    let living = people.into_iter().map(|(_, person, steps)| tokio::spawn(async move { person.live(&steps).await }));
    let (lives, (), broken) = tokio::join!(futures::future::join_all(living), operating, breaking);
    lives.into_iter().for_each(|life| life.expect("a person's life comes to its end"));
    broken.expect("everything that was broken is healed");
}

/// What `oblivious reconcile billing` says, if it is not satisfied.
async fn reconcile(town: &Town) -> Option<String> {
    let command = Command::new(program())
        .args(["reconcile", "billing"])
        .env("DATABASE_URL", &town.database_url)
        .env("OBLIVIOUS_DATA_DIR", &town.data_dir)
        .output()
        .await
        .expect("the executable runs");
    let said = || format!("{}{}", String::from_utf8_lossy(&command.stdout), String::from_utf8_lossy(&command.stderr));
    (!command.status.success()).then(said)
}

/// Processes that still run on this data directory.
fn processes_of(data_dir: &Path) -> Vec<String> {
    let mine = format!("OBLIVIOUS_DATA_DIR={}\0", data_dir.display());
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let alive = entries.filter(|entry| {
        fs::read(entry.path().join("environ"))
            .is_ok_and(|environ| environ.windows(mine.len()).any(|window| window == mine.as_bytes()))
    });
    alive.map(|entry| format!("process {}", entry.file_name().to_string_lossy())).collect()
}

/// Everything that helps to understand a failure.
async fn keep(folder: &Path, town: &Town, evidence: &Evidence, violations: &[Violation]) {
    let list: String = violations.iter().map(|violation| format!("{violation}\n")).collect();
    let journal: String = evidence.journal.iter().map(|entry| format!("{entry:?}\n")).collect();
    let asked: String = evidence.asked.iter().map(|asked| format!("{asked:?}\n")).collect();
    for (name, text) in [("violations.txt", list), ("journal.txt", journal), ("asked.txt", asked)] {
        drop(fs::write(folder.join(name), text));
    }
    for table in ["events", "event_log", "command_outcomes", "jobs", "checkpoints", "dead_letters", "parked_keys"] {
        let query = format!("SELECT to_jsonb(t)::text FROM {table} t");
        let rows: Vec<String> = sqlx::query_scalar(&query).fetch_all(&town.pool).await.unwrap_or_default();
        drop(fs::write(folder.join(format!("{table}.jsonl")), rows.join("\n")));
    }
    let tables = evidence.tables.iter().map(|(name, rows)| format!("== {name}\n{}\n", rows.join("\n")));
    drop(fs::write(folder.join("tables.txt"), tables.collect::<String>()));
}
