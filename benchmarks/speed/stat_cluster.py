"""System 1 of the 2024 report and neighbours of many embeddings, each against a peer, all in one run.

    python benchmarks/speed/stat_cluster.py --out benchmarks/speed/stat_cluster.jsonl

Each row is one JSON line: what, ours, the peer's, their ratio, peak memory of either, versions and machine. Sides run one
after the other, each in a process of its own.

The peer of system 1 is `yardstick.py` beside this file, with the same branches: float32, channels first, a DataLoader that
makes the log-mel of each clip anew. It is trained on fewer clips and compared by clips per second; ours reads and clusters a
thousand clips besides. The peer of the neighbours is scikit-learn's with the cosine metric, which scores the same clips.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
from measuring import in_process, peak_bytes, write
from training import clips, scoring, table

BRANCHES, EPOCHS, BATCH = ("log_mel", "tgram"), 8, 64
N_KNOWN, N_NEW, DIM = 100_000, 10_000, 128


def our_system(n_clips):
    """Seconds of a fit, clips per second of its training and of scoring, milliseconds of one clip."""
    from skasd.detectors import StatClusterDetector

    X = table(*clips(n_clips)).assign(section="00")
    start = time.perf_counter()
    detector = StatClusterDetector("clusters", max_epochs=EPOCHS, batch_size=BATCH, random_state=0).fit(X)
    seconds = time.perf_counter() - start
    train = [n_clips / epoch["dur"] for epoch in detector.history_[1:]]
    few = X.iloc[:BATCH]
    return {"fit": seconds, "train": float(np.median(train)), **scoring(detector.score_samples, few, len(few))}


def their_system(n_clips):
    import torch
    import yardstick

    waveforms, label = clips(n_clips)
    label = label % 4
    torch.manual_seed(0)
    network, seconds = yardstick.train(waveforms, label, BRANCHES, max_epochs=3, batch_size=BATCH, n_classes=4)

    def score(rows):
        return yardstick.score(network, waveforms[rows], label[rows], batch_size=len(rows))

    return {"train": n_clips / float(np.median(seconds[1:])), **scoring(score, np.arange(BATCH), BATCH)}


def embeddings():
    rng = np.random.default_rng(0)
    made = rng.standard_normal((N_KNOWN + N_NEW, DIM), dtype=np.float32)
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    return made[:N_KNOWN], made[N_KNOWN:]


def our_neighbours(_):
    from skasd.scoring import KNNScorer

    known, new = embeddings()
    before, start = peak_bytes(), time.perf_counter()
    scorer = KNNScorer().fit(known)  # which scores the known clips too
    fitted = time.perf_counter()
    scorer.score_samples(new)
    return {"fit": fitted - start, "score": N_NEW / (time.perf_counter() - fitted), "extra": peak_bytes() - before}


def their_neighbours(_):
    from sklearn.neighbors import NearestNeighbors

    known, new = embeddings()
    before, start = peak_bytes(), time.perf_counter()
    index = NearestNeighbors(n_neighbors=1, metric="cosine", algorithm="brute").fit(known)
    index.kneighbors()
    fitted = time.perf_counter()
    index.kneighbors(new)
    return {"fit": fitted - start, "score": N_NEW / (time.perf_counter() - fitted), "extra": peak_bytes() - before}


SIDES = {"our_system": our_system, "their_system": their_system} | {
    "our_neighbours": our_neighbours,
    "their_neighbours": their_neighbours,
}


def rows(n_clips, n_peer_clips):
    ours, theirs = in_process(__file__, "our_system", n_clips), in_process(__file__, "their_system", n_peer_clips)
    memory = {"ours_peak_bytes": ours["peak"], "peer_peak_bytes": theirs["peak"]}
    yield {"what": f"fit of system 1, {EPOCHS} epochs", "unit": "s", "ours": ours["fit"], "n_clips": n_clips, **memory}
    for figure, what, unit in (
        ("train", "training of system 1", "clips/s"),
        ("score", "scoring in batches", "clips/s"),
        ("single_ms", "scoring one clip", "ms"),
    ):
        yield {"what": what, **compared(ours[figure], theirs[figure], unit)}
    ours, theirs = in_process(__file__, "our_neighbours", 0), in_process(__file__, "their_neighbours", 0)
    memory = {"ours_extra_bytes": ours["extra"], "peer_extra_bytes": theirs["extra"], "n_known": N_KNOWN, "dim": DIM}
    yield {"what": "fit of nearest neighbours", **compared(ours["fit"], theirs["fit"], "s"), **memory}
    yield {"what": "scoring by nearest neighbours", **compared(ours["score"], theirs["score"], "clips/s"), **memory}


def compared(ours, theirs, unit):
    return {
        "unit": unit,
        "ours": ours,
        "theirs": theirs,
        "ratio": ours / theirs if unit == "clips/s" else theirs / ours,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="file to append the JSON lines to")
    parser.add_argument("--clips", type=int, default=1000, help="clips of ten seconds")
    parser.add_argument("--peer-clips", type=int, default=128, help="of the peer of system 1")
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        side, n_clips = arguments.worker
        print(json.dumps({**SIDES[side](int(n_clips)), "peak": peak_bytes()}))
        return
    write(rows(arguments.clips, arguments.peer_clips), arguments.out, "skorch", "torchaudio")


if __name__ == "__main__":
    main()
