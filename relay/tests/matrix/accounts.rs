//! What goes up: addresses, keys, overrides, and the way through a proxy.

use relay::{KeyOrder, ParameterOverride, SecretString};

use super::*;

#[tokio::test]
async fn each_provider_is_asked_at_its_own_place_with_its_own_proof_of_who_we_are() {
    for (spoken, line, proof) in [
        (Dialect::ChatCompletions, "POST /v1/chat/completions HTTP/1.1", "authorization: Bearer sk-test-key"),
        (Dialect::Responses, "POST /v1/responses HTTP/1.1", "api-key: sk-test-key"),
        (Dialect::Messages, "POST /v1/messages HTTP/1.1", "x-api-key: sk-test-key"),
        (
            Dialect::GenerateContent,
            "POST /v1/models/up-codex-1:streamGenerateContent?alt=sse HTTP/1.1",
            "x-goog-api-key: sk-test-key",
        ),
        (Dialect::Converse, "POST /model/up-codex-1/converse-stream HTTP/1.1", "authorization: Bearer sk-test-key"),
    ] {
        let upstream = Upstream::start(bytes::answer(spoken, Scene::Plain, true)).await;
        let provider = account(&upstream, spoken, Limits::default());
        read(provider.call(call(Dialect::ChatCompletions, true), CancellationToken::new()).await).await;
        let head = upstream.heads().remove(0);
        assert_eq!(head.lines().next(), Some(line));
        assert!(head.lines().any(|header| header == proof), "{head}");
    }
}

#[tokio::test]
async fn the_bound_that_was_held_goes_up_in_every_dialect_whoever_asks() {
    for spoken in SPOKEN {
        for served in SERVED {
            let upstream = Upstream::start(bytes::answer(spoken, Scene::Plain, false)).await;
            let provider = account(&upstream, spoken, Limits::default());
            provider.call(call(served, false), CancellationToken::new()).await.unwrap();
            let sent = upstream.asked();
            let bound = match spoken {
                Dialect::ChatCompletions | Dialect::Messages => &sent["max_tokens"],
                Dialect::Responses => &sent["max_output_tokens"],
                Dialect::GenerateContent => &sent["generationConfig"]["maxOutputTokens"],
                Dialect::Converse => &sent["inferenceConfig"]["maxTokens"],
            };
            assert_eq!(bound, 64, "{served:?} to {spoken:?}: {sent}");
            assert!(sent.to_string().contains("get_weather"), "{served:?} to {spoken:?}: {sent}");
            assert!(sent.to_string().contains("How is the weather in Paris?"), "{served:?} to {spoken:?}: {sent}");
        }
    }
}

/// The same as a client would have sent it with one more field.
fn with(body: RequestBody, name: &str, value: Value) -> RequestBody {
    let mut body = body.into_tree();
    body.insert(name.to_owned(), value);
    RequestBody::read(Value::Object(body).to_string().into()).unwrap()
}

#[tokio::test]
async fn what_nobody_here_knows_passes_through_to_an_upstream_of_the_same_dialect() {
    for (dialect, headers) in [
        (Dialect::Messages, vec![("anthropic-beta".to_owned(), "new-thing-2026".to_owned())]),
        (Dialect::GenerateContent, vec![]),
        (Dialect::Responses, vec![]),
        (Dialect::ChatCompletions, vec![]),
    ] {
        let upstream = Upstream::start(bytes::answer(dialect, Scene::Plain, false)).await;
        let provider = account(&upstream, dialect, Limits::default());
        let mut asked = ServedCall { headers: headers.clone(), ..call(dialect, false) };
        asked.body = with(asked.body, "neverHeardOf", json!([1.5, {"x": null}]));
        provider.call(asked, CancellationToken::new()).await.unwrap();
        assert_eq!(upstream.asked()["neverHeardOf"], json!([1.5, {"x": null}]), "{dialect:?}");
        let head = upstream.heads().remove(0);
        for (name, value) in headers {
            assert!(head.contains(&format!("{name}: {value}")), "{head}");
        }
    }
}

#[tokio::test]
async fn what_nobody_here_knows_stays_out_of_another_dialect() {
    for spoken in SPOKEN {
        for served in SERVED.into_iter().filter(|served| *served != spoken) {
            let upstream = Upstream::start(bytes::answer(spoken, Scene::Plain, false)).await;
            let provider = account(&upstream, spoken, Limits::default());
            let mut asked = call(served, false);
            asked.body = with(asked.body, "neverHeardOf", json!({"x": null}));
            provider.call(asked, CancellationToken::new()).await.unwrap();
            let sent = upstream.asked().to_string();
            assert!(!sent.contains("neverHeardOf"), "{served:?} to {spoken:?}: {sent}");
        }
    }
}

#[tokio::test]
async fn overrides_of_a_channel_change_every_request_and_headers_stand_in_the_place_of_ours() {
    let upstream = Upstream::start(bytes::answer(Dialect::Messages, Scene::Plain, false)).await;
    let set = |path: &str, value: Value| ParameterOverride::Set { path: path.to_owned(), value };
    let provider = provider(ProviderConfig {
        base_url: Some(upstream.base_url.clone()),
        keys: vec![ProviderKey { name: KeyRef::new("first"), secret: "ours".into() }],
        headers: vec![
            ("anthropic-version".to_owned(), "2099-01-01".to_owned()),
            ("X-Team".to_owned(), "weather".to_owned()),
            ("x-api-key".to_owned(), "instead".to_owned()),
        ],
        parameters: vec![
            set("metadata.user_id", json!("house")),
            ParameterOverride::Rename { from: "max_tokens".to_owned(), to: "limit".to_owned() },
        ],
        ..ProviderConfig::new("anthropic")
    })
    .unwrap();
    provider.call(call(Dialect::ChatCompletions, false), CancellationToken::new()).await.unwrap();
    let sent = upstream.asked();
    assert_eq!((&sent["metadata"]["user_id"], &sent["limit"]), (&json!("house"), &json!(64)));
    let head = upstream.heads().remove(0);
    assert!(head.contains("anthropic-version: 2099-01-01") && head.contains("x-team: weather"), "{head}");
    assert!(head.contains("x-api-key: instead") && !head.contains("ours"), "{head}");
}

#[tokio::test]
async fn several_keys_are_used_in_turn_and_the_caller_may_say_which() {
    let upstream = Upstream::start(bytes::answer(Dialect::ChatCompletions, Scene::Plain, false)).await;
    let key = |name: &str| ProviderKey { name: KeyRef::new(name), secret: format!("secret-{name}").into() };
    let provider = provider(ProviderConfig {
        base_url: Some(upstream.base_url.clone()),
        keys: vec![key("a"), key("b")],
        key_order: KeyOrder::InTurn,
        ..ProviderConfig::new("openai")
    })
    .unwrap();
    assert_eq!(provider.keys(), [KeyRef::new("a"), KeyRef::new("b")]);
    for chosen in [None, None, Some("b"), Some("b")] {
        let asked = ServedCall { key: chosen.map(KeyRef::new), ..call(Dialect::ChatCompletions, false) };
        provider.call(asked, CancellationToken::new()).await.unwrap();
    }
    let heads = upstream.heads();
    let used = heads.iter().map(|head| head.split("Bearer secret-").nth(1).and_then(|rest| rest.get(..1)).unwrap());
    assert_eq!(used.collect::<String>(), "abbb");
}

#[tokio::test]
async fn a_proxy_is_asked_instead_of_the_provider() {
    let upstream = Upstream::start(bytes::answer(Dialect::ChatCompletions, Scene::Plain, false)).await;
    let proxy = upstream.base_url.trim_end_matches("/v1").to_owned();
    let provider = provider(ProviderConfig {
        base_url: Some("http://upstream.invalid/v1".to_owned()),
        proxy: Some(SecretString::from(proxy)),
        ..ProviderConfig::new("openai_compatible")
    })
    .unwrap();
    provider.call(call(Dialect::ChatCompletions, false), CancellationToken::new()).await.unwrap();
    let head = upstream.heads().remove(0);
    assert!(head.starts_with("POST http://upstream.invalid/v1/chat/completions"), "{head}");
}

#[tokio::test]
async fn the_count_before_a_call_is_the_same_order_in_every_dialect() {
    let upstream = Upstream::start(bytes::answer(Dialect::Messages, Scene::Plain, false)).await;
    let provider = account(&upstream, Dialect::Messages, Limits::default());
    let counts = SERVED.map(|served| {
        let counted = provider.count_call(served, "gpt-4o", call(served, false).body.tree());
        assert_eq!(counted.basis, Basis::Counted, "{served:?}");
        counted.tokens
    });
    let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
    assert!(*least > 30 && most - least < 20, "{counts:?}");
}
