//! Directories, files and logs of a supervised server, readable by its user alone.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _, chown};
use std::path::Path;

use super::child::RunAs;

/// Creates a directory that only its user can enter.
pub(crate) fn private_directory(path: &Path, owner: Option<RunAs>) -> io::Result<()> {
    fs::create_dir_all(path)?;
    give_to(path, owner)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))
}

/// Creates or empties a file that only its user can read.
pub(crate) fn private_file(path: &Path, owner: Option<RunAs>) -> io::Result<File> {
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    give_to(path, owner)?;
    Ok(file)
}

fn give_to(path: &Path, owner: Option<RunAs>) -> io::Result<()> {
    owner.map_or(Ok(()), |RunAs { uid, gid }| chown(path, Some(uid), Some(gid)))
}

/// The last lines of a log, for an error message.
pub(crate) fn tail(path: &Path) -> String {
    const LINES: usize = 15;
    let text = fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}
