//! What clients send to every served address, right, almost right and wrong: never a failure of ours, and every refusal in
//! the form of the API that was called.

use axum::{
    body::Body,
    http::{Method, StatusCode},
};
use serde_json::{Value, json};
use testkit::{
    mutation::{Mutations, valid_requests},
    provider::Script,
};

use crate::app::{App, Client, Reply, Setup, User};

/// Requests of each address; more are tried where `MUTATIONS` says so.
const CASES: usize = 25;

/// The addresses that have conversations, which all take the same faults.
fn conversations() -> Vec<(String, Value)> {
    let has_one = |body: &Value| ["messages", "input", "contents", "prompt"].iter().any(|key| body[key].is_array());
    let beside = ["/v1/embeddings", "/v1/moderations"];
    valid_requests("mock-1")
        .into_iter()
        .filter(|(path, body)| has_one(body) && !beside.contains(&path.as_str()))
        .collect()
}

/// The code of a refusal; its form is checked by the way.
fn refusal(path: &str, reply: &Reply) -> String {
    let (body, id) = (&reply.body, reply.header("x-request-id"));
    assert!(!id.is_empty(), "{path}: no request id");
    assert_eq!(reply.header("content-type"), "application/json", "{path}");
    let error = &body["error"];
    assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{path}: {body}");
    let text = |value: &Value| value.as_str().map_or_else(|| panic!("{path}: {body}"), str::to_owned);
    if path.starts_with("/v1/messages") {
        assert_eq!((&body["type"], body["request_id"].as_str()), (&json!("error"), Some(id)), "{path}");
        assert!(error["type"].is_string(), "{path}: {body}");
        assert_eq!(reply.header("request-id"), id);
        text(&error["code"])
    } else if path.starts_with("/v1beta") {
        assert_eq!(error["code"], reply.status.as_u16(), "{path}: {body}");
        assert!(error["status"].is_string(), "{path}: {body}");
        text(&error["details"][0]["reason"]).to_lowercase()
    } else {
        let names: Vec<&String> = error.as_object().unwrap().keys().collect();
        assert_eq!(names, ["message", "type", "param", "code"], "{path}: {body}");
        assert!(error["type"].is_string(), "{path}: {body}");
        text(&error["code"])
    }
}

async fn house() -> App {
    let mut setup = Setup::default();
    setup.options.limits.api_requests = api::Quota { burst: 100_000, per: std::time::Duration::from_secs(60) };
    App::start_with(setup).await
}

/// Somebody with so much credit that it does not end.
async fn rich(app: &App) -> User<'_> {
    let (ann, operator) = (app.user("ann").await, app.admin("olga").await);
    operator.move_money("grants", ann.id, "1000000000000").await;
    ann
}

async fn send(client: Client<'_>, path: &str, body: impl Into<Body>) -> Reply {
    client.header("content-type", "application/json").send(Method::POST, path, body.into()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_sent_to_a_served_address_is_answered_or_refused_in_its_form() {
    let cases = std::env::var("MUTATIONS").ok().and_then(|cases| cases.parse().ok()).unwrap_or(CASES);
    let app = house().await;
    let ann = rich(&app).await;
    for (seed, (path, valid)) in (0..).zip(valid_requests("mock-1")) {
        let mut mutations = Mutations::new(seed);
        for _ in 0..cases {
            let bytes = mutations.bytes(&valid);
            let told = String::from_utf8_lossy(&bytes).into_owned();
            let reply = send(ann.client(), &path, bytes).await;
            match reply.status.as_u16() {
                200 => assert!(!reply.header("x-request-id").is_empty(), "{path}: {told}"),
                400 | 402 | 404 | 429 => drop(refusal(&path, &reply)),
                status => panic!("{path}: {status} {:?} for {told}", reply.body),
            }
        }
    }
    ann.wait_until_settled().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_valid_request_of_every_conversation_is_answered() {
    let app = house().await;
    let ann = rich(&app).await;
    for (path, body) in conversations() {
        let reply = send(ann.client(), &path, body.to_string()).await;
        assert_eq!(reply.status, StatusCode::OK, "{path}: {:?}", reply.body);
        // An address, a query and a content type that mean the same.
        let (place, query) = path.split_once('?').unwrap_or((&path, "beta=true"));
        let (version, rest) = place[1..].split_once('/').unwrap();
        let other = format!("/{version}/{version}/{rest}/?{query}&unknown=%00&api-version=2024-10-21");
        let reply =
            ann.client().header("content-type", "text/plain").send(Method::POST, &other, body.to_string().into()).await;
        assert_eq!(reply.status, StatusCode::OK, "{other}: {:?}", reply.body);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_request_is_told_in_the_form_of_the_api_before_anything_is_asked() {
    let mut setup = Setup::default();
    setup.options.limits.max_completion_body_bytes = 64 * 1024;
    let app = App::start_with(setup).await;
    let ann = app.user("ann").await;
    let (deep, closed) = ("[".repeat(10_000), "]".repeat(10_000));
    for (path, valid) in conversations() {
        let text = valid.to_string();
        let cut = &text.as_bytes()[..text.len() / 2];
        let wrong: [(&str, Vec<u8>, u16, &str); 9] = [
            ("nothing", vec![], 400, "invalid_json"),
            ("a list", b"[]".to_vec(), 400, "invalid_json"),
            ("half of it", cut.to_vec(), 400, "invalid_json"),
            (
                "bytes that are no text",
                [b"{\"x\":\"\xff\",".as_slice(), &text.as_bytes()[1..]].concat(),
                400,
                "invalid_json",
            ),
            ("a number beyond all", text.replacen('{', "{\"x\":1e400,", 1).into_bytes(), 400, "invalid_json"),
            ("no number", text.replacen('{', "{\"x\":NaN,", 1).into_bytes(), 400, "invalid_json"),
            ("too deep", format!("{{\"x\":{deep}{closed}}}").into_bytes(), 400, "invalid_json"),
            ("too deep and open", deep.clone().into_bytes(), 400, "invalid_json"),
            ("too large", format!("{{\"x\":\"{}\"}}", "y".repeat(70_000)).into_bytes(), 413, "body_too_large"),
        ];
        for (what, bytes, status, code) in wrong {
            let reply = send(ann.client(), &path, bytes).await;
            let told = (reply.status.as_u16(), refusal(&path, &reply));
            assert_eq!(told, (status, code.to_owned()), "{path}: {what}");
        }
    }
    assert_eq!(app.provider.received(), 0);
    assert_eq!(ann.nanos("held_nanos").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parameter_of_the_wrong_type_is_a_bad_request_and_null_is_none() {
    let app = house().await;
    let ann = rich(&app).await;
    let bound = |path: &str| match path {
        "/v1/responses" => "/max_output_tokens",
        "/v1/chat/completions" => "/max_completion_tokens",
        path if path.starts_with("/v1beta") => "/generationConfig/maxOutputTokens",
        _ => "/max_tokens",
    };
    for (path, valid) in conversations() {
        let counts = path.contains("count");
        for (value, is_wrong) in [
            (json!("40"), true),
            (json!(-1), true),
            (json!(0), true),
            (json!(1.5), true),
            (json!([]), true),
            (json!({}), true),
            (json!(null), path.starts_with("/v1/messages")),
            (json!(u64::MAX), false),
        ] {
            let mut body = valid.clone();
            *body.pointer_mut(bound(&path)).unwrap() = value.clone();
            let reply = send(ann.client(), &path, body.to_string()).await;
            if is_wrong && !counts {
                assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{path}: {value}");
                let code = refusal(&path, &reply);
                assert!(
                    ["invalid_type", "invalid_value", "missing_required_parameter"].contains(&code.as_str()),
                    "{code}"
                );
            } else {
                assert_eq!(reply.status, StatusCode::OK, "{path}: {value}: {:?}", reply.body);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_ask_and_what_is_not_there_have_their_statuses_in_every_api() {
    let app = house().await;
    let ann = rich(&app).await;
    let unknown = |path: &str, body: &Value| {
        let mut body = body.clone();
        if body.get("model").is_some() {
            body["model"] = json!("unheard-of");
        }
        (path.replace("mock-1", "unheard-of"), body)
    };
    let made = ann.post("/api/v1/api-keys", json!({ "name": "one", "models": ["mock-2"] })).await.text("key");
    for (path, body) in conversations() {
        let (other, wrong) = unknown(&path, &body);
        let reply = send(ann.client(), &other, wrong.to_string()).await;
        assert_eq!((reply.status.as_u16(), refusal(&other, &reply).as_str()), (404, "model_not_found"), "{path}");
        let reply = send(app.bearer(&made), &path, body.to_string()).await;
        assert_eq!((reply.status.as_u16(), refusal(&path, &reply).as_str()), (403, "model_not_allowed"), "{path}");
        let reply = send(app.anyone(), &path, body.to_string()).await;
        assert_eq!(reply.status.as_u16(), 401, "{path}");
        assert!(!refusal(&path, &reply).is_empty());
        let reply = ann.client().delete(path.split('?').next().unwrap()).await;
        assert_eq!((reply.status.as_u16(), refusal(&path, &reply).as_str()), (405, "method_not_allowed"), "{path}");
    }
    for (method, path) in [
        (Method::GET, "/v1/models/%ff"),
        (Method::GET, "/v1/responses/%ff"),
        (Method::DELETE, "/v1/responses/%ff"),
        (Method::GET, "/v1/responses/%ff/input_items"),
        (Method::GET, "/v1beta/models/%ff"),
        (Method::POST, "/v1beta/models/%ff:generateContent"),
        (Method::POST, "/v1beta/models/mock-1:%ff"),
    ] {
        let reply = ann.client().send(method.clone(), path, Body::from("{}")).await;
        assert_eq!((reply.status.as_u16(), refusal(path, &reply).as_str()), (404, "not_found"), "{method} {path}");
    }
    assert_eq!(app.provider.received(), 0);
}

/// A channel of an operator with these models at this mock provider, and a key that no error may show.
fn channel(app: &App, name: &str, priority: i32, model: &Value) -> Value {
    json!({
        "name": name, "provider": "openai", "base_url": app.provider.base_url(), "keys": ["7c9e1fa04b2d4c55a1b2-key"],
        "models": [model], "priority": priority, "prices": { "gpt": { "input": "2.50", "output": 10 } },
    })
}

/// The same request to the operator's model.
fn to_gpt((path, mut body): (String, Value)) -> (String, Value) {
    if body.get("model").is_some() {
        body["model"] = json!("gpt");
    }
    (path.replace("mock-1", "gpt"), body)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_fit_into_the_context_is_refused_before_any_cost_unless_another_channel_reads_more() {
    let app = house().await;
    let (ann, operator) = (app.user("ann").await, app.admin("otto").await);
    // A model whose vocabulary is known, so that its input is counted and not estimated.
    let model = |window: u32| json!({ "name": "gpt", "upstream": "gpt-4o", "context_tokens": window });
    let add = async |body: Value| {
        let added = operator.post("/api/v1/admin/channels", body).await;
        assert_eq!(added.status, StatusCode::CREATED, "{:?}", added.body);
        added.text("id")
    };
    add(channel(&app, "small", 5, &model(30))).await;
    // Text alone, because pictures and sound are estimated.
    let long = "one two three four five six seven eight nine ten ".repeat(6);
    let asked = || {
        let (user, generate) = (json!([{ "role": "user", "content": long }]), "/v1beta/models/gpt:");
        let contents = json!({ "contents": [{ "parts": [{ "text": long }] }] });
        [
            ("/v1/chat/completions".to_owned(), json!({ "model": "gpt", "messages": user, "max_tokens": 9 })),
            ("/v1/responses".to_owned(), json!({ "model": "gpt", "input": long, "max_output_tokens": 9 })),
            ("/v1/completions".to_owned(), json!({ "model": "gpt", "prompt": long })),
            ("/v1/messages".to_owned(), json!({ "model": "gpt", "messages": user, "max_tokens": 9 })),
            (format!("{generate}generateContent"), contents.clone()),
            (format!("{generate}streamGenerateContent?alt=sse"), contents),
        ]
    };
    for (path, body) in asked() {
        let reply = send(ann.client(), &path, body.to_string()).await;
        let told = (reply.status.as_u16(), refusal(&path, &reply));
        assert_eq!(told, (400, "context_length_exceeded".to_owned()), "{path}: {:?}", reply.body);
    }
    assert_eq!(app.provider.received(), 0);
    assert_eq!((ann.nanos("available_nanos").await, ann.nanos("held_nanos").await), (1_000_000_000, 0));

    let large = add(channel(&app, "large", 1, &model(10_000))).await;
    for (path, body) in asked() {
        let reply = send(ann.client(), &path, body.to_string()).await;
        assert_eq!((reply.status, reply.header("x-oblivious-channel")), (StatusCode::OK, large.as_str()), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_providers_sentence_is_told_without_our_key_and_its_address_and_an_ill_channel_with_its_reason() {
    let app = house().await;
    let (ann, operator) = (rich(&app).await, app.admin("otto").await);
    let model = json!({ "name": "gpt", "upstream": "gpt-4o" });
    let added = operator.post("/api/v1/admin/channels", channel(&app, "house", 5, &model)).await;
    assert_eq!(added.status, StatusCode::CREATED, "{:?}", added.body);
    let asked = || conversations().into_iter().filter(|(path, _)| !path.contains("ount")).map(to_gpt);
    let sentence = "Bad tool: 7c9e1fa04b2d4c55a1b2-key or 7c9e****-key is not for 127.0.0.1:80 http://127.0.0.1/v1";
    let error = json!({ "error": { "message": sentence, "code": "bad_tool", "type": "invalid_request_error" } });
    for (path, body) in asked() {
        app.provider.enqueue(Script::fails(400, error.to_string()));
        let reply = send(ann.client(), &path, body.to_string()).await;
        assert_eq!((reply.status.as_u16(), refusal(&path, &reply).as_str()), (400, "bad_tool"), "{path}");
        let told = reply.body.to_string();
        assert!(told.contains("Bad tool:") && told.contains("[removed]"), "{path}: {told}");
        for secret in ["7c9e", "-key", "127.0.0.1", "http"] {
            assert!(!told.contains(secret), "{path}: {told}");
        }
    }
    app.provider.enqueue(Script::fails(429, "{}").header("retry-after", "33"));
    for (number, (path, body)) in asked().enumerate() {
        let reply = send(ann.client(), &path, body.to_string()).await;
        let code = refusal(&path, &reply);
        if number == 0 {
            assert_eq!((reply.status.as_u16(), code.as_str()), (429, "rate_limit_exceeded"), "{path}");
            assert_eq!(reply.header("retry-after"), "33", "{path}");
            continue;
        }
        assert_eq!((reply.status.as_u16(), code.as_str()), (503, "no_healthy_channel"), "{path}");
        let wait: u64 = reply.header("retry-after").parse().unwrap();
        // Each channel rests a little longer than it was told, so that not all come back at once.
        assert!((1..=60).contains(&wait), "{path}: {wait}");
        let told = reply.body.to_string();
        // By its id, because what its operator calls it is nobody's business.
        assert!(told.contains(&added.text("id")) && told.contains("its key was refused or limited"), "{path}: {told}");
        assert!(!told.contains("house"), "{path}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_provider_makes_no_sense_of_is_502_in_the_form_of_the_api() {
    for (path, mut body) in conversations().into_iter().filter(|(path, _)| !path.contains("ount")) {
        // A house each, because a channel that fails rests.
        let app = house().await;
        let ann = app.user("ann").await;
        if body.get("stream").is_some() {
            body["stream"] = json!(false);
        }
        // Asked again and again: each time the same.
        (0..3).for_each(|_| app.provider.enqueue(Script::fails(200, "<html>hello</html>")));
        let reply = send(ann.client(), &path, body.to_string()).await;
        assert_eq!((reply.status.as_u16(), refusal(&path, &reply).as_str()), (502, "upstream_error"), "{path}");
        assert!(!reply.body.to_string().contains("html"), "{path}: {:?}", reply.body);
        assert_eq!(ann.nanos("available_nanos").await, 1_000_000_000);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_input_of_one_account_is_limited_by_the_minute_and_every_answer_says_what_is_left() {
    let mut setup = Setup::default();
    setup.options.limits.api_tokens = api::Quota { burst: 200, per: std::time::Duration::from_secs(60) };
    let app = App::start_with(setup).await;
    let (ann, bob) = (app.user("ann").await, app.user("bob").await);
    let of = |words: usize| {
        json!({ "model": "mock-1", "max_tokens": 9,
        "messages": [{ "role": "user", "content": "word ".repeat(words) }] })
    };
    let first = ann.post("/v1/chat/completions", of(100)).await;
    assert_eq!((first.status, first.header("x-ratelimit-limit-tokens")), (StatusCode::OK, "200"));
    let left: u32 = first.header("x-ratelimit-remaining-tokens").parse().unwrap();
    assert!((20..=100).contains(&left), "{left}");
    assert!(!first.header("x-ratelimit-reset-tokens").is_empty());
    let refused = ann.post("/v1/messages", of(150)).await;
    assert_eq!((refused.status.as_u16(), refusal("/v1/messages", &refused).as_str()), (429, "rate_limit_exceeded"));
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    assert_eq!(refused.header("anthropic-ratelimit-tokens-limit"), "200");
    assert_eq!(bob.post("/v1/chat/completions", of(100)).await.status, StatusCode::OK);
    assert_eq!((app.provider.received(), ann.nanos("held_nanos").await), (2, 0));
}
