//! Where the private servers of a data directory answer, for the operator's commands beside a running `oblivious up`.
//!
//! The file holds passwords and is readable by its owner alone. One left behind by a process that was killed names
//! servers that do not answer, which the commands say.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use super::files;
use crate::config::Config;
use crate::secret::Secret;

const FILE: &str = "running.toml";

/// What is known of running private servers.
#[derive(Debug, Default)]
pub(crate) struct Services {
    pub(crate) database_url: Option<Secret>,
    pub(crate) nats_url: Option<Secret>,
}

#[derive(Serialize, Deserialize)]
struct Announced {
    database_url: String,
    nats_url: String,
}

/// The file, removed when its servers end in an orderly way.
#[derive(Debug)]
pub(super) struct Announcement(PathBuf);

impl Announcement {
    pub(super) fn write(data_dir: &Path, database_url: &Secret, nats_url: &Secret) -> anyhow::Result<Self> {
        let path = data_dir.join(FILE);
        let announced =
            Announced { database_url: database_url.expose().to_owned(), nats_url: nats_url.expose().to_owned() };
        files::private_file(&path, None)
            .and_then(|mut file| file.write_all(toml::to_string(&announced).unwrap_or_default().as_bytes()))
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Announcement {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// The private servers that run on the configured data directory; nothing if none do.
///
/// # Errors
/// The file is there and cannot be read.
pub(crate) fn running_services(config: &Config) -> anyhow::Result<Services> {
    let path = config.data_dir.join(FILE);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Services::default()),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    // The parser's message would repeat the line.
    let announced: Announced =
        toml::from_str(&text).ok().with_context(|| format!("{} is damaged; start again", path.display()))?;
    Ok(Services {
        database_url: Some(Secret::new(announced.database_url)),
        nats_url: Some(Secret::new(announced.nats_url)),
    })
}
