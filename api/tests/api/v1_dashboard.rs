//! `/v1/dashboard/billing`: what desktop clients compute a balance from.

use serde_json::json;

use crate::app::App;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_limit_less_what_was_used_is_what_can_still_be_spent() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    let question =
        json!({ "model": "mock-1", "messages": [{ "role": "user", "content": "[[say a]] [[usage 100000 4000]]" }] });
    assert_eq!(ann.post("/v1/chat/completions", question).await.status.as_u16(), 200);
    let key = ann.api_key(&["billing"]).await.text("key");
    let limit = app.bearer(&key).get("/v1/dashboard/billing/subscription").await;
    assert_eq!(limit.body["object"], "billing_subscription", "{:?}", limit.body);
    let used = app.bearer(&key).get("/v1/dashboard/billing/usage?start_date=2026-11-01&end_date=2026-12-01").await;
    // 100,000 tokens at 2.50 and 4,000 at 10 per million.
    assert_eq!((&limit.body["hard_limit_usd"], &used.body["total_usage"]), (&json!(1.0), &json!(29.0)));
    assert_eq!(used.body["daily_costs"][0]["line_items"][0]["cost"], 29.0);
    assert_eq!(ann.nanos("available_nanos").await, 710_000_000);

    let chat_only = ann.api_key(&["chat"]).await.text("key");
    let refused = app.bearer(&chat_only).get("/v1/dashboard/billing/usage").await;
    assert_eq!((refused.status.as_u16(), &refused.body["error"]["code"]), (403, &json!("scope_missing")));
}
