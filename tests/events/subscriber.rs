//! The example of a subscriber, as a process of its own, killed and left without its stream: at the end its sums are
//! those of the ledger.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use async_nats::jetstream;
use serde_json::Value;

use crate::configured_nats::ConfiguredNats;
use crate::house::{House, PATIENCE};
use crate::support::{ALL_ROLES, command, converse, lived_in, settled};

/// `cargo` builds the examples of a package with its tests.
fn program() -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_oblivious")).with_file_name("examples").join("subscriber");
    assert!(program.exists(), "{} is missing: cargo build --examples", program.display());
    program
}

/// The program, as it runs; killed when dropped.
struct Subscriber(Child);

impl Subscriber {
    fn start(books: &Path, nats_url: &str, prefix: &str) -> Self {
        let mut command = Command::new(program());
        command.arg(books).env("NATS_URL", nats_url).env("NATS_API_PREFIX", prefix);
        Self(command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap())
    }

    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    /// What it says at its end.
    async fn ended(mut self) -> String {
        let until = tokio::time::Instant::now() + PATIENCE;
        while self.0.try_wait().unwrap().is_none() {
            assert!(tokio::time::Instant::now() < until, "it ends");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let mut said = String::new();
        std::io::Read::read_to_string(self.0.stderr.as_mut().unwrap(), &mut said).unwrap();
        assert!(!self.0.wait().unwrap().success());
        said
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn position(books: &Path) -> i64 {
    let Ok(text) = std::fs::read(books) else { return 0 };
    serde_json::from_slice::<Value>(&text).unwrap()["position"].as_i64().unwrap()
}

/// Waits until the books contain everything that happened to wallets.
async fn caught_up(house: &House, books: &Path) {
    let query = "SELECT coalesce(max(position), 0) FROM event_log WHERE aggregate_type = 'wallet'";
    let last: i64 = sqlx::query_scalar(query).fetch_one(&house.database.pool).await.unwrap();
    let until = tokio::time::Instant::now() + PATIENCE;
    while position(books) < last {
        assert!(tokio::time::Instant::now() < until, "it is at {} of {last}", position(books));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Its sums, and those of the ledger.
async fn compare(house: &House, books: &Path) {
    let text: Value = serde_json::from_slice(&std::fs::read(books).unwrap()).unwrap();
    let counted: BTreeMap<String, i64> = serde_json::from_value(text["charged_nanos"].clone()).unwrap();
    let query = "SELECT owner::text, sum(charged_nanos)::bigint FROM billing_v1.charges GROUP BY owner";
    let ledger: Vec<(String, i64)> = sqlx::query_as(query).fetch_all(&house.database.pool).await.unwrap();
    assert!(!ledger.is_empty() && ledger.iter().all(|(_, sum)| *sum > 0));
    assert_eq!(counted, ledger.into_iter().collect());
}

#[tokio::test]
async fn killed_and_left_without_its_stream_it_counts_everything_once() {
    let (house, nats) = tokio::join!(House::open(), ConfiguredNats::start());
    let others = house.serve_on("api,handlers,projections,reactions", &nats.url("app"));
    let _publisher = house.serve_on("publisher", &nats.url("publisher"));
    let ann = others.client().sign_up("ann").await;
    let bob = others.client().sign_up("bob").await;
    let books = house.data_dir.path().join("books.json");
    let start = || Subscriber::start(&books, &nats.url("subscriber"), "oblivious.API");
    let talking = async {
        for _ in 0..8 {
            tokio::join!(converse(&house, &ann, 1), converse(&house, &bob, 1));
        }
    };
    let trouble = async {
        let publisher = nats.client("publisher").await;
        for round in 0..6 {
            let subscriber = start();
            let before = position(&books);
            // Somewhere in its work: while it reads, counts, saves or acknowledges.
            let until = tokio::time::Instant::now() + Duration::from_secs(5);
            while position(&books) == before && tokio::time::Instant::now() < until {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            tokio::time::sleep(Duration::from_millis(fastrand::u64(0..100))).await;
            if round % 3 == 1 {
                nats::republish(&publisher).await.unwrap();
            }
            subscriber.kill();
        }
    };
    tokio::join!(talking, trouble);
    let _subscriber = start();
    converse(&house, &ann, 1).await;
    nats::republish(&nats.client("publisher").await).await.unwrap();
    converse(&house, &bob, 1).await;
    settled(&house, &nats.client("app").await).await;
    caught_up(&house, &books).await;
    compare(&house, &books).await;
}

#[tokio::test]
async fn a_message_that_is_missing_is_noticed_and_what_it_says_helps() {
    let house = lived_in().await;
    let books = house.data_dir.path().join("books.json");
    let query = "SELECT position FROM event_log WHERE aggregate_type = 'wallet' ORDER BY position";
    let of_wallets: Vec<i64> = sqlx::query_scalar(query).fetch_all(&house.database.pool).await.unwrap();
    let (before, lost, after) = (of_wallets[2], of_wallets[3], of_wallets[4]);
    let stream = jetstream::new(house.nats.client.clone()).get_stream("EVENTS").await.unwrap();
    stream.delete_message(u64::try_from(lost).unwrap()).await.unwrap();

    let said = Subscriber::start(&books, &house.nats.url, "$JS.API").ended().await;
    assert!(said.contains(&format!("{after} follows {lost}")), "{said}");
    assert!(said.contains(&format!("--capability billing --from {}", before + 1)), "{said}");
    assert_eq!(position(&books), before, "what came before it is counted, and nothing behind it");

    // As it says: from the log, up to now.
    let arguments = ["tail", "--capability", "billing", "--from", &(before + 1).to_string()];
    let mut tail = command(&arguments, house.data_dir.path(), &house.database.url, None);
    let lines = tail.output().unwrap().stdout;
    let mut import = Command::new(program()).arg(&books).arg("--import").stdin(Stdio::piped()).spawn().unwrap();
    import.stdin.take().unwrap().write_all(&lines).unwrap();
    assert!(import.wait().unwrap().success());

    let _subscriber = Subscriber::start(&books, &house.nats.url, "$JS.API");
    let process = house.serve(ALL_ROLES);
    let cid = process.client().sign_up("cid").await;
    converse(&house, &cid, 1).await;
    settled(&house, &house.nats.client).await;
    caught_up(&house, &books).await;
    compare(&house, &books).await;
}
