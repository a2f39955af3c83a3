//! The production configuration, as a server reads it.

use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
    time::Duration,
};

use async_nats::{Client, ConnectError, ConnectOptions, jetstream};
use nats::{
    CommandClient, CommandOptions, EventFeed, Handled, LiveReader, LiveWriter, Sent, StreamOptions,
    streams::{self, EVENTS},
};
use uuid::Uuid;

use crate::support::{Log, Recorder, append, command, done, eventually, quick};

struct Server {
    child: Child,
    url: String,
    _directory: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The file itself, on free ports and in a temporary directory.
async fn start() -> Server {
    let directory = tempfile::tempdir().unwrap();
    let [port, http] = [0, 0].map(|_| TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port());
    let mut text = include_str!("../../server.conf").to_owned();
    let store = directory.path().join("store").display().to_string();
    for (ours, theirs) in [
        ("0.0.0.0:4222", format!("127.0.0.1:{port}")),
        ("127.0.0.1:8222", format!("127.0.0.1:{http}")),
        ("/data/jetstream", store),
    ] {
        assert!(text.contains(ours), "{ours}");
        text = text.replace(ours, &theirs);
    }
    let file = directory.path().join("server.conf");
    std::fs::write(&file, text).unwrap();
    let child = Command::new(testkit::nats_server_program())
        .arg("-c")
        .arg(&file)
        .env("NATS_SERVER_NAME", "test")
        .envs([("NATS_PUBLISHER_PASSWORD", "p-1"), ("NATS_APP_PASSWORD", "a-2"), ("NATS_SYS_PASSWORD", "s-3")])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let server = Server { child, url: format!("127.0.0.1:{port}"), _directory: directory };
    eventually("the server listens", async || try_connect(&server, "app", "a-2").await.is_ok()).await;
    server
}

async fn try_connect(server: &Server, name: &str, password: &str) -> Result<Client, ConnectError> {
    ConnectOptions::with_user_and_password(name.into(), password.into())
        .request_timeout(Some(Duration::from_millis(500)))
        .connect(format!("nats://{}", server.url))
        .await
}

async fn connect(server: &Server, name: &str, password: &str) -> Client {
    try_connect(server, name, password).await.unwrap()
}

#[tokio::test]
async fn the_two_users_can_do_their_work() {
    let (database, server) = tokio::join!(testkit::database(), start());
    let app = connect(&server, "app", "a-2").await;
    let publisher = connect(&server, "publisher", "p-1").await;

    streams::ensure(&app, &StreamOptions::default()).await.unwrap();
    let (cancel, handler) = (tokio_util::sync::CancellationToken::new(), Recorder::new(|_, _| Handled::Reply(done())));
    let consumer = tokio::spawn(nats::run_commands(app.clone(), handler, quick(), cancel.clone()));
    let options = CommandOptions { partitions: quick().partitions, ..CommandOptions::default() };
    let client = CommandClient::new(app.clone(), database.pool.clone(), options);
    let sent = client.send(command("a", "rename"), Duration::from_secs(5)).await;
    assert_eq!(sent, Ok(Sent::Outcome(done())));

    let [user, session, run, message] = std::array::from_fn(|_| Uuid::now_v7());
    let mut writer = LiveWriter::open(app.clone(), user, session, run, message, 1).await.unwrap();
    writer.delta(0, "hello").await.unwrap();
    let mut reader = LiveReader::of_run(app.clone(), user, run);
    assert_eq!(tokio::time::timeout(Duration::from_secs(5), reader.next()).await.unwrap().run_id, run);

    let log = Log::start(&database.pool, &publisher);
    append(&database.pool, "session", "a", 3).await;
    log.published(3).await;
    let mut feed = EventFeed::open(database.pool.clone(), app.clone(), 0).await;
    eventually("the stream is followed", async || {
        feed.next_batch(10, Duration::from_millis(50)).await.unwrap();
        feed.follows_stream()
    })
    .await;
    append(&database.pool, "session", "a", 1).await;
    assert_eq!(feed.next_batch(10, Duration::from_secs(5)).await.unwrap().len(), 1);
    log.stop().await;
    cancel.cancel();
    consumer.await.unwrap().unwrap();
}

#[tokio::test]
async fn nobody_but_the_publisher_writes_events() {
    let (database, server) = tokio::join!(testkit::database(), start());
    let publisher = connect(&server, "publisher", "p-1").await;
    let log = Log::start(&database.pool, &publisher);
    append(&database.pool, "session", "a", 1).await;
    log.published(1).await;
    log.stop().await;

    let app = connect(&server, "app", "a-2").await;
    app.publish("evt.chat.session.renamed", "forged".into()).await.unwrap();
    let context = jetstream::new(app.clone());
    assert!(context.delete_stream(EVENTS).await.is_err());
    app.flush().await.unwrap();
    let stream = context.get_stream(EVENTS).await.unwrap();
    assert!(stream.purge().await.is_err());
    assert_eq!(stream.get_info().await.unwrap().state.messages, 1);
    assert!(try_connect(&server, "app", "wrong").await.is_err());
}
