//! `/api/v1/events/stream`

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use serde_json::json;
use testkit::provider::Script;

use crate::{
    app::{App, Setup},
    sse::Sse,
};

const PATH: &str = "/api/v1/events/stream";

fn slow(text: &str) -> Script {
    Script::says(text).pause_between_chunks(Duration::from_millis(40))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_that_start_later_are_read_on_the_one_stream() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    let session = ann.session().await;
    let mut stream = Sse::open(ann.client(), PATH).await;
    let positions = stream.next_of(&["positions"]).await.unwrap();
    assert!(positions.data["chat_v1"].is_i64() && positions.data["users_v1"].is_i64(), "{:?}", positions.data);
    assert_eq!(positions.id, "", "it does not move the place to resume from");

    for text in ["the first answer", "the second, 第二个回答"] {
        app.provider.enqueue(slow(text));
        let sent = ann.say(&session, "Hi").await;
        stream.text.clear();
        let done = stream.until_done().await;
        assert_eq!(stream.text, text);
        assert_eq!(done.data["run_id"], sent.body["run_id"]);
        ann.wait_for_end(&sent.text("run_id")).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_tab_gets_the_text_so_far_and_the_rest() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    let session = ann.session().await;
    let text = "a long answer that is read by two tabs, 两个标签页, one of which comes late to it";
    app.provider.enqueue(slow(text));
    let mut first = Sse::open(ann.client(), PATH).await;
    ann.say(&session, "Hi").await;
    for _ in 0..5 {
        first.next_of(&["delta"]).await.unwrap();
    }
    let mut late = Sse::open(ann.client(), PATH).await;
    let (_, _) = tokio::join!(first.until_done(), late.until_done());
    assert_eq!((first.text.as_str(), late.text.as_str()), (text, text));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tab_that_comes_back_resumes_each_run_where_it_was() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    let text = "an answer during which the network goes away for a moment, 网络断了, and then comes back";
    app.provider.enqueue(slow(text));
    let session = ann.session().await;
    let mut before = Sse::open(ann.client(), PATH).await;
    let sent = ann.say(&session, "Hi").await;
    for _ in 0..3 {
        before.next_of(&["delta"]).await.unwrap();
    }
    let (had, last_id) = (before.text.clone(), before.last_id.clone());
    drop(before);
    let bogus = format!("{}:1:5", uuid::Uuid::now_v7());
    let resume = format!("{PATH}?resume={last_id}&resume={bogus}&resume=nonsense");
    let mut after = Sse::open(ann.client(), &resume).await;
    after.text = had;
    after.until_done().await;
    assert_eq!(after.text, text);

    // Over meanwhile: the end comes from the read model; and who has begun nothing is not told of old runs.
    ann.wait_for_end(&sent.text("run_id")).await;
    let mut later = Sse::open(ann.client(), &format!("{PATH}?resume={last_id}")).await;
    later.text = text.chars().take(last_id.rsplit(':').next().unwrap().parse().unwrap()).collect();
    later.until_done().await;
    assert_eq!(later.text, text);
    let mut fresh = Sse::open(ann.client(), PATH).await;
    app.provider.enqueue(slow("new"));
    let sent = ann.say(&session, "Hi again").await;
    assert_eq!(fresh.next_of(&["delta", "done", "reset"]).await.unwrap().data["run_id"], sent.body["run_id"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_hinted_to_its_owner_only() {
    let app = App::start().await;
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    let mut hers = Sse::open(ann.client(), PATH).await;
    let mut his = Sse::open(bob.client(), PATH).await;
    hers.next_of(&["positions"]).await.unwrap();
    his.next_of(&["positions"]).await.unwrap();
    let session = ann.session().await;
    let changed = hers.next_of(&["changed"]).await.unwrap();
    assert_eq!((&changed.data["topic"], &changed.data["session_id"]), (&json!("sessions"), &json!(session)));
    assert!(changed.data["position"].as_i64().unwrap() > 0);
    bob.session().await;
    let his = his.next_of(&["changed"]).await.unwrap();
    assert_ne!(his.data["session_id"], json!(session));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_ends_when_its_device_is_signed_out_or_its_token_expired_long_ago() {
    let mut setup = Setup::default();
    setup.options.limits.stream_grace = Duration::ZERO;
    let app = App::start_with(setup).await;
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    let expiring = app.token(bob.id, Utc::now() + TimeDelta::seconds(2));
    let mut stream = Sse::open(ann.client(), PATH).await;
    let bearer = format!("Bearer {expiring}");
    let mut outlived = Sse::open(app.anyone().header("authorization", &bearer), PATH).await;
    let mut other = Sse::open(bob.client(), PATH).await;
    ann.post("/api/v1/auth/logout", json!({})).await;
    let stays = async {
        for _ in 0..2 {
            other.next_of(&["positions"]).await.expect("who may stay hears how far the read models are");
        }
    };
    // A stream goes on only while it is read.
    tokio::join!(stream.until_end(), outlived.until_end(), stays);
}
