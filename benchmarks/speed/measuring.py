"""What the speed benchmarks share: sides in processes of their own, where they ran, and result rows."""

import datetime
import json
import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch


def peak_bytes():
    """Most memory that this process has held."""
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024


def in_process(script, *words, settings=None):
    """What a script measures in a process of its own, with these words after `--worker`."""
    command = [sys.executable, script, "--worker", *map(str, words)]
    done = subprocess.run(command, env={**os.environ, **(settings or {})}, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def installed(package):
    """Version of a package, None where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def environment(*packages):
    """Date, commit, versions, cores and device."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "commit": commit.stdout.strip(),
        "python": platform.python_version(),
        "versions": {package: installed(package) for package in ("skasd", "numpy", "torch", *packages)},
        "cores": len(os.sched_getaffinity(0)),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
    }


def write(rows, out, *packages):
    """Print each row as soon as it is measured, its numbers to four digits, and append it to a file if there is one."""
    shared = environment(*packages)
    for row in rows:
        rounded = {key: round(value, 4) if isinstance(value, float) else value for key, value in row.items()}
        line = json.dumps({**rounded, **shared})
        print(line, flush=True)
        if out:
            with out.open("a") as file:
                file.write(line + "\n")
