//! Forms with files that are larger than what is kept, that break off, or that are refused for their size.

use axum::{
    body::{Body, Bytes},
    http::StatusCode,
};
use futures::StreamExt as _;
use serde_json::json;
use testkit::provider::Script;

use crate::{
    app::{App, Reply, Setup},
    modalities::{BOUNDARY, GIFT, add, channel, code, form, house, send_form, wave},
};

/// A form whose file is `size` bytes of sound, sent in pieces; `then` happens before its last one.
fn large(size: usize, then: impl Future<Output = bool> + Send + 'static) -> Body {
    let whole = form(&[], Some(("file", &vec![0; size])));
    let model = format!("--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n");
    let whole = [model.as_bytes(), &whole].concat();
    let cut = whole.len() - 1_000;
    let (first, last) = (Bytes::copy_from_slice(&whole[..cut]), Bytes::copy_from_slice(&whole[cut..]));
    let pieces: Vec<_> =
        (0..first.len()).step_by(64 * 1024).map(|at| first.slice(at..first.len().min(at + 64 * 1024))).collect();
    let pieces = futures::stream::iter(pieces.into_iter().map(Ok));
    let end = futures::stream::once(async move {
        if then.await { Ok(last) } else { Err(std::io::Error::other("the client went away")) }
    });
    Body::from_stream(pieces.chain(end))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_upload_passes_through_to_one_channel() {
    let app = App::start().await;
    let (ann, operator) = (app.user("ann").await, app.admin("olga").await);
    add(&operator, channel(&app, "First", &json!({ "priority": 9 }))).await;
    add(&operator, channel(&app, "Second", &json!({}))).await;
    let size = 6 * 1024 * 1024;
    let response = send_form(&ann, "/v1/audio/transcriptions", large(size, async { true })).await;
    let answer = Reply::read(response).await;
    assert_eq!(answer.body["text"], format!("heard {size} bytes"), "{:?}", answer.body);
    app.provider.enqueue(Script::fails(500, "no"));
    let failed = Reply::read(send_form(&ann, "/v1/audio/transcriptions", large(size, async { true })).await).await;
    assert_eq!(failed.status, StatusCode::BAD_GATEWAY, "it cannot be sent again: {:?}", failed.body);
    assert_eq!(app.provider.received(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_that_breaks_off_is_no_failure_of_the_channel_and_costs_nothing() {
    let app = house().await;
    let ann = app.user("ann").await;
    let upload = large(6 * 1024 * 1024, async { false });
    let broken = Reply::read(send_form(&ann, "/v1/audio/transcriptions", upload).await).await;
    assert_eq!(code(&broken), (400, "unreadable_body"), "{:?}", broken.body);
    ann.wait_until_settled().await;
    assert_eq!(ann.nanos("available_nanos").await, GIFT);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_beyond_the_limit_is_refused() {
    let mut setup = Setup::default();
    setup.options.limits.max_upload_bytes = 10_000;
    let app = App::start_with(setup).await;
    add(&app.admin("olga").await, channel(&app, "Senses", &json!({}))).await;
    let ann = app.user("ann").await;
    let fields = [("model", "whisper-1")];
    let refused =
        Reply::read(send_form(&ann, "/v1/audio/transcriptions", form(&fields, Some(("file", &wave())))).await).await;
    assert_eq!(code(&refused), (413, "body_too_large"));
    assert_eq!(app.provider.received(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_that_does_not_arrive_is_not_waited_for() {
    let mut setup = Setup::default();
    setup.options.limits.body_timeout = std::time::Duration::from_millis(100);
    let app = App::start_with(setup).await;
    let ann = app.user("ann").await;
    let never = Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>());
    let refused = Reply::read(send_form(&ann, "/v1/audio/transcriptions", never).await).await;
    assert_eq!(code(&refused), (408, "body_timeout"), "{:?}", refused.body);
}
