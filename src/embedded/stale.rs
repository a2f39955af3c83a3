//! What an earlier process left behind: its server may still run, be ending, be a zombie, or be long gone.

use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const POLL: Duration = Duration::from_millis(20);

/// Ends the server that wrote `pid_file`, if it still runs and names `marker` in its command line, and removes the file.
/// A recycled pid, a zombie or a process of somebody else is left alone.
///
/// # Errors
/// The server runs and does not end, not even killed; or the file cannot be removed.
pub(crate) async fn stop(pid_file: &Path, marker: &Path) -> anyhow::Result<()> {
    let text = match fs::read_to_string(pid_file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", pid_file.display())),
    };
    if let Some(pid) = text.lines().next().and_then(|line| line.trim().parse().ok()).map(Pid::from_raw) {
        let steps = [(Signal::SIGINT, 30), (Signal::SIGQUIT, 5), (Signal::SIGKILL, 5)];
        for (signal, seconds) in steps {
            if !runs(pid, marker) {
                break;
            }
            kill(pid, signal).with_context(|| format!("cannot stop the earlier server (process {pid})"))?;
            let give_up = Instant::now() + Duration::from_secs(seconds);
            while runs(pid, marker) && Instant::now() < give_up {
                tokio::time::sleep(POLL).await;
            }
        }
        if runs(pid, marker) {
            bail!("the earlier server (process {pid}) does not end; stop it by hand");
        }
    }
    // A server that ended in order has removed its file by now.
    match fs::remove_file(pid_file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", pid_file.display()))
        }
        _ => Ok(()),
    }
}

/// Whether the process lives (a zombie does not) and was started on `marker`.
#[cfg(target_os = "linux")]
fn runs(pid: Pid, marker: &Path) -> bool {
    use std::os::unix::ffi::OsStrExt as _;
    // A zombie has an empty command line.
    let Ok(command) = fs::read(format!("/proc/{pid}/cmdline")) else { return false };
    command.split(|byte| *byte == 0).any(|argument| argument == marker.as_os_str().as_bytes())
}

#[cfg(not(target_os = "linux"))]
fn runs(pid: Pid, marker: &Path) -> bool {
    let id = pid.to_string();
    let Ok(output) = std::process::Command::new("/bin/ps").args(["-o", "stat=,command=", "-p", &id]).output() else {
        return false;
    };
    let line = String::from_utf8_lossy(&output.stdout);
    !line.trim_start().starts_with('Z') && line.contains(&*marker.to_string_lossy())
}
