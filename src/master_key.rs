//! The one secret of an installation: configured, or generated at the first start and kept in the data directory.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use anyhow::{Context as _, bail};
use vault::MasterKey;

use crate::config::Config;

const FILE: &str = "secret.key";

/// The configured secret, else that of the data directory, else a new one.
///
/// # Errors
/// It is not 32 bytes in base64, others may read the file, or the file cannot be written.
pub(crate) fn load(config: &Config) -> anyhow::Result<MasterKey> {
    if let Some(secret) = &config.secret_key {
        return MasterKey::from_base64(secret.expose())
            .context("OBLIVIOUS_SECRET_KEY is not 32 bytes in base64 (make one with `openssl rand -base64 32`)");
    }
    let path = config.data_dir.join(FILE);
    match std::fs::read_to_string(&path) {
        Ok(text) => {
            let text = zeroize::Zeroizing::new(text);
            refuse_open_file(&path)?;
            MasterKey::from_base64(&text).with_context(|| {
                format!("{} is damaged: restore it from a backup, it cannot be made again", path.display())
            })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => generate(&config.data_dir, &path),
        Err(error) => Err(error).with_context(|| format!("cannot read the master secret {}", path.display())),
    }
}

/// The configured secret, else that of the data directory; for commands that only look, which make none.
///
/// # Errors
/// There is none, or it cannot be read.
pub(crate) fn existing(config: &Config) -> anyhow::Result<MasterKey> {
    let path = config.data_dir.join(FILE);
    if config.secret_key.is_none() && !path.exists() {
        bail!("OBLIVIOUS_SECRET_KEY is not set, and there is no {}", path.display());
    }
    load(config)
}

fn generate(data_dir: &Path, path: &Path) -> anyhow::Result<MasterKey> {
    std::fs::create_dir_all(data_dir)?;
    let key = MasterKey::generate()?;
    // Under another name first: a half-written secret would be a wrong one for ever.
    let unfinished = path.with_extension("unfinished");
    let _ = std::fs::remove_file(&unfinished);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
    file.write_all(key.to_base64().as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    // Linked, not renamed: when two processes start at once, the second must not replace the secret of the first.
    match std::fs::hard_link(&unfinished, path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            bail!("another process made {} at this moment; start again", path.display())
        }
        Err(error) => return Err(error).with_context(|| format!("cannot write {}", path.display())),
    }
    std::fs::remove_file(&unfinished)?;
    File::open(data_dir)?.sync_all()?;
    Ok(key)
}

fn refuse_open_file(path: &Path) -> anyhow::Result<()> {
    let mode = std::fs::metadata(path)?.permissions().mode();
    if mode & 0o077 != 0 {
        bail!("{} can be read by others (mode {:o}): run `chmod 600` on it", path.display(), mode & 0o777);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generated_secret_is_private_and_found_again() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join(FILE);
        let first = generate(directory.path(), &path).expect("made");
        refuse_open_file(&path).expect("only the owner can read it");
        let text = std::fs::read_to_string(&path).expect("it is there");
        assert_eq!(text.trim(), first.to_base64().as_str());
    }

    #[test]
    fn a_secret_that_others_can_read_is_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join(FILE);
        generate(directory.path(), &path).expect("made");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("opened");
        assert!(refuse_open_file(&path).is_err());
    }

    #[test]
    fn an_existing_secret_is_never_replaced() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join(FILE);
        let first = generate(directory.path(), &path).expect("made");
        assert!(generate(directory.path(), &path).is_err());
        assert_eq!(std::fs::read_to_string(&path).expect("it is there").trim(), first.to_base64().as_str());
    }
}
