"""`skasd score`: score recordings by a model file, or by detectors that are fitted to a folder first."""

from pathlib import Path
from typing import Any

from skasd.cli._models import load_scored, score_recordings, scored_machines
from skasd.cli._recordings import common_folder, list_recordings
from skasd.cli._score_table import Row, check_csv, report, sort_rows, write_csv

_ALARMS, _BAD_RECORDINGS = 1, 2  # exit statuses


def run_score(
    files: list[Path],
    *,
    model: Path | None,
    train: Path | None,
    fitting: dict[str, Any],
    jobs: int,
    csv: Path | None,
    scheduler: str | None,
    exit_status: bool,
    strict: bool,
    verbose: int,
) -> tuple[str, int]:
    """Score recordings; return a report with one line per file, and the exit status."""
    if (model is None) == (train is None):
        raise ValueError("Give either --model, a file that skasd fit wrote, or --train, a folder of normal recordings.")
    given = [
        f"--{name.replace('_', '-')}"
        for name, value in fitting.items()
        if not (value is None or value is False or value == [])
    ]
    if model is not None and given:
        raise ValueError(
            f"{', '.join(given)} belong to a fit, and have no effect on the model {model}; leave them out."
        )
    check_csv(csv)
    if scheduler is not None and (model is None or csv is None):
        raise ValueError(
            f"--scheduler={scheduler} takes --model, a file that is sent to the workers, and --csv, a table; rows are kept "
            "beside it while they come in."
        )
    recordings = list_recordings(files)
    if scheduler is not None and model is not None and csv is not None:
        from skasd.cli._scheduler import scored_on_cluster

        cluster = scored_on_cluster(
            recordings, scheduler, model=model, csv=csv, jobs=jobs, strict=strict, verbose=verbose
        )
        with cluster as (rows, note):
            text, status = _told(rows, files, csv, exit_status)
        return text + (f"\n{note}" if note else ""), status
    is_whole = True
    if model is not None:
        machines = load_scored(model, jobs)
    else:
        from skasd.cli._fit import fit_detectors

        training = fit_detectors(train, **fitting, jobs=jobs, strict=strict, verbose=verbose)
        machines, is_whole = scored_machines(training.models), training.is_whole
    rows = score_recordings(recordings, machines, strict=strict, verbose=verbose)
    text, status = _told(rows, files, csv, exit_status)
    return text, status if is_whole else _BAD_RECORDINGS


def _told(rows: list[Row], files: list[Path], csv: Path | None, exit_status: bool) -> tuple[str, int]:
    """Write the table; return the report with one line per file, and the exit status."""
    rows = sort_rows(rows)
    written = "" if csv is None else f"\n\n{write_csv(csv, rows, common_folder(files))} was written."
    status = _ALARMS if exit_status and any(row.decision == "anomaly" for row in rows) else 0
    return report(rows) + written, _BAD_RECORDINGS if any(row.reason for row in rows) else status
