//! `/api/v1/auth/…` and `/api/v1/me`.

use api::{ApiOptions, Quota};
use axum::http::StatusCode;
use insta::assert_json_snapshot;
use serde_json::json;

use crate::app::{App, Reply, Setup};

async fn register(app: &App, email: &str, username: &str, password: &str) -> Reply {
    let body = json!({ "email": email, "username": username, "password": password });
    app.anyone().post("/api/v1/auth/register", body).await
}

async fn login(app: &App, body: serde_json::Value) -> Reply {
    app.anyone().post("/api/v1/auth/login", body).await
}

async fn refresh(app: &App, token: &str) -> Reply {
    app.anyone().post("/api/v1/auth/refresh", json!({ "refresh_token": token })).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registered_person_can_sign_in_at_once_and_see_who_they_are() {
    let app = App::start().await;
    let registered = register(&app, "Ann@Example.org", "Ann_1", "correct horse battery").await;
    assert_eq!(registered.status, StatusCode::CREATED);
    assert!(registered.header("x-event").contains(':'));
    assert_json_snapshot!("registered", registered.body, { ".user.id" => "[id]", ".user.created_at" => "[time]" });

    let body = json!({ "email": "ann@example.org", "password": "correct horse battery" });
    let signed_in = login(&app, body).await;
    assert_eq!(signed_in.status, StatusCode::OK);
    assert_json_snapshot!("signed_in", signed_in.body, {
        ".user.id" => "[id]", ".user.created_at" => "[time]",
        ".access_token" => "[access token]", ".refresh_token" => "[refresh token]",
    });
    assert!(signed_in.text("refresh_token").starts_with("obl_rt_"));

    let bearer = format!("Bearer {}", signed_in.text("access_token"));
    let me = app.anyone().header("authorization", &bearer).get("/api/v1/me").await;
    assert_eq!(me.body, signed_in.body["user"]);
    assert_eq!(me.body, registered.body["user"], "the row says what the answer said");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_is_taken_is_409_in_whatever_case_it_is_written() {
    let app = App::start().await;
    app.user("ann").await;
    let email = register(&app, "ANN@example.org", "somebody", "correct horse battery").await;
    assert_eq!(email.problem(), (409, "email_taken"));
    assert_eq!(email.body["errors"][0]["field"], "email");
    let username = register(&app, "other@example.org", "Ann", "correct horse battery").await;
    assert_eq!(username.problem(), (409, "username_taken"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_names_and_weak_passwords_are_told_with_their_rule() {
    let app = App::start().await;
    let names = register(&app, "no address", "x", "correct horse battery").await;
    assert_eq!(names.problem(), (422, "invalid_email"));
    assert_json_snapshot!("invalid_names", names.body["errors"]);
    let weak = register(&app, "ann@example.org", "ann", "short").await;
    assert_eq!(weak.problem(), (422, "weak_password"));
    assert_json_snapshot!("weak_password", weak.body, { ".request_id" => "[id]" });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_and_an_unknown_address_are_answered_alike() {
    let app = App::start().await;
    app.user("ann").await;
    let wrong = login(&app, json!({ "email": "ann@example.org", "password": "not the one at all" })).await;
    let unknown = login(&app, json!({ "email": "nobody@example.org", "password": "not the one at all" })).await;
    let malformed = login(&app, json!({ "email": "", "password": "" })).await;
    for reply in [wrong, unknown, malformed] {
        assert_eq!(reply.problem(), (401, "invalid_credentials"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_token_is_exchanged_for_its_successor_and_for_the_same_one_again_within_the_grace() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    let first = refresh(&app, &ann.refresh_token).await;
    assert_eq!(first.status, StatusCode::OK, "{:?}", first.body);
    assert_eq!(first.body["user"]["id"], json!(ann.id));
    let again = refresh(&app, &ann.refresh_token).await;
    assert_eq!(again.text("refresh_token"), first.text("refresh_token"), "two tabs get the same successor");
    assert_ne!(first.text("refresh_token"), ann.refresh_token);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spent_refresh_token_that_comes_back_ends_the_device() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    let second = refresh(&app, &ann.refresh_token).await.text("refresh_token");
    let third = refresh(&app, &second).await.text("refresh_token");
    let reused = refresh(&app, &ann.refresh_token).await;
    assert_eq!(reused.problem(), (401, "refresh_token_reused"));
    assert_eq!(refresh(&app, &third).await.problem(), (401, "invalid_refresh_token"), "the thief's token is dead too");
    assert_eq!(ann.get("/api/v1/me").await.problem(), (401, "device_signed_out"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refresh_token_of_another_house_or_none_is_refused() {
    let app = App::start().await;
    for token in ["obl_rt_AAAA", "nonsense", ""] {
        assert_eq!(refresh(&app, token).await.problem(), (401, "invalid_refresh_token"), "{token}");
    }
    let none = app.anyone().send(axum::http::Method::POST, "/api/v1/auth/refresh", axum::body::Body::empty()).await;
    assert_eq!(none.problem(), (401, "invalid_refresh_token"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_keeps_its_refresh_token_in_a_cookie_that_scripts_and_other_sites_cannot_use() {
    let options = ApiOptions { public_url: "https://chat.example.org".into(), ..Setup::default().options };
    let app = App::start_with(Setup { options, ..Setup::default() }).await;
    let ann = app.user("ann").await;
    let signed_in = login(&app, json!({ "email": ann.email, "password": ann.password, "cookie": true })).await;
    assert!(signed_in.body["refresh_token"].is_null());
    let cookie = signed_in.header("set-cookie");
    for part in ["oblivious_refresh=obl_rt_", "HttpOnly", "SameSite=Strict", "Path=/api/v1/auth", "Secure"] {
        assert!(cookie.contains(part), "{part} is missing in {cookie}");
    }
    let pair = cookie.split(';').next().unwrap();
    let refreshed = app.anyone().header("cookie", pair).post("/api/v1/auth/refresh", json!({})).await;
    assert_eq!(refreshed.status, StatusCode::OK);
    assert!(refreshed.body["refresh_token"].is_null() && !refreshed.header("set-cookie").is_empty());

    let pair = refreshed.header("set-cookie").split(';').next().unwrap();
    let out = app.anyone().header("cookie", pair).post("/api/v1/auth/logout", json!({})).await;
    assert_eq!(out.status, StatusCode::NO_CONTENT);
    assert!(out.header("set-cookie").contains("Max-Age=0"));
    let after = app.anyone().header("cookie", pair).post("/api/v1/auth/refresh", json!({})).await;
    assert_eq!(after.problem(), (401, "invalid_refresh_token"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signing_out_ends_this_device_and_no_other() {
    let app = App::start().await;
    let ann = app.user("ann").await;
    let other = login(&app, json!({ "email": ann.email, "password": ann.password })).await.text("access_token");
    let out = ann.client().post("/api/v1/auth/logout", json!({})).await;
    assert_eq!(out.status, StatusCode::NO_CONTENT);
    assert_eq!(ann.get("/api/v1/me").await.problem(), (401, "device_signed_out"));
    assert_eq!(refresh(&app, &ann.refresh_token).await.problem(), (401, "invalid_refresh_token"));
    let bearer = format!("Bearer {other}");
    assert_eq!(app.anyone().header("authorization", &bearer).get("/api/v1/me").await.status, StatusCode::OK);
    let nobody = app.anyone().post("/api/v1/auth/logout", json!({})).await;
    assert_eq!(nobody.status, StatusCode::NO_CONTENT, "who is not signed in is signed out");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guessing_at_one_account_is_slowed_down_and_told_when_to_come_back() {
    let mut setup = Setup::default();
    setup.options.limits.auth_per_account = Quota { burst: 3, per: std::time::Duration::from_secs(60) };
    let app = App::start_with(setup).await;
    let guess = json!({ "email": "ann@example.org", "password": "a guess of mine" });
    for _ in 0..3 {
        assert_eq!(login(&app, guess.clone()).await.problem(), (401, "invalid_credentials"));
    }
    let slowed = login(&app, guess).await;
    assert_eq!(slowed.problem(), (429, "too_many_attempts"));
    assert!((1..=20).contains(&slowed.header("retry-after").parse::<u32>().unwrap()));
    let other = login(&app, json!({ "email": "bob@example.org", "password": "a guess of mine" })).await;
    assert_eq!(other.problem(), (401, "invalid_credentials"), "other accounts are not held up");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_gets_in_without_a_token_or_with_a_broken_one() {
    let app = App::start().await;
    let none = app.anyone().get("/api/v1/me").await;
    assert_eq!(none.problem(), (401, "unauthenticated"));
    assert_eq!(none.header("www-authenticate"), r#"Bearer realm="oblivious""#);
    let broken = app.anyone().header("authorization", "Bearer nonsense").get("/api/v1/me").await;
    assert_eq!(broken.problem(), (401, "invalid_token"));
    assert!(broken.header("www-authenticate").contains("invalid_token"));
}
