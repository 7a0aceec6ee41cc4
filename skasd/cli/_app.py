"""Commands of the command line with their arguments and help; the other files of this folder do the work."""

import sys
import warnings
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
import typer.core

from skasd._interrupt import interrupts_end_fits
from skasd._version import __version__

_BAD_INPUT, _INTERRUPTED = 2, 130  # exit codes; the second is 128 plus the number of the signal of Ctrl-C


class InterruptedCommandError(Exception):
    """Ctrl-C in a command, which typer would end without a word."""


class _Commands(typer.core.TyperGroup):
    def invoke(self, ctx: Any) -> Any:
        try:
            with interrupts_end_fits():
                return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise InterruptedCommandError(str(error) or "interrupted") from error


app = typer.Typer(
    cls=_Commands,
    name="skasd",
    help="Anomalous sound detection for machines: learn from recordings of normal operation, score new ones.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


class Detector(StrEnum):
    """Detector names on the command line."""

    statistics = "statistics"
    twfr = "twfr"


Quiet = Annotated[bool, typer.Option("--quiet", help="Show no progress bars and no warnings.")]
Contamination = Annotated[
    float | None,
    typer.Option(
        help="Accepted share of false alarms among new normal clips, which sets the threshold, in (0, 0.5]; 0.1 by default."
    ),
]


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Image file to write.")] = Path("skasd_demo.png"),
    seed: Annotated[int, typer.Option(help="Random seed of the synthetic sounds.")] = 0,
    quiet: Quiet = False,
) -> None:
    """Synthesise sounds of five machines, train on normal clips and score the rest.

    Prints the AUC and pAUC of each machine and writes one figure. It downloads nothing and takes seconds.
    """
    from skasd.cli._demo import run_demo

    typer.echo(run_demo(out, seed, verbose=_verbose(quiet)))


@app.command()
def evaluate(
    root: Annotated[Path, typer.Argument(help="Folder of a DCASE Task 2 data set, with dev_data or eval_data inside.")],
    year: Annotated[int, typer.Option(help="Year of the challenge, 2020 to 2026; sets the file names and the score.")],
    detector: Annotated[
        Detector, typer.Option(help="Detector to fit with its default parameters.")
    ] = Detector.statistics,
    subset: Annotated[str, typer.Option(help="Subset: dev, eval or both.")] = "dev",
    machine_type: Annotated[list[str] | None, typer.Option(help="Use only this machine type; repeatable.")] = None,
    ground_truth: Annotated[Path | None, typer.Option(help="File or folder with published eval labels.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for score and decision files in the challenge format.")
    ] = None,
    contamination: Contamination = None,
    quiet: Quiet = False,
) -> None:
    """Fit on the training clips of a DCASE data set, score its test clips and print the official metrics.

    Sections that lack a class or domain needed for the official score are excluded from it, with a warning. Clips without
    a label are scored too, but appear only in the files of --out.
    """
    from skasd.cli._evaluate import run_evaluate

    report = run_evaluate(
        root,
        year=year,
        detector=detector.value,
        subset=subset,
        machine_types=machine_type,
        ground_truth=ground_truth,
        out=out,
        contamination=contamination,
        verbose=_verbose(quiet),
    )
    typer.echo(report)


@app.command()
def score(
    files: Annotated[list[Path], typer.Argument(help="Recordings to score, or folders of them.")],
    train: Annotated[Path, typer.Option(help="Folder with recordings of normal operation.")],
    detector: Annotated[
        Detector, typer.Option(help="Detector to fit with its default parameters.")
    ] = Detector.statistics,
    sample_rate: Annotated[int, typer.Option(help="Sample rate in Hz; other files are resampled to it.")] = 16000,
    channel: Annotated[
        str, typer.Option(help="Channel of multichannel files: a number from 0, mean or residual.")
    ] = "0",
    out: Annotated[Path | None, typer.Option(help="Folder for anomaly_score.csv, the table with a header.")] = None,
    contamination: Contamination = None,
    one_machine: Annotated[
        bool,
        typer.Option("--one-machine", help="Subfolders of the training folder are not machines; fit one detector."),
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first recording that cannot be used.")] = False,
    exit_status: Annotated[bool, typer.Option("--exit-status", help="Exit with 1 if there is an anomaly.")] = False,
    quiet: Quiet = False,
) -> None:
    """Fit on a folder of normal recordings and score other recordings.

    Prints one line per file: anomaly score (high is anomalous), decision and path, the most anomalous first. Subfolders of
    the training folder are machines, each with a detector and a threshold of its own, and a recording is scored as the
    machine whose folder it is in. Subfolders whose names indicate anomalies (anomaly, abnormal, faulty ...) are not used for
    training.

    Recordings that cannot be used are listed with the reason, and the others are scored. Exit status: 0, or 2 if a recording
    could not be used; with --exit-status, 1 if all could be used and one is an anomaly.
    """
    from skasd.cli._score import run_score

    report, status = run_score(
        files,
        train,
        detector=detector.value,
        sample_rate=sample_rate,
        channel=channel,
        out=out,
        contamination=contamination,
        one_machine=one_machine,
        strict=strict,
        exit_status=exit_status,
        verbose=_verbose(quiet),
    )
    typer.echo(report)
    raise typer.Exit(status)


@app.command()
def fetch(
    year: Annotated[int, typer.Argument(help="Year of the challenge, 2020 to 2026.")],
    subset: Annotated[str, typer.Option(help="Subset: dev, eval or both.")] = "dev",
    machine_type: Annotated[list[str] | None, typer.Option(help="Use only this machine type; repeatable.")] = None,
    data_home: Annotated[
        Path | None, typer.Option(help="Folder for all years; default: $SKASD_DATA, or ~/skasd_data.")
    ] = None,
    archives: Annotated[
        Path | None, typer.Option(help="CSV file with archive URLs: year,part,machine_type,url,hash.")
    ] = None,
    keep_archives: Annotated[bool, typer.Option("--keep-archives", help="Keep the zip files.")] = False,
    quiet: Quiet = False,
) -> None:
    """Download a DCASE data set, one to three gigabytes per machine type.

    Files that exist are not downloaded again, and interrupted downloads are resumed.
    """
    from skasd.datasets import fetch_dcase

    clips = fetch_dcase(
        year=year,
        subset=subset,
        machine_types=machine_type,
        data_home=data_home,
        archives=archives,
        keep_archives=keep_archives,
        verbose=_verbose(quiet),
    )
    typer.echo(clips.DESCR)


@app.command()
def benchmark(
    suite: Annotated[str, typer.Argument(help="Suite file (TOML), or quick: all detectors on synthetic machines.")],
    out: Annotated[Path, typer.Option(help="Results folder; finished tasks are not run again.")] = Path("results"),
    jobs: Annotated[int, typer.Option(help="Number of parallel tasks; -1 uses all cores.")] = 1,
    threads: Annotated[int, typer.Option(help="Number of threads per task.")] = 1,
    scheduler: Annotated[str | None, typer.Option(help="Address of a Dask scheduler that runs the tasks.")] = None,
    seed: Annotated[list[int] | None, typer.Option(help="Use only this seed; repeatable.")] = None,
    quiet: Quiet = False,
) -> None:
    """Run all combinations of detectors, data sets and seeds, and report the results.

    You can stop it at any time: the same command resumes with the unfinished tasks. Prints the tables of `skasd report` and
    writes the tables, the numbers and a figure to the folder.
    """
    from skasd.cli._benchmark import run_benchmark

    typer.echo(run_benchmark(suite, out, jobs, threads, scheduler, seed, verbose=_verbose(quiet)))


@app.command()
def report(
    results: Annotated[Path, typer.Argument(help="Results folder written by skasd benchmark.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder for report.md, report.csv and report.png; default: the results folder.")
    ] = None,
    compare: Annotated[
        tuple[str, str] | None, typer.Option(help="Two detectors to compare with a paired bootstrap.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Compare the results of a benchmark with published results; writes Markdown, CSV and a figure."""
    from skasd.benchmark import report as make_report

    _verbose(quiet)
    typer.echo(make_report(results, out=out or results, compare=compare))


def _verbose(quiet: bool) -> int:
    if quiet:
        warnings.simplefilter("ignore")
    return int(not quiet and sys.stderr.isatty())


def main() -> None:
    """Run the command line; invalid input prints a message to stderr and exits with code 2, Ctrl-C with 130."""
    warnings.showwarning = _show_warning
    try:
        sys.exit(app(sys.argv[1:] or ["--help"], prog_name="skasd", standalone_mode=False))
    except (ValueError, TypeError, OSError, ImportError, RuntimeError) as error:
        _stop(error)
    except InterruptedCommandError as error:
        _stop(error, _INTERRUPTED)
    except (typer.Abort, KeyboardInterrupt):
        _stop("interrupted", _INTERRUPTED)
    except Exception as error:
        if not hasattr(error, "format_message"):  # a usage error, whose class differs between versions of typer
            raise
        _stop(f"{error.format_message()} See --help.")


def _stop(message: object, status: int = _BAD_INPUT) -> NoReturn:
    typer.echo(f"skasd: {message}", err=True)
    sys.exit(status)


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    typer.echo(f"skasd: warning: {message}", err=True)
