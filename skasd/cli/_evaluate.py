"""`skasd evaluate`: official metrics of a detector on a DCASE data set."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from skasd.cli._detectors import DEFAULT, checked_name, make_detector
from skasd.clips._machine_names import machine_names
from skasd.datasets import load_dcase, save_dcase_scores
from skasd.metrics import score_table, summary_table

_LEAST_TRAINING_CLIPS = 2


def run_evaluate(
    root: Path,
    *,
    year: int,
    detector: str | None,
    settings: Sequence[str],
    jobs: int,
    subset: str,
    machine_types: list[str] | None,
    ground_truth: Path | None,
    out: Path | None,
    contamination: float | None,
    verbose: int,
) -> str:
    """Fit and score a detector; return the report of its metrics per section and their aggregates."""
    if out is not None and out.exists() and not out.is_dir():
        raise NotADirectoryError(f"--out={out} is a file; it must be a folder.")
    name = checked_name(detector or DEFAULT)
    options: dict[str, Any] = {"settings": settings, "contamination": contamination, "n_jobs": jobs, "verbose": verbose}
    unfitted = make_detector(name, **options)
    clips = load_dcase(root, year=year, subset=subset, machine_types=machine_types, ground_truth=ground_truth)
    is_train = (clips.data["split"] == "train").to_numpy()
    if is_train.all() or not is_train.any():
        raise ValueError(
            f"{root} ({year}, {subset}) has {int(is_train.sum())} training and {int((~is_train).sum())} test clips; "
            "skasd evaluate needs both."
        )
    kept = _of_trained_sections(clips.data, is_train)
    train, is_test = clips.data[is_train & kept], ~is_train & kept
    model = unfitted.fit(train)
    test, y_true = clips.data[is_test], clips.target[is_test]
    score_samples = model.score_samples(test)
    written = ""
    if out is not None:
        y_pred = None if year == 2020 else model.predict(test)
        files = save_dcase_scores(out, test, score_samples, year=year, y_pred=y_pred)
        written = f"\n\n{len(files)} files were written to {out}."
    known = y_true != 0
    if not known.any():
        return f"{len(test)} clips were scored; none has a label, so there are no metrics." + written
    n_all = len(clips.data[~is_train][["machine_type", "section"]].drop_duplicates())
    return _report(y_true[known], score_samples[known], test[known], year, n_all) + written


def _of_trained_sections(table: pd.DataFrame, is_train: np.ndarray) -> np.ndarray:
    """Mask (n_clips,) of clips in sections with enough training clips; warns about the other sections."""
    names = machine_names(table)
    n_train = names[is_train].value_counts().reindex(names.unique(), fill_value=0)
    few = sorted(n_train.index[n_train < _LEAST_TRAINING_CLIPS])
    if len(few) == len(n_train):
        raise ValueError(f"No section has at least {_LEAST_TRAINING_CLIPS} training clips, which a detector needs.")
    if few:
        warnings.warn(
            f"Sections left out for having fewer than {_LEAST_TRAINING_CLIPS} training clips: {', '.join(few)}.",
            stacklevel=2,
        )
    return (~names.isin(few)).to_numpy()


def _report(y_true: np.ndarray, score_samples: np.ndarray, test: pd.DataFrame, year: int, n_all: int) -> str:
    sections = score_table(y_true, score_samples, test, year=year, one_class="skip")
    parts = [_text("Metrics of each section:", sections)]
    try:
        summary = summary_table(y_true, score_samples, test, year=year, one_class="skip")
    except ValueError as error:
        return "\n\n".join([*parts, f"The official score of {year} cannot be computed: {error}"])
    n_kept = int(summary["n_sections"].iloc[-1])
    parts.append(
        _text(
            "Official aggregate, pooled over sections, and worst section (pAUC standardised):",
            summary.dropna(axis=1, how="all"),
        )
    )
    of_all = f"all {n_all} sections" if n_kept == n_all else f"{n_kept} of {n_all} sections, so not the official score"
    parts.append(f"score of {year}: {summary['score_official'].iloc[-1]:.4f} ({of_all})")
    return "\n\n".join(parts)


def _text(title: str, table: pd.DataFrame) -> str:
    return f"{title}\n{table.round(4).to_string(index=False)}"
