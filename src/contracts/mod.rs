//! What others build on, as files: made from the types, committed in `docs/`, and compared by `tests/contracts.rs`.
//!
//! Promise: no file here is written by hand, so none can say what the code does not do. `make contracts` writes them
//! again; a change of them is a change of a contract, to be looked at in review.

mod asyncapi;
mod events;
mod events_page;
mod headers;
mod metrics_page;
mod stored;
mod words;

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use serde::Serialize;

use events::Published;

/// The AsyncAPI document of the events, as JSON.
///
/// # Errors
/// Something published is not documented.
pub(crate) fn asyncapi() -> anyhow::Result<String> {
    pretty(&asyncapi::document(&Published::collect()?)?)
}

/// The OpenAPI document of the HTTP API, as JSON.
///
/// # Errors
/// None that a released executable can have.
pub(crate) fn openapi() -> anyhow::Result<String> {
    pretty(&api::openapi())
}

/// Writes every file under `root`, as it is committed.
///
/// # Errors
/// Something is not documented, or a file cannot be written.
pub(crate) fn write(root: &Path) -> anyhow::Result<()> {
    let published = Published::collect()?;
    let files = [
        ("docs/asyncapi.json", pretty(&asyncapi::document(&published)?)?),
        ("docs/EVENTS.md", events_page::page(&published)?),
        ("docs/METRICS.md", metrics_page::page()?),
        ("docs/openapi.json", openapi()?),
    ];
    for (name, text) in files {
        let path = root.join(name);
        let folder = path.parent().context("a file is in a folder")?;
        fs::create_dir_all(folder).with_context(|| format!("{}", folder.display()))?;
        fs::write(&path, text).with_context(|| format!("{}", path.display()))?;
    }
    Ok(())
}

fn pretty(document: &impl Serialize) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(document).context("the document cannot be written")? + "\n")
}
