#!/usr/bin/env python3
"""Runs the official SDKs of OpenAI, Anthropic and Google for Python and Node, LangChain and LiteLLM against a house.

Promise: exit code 0 means that every suite ran at least one test and that all of them passed. The house is the real
executable with an empty data directory and the scriptable mock provider as its upstream in four dialects; both are stopped and
deleted at the end, also after Ctrl-C. What the tests need is installed from the lock files, once. Needs Python 3.10+
(the SDKs do) with pip, Node.js 20.19+, and `cargo build --workspace --bins`.
"""

import argparse
import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PACKAGES = ROOT / ".kit-compat"
ADMIN = {"email": "operator@example.org", "password": "correct horse battery staple 7"}
CHANNEL_KEY = "sk-mock-channel-7f3a"
READY_SECONDS = 120
STOP_SECONDS = 30
SUITE_SECONDS = 600
# A single test that takes longer prints where it is.
TEST_SECONDS = 300
# They mostly wait.
WORKERS = 4
# A client that goes away is waited for this long; short, so that both sides of the limit can be tested.
DRAIN_SECONDS = 2
# Of a call: more than elsewhere, because pictures travel inside.
MAX_BODY_BYTES = 16 << 20
LOG_LINES = 80


def say(message):
    print(f"compat: {message}", flush=True)


def fail(message):
    sys.exit(f"compat: {message}")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=["python", "frameworks", "node"], help="one of the suites")
    parser.add_argument("--match", metavar="TEXT", help="only tests whose name contains this word")
    parser.add_argument("--serve", action="store_true",
                        help="run no tests; print the environment for them and wait for Ctrl-C")
    parser.add_argument("--bin", type=pathlib.Path, default=ROOT / "target/debug", metavar="FOLDER",
                        help="where oblivious and mock-provider are (target/debug)")
    parser.add_argument("--install", action="store_true", help="only install what the tests need")
    return parser.parse_args()


# --- what the tests need ---


def stamped(stamp, *files):
    """Whether `stamp` holds the fingerprint of the files, and that fingerprint."""
    mark = hashlib.sha256(sys.version.encode() + b"".join(file.read_bytes() for file in files)).hexdigest()
    return stamp.is_file() and stamp.read_text() == mark, mark


def install_python(name):
    if sys.version_info < (3, 10):
        fail(f"the SDKs need Python 3.10 or newer, this is {sys.version.split()[0]}; run me with a newer one")
    lock, target = HERE / name / "requirements.lock", PACKAGES / name
    stamp = PACKAGES / f"{name}.stamp"
    current, mark = stamped(stamp, lock)
    if current and target.is_dir():
        return
    say(f"installing what the {name} suite needs")
    shutil.rmtree(target, ignore_errors=True)
    PACKAGES.mkdir(exist_ok=True)
    # PIP_USER in somebody's configuration would contradict --target; root is told nothing about virtual environments.
    environment = {**os.environ, "PIP_USER": "0", "PIP_ROOT_USER_ACTION": "ignore"}
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--require-hashes", "--only-binary", ":all:",
                    "--no-deps", "--no-input", "--disable-pip-version-check", "--no-warn-script-location",
                    "--target", target, "-r", lock], env=environment, check=True)
    stamp.write_text(mark)


def install_node(name):
    folder = HERE / name
    stamp = folder / "node_modules/.stamp"
    current, mark = stamped(stamp, folder / "package-lock.json")
    if current:
        return
    say("installing the Node SDKs")
    subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder, check=True,
                   stdout=subprocess.DEVNULL, env={**os.environ, "npm_config_update_notifier": "false"})
    stamp.write_text(mark)


# --- the house ---


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def call(method, url, body=None, token=None, again_on=None):
    """One JSON request to the house; its decoded answer. An error is the end of the run; one status is tried again."""
    headers = {"content-type": "application/json", **({"authorization": f"Bearer {token}"} if token else {})}
    request = urllib.request.Request(url, json.dumps(body).encode() if body else None, headers, method=method)
    until = time.monotonic() + READY_SECONDS
    while True:
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            if error.code != again_on or time.monotonic() > until:
                fail(f"{method} {url} answered {error.code}: {error.read().decode(errors='replace')}")
        time.sleep(0.2)


def ready(base, process):
    until = time.monotonic() + READY_SECONDS
    while time.monotonic() < until:
        if process.poll() is not None:
            fail(f"the house ended with exit code {process.returncode} before it was ready")
        with contextlib.suppress(OSError):
            with urllib.request.urlopen(f"{base}/readyz", timeout=5):
                return
        time.sleep(0.1)
    fail(f"the house was not ready within {READY_SECONDS} s")


@contextlib.contextmanager
def running(command, **options):
    """A child that is asked to stop at the end, and made to when it does not."""
    process = subprocess.Popen(command, start_new_session=True, **options)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def environment_of_the_house(base, data, provider):
    foreign = ("OPENAI_", "OBLIVIOUS_", "DATABASE_URL", "NATS_URL")
    kept = {name: value for name, value in os.environ.items()
            if not name.startswith(foreign) or name == "OBLIVIOUS_KIT_DIR"}
    return {
        **kept,
        "OBLIVIOUS_HTTP_ADDR": base.removeprefix("http://"),
        "OBLIVIOUS_DATA_DIR": str(data),
        "OBLIVIOUS_ADMIN_EMAIL": ADMIN["email"],
        "OBLIVIOUS_ADMIN_PASSWORD": ADMIN["password"],
        # Credit is what a test grants, so that it can predict each balance.
        "OBLIVIOUS_SIGNUP_GRANT": "0",
        "OBLIVIOUS_DRAIN_SECONDS": str(DRAIN_SECONDS),
        "OBLIVIOUS_SIGN_INS_PER_MINUTE": "6000",
        "OPENAI_API_KEY": "sk-mock-environment",
        "OPENAI_BASE_URL": provider,
        "OPENAI_MODELS": "mock-1",
    }


@contextlib.contextmanager
def house(folder, binaries):
    """A house with the channels of channels.json; yields what the tests are told, and how its books are compared."""
    oblivious, mock = binaries / "oblivious", binaries / "mock-provider"
    for program in (oblivious, mock):
        if not program.is_file():
            fail(f"{program} is missing: cargo build --workspace --bins")
    base, log = f"http://127.0.0.1:{free_port()}", open(folder / "house.log", "wb")
    with running([mock, "--port", "0"], stdout=subprocess.PIPE, text=True) as upstream:
        provider = upstream.stdout.readline().strip()
        environment = environment_of_the_house(base, folder / "data", provider)
        with running([oblivious, "up"], cwd=folder, env=environment, stdout=log, stderr=log) as process:
            ready(base, process)
            # The administrator's account is made while the house already answers.
            token = call("POST", f"{base}/api/v1/auth/login", ADMIN, again_on=401)["access_token"]
            provider, prices = provider.removesuffix("/v1"), {}
            for channel in json.loads((HERE / "channels.json").read_text()):
                version = "/v1beta" if channel["provider"] == "gemini" else "/v1"
                upstream_at = {"base_url": provider + version, "keys": [CHANNEL_KEY]}
                call("POST", f"{base}/api/v1/admin/channels", {**channel, **upstream_at}, token)
                prices.update(channel["prices"])
            facts = {"house": base, "provider": provider, "admin": ADMIN, "prices": prices,
                     "channel_key_end": CHANNEL_KEY[-4:], "drain_seconds": DRAIN_SECONDS, "max_body_bytes": MAX_BODY_BYTES}
            yield facts, lambda: reconcile(oblivious, folder, environment)


def reconcile(oblivious, folder, environment):
    """After all those calls the books must agree with the events; what failed, as a list."""
    compared = subprocess.run([oblivious, "reconcile", "billing"], cwd=folder, env=environment, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=STOP_SECONDS)
    say(f"oblivious reconcile billing: {compared.stdout.strip()}")
    return [] if compared.returncode == 0 else ["reconcile billing"]


# --- the suites ---


def python_suite(match):
    command = [sys.executable, "-m", "pytest", "-q", "-n", str(WORKERS), "-p", "no:cacheprovider", "--durations=3",
               "-o", f"faulthandler_timeout={TEST_SECONDS}", "."]
    return [*command, *(["-k", match] if match else [])]


def node_suite(match):
    files = sorted(path.name for path in (HERE / "node").glob("*.test.mjs"))
    pattern = [f"--test-name-pattern={match}"] if match else []
    return ["node", "--test", "--test-reporter=spec", f"--test-timeout={TEST_SECONDS * 1000}", *pattern, *files]


# How each suite is installed and run.
SUITES = {"python": (install_python, python_suite), "frameworks": (install_python, python_suite),
          "node": (install_node, node_suite)}


def python_path(suite):
    return os.pathsep.join([str(PACKAGES / suite), str(HERE / "shared")])


def run_suites(facts, names, match, folder):
    """All suites at the same time; the names of those that failed. Their output is printed at the end."""
    environment = {**os.environ, "OBLIVIOUS_COMPAT": json.dumps(facts), "PYTHONDONTWRITEBYTECODE": "1", "NO_COLOR": "1",
                   # LiteLLM would fetch its prices, LangSmith would report.
                   "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LANGSMITH_TRACING": "false"}
    # The SDKs read these, and a test must not depend on the machine it runs on.
    read = ("OPENAI_", "ANTHROPIC_", "GOOGLE_", "GEMINI_")
    for name in [name for name in environment if name.startswith(read) or name.lower().endswith("_proxy")]:
        del environment[name]
    try:
        with contextlib.ExitStack() as stack:
            started = {}
            for name in names:
                output = open(folder / f"{name}.log", "wb")
                own = {**environment, "PYTHONPATH": python_path(name)}
                options = {"cwd": HERE / name, "env": own, "stdout": output, "stderr": subprocess.STDOUT}
                started[name] = stack.enter_context(running(SUITES[name][1](match), **options))
            until = time.monotonic() + SUITE_SECONDS
            return [name for name, process in started.items() if not passed(name, process, until)]
    finally:
        for name in names:
            say(f"--- {name} ---")
            print((folder / f"{name}.log").read_text(errors="replace"), flush=True)


def passed(name, process, until):
    try:
        return process.wait(max(0, until - time.monotonic())) == 0
    except subprocess.TimeoutExpired:
        say(f"the {name} suite did not end within {SUITE_SECONDS} s")
        return False


def wait_for_interrupt(facts):
    print(f"export OBLIVIOUS_COMPAT='{json.dumps(facts)}' PYTHONPATH='{python_path('python')}'", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        signal.pause()


def main():
    chosen = arguments()
    names = [chosen.only] if chosen.only else list(SUITES)
    for name in names:
        SUITES[name][0](name)
    if chosen.install:
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("compat: stopped"))
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="oblivious-compat-", ignore_cleanup_errors=True) as folder:
        folder = pathlib.Path(folder)
        # Started as root, the database runs as another user, who must be able to pass.
        folder.chmod(0o711)
        well = False
        try:
            with house(folder, chosen.bin.absolute()) as (facts, reconcile):
                if chosen.serve:
                    wait_for_interrupt(facts)
                    well = True
                    return
                failed = run_suites(facts, names, chosen.match, folder) + reconcile()
            well = not failed
        finally:
            log = folder / "house.log"
            if not well and log.is_file():
                last = log.read_text(errors="replace").splitlines()[-LOG_LINES:]
                say("\n".join(["the last lines of the house's log:", *last]))
    if failed:
        fail(f"failed: {', '.join(failed)}")
    say(f"everything passed in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
