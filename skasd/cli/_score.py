"""`skasd score`: fit on a folder of normal recordings and score other files."""

from pathlib import Path

import numpy as np
import pandas as pd

from skasd.cli._fit import check_out_folder, make_detector
from skasd.datasets import load_clip_folder


def run_score(
    files: list[Path],
    train: Path,
    *,
    detector: str,
    sample_rate: int,
    channel: str,
    out: Path | None,
    contamination: float | None,
    verbose: int,
) -> str:
    """Fit a detector, score files and return a report with one line per file: anomaly score, decision, path."""
    check_out_folder(out)
    paths = [path for given in files for path in _expanded(given)]
    _refuse_before_the_fit(paths, out)
    normal = load_clip_folder(train)
    model = make_detector(
        detector, contamination=contamination, verbose=verbose, sample_rate=sample_rate, channel=_channel(channel)
    )
    # the user declares the folder normal, so clips without a label are normal
    model.fit(normal.data["path"].tolist(), np.where(normal.target == -1, -1, 1))
    decision = model.decision_function(paths)
    anomaly_score = -(decision + model.offset_)  # in challenge files, high = anomalous
    if out is not None:
        _write(out, paths, anomaly_score, decision < 0)
    width = max(5, *(len(f"{value:.3f}") for value in anomaly_score))
    rows = zip(anomaly_score, np.where(decision < 0, "anomaly", "normal "), paths, strict=True)
    lines = [f"{value:{width}.3f}  {label}   {path}" for value, label, path in rows]
    written = [] if out is None else ["", f"anomaly_score.csv and decision_result.csv were written to {out}."]
    return "\n".join([f"{'score':>{width}}  decision  file", *lines, *written])


def _expanded(given: Path) -> list[str]:
    if given.is_dir():
        return load_clip_folder(given, labels=None).data["path"].tolist()
    return [str(given)]


def _channel(text: str) -> int | str:
    if text == "mean":
        return text
    if not text.isdigit():
        raise ValueError(f"--channel={text} is invalid; expected a number from 0, or mean.")
    return int(text)


def _refuse_before_the_fit(paths: list[str], out: Path | None) -> None:
    missing = [path for path in paths if not Path(path).is_file()]
    if missing:
        raise FileNotFoundError(f"{len(missing)} of {len(paths)} files to score do not exist: {', '.join(missing)}.")
    names = [Path(path).name for path in paths]
    twice = sorted({name for name in names if names.count(name) > 1})
    if out is not None and twice:
        raise ValueError(
            f"The files of --out identify recordings by file name, but several are named {', '.join(twice)}."
        )


def _write(folder: Path, paths: list[str], anomaly_score: np.ndarray, anomalous: np.ndarray) -> None:
    """Write two files in the challenge format without headers: name and score, name and 0 or 1."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [Path(path).name for path in paths]
    columns = {"anomaly_score.csv": anomaly_score.tolist(), "decision_result.csv": anomalous.astype(int).tolist()}
    for file, values in columns.items():
        rows = pd.DataFrame({"name": names, "value": values})
        rows.to_csv(folder / file, header=False, index=False, lineterminator="\n", encoding="utf-8")
