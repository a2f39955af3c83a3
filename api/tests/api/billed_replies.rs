//! Replies in conversations cost what calls cost.

use serde_json::json;
use uuid::Uuid;

use crate::app::App;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_tells_what_it_cost() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    let session = ann.session().await;
    let run = ann.say(&session, "[[say Hello]] [[usage 100 10]]").await.text("run_id");
    ann.wait_for_end(&run).await;
    ann.wait_until_settled().await;
    assert_eq!(ann.nanos("available_nanos").await, 1_000_000_000 - 350_000);
    let charge = ann.get("/api/v1/charges").await.body["items"][0].clone();
    assert_eq!((&charge["kind"], &charge["run_id"]), (&json!("reply"), &json!(run)));
    let messages = ann.get(&format!("/api/v1/sessions/{session}/messages")).await;
    assert_eq!(messages.body["items"][1]["cost_nanos"], "350000");
    assert_eq!(messages.body["items"][0]["cost_nanos"], json!(null));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_credit_a_question_is_402_and_tells_how_much_is_missing() {
    let app = App::start().await;
    let (ann, operator) = (app.user("ann").await, app.admin("olga").await);
    let session = ann.session().await;
    let answered = ann.say(&session, "[[say Hello]] [[usage 100 10]]").await;
    ann.wait_for_end(&answered.text("run_id")).await;
    ann.wait_until_settled().await;
    let left = ann.nanos("available_nanos").await;
    operator.move_money("adjustments", ann.id, &format!("-{}", left - 10)).await;
    let path = format!("/api/v1/sessions/{session}/messages");
    let say = |key: String| ann.client().header("idempotency-key", &key).post(&path, json!({ "content": "Hi" }));
    let refused = say(Uuid::now_v7().to_string()).await;
    assert_eq!(refused.problem(), (402, "insufficient_credit"));
    assert_eq!(refused.body["data"]["available_nanos"], "10");
    assert!(refused.body["data"]["required_nanos"].as_str().unwrap().parse::<i64>().unwrap() > 10);
    let again = ann.post(&format!("/api/v1/messages/{}/regenerate", answered.text("reply_id")), json!({})).await;
    assert_eq!(again.problem(), (402, "insufficient_credit"));
    assert_eq!(ann.get(&path).await.body["items"].as_array().unwrap().len(), 2, "nothing was said");

    operator.move_money("top-ups", ann.id, "1000000000").await;
    assert_eq!(say(Uuid::now_v7().to_string()).await.status.as_u16(), 201);
}
