"""`skasd report`: the results of a benchmark beside published ones, or a page about watched machines."""

from pathlib import Path
from typing import Any


def run_report(
    results: Path | None,
    *,
    database: Path | None,
    out: Path | None,
    compare: tuple[str, str] | None,
    timeline: dict[str, Any],
    verbose: int,
) -> str:
    """Write the report that was asked for, and return what is printed.

    Parameters
    ----------
    results : Path or None
        Results folder of a benchmark.
    database : Path or None
        Database of ``skasd watch``; one of both is given.
    out : Path or None
        Folder for the report of a benchmark, or HTML file of the page.
    compare : tuple of str or None
        Two detectors of a benchmark.
    timeline : dict of str to Any
        Options of the page; None where they were not given.
    verbose : int
        Shows a progress bar if 1 or larger.
    """
    if (results is None) == (database is None):
        raise ValueError(
            "Give either the results folder of skasd benchmark, or --database, the file that skasd watch writes."
        )
    given = {name: value for name, value in timeline.items() if value is not None}
    if results is not None:
        _refuse([f"--{name}" for name in given], "the results of a benchmark")
        from skasd.benchmark import report

        return report(results, out=out or results, compare=compare)
    _refuse(["--compare"] if compare else [], "a database of skasd watch")
    if database is None or out is None:
        raise ValueError("--database needs --out, the HTML file to write, such as --out watch.html.")
    from skasd.report import write_timeline
    from skasd.report._write_report import writable

    writable("--out", out)
    return f"{write_timeline(database, out, **given, verbose=verbose)} was written."


def _refuse(options: list[str], what: str) -> None:
    if options:
        raise ValueError(f"{', '.join(options)} cannot be used with {what}; leave it out.")
