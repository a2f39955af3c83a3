//! How answers end that do not end well: the same for every pair of dialects.

use std::time::Duration;

use super::*;

async fn streamed(served: Dialect, spoken: Dialect, scene: Scene, limits: Limits) -> (Vec<ServedEvent>, End) {
    let upstream = Upstream::start(bytes::answer(spoken, scene, true)).await;
    let provider = account(&upstream, spoken, limits);
    read(provider.call(call(served, true), CancellationToken::new()).await).await
}

#[tokio::test]
async fn what_breaks_off_fails_by_its_reason_and_what_was_generated_is_charged() {
    for (scene, code) in [
        (Scene::Cut, "upstream_cut"),
        (Scene::Garbage, "upstream_garbage"),
        (Scene::Failure, "upstream_unavailable"),
        (Scene::Silence, "timed_out"),
    ] {
        for spoken in SPOKEN {
            for served in SERVED {
                let limits = Limits { idle: Duration::from_millis(300), ..Limits::default() };
                let (events, end) = streamed(served, spoken, scene, limits).await;
                let case = format!("{scene:?}: {served:?} of {spoken:?}");
                let End::Failed(error, usage) = end else { panic!("{case}: {end:?}") };
                assert_eq!(error.code(), code, "{case}");
                assert!(!events.is_empty(), "{case}");
                let usage = usage.unwrap_or_else(|| panic!("{case}: nothing is charged"));
                assert_eq!(usage.basis, Basis::Estimated, "{case}");
                assert!(usage.output_tokens >= 2 && usage.input_tokens > 10, "{case}: {usage:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_report_that_cannot_be_believed_is_replaced_and_the_client_is_told_what_is_charged() {
    for spoken in SPOKEN {
        for served in SERVED {
            for stream in [false, true] {
                let upstream = Upstream::start(bytes::answer(spoken, Scene::Lie, stream)).await;
                let provider = account(&upstream, spoken, Limits::default());
                let answer = provider.call(call(served, stream), CancellationToken::new()).await;
                let case = format!("{served:?} of {spoken:?}, stream: {stream}");
                let (bodies, usage) = match answer.unwrap().read() {
                    ServedAnswer::Whole { body, usage } => (vec![body], usage),
                    answer => {
                        let (events, end) = read(Ok(answer)).await;
                        let End::Done(usage) = end else { panic!("{case}: {end:?}") };
                        (events.into_iter().map(|event| event.data).collect(), usage)
                    }
                };
                // Anthropic's stream says at its begin that something was generated.
                let said_so_far = spoken == Dialect::Messages && stream;
                assert!(said_so_far || usage.basis != Basis::Reported, "{case}: {usage:?}");
                assert!(said_so_far || usage.output_tokens >= 3, "{case}: {usage:?}");
                let all = Value::from(bodies).to_string();
                let told = [
                    format!("\"completion_tokens\":{}", usage.output_tokens),
                    format!("\"output_tokens\":{}", usage.output_tokens),
                    format!("\"candidatesTokenCount\":{}", usage.output_tokens),
                ];
                assert!(told.iter().any(|told| all.contains(told)), "{case}: {usage:?} in {all}");
            }
        }
    }
}

#[tokio::test]
async fn a_cancelled_stream_ends_at_once_with_what_was_generated() {
    for spoken in SPOKEN {
        for served in SERVED {
            let upstream = Upstream::start(bytes::answer(spoken, Scene::Silence, true)).await;
            let provider = account(&upstream, spoken, Limits::default());
            let cancel = CancellationToken::new();
            let answer = provider.call(call(served, true), cancel.clone()).await;
            let Ok(ServedAnswer::Stream(mut stream)) = answer else { panic!("{answer:?}") };
            // Everything before the silence is delivered; then nothing comes until the caller stops it.
            while let Ok(frame) = tokio::time::timeout(Duration::from_millis(300), stream.next()).await {
                assert!(matches!(frame, Some(ServedFrame::Event(_) | ServedFrame::Passed(_))), "{frame:?}");
            }
            cancel.cancel();
            let frame = tokio::time::timeout(PATIENCE, stream.next()).await.unwrap();
            let Some(ServedFrame::Done { last, usage }) = frame else { panic!("{served:?} of {spoken:?}: {frame:?}") };
            assert!(last.is_empty() && usage.output_tokens >= 2, "{served:?} of {spoken:?}: {usage:?}");
        }
    }
}

#[tokio::test]
async fn a_refused_request_means_the_same_whoever_refuses_it() {
    for spoken in SPOKEN {
        for (served, stream) in SERVED.into_iter().zip([true, false, true, false]) {
            let upstream = Upstream::start(bytes::rate_limit(spoken)).await;
            let provider = account(&upstream, spoken, Limits::default());
            let error = provider.call(call(served, stream), CancellationToken::new()).await.unwrap_err();
            let expected = RelayError::UpstreamRateLimited { retry_after: Some(Duration::from_secs(7)) };
            assert_eq!(error, expected, "{served:?} of {spoken:?}");
        }
    }
}

#[tokio::test]
async fn an_answer_at_once_where_a_stream_was_asked_for_is_told_as_a_stream() {
    for spoken in SPOKEN {
        for served in SERVED {
            let upstream = Upstream::start(bytes::answer(spoken, Scene::Tool, false)).await;
            let provider = account(&upstream, spoken, Limits::default());
            let (events, end) = read(provider.call(call(served, true), CancellationToken::new()).await).await;
            assert!(matches!(end, End::Done(_)), "{served:?} of {spoken:?}: {end:?}");
            let told = told(served, &told::assembled(served, &events));
            assert_eq!(told.calls, [("get_weather".to_owned(), json!({"city": "Paris"}))], "{served:?} of {spoken:?}");
        }
    }
}

#[tokio::test]
async fn a_request_that_is_none_of_its_dialect_is_refused_before_anything_is_sent() {
    let upstream = Upstream::start(bytes::answer(Dialect::Converse, Scene::Plain, false)).await;
    let provider = account(&upstream, Dialect::Converse, Limits::default());
    for (served, body) in [
        (Dialect::ChatCompletions, json!({"messages": 7})),
        (Dialect::Responses, json!({"input": 7})),
        (Dialect::Messages, json!({"messages": [{"role": "user", "content": 7}]})),
        (Dialect::GenerateContent, json!({"contents": 7})),
        (
            Dialect::ChatCompletions,
            json!({"messages": [{"role": "user", "content": [
                {"type": "image_url", "image_url": {"url": "https://x.example/a.png"}}]}]}),
        ),
    ] {
        let Value::Object(body) = body else { panic!("an object") };
        let asked = ServedCall { body: body.into(), ..call(served, false) };
        let error = provider.call(asked, CancellationToken::new()).await.unwrap_err();
        let RelayError::UpstreamRefused { status, param, .. } = &error else { panic!("{error:?}") };
        assert!(*status == 400 && param.is_some(), "{served:?}: {error:?}");
    }
    assert!(upstream.heads().is_empty());
}
