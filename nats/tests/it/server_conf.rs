//! The production configuration, as a server reads it.

use std::time::Duration;

use async_nats::{
    Client,
    jetstream::{self, consumer::pull},
};
use futures::StreamExt;
use nats::{
    CommandClient, CommandOptions, EventFeed, Handled, LiveReader, LiveWriter, Sent, StreamOptions,
    streams::{self, EVENTS},
};
use testkit::ProductionNats;
use uuid::Uuid;

use crate::support::{Log, Recorder, append, command, done, eventually, quick};

#[tokio::test]
async fn the_two_users_can_do_their_work() {
    let (database, server) = tokio::join!(testkit::database(), testkit::production_nats());
    let app = server.connect("app").await;
    let publisher = server.connect("publisher").await;

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
    let (database, server) = tokio::join!(testkit::database(), testkit::production_nats());
    let publisher = server.connect("publisher").await;
    let log = Log::start(&database.pool, &publisher);
    append(&database.pool, "session", "a", 1).await;
    log.published(1).await;
    log.stop().await;

    let app = server.connect("app").await;
    app.publish("evt.chat.session.renamed", "forged".into()).await.unwrap();
    let context = jetstream::new(app.clone());
    assert!(context.delete_stream(EVENTS).await.is_err());
    app.flush().await.unwrap();
    let stream = context.get_stream(EVENTS).await.unwrap();
    assert!(stream.purge().await.is_err());
    assert_eq!(stream.get_info().await.unwrap().state.messages, 1);
    assert!(server.try_connect("app", "wrong").await.is_err());
}

/// Three events of the conversation, two of the wallet, and what the publisher made of them.
async fn events(database: &testkit::TestDatabase, server: &ProductionNats) {
    let publisher = server.connect("publisher").await;
    let log = Log::start(&database.pool, &publisher);
    append(&database.pool, "session", "a", 3).await;
    append(&database.pool, "wallet", "w", 2).await;
    log.published(5).await;
    log.stop().await;
}

/// The JetStream of events as a subscriber sees it.
fn granted(client: &Client) -> jetstream::Context {
    let mut context = jetstream::with_prefix(client.clone(), "oblivious.API");
    context.set_timeout(Duration::from_millis(500));
    context
}

fn durable(filter: &str) -> pull::Config {
    pull::Config {
        durable_name: Some("subscriber".to_owned()),
        filter_subject: filter.to_owned(),
        ..pull::Config::default()
    }
}

async fn may(client: &Client, config: pull::Config) -> bool {
    granted(client).create_consumer_on_stream(config, EVENTS).await.is_ok()
}

#[tokio::test]
async fn a_subscriber_reads_what_it_is_granted_and_acknowledges_it() {
    let (database, server) = tokio::join!(testkit::database(), testkit::production_nats());
    events(&database, &server).await;
    let subscriber = server.connect("subscriber").await;
    let consumer = granted(&subscriber).create_consumer_on_stream(durable("evt.billing.>"), EVENTS).await.unwrap();
    let mut messages = consumer.messages().await.unwrap();
    for (position, prev) in [("4", "0"), ("5", "4")] {
        let message = tokio::time::timeout(Duration::from_secs(5), messages.next()).await.unwrap().unwrap().unwrap();
        let headers = message.headers.clone().unwrap();
        let header = |name| headers.get(name).unwrap().as_str();
        assert_eq!((header("Position"), header("Prev")), (position, prev));
        message.ack().await.unwrap();
    }
    eventually("both are acknowledged", async || {
        let info = consumer.get_info().await.unwrap();
        info.num_ack_pending == 0 && info.ack_floor.stream_sequence == 5
    })
    .await;
    granted(&subscriber).delete_consumer_from_stream("subscriber", EVENTS).await.unwrap();
}

#[tokio::test]
async fn a_subscriber_gets_no_consumer_beyond_its_grant() {
    let (database, server) = tokio::join!(testkit::database(), testkit::production_nats());
    events(&database, &server).await;
    let subscriber = server.connect("subscriber").await;
    assert!(may(&subscriber, durable("evt.billing.>")).await);
    assert!(may(&subscriber, durable("evt.billing.wallet.charged")).await, "a part of it");
    for wider in ["evt.>", "evt.chat.>", "evt.*.wallet.charged", ">", ""] {
        assert!(!may(&subscriber, durable(wider)).await, "{wider}");
    }
    let several = pull::Config {
        filter_subject: String::new(),
        filter_subjects: vec!["evt.billing.>".to_owned(), "evt.chat.>".to_owned()],
        ..durable("")
    };
    assert!(!may(&subscriber, several).await, "several filters");
    let other = pull::Config { durable_name: Some("another".to_owned()), ..durable("evt.billing.>") };
    assert!(!may(&subscriber, other).await, "a name that is not its own");
    // The subject says one thing and the body another.
    for body in [
        serde_json::json!({"durable_name": "subscriber", "filter_subject": "evt.>"}),
        serde_json::json!({"durable_name": "subscriber"}),
        serde_json::json!({"durable_name": "subscriber", "filter_subjects": ["evt.billing.>", "evt.chat.>"]}),
        serde_json::json!({"durable_name": "another", "filter_subject": "evt.billing.>"}),
    ] {
        let request = serde_json::json!({"stream_name": EVENTS, "config": body});
        let subject = "oblivious.API.CONSUMER.CREATE.EVENTS.subscriber.evt.billing.>";
        let reply = subscriber.request(subject, request.to_string().into()).await.unwrap();
        let reply: serde_json::Value = serde_json::from_slice(&reply.payload).unwrap();
        assert!(reply["error"].is_object(), "{body}: {reply}");
    }
}

#[tokio::test]
async fn a_subscriber_can_do_nothing_else() {
    let (database, server) = tokio::join!(testkit::database(), testkit::production_nats());
    events(&database, &server).await;
    let app = server.connect("app").await;
    streams::ensure(&app, &StreamOptions::default()).await.unwrap();
    let subscriber = server.connect("subscriber").await;
    let calls = [
        "INFO",
        "STREAM.INFO.EVENTS",
        "STREAM.NAMES",
        "STREAM.MSG.GET.EVENTS",
        "DIRECT.GET.EVENTS",
        "DIRECT.GET.EVENTS.evt.chat.session.renamed",
        "STREAM.PURGE.EVENTS",
        "STREAM.DELETE.EVENTS",
        "STREAM.MSG.DELETE.EVENTS",
        "STREAM.INFO.COMMANDS",
        "CONSUMER.NAMES.EVENTS",
        "CONSUMER.INFO.EVENTS.another",
        "CONSUMER.DELETE.EVENTS.another",
        "CONSUMER.MSG.NEXT.EVENTS.another",
        "CONSUMER.CREATE.COMMANDS.subscriber.cmd.>",
        "CONSUMER.CREATE.LIVE.subscriber.live.chat.>",
        "CONSUMER.DURABLE.CREATE.EVENTS.subscriber",
    ];
    let asked =
        ["oblivious.API", "$JS.API"].into_iter().flat_map(|prefix| calls.map(|call| format!("{prefix}.{call}")));
    let asked = asked.map(async |subject| {
        let answer = subscriber.request(subject.clone(), r#"{"seq": 1}"#.into()).await;
        assert!(answer.is_err(), "{subject}");
    });
    futures::future::join_all(asked).await;
    let (mut everything, mut heard) = tokio::join!(async { app.subscribe("wake.>").await.unwrap() }, async {
        subscriber.subscribe(">").await.unwrap()
    });
    for subject in
        ["cmd.00.billing.wallet.grant", "evt.billing.wallet.charged", "live.user.1", "wake.publisher", "stop.run.1"]
    {
        subscriber.publish(subject, "forged".into()).await.unwrap();
    }
    // Nor by naming one of these subjects for the answer to something that it may ask for.
    assert!(may(&subscriber, durable("evt.billing.>")).await);
    let next = "oblivious.API.CONSUMER.MSG.NEXT.EVENTS.subscriber";
    for reply in ["cmd.00.billing.wallet.grant", "wake.publisher", "evt.billing.wallet.charged"] {
        subscriber.publish_with_reply(next, reply, r#"{"batch": 1}"#.into()).await.unwrap();
    }
    subscriber.flush().await.unwrap();
    app.publish("wake.publisher", "the last".into()).await.unwrap();
    let woken = tokio::time::timeout(Duration::from_secs(5), everything.next()).await.unwrap().unwrap();
    assert_eq!(woken.payload, "the last", "nothing was put on a subject of ours before");
    let context = jetstream::new(app.clone());
    for (stream, messages) in [(EVENTS, 5), (streams::COMMANDS, 0)] {
        let state = context.get_stream(stream).await.unwrap().get_info().await.unwrap().state;
        assert_eq!(state.messages, messages, "{stream}");
    }
    let nothing = tokio::time::timeout(Duration::from_millis(200), heard.next()).await;
    assert!(!matches!(nothing, Ok(Some(_))), "it hears nobody's messages");
}
