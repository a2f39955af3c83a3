//! Where the embedded kit is: `deploy/kit/fetch.py` made it and wrote `kit.json`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde::Deserialize;

/// The servers and the model of the kit, all as absolute paths.
#[derive(Clone, Debug)]
pub(crate) struct Kit {
    pub(crate) directory: PathBuf,
    /// Changes whenever another kit was fetched.
    pub(crate) fingerprint: String,
    /// The directory that holds `postgres` and `initdb`.
    pub(crate) postgres_bin: PathBuf,
    pub(crate) nats_server: PathBuf,
    /// The model as it was fetched (GGUF), before `prepare`.
    pub(crate) chat_model: PathBuf,
}

#[derive(Deserialize)]
struct Manifest {
    fingerprint: String,
    postgres_bin: PathBuf,
    nats_server: PathBuf,
    chat_model: PathBuf,
}

impl Kit {
    /// Looks in `OBLIVIOUS_KIT_DIR`, else beside the executable's build tree, else in the current directory.
    ///
    /// # Errors
    /// There is none, or its manifest names something that is not there; the message says how to fetch it.
    pub(crate) fn find() -> anyhow::Result<Self> {
        if let Some(directory) = std::env::var_os("OBLIVIOUS_KIT_DIR") {
            return Self::open(Path::new(&directory));
        }
        let executable = std::env::current_exe().unwrap_or_default();
        // `target/release/oblivious` → the clone; `bin/oblivious` of an unpacked release → its own folder.
        let near = executable.ancestors().skip(2).take(2).map(|folder| folder.join(".kit"));
        let candidates: Vec<PathBuf> = near.chain(std::env::current_dir().map(|here| here.join(".kit"))).collect();
        match candidates.iter().find(|directory| directory.join("kit.json").exists()) {
            Some(directory) => Self::open(directory),
            None => bail!(
                "the embedded kit (Postgres, nats-server, chat model) was not found in {}. Fetch it with \
                 `python3 deploy/kit/fetch.py`, name it with OBLIVIOUS_KIT_DIR, or set DATABASE_URL and NATS_URL",
                candidates.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" or ")
            ),
        }
    }

    fn open(directory: &Path) -> anyhow::Result<Self> {
        let directory = std::path::absolute(directory)?;
        let path = directory.join("kit.json");
        let text = std::fs::read(&path).with_context(|| {
            format!("there is no kit: cannot read {}; run `python3 deploy/kit/fetch.py`", path.display())
        })?;
        let manifest: Manifest = serde_json::from_slice(&text)
            .with_context(|| format!("{} is damaged; delete it and fetch the kit again", path.display()))?;
        // `join` keeps a path that is absolute already: a server on PATH that the kit fell back to.
        let kit = Self {
            fingerprint: manifest.fingerprint,
            postgres_bin: directory.join(manifest.postgres_bin),
            nats_server: directory.join(manifest.nats_server),
            chat_model: directory.join(manifest.chat_model),
            directory,
        };
        for part in [&kit.postgres_bin.join("postgres"), &kit.nats_server, &kit.chat_model] {
            if !part.exists() {
                bail!("the kit names {}, which is not there; run `python3 deploy/kit/fetch.py`", part.display());
            }
        }
        Ok(kit)
    }
}
