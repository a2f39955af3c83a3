//! What providers quote of us in their errors: it reaches no client, whichever dialects are spoken.
//!
//! The sentences are made up; that providers quote keys, whole and masked, and their own addresses, is known from OpenAI's
//! "Incorrect API key provided: sk-…abcd", from gateways that pass on what their HTTP client said, and from proxies.

use super::*;

/// Of no known provider's form, as Azure's and GLM's keys are.
const KEY: &str = "7c9e1fa04b2d4c55a1b2.Zq8LmP3xTn6v";

fn account_with_key(upstream: &Upstream, spoken: Dialect) -> Arc<dyn Provider> {
    let kind = match spoken {
        Dialect::ChatCompletions => "openai_compatible",
        Dialect::Responses => "azure_openai",
        Dialect::Messages => "anthropic",
        Dialect::GenerateContent => "gemini",
        Dialect::Converse => "bedrock",
    };
    let keys = vec![ProviderKey { name: KeyRef::new("first"), secret: KEY.into() }];
    provider(ProviderConfig { base_url: Some(upstream.base_url.clone()), keys, ..ProviderConfig::new(kind) }).unwrap()
}

/// Ways of telling too much, with what is fit to be told among it.
fn sentences() -> Vec<String> {
    vec![
        format!("Bad tool: the key {KEY} may not use it"),
        format!("Bad tool: 'api-key: {}' may not use it", &KEY[..12]),
        "Bad tool: the key 7c9e****************Tn6v may not use it".to_owned(),
        "Bad tool: the key 7c9...n6v may not use it".to_owned(),
        "Bad tool: see http://127.0.0.1/v1/chat and //127.0.0.1:8080/keys".to_owned(),
        "Bad tool: upstream host 127.0.0.1 said no".to_owned(),
    ]
}

/// The provider's word that the request is wrong, in this sentence.
fn refused(spoken: Dialect, sentence: &str) -> Value {
    match spoken {
        Dialect::ChatCompletions | Dialect::Responses => json!({"error": {"message": sentence,
            "type": "invalid_request_error", "param": "tools", "code": "invalid_value"}}),
        Dialect::Messages => {
            json!({"type": "error", "error": {"type": "invalid_request_error", "message": sentence}})
        }
        Dialect::GenerateContent => {
            json!({"error": {"code": 400, "message": sentence, "status": "INVALID_ARGUMENT"}})
        }
        Dialect::Converse => json!({"message": sentence}),
    }
}

/// The same in the middle of a stream that has begun well.
fn refused_midway(spoken: Dialect, sentence: &str) -> upstream::Answer {
    let mut answer = bytes::answer(spoken, Scene::Cut, true);
    let (name, data) = match spoken {
        Dialect::Responses => (
            "error",
            json!({"type": "error", "sequence_number": 9, "code": "invalid_prompt", "message": sentence, "param": null}),
        ),
        Dialect::Messages => ("error", refused(spoken, sentence)),
        Dialect::Converse => ("exception:validationException", refused(spoken, sentence)),
        _ => ("", refused(spoken, sentence)),
    };
    answer.body.extend(bytes::framed(spoken, name, &data));
    answer
}

fn check(error: &RelayError, case: &str) {
    let RelayError::UpstreamRefused { message, .. } = error else { panic!("{case}: {error:?}") };
    assert!(message.starts_with("Bad tool:"), "{case}: the sentence is told: {message}");
    for secret in ["7c9", "n6v", "127.0.0.1", "http"] {
        assert!(!message.contains(secret), "{case}: {message}");
    }
    assert!(!format!("{error:?}").contains("7c9e"), "{case}: {error:?}");
}

#[tokio::test]
async fn a_provider_that_quotes_our_key_or_its_address_is_told_without_them() {
    for spoken in SPOKEN {
        for sentence in sentences() {
            let upstream =
                Upstream::start(upstream::Answer::refusal(400, refused(spoken, &sentence).to_string())).await;
            let provider = account_with_key(&upstream, spoken);
            for (served, stream) in SERVED.into_iter().zip([true, false, true, false]) {
                let error = provider.call(call(served, stream), CancellationToken::new()).await.unwrap_err();
                check(&error, &format!("{served:?} of {spoken:?}"));
            }
        }
    }
}

#[tokio::test]
async fn the_same_holds_in_the_middle_of_a_stream() {
    for spoken in SPOKEN {
        for sentence in sentences() {
            let upstream = Upstream::start(refused_midway(spoken, &sentence)).await;
            let provider = account_with_key(&upstream, spoken);
            for served in SERVED {
                let (events, end) = read(provider.call(call(served, true), CancellationToken::new()).await).await;
                let End::Failed(error, Some(_)) = end else { panic!("{served:?} of {spoken:?}: {end:?}") };
                check(&error, &format!("{served:?} of {spoken:?}"));
                assert!(!events.is_empty() && !format!("{events:?}").contains("Bad tool"), "{served:?} of {spoken:?}");
            }
        }
    }
}
