"""Decisions: whether p-values keep their promise, what a selection finds, and when drift is noticed.

    python benchmarks/accuracy/decisions.py [validity|real|selection|drift ...]

appends JSON lines to results/decisions/results.jsonl, one for each cell; cells that are there already are not measured
again. Validity: each repetition draws calibration clips and 100 new normal clips from a pool of exchangeable clips of a
synthetic fan, fits, and counts the new clips with p <= alpha. A network is trained for one epoch, and only once where it is
split. The real recordings are looked for in $SKASD_REAL_DATA. tables.py makes the tables of the guide.
"""

import json
import os
import sys
import warnings
from functools import cache, lru_cache
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.signal import lfilter
from sklearn.base import clone
from sklearn.ensemble import IsolationForest
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from stamp import stamp

from skasd.datasets import make_machine_clips
from skasd.decisions import CalibratedDetector
from skasd.detectors import AutoencoderDetector, OSSCLDetector, StatisticsDetector, TWFRDetector
from skasd.features import LogMelTransformer, TWFRTransformer
from skasd.objectives import MobileFaceNetOptions

RESULTS = Path(__file__).resolve().parent / "results" / "decisions" / "results.jsonl"
FRONT_END = LogMelTransformer(n_fft=512, hop_length=256, n_mels=24, norm=None, mel_scale="htk")
RATES = (0.01, 0.05, 0.1)
SIZES = (20, 50, 200)
N_NEW = 100
SMALL = {"max_epochs": 1, "device": "cpu", "learning_rate": 0.003}
NETWORK = OSSCLDetector(
    ("log_mel",),
    network=MobileFaceNetOptions(bottlenecks=((1, 16, 1, 2),), embedding_dim=16),
    score_with="embedding",
    batch_size=64,
    **SMALL,
)
DETECTORS = {
    "TWFRDetector": (TWFRDetector(), ("split", "cross", "leave_one_out")),
    "StatisticsDetector": (StatisticsDetector(), ("split", "auto")),
    "AutoencoderDetector": (AutoencoderDetector(batch_size=256, **SMALL), ("split", "cross")),
    "OSSCLDetector": (NETWORK, ("split", "cross")),
    "IsolationForest on TWFR": (
        make_pipeline(TWFRTransformer(r=0.9), IsolationForest(n_estimators=30)),
        ("split", "cross"),
    ),
}
NETWORKS = ("AutoencoderDetector", "OSSCLDetector")
FEWER = {("AutoencoderDetector", "cross"): 100, ("OSSCLDetector", "cross"): 40}
DRIFTS = ("none", "load and speed", "gain", "microphone", "background", "passing events", "mains hum")


@cache
def pool(machine_type, n_normal, n_anomaly=0, **settings):
    """Clips of a synthetic machine with log-mels, normal ones first."""
    counts = {"n_train": 0, "n_test_normal": n_normal, "n_test_anomaly": n_anomaly}
    made = make_machine_clips(machine_type, **counts, duration=1.0, target_share=0.0, random_state=0, **settings).data
    return FRONT_END.fit_transform(made).drop(columns="waveform")


def calibrated(detector, method, seed, **params):
    inside = clone(detector)
    if not isinstance(inside, FrozenEstimator):
        names = [name for name in inside.get_params() if name.rpartition("__")[2] == "random_state"]
        inside.set_params(**dict.fromkeys(names, seed))
    return CalibratedDetector(inside, method=method, random_state=seed, learning_period=0, **params)


@cache
def trained(name):
    """A network that is trained on the first 200 clips of the pool."""
    return FrozenEstimator(clone(DETECTORS[name][0]).set_params(random_state=0).fit(pool("fan", 1000).iloc[:200]))


def validity(name, method, n):
    """For each rate: the share of new normal clips with so small a p-value, over repetitions."""
    detector, repetitions = DETECTORS[name][0], FEWER.get((name, method), 500)
    clips, params, n_fit = pool("fan", 1000), {"alpha": 0.1}, n
    if method == "split" and name in NETWORKS:  # trained once: what it learnt does not matter for the promise
        detector, clips = trained(name), clips.iloc[200:]
    elif method == "split":
        n_fit, params["calibration_fraction"] = 2 * n, 0.5
    n_alarms = np.zeros((repetitions, len(RATES)), dtype=int)
    for repetition in range(repetitions):
        order = np.random.default_rng(repetition).permutation(len(clips))
        known, new = clips.iloc[order[:n_fit]], clips.iloc[order[n_fit : n_fit + N_NEW]]
        p_values = calibrated(detector, method, repetition, **params).fit(known).p_values(new)
        n_alarms[repetition] = [(p_values <= rate).sum() for rate in RATES]
    for rate, count in zip(RATES, n_alarms.T, strict=True):
        if rate >= 1 / (n + 1):
            yield {
                "alpha": rate,
                "repetitions": repetitions,
                "rate": count.sum() / (repetitions * N_NEW),
                "error": float(count.std(ddof=1) / N_NEW / np.sqrt(repetitions)),
                "expected": np.floor(rate * (n + 1) + 1e-9) / (n + 1),
            }


@cache
def real_clips(data):
    folder, types = Path(os.environ["SKASD_REAL_DATA"]), {"section": str}
    if data == "ToyCar":
        clips = pd.read_csv(folder / "toycar2020_logmel" / "clips.csv", dtype=types)
        log_mel = np.load(folder / "toycar2020_logmel" / "log_mel.npy", mmap_mode="r")
        clips = clips.assign(log_mel=[mel.astype(np.float32) for mel in log_mel], machine_type="ToyCar")
        return clips[clips["label"] == "normal"].reset_index(drop=True)
    clips = pd.read_csv(folder / "clips.csv", dtype=types)
    clips = clips[(clips["dataset"] == data) & (clips["label"] == "normal")].reset_index(drop=True)
    clips["path"] = [str(folder / path) for path in clips["path"]]
    return LogMelTransformer(norm=None, mel_scale="htk").fit_transform(clips).drop(columns="path")


def real(data, name, draws=10):
    """Share of real new normal clips that alarm, by machine, over random draws of the clips of the fit."""
    clips = real_clips(data)
    n_alarms, n_new = np.zeros(len(RATES), dtype=int), 0
    own = ["machine_type", "section"]
    for draw in range(draws):
        shuffled = clips.sample(frac=1, random_state=draw)
        place = shuffled.groupby(own).cumcount() / shuffled.groupby(own)["label"].transform("size")
        detector = calibrated(DETECTORS[name][0], "auto", draw, alpha=0.1).fit(shuffled[place < 0.7])
        p_values = detector.p_values(shuffled[place >= 0.7])
        n_alarms += [(p_values <= rate).sum() for rate in RATES]
        n_new += len(p_values)
    n = min(detector.n_calibration_.values())
    for rate, count in zip(RATES, n_alarms, strict=True):
        if rate >= 1 / (n + 1):
            yield {"alpha": rate, "draws": draws, "n_new": n_new, "rate": count / n_new, "n": n}


def selection(machine_type, share, repetitions=500, n=200, n_batch=200):
    """False discovery proportion and power of a selection and of a fixed threshold, over random batches."""
    clips = pool(machine_type, 1200, 300, severity=2.0)
    n_faults, rows = round(share * n_batch), []
    for repetition in range(repetitions):
        generator = np.random.default_rng(repetition)
        normal, faults = generator.permutation(1200), 1200 + generator.permutation(300)[:n_faults]
        detector = calibrated(TWFRDetector(), "leave_one_out", repetition).fit(clips.iloc[normal[:n]])
        batch = np.r_[faults, normal[n : n + n_batch - n_faults]]
        p_values = detector.p_values(clips.iloc[batch])
        for how, chosen in {"fdr": _selected(p_values, 0.1), "alpha": p_values <= 0.05}.items():
            false = chosen[n_faults:].sum() / max(1, chosen.sum())
            rows.append({"how": how, "false": false, "power": chosen[:n_faults].mean() if n_faults else np.nan})
    table = pd.DataFrame(rows)
    for how, part in table.groupby("how"):
        error = part["false"].std() / np.sqrt(repetitions)
        power = None if not n_faults else part["power"].mean()
        yield {"how": how, "repetitions": repetitions, "fdp": part["false"].mean(), "error": error, "power": power}


def _selected(p_values, fdr):
    from skasd.decisions._selection import benjamini_hochberg

    return benjamini_hochberg(p_values, fdr)


@lru_cache(maxsize=20)
def unchanged(machine_type, seed):
    """Clips of a healthy machine; those of 260 on are changed."""
    same = {"duration": 1.0, "n_train": 0, "n_test_anomaly": 0, "random_state": seed}
    return make_machine_clips(machine_type, n_test_normal=360, target_share=0.0, **same).data


@lru_cache(maxsize=20)
def drifted(machine_type, drift, seed):
    """Calibration clips of a healthy machine, sixty clips before a change, and a hundred after it."""
    before = unchanged(machine_type, seed)
    settings = {"background": {"snr_db": 0.0}, "passing events": {"event_db": 15.0}}.get(drift, {})
    share = 1.0 if drift == "load and speed" else 0.0
    changed = before
    if share or settings:
        same = {"duration": 1.0, "n_train": 0, "n_test_anomaly": 0, "random_state": seed}
        changed = make_machine_clips(machine_type, n_test_normal=360, target_share=share, **settings, **same).data
    changed = changed.iloc[260:]
    after = np.stack(changed["waveform"])
    if drift == "gain":
        after = after * 10 ** (12 / 20)
    if drift == "microphone":
        after = lfilter([1.0, -0.5], [1.0], after, axis=1)
    if drift == "mains hum":
        after = after + 0.5 * after.std() * np.sin(2 * np.pi * 100 * np.arange(after.shape[1]) / 16000)
    changed = changed.assign(waveform=list(after.astype(np.float32)))
    return before.iloc[:200], before.iloc[200:260], changed


def drift(machine_type, kind, name, level=0.01, repetitions=20):
    """Share of sequences with an alarm before the change, and how many clips after it the alarm comes."""
    delays, n_early = [], 0
    for seed in range(repetitions):
        known, before, after = drifted(machine_type, kind, seed)
        detector = calibrated(DETECTORS[name][0], "auto", seed).fit(known)
        sequence = pd.concat([before, after], ignore_index=True)
        alarm = detector.check_exchangeability(sequence, level=level).alarm
        n_early += alarm is not None and alarm < len(before)
        if alarm is None or alarm >= len(before):
            delays.append(np.inf if alarm is None else alarm - len(before) + 1)
    found = np.isfinite(delays)
    yield {
        "repetitions": repetitions,
        "n_early": n_early,
        "n_alarms": int(found.sum()),
        "n_within_50": int((np.array(delays) <= 50).sum()),
        "median_delay": float(np.median(np.array(delays)[found])) if found.any() else None,
    }


def cells():
    yield from (("real", data, name) for data in ("ToyCar", "valve2023", "slider2020") for name in list(DETECTORS)[:2])
    yield from (("selection", machine, share) for machine in ("fan", "valve") for share in (0.0, 0.05, 0.2))
    yield from (
        ("drift", machine, kind, name)
        for machine, kind, name in product(("fan", "slider"), DRIFTS, list(DETECTORS)[:2])
    )
    for name, (_, methods) in DETECTORS.items():
        yield from (("validity", name, method, n) for method, n in product(methods, SIZES))


def main(wanted):
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    done = {tuple(json.loads(line)["cell"]) for line in RESULTS.read_text().splitlines()} if RESULTS.exists() else set()
    measure = {"validity": validity, "real": real, "selection": selection, "drift": drift}
    for cell in cells():
        if cell in done or (wanted and cell[0] not in wanted):
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            rows = list(measure[cell[0]](*cell[1:]))
        with RESULTS.open("a", encoding="utf-8") as stream:
            stream.writelines(json.dumps({"cell": cell, **row, **stamp()}) + "\n" for row in rows)
        print(cell, rows[-1] if rows else "", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
