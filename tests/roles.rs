//! Roles as separate processes of the real executable, driven over HTTP, and killed without a word.

mod house;

use std::collections::HashMap;
use std::time::Duration;

use house::{House, PATIENCE, Process, id, slowly};
use serde_json::json;
use testkit::provider::Script;

#[tokio::test]
async fn a_reply_survives_the_death_of_every_role_one_after_the_other() {
    let house = House::open().await;
    house.provider.answer_with(|_| slowly("一 slow answer that takes a few seconds to be written down"));
    let mut processes: HashMap<&str, Process> =
        ["handlers", "publisher", "projections", "reactions"].map(|role| (role, house.serve(role))).into();
    let api = house.serve("api");
    let ann = api.client().sign_up("ann").await;
    for role in ["handlers", "publisher", "projections", "reactions"] {
        let session = ann.post("sessions", &json!({})).await;
        let session = id(&session, "id");
        let sent = ann.post(&format!("sessions/{session}/messages"), &json!({"content": format!("kill {role}")})).await;
        let following = ann.follow(id(&sent, "run_id"));
        let murder = async {
            tokio::time::sleep(Duration::from_millis(700)).await;
            processes.remove(role).unwrap().kill();
            tokio::time::sleep(Duration::from_millis(300)).await;
            processes.insert(role, house.serve(role));
        };
        let (followed, ()) = tokio::join!(tokio::time::timeout(PATIENCE, following), murder);
        let (live, resets) = followed.expect("the stream ends");
        let messages = ann.finished(session).await;
        assert_eq!(messages.len(), 2, "{role}: {messages:#?}");
        assert_eq!(messages[1]["status"], "complete", "{role}");
        assert_eq!(messages[1]["content"], "一 slow answer that takes a few seconds to be written down", "{role}");
        assert_eq!(live, messages[1]["content"].as_str().unwrap(), "{role}: what was seen is what was stored");
        assert_eq!(resets > 0, role == "reactions", "only the writer's death loses an attempt");
    }
}

#[tokio::test]
async fn two_of_every_role_share_the_work_and_answer_every_question_once() {
    let house = House::open().await;
    house.provider.answer_with(|prompt| Script::says(&format!("re: {prompt}")));
    let all = "api,handlers,projections,reactions,publisher";
    let (one, two) = (house.serve(all), house.serve(all));
    let (ann, bob) = (one.client().sign_up("ann").await, two.client().sign_up("bob").await);
    for round in 0..5 {
        for person in [&ann, &bob] {
            let session = person.post("sessions", &json!({})).await;
            let path = format!("sessions/{}/messages", id(&session, "id"));
            let (body, key) = (json!({"content": format!("question {round}")}), format!("key {round}"));
            let (first, again) =
                tokio::join!(person.post_with_key(&path, &body, &key), person.post_with_key(&path, &body, &key));
            assert_eq!(first, again, "the same request under the same key is answered the same");
            let messages = person.finished(id(&session, "id")).await;
            assert_eq!(messages.len(), 2);
            assert_eq!(messages[1]["content"], format!("re: question {round}"));
        }
    }
    assert_eq!(house.provider.received(), 10);
}
