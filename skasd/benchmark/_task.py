"""One task of a suite: fit a detector on a data set with a seed, score the test clips, and tell all about it."""

import datetime
import hashlib
import os
import platform
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from threadpoolctl import threadpool_limits

from skasd.benchmark._data import SuiteData, forget_data, load_data
from skasd.benchmark._estimators import describe, describe_changes, essence, seeded_clone
from skasd.benchmark._features import FeatureStore
from skasd.benchmark._suite import Entry
from skasd.metrics import official_table, score_table, summary_table

_PACKAGES = ("skasd", "numpy", "scipy", "scikit-learn", "torch", "skorch")
_ONE_AT_A_TIME = threading.Lock()  # in a process: torch has one generator, and memory is that of the process


@dataclass(frozen=True)
class Task:
    """What is needed to run it anywhere; `description` is that of the data, `fingerprint` what they must turn out to be."""

    suite: str
    data: str
    description: Any
    fingerprint: str
    detector: str
    entry: Entry
    seed: int
    cache: Path
    n_threads: int

    key: str = field(init=False)  # the same for two tasks that have the same result
    setting: str = field(init=False)  # the same for those that differ by the seed alone

    def __post_init__(self) -> None:
        features = "" if self.entry.features is None else essence(self.entry.features)
        text = "\n".join([self.fingerprint, essence(self.entry.prepared()), features])
        object.__setattr__(self, "setting", _short_hash(text))
        object.__setattr__(self, "key", _short_hash(f"{text}\n{self.seed}"))


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def run_task(task: Task) -> dict[str, Any]:
    """Row of results, and the scores under ``"scores"``; of a task that failed the message under ``"error"``."""
    names = ("suite", "data", "detector", "seed", "key", "setting")
    shared = {name: getattr(task, name) for name in names}
    try:
        with _ONE_AT_A_TIME, _threads(task.n_threads):
            return {**shared, **_result(task)}
    except Exception as error:
        return {**shared, "error": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()}


def _result(task: Task) -> dict[str, Any]:
    _forget_peak_memory()
    data = load_data(task.description)
    if data.fingerprint != task.fingerprint:
        forget_data()
        data = load_data(task.description)
    if data.fingerprint != task.fingerprint:
        raise ValueError(f"The data {task.data!r} are other clips here than where the suite was started.")
    begin = time.perf_counter()
    data = _with_features(data, task)
    (train, test, y_true), detector = data.split(), seeded_clone(task.entry.prepared(), task.seed, task.n_threads)
    ready = time.perf_counter()
    detector.fit(train)
    fitted = time.perf_counter()
    score_samples = np.asarray(detector.score_samples(data.as_tested(test)), dtype=np.float64)
    scored = time.perf_counter()
    return {
        "class": type(task.entry.detector).__name__,
        "parameters": describe_changes(task.entry.prepared()),
        "features": describe(task.entry.features),
        "score_with": _score_with(detector),
        "checkpoint": _checkpoint(detector),
        "fingerprint": data.fingerprint,
        "year": data.year,
        "subset": data.subset,
        "published": list(task.entry.published),
        "n_train": len(train),
        "n_test": len(test),
        **_figures(y_true, score_samples, test, data.year),
        "feature_seconds": ready - begin,
        "fit_seconds": fitted - ready,
        "score_seconds": scored - fitted,
        "peak_bytes": _peak_memory(),
        **_where(task.n_threads, detector),
        "scores": {"table": _known(test), "y_true": y_true.tolist(), "score_samples": score_samples.tolist()},
    }


def _with_features(data: SuiteData, task: Task) -> SuiteData:
    if task.entry.features is None:
        return data
    frontend = seeded_clone(task.entry.features, 0, task.n_threads)
    table = FeatureStore(task.cache).with_log_mels(data, frontend)
    return replace(data, table=table)


def _figures(y_true: np.ndarray, score_samples: np.ndarray, test: pd.DataFrame, year: int) -> dict[str, Any]:
    """Figures of each section, of each machine type, and of all."""
    sections = score_table(y_true, score_samples, test, year=2020, one_class="skip")
    summary = summary_table(y_true, score_samples, test, year=year, one_class="skip")
    parts = official_table(y_true, score_samples, test, year=year, one_class="skip")
    return {
        "official_score": float(summary["score_official"].iloc[-1]),
        "machines": summary.to_dict(orient="records"),
        "sections": sections.to_dict(orient="records"),
        "official_parts": parts.to_dict(orient="records"),
    }


def _known(test: pd.DataFrame) -> dict[str, list]:
    """Names of test clips."""
    names = {name: test[name].tolist() for name in ("machine_type", "section", "domain") if name in test.columns}
    clips = (
        [Path(path).name for path in test["path"]] if "path" in test.columns else [str(index) for index in test.index]
    )
    return {"clip": clips, **names}


def _last(detector: Any, name: str) -> Any:
    """A parameter of a detector, or of the last step of a pipeline."""
    parameters = (
        detector.steps[-1][1].get_params(deep=False) if hasattr(detector, "steps") else detector.get_params(deep=False)
    )
    return parameters.get(name)


def _score_with(detector: Any) -> str | None:
    """What the score knew of a clip; what "auto" came to."""
    last = detector.steps[-1][1] if hasattr(detector, "steps") else detector
    given = _last(detector, "score_with")
    return getattr(last, "_mode_of_offset", given) if given == "auto" else given


def _checkpoint(detector: Any) -> str:
    """How the weights that score were chosen: never by test clips."""
    members = _last(detector, "estimators")
    if members:
        return "; ".join(dict.fromkeys(f"{name}: {_checkpoint(member)}" for name, member in members))
    n_epochs, decay, patience = (_last(detector, name) for name in ("max_epochs", "averaging_decay", "patience"))
    if n_epochs is None:
        return "none: no epochs"
    weights = "last weights" if not decay else f"weights averaged with {decay}"
    if _last(detector, "validation_fraction") and patience:
        return f"{weights} of the epoch with the lowest held-out loss, {n_epochs} at most"
    return f"{weights} after {n_epochs} epochs"


def _where(n_threads: int, detector: Any) -> dict[str, Any]:
    devices = {value for name, value in detector.get_params().items() if name.rpartition("__")[2] == "device"}
    accelerated = bool(devices - {"cpu", None}) and torch.cuda.is_available()
    return {
        "device": torch.cuda.get_device_name() if accelerated else "cpu",
        "processor": _processor(),
        "threads": n_threads,
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in _PACKAGES},
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    names = [line for line in info.read_text().splitlines() if line.startswith("model name")] if info.exists() else []
    return names[0].partition(":")[2].strip() if names else platform.processor() or platform.machine()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


@contextmanager
def _threads(n_threads: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        with threadpool_limits(n_threads):
            yield
    finally:
        torch.set_num_threads(before)


def _forget_peak_memory() -> None:
    """Begin anew with the peak of this process, where the system allows it."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def _peak_memory() -> int | None:
    """Most bytes that this process held since; since its start where the system does not know, None where nobody does."""
    status = Path("/proc/self/status")
    if os.access(status, os.R_OK) and "VmHWM:" in (text := status.read_text()):
        return int(text.split("VmHWM:")[1].split()[0]) * 1024
    try:
        import resource  # which only Unix has
    except ImportError:
        return None
    in_bytes = sys.platform == "darwin"
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if in_bytes else 1024)
