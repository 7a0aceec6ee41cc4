"""How cost grows with the number of clips, results or files: seconds and memory of 100 to 100 000, and the exponents.

    python benchmarks/speed/growth.py --out benchmarks/speed/growth.jsonl

Each size runs in a process of its own on one thread, the largest last. A row is one JSON line: what, the step, the size,
seconds on the clock and of the processor, the most memory beyond what the process held before the step, the load of the
machine, and exponents: the slopes of the logarithms of processor seconds and of memory since the size before.

Detectors get log-mels of 128 bands and 16 frames of noise, as 100 000 waveforms of ten seconds would take 64 GB; the front
end takes the same time for each clip. Back ends get 128 numbers a clip, of 20 clusters of 16 dimensions with noise.
"""

import argparse
import json
import os
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
from measuring import in_process, peak_bytes, write

SIZES = (100, 1000, 10_000, 100_000)
N_SCORED = 1000  # clips
BANDS, FRAMES, DIM = 128, 16, 128
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
MOST = {"StatisticsDetector": 10_000, "StatisticsDetector, approximate": 10_000}  # ten times as many would take an hour


def log_mels(n_clips):
    return np.random.default_rng(n_clips).standard_normal((n_clips, BANDS, FRAMES), dtype=np.float32)


def embeddings(n_clips, seed=0):
    shape, drawn = np.random.default_rng(0), np.random.default_rng([n_clips, seed])
    centers, planes = shape.standard_normal((20, DIM)), shape.standard_normal((20, 16, DIM)) / 4
    cluster = drawn.integers(20, size=n_clips)
    out = np.empty((n_clips, DIM))
    for number in range(20):
        rows = np.flatnonzero(cluster == number)
        out[rows] = centers[number] + drawn.standard_normal((len(rows), 16)) @ planes[number]
    return out + 0.05 * drawn.standard_normal(out.shape)


# Steps: a name, and a function; each subject is a list of them for a size


def detector_steps(detector, n_clips):
    clips, new = log_mels(n_clips), log_mels(N_SCORED)
    yield "fit", lambda: detector.fit(clips)
    yield "score 1000", lambda: detector.score_samples(new)


def twfr(n_clips):
    from skasd.detectors import TWFRDetector

    return detector_steps(TWFRDetector(n_jobs=1), n_clips)


def statistics(neighbors):
    def steps(n_clips):
        from skasd.detectors import StatisticsDetector

        return detector_steps(StatisticsDetector(neighbors=neighbors, n_jobs=1), n_clips)

    return steps


def calibrated(method):
    def steps(n_clips):
        from skasd.decisions import CalibratedDetector
        from skasd.detectors import TWFRDetector

        detector = CalibratedDetector(TWFRDetector(n_jobs=1), method=method)
        clips, new = log_mels(n_clips), log_mels(N_SCORED)
        yield "fit", lambda: detector.fit(clips)
        yield "p-values of 1000", lambda: detector.p_values(new)
        yield "calibrate with 1000", lambda: detector.calibrate(new)
        yield "exchangeability", lambda: detector.check_exchangeability(clips)

    return steps


def back_end(name, **parameters):
    def steps(n_clips):
        import skasd.scoring

        scorer = getattr(skasd.scoring, name)(**parameters)
        known, new = embeddings(n_clips), embeddings(N_SCORED, 1)
        yield "fit", lambda: scorer.fit(known)
        yield "score 1000", lambda: scorer.score_samples(new)

    return steps


def sklearn_neighbors(n_clips):
    from sklearn.neighbors import NearestNeighbors

    index = NearestNeighbors(n_neighbors=1)
    known, new = embeddings(n_clips), embeddings(N_SCORED, 1)
    yield "fit", lambda: index.fit(known).kneighbors()
    yield "score 1000", lambda: index.kneighbors(new)


def sklearn_lof(n_clips):
    from sklearn.neighbors import LocalOutlierFactor

    detector = LocalOutlierFactor(n_neighbors=4, novelty=True)
    known, new = embeddings(n_clips), embeddings(N_SCORED, 1)
    yield "fit", lambda: detector.fit(known)
    yield "score 1000", lambda: detector.score_samples(new)


def pyod_knn(n_clips):
    from pyod.models.knn import KNN

    detector = KNN(n_neighbors=1)
    known, new = embeddings(n_clips), embeddings(N_SCORED, 1)
    yield "fit", lambda: detector.fit(known)
    yield "score 1000", lambda: detector.decision_function(new)


def suite(n_results):
    """Bookkeeping around a suite whose results are all there already."""
    from skasd.benchmark import Suite, report, run_suite
    from skasd.benchmark._results import Results
    from skasd.benchmark._run import list_tasks
    from skasd.detectors import TWFRDetector

    data = {"kind": "synthetic", "machine_types": "fan", "n_train": 10, "duration": 0.5, "random_state": "seed"}
    detectors = {f"TWFR {number}": TWFRDetector(n_components=1 + number) for number in range(10)}
    whole = Suite("growth", {"fans": data}, detectors, seeds=tuple(range(n_results // len(detectors))))
    with tempfile.TemporaryDirectory() as folder:
        one = Suite("growth", {"fans": data}, {"TWFR 0": TWFRDetector(n_components=1)}, seeds=(0,))
        run_suite(one, folder)
        file, store, cache = Path(folder) / "results.jsonl", Results(folder), Path(folder) / "cache"
        row = json.loads(file.read_text())
        yield "plan", lambda: list_tasks(whole, cache, 1)
        with file.open("w") as lines:
            for task in list_tasks(whole, cache, 1):
                names = {"detector": task.detector, "seed": task.seed}
                lines.write(
                    json.dumps({**row, **names, "key": task.results[0][3], "setting": task.results[0][2]}) + "\n"
                )
        yield "read", store.rows
        yield "resume", lambda: run_suite(whole, folder)
        yield "append 100", lambda: [store.put(row) for _ in range(100)]
        yield "report", lambda: report(folder)


def folder(n_files):
    """Folder of ten machines, with labels from names of folders, and from a file."""
    from skasd.datasets import load_clip_folder

    with tempfile.TemporaryDirectory() as root:
        names = [f"pump_{number % 10}/{'normal' if number % 5 else 'fault'}/{number}.wav" for number in range(n_files)]
        for name in names:
            file = Path(root) / name
            if int(file.stem) < 100:
                file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
        labels = Path(root) / "labels.csv"
        labels.write_text("path,label\n" + "".join(f"{name},normal\n" for name in names))
        yield "list", lambda: load_clip_folder(root)
        yield "list with a file of labels", lambda: load_clip_folder(root, labels=labels)


SUBJECTS = {
    "TWFRDetector": twfr,
    "StatisticsDetector": statistics("exact"),
    "StatisticsDetector, approximate": statistics("approximate"),
    "CalibratedDetector, leave one out": calibrated("auto"),
    "CalibratedDetector, split": calibrated("split"),
    "suite": suite,
    "folder": folder,
    "KNNScorer, approximate": back_end("KNNScorer", neighbors="approximate"),
    "ScaledKNNScorer, approximate": back_end("ScaledKNNScorer", neighbors="approximate"),
    "LocalDensityScorer, approximate": back_end("LocalDensityScorer", neighbors="approximate"),
    "KNNScorer": back_end("KNNScorer"),
    "NearestNeighbors of scikit-learn": sklearn_neighbors,
    "LocalOutlierFactor of scikit-learn": sklearn_lof,
    "KNN of PyOD": pyod_knn,
    "ScaledKNNScorer": back_end("ScaledKNNScorer"),
    "LocalDensityScorer": back_end("LocalDensityScorer"),
}


# Measuring


def forget_peak():
    """Let the kernel count the most memory anew, and return what is held now."""
    Path("/proc/self/clear_refs").write_text("5")
    return peak_bytes()


def measured(name, size):
    """Rows of the steps of a subject, in this process."""
    warnings.simplefilter("ignore")
    for _, function in SUBJECTS[name](SIZES[0]):  # imports
        function()
    for step, function in SUBJECTS[name](size):
        before, load = forget_peak(), os.getloadavg()[0]
        start, busy = time.perf_counter(), time.process_time()
        function()
        seconds, processor = time.perf_counter() - start, time.process_time() - busy
        row = {"what": name, "step": step, "n": size, "seconds": seconds, "processor_s": processor}
        yield {**row, "peak_beyond_bytes": max(peak_bytes() - before, 0), "load": load}


def with_exponents(row, smaller):
    """A row with the slopes of its quantities from the same step of a smaller size; None where there is none to tell."""
    return {
        **row,
        "exponent_of_time": slope(smaller, row, "processor_s"),
        "exponent_of_memory": slope(smaller, row, "peak_beyond_bytes"),
    }


def slope(small, large, key):
    if small is None or min(small[key], large[key]) <= 0:
        return None
    return float(np.log(large[key] / small[key]) / np.log(large["n"] / small["n"]))


def rows(names, sizes, out):
    last = {(row["what"], row["step"]): row for row in earlier(out) if row["n"] < min(sizes)}
    for size in sizes:
        for name in names:
            if size <= MOST.get(name, size):
                for row in in_process(__file__, name, size, settings=ONE_THREAD):
                    yield with_exponents(row, last.get((name, row["step"])))
                    last[name, row["step"]] = row


def earlier(out):
    """Rows of a file, ascending by size: the largest sizes may be measured later, when the machine is less busy."""
    lines = out.read_text().splitlines() if out and out.exists() else []
    return sorted(map(json.loads, lines), key=lambda row: row["n"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="file to append the JSON lines to")
    parser.add_argument("--subjects", nargs="+", choices=SUBJECTS, default=list(SUBJECTS), metavar="NAME")
    parser.add_argument("--sizes", nargs="+", type=int, default=list(SIZES))
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        name, size = arguments.worker
        print(json.dumps(list(measured(name, int(size)))))
        return
    write(rows(arguments.subjects, arguments.sizes, arguments.out), arguments.out, "scikit-learn", "pyod", "faiss-cpu")


if __name__ == "__main__":
    main()
