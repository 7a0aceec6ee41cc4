"""OS-SCL: training and scoring against a plain PyTorch loop, as the published code has it; all in one run.

    python benchmarks/speed/training.py --out benchmarks/speed/training.jsonl

Each row is one JSON line: what, clips per second of ours and of the peer, their ratio, peak memory, versions and machine.
The peer is `yardstick.py` beside this file: float32, channels first, a DataLoader that makes the log-mel of each clip anew,
weights averaged in a Python loop. Sides take turns, each in a process of its own, so that a busy machine slows both; figures
are medians over rounds. "same allocator" gives the peer, from outside, the settings of the C library that we set from
inside.

With an accelerator, rows at the true size follow: 36 000 resident clips of ten seconds, the projected time of 300 epochs and
the kernels that take most of it.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from measuring import in_process, peak_bytes, write

SECONDS, RATE, N_CLASSES, BATCH = 10, 16000, 41, 64
ALL_BRANCHES = ("log_mel", "tgram", "tfgram")
REUSE = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**31 - 1)}
REST = 1.0  # s between two processes


def clips(n_clips, seconds=SECONDS):
    """Noise of 16-bit steps, and labels."""
    rng = np.random.default_rng(0)
    waveform = (rng.standard_normal((n_clips, seconds * RATE)) * 3000).clip(-32767, 32767).astype(np.int16)
    return waveform.astype(np.float32) / 2**15, np.arange(n_clips) % N_CLASSES


def table(waveforms, label):
    import pandas as pd

    return pd.DataFrame(
        {"waveform": list(waveforms), "machine_type": "fan", "section": [f"{value:02d}" for value in label]}
    )


def ours(branches, n_clips, n_epochs):
    """Clips per second of training and scoring, milliseconds of one clip, and the peak of memory."""
    from skasd.detectors import OSSCLDetector

    X = table(*clips(n_clips))
    detector = OSSCLDetector(branches, max_epochs=n_epochs, batch_size=BATCH, random_state=0, device="cpu").fit(X)
    train = [n_clips / epoch["dur"] for epoch in detector.history_[1:]]
    return {"train": float(np.median(train)), **scoring(detector.score_samples, X, n_clips), "peak": peak_bytes()}


def peer(branches, n_clips, n_epochs):
    import yardstick

    waveforms, label = clips(n_clips)
    torch.manual_seed(0)
    network, seconds = yardstick.train(
        waveforms, label, branches, max_epochs=n_epochs, batch_size=BATCH, n_classes=N_CLASSES
    )
    rows = np.arange(n_clips)

    def score(chosen):
        return yardstick.score(network, waveforms[chosen], label[chosen], batch_size=min(BATCH, len(chosen)))

    train = [n_clips / value for value in seconds[1:]]
    return {"train": float(np.median(train)), **scoring(score, rows, n_clips), "peak": peak_bytes()}


def scoring(score, X, n_clips):
    one = X[:1] if isinstance(X, np.ndarray) else X.iloc[:1]
    batch, single = median_seconds(lambda: score(X), 3), median_seconds(lambda: score(one), 15)
    return {"score": n_clips / batch, "single_ms": 1000 * single}


def median_seconds(function, rounds):
    function()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def rested(side, branches, n_clips, n_epochs, settings):
    """What `side` measures in a process of its own."""
    time.sleep(REST)
    return in_process(__file__, side, ",".join(branches), n_clips, n_epochs, settings=settings)


def compared(branches, n_clips, n_epochs, rounds):
    """One row for each figure and setting of the peer."""
    results = {"ours": [], "as it is": [], "same allocator": []}
    for _ in range(rounds):
        results["ours"].append(rested("ours", branches, n_clips, n_epochs, {}))
        results["as it is"].append(rested("peer", branches, n_clips, n_epochs, {}))
        results["same allocator"].append(rested("peer", branches, n_clips, n_epochs, REUSE))
    medians = {
        side: {key: float(np.median([row[key] for row in rows])) for key in rows[0]} for side, rows in results.items()
    }
    for setting in ("as it is", "same allocator"):
        for figure, unit in (("train", "clips/s"), ("score", "clips/s"), ("single_ms", "ms")):
            mine, theirs = medians["ours"][figure], medians[setting][figure]
            yield {
                "what": {"train": "training", "score": "scoring in batches", "single_ms": "scoring one clip"}[figure],
                "branches": list(branches),
                "peer": setting,
                "unit": unit,
                "ours": mine,
                "theirs": theirs,
                "ratio": theirs / mine if unit == "ms" else mine / theirs,
                "ours_peak_bytes": medians["ours"]["peak"],
                "peer_peak_bytes": medians[setting]["peak"],
                "n_clips": n_clips,
                "rounds": rounds,
            }


def at_true_size(branches, n_clips=36000, n_steps=60):
    """Clips per second with all clips on the accelerator, the projected time of 300 epochs, and the slowest kernels."""
    from torch.profiler import ProfilerActivity, profile

    from skasd.losses import ArcFaceHead
    from skasd.networks import OSSCLNet
    from skasd.objectives._osscl import OSSCLObjective, OSSCLOptions
    from skasd.training._batches import Batches, Rows
    from skasd.training._data import TrainingClips
    from skasd.training._precision import autocast

    device = torch.accelerator.current_accelerator()
    n_frames = 1 + SECONDS * RATE // 512
    generator = torch.Generator(device).manual_seed(0)
    inputs = {
        "waveform": torch.randint(-3000, 3000, (n_clips, SECONDS * RATE), dtype=torch.int16, device=device),
        "log_mel": torch.randn(n_clips, 128, n_frames, device=device) * 10 - 40,
    }
    data = TrainingClips(inputs, torch.arange(n_clips, device=device) % N_CLASSES, torch.float32)
    network = OSSCLNet(branches, (128, n_frames))
    objective = OSSCLObjective(network, ArcFaceHead(128, N_CLASSES), OSSCLOptions()).to(device)
    optimizer = torch.optim.AdamW(objective.parameters(), 1e-4, fused=True)
    batches = list(Batches(Rows(data, torch.arange(BATCH * n_steps) % n_clips), BATCH))

    def steps(some):
        for batch in some:
            optimizer.zero_grad()
            with autocast(device, torch.bfloat16):
                loss = objective(*batch, generator)
            loss.backward()
            optimizer.step()
            loss.item()

    steps(batches[:10])
    start = time.perf_counter()
    steps(batches)
    rate = BATCH * n_steps / (time.perf_counter() - start)
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiler:
        steps(batches[:5])
    events = sorted(profiler.key_averages(), key=lambda event: -event.self_device_time_total)[:8]
    total = sum(event.self_device_time_total for event in profiler.key_averages()) or 1
    yield {
        "what": "training at true size",
        "branches": list(branches),
        "n_clips": n_clips,
        "ours": rate,
        "unit": "clips/s",
        "minutes_of_300_epochs": 300 * n_clips / rate / 60,
        "device_memory_bytes": torch.accelerator.max_memory_allocated(),
        "kernels": {event.key[:60]: round(event.self_device_time_total / total, 3) for event in events},
    }


def rows(arguments):
    if not arguments.only_device:
        for branches in (("log_mel",), ALL_BRANCHES):
            yield from compared(branches, arguments.clips, arguments.epochs, arguments.rounds)
    if torch.accelerator.is_available():
        for branches in (("log_mel",), ("log_mel", "tgram"), ALL_BRANCHES):
            yield from at_true_size(branches)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="file to append the JSON lines to")
    parser.add_argument("--clips", type=int, default=128, help="clips of ten seconds")
    parser.add_argument("--epochs", type=int, default=3, help="of which the first warms up")
    parser.add_argument("--rounds", type=int, default=3, help="processes of each side")
    parser.add_argument("--only-device", action="store_true", help="only the rows of an accelerator")
    parser.add_argument("--worker", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        side, branches, n_clips, n_epochs = arguments.worker
        measure = {"ours": ours, "peer": peer}[side]
        print(json.dumps(measure(tuple(branches.split(",")), int(n_clips), int(n_epochs))))
        return
    write(rows(arguments), arguments.out, "skorch", "torchaudio")


if __name__ == "__main__":
    main()
