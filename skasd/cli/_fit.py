"""`skasd fit`: fit detectors to a folder of normal recordings and keep them in a model file."""

import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from skasd.cli._detectors import DEFAULT, USUAL_RATE, checked_name, learns_alone, make_calibrated
from skasd.cli._models import save_models
from skasd.cli._score_table import printable
from skasd.cli._training import Training, fit_folder

_BAD_RECORDINGS = 2  # exit status


def run_fit(folder: Path, out: Path, *, strict: bool, verbose: int, **fitting: object) -> tuple[str, int]:
    """Fit and save; return what was done, and the exit status."""
    if out.is_dir() or not out.absolute().parent.is_dir():
        raise ValueError(f"--out={out} must name a file, such as model.skasd, in a folder that exists.")
    if not os.access(out.absolute().parent, os.W_OK):
        raise PermissionError(f"--out={out} cannot be written: its folder may not be written to.")
    training = fit_detectors(folder, **fitting, strict=strict, verbose=verbose)  # type: ignore[arg-type]
    models = {machine: model for machine, model in training.models.items() if not isinstance(model, str)}
    save_models(models, out)
    names = [printable(name) for name in models if name]
    first: Any = next(iter(models.values()))
    what = f"{type(first.detector).__name__}, {training.n_recordings} normal recordings"
    machines = f" of {len(names)} machine{'s' if len(names) > 1 else ''} ({', '.join(names)})" if names else ""
    decisions = f"\nFalse alarm rate of its decisions: {100 * first.alpha_:g} %.{_provisional(models)}"
    return f"{out} was written: {what}{machines}.{decisions}", 0 if training.is_whole else _BAD_RECORDINGS


def _provisional(models: Mapping[str, Any]) -> str:
    """Sentence about the machines whose decisions are provisional; empty if there are none."""
    few = [
        (printable(name or group) or "the machine", model.n_calibration_[group])
        for name, model in models.items()
        for group, is_provisional in model.is_provisional_.items()
        if is_provisional
    ]
    if not few:
        return ""
    numbers = ", ".join(f"{name}: {n}" for name, n in few)
    return f" Provisional, as too few recordings calibrate them ({numbers})."


def fit_detectors(
    folder: Path | None,
    *,
    detector: str | None,
    set: Sequence[str] | None,
    alpha: float | None,
    sample_rate: int | None,
    channel: str | None,
    one_machine: bool,
    jobs: int,
    strict: bool,
    verbose: int,
) -> Training:
    """Fit detectors to a folder by the options of the command line; an option that is None or empty was not given."""
    if folder is None:
        raise ValueError("A folder of normal recordings is needed.")
    name = checked_name(detector or DEFAULT)
    make = partial(
        make_calibrated,
        name,
        settings=set or (),
        alpha=alpha,
        sample_rate=USUAL_RATE if sample_rate is None else sample_rate,
        channel=_channel(channel or "0"),
        n_jobs=jobs,
        verbose=verbose,
    )
    make()  # a wrong setting is told of before anything is read
    alone = learns_alone(name)
    return fit_folder(folder, make, alone=alone, one_machine=one_machine, strict=strict, verbose=verbose)


def _channel(text: str) -> int | str:
    if text in ("mean", "residual"):
        return text
    if not text.isdigit():
        raise ValueError(f"--channel={text} is invalid; expected a number from 0, mean or residual.")
    return int(text)
