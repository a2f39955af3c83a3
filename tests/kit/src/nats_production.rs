//! A NATS server with the production configuration, `nats/server.conf`, on free ports and in a temporary directory.

use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
    time::Duration,
};

use async_nats::{Client, ConnectError, ConnectOptions};
use tempfile::TempDir;

/// What the users are called, and the passwords that this server gives them.
const USERS: [(&str, &str); 3] = [("publisher", "p-1"), ("app", "a-2"), ("subscriber", "r-4")];
/// How long a server may take to listen.
const PATIENCE: Duration = Duration::from_secs(10);

/// One server; killed when dropped.
#[derive(Debug)]
pub struct ProductionNats {
    child: Child,
    address: String,
    _directory: TempDir,
}

impl Drop for ProductionNats {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts a server as `nats/server.conf` says.
///
/// # Panics
/// The kit is missing, the file has changed beyond recognition, or the server does not start.
pub async fn production_nats() -> ProductionNats {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let free = || TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
    let (address, http) = (free().to_string(), free().to_string());
    let mut text = include_str!("../../../nats/server.conf").to_owned();
    let store = directory.path().join("store").display().to_string();
    for (ours, theirs) in [("0.0.0.0:4222", &address), ("127.0.0.1:8222", &http), ("/data/jetstream", &store)] {
        assert!(text.contains(ours), "{ours}");
        text = text.replace(ours, theirs);
    }
    let file = directory.path().join("server.conf");
    std::fs::write(&file, text).expect("the configuration is written");
    let child = Command::new(crate::nats_server_program())
        .arg("-c")
        .arg(&file)
        .env("NATS_SERVER_NAME", "test")
        .env("NATS_SYS_PASSWORD", "s-3")
        .envs(USERS.map(|(name, password)| (format!("NATS_{}_PASSWORD", name.to_uppercase()), password)))
        .stderr(Stdio::null())
        .spawn()
        .expect("nats-server starts");
    let server = ProductionNats { child, address, _directory: directory };
    let listens = async {
        while server.try_connect("app", "a-2").await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, listens).await.expect("the server listens");
    server
}

impl ProductionNats {
    /// A client of this user with that password.
    ///
    /// # Errors
    /// The server does not let it in.
    pub async fn try_connect(&self, user: &str, password: &str) -> Result<Client, ConnectError> {
        ConnectOptions::with_user_and_password(user.into(), password.into())
            .custom_inbox_prefix(if user == "subscriber" { "_INBOX_subscriber" } else { "_INBOX" })
            .request_timeout(Some(Duration::from_millis(500)))
            .connect(format!("nats://{}", self.address))
            .await
    }

    /// A client of this user.
    ///
    /// # Panics
    /// There is no such user.
    pub async fn connect(&self, user: &str) -> Client {
        let known = USERS.iter().find(|(name, _)| *name == user).expect("one of the users");
        self.try_connect(user, known.1).await.expect("the server lets its users in")
    }
}
