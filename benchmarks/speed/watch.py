"""A folder that fills up at 20 times real time, beside `skasd watch`: what is left behind, how late rows are, and memory.

    nice -n 19 python benchmarks/speed/watch.py --out benchmarks/speed/watch.jsonl

Recordings of 10 s, 16 kHz, come at 2 a second, with the times of a recorder that writes one every 10 s; windows of 10 s.
An hour of sound is learnt, then watched. The latency is from the last change of a file to the row of its recording; 2 s of
it are --settle. Memory is that of the process: a minute after the first recording, half way, and at the end.
"""

import argparse
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from datetime import datetime
from pathlib import Path

import numpy as np
import soundfile
from measuring import write

import skasd
from skasd.detectors import TWFRDetector

RATE, SECONDS, N_DIFFERENT = 16_000, 10, 50
LEARNING_HOURS, FALSE_EPISODES_PER_DAY = 1, 24
BEGIN = 1.79e9  # s since 1970, of the first recording


def sounds():
    """Recordings of noise with a level of its own each, as the content of WAV files."""
    generator = np.random.default_rng(0)
    return (
        0.05 * generator.uniform(0.9, 1.1, (N_DIFFERENT, 1)) * generator.standard_normal((N_DIFFERENT, RATE * SECONDS))
    )


def resident_bytes(process):
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) * 1024


def processor_seconds(process):
    fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def asked(database, query):
    try:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
            return connection.execute(query).fetchall()
    except sqlite3.OperationalError:  # not there yet
        return []


def wait_until_heard(database, number, most):
    end = time.monotonic() + most
    while asked(database, "SELECT count(*) FROM recording") != [(number,)] and time.monotonic() < end:
        time.sleep(0.1)


def fill(folder, contents, per_second, n_files, process):
    """Write the files in time; return when each was written, by name, and the memory at each minute."""
    start, memory, written = time.monotonic(), {}, {}
    for number in range(n_files):
        time.sleep(max(0.0, start + number / per_second - time.monotonic()))
        path = folder / f"{number:05d}.wav"
        path.write_bytes(contents[number % len(contents)])
        os.utime(path, (BEGIN + number * SECONDS,) * 2)
        written[str(path)] = time.time()
        minute = int(number / per_second // 60)
        if minute not in memory:
            memory[minute] = resident_bytes(process)
    return written, memory


def rows(root, minutes, per_second):
    waveforms = sounds()
    model, folder, database = root / "model.skasd", root / "in", root / "watch.sqlite"
    skasd.save(TWFRDetector().fit(waveforms.astype(np.float32)), model)
    folder.mkdir()
    contents = []
    for waveform in waveforms:
        soundfile.write(root / "one.wav", waveform, RATE)
        contents.append((root / "one.wav").read_bytes())
    command = [sys.executable, "-m", "skasd", "watch", folder, "--model", model, "--database", database]
    command += ["--learning-hours", LEARNING_HOURS, "--false-episodes-per-day", FALSE_EPISODES_PER_DAY]
    command += ["--set", "end_share=0.1", "--set", "longest_gap=0"]  # an hour has few windows
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL)
    try:
        (folder / "first.wav").write_bytes(contents[0])
        os.utime(folder / "first.wav", (BEGIN - SECONDS,) * 2)
        wait_until_heard(database, 1, most=60)
        n_files, used = round(60 * minutes * per_second), processor_seconds(process)
        written, memory = fill(folder, contents, per_second, n_files, process)
        wait_until_heard(database, n_files + 1, most=60)
        used = processor_seconds(process) - used
        at_end = resident_bytes(process)
    finally:
        process.terminate()
        process.wait(timeout=60)
    found = dict(asked(database, "SELECT path, heard_at FROM recording WHERE path NOT LIKE '%first.wav'"))
    late = [datetime.fromisoformat(heard_at).timestamp() - written[path] for path, heard_at in found.items()]
    yield {
        "task": f"{SECONDS * per_second:g} times real time, {minutes:g} min",
        "n_files": n_files,
        "left_behind": n_files - len(found),
        "failures": asked(database, "SELECT count(*) FROM failure")[0][0],
        "learnt": asked(database, "SELECT count(*) FROM learning")[0][0],
        "episodes": asked(database, "SELECT count(*) FROM episode")[0][0],
        "latency_median": float(np.median(late)),
        "latency_95": float(np.quantile(late, 0.95)),
        "latency_largest": max(late),
        "processor_share": used / (60 * minutes),
        "megabytes_start": memory.get(1, memory[0]) / 1e6,
        "megabytes_middle": memory[max(memory) // 2] / 1e6,
        "megabytes_end": at_end / 1e6,
        "database_megabytes": database.stat().st_size / 1e6,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--per-second", type=float, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        write(rows(Path(name), arguments.minutes, arguments.per_second), arguments.out, "watchfiles", "soundfile")
