//! `/api/v1/runs/{id}/events`

use std::time::Duration;

use async_nats::jetstream;
use insta::assert_json_snapshot;
use serde_json::json;
use testkit::provider::Script;

use crate::{app::App, sse::Sse};

fn slow(text: &str) -> Script {
    Script::says(text).pause_between_chunks(Duration::from_millis(30))
}

const TEXT: &str =
    "Slowly, 慢慢地, one word after another; this goes on for a while so that a reader can leave and come back.";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_is_read_while_it_is_written() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    app.provider.enqueue(slow(TEXT).usage(3, 20));
    let session = ann.session().await;
    let sent = ann.say(&session, "Hi").await;
    let path = format!("/api/v1/runs/{}/events", sent.text("run_id"));
    let mut stream = Sse::open(ann.client(), &path).await;
    let first = stream.next_of(&["delta"]).await.unwrap();
    assert_eq!(first.data["message_id"], sent.body["reply_id"]);
    assert!(stream.text.len() < TEXT.len(), "it does not wait for the end");
    let done = stream.until_done().await;
    assert_eq!(stream.text, TEXT);
    assert_eq!(stream.next().await, None, "the stream closes after done");
    assert_json_snapshot!(done.data, { ".run_id" => "[id]", ".session_id" => "[id]", ".message_id" => "[id]" });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_left_gets_exactly_what_it_missed() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    app.provider.enqueue(slow(TEXT));
    let session = ann.session().await;
    let sent = ann.say(&session, "Hi").await;
    let path = format!("/api/v1/runs/{}/events", sent.text("run_id"));
    let (mut text, mut last_id) = (String::new(), String::new());
    for visit in 0..50 {
        // Half of the times the way of clients that cannot set headers.
        let mut stream = match (last_id.is_empty(), visit % 2) {
            (true, _) => Sse::open(ann.client(), &path).await,
            (false, 0) => Sse::open(ann.client().header("last-event-id", &last_id), &path).await,
            (false, _) => Sse::open(ann.client(), &format!("{path}?last_event_id={last_id}")).await,
        };
        stream.text.clone_from(&text);
        let event = stream.next_of(&["delta", "done"]).await.unwrap();
        (text, last_id) = (stream.text.clone(), stream.last_id.clone());
        if event.name == "done" {
            assert!(visit > 3, "the reader left several times");
            assert_eq!(text, TEXT);
            return;
        }
    }
    panic!("the reply never ended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_finished_run_is_answered_from_the_read_model() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    app.provider.enqueue(Script::says("你好, world"));
    let session = ann.session().await;
    let run = ann.say(&session, "Hi").await.text("run_id");
    ann.wait_for_end(&run).await;
    jetstream::new(app.nats.client.clone()).delete_stream("LIVE").await.unwrap();
    let path = format!("/api/v1/runs/{run}/events");

    let mut all = Sse::open(ann.client(), &path).await;
    assert_eq!(all.next().await.unwrap().data["text"], "你好, world");
    assert_eq!(all.next().await.unwrap().name, "done");
    assert_eq!(all.next().await, None);

    let mut rest = Sse::open(ann.client().header("last-event-id", &format!("{run}:1:3")), &path).await;
    rest.text = "你好,".to_owned();
    assert_eq!(rest.next().await.unwrap().data["text"], " world");
    assert_eq!(rest.next().await.unwrap().name, "done");

    for unknown in ["nonsense".to_owned(), format!("{run}:7:3"), format!("{run}:1:300")] {
        let mut stream = Sse::open(ann.client().header("last-event-id", &unknown), &path).await;
        assert_eq!(stream.next().await.unwrap().name, "reset", "{unknown}");
        stream.until_done().await;
        assert_eq!(stream.text, "你好, world");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_sees_the_whole_text_though_live_text_was_lost_on_the_way() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    app.provider.enqueue(slow(TEXT));
    let session = ann.session().await;
    let run = ann.say(&session, "Hi").await.text("run_id");
    let mut stream = Sse::open(ann.client(), &format!("/api/v1/runs/{run}/events")).await;
    stream.next_of(&["delta"]).await.unwrap();
    jetstream::new(app.nats.client.clone()).delete_stream("LIVE").await.unwrap();
    stream.until_done().await;
    assert_eq!(stream.text, TEXT);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_attempt_resets_its_readers() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    let session = ann.session().await;
    let sent = ann.say(&session, "Hi [[chunks 20]] [[stall 5]]").await;
    let run = sent.text("run_id");
    let path = format!("/api/v1/runs/{run}/events");
    let mut stream = Sse::open(ann.client(), &path).await;
    stream.next_of(&["delta"]).await.unwrap();
    let lost = stream.last_id.clone();

    // As another worker does that took over.
    let [session, run, reply] = [&session, &run, &sent.text("reply_id")].map(|id| id.parse().unwrap());
    let client = app.nats.client.clone();
    let mut writer = nats::LiveWriter::open(client, ann.id, session, run, reply, 2).await.unwrap();
    writer.delta(0, "again, from the beginning").await.unwrap();
    let reset = stream.next_of(&["reset"]).await.unwrap();
    assert_eq!((&reset.data["attempt"], reset.id), (&json!(2), format!("{run}:2:0")));
    stream.next_of(&["delta"]).await.unwrap();
    assert_eq!(stream.text, "again, from the beginning");

    // A reader that comes back from the lost attempt is told to clear its text, too.
    let mut late = Sse::open(ann.client().header("last-event-id", &lost), &path).await;
    assert_eq!(late.next().await.unwrap().name, "reset");
    late.next_of(&["delta"]).await.unwrap();
    assert_eq!(late.text, stream.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_that_is_slow_to_begin_keeps_its_stream_alive() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    let session = ann.session().await;
    let run = ann.say(&session, "Hi [[slow 60000]]").await.text("run_id");
    let mut stream = Sse::open(ann.client(), &format!("/api/v1/runs/{run}/events")).await;
    assert_eq!(stream.next().await.unwrap().comment, "ping");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_run_says_why() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    let session = ann.session().await;
    let run = ann.say(&session, "Hi [[error 401]]").await.text("run_id");
    let mut stream = Sse::open(ann.client(), &format!("/api/v1/runs/{run}/events")).await;
    let done = stream.until_done().await;
    assert_eq!(done.data["status"], "failed");
    assert_eq!(done.data["finish_reason"], "error");
    assert!(done.data["error"]["code"].is_string() && done.data["error"]["message"].is_string(), "{:?}", done.data);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_person_has_a_bounded_number_of_streams_and_gets_them_back() {
    let mut setup = crate::app::Setup::default();
    setup.options.limits.streams_per_user = 2;
    let app = App::start_with(setup).await;
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    let one = Sse::open(ann.client(), "/api/v1/events/stream").await;
    let _two = Sse::open(ann.client(), "/api/v1/events/stream").await;
    let third = ann.get("/api/v1/events/stream").await;
    assert_eq!(third.problem(), (429, "too_many_streams"));
    assert_eq!(third.header("retry-after"), "5");
    let _others = Sse::open(bob.client(), "/api/v1/events/stream").await;
    drop(one);
    let _again = Sse::open(ann.client(), "/api/v1/events/stream").await;
    assert_eq!(ann.get("/api/v1/events/stream").await.body["data"], json!(null));
}
