"""One task of a suite: fit a detector on a data set with a seed, score the test clips and record how that was done."""

import datetime
import hashlib
import os
import platform
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import adjusted_rand_score
from threadpoolctl import threadpool_limits

from skasd._interrupt import interrupts_end_fits, was_interrupted
from skasd._threshold import threshold_unused
from skasd.benchmark._complexity import complexity
from skasd.benchmark._data import SuiteData, forget_data, load_data
from skasd.benchmark._estimators import describe_changes, essence, seeded_clone
from skasd.benchmark._features import FeatureStore
from skasd.benchmark._proxies import Proxies, mean_of_folds
from skasd.benchmark._suite import Entry
from skasd.benchmark._ways import Score, way_names, ways_to_score
from skasd.metrics import official_table, score_table, summary_table

_PACKAGES = ("skasd", "numpy", "scipy", "scikit-learn", "torch", "skorch")
_ONE_AT_A_TIME = threading.Lock()  # per process: torch has one global generator, and memory is measured per process


@dataclass(frozen=True)
class Task:
    """Everything needed to run it anywhere.

    `description` is that of the data, and `fingerprint` what the loaded clips must have; `family` is the same for all seeds.
    """

    suite: str
    data: str
    description: Any
    fingerprint: str
    family: str
    detector: str
    entry: Entry
    seed: int
    cache: Path
    n_threads: int

    results: tuple[tuple[str | None, str, str, str], ...] = field(init=False)  # way to score, name, setting and key

    def __post_init__(self) -> None:
        features = "" if self.entry.features is None else essence(self.entry.features)
        shared = [essence(self.entry.prepared()), features]
        results: list[tuple[str | None, str, str, str]] = []
        ways: list[str | None] = [*way_names(self.entry.score_with, self.entry.back_ends)]
        for way in ways or [None]:
            text = "\n".join([*shared, *self._text_of(way)])
            setting = _short_hash(f"{self.family}\n{text}")
            key = _short_hash(f"{self.fingerprint}\n{text}\n{self.seed}")
            results.append((way, self.detector if way is None else f"{self.detector}, {way}", setting, key))
        object.__setattr__(self, "results", tuple(results))

    def _text_of(self, way: str | None) -> list[str]:
        if way is None:
            return []
        scorer = self.entry.back_ends.get(way.removeprefix("embedding, "))
        return [way] if scorer is None else [way, essence(scorer)]

    @property
    def names(self) -> list[tuple[str, str, str]]:
        """Data set, name of the detector and key of each result."""
        return [(self.data, name, key) for _, name, _, key in self.results]


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def run_task(task: Task) -> list[dict[str, Any]]:
    """Results of a task, with the scores under ``"scores"``; a failed task has one, with a message under ``"error"``."""
    try:
        with _ONE_AT_A_TIME, _threads(task.n_threads), interrupts_end_fits():
            return _results(task)
    except Exception as error:
        return [failed(task, f"{type(error).__name__}: {error}", traceback.format_exc())]


def failed(task: Task, message: str, trace: str = "") -> dict[str, Any]:
    """What is recorded of a task without a result."""
    names = {"suite": task.suite, "data": task.data, "detector": task.detector, "seed": task.seed}
    return {**names, "key": task.results[0][3], "error": message, "traceback": trace}


def _results(task: Task) -> list[dict[str, Any]]:
    """A result for each way to score of one fitted detector."""
    _forget_peak_memory()
    loaded = _loaded(task)
    begin = time.perf_counter()
    data = replace(loaded, table=_with_features(loaded, task))
    train, test, y_true = data.split()
    train, kept = data.protocol.held_out(train, task.seed)
    detector = seeded_clone(task.entry.prepared(), task.seed, task.n_threads)
    ready = time.perf_counter()
    _fit_whole(detector, data.protocol.hide(train))
    fitted = time.perf_counter()
    shared = {
        **_inputs(task, data, len(train), len(test)),
        **_learnt(detector, train),
        "feature_seconds": ready - begin,
        "fit_seconds": fitted - ready,
    }
    proxies = _proxies_of(task, loaded, train, kept)
    ways = ways_to_score(detector, task.entry.score_with, task.entry.back_ends, data.protocol.hide(train))
    rows = []
    for (way, score), (_, name, setting, key) in zip(ways.items(), task.results, strict=True):
        start = time.perf_counter()
        score_samples = np.asarray(score(data.as_tested(test)), dtype=np.float64)
        row = {
            "suite": task.suite,
            "data": task.data,
            "detector": name,
            "seed": task.seed,
            "key": key,
            "setting": setting,
            **shared,
            "score_with": _score_with(detector) if way is None else way,
            "checkpoint": _checkpoint(detector),
            **_figures(y_true, score_samples, test, data.year),
            "proxies": proxies(way, score),
            "score_seconds": time.perf_counter() - start,
            "peak_bytes": _peak_memory(),
            **_where(task.n_threads, detector),
            "scores": {"table": _known(test), "y_true": y_true.tolist(), "score_samples": score_samples.tolist()},
        }
        rows.append(row)
    first = data.as_tested(test.iloc[:1])  # after the times and the memory of all ways
    return [{**row, **complexity(detector, score, first)} for row, score in zip(rows, ways.values(), strict=True)]


def _fit_whole(detector: Any, train: pd.DataFrame) -> Any:
    """Fit a detector, of which only scores are used; one whose training was interrupted gives no result."""
    with threshold_unused():
        detector.fit(train)
    if was_interrupted(detector):
        raise KeyboardInterrupt("The training was interrupted.")
    return detector


def _loaded(task: Task) -> SuiteData:
    data = load_data(task.description, task.seed)
    if data.fingerprint != task.fingerprint:
        forget_data()
        data = load_data(task.description, task.seed)
    if data.fingerprint != task.fingerprint:
        raise ValueError(f"The data {task.data!r} are other clips here than where the suite was started.")
    return data


def _featured(table: pd.DataFrame, task: Task) -> pd.DataFrame:
    """Clips with log-mels, computed here."""
    if task.entry.features is None or "log_mel" in table.columns:
        return table
    features = seeded_clone(task.entry.features, 0, task.n_threads).fit_transform(table)
    return features.drop(columns=["path", "waveform"], errors="ignore")


def _with_features(data: SuiteData, task: Task) -> pd.DataFrame:
    """Clips with log-mels from the folder that all tasks share."""
    if task.entry.features is None:
        return data.table
    return FeatureStore(task.cache).with_log_mels(data, seeded_clone(task.entry.features, 0, task.n_threads))


def _proxies_of(
    task: Task, loaded: SuiteData, train: pd.DataFrame, kept: pd.DataFrame
) -> Callable[[str | None, Score], dict[str, Any] | None]:
    """Function from a way to score to the figures of proxies."""
    if loaded.protocol.proxies is None:
        return lambda way, score: None
    key = "" if task.entry.features is None else essence(task.entry.features)
    proxies = Proxies(loaded, lambda table: _featured(table, task), key)
    folds: dict[str | None, list[dict[str, Any]]] = {}
    for learnt, held_out in proxies.folds(train):
        learnt = loaded.protocol.hide(learnt)
        detector = _fit_whole(seeded_clone(task.entry.prepared(), task.seed, task.n_threads), learnt)
        for way, score in ways_to_score(detector, task.entry.score_with, task.entry.back_ends, learnt).items():
            folds.setdefault(way, []).append(proxies.figures(score, held_out))
    if folds:
        return lambda way, score: mean_of_folds(folds[way])
    return lambda way, score: proxies.figures(score, kept)


def _inputs(task: Task, data: SuiteData, n_train: int, n_test: int) -> dict[str, Any]:
    """What went into the result."""
    parameters = describe_changes(task.entry.prepared())
    return {
        "class": parameters.pop("class"),
        "parameters": parameters,
        "features": describe_changes(task.entry.features),
        "tags": {**data.protocol.tags, **task.entry.tags},
        "fingerprint": data.fingerprint,
        "year": data.year,
        "subset": data.subset,
        "published": list(task.entry.published),
        "n_train": n_train,
        "n_test": n_test,
    }


def _learnt(detector: Any, train: pd.DataFrame) -> dict[str, Any]:
    """What the fit found: the lowest loss on held-out clips, and how well its classes agree with the attributes."""
    last = detector.steps[-1][1] if hasattr(detector, "steps") else detector
    losses = [epoch["valid_loss"] for epoch in getattr(last, "history_", ()) if "valid_loss" in epoch]
    return {"held_out_loss": min(losses, default=None), "agreement": _agreement(last, train)}


def _agreement(detector: Any, train: pd.DataFrame) -> dict[str, float] | None:
    """Adjusted Rand index of classes and attributes: of all clips, and of source clips, where the domain is no help."""
    labels = getattr(detector, "labels_", None)
    if labels is None or "attributes" not in train.columns or train["attributes"].isna().any():
        return None
    labels, attributes = np.asarray(labels), train["attributes"].to_numpy()
    agreement = {"all": float(adjusted_rand_score(attributes, labels))}
    if "domain" in train.columns:
        source = (train["domain"] == "source").to_numpy()
        agreement["source"] = float(adjusted_rand_score(attributes[source], labels[source]))
    return agreement


def _figures(y_true: np.ndarray, score_samples: np.ndarray, test: pd.DataFrame, year: int) -> dict[str, Any]:
    """Metrics of each section, of each machine type, and of all."""
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
    """Identity of the test clips."""
    names = {name: test[name].tolist() for name in ("machine_type", "section", "domain") if name in test.columns}
    clips = (
        [Path(path).name for path in test["path"]] if "path" in test.columns else [str(index) for index in test.index]
    )
    return {"clip": clips, **names}


def _last_step(detector: Any) -> Any:
    """The detector itself, or the last step of a pipeline."""
    return detector.steps[-1][1] if hasattr(detector, "steps") else detector


def _score_with(detector: Any) -> str | None:
    """What the score knew of a clip; what "auto" was resolved to."""
    last = _last_step(detector)
    return getattr(last, "score_with_", None) if "score_with" in last.get_params(deep=False) else None


def _histories(detector: Any) -> list[list[dict[str, Any]]]:
    """Epochs of each training of a detector."""
    return [*getattr(detector, "histories_", {}).values()] or [detector.history_]


def _checkpoint(detector: Any) -> str:
    """How the weights were chosen; never by test clips."""
    last = _last_step(detector)
    if hasattr(last, "named_estimators_"):
        members = last.named_estimators_.items()
        return "; ".join(dict.fromkeys(f"{name}: {_checkpoint(member)}" for name, member in members))
    plan = getattr(last, "training_", None)
    if plan is None:
        return "none: no epochs"
    weights = f"weights averaged with {plan.ema_decay}" if plan.ema_decay else "last weights"
    if any("valid_loss" in epoch for history in _histories(last) for epoch in history):
        return f"{weights} of the epoch with the lowest validation loss, {plan.max_epochs} at most"
    return f"{weights} after {plan.max_epochs} epochs"


def _where(n_threads: int, detector: Any) -> dict[str, Any]:
    devices = {value for name, value in detector.get_params().items() if name.rpartition("__")[2] == "device"}
    return {
        "device": _accelerator() if devices - {"cpu", None} else "cpu",
        "processor": _processor(),
        "threads": n_threads,
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in _PACKAGES},
        "commit": _commit(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    names = [line for line in info.read_text().splitlines() if line.startswith("model name")] if info.exists() else []
    return names[0].partition(":")[2].strip() if names else platform.processor() or platform.machine()


@lru_cache(maxsize=1)
def _commit() -> str | None:
    """Commit of the checkout that skasd is imported from, if it is one."""
    folder = Path(__file__).resolve().parents[2]
    if not (folder / ".git").exists():
        return None
    command = ["git", "-C", str(folder), "rev-parse", "--short", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _accelerator() -> str:
    """Name of the accelerator, or "cpu"."""
    import torch  # imported here so that detectors without a network do not load it

    return torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"


@contextmanager
def _threads(n_threads: int) -> Iterator[None]:
    torch = sys.modules.get("torch")  # a detector that needs it has loaded it
    if torch is None:
        with threadpool_limits(n_threads):
            yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        with threadpool_limits(n_threads):
            yield
    finally:
        torch.set_num_threads(before)


def _forget_peak_memory() -> None:
    """Reset the peak memory of this process, where the system allows it."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def _peak_memory() -> int | None:
    """Peak memory in bytes since the reset, or since the start of the process; None where the system does not tell."""
    status = Path("/proc/self/status")
    if os.access(status, os.R_OK) and "VmHWM:" in (text := status.read_text()):
        return int(text.split("VmHWM:")[1].split()[0]) * 1024
    try:
        import resource  # which only Unix has
    except ImportError:
        return None
    in_bytes = sys.platform == "darwin"
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if in_bytes else 1024)
