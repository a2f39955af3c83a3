//! The folder of an export: one process writes at a time, names appear only when their content is on disk.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use super::Format;
use super::manifest::Manifest;
use super::part::{Part, PartWriter};

const MANIFEST: &str = "manifest.json";
const UNFINISHED: &str = "unfinished.tmp";

/// Locked until dropped, also against other processes.
pub(super) struct Folder {
    path: PathBuf,
    handle: File,
}

impl Folder {
    /// # Errors
    /// It cannot be made, or another export writes to it now.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let cannot = || format!("cannot write to {}", path.display());
        fs::create_dir_all(path).with_context(cannot)?;
        let handle = File::open(path).with_context(cannot)?;
        if handle.try_lock().is_err() {
            bail!("another export writes to {} now", path.display());
        }
        Ok(Self { path: path.to_owned(), handle })
    }

    pub(super) fn manifest(&self) -> anyhow::Result<Option<Manifest>> {
        let path = self.path.join(MANIFEST);
        match fs::read(&path) {
            Ok(text) => Ok(Some(
                serde_json::from_slice(&text).with_context(|| format!("{} is not an export's", path.display()))?,
            )),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    /// Removes what an interrupted export left: files that the manifest does not name yet. Their events come again.
    ///
    /// # Errors
    /// A file that the manifest names is gone or cut, or one cannot be removed.
    pub(super) fn clear(&self, manifest: &Manifest) -> anyhow::Result<()> {
        for part in &manifest.parts {
            let path = self.path.join(&part.file);
            let size = fs::metadata(&path).with_context(|| format!("{} is missing", path.display()))?.len();
            if size != part.bytes {
                bail!("{} has {size} bytes, and {} when it was written", path.display(), part.bytes);
            }
        }
        for entry in fs::read_dir(&self.path)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            let is_named = manifest.parts.iter().any(|part| part.file == name);
            if (is_part(&name) || name == UNFINISHED) && !is_named {
                fs::remove_file(self.path.join(&name))?;
            }
        }
        Ok(())
    }

    pub(super) fn begin(&self, format: Format) -> anyhow::Result<PartWriter> {
        PartWriter::create(&self.path.join(UNFINISHED), format)
    }

    /// Gives the finished file its name.
    pub(super) fn publish(&self, part: &Part) -> anyhow::Result<()> {
        fs::rename(self.path.join(UNFINISHED), self.path.join(&part.file))?;
        Ok(self.handle.sync_all()?)
    }

    pub(super) fn write(&self, manifest: &Manifest) -> anyhow::Result<()> {
        let unfinished = self.path.join(UNFINISHED);
        let mut file = File::create(&unfinished)?;
        file.write_all(serde_json::to_string_pretty(manifest)?.as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        fs::rename(unfinished, self.path.join(MANIFEST))?;
        Ok(self.handle.sync_all()?)
    }
}

/// Whether a file has the name of a part.
fn is_part(name: &str) -> bool {
    let numbers = name.strip_prefix("events-").and_then(|rest| rest.split_once('.')).map(|(numbers, _)| numbers);
    let is_number = |text: &str| text.len() >= 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    numbers.and_then(|numbers| numbers.split_once('-')).is_some_and(|(first, last)| is_number(first) && is_number(last))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::export::part::file_name;

    #[test]
    fn only_files_of_exports_are_ever_removed() {
        assert!(
            is_part(&file_name(1, 100, Format::Parquet)) && is_part(&file_name(1_000_000_000_001, 2, Format::Jsonl))
        );
        for other in ["events.parquet", "events-1-2.jsonl", "my-events-000000000001-000000000002.jsonl", "events-a-b.x"]
        {
            assert!(!is_part(other), "{other}");
        }
    }
}
