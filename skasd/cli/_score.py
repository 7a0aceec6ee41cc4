"""`skasd score`: fit on a folder of normal recordings, one detector for each machine, and score other files."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from skasd.base import BaseDetector
from skasd.cli._fit import check_out_folder, make_detector
from skasd.cli._recordings import (
    Recording,
    common_folder,
    find_machine,
    list_recordings,
    listed,
    machine_names,
    why_unreadable,
)
from skasd.cli._score_table import Row, report, sort_rows, write_csv
from skasd.clips import ClipReader
from skasd.clips._files import readable_name
from skasd.datasets import load_clip_folder

_ALARMS, _BAD_RECORDINGS = 1, 2  # exit statuses
Models = dict[str, BaseDetector | str]  # detector of each machine, or why there is none


def run_score(
    files: list[Path],
    train: Path,
    *,
    detector: str,
    sample_rate: int,
    channel: str,
    out: Path | None,
    contamination: float | None,
    one_machine: bool,
    strict: bool,
    exit_status: bool,
    verbose: int,
) -> tuple[str, int]:
    """Fit and score; return a report with one line per file, and the exit status."""
    check_out_folder(out)
    reader = ClipReader(sample_rate, _channel(channel))
    settings: dict[str, Any] = {
        "contamination": contamination,
        "sample_rate": sample_rate,
        "channel": reader.channel,
        "verbose": verbose,
    }
    recordings = list_recordings(files)
    bad = why_unreadable([recording.file for recording in recordings], reader, strict=strict, verbose=verbose)
    normal, left_out = _normal_recordings(train, one_machine, reader, strict, verbose)
    models = _fitted(normal, lambda: make_detector(detector, **settings), strict)
    rows = sort_rows(_scored(recordings, models, bad, strict))
    written = "" if out is None else f"\n\n{write_csv(out, rows, common_folder(files))} was written."
    status = _ALARMS if exit_status and any(row.decision == "anomaly" for row in rows) else 0
    if left_out or any(row.reason for row in rows) or any(isinstance(model, str) for model in models.values()):
        status = _BAD_RECORDINGS
    return report(rows) + written, status


def _channel(text: str) -> int | str:
    if text in ("mean", "residual"):
        return text
    if not text.isdigit():
        raise ValueError(f"--channel={text} is invalid; expected a number from 0, mean or residual.")
    return int(text)


def _normal_recordings(
    train: Path, one_machine: bool, reader: ClipReader, strict: bool, verbose: int
) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Files to train on by machine, and the files that cannot be read with their reasons."""
    clips = load_clip_folder(train, machines=None if one_machine else "folders")
    table = clips.data[clips.target != -1]  # the user declares the folder normal, so clips without a label are normal
    if table.empty:
        raise ValueError(f"All recordings in {train} are in folders of anomalies; a detector learns from normal ones.")
    bad = why_unreadable(table["path"].tolist(), reader, strict=strict, verbose=verbose)
    if len(bad) == len(table):
        raise ValueError(f"None of the {len(bad)} recordings in {train} can be used:\n{listed(bad)}")
    if bad:
        warnings.warn(f"{len(bad)} of {len(table)} recordings are not learnt from:\n{listed(bad)}", stacklevel=2)
    by_machine: dict[str, list[str]] = {name: [] for name in sorted(machine_names(table))}
    if "" in by_machine and len(by_machine) > 1:
        loose = [path for path, name in zip(table["path"], machine_names(table), strict=True) if not name]
        raise ValueError(
            f"{len(loose)} recordings lie directly in {train}, such as {readable_name(Path(loose[0]).name)}, and others in "
            f"subfolders, which are machines: {', '.join(filter(None, by_machine))}. Move them into the folder of their "
            "machine, or use --one-machine if all are of one machine."
        )
    for path, name in zip(table["path"], machine_names(table), strict=True):
        if path not in bad:
            by_machine[name].append(path)
    return by_machine, bad


def _fitted(normal: dict[str, list[str]], make: Any, strict: bool) -> Models:
    """A detector with a threshold of its own for each machine; or why there is none, if others have one."""
    models: Models = {}
    for machine, paths in normal.items():
        try:
            models[machine] = make().fit(paths) if paths else "none of its training recordings can be used"
        except ValueError as error:
            if strict or len(normal) == 1:
                raise
            models[machine] = f"no detector could be fitted: {error}"
    failed = {machine: model for machine, model in models.items() if isinstance(model, str)}
    if len(failed) == len(models):
        raise ValueError(f"No detector could be fitted to any machine:\n{listed(failed)}")
    if failed:
        warnings.warn(f"{len(failed)} of {len(models)} machines are not scored:\n{listed(failed)}", stacklevel=2)
    return models


def _scored(recordings: list[Recording], models: Models, bad: dict[str, str], strict: bool) -> list[Row]:
    machines = {recording.file: find_machine(recording, list(models)) for recording in recordings}
    rows = []
    for recording in recordings:
        machine = machines[recording.file]
        reason = bad.get(recording.file) or _why_no_model(machine, models)
        if reason and strict:
            raise ValueError(f"{readable_name(recording.file)}: {reason}.")
        if reason:
            rows.append(Row(recording.file, machine or "", reason=reason))
    refused = {row.file for row in rows}
    for machine, model in models.items():
        paths = [file for file, name in machines.items() if name == machine and file not in refused]
        if paths and not isinstance(model, str):
            rows += _rows(machine, model, paths)
    return rows


def _why_no_model(machine: str | None, models: Models) -> str:
    if machine is None:
        known = ", ".join(models)
        return f"its folders name none of the machines that were learnt ({known}), and --one-machine was not given"
    model = models[machine]
    return model if isinstance(model, str) else ""


def _rows(machine: str, model: BaseDetector, paths: list[str]) -> list[Row]:
    """Rows of recordings of one machine; where some cannot be scored, those that can."""
    try:
        decision = model.decision_function(paths)
    except ValueError as error:
        if len(paths) == 1:
            return [Row(paths[0], machine, reason=str(error))]
        return [row for path in paths for row in _rows(machine, model, [path])]
    scores, threshold = -(decision + model.offset_), -float(model.offset_)  # high = anomalous
    decisions = np.where(decision < 0, "anomaly", "normal").tolist()
    return [
        Row(path, machine, score, threshold, text)
        for path, score, text in zip(paths, scores.tolist(), decisions, strict=True)
    ]
