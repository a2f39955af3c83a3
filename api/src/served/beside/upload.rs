//! A form with files, between the client and the upstream.
//!
//! Promise: what is small is kept, so that it can be sent again where a channel fails; of what is large no more than
//! [`KEPT_BYTES`] are in memory at a time, and it is sent to one channel, once. An upload that the client breaks off is
//! the client's failure and no channel's.

use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use axum::body::Bytes;
use futures::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use multer::{Field, Multipart};
use relay::modalities::{File, FormPart, ModalityBody};

use super::{bill::SentSound, sound::Sound};

/// Files of a form are kept up to so many bytes together, if they need not be kept to know what the call costs.
pub(crate) const KEPT_BYTES: usize = 4 * 1024 * 1024;

/// What was sent, as far as it was waited for, and what follows.
pub(crate) struct Upload {
    pub(super) fields: Vec<(String, String)>,
    pub(super) files: Vec<KeptFile>,
    pub(super) rest: Option<Rest>,
    /// Of all files, at most.
    pub(super) bytes_at_most: u64,
}

/// A file that is here.
pub(super) struct KeptFile {
    pub(super) head: FileHead,
    pub(super) bytes: Vec<Bytes>,
}

/// What a form says of a file.
#[derive(Clone)]
pub(super) struct FileHead {
    field: String,
    name: Option<String>,
    media_type: Option<String>,
}

/// What comes while it is sent.
pub(super) struct Rest {
    parts: Mutex<Option<BoxStream<'static, io::Result<FormPart>>>>,
    passed: Passed,
    /// The first bytes of the file that it begins with.
    beginning: Bytes,
}

/// How an upload that passes through goes.
#[derive(Clone, Default)]
struct Passed {
    bytes: Arc<AtomicU64>,
    broke: Arc<AtomicBool>,
}

impl Upload {
    /// One whose files came within a document: each under the name of its field, with its type.
    pub(crate) fn whole(fields: Vec<(String, String)>, files: Vec<(&str, String, Vec<u8>)>) -> Self {
        let kept = files.into_iter().enumerate().map(|(at, (field, media_type, bytes))| {
            // Providers tell formats by the ending.
            let ending = media_type.rsplit('/').next().unwrap_or_default();
            let name = Some(format!("{at}.{ending}"));
            let head = FileHead { field: field.to_owned(), name, media_type: Some(media_type) };
            KeptFile { head, bytes: vec![bytes.into()] }
        });
        let files: Vec<KeptFile> = kept.collect();
        let bytes_at_most = files.iter().flat_map(|file| &file.bytes).map(|bytes| bytes.len() as u64).sum();
        Self { fields, files, rest: None, bytes_at_most }
    }

    /// The text under this name.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    /// Whether there is a file under one of these names, or there may be one.
    pub(crate) fn has_file(&self, names: &[&str]) -> bool {
        self.rest.is_some() || self.files.iter().any(|file| names.contains(&file.head.field.as_str()))
    }

    /// How long its sound is at most, in milliseconds.
    pub(crate) fn sound_at_most_ms(&self) -> u32 {
        Sound::of(&self.beginning()).at_most_ms(self.bytes_at_most)
    }

    /// Whether all of it is here.
    pub(super) const fn is_whole(&self) -> bool {
        self.rest.is_none()
    }

    /// The sound that was sent so far.
    pub(super) fn sound(&self) -> SentSound {
        let kept: usize = self.files.iter().flat_map(|file| &file.bytes).map(Bytes::len).sum();
        let passed = self.rest.as_ref().map_or(0, |rest| rest.passed.bytes.load(Ordering::Relaxed));
        SentSound { sound: Sound::of(&self.beginning()), bytes: passed.saturating_add(kept as u64) }
    }

    /// The client broke it off.
    pub(super) fn broke(&self) -> bool {
        self.rest.as_ref().is_some_and(|rest| rest.passed.broke.load(Ordering::Relaxed))
    }

    /// To be sent now; `None` if what passes through was sent before.
    pub(super) fn body(&self) -> Option<ModalityBody> {
        let rest = match &self.rest {
            None => None,
            Some(rest) => Some(rest.parts.lock().unwrap_or_else(PoisonError::into_inner).take()?),
        };
        let files = self.files.iter().map(KeptFile::open).collect();
        Some(ModalityBody::Multipart { fields: self.fields.clone(), files, rest })
    }

    fn beginning(&self) -> Bytes {
        let kept = self.files.first().and_then(|file| file.bytes.first());
        kept.or(self.rest.as_ref().map(|rest| &rest.beginning)).cloned().unwrap_or_default()
    }
}

impl KeptFile {
    fn open(&self) -> File {
        self.head.clone().with(stream::iter(self.bytes.clone()).map(Ok).boxed())
    }
}

impl FileHead {
    /// `None` of a part that is a text.
    pub(super) fn of(part: &Field<'_>) -> Option<Self> {
        let media_type = part.content_type().map(ToString::to_string);
        // Some clients leave out the name of a file, and nobody gives a type to a text but as a text.
        let is_text = media_type.as_deref().is_none_or(|kind| kind.starts_with("text/plain") || kind.contains("json"));
        if part.file_name().is_none() && is_text {
            return None;
        }
        let field = part.name().unwrap_or_default().to_owned();
        Some(Self { field, name: part.file_name().map(str::to_owned), media_type })
    }

    fn with(self, bytes: BoxStream<'static, io::Result<Bytes>>) -> File {
        let Self { field, name, media_type } = self;
        File { field, name, media_type, bytes }
    }
}

impl Rest {
    /// The rest of a form from a file on, of which `begun` was read already.
    pub(super) fn of(form: Multipart<'static>, head: FileHead, begun: Vec<Bytes>, file: Field<'static>) -> Self {
        let (passed, beginning) = (Passed::default(), begun.first().cloned().unwrap_or_default());
        let begun = stream::iter(begun).map(Ok).chain(file).boxed();
        let first = FormPart::File(head.with(passed.clone().watch(begun)));
        let watching = passed.clone();
        let others = stream::unfold(Some(form), move |form| {
            let watching = watching.clone();
            async move {
                let mut form = form?;
                match next(&mut form, &watching).await {
                    Ok(part) => Some((Ok(part?), Some(form))),
                    Err(error) => Some((Err(watching.broken(error)), None)),
                }
            }
        });
        let parts = stream::once(async { Ok(first) }).chain(others).boxed();
        Self { parts: Mutex::new(Some(parts)), passed, beginning }
    }
}

/// The next part of a form whose parts before it were read to their ends.
async fn next(form: &mut Multipart<'static>, watching: &Passed) -> multer::Result<Option<FormPart>> {
    let Some(part) = form.next_field().await? else { return Ok(None) };
    let Some(head) = FileHead::of(&part) else {
        let name = part.name().unwrap_or_default().to_owned();
        return Ok(Some(FormPart::Field(name, part.text().await?)));
    };
    Ok(Some(FormPart::File(head.with(watching.clone().watch(part.boxed())))))
}

impl Passed {
    /// The bytes, counted.
    fn watch(self, bytes: BoxStream<'static, multer::Result<Bytes>>) -> BoxStream<'static, io::Result<Bytes>> {
        let count = move |chunk: multer::Result<Bytes>| match chunk {
            Ok(chunk) => {
                self.bytes.fetch_add(chunk.len() as u64, Ordering::Relaxed);
                Ok(chunk)
            }
            Err(error) => Err(self.broken(error)),
        };
        bytes.map(count).boxed()
    }

    fn broken(&self, error: multer::Error) -> io::Error {
        self.broke.store(true, Ordering::Relaxed);
        io::Error::other(error)
    }
}
