//! A form with files on its way to an upstream, passed on as it comes.
//!
//! Written here and not by a library, because what is sent is a stream of streams and nothing of it is kept. Source:
//! RFC 7578, and the escapes of the HTML standard's "multipart form data".

use std::io;

use futures::stream::{self, BoxStream};
use futures::{StreamExt as _, TryStreamExt as _};
use tokio_util::bytes::Bytes;

use crate::RelayError;
use crate::modalities::{File, Picture};

/// Its `content-type`, and its bytes.
pub(super) fn encode(fields: &[(String, String)], files: Vec<File>) -> (String, BoxStream<'static, io::Result<Bytes>>) {
    // Long enough that no file contains it by chance; nothing secret depends on it.
    let boundary = format!("form-{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
    let texts: String = fields
        .iter()
        .map(|(name, value)| {
            let name = escaped(name);
            format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
        })
        .collect();
    let mut form = one(texts);
    for File { field, name, media_type, bytes } in files {
        let (field, name) = (escaped(&field), escaped(name.as_deref().unwrap_or("file")));
        let kind = media_type.filter(|kind| !kind.contains(['\r', '\n']));
        let kind = kind.as_deref().unwrap_or("application/octet-stream");
        let head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{field}\"; filename=\"{name}\"\r\n\
             Content-Type: {kind}\r\n\r\n"
        );
        form = form.chain(one(head)).chain(bytes).chain(one("\r\n".to_owned())).boxed();
    }
    let form = form.chain(one(format!("--{boundary}--\r\n"))).boxed();
    (format!("multipart/form-data; boundary={boundary}"), form)
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
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let mut left = most;
    let mut pictures = vec![];
    for file in files.into_iter().filter(|file| file.field.starts_with("image")) {
        let too_large = || RelayError::refused(413, format!("the pictures are larger than {most} bytes"));
        let broken = |_| RelayError::refused(400, "the upload broke off");
        let mut bytes = vec![];
        let mut source = file.bytes.map_err(broken);
        while let Some(chunk) = source.try_next().await? {
            left = left.checked_sub(chunk.len()).ok_or_else(too_large)?;
            bytes.extend_from_slice(&chunk);
        }
        let told = file.media_type.filter(|kind| kind.starts_with("image/"));
        let media_type = told.unwrap_or_else(|| media_type(&bytes).to_owned());
        pictures.push(Picture { media_type, base64: STANDARD.encode(bytes) });
    }
    Ok(pictures)
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
        let (content_type, form) = encode(&fields, vec![file("file", &[b"one", b"two"])]);
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
    async fn pictures_are_gathered_up_to_their_limit() {
        let files = || vec![file("image[]", &[&[0xff, 0xd8], b"x"]), file("mask", &[b"y"])];
        let gathered = pictures(files(), 3).await.unwrap();
        assert_eq!(gathered.len(), 1);
        assert_eq!((gathered[0].media_type.as_str(), gathered[0].base64.as_str()), ("image/jpeg", "/9h4"));
        let error = pictures(files(), 2).await.err().unwrap();
        assert!(matches!(error, RelayError::UpstreamRefused { status: 413, .. }));
    }
}
