//! Requests that are almost right, in every served dialect to every upstream: a refusal of the request or an answer, and
//! nothing else.

use testkit::mutation::{Mutations, valid_requests};

use super::*;

/// Of each pair; more are tried where `MUTATIONS` says so.
const CASES: usize = 60;

/// A rich and valid request of that dialect.
fn valid(served: Dialect) -> Value {
    let path = match served {
        Dialect::ChatCompletions => "/v1/chat/completions",
        Dialect::Responses => "/v1/responses",
        Dialect::Messages => "/v1/messages",
        Dialect::GenerateContent | Dialect::Converse => "/v1beta/models/public:generateContent",
    };
    let found = valid_requests("public").into_iter().find(|(served_at, _)| served_at == path);
    found.map(|(_, body)| body).expect("every dialect has a valid request")
}

#[tokio::test]
async fn whatever_a_client_sends_is_answered_or_refused_and_never_breaks_us() {
    let cases = std::env::var("MUTATIONS").ok().and_then(|cases| cases.parse().ok()).unwrap_or(CASES);
    for (seed, spoken) in (0..).zip(SPOKEN) {
        let upstream = Upstream::start(bytes::answer(spoken, Scene::Plain, false)).await;
        let provider = account(&upstream, spoken, Limits::default());
        for served in SERVED {
            let (valid, mut mutations) = (valid(served), Mutations::new(seed));
            for _ in 0..cases {
                let Value::Object(body) = mutations.body(&valid) else { panic!("a body stays an object") };
                let told = Value::Object(body.clone()).to_string();
                let counted = provider.count_call(served, "gpt-4o-mini", &body);
                assert!(counted.tokens < 1_000_000, "{served:?} of {spoken:?}: {counted:?} for {told}");
                // Some are deeper than a client may send.
                let body = RequestBody::read(told.clone().into()).unwrap_or_else(|_| body.into());
                let asked = ServedCall { body, ..call(served, false) };
                match provider.call(asked, CancellationToken::new()).await {
                    Ok(_) | Err(RelayError::UpstreamRefused { status: 400, .. }) => {}
                    Err(error) => panic!("{served:?} of {spoken:?}: {error:?} for {told}"),
                }
            }
        }
    }
}
