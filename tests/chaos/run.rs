//! One run: an installation, people, faults, quiet, checks.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, fs};

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
    pub stress: Stress,
    pub took: Duration,
    pub folder: PathBuf,
}

/// What a run went through: proof that it was not idle.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stress {
    pub acts: usize,
    pub acknowledged: usize,
    /// Requests beyond the first of each act.
    pub retries: usize,
    pub events: usize,
    /// Of processes.
    pub deaths: usize,
    /// Attempts at replies beyond the first.
    pub lost_attempts: usize,
    /// Answers of the model that nobody took to their end.
    pub abandoned: usize,
    pub expired_holds: usize,
    pub charges: usize,
}

impl Stress {
    fn of(evidence: &Evidence, deaths: usize) -> Self {
        let count = |kind: &str| evidence.events.iter().filter(|event| event.kind == kind).count();
        let requested = count("session.reply_requested");
        let sends: usize = evidence.journal.iter().map(|entry| entry.sends as usize).sum();
        Self {
            acts: evidence.journal.len(),
            acknowledged: evidence.journal.iter().filter(|entry| entry.acknowledged().is_some()).count(),
            retries: sends.saturating_sub(evidence.journal.len()),
            events: evidence.events.len(),
            deaths,
            lost_attempts: count("session.reply_started").saturating_sub(requested),
            abandoned: evidence.asked.iter().filter(|asked| asked.began && !asked.delivered).count(),
            expired_holds: count("wallet.expired"),
            charges: count("wallet.charged"),
        }
    }

    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            acts: self.acts + other.acts,
            acknowledged: self.acknowledged + other.acknowledged,
            retries: self.retries + other.retries,
            events: self.events + other.events,
            deaths: self.deaths + other.deaths,
            lost_attempts: self.lost_attempts + other.lost_attempts,
            abandoned: self.abandoned + other.abandoned,
            expired_holds: self.expired_holds + other.expired_holds,
            charges: self.charges + other.charges,
        }
    }
}

impl fmt::Display for Stress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { acts, acknowledged, retries, events, deaths, lost_attempts, abandoned, expired_holds, charges } =
            self;
        write!(
            f,
            "{acknowledged} of {acts} acts acknowledged with {retries} retries, {events} events, {deaths} deaths, \
             {lost_attempts} lost attempts, {abandoned} answers abandoned, {charges} charges, {expired_holds} expired holds"
        )
    }
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
        Report { plan, violations, stress: Stress::default(), took, folder }
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
    let deaths = town.processes.iter().map(|process| process.deaths().len()).sum();
    let stress = Stress::of(&evidence, deaths);
    Report { violations, stress, took: began.elapsed(), folder: folder.to_owned(), plan }
}

/// People do what they do while things break; ends when all are done and all is healed.
async fn active(town: &Arc<Town>, plan: &Plan, journal: &Arc<Journal>) {
    let strike = || tokio::spawn(faults::strike(Arc::clone(town), plan.faults.clone()));
    let early = plan.from_the_first.then(strike);
    let arrivals = plan.people.iter().enumerate().map(|(number, steps)| {
        let mut person = Person::new(number, town.client(number % 2), Arc::clone(journal));
        async move { person.arrive().await.map(|user| (user, person, steps.clone())) }
    });
    let arrived = futures::future::join_all(arrivals).await;
    let people: Vec<_> = arrived.into_iter().flatten().collect();
    let breaking = early.unwrap_or_else(strike);
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
