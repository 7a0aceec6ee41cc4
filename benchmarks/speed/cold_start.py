"""What a process costs that loads a model file and scores, from its start to its end, beside the imports of other libraries.

    python benchmarks/speed/cold_start.py --out benchmarks/speed/cold_start.jsonl

Each row is one JSON line. The first rows have the processor time, the seconds and the peak memory of whole processes, as the
median over rounds in which all take turns: `skasd score --model` of one recording of ten seconds, and the imports of
scikit-learn, torch and, where they are installed, PyOD and anomalib; the ratio is that to `skasd score`. The last row is the
rate of `skasd score` for many recordings, beside that of a bare log-mel of the same files in as many threads; the ratio of
their processor times depends less than that of their rates on what else runs on the machine.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
from measuring import write

import skasd
from skasd.clips import as_clips
from skasd.detectors import TWFRDetector
from skasd.features import LogMelTransformer
from skasd.features._frontend import frontend_of, twfr_frontend

PEERS = {
    "import sklearn.mixture": "sklearn",
    "import torch": "torch",
    "from pyod.models.knn import KNN": "pyod",
    "from anomalib.models import Patchcore": "anomalib",
}
SAMPLE_RATE, N_SECONDS, N_DIFFERENT = 16000, 10, 50


# a process counts the memory of the one that starts it, so a small one does
WATCH = """
import json, os, subprocess, sys, time
start = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
seconds = time.perf_counter() - start
print(json.dumps([status, usage.ru_utime + usage.ru_stime, seconds, usage.ru_maxrss / 1024]))
"""


def cost(command):
    """Processor seconds, seconds and peak MiB of a process."""
    done = subprocess.run([sys.executable, "-c", WATCH, *command], check=True, capture_output=True, text=True)
    status, *figures = json.loads(done.stdout)
    if status:
        raise SystemExit(f"{command} failed.")
    return figures


def starts(model, wav, rounds):
    """Rows of whole processes."""
    commands = {"skasd score --model": [sys.executable, "-m", "skasd", "score", "--model", str(model), str(wav)]}
    for code, package in PEERS.items():
        if importlib.util.find_spec(package):
            commands[code] = [sys.executable, "-c", code]
    for command in commands.values():
        cost(command)  # from now on compiled, and in the cache of the disk
    runs = {name: np.array([cost(command) for command in commands.values()]) for name in range(rounds)}
    medians = dict(zip(commands, np.median(list(runs.values()), axis=0), strict=True))
    ours = medians["skasd score --model"][0]
    for name, (processor, seconds, memory) in medians.items():
        figures = {"processor_seconds": processor, "seconds": seconds, "peak_mib": memory}
        yield {"what": "cold start", "command": name, **figures, "ratio": processor / ours, "rounds": rounds}


def many(model, files, folder):
    """Row of the rate of many recordings, from the start of the process to its end."""
    names = sorted(map(str, folder.iterdir()))
    frontend, n_jobs = frontend_of(None, twfr_frontend()), len(os.sched_getaffinity(0))
    start, start_processor = time.perf_counter(), time.process_time()
    for _ in frontend.map(as_clips(names), np.mean, n_jobs=n_jobs, verbose=0):
        pass
    bare, bare_processor = files / (time.perf_counter() - start), time.process_time() - start_processor
    command = [sys.executable, "-m", "skasd", "score", "--model", str(model), "--jobs", str(n_jobs), str(folder)]
    processor, seconds, memory = cost(command)
    rates = {"ours_clips_per_second": files / seconds, "log_mel_clips_per_second": bare}
    rates |= {"processor_seconds": processor, "processor_ratio": bare_processor / processor}
    yield {"what": "many recordings", "n_files": files, **rates, "ratio": files / seconds / bare, "peak_mib": memory}


def rows(rounds, files):
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as name:
        folder, model = Path(name) / "new", Path(name) / "model.skasd"
        folder.mkdir()
        clips = 0.1 * rng.standard_normal((N_DIFFERENT, N_SECONDS * SAMPLE_RATE), dtype=np.float32)
        skasd.save(TWFRDetector(frontend=LogMelTransformer(norm=None, mel_scale="htk")).fit(clips), model)
        for number, clip in enumerate(clips):
            soundfile.write(folder / f"{number}.wav", clip, SAMPLE_RATE)
        yield from starts(model, folder / "0.wav", rounds)
        for number in range(N_DIFFERENT, files):
            os.link(folder / f"{number % N_DIFFERENT}.wav", folder / f"{number}.wav")
        yield from many(model, files, folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="file to append the JSON lines to")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--files", type=int, default=10_000)
    arguments = parser.parse_args()
    write(rows(arguments.rounds, arguments.files), arguments.out, "scikit-learn", "scipy", "pandas", "pyod", "anomalib")


if __name__ == "__main__":
    main()
