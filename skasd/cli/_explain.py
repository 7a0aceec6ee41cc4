"""`skasd explain`: an HTML page about recordings, with what stands out in each and a player to hear it."""

import os
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from skasd.cli._models import Scored, load_models, score_recordings
from skasd.cli._recordings import Recording, common_folder, find_machine, list_recordings, why_unreadable
from skasd.clips._files import readable_name
from skasd.clips._readers import readers_of
from skasd.persistence import describe

_BAD_RECORDINGS = 2  # exit status


def run_explain(
    files: list[Path],
    *,
    model: Path,
    out: Path,
    normal: list[Path] | None,
    title: str,
    most: int,
    audio: str,
    jobs: int,
    strict: bool,
    verbose: int,
) -> tuple[str, int]:
    """Write a page about recordings; return what was written, and the exit status."""
    from skasd.report._write_report import check_options, writable, write_groups

    check_options(most, audio)
    writable("--out", out)
    recordings, known = list_recordings(files), list_recordings(normal or [])
    machines = load_models(model, jobs)
    rows = score_recordings(recordings, machines, strict=strict, verbose=verbose)
    top = common_folder(files)
    scored = {row.file: row.machine for row in rows if not row.reason}
    of_machine = _by_machine(scored.items())
    normals, bad_normals = _normals(known, machines, of_machine, strict=strict, verbose=verbose)
    groups = [
        _group(name, machines[name], paths, top, normals.get(name, []), common_folder(normal or []))
        for name, paths in of_machine.items()
    ]
    unusable = [(_short(row.file, top), row.reason) for row in rows if row.reason] + bad_normals
    write_groups(
        groups,
        out,
        unusable=unusable,
        about={**describe(model), "file": model.name},
        title=title,
        most=most,
        audio=audio,
        n_jobs=jobs,
        verbose=verbose,
    )
    n_anomalies = sum(row.decision == "anomaly" for row in rows)
    return _said(out, len(rows), n_anomalies, unusable), _BAD_RECORDINGS if unusable else 0


def _by_machine(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Files of each machine."""
    found: dict[str, list[str]] = {}
    for file, machine in pairs:
        found.setdefault(machine, []).append(file)
    return found


def _normals(
    known: list[Recording], machines: dict[str, Scored], wanted: dict[str, list[str]], *, strict: bool, verbose: int
) -> tuple[dict[str, list[str]], list[tuple[str, str]]]:
    """Known normal recordings that can be read, of each machine that is on the page; and why others cannot."""
    named = [(recording.file, find_machine(recording, list(machines))) for recording in known]
    found = _by_machine((file, machine) for file, machine in named if machine is not None and machine in wanted)
    if known and wanted and not found:
        raise ValueError(
            f"None of the {len(known)} recordings of --normal is of a machine on the page ({', '.join(wanted)}); they must "
            "lie in folders with the names of their machines."
        )
    strangers = sum(machine is None for _, machine in named)
    if strangers:
        warnings.warn(
            f"{strangers} of {len(known)} recordings of --normal are of none of the machines that were learnt "
            f"({', '.join(machines)}), and not compared with.",
            stacklevel=2,
        )
    bad: dict[str, str] = {}
    for machine, paths in found.items():
        bad |= why_unreadable(paths, readers_of(machines[machine].detector)[0], strict=strict, verbose=verbose)
    return (
        {machine: [path for path in paths if path not in bad] for machine, paths in found.items()},
        [(readable_name(path), f"{reason} (given with --normal)") for path, reason in bad.items()],
    )


def _group(
    machine: str, scored: Scored, paths: list[str], top: str | None, normal: list[str], above: str | None
) -> Any:
    from skasd.report._groups import Group

    names, machines = [_short(path, top) for path in paths], [machine] * len(paths)
    if not normal:
        return Group(scored.detector, _clips(scored, paths), names, machines)
    known = [_short(path, above) for path in normal]
    of_known = _clips(scored, normal)
    return Group(scored.detector, _clips(scored, paths), names, machines, of_known, known, [machine] * len(normal))


def _clips(scored: Scored, paths: list[str]) -> Any:
    """Recordings as the detector of their machine takes them: paths, or a clip table that names the machine."""
    if scored.cells is None:
        return paths
    return pd.DataFrame({"path": paths, **{column: [cell] * len(paths) for column, cell in scored.cells.items()}})


def _short(path: str, top: str | None) -> str:
    return readable_name(Path(os.path.relpath(path, top) if top else path).as_posix())


def _said(out: Path, n_clips: int, n_anomalies: int, unusable: list[tuple[str, str]]) -> str:
    size = out.stat().st_size / 2**20
    bad = f", and {len(unusable)} could not be used" if unusable else ""
    return f"{out} was written: {n_anomalies} of {n_clips} recordings are anomalies{bad}; {size:.1f} MiB."
