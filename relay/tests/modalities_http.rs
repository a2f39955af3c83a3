//! Calls besides conversations over a real connection: where they go, what the upstream gets, what the client gets.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is a test's failure report")]

use std::sync::{Arc, Mutex};

use futures::{StreamExt, stream};
use relay::modalities::{Consumed, File, Modality, ModalityAnswer, ModalityBody, ModalityCall, Piece};
use relay::{KeyRef, Provider, ProviderConfig, ProviderKey, RelayError, provider};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// What the upstream got: the first line with the headers, and the body.
type Heard = Arc<Mutex<Vec<(String, String)>>>;

/// An upstream that says the same to everybody, and what it heard.
async fn upstream(status: u16, content_type: &'static str, body: &str) -> (String, Heard) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let heard = Heard::default();
    let (told, body) = (Arc::clone(&heard), body.to_owned());
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let (told, body) = (Arc::clone(&told), body.clone());
            tokio::spawn(async move {
                let request = read(&mut socket).await;
                told.lock().unwrap().push(request);
                let head = format!(
                    "HTTP/1.1 {status} X\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n\
                     connection: close\r\n\r\n",
                    body.len()
                );
                socket.write_all((head + &body).as_bytes()).await.unwrap();
                socket.shutdown().await.unwrap();
            });
        }
    });
    (address, heard)
}

async fn read(socket: &mut TcpStream) -> (String, String) {
    let mut bytes = vec![];
    loop {
        let mut chunk = [0; 4096];
        let read = socket.read(&mut chunk).await.unwrap();
        bytes.extend_from_slice(&chunk[..read]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let head = head.to_owned();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
        let is_whole = length.map_or_else(|| body.ends_with("0\r\n\r\n"), |length| body.len() >= length);
        if is_whole || read == 0 {
            return (head, body.to_owned());
        }
    }
}

fn account(kind: &str, base_url: &str) -> Arc<dyn Provider> {
    let key = ProviderKey { name: KeyRef::new("main"), secret: "sk-topsecret".into() };
    let base_url = Some(base_url.to_owned());
    provider(ProviderConfig { base_url, keys: vec![key], ..ProviderConfig::new(kind) }).unwrap()
}

async fn ask(
    account: &Arc<dyn Provider>,
    modality: Modality,
    body: ModalityBody,
) -> Result<ModalityAnswer, RelayError> {
    let call = ModalityCall {
        modality,
        model: "upstream-model".to_owned(),
        public_model: "public".to_owned(),
        body,
        created: 7,
        key: Some(KeyRef::new("main")),
    };
    account.modalities().expect("this account does more than conversations").ask(call, CancellationToken::new()).await
}

fn document(body: Value) -> ModalityBody {
    let Value::Object(map) = body else { panic!("no object") };
    ModalityBody::Json(Arc::new(map))
}

async fn json_of(answer: Result<ModalityAnswer, RelayError>) -> (Value, Consumed) {
    match answer.unwrap() {
        ModalityAnswer::Json { body, consumed } => (body, consumed),
        ModalityAnswer::Stream { .. } => panic!("a stream"),
    }
}

#[tokio::test]
async fn embeddings_pass_and_come_back_in_the_encoding_that_was_asked_for() {
    let answer = json!({ "object": "list", "model": "upstream-model",
        "data": [{ "object": "embedding", "index": 0, "embedding": [0.5, -2.0] }],
        "usage": { "prompt_tokens": 3, "total_tokens": 3 } });
    let (url, heard) = upstream(200, "application/json", &answer.to_string()).await;
    let body = document(json!({ "model": "public", "input": "hi", "encoding_format": "base64", "new": 1 }));
    let (body, consumed) =
        json_of(ask(&account("openai_compatible", &format!("{url}/v1")), Modality::Embeddings, body).await).await;
    assert_eq!((&body["model"], &body["data"][0]["embedding"]), (&json!("public"), &json!("AAAAPwAAAMA=")));
    assert_eq!(consumed.usage.unwrap().input_tokens, 3);
    let (head, sent) = heard.lock().unwrap().remove(0);
    assert!(head.starts_with("POST /v1/embeddings HTTP/1.1"), "{head}");
    assert!(head.contains("authorization: Bearer sk-topsecret"), "{head}");
    let sent: Value = serde_json::from_str(&sent).unwrap();
    assert_eq!(sent, json!({ "model": "upstream-model", "input": "hi", "encoding_format": "base64", "new": 1 }));
}

#[tokio::test]
async fn google_gets_batches_and_the_client_one_list() {
    let vectors = vec![json!({ "values": [1.0] }); 100];
    let (url, heard) = upstream(200, "application/json", &json!({ "embeddings": vectors }).to_string()).await;
    let account = account("gemini", &url);
    let body = document(json!({ "model": "public", "input": vec!["a"; 200] }));
    let (body, consumed) = json_of(ask(&account, Modality::Embeddings, body).await).await;
    assert_eq!((body["data"].as_array().unwrap().len(), consumed.usage), (200, None));
    let heard = heard.lock().unwrap();
    assert_eq!(heard.len(), 2);
    for (head, _) in heard.iter() {
        assert!(head.starts_with("POST /v1beta/models/upstream-model:batchEmbedContents HTTP/1.1"), "{head}");
        assert!(head.contains("x-goog-api-key: sk-topsecret"), "{head}");
    }
}

#[tokio::test]
async fn a_form_is_passed_on_with_the_upstreams_name_of_the_model_and_a_text_comes_back_as_it_is() {
    let (url, heard) = upstream(200, "text/plain; charset=utf-8", "hello there").await;
    let fields = vec![("model".to_owned(), "public".to_owned()), ("response_format".to_owned(), "text".to_owned())];
    let bytes = stream::iter([Ok("one".into()), Ok("two".into())]).boxed();
    let files = vec![File { field: "file".to_owned(), name: Some("a.mp3".to_owned()), media_type: None, bytes }];
    let account = account("openai_compatible", &format!("{url}/v1"));
    let answer = ask(&account, Modality::Transcription, ModalityBody::Multipart { fields, files, rest: None }).await;
    let ModalityAnswer::Stream { content_type, pieces } = answer.unwrap() else { panic!("no stream") };
    assert_eq!(content_type, "text/plain; charset=utf-8");
    let pieces: Vec<Piece> = pieces.map(Result::unwrap).collect().await;
    let Some((Piece::Done(_), said)) = pieces.split_last() else { panic!("no end") };
    let said = said.iter().flat_map(|piece| match piece {
        Piece::Bytes(bytes) => bytes.to_vec(),
        Piece::Done(_) => panic!("two ends"),
    });
    assert_eq!(String::from_utf8(said.collect()).unwrap(), "hello there");
    let (head, sent) = heard.lock().unwrap().remove(0);
    assert!(head.starts_with("POST /v1/audio/transcriptions HTTP/1.1"), "{head}");
    assert!(sent.contains("name=\"model\"\r\n\r\nupstream-model\r\n") && !sent.contains("public"), "{sent}");
    assert!(sent.contains("name=\"file\"; filename=\"a.mp3\"") && sent.contains("two"), "{sent}");
}

#[tokio::test]
async fn a_ranking_is_told_with_its_documents() {
    let answer = json!({ "results": [{ "index": 1, "relevance_score": 0.9 }], "usage": { "total_tokens": 4 } });
    let (url, heard) = upstream(200, "application/json", &answer.to_string()).await;
    let body = document(json!({ "model": "public", "query": "q", "documents": ["a", "b"], "top_n": 1 }));
    let (body, consumed) = json_of(ask(&account("vllm", &format!("{url}/v1")), Modality::Rerank, body).await).await;
    assert_eq!(body["results"], json!([{ "index": 1, "relevance_score": 0.9, "document": { "text": "b" } }]));
    assert_eq!((consumed.usage.unwrap().input_tokens, &body["model"]), (4, &json!("public")));
    assert!(heard.lock().unwrap()[0].0.starts_with("POST /v1/rerank HTTP/1.1"));
}

#[tokio::test]
async fn an_edit_reaches_google_with_its_picture_inside_and_comes_back_as_bytes() {
    let answer = include_str!("fixtures/gemini_image_answer.json");
    let (url, heard) = upstream(200, "application/json", answer).await;
    let fields = vec![("model".to_owned(), "public".to_owned()), ("prompt".to_owned(), "blue".to_owned())];
    let bytes = stream::iter([Ok("hi".into())]).boxed();
    let media_type = Some("image/webp".to_owned());
    let files = vec![File { field: "image[]".to_owned(), name: None, media_type, bytes }];
    let answer =
        ask(&account("gemini", &url), Modality::ImageEdit, ModalityBody::Multipart { fields, files, rest: None }).await;
    let (body, consumed) = json_of(answer).await;
    assert_eq!((&body["data"][0]["b64_json"], &body["created"]), (&json!("iVBORw0KGgo="), &json!(7)));
    assert_eq!(consumed.images, 1);
    let sent: Value = serde_json::from_str(&heard.lock().unwrap()[0].1).unwrap();
    let picture = json!({ "inlineData": { "mimeType": "image/webp", "data": "aGk=" } });
    assert_eq!(sent["contents"][0]["parts"], json!([{ "text": "blue" }, picture]));
}

#[tokio::test]
async fn what_goes_wrong_is_told_as_in_conversations() {
    let quota = include_str!("fixtures/gemini_error_quota.json");
    let (url, _) = upstream(429, "application/json", quota).await;
    let body = || document(json!({ "model": "public", "input": "hi" }));
    let error = ask(&account("gemini", &url), Modality::Embeddings, body()).await.err().unwrap();
    assert_eq!(error.retry_after().map(|wait| wait.as_secs()), Some(36));

    let (url, heard) = upstream(200, "application/json", "{\"data\": \"sk-topsecret\"}").await;
    let compatible = account("openai_compatible", &format!("{url}/v1"));
    let error = ask(&compatible, Modality::Embeddings, body()).await.err().unwrap();
    assert_eq!(error.code(), "upstream_garbage");
    assert!(!error.to_string().contains("sk-topsecret"));

    heard.lock().unwrap().clear();
    let bad = document(json!({ "model": "public", "input": "hi", "encoding_format": "hex" }));
    let error = ask(&compatible, Modality::Embeddings, bad).await.err().unwrap();
    assert!(matches!(error, RelayError::UpstreamRefused { status: 400, param: Some(param), .. }
        if param == "encoding_format"));
    let error = ask(&account("gemini", &url), Modality::Moderation, body()).await.err().unwrap();
    assert!(matches!(error, RelayError::UpstreamRefused { code: Some(code), .. } if code == "unsupported_operation"));
    assert!(heard.lock().unwrap().is_empty(), "nothing was sent");
}
