"""Hours of sound of the synthetic machines, and the anomaly scores of its windows, which are kept for monitoring.py.

    python benchmarks/accuracy/continuous_sound.py [fan|pump|slider|valve|gearbox ...]

writes one npz file a machine to the folder $SKASD_MONITORING_SCORES (default: skasd_monitoring in the folder for temporary
files), in about eight minutes a machine; parts that are there already are not made again. The sample rate is 8 kHz, half of
the usual, to save time.

Sound that goes on for hours is made of clips of 90 s, each with an operating state of its own, as clips of one machine have.
They are made equally loud, as the microphone stays where it is, and each fades into the next within half a second.
"""

import os
import sys
import tempfile
import time
import warnings
from itertools import product
from pathlib import Path

import numpy as np
from scipy.signal import lfilter

from skasd.datasets import make_machine_clips
from skasd.detectors import StatisticsDetector, TWFRDetector
from skasd.features import LogMelTransformer
from skasd.monitoring import score_windows

CACHE = Path(os.environ.get("SKASD_MONITORING_SCORES", Path(tempfile.gettempdir()) / "skasd_monitoring"))
RATE = 8000  # Hz
CLIP, FADE = 90.0, 0.5  # s
CLIPS_PER_HOUR = 41  # a little more than an hour, of which an hour is used
WINDOW, HOP = 10.0, 5.0  # s
LEVEL = 0.05  # RMS of all sound
FRONT_END = LogMelTransformer(sample_rate=RATE, n_fft=512, hop_length=256, n_mels=64, norm=None, mel_scale="htk")
DETECTORS = {"TWFRDetector": TWFRDetector, "StatisticsDetector": StatisticsDetector}
FAULTS = {
    "fan": ("bearing", "imbalance", "squeal"),
    "pump": ("bearing", "imbalance", "leak"),
    "slider": ("bearing", "missing", "squeal"),
    "valve": ("leak", "missing", "squeal"),
    "gearbox": ("bearing", "imbalance", "squeal"),
}
SEVERITIES = (0.5, 1.0, 2.0)
N_RUNS = 4  # of each kind and severity
FAULTY_CLIPS = 3  # of a run, after one healthy clip: 4.5 minutes of fault
HOURS = {"learning": 24, "normal": 48, "load and speed": 6}
N_CHANGED = 6  # hours of normal sound that are heard with another gain, and through another microphone
GAINS = {"gain": np.float32(2.0), "small gain": np.float32(1.12)}  # 6 and 1 dB
SEEDS = {"training": 1, "learning": 1000, "normal": 2000, "load and speed": 3000, "faults": 4000}


def clips_of(machine, n_clips, seed, *, fault=None, severity=1.0, target_share=0.0):
    """Clips (n_clips, n_timepoints) of a machine, all with the same RMS."""
    counts = {"n_train": 0, "n_test_normal": 0 if fault else n_clips, "n_test_anomaly": n_clips if fault else 0}
    kinds = {"anomalies": (fault,), "severity": severity} if fault else {}
    same = {"duration": CLIP, "sample_rate": RATE, "random_state": seed, "target_share": target_share}
    clips = np.stack(make_machine_clips(machine, **counts, **kinds, **same).data["waveform"])
    return clips * np.float32(LEVEL) / np.sqrt(np.mean(np.square(clips), axis=1, keepdims=True))


def joined(clips):
    """One waveform of clips that fade into each other; the power stays the same."""
    n_fade = round(FADE * RATE)
    step = clips.shape[1] - n_fade
    rising = np.sin(np.linspace(0, np.pi / 2, n_fade, dtype=np.float32))
    sound = np.zeros(step * len(clips) + n_fade, dtype=np.float32)
    for number, clip in enumerate(clips):
        clip = clip.copy()
        clip[:n_fade] *= rising if number else 1.0
        clip[-n_fade:] *= rising[::-1] if number < len(clips) - 1 else 1.0
        sound[number * step : number * step + len(clip)] += clip
    return sound


def hour(machine, kind, number):
    """An hour of sound."""
    share = 1.0 if kind == "load and speed" else 0.0
    sound = joined(clips_of(machine, CLIPS_PER_HOUR, SEEDS[kind] + number, target_share=share))
    return sound[: 3600 * RATE]


def fitted(machine):
    """Detectors that were fitted to an hour in windows of 10 s, which no other hour is part of."""
    windows = list(hour(machine, "training", 0).reshape(-1, round(WINDOW * RATE)))
    return {name: cls(frontend=FRONT_END).fit(windows) for name, cls in DETECTORS.items()}


def scores_of(detectors, sound):
    """Anomaly scores (n_detectors, n_windows) of windows that overlap by half; an hour has 719."""
    tables = [score_windows(detector, sound, window=WINDOW, hop=HOP) for detector in detectors.values()]
    return np.stack([table["anomaly_score"].to_numpy() for table in tables])


def parts_of(machine):
    """Names of the parts of a machine, and what makes the scores of each."""
    for kind, hours in HOURS.items():
        for number in range(hours):
            yield f"{kind}/{number:02d}", lambda d, kind=kind, number=number: scores_of(d, hour(machine, kind, number))
    for number, (kind, gain) in product(range(N_CHANGED), GAINS.items()):
        yield (
            f"{kind}/{number:02d}",
            lambda d, number=number, gain=gain: scores_of(d, gain * hour(machine, "normal", number)),
        )
    for number in range(N_CHANGED):
        yield (
            f"microphone/{number:02d}",
            lambda d, number=number: scores_of(d, lfilter([1.0, -0.5], [1.0], hour(machine, "normal", number))),
        )
    for place, fault in enumerate(FAULTS[machine]):
        for severity in SEVERITIES:
            for run in range(N_RUNS):
                seed = SEEDS["faults"] + 100 * place + run
                name = f"fault/{fault}/{severity:g}/{run}"
                yield name, lambda d, args=(machine, fault, severity, seed): scores_of(d, run_of(*args))


def run_of(machine, fault, severity, seed):
    """A healthy clip that fades into faulty ones; the fault is there from CLIP - FADE on."""
    healthy = clips_of(machine, 1, seed)
    return joined(np.concatenate([healthy, clips_of(machine, FAULTY_CLIPS, seed, fault=fault, severity=severity)]))


def scores(machine):
    """Scores (n_detectors, n_windows) of each part of a machine, by name."""
    path = CACHE / f"{machine}.npz"
    if not path.exists():
        return {}
    with np.load(path) as known:
        return dict(known)


def keep(machine, known):
    path, part = CACHE / f"{machine}.npz", CACHE / f".{machine}.npz"
    with part.open("wb") as stream:
        np.savez(stream, **known)
    part.replace(path)


def make(machine):
    """Make the parts of a machine that are not there yet."""
    known, start = scores(machine), time.time()
    wanted = {name: make_part for name, make_part in parts_of(machine) if name not in known}
    if not wanted:
        return
    detectors = fitted(machine)
    for number, (name, make_part) in enumerate(wanted.items()):
        known[name] = make_part(detectors)
        if number % 6 == 5 or number == len(wanted) - 1:
            keep(machine, known)
            print(machine, name, f"{time.time() - start:.0f} s", flush=True)


def main(wanted):
    CACHE.mkdir(parents=True, exist_ok=True)
    for machine in wanted or FAULTS:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            make(machine)


if __name__ == "__main__":
    main(sys.argv[1:])
