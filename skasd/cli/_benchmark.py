"""`skasd benchmark`: run a suite and report its results."""

from contextlib import suppress
from pathlib import Path

import typer

from skasd.benchmark import read_suite, report, run_suite


def run_benchmark(
    source: str,
    out: Path,
    n_jobs: int,
    n_threads: int,
    scheduler: str | None,
    seeds: list[int] | None,
    *,
    verbose: int,
) -> str:
    """Run the unfinished tasks of a suite and return its report."""
    suite = read_suite(source)
    if seeds:
        suite = suite.with_seeds(seeds)
    try:
        table = run_suite(suite, out, n_jobs=n_jobs, n_threads=n_threads, scheduler=scheduler, verbose=verbose)
    except RuntimeError:
        if (out / "results.jsonl").exists():
            with suppress(ValueError):  # results of other data in the folder; which tasks failed is more important
                typer.echo(report(out, out=out))
        raise
    return report(out, out=out, keys=set(table["key"]))
