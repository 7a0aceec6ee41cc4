"""`skasd show`: what is in a model file."""

from pathlib import Path
from typing import Any

from skasd.cli._score_table import printable
from skasd.clips._machine_names import split_names
from skasd.persistence import describe
from skasd.persistence._container import refused


def run_show(path: Path) -> str:
    """Return the description of a model file as lines of text."""
    about = describe(path)
    with refused(path):
        return _text(path, about)


def _text(path: Path, about: dict[str, Any]) -> str:
    machines = about.get("machines")
    if machines is None:
        lines = [f"{path}: {about['estimator']}", *_lines(about), *_ends(about)]
    else:
        lines = [f"{path}: {len(machines)} detector{'s' if len(machines) > 1 else ''} by machine"]
        for name, part in machines.items():
            lines += ["", f"{name}: {part['estimator']}", *_lines(part)]
        lines += ["", *_ends(about)]
    return "\n".join(map(printable, lines))


def _lines(about: dict[str, Any]) -> list[str]:
    lines = []
    if (training := about["training"]) is not None:
        names = ["/".join(filter(None, cells)) or "without a name" for cells in split_names(training["machines"])]
        of = ", ".join(f"{name}: {count}" for name, count in zip(names, training["machines"].values(), strict=True))
        lines.append(f"  fitted       {training['fitted']} on {training['n_clips']} clips{f' ({of})' if of else ''}")
        lines.append(f"  fingerprint  {training['fingerprint']}")
    if (calibration := about.get("calibration")) is not None:
        lines += _calibrated(calibration)
    elif about["threshold"] is not None:
        lines.append(f"  threshold    {-about['threshold']:.6g} (anomaly score; higher is an anomaly)")
    return [*lines, "  parameters", *(f"    {name} = {value}" for name, value in about["parameters"].items())]


def _calibrated(calibration: dict[str, Any]) -> list[str]:
    """Lines about the decisions of a calibrated detector, with one for each group."""
    lines = [f"  decisions    false alarm rate {100 * calibration['alpha']:g} %, calibrated by {calibration['method']}"]
    for name, threshold in calibration["thresholds"].items():
        note = " (provisional)" if calibration["is_provisional"][name] else ""
        n, of = calibration["n_calibration"][name], f" of {name}" if name else ""
        lines.append(f"  threshold    {threshold:.6g}{of} (anomaly score; higher is an anomaly), {n} recordings{note}")
    return lines


def _ends(about: dict[str, Any]) -> list[str]:
    versions = ", ".join(f"{library} {version}" for library, version in about["versions"].items() if version)
    return [f"  saved        {about['saved']}", f"  written by   {versions}", f"  file format  {about['format']}"]
