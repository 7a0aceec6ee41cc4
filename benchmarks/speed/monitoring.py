"""Long recordings: score_windows beside a script that reads the whole recording and scores its windows in one call.

    python benchmarks/speed/monitoring.py --out benchmarks/speed/monitoring.jsonl

The recording is noise whose colour wanders, in 16 bits at 16 kHz, written block by block; windows of 10 s overlap by half.
Each side runs in a process of its own on all cores. A row has the length of the recording, seconds and the most memory of
both sides, and their ratios (ours / peer). The peer of the longest recording is left out where it would not fit.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
from measuring import in_process, peak_bytes, write

import skasd
from skasd.detectors import StatisticsDetector, TWFRDetector
from skasd.monitoring import score_windows

RATE, WINDOW = 16_000, 10
DETECTORS = {"TWFRDetector": TWFRDetector(), "StatisticsDetector": StatisticsDetector()}
MOST_HOURS_OF_PEER = 1


def block(number):
    """A minute of noise, float32, with a level and a colour of its own."""
    generator = np.random.default_rng(number)
    noise = generator.standard_normal(60 * RATE, dtype=np.float32)
    noise[1:] += np.float32(generator.uniform(0, 0.9)) * noise[:-1]
    return np.float32(generator.uniform(0.01, 0.05)) * noise


def write_recording(path, minutes):
    with soundfile.SoundFile(path, "w", RATE, 1, "PCM_16") as file:
        for number in range(minutes):
            file.write(block(number))


def peer_score(detector, path):
    """What a script does: read all of it, cut it, score it."""
    samples, _ = soundfile.read(path, dtype="float32")
    step = WINDOW * RATE // 2
    windows = [samples[start : start + 2 * step] for start in range(0, len(samples) - 2 * step + 1, step)]
    return -detector.score_samples(windows)


def worker(side, model, path):
    """Seconds of one side, the most memory, and its scores in short."""
    detector = skasd.load(model)
    score = {
        "ours": lambda: score_windows(detector, path)["anomaly_score"].to_numpy(),
        "peer": lambda: peer_score(detector, path),
    }
    start = time.perf_counter()
    scores = score[side]()
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "bytes": peak_bytes(), "n_windows": len(scores), "mean": float(scores[:700].mean())}


def rows(folder, hours):
    normal = [block(10_000 + number)[: WINDOW * RATE] for number in range(60)]
    for name, detector in DETECTORS.items():
        model = folder / f"{name}.skasd"
        skasd.save(detector.fit(np.stack(normal)), model)
        for length in hours:
            path = folder / f"{length}.wav"
            if not path.exists():
                write_recording(path, 60 * length)
            ours = in_process(__file__, "ours", model, path)
            peer = in_process(__file__, "peer", model, path) if length <= MOST_HOURS_OF_PEER else None
            row = {"task": f"{length} h", "detector": name, "n_windows": ours["n_windows"]}
            row |= {"seconds": ours["seconds"], "megabytes": ours["bytes"] / 1e6}
            if peer:
                assert peer["mean"] == ours["mean"], "the sides score differently"
                row |= {"peer_seconds": peer["seconds"], "peer_megabytes": peer["bytes"] / 1e6}
                row |= {"ratio": ours["seconds"] / peer["seconds"], "memory_ratio": ours["bytes"] / peer["bytes"]}
            yield row


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--hours", type=int, nargs="+", default=[1, 10])
    parser.add_argument("--worker", nargs=3)
    arguments = parser.parse_args()
    if arguments.worker:
        print(json.dumps(worker(*arguments.worker)))
    else:
        with tempfile.TemporaryDirectory() as folder:
            write(rows(Path(folder), arguments.hours), arguments.out, "soundfile", "scikit-learn")
