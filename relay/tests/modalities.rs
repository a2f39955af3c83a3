//! Embeddings, rankings, pictures and speech of upstreams that do not speak OpenAI's form, against bytes from their
//! documentation (`relay/tests/fixtures/README.md`).
#![expect(clippy::unwrap_used, clippy::panic, reason = "a panic is a test's failure report")]

use relay::modalities::{
    Answered, Ask, Bedrock, Consumed, Embeddings, Gemini, Images, Mapping, Modality, Path, Picture, Request, Rerank,
    Speech, Told,
};
use relay::{Basis, RelayError, Usage};
use serde_json::{Map, Value, json};

fn object(value: Value) -> Map<String, Value> {
    let Value::Object(map) = value else { panic!("no object") };
    map
}

fn fixture(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn embeddings(more: Value) -> Request {
    let mut body = object(json!({ "model": "gemini-embedding-001", "input": ["hello", "world"] }));
    body.extend(object(more));
    Request::Embeddings(Embeddings::read(body).unwrap())
}

fn images(model: &str, more: Value, from: Vec<Picture>) -> Request {
    let mut body = object(json!({ "model": model, "prompt": "a banana" }));
    body.extend(object(more));
    Request::Images(Images::read(body, from).unwrap())
}

fn speech(more: Value) -> Request {
    let mut body =
        object(json!({ "model": "gemini-2.5-flash-preview-tts", "input": "Have a wonderful day!", "voice": "alloy" }));
    body.extend(object(more));
    Request::Speech(Speech::read(body).unwrap())
}

fn only(asks: Vec<Ask>) -> Ask {
    let [ask] = <[Ask; 1]>::try_from(asks).unwrap_or_else(|asks| panic!("{} requests", asks.len()));
    ask
}

fn told(answered: Answered) -> (Value, Consumed) {
    let Told::Json(body) = answered.told else { panic!("no object") };
    (body, answered.consumed)
}

fn behind(path: &str) -> Path {
    Path::Behind(path.to_owned())
}

#[test]
fn google_is_asked_for_vectors_in_batches_and_for_the_kind_of_text() {
    let ask = only(Gemini.ask(&embeddings(json!({ "dimensions": 3, "input_type": "search_query" }))).unwrap());
    assert_eq!(ask.path, behind("/models/gemini-embedding-001:batchEmbedContents"));
    let expected = json!({ "model": "models/gemini-embedding-001", "content": { "parts": [{ "text": "hello" }] },
        "taskType": "RETRIEVAL_QUERY", "outputDimensionality": 3 });
    assert_eq!(ask.body["requests"][0], expected);
    let many = embeddings(json!({ "input": vec!["a"; 250], "task_type": "CLUSTERING" }));
    let sizes: Vec<usize> =
        Gemini.ask(&many).unwrap().iter().map(|ask| ask.body["requests"].as_array().unwrap().len()).collect();
    assert_eq!(sizes, [100, 100, 50]);
    assert_eq!(Gemini.ask(&many).unwrap()[0].body["requests"][0]["taskType"], "CLUSTERING");
}

#[test]
fn vectors_of_google_are_told_in_openais_form_and_in_the_encoding_that_was_asked_for() {
    let answer = fixture(include_str!("fixtures/gemini_batch_embeddings.json"));
    let (body, consumed) = told(Gemini.read(&embeddings(json!({})), vec![answer.clone()], 0).unwrap());
    assert_eq!(body["data"][1], json!({ "object": "embedding", "index": 1, "embedding": [3.0, 4.0, 0.0] }));
    assert_eq!(body["usage"], json!({ "prompt_tokens": 9, "total_tokens": 9 }));
    assert_eq!(consumed.usage, Some(Usage::new(9, 0, Basis::Reported)));

    let asked = embeddings(json!({ "encoding_format": "base64", "dimensions": 3 }));
    let (body, _) = told(Gemini.read(&asked, vec![answer], 0).unwrap());
    // 0.6, 0.8, 0.0: as long as OpenAI's vectors are.
    assert_eq!(body["data"][1]["embedding"], "mpkZP83MTD8AAAAA");
}

#[test]
fn vectors_that_are_missing_or_of_another_form_are_garbage() {
    for answer in [
        json!({}),
        json!({ "embeddings": [{ "values": [1] }] }),
        json!({ "embeddings": [{ "values": "x" }, { "values": [1] }] }),
    ] {
        let error = Gemini.read(&embeddings(json!({})), vec![answer], 0).unwrap_err();
        assert_eq!(error.code(), "upstream_garbage");
    }
}

#[test]
fn imagen_has_an_endpoint_of_its_own_and_makes_no_picture_from_a_picture() {
    let request = images("imagen-4.0-generate-001", json!({ "n": 2, "size": "1792x1024" }), vec![]);
    let ask = only(Gemini.ask(&request).unwrap());
    assert_eq!(ask.path, behind("/models/imagen-4.0-generate-001:predict"));
    let expected = json!({ "instances": [{ "prompt": "a banana" }],
        "parameters": { "sampleCount": 2, "aspectRatio": "16:9" } });
    assert_eq!(ask.body, expected);
    let answer = fixture(include_str!("fixtures/imagen_predict.json"));
    let (body, consumed) = told(Gemini.read(&request, vec![answer], 7).unwrap());
    assert_eq!(body, json!({ "created": 7, "data": [{ "b64_json": "iVBORw0KGgo=" }, { "b64_json": "iVBORw0KGgoA" }] }));
    assert_eq!((consumed.images, consumed.usage), (2, None));

    let picture = Picture { media_type: "image/png".to_owned(), base64: "aGk=".to_owned() };
    let edit = images("imagen-4.0-generate-001", json!({}), vec![picture]);
    assert_eq!(Gemini.ask(&edit).unwrap_err().param.as_deref(), Some("image"));
    let error = Gemini.read(&request, vec![json!({})], 7).unwrap_err();
    assert!(matches!(error, RelayError::UpstreamRefused { code: Some(code), .. } if code == "content_filter"));
}

#[test]
fn other_models_draw_one_picture_an_answer_and_begin_from_pictures() {
    let picture = Picture { media_type: "image/png".to_owned(), base64: "aGk=".to_owned() };
    let request = images("gemini-3-pro-image-preview", json!({ "n": 2, "size": "2048x2048" }), vec![picture]);
    let asks = Gemini.ask(&request).unwrap();
    assert_eq!(asks.len(), 2);
    assert_eq!(asks[0].path, behind("/models/gemini-3-pro-image-preview:generateContent"));
    let expected = json!({
        "contents": [{ "role": "user", "parts": [
            { "text": "a banana" }, { "inlineData": { "mimeType": "image/png", "data": "aGk=" } }] }],
        "generationConfig": { "responseModalities": ["TEXT", "IMAGE"],
            "imageConfig": { "aspectRatio": "1:1", "imageSize": "2K" } },
    });
    assert_eq!(asks[0].body, expected);
    let answer = fixture(include_str!("fixtures/gemini_image_answer.json"));
    let (body, consumed) = told(Gemini.read(&request, vec![answer.clone(), answer], 7).unwrap());
    assert_eq!(body["data"].as_array().unwrap().len(), 2);
    assert_eq!(body["usage"]["output_tokens"], 2_592);
    assert_eq!((consumed.images, consumed.usage.unwrap().image_output_tokens), (2, 2_580));
}

#[test]
fn a_picture_that_the_filter_took_is_a_refusal_that_says_so() {
    let request = images("gemini-2.5-flash-image", json!({}), vec![]);
    let blocked = fixture(include_str!("fixtures/gemini_blocked.json"));
    let error = Gemini.read(&request, vec![blocked], 7).unwrap_err();
    assert!(
        matches!(error, RelayError::UpstreamRefused { status: 400, code: Some(code), .. } if code == "content_filter")
    );
    let text = fixture(include_str!("fixtures/gemini_answer.json"));
    assert_eq!(Gemini.read(&request, vec![text], 7).unwrap_err().code(), "upstream_garbage");
}

#[test]
fn speech_of_google_is_a_wav_file_in_a_voice_that_it_has() {
    let ask = only(Gemini.ask(&speech(json!({ "instructions": "Say cheerfully." }))).unwrap());
    assert_eq!(ask.path, behind("/models/gemini-2.5-flash-preview-tts:generateContent"));
    assert_eq!(ask.body["contents"][0]["parts"][0]["text"], "Say cheerfully:\nHave a wonderful day!");
    let voice = "/generationConfig/speechConfig/voiceConfig/prebuiltVoiceConfig/voiceName";
    assert_eq!(ask.body.pointer(voice), Some(&json!("Kore")));
    let own = only(Gemini.ask(&speech(json!({ "voice": "Enceladus" }))).unwrap());
    assert_eq!(own.body.pointer(voice), Some(&json!("Enceladus")));

    let answer = fixture(include_str!("fixtures/gemini_speech.json"));
    let answered = Gemini.read(&speech(json!({})), vec![answer.clone()], 0).unwrap();
    assert_eq!(answered.consumed.usage.unwrap().audio_output_tokens, 52);
    let Told::Bytes { content_type, bytes } = answered.told else { panic!("no bytes") };
    assert_eq!((content_type, &bytes[..4], &bytes[44..]), ("audio/wav", &b"RIFF"[..], &[1, 2, 3, 4][..]));
    let answered = Gemini.read(&speech(json!({ "response_format": "pcm" })), vec![answer], 0).unwrap();
    assert_eq!(answered.told, Told::Bytes { content_type: "audio/pcm", bytes: vec![1, 2, 3, 4] });
    let error = Gemini.ask(&speech(json!({ "response_format": "mp3" }))).unwrap_err();
    assert_eq!(error.param.as_deref(), Some("response_format"));
}

#[test]
fn titan_takes_one_text_at_a_time_and_cohere_many() {
    let titan = embeddings(json!({ "model": "amazon.titan-embed-text-v2:0", "dimensions": 256 }));
    let asks = Bedrock.ask(&titan).unwrap();
    assert_eq!(asks.len(), 2);
    assert_eq!(asks[1].path, behind("/model/amazon.titan-embed-text-v2%3A0/invoke"));
    assert_eq!(asks[1].body, json!({ "inputText": "world", "dimensions": 256 }));
    let answer = fixture(include_str!("fixtures/bedrock_titan_embedding.json"));
    let (body, consumed) = told(Bedrock.read(&titan, vec![answer.clone(), answer], 0).unwrap());
    assert_eq!(body["data"][1]["embedding"], json!([0.25, -0.5]));
    assert_eq!(consumed.usage.unwrap().input_tokens, 10);
    let many = embeddings(json!({ "model": "amazon.titan-embed-text-v2:0", "input": vec!["a"; 97] }));
    assert_eq!(Bedrock.ask(&many).unwrap_err().param.as_deref(), Some("input"));

    let cohere = embeddings(json!({ "model": "cohere.embed-multilingual-v3", "input_type": "query" }));
    let ask = only(Bedrock.ask(&cohere).unwrap());
    let expected = json!({ "texts": ["hello", "world"], "input_type": "search_query", "embedding_types": ["float"] });
    assert_eq!(ask.body, expected);
    let answer = fixture(include_str!("fixtures/bedrock_cohere_embeddings.json"));
    let (body, consumed) = told(Bedrock.read(&cohere, vec![answer], 0).unwrap());
    assert_eq!((&body["data"][1]["embedding"], consumed.usage), (&json!([0.125, 1.0]), None));
}

#[test]
fn bedrock_ranks_documents_in_coheres_form() {
    let body = object(json!({ "model": "cohere.rerank-v3-5:0", "query": "q", "documents": ["a", { "text": "b" }],
        "top_n": 1 }));
    let request = Request::Rerank(Rerank::read(body).unwrap());
    let ask = only(Bedrock.ask(&request).unwrap());
    assert_eq!(ask.body, json!({ "api_version": 2, "query": "q", "documents": ["a", "b"], "top_n": 1 }));
    let answer = json!({ "results": [{ "index": 1, "relevance_score": 0.9 }, { "index": 0, "relevance_score": 0.2 }] });
    let (body, _) = told(Bedrock.read(&request, vec![answer], 0).unwrap());
    assert_eq!(body["results"], json!([{ "index": 1, "relevance_score": 0.9, "document": { "text": "b" } }]));
}

#[test]
fn what_an_upstream_cannot_do_is_refused_before_it_is_asked() {
    assert!(Gemini.offers(Modality::Embeddings) && !Gemini.offers(Modality::Moderation));
    assert!(Bedrock.offers(Modality::Rerank) && !Bedrock.offers(Modality::Speech));
    assert_eq!(Bedrock.ask(&speech(json!({}))).unwrap_err().param.as_deref(), Some("model"));
    for modality in Modality::ALL {
        assert!(modality.path().starts_with('/'));
    }
}
