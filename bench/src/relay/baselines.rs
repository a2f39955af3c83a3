//! The others: where they come from and how they are set up.
//!
//! Promise: each is a released version, named in the results, fetched once into `.kit-bench/` (hashes and versions are in
//! bench/relay/) and set up as its documentation has it for speed: kept connections, no access log, one worker, because
//! everybody has one processor. What cannot be had is reported with the reason.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::process::Command;

use super::child::{Core, Running, command};
use super::contestant::{Contestant, KEY, Processes, gateway};
use super::job::Target;

/// What the upstream is asked with; it does not look.
const UPSTREAM_KEY: &str = "sk-upstream";
/// LiteLLM takes a quarter of a minute.
const STARTS_WITHIN: Duration = Duration::from_secs(120);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The folder of one of them, emptied where `locks` are not what it was made from. Call `stamp` once it is complete.
fn cache(name: &str, locks: &[&str]) -> anyhow::Result<Cache> {
    let mut mark = Sha256::new();
    for lock in locks {
        mark.update(fs::read(root().join("bench/relay").join(lock))?);
    }
    let (folder, mark) = (root().join(".kit-bench").join(name), hex::encode(mark.finalize()));
    let stamp = folder.join(".stamp");
    let complete = fs::read_to_string(&stamp).is_ok_and(|stamped| stamped == mark);
    if !complete {
        drop(fs::remove_dir_all(&folder));
        fs::create_dir_all(&folder)?;
    }
    Ok(Cache { folder: folder.canonicalize()?, stamp, mark, complete })
}

struct Cache {
    folder: PathBuf,
    stamp: PathBuf,
    mark: String,
    complete: bool,
}

impl Cache {
    fn complete(&self) -> anyhow::Result<()> {
        Ok(fs::write(&self.stamp, &self.mark)?)
    }
}

/// Runs a command to its end.
async fn run(command: &mut Command) -> anyhow::Result<String> {
    let output = command.output().await.with_context(|| format!("cannot run {command:?}"))?;
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{command:?} failed: {}", said.trim());
    Ok(said)
}

fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?)
}

/// nginx as a reverse proxy: the machine's own, or Debian's package unpacked.
///
/// # Errors
/// It cannot be had, or does not start.
pub(crate) async fn nginx(upstream: SocketAddr, folder: &Path) -> anyhow::Result<Contestant> {
    let program = nginx_program().await?;
    let version = run(Command::new(&program).arg("-v")).await?;
    let version = version.trim().rsplit('/').next().unwrap_or_default().to_owned();
    let (address, folder) = (free_address()?, folder.join("nginx"));
    fs::create_dir_all(folder.join("logs"))?;
    let configuration = folder.join("nginx.conf");
    fs::write(&configuration, nginx_configuration(address, upstream, &folder))?;
    let mut nginx = command(&program, Core::Contestant);
    nginx.arg("-c").arg(&configuration).arg("-p").arg(&folder).arg("-e").arg(folder.join("error.log"));
    let running = Running::start(nginx, &folder, "nginx")?;
    let target = Target { address, model: "m".to_owned(), keys: vec![KEY.to_owned()], headers: vec![] };
    Contestant { version, ..Contestant::new("nginx, proxy only", target, gateway(&[running.pid])) }.ready(running).await
}

async fn nginx_program() -> anyhow::Result<PathBuf> {
    for known in ["/usr/sbin/nginx", "/usr/local/sbin/nginx"] {
        if Path::new(known).is_file() {
            return Ok(known.into());
        }
    }
    let cache = cache("nginx", &[])?;
    let program = cache.folder.join("root/usr/sbin/nginx");
    if cache.complete && program.is_file() {
        return Ok(program);
    }
    run(Command::new("apt-get").args(["download", "nginx"]).current_dir(&cache.folder)).await?;
    let package = fs::read_dir(&cache.folder)?.flatten().map(|entry| entry.path());
    let package = package.into_iter().find(|path| path.extension().is_some_and(|extension| extension == "deb"));
    let package = package.context("apt-get brought no package")?;
    run(Command::new("dpkg").arg("-x").arg(package).arg(cache.folder.join("root"))).await?;
    ensure!(program.is_file(), "Debian's package has no /usr/sbin/nginx");
    cache.complete()?;
    Ok(program)
}

fn nginx_configuration(address: SocketAddr, upstream: SocketAddr, folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "worker_processes 1;\ndaemon off;\npid {folder}/nginx.pid;\nerror_log {folder}/error.log warn;\n\
         worker_rlimit_nofile 16384;\nevents {{ worker_connections 8192; }}\n\
         http {{\n  access_log off;\n  tcp_nodelay on;\n  keepalive_requests 1000000000;\n\
         client_body_temp_path {folder}/body;\n  proxy_temp_path {folder}/proxy;\n  fastcgi_temp_path {folder}/fastcgi;\n\
         uwsgi_temp_path {folder}/uwsgi;\n  scgi_temp_path {folder}/scgi;\n\
         upstream model {{ server {upstream}; keepalive 512; keepalive_requests 1000000000; }}\n\
         server {{\n    listen {address} backlog=4096;\n    location / {{\n      proxy_pass http://model;\n\
         proxy_http_version 1.1;\n      proxy_set_header Connection \"\";\n      proxy_buffering off;\n    }}\n  }}\n}}\n"
    )
}

/// LiteLLM's proxy with its master key, in a virtual environment of its own.
///
/// # Errors
/// It cannot be had, or does not start.
pub(crate) async fn litellm(upstream: SocketAddr, folder: &Path) -> anyhow::Result<Contestant> {
    const LOCK: &str = "requirements.lock";
    let cache = cache("litellm", &[LOCK])?;
    let bin = cache.folder.join("bin");
    if !cache.complete {
        run(Command::new("python3").args(["-m", "venv"]).arg(&cache.folder)).await?;
        let mut install = Command::new(bin.join("python"));
        install.args(["-m", "pip", "install", "--quiet", "--require-hashes", "--only-binary", ":all:", "--no-deps"]);
        install.args(["--no-input", "--disable-pip-version-check", "-r"]);
        run(install.arg(root().join("bench/relay").join(LOCK)).env("PIP_USER", "0")).await?;
        cache.complete()?;
    }
    let (address, configuration) = (free_address()?, folder.join("litellm.json"));
    let parameters = json!({"model": "openai/m", "api_base": format!("http://{upstream}/v1"), "api_key": UPSTREAM_KEY});
    // JSON is YAML.
    let settings = json!({
        "model_list": [{"model_name": "m", "litellm_params": parameters}],
        "general_settings": {"master_key": KEY},
        "litellm_settings": {"telemetry": false},
    });
    fs::write(&configuration, settings.to_string())?;
    let mut litellm = command(bin.join("litellm"), Core::Contestant);
    litellm.arg("--config").arg(&configuration).args(["--host", "127.0.0.1", "--num_workers", "1", "--port"]);
    litellm.arg(address.port().to_string()).current_dir(folder).envs([
        ("LITELLM_LOG", "ERROR"),
        // Its list of prices as it came, instead of a look into the network.
        ("LITELLM_LOCAL_MODEL_COST_MAP", "True"),
    ]);
    let running = Running::start(litellm, folder, "litellm")?;
    let target = Target { address, model: "m".to_owned(), keys: vec![KEY.to_owned()], headers: vec![] };
    let version = pinned(LOCK, "litellm==")?;
    let litellm = Contestant::new("LiteLLM", target, gateway(&[running.pid]));
    Contestant { version, slow: true, ..litellm }.ready(running).await
}

/// Portkey's gateway, which is told its upstream by each request.
///
/// # Errors
/// It cannot be had, or does not start.
pub(crate) async fn portkey(upstream: SocketAddr, folder: &Path) -> anyhow::Result<Contestant> {
    const LOCKS: [&str; 2] = ["package.json", "package-lock.json"];
    let cache = cache("portkey", &LOCKS)?;
    if !cache.complete {
        for lock in LOCKS {
            fs::copy(root().join("bench/relay").join(lock), cache.folder.join(lock))?;
        }
        let mut install = Command::new("npm");
        install.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(&cache.folder);
        run(&mut install).await?;
        cache.complete()?;
    }
    let address = free_address()?;
    let script = cache.folder.join("node_modules/@portkey-ai/gateway/build/start-server.js");
    let mut portkey = command("node", Core::Contestant);
    portkey.arg(script).args(["--headless", &format!("--port={}", address.port())]).env("NODE_ENV", "production");
    let running = Running::start(portkey, folder, "portkey")?;
    let header = |name: &str, value: String| (name.to_owned(), value);
    let headers = vec![
        header("x-portkey-provider", "openai".to_owned()),
        header("x-portkey-custom-host", format!("http://{upstream}/v1")),
    ];
    let target = Target { address, model: "m".to_owned(), keys: vec![KEY.to_owned()], headers };
    let version = pinned(LOCKS[1], "\"@portkey-ai/gateway\": \"")?;
    let portkey = Contestant::new("Portkey", target, gateway(&[running.pid]));
    Contestant { version, slow: true, ..portkey }.ready(running).await
}

/// The version that follows `mark` in a lock file.
fn pinned(lock: &str, mark: &str) -> anyhow::Result<String> {
    let text = fs::read_to_string(root().join("bench/relay").join(lock))?;
    let Some((_, after)) = text.split_once(mark) else { bail!("{lock} does not name {mark}") };
    Ok(after.split(['"', ' ', '\n']).next().unwrap_or_default().to_owned())
}

impl Contestant {
    /// Waits until it answers.
    async fn ready(mut self, mut running: Running) -> anyhow::Result<Self> {
        self.wait(&mut running, STARTS_WITHIN).await?;
        self.processes = Processes::Program(running);
        Ok(self)
    }
}
