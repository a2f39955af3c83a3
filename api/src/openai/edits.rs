//! `POST /v1/images/edits`: pictures from pictures and words, sent as a form or as a document.
//!
//! Promise: both forms reach every provider that edits pictures as the form with files that all of them take. Pictures of a
//! document are data URLs: nothing is fetched for a client, and no files are kept here that could be named.
//!
//! Source: `createImageEdit` and `ImageRefParam` of OpenAI's API description.

use axum::{
    extract::{FromRef, FromRequest, Request},
    response::Response,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};

use super::images::read_form;
use crate::{
    extract::is_json,
    problem::Problem,
    served::{Calls, Fields, FormRequest, Incoming, Upload, invalid},
};

/// Pictures to begin from, at most, as OpenAI has it.
const MAX_PICTURES: usize = 16;
/// Under which the parts of a form stand that are pictures.
const PICTURES: &str = "image[]";
const MASK: &str = "mask";

/// A request in either form.
pub(super) enum Edit {
    Form(FormRequest),
    Document(Incoming),
}

impl<S> FromRequest<S> for Edit
where
    S: Send + Sync,
    Calls: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if is_json(request.headers()) {
            return Incoming::from_request(request, state).await.map(Self::Document);
        }
        FormRequest::from_request(request, state).await.map(Self::Form)
    }
}

/// Draws anew what was sent.
pub(super) async fn edit(request: Edit) -> Result<Response, Problem> {
    let (caller, upload) = match request {
        // How many are drawn is what is paid for: until it is known nothing passes through.
        Edit::Form(form) => form.read(&["model", "prompt", "n"]).await?,
        Edit::Document(Incoming { body, caller }) => (caller, upload(body.into_tree())?),
    };
    caller.beside(read_form(upload)?).await
}

/// The form that a document stands for.
fn upload(mut body: Map<String, Value>) -> Result<Upload, Problem> {
    let fields = Fields::of(&body);
    let images = fields.filled("images")?;
    if images.len() > MAX_PICTURES {
        let detail = format!("Invalid 'images': at most {MAX_PICTURES} pictures are taken.");
        return Err(invalid("images", "invalid_value", detail));
    }
    let mut files = vec![];
    for (at, image) in images.iter().enumerate() {
        let (media_type, bytes) = picture(image, &format!("images[{at}]"))?;
        files.push((PICTURES, media_type, bytes));
    }
    if fields.has(MASK) {
        let (media_type, bytes) = picture(fields.required(MASK)?, MASK)?;
        files.push((MASK, media_type, bytes));
    }
    for name in ["images", MASK] {
        body.remove(name);
    }
    let texts = body.into_iter().filter_map(|(name, value)| match value {
        Value::Null => None,
        Value::String(text) => Some((name, text)),
        other => Some((name, other.to_string())),
    });
    Ok(Upload::whole(texts.collect(), files))
}

/// The type and the bytes of a picture.
fn picture(image: &Value, place: &str) -> Result<(String, Vec<u8>), Problem> {
    let refuse = |code, why| invalid(place, code, format!("Invalid '{place}': {why}"));
    if image.get("file_id").is_some_and(Value::is_string) {
        return Err(refuse(
            "unsupported_value",
            "files are not kept here; send the picture as a data URL in `image_url`.",
        ));
    }
    let url = image.get("image_url").and_then(Value::as_str);
    let url = url.ok_or_else(|| refuse("invalid_type", "an object with `image_url` is needed."))?;
    let Some(data) = url.strip_prefix("data:") else {
        return Err(refuse("unsupported_value", "pictures are not fetched here; send a data URL."));
    };
    let wrong = || refuse("invalid_value", "this is no data URL of a picture in base64.");
    let (media_type, base64) = data.split_once(";base64,").ok_or_else(wrong)?;
    if !media_type.starts_with("image/") {
        return Err(wrong());
    }
    Ok((media_type.to_owned(), STANDARD.decode(base64).map_err(|_| wrong())?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(body: Value) -> Result<Upload, Problem> {
        let Value::Object(body) = body else { panic!("no object") };
        upload(body)
    }

    #[test]
    fn a_document_becomes_the_form_that_it_stands_for() {
        let png = "data:image/png;base64,cG5n";
        let body = json!({ "model": "m", "prompt": "a hat", "n": 2, "stream": true, "user": null,
            "images": [{ "image_url": png }, { "image_url": "data:image/webp;base64,d2VicA==" }],
            "mask": { "image_url": png } });
        let upload = read(body).ok().unwrap();
        let told = ["model", "prompt", "n", "stream", "user", "images"].map(|name| upload.text(name));
        assert_eq!(told, [Some("m"), Some("a hat"), Some("2"), Some("true"), None, None]);
        assert!(upload.has_file(&["image[]"]) && upload.has_file(&["mask"]));
    }

    #[test]
    fn what_is_no_picture_here_is_refused_by_its_place() {
        let png = json!({ "image_url": "data:image/png;base64,cG5n" });
        for (images, param, code) in [
            (json!([]), "images", "empty_array"),
            (json!(null), "images", "missing_required_parameter"),
            (json!([png, { "file_id": "file-1" }]), "images[1]", "unsupported_value"),
            (json!([{ "image_url": "https://h.example/a.png" }]), "images[0]", "unsupported_value"),
            (json!([{ "image_url": "data:text/plain;base64,cG5n" }]), "images[0]", "invalid_value"),
            (json!([{ "image_url": "data:image/png;base64,?" }]), "images[0]", "invalid_value"),
            (json!(["data:image/png;base64,cG5n"]), "images[0]", "invalid_type"),
            (json!(vec![png; 17]), "images", "invalid_value"),
        ] {
            let problem = read(json!({ "model": "m", "prompt": "p", "images": images })).err().unwrap();
            assert_eq!((problem.first_field(), problem.code()), (Some(param), code), "{images}");
        }
    }
}
