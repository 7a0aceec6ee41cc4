"""Scoring many files: workers of Dask beside one process, and a worker that is killed half-way; and a million paths.

    python benchmarks/speed/scheduler.py --out benchmarks/speed/scheduler.jsonl

The files are noise of one second at 16 kHz in 16 bits; the model is TWFR. A row has the seconds of the whole command, start
included, files per second, processor seconds of all processes, and the most memory of the command. The scheduler and two
workers of one thread each run on this machine, and are there before the time begins. Tables that differ in a byte from that
of one process end the benchmark.

With --real, the scores of examples/score_on_spark.py are compared with those of skasd: the row has their largest difference
in millionths of the standard deviation. SKASD_SPARK_PYTHON is the Python of an environment with pyspark, onnxruntime and
soundfile, and without skasd.
"""

import argparse
import hashlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import soundfile
from distributed import Client
from measuring import write

import skasd
from skasd.cli._kept_rows import KeptRows, stamp_of
from skasd.cli._score_table import Row
from skasd.detectors import TWFRDetector
from skasd.export import to_onnx

RATE = 16_000
PER_FOLDER = 1000
N_LEFT = 2000
SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "score_on_spark.py"


def noise(number, seconds=1):
    """Noise with a level and a colour of its own."""
    generator = np.random.default_rng(number)
    samples = generator.standard_normal(int(seconds * RATE), dtype=np.float32)
    samples[1:] += np.float32(generator.uniform(0, 0.9)) * samples[:-1]
    return np.float32(generator.uniform(0.01, 0.05)) * samples


def write_files(folder, n_files):
    for number in range(n_files):
        file = folder / f"{number // PER_FOLDER:03d}" / f"{number:06d}.wav"
        file.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(file, noise(number), RATE, subtype="PCM_16")


def command(*arguments, helpers=()):
    """Seconds of a command, processor seconds of it and of other processes meanwhile, and the most memory that it held."""
    before = sum(map(processor_seconds, helpers))
    start, peak = time.perf_counter(), 0
    process = psutil.Popen([sys.executable, "-m", "skasd", *map(str, arguments)], stdout=subprocess.DEVNULL)
    while process.status() != psutil.STATUS_ZOMBIE:
        spent = processor_seconds(process)
        with suppress(OSError, IndexError):  # at its end
            peak = int(Path(f"/proc/{process.pid}/status").read_text().split("VmHWM:")[1].split()[0])
        time.sleep(0.02)
    seconds = time.perf_counter() - start
    assert process.wait() == 0
    spent += sum(map(processor_seconds, helpers)) - before
    return {"seconds": seconds, "processor_seconds": spent, "megabytes": peak * 1024 / 1e6}


def processor_seconds(process):
    return sum(process.cpu_times()[:2])


@contextmanager
def cluster(folder):
    """Address of a scheduler with two workers, and the processes of the workers."""
    started = []

    def dask(*words):
        started.append(
            psutil.Popen([sys.executable, "-m", "dask", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        )
        return started[-1]

    file = folder / "scheduler.json"
    dask("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(file))
    while not file.exists():
        time.sleep(0.1)
    options = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--local-directory", str(folder))
    for _ in range(2):
        dask("worker", "--scheduler-file", str(file), *options)
    try:
        with Client(scheduler_file=str(file), set_as_default=False) as client:
            client.wait_for_workers(2)
            yield client.scheduler.address, started
    finally:
        for process in started[::-1]:
            process.terminate()
            process.wait()
        file.unlink(missing_ok=True)


def kill_half_way(worker, csv, n_files):
    part = csv.with_name(csv.name + ".part")
    while not part.exists() or part.read_bytes().count(b"\n") < n_files / 2:
        time.sleep(0.05)
    worker.kill()
    assert worker.wait() == -signal.SIGKILL


def of_files(folder, n_files):
    """Rows of one process and of workers."""
    write_files(folder / "files", n_files)
    score = ("score", folder / "files", "--model", folder / "model.skasd", "--quiet", "--csv")
    command(*score, folder / "warm.csv")
    tables, rows = {}, {}
    for task, jobs in (("one process, one thread", 1), ("one process, two threads", 2)):
        rows[task] = command(*score, folder / "one.csv", "--jobs", jobs)
        tables[task] = (folder / "one.csv").read_bytes()
    for task in ("two workers", "two workers, one killed half-way"):
        csv = folder / "workers.csv"
        with cluster(folder) as (address, processes):
            if "killed" in task:
                killer = threading.Thread(target=kill_half_way, args=(processes.pop(1), csv, n_files))
                killer.start()
            rows[task] = command(*score, csv, "--scheduler", address, helpers=processes)
            if "killed" in task:
                killer.join()
                rows[task].pop("processor_seconds")  # those of the worker that was killed are lost
        tables[task] = csv.read_bytes()
    assert len(set(tables.values())) == 1, "the tables differ"
    assert len(pd.read_csv(csv)["path"].unique()) == n_files
    for task, row in rows.items():
        ratio = row["seconds"] / rows["one process, one thread"]["seconds"]
        yield {"task": task, "n_files": n_files, **row, "files_per_second": n_files / row["seconds"], "ratio": ratio}


def of_many_paths(folder, n_files):
    """Time and memory of a command that goes on where an earlier one was stopped: all but N_LEFT files have a row."""
    (folder / "short").mkdir()
    csv, given = folder / "many.csv", {}
    for number in range(n_files):
        first = folder / "short" / f"{number // 10_000:03d}.wav"
        file = folder / "many" / f"{number // 10_000:03d}" / f"{number:07d}.wav"
        file.parent.mkdir(parents=True, exist_ok=True)
        if not first.exists():
            soundfile.write(first, noise(number, 0.1), RATE, subtype="PCM_16")
        os.link(first, file)
        given[str(file)] = number
    source = {
        "skasd": skasd.__version__,
        "model_sha256": hashlib.sha256((folder / "model.skasd").read_bytes()).hexdigest(),
    }
    kept = KeptRows(csv.with_name("many.csv.part"), source)
    with kept.opened():
        kept.add(
            (Row(file, "", number / n_files, 0.5, "normal", "", 0.2, False), stamp_of(file), False)
            for file, number in given.items()
            if number >= N_LEFT
        )
    with cluster(folder) as (address, processes):
        score = ("score", folder / "many", "--model", folder / "model.skasd", "--quiet", "--csv", csv)
        row = command(*score, "--scheduler", address, helpers=processes)
    assert len(pd.read_csv(csv)["path"].unique()) == n_files
    yield {"task": f"all but {N_LEFT} files have a row, two workers", "n_files": n_files, **row}


def on_spark(folder, real):
    """Scores of the script for Spark beside those of skasd, for real clips of a valve."""
    python = os.environ["SKASD_SPARK_PYTHON"]
    clips = pd.read_csv(real / "clips.csv").query("dataset == 'valve2023'")
    clips["path"] = [str(real / path) for path in clips["path"]]
    detector = TWFRDetector().fit(clips.loc[clips["split"] == "train", "path"].tolist())
    paths = clips.loc[clips["split"] == "test", "path"].tolist()
    to_onnx(detector, folder / "model.onnx")
    (folder / "paths.txt").write_text("\n".join(paths) + "\n")
    start = time.perf_counter()
    subprocess.run(
        [python, SCRIPT, folder / "model.onnx", folder / "paths.txt", folder / "scores"],
        env={**os.environ, "PYSPARK_PYTHON": python, "SPARK_LOCAL_IP": "127.0.0.1", "PYTHONPATH": ""},
        check=True,
        capture_output=True,
    )
    seconds = time.perf_counter() - start
    found = pd.concat(pd.read_csv(file) for file in (folder / "scores").glob("*.csv")).set_index("path").loc[paths]
    expected = -detector.score_samples(paths)
    row = {"task": "Spark, ONNX file", "data": "valve2023", "n_files": len(paths), "seconds": seconds}
    difference = np.abs(found["anomaly_score"] - expected).max() / expected.std()
    n_differ = int((found["decision"].eq("anomaly") != (detector.predict(paths) == -1)).sum())
    yield row | {"difference_in_millionths": 1e6 * float(difference), "n_decisions_differ": n_differ}


def rows(folder, arguments):
    detector = TWFRDetector().fit(np.stack([noise(1_000_000 + number) for number in range(60)]))
    skasd.save(detector, folder / "model.skasd")
    if arguments.files:
        yield from of_files(folder, arguments.files)
    if arguments.real:
        yield from on_spark(folder, arguments.real)
    if arguments.paths:
        yield from of_many_paths(folder, arguments.paths)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--files", type=int, default=20_000, help="files to score; 0 leaves this part out")
    parser.add_argument(
        "--paths", type=int, default=1_000_000, help="files most of which have a row; 0 leaves them out"
    )
    parser.add_argument("--real", type=Path, help="folder with clips.csv and real recordings, for Spark")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write(rows(Path(folder), arguments), arguments.out, "distributed", "soundfile", "onnxruntime")
