//! A nats-server with the configuration of production, each role as its own user.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

pub(crate) struct ConfiguredNats {
    child: Child,
    address: String,
    _directory: tempfile::TempDir,
}

impl ConfiguredNats {
    pub(crate) async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let [port, http] = [0, 0].map(|_| TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port());
        let text = include_str!("../../nats/server.conf")
            .replace("0.0.0.0:4222", &format!("127.0.0.1:{port}"))
            .replace("127.0.0.1:8222", &format!("127.0.0.1:{http}"))
            .replace("/data/jetstream", &directory.path().join("store").display().to_string());
        let file = directory.path().join("server.conf");
        std::fs::write(&file, text).unwrap();
        let child = Command::new(testkit::nats_server_program())
            .arg("-c")
            .arg(&file)
            .env("NATS_SERVER_NAME", "test")
            .envs(["PUBLISHER", "APP", "SUBSCRIBER", "SYS"].map(|user| (format!("NATS_{user}_PASSWORD"), "p-1")))
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { child, address: format!("127.0.0.1:{port}"), _directory: directory };
        let until = tokio::time::Instant::now() + Duration::from_secs(20);
        while server.try_connect("app").await.is_err() {
            assert!(tokio::time::Instant::now() < until, "the server listens");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        server
    }

    pub(crate) fn url(&self, user: &str) -> String {
        format!("nats://{user}:p-1@{}", self.address)
    }

    async fn try_connect(&self, user: &str) -> Result<async_nats::Client, async_nats::ConnectError> {
        let options = async_nats::ConnectOptions::with_user_and_password(user.to_owned(), "p-1".to_owned());
        options.connect(&self.address).await
    }

    pub(crate) async fn client(&self, user: &str) -> async_nats::Client {
        self.try_connect(user).await.unwrap()
    }
}

impl Drop for ConfiguredNats {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
