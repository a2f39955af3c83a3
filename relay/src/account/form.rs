//! A form with files on its way to an upstream, passed on as it comes.
//!
//! Written here and not by a library, because what is sent is a stream of streams and nothing of it is kept. Source:
//! RFC 7578, and the escapes of the HTML standard's "multipart form data".

use std::io;

use futures::stream::{self, BoxStream};
use futures::{StreamExt as _, TryStreamExt as _};
use tokio_util::bytes::Bytes;

use crate::RelayError;
use crate::modalities::{File, FormPart, Picture};

/// What follows the parts that are known.
pub(super) type Rest = BoxStream<'static, io::Result<FormPart>>;

/// Its `content-type`, and its bytes.
pub(super) fn encode(
    fields: &[(String, String)],
    files: Vec<File>,
    rest: Option<Rest>,
) -> (String, BoxStream<'static, io::Result<Bytes>>) {
    // Long enough that no file contains it by chance; nothing secret depends on it.
    let boundary = format!("form-{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
    let texts: String = fields.iter().map(|(name, value)| field(&boundary, name, value)).collect();
    let known = files.into_iter().map(|part| file(&boundary, part));
    let mut form = known.fold(one(texts), |form, file| form.chain(file).boxed());
    if let Some(rest) = rest {
        let boundary = boundary.clone();
        let more = rest.map_ok(move |part| match part {
            // The name of the model is among the texts.
            FormPart::Field(name, _) if name == "model" => one(String::new()),
            FormPart::Field(name, value) => one(field(&boundary, &name, &value)),
            FormPart::File(part) => file(&boundary, part),
        });
        form = form.chain(more.try_flatten()).boxed();
    }
    let form = form.chain(one(format!("--{boundary}--\r\n"))).boxed();
    (format!("multipart/form-data; boundary={boundary}"), form)
}

fn field(boundary: &str, name: &str, value: &str) -> String {
    let name = escaped(name);
    format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
}

fn file(boundary: &str, File { field, name, media_type, bytes }: File) -> BoxStream<'static, io::Result<Bytes>> {
    let (field, name) = (escaped(&field), escaped(name.as_deref().unwrap_or("file")));
    let kind = media_type.filter(|kind| !kind.contains(['\r', '\n']));
    let kind = kind.as_deref().unwrap_or("application/octet-stream");
    let head = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"{field}\"; filename=\"{name}\"\r\n\
         Content-Type: {kind}\r\n\r\n"
    );
    one(head).chain(bytes).chain(one("\r\n".to_owned())).boxed()
}

fn one(text: String) -> BoxStream<'static, io::Result<Bytes>> {
    stream::once(async move { Ok(Bytes::from(text)) }).boxed()
}

fn escaped(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

/// The pictures of a form, whole: for upstreams that take them within a document.
///
/// # Errors
/// The upload broke, or they are larger than `most` bytes together.
pub(super) async fn pictures(files: Vec<File>, most: usize) -> Result<Vec<Picture>, RelayError> {
    let (mut left, mut pictures) = (most, vec![]);
    for file in files {
        pictures.extend(picture(file, &mut left).await?);
    }
    Ok(pictures)
}

/// The same of the parts that have not come yet; the texts among them are put to `fields`.
pub(super) async fn more_pictures(
    mut rest: Rest,
    most: usize,
    fields: &mut Vec<(String, String)>,
) -> Result<Vec<Picture>, RelayError> {
    let (mut left, mut pictures) = (most, vec![]);
    while let Some(part) = rest.try_next().await.map_err(broken)? {
        match part {
            FormPart::Field(name, value) => fields.push((name, value)),
            FormPart::File(file) => pictures.extend(picture(file, &mut left).await?),
        }
    }
    Ok(pictures)
}

/// `None` of a file that is no picture to begin from, such as a mask. It is read to its end all the same.
async fn picture(file: File, left: &mut usize) -> Result<Option<Picture>, RelayError> {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let mut bytes = vec![];
    let mut source = file.bytes.map_err(broken);
    while let Some(chunk) = source.try_next().await? {
        let too_large = || RelayError::refused(413, "the pictures are larger than what this model takes");
        *left = left.checked_sub(chunk.len()).ok_or_else(too_large)?;
        bytes.extend_from_slice(&chunk);
    }
    if !file.field.starts_with("image") {
        return Ok(None);
    }
    let told = file.media_type.filter(|kind| kind.starts_with("image/"));
    let media_type = told.unwrap_or_else(|| media_type(&bytes).to_owned());
    Ok(Some(Picture { media_type, base64: STANDARD.encode(bytes) }))
}

fn broken(_: io::Error) -> RelayError {
    RelayError::refused(400, "the upload broke off")
}

/// By the first bytes.
fn media_type(bytes: &[u8]) -> &'static str {
    match bytes {
        [0xff, 0xd8, ..] => "image/jpeg",
        [b'R', b'I', b'F', b'F', ..] => "image/webp",
        [b'G', b'I', b'F', ..] => "image/gif",
        _ => "image/png",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(field: &str, chunks: &'static [&'static [u8]]) -> File {
        let bytes = stream::iter(chunks.iter().map(|chunk| Ok(Bytes::from_static(chunk)))).boxed();
        File { field: field.to_owned(), name: Some("a\"b.png".to_owned()), media_type: None, bytes }
    }

    #[tokio::test]
    async fn a_form_has_its_texts_first_and_its_files_as_they_come() {
        let fields = [("model".to_owned(), "whisper-1".to_owned())];
        let (content_type, form) = encode(&fields, vec![file("file", &[b"one", b"two"])], None);
        let boundary = content_type.strip_prefix("multipart/form-data; boundary=").unwrap();
        let bytes: Vec<Bytes> = form.try_collect().await.unwrap();
        let expected = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n--{boundary}\r\n\
             Content-Disposition: form-data; name=\"file\"; filename=\"a%22b.png\"\r\n\
             Content-Type: application/octet-stream\r\n\r\nonetwo\r\n--{boundary}--\r\n"
        );
        assert_eq!(String::from_utf8(bytes.concat()).unwrap(), expected);
    }

    #[tokio::test]
    async fn what_follows_is_put_behind_it_without_another_name_of_the_model() {
        let field = |name: &str| Ok(FormPart::Field(name.to_owned(), "x".to_owned()));
        let rest = stream::iter([field("model"), Ok(FormPart::File(file("file", &[b"1", b"2"]))), field("last")]);
        let (_, form) = encode(&[("model".to_owned(), "m".to_owned())], vec![], Some(rest.boxed()));
        let bytes: Vec<Bytes> = form.try_collect().await.unwrap();
        let text = String::from_utf8(bytes.concat()).unwrap();
        let names: Vec<&str> = text.split(" name=\"").skip(1).map(|part| part.split('"').next().unwrap()).collect();
        assert_eq!(names, ["model", "file", "last"], "{text}");
        assert!(text.contains("\r\n\r\n12\r\n--"), "{text}");
        let mut fields = vec![];
        let rest = stream::iter([Ok(FormPart::File(file("image", &[b"ab"]))), field("n")]).boxed();
        assert_eq!(more_pictures(rest, 2, &mut fields).await.unwrap().len(), 1);
        assert_eq!(fields.len(), 1);
    }

    #[tokio::test]
    async fn pictures_are_gathered_up_to_their_limit() {
        let files = || vec![file("image[]", &[&[0xff, 0xd8], b"x"]), file("mask", &[b"y"])];
        let gathered = pictures(files(), 4).await.unwrap();
        assert_eq!(gathered.len(), 1);
        assert_eq!((gathered[0].media_type.as_str(), gathered[0].base64.as_str()), ("image/jpeg", "/9h4"));
        let error = pictures(files(), 2).await.err().unwrap();
        assert!(matches!(error, RelayError::UpstreamRefused { status: 413, .. }));
    }
}
