//! Reads the form of a request as far as it must be known before anybody is asked.
//!
//! Promise: every part has its limit, and all of them together have one. A form is read to its end where it is small, or
//! where what the call costs is not known yet; else the file that is being read passes through.

use axum::{
    RequestExt as _,
    body::Bytes,
    extract::{FromRef, FromRequest, Request},
    http::{HeaderMap, StatusCode, header},
};
use multer::{Field, Multipart};

use super::{
    super::{ask::Caller, call::Calls, invalid},
    upload::{FileHead, KEPT_BYTES, KeptFile, Rest, Upload},
};
use crate::{arriving::TookTooLong, problem::Problem};

/// Texts and files of one form, at most.
const MAX_PARTS: usize = 64;
/// The texts of one form together, at most.
const MAX_TEXT_BYTES: usize = 1024 * 1024;
/// A body that does not say its length is taken for this long, in bytes, when its price is reckoned.
const UNKNOWN_BYTES: u64 = 25 * 1024 * 1024;

/// A request with a form, of somebody who may call.
pub(crate) struct FormRequest {
    caller: Caller,
    form: Multipart<'static>,
    /// Of the whole body, at most.
    length: u64,
}

impl<S> FromRequest<S> for FormRequest
where
    S: Send + Sync,
    Calls: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let caller = Caller::of(&mut parts, state).await?;
        let boundary = boundary(&parts.headers)?;
        let length = parts.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let body = Request::from_parts(parts, body).with_limited_body().into_body();
        let form = Multipart::new(body.into_data_stream(), boundary);
        Ok(Self { caller, form, length: length.unwrap_or(UNKNOWN_BYTES) })
    }
}

fn boundary(headers: &HeaderMap) -> Result<String, Problem> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    multer::parse_boundary(content_type).map_err(|_| {
        let detail = "this is asked by a form with files: send it as `multipart/form-data`";
        Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail)
    })
}

impl FormRequest {
    /// Who asks, and what is sent. A file may pass through once all the texts in `needed` have come.
    pub(crate) async fn read(self, needed: &[&str]) -> Result<(Caller, Upload), Problem> {
        let Self { mut caller, mut form, length } = self;
        let mut upload = Upload { fields: vec![], files: vec![], rest: None, bytes_at_most: length };
        let (mut texts, mut kept) = (MAX_TEXT_BYTES, 0);
        while let Some(part) = form.next_field().await.map_err(|error| unreadable(&error))? {
            if upload.fields.len() + upload.files.len() >= MAX_PARTS {
                return Err(Problem::new(StatusCode::BAD_REQUEST, "too_many_parts", "the form has too many parts"));
            }
            let Some(head) = FileHead::of(&part) else {
                upload.fields.push(text(part, &mut texts).await?);
                continue;
            };
            let may_pass = || needed.iter().all(|name| upload.text(name).is_some());
            match keep(part, &mut caller, &mut kept, may_pass).await? {
                (bytes, None) => upload.files.push(KeptFile { head, bytes }),
                (begun, Some(file)) => {
                    upload.rest = Some(Rest::of(form, head, begun, file));
                    return Ok((caller, upload));
                }
            }
        }
        upload.bytes_at_most = kept as u64;
        Ok((caller, upload))
    }
}

/// A part that is a text.
async fn text(mut part: Field<'static>, left: &mut usize) -> Result<(String, String), Problem> {
    let name = part.name().unwrap_or_default().to_owned();
    let mut bytes = vec![];
    while let Some(chunk) = part.chunk().await.map_err(|error| unreadable(&error))? {
        *left = left.checked_sub(chunk.len()).ok_or_else(too_large)?;
        bytes.extend_from_slice(&chunk);
    }
    let wrong = |_| invalid(&name, "invalid_value", format!("Invalid '{name}': this is no text in UTF-8."));
    String::from_utf8(bytes).map_err(wrong).map(|value| (name.clone(), value))
}

/// The bytes of a file; of one that is larger than what is kept, and may pass through, its beginning and the rest.
async fn keep(
    mut part: Field<'static>,
    caller: &mut Caller,
    kept: &mut usize,
    may_pass: impl Fn() -> bool,
) -> Result<(Vec<Bytes>, Option<Field<'static>>), Problem> {
    let mut bytes = vec![];
    while let Some(chunk) = part.chunk().await.map_err(|error| unreadable(&error))? {
        caller.room.merge(caller.calls.make_room(chunk.len())?);
        *kept += chunk.len();
        bytes.push(chunk);
        if *kept > KEPT_BYTES && may_pass() {
            return Ok((bytes, Some(part)));
        }
    }
    Ok((bytes, None))
}

fn too_large() -> Problem {
    let detail = "the body of the request is larger than what is taken";
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail)
}

/// Why a form cannot be read.
fn unreadable(error: &multer::Error) -> Problem {
    let cause: &(dyn std::error::Error + 'static) = error;
    let mut causes = std::iter::successors(Some(cause), |cause| cause.source());
    let is_limit = |cause: &(dyn std::error::Error + 'static)| cause.is::<http_body_util::LengthLimitError>();
    if causes.clone().any(is_limit) {
        return too_large();
    }
    if causes.any(<dyn std::error::Error>::is::<TookTooLong>) {
        let detail = "the body of the request took too long to arrive";
        return Problem::new(StatusCode::REQUEST_TIMEOUT, "body_timeout", detail);
    }
    Problem::new(StatusCode::BAD_REQUEST, "unreadable_body", "the form of the request cannot be read, or it broke off")
}
