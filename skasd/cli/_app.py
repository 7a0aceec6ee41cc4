"""The commands: their arguments and their help. What they do is in the files beside this one."""

import sys
import warnings
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from skasd._version import __version__

app = typer.Typer(
    name="skasd",
    help="Anomalous sound detection for machines: learn from recordings of normal operation, score new ones.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
_BAD_INPUT = 2


class Detector(StrEnum):
    """Detectors by the names of the command line."""

    twfr = "twfr"


Quiet = Annotated[bool, typer.Option("--quiet", help="No progress bars, no warnings.")]
Contamination = Annotated[
    float | None,
    typer.Option(
        help="Share of training clips below the threshold of the decisions, in (0, 0.5]. "
        "By default one in ten normal clips that were not trained on falls below it."
    ),
]


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Picture to write.")] = Path("skasd_demo.png"),
    seed: Annotated[int, typer.Option(help="Seed of the machines' sounds.")] = 0,
    quiet: Quiet = False,
) -> None:
    """Make sounds of five machines, learn from the normal ones, and score the rest.

    Prints AUC and pAUC of each machine and draws one picture. Nothing is downloaded; it takes seconds.
    """
    from skasd.cli._demo import run_demo

    typer.echo(run_demo(out, seed, verbose=_verbose(quiet)))


@app.command()
def evaluate(
    root: Annotated[Path, typer.Argument(help="Folder that holds dev_data and eval_data of a DCASE Task 2 data set.")],
    year: Annotated[int, typer.Option(help="Year of the challenge, 2020 to 2026: file names and official score.")],
    detector: Annotated[Detector, typer.Option(help="Detector to fit, with its defaults.")] = Detector.twfr,
    subset: Annotated[str, typer.Option(help="dev, eval or both.")] = "dev",
    machine_type: Annotated[list[str] | None, typer.Option(help="Only this machine type; may be repeated.")] = None,
    ground_truth: Annotated[Path | None, typer.Option(help="Published labels of the eval set: file or folder.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for scores and decisions as the challenge takes them.")
    ] = None,
    contamination: Contamination = None,
    quiet: Quiet = False,
) -> None:
    """Fit on the training clips of a DCASE data set, score its test clips and print the official figures.

    Sections that lack what the official score needs (a class, a domain) are left out of it, with a warning. Clips of
    unknown truth are scored, and count only in the files of --out.
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
    train: Annotated[Path, typer.Option(help="Folder of recordings of normal operation.")],
    detector: Annotated[Detector, typer.Option(help="Detector to fit, with its defaults.")] = Detector.twfr,
    sample_rate: Annotated[int, typer.Option(help="Rate to work at, in Hz; other files are resampled.")] = 16000,
    channel: Annotated[str, typer.Option(help="Channel of files that have several: a number from 0, or mean.")] = "0",
    out: Annotated[Path | None, typer.Option(help="Folder for anomaly_score.csv and decision_result.csv.")] = None,
    contamination: Contamination = None,
    quiet: Quiet = False,
) -> None:
    """Fit on a folder of normal recordings and score others, in one go.

    Prints a line per file: anomaly score (high is anomalous), decision, file. Recordings in sub-folders of the training
    folder that are named after anomalies (anomaly, abnormal, faulty ...) are left out of the fit.
    """
    from skasd.cli._score import run_score

    report = run_score(
        files,
        train,
        detector=detector.value,
        sample_rate=sample_rate,
        channel=channel,
        out=out,
        contamination=contamination,
        verbose=_verbose(quiet),
    )
    typer.echo(report)


@app.command()
def fetch(
    year: Annotated[int, typer.Argument(help="Year of the challenge, 2020 to 2026.")],
    subset: Annotated[str, typer.Option(help="dev, eval or both.")] = "dev",
    machine_type: Annotated[list[str] | None, typer.Option(help="Only this machine type; may be repeated.")] = None,
    data_home: Annotated[
        Path | None, typer.Option(help="Folder of all years; $SKASD_DATA or ~/skasd_data by default.")
    ] = None,
    archives: Annotated[
        Path | None, typer.Option(help="A csv file that says where archives lie: year,part,machine_type,url,hash.")
    ] = None,
    keep_archives: Annotated[bool, typer.Option("--keep-archives", help="Keep the zip files.")] = False,
    quiet: Quiet = False,
) -> None:
    """Download a DCASE data set: one to three gigabytes for each machine type.

    What is there is not fetched again; what broke off goes on where it was.
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
    suite: Annotated[str, typer.Argument(help="A suite file (TOML), or quick: all detectors on synthetic machines.")],
    out: Annotated[Path, typer.Option(help="Folder of results; what is finished there is not run again.")] = Path(
        "results"
    ),
    jobs: Annotated[int, typer.Option(help="Tasks that run at a time; -1 takes all cores.")] = 1,
    threads: Annotated[int, typer.Option(help="Threads of each task.")] = 1,
    scheduler: Annotated[str | None, typer.Option(help="Address of a Dask scheduler to run the tasks on.")] = None,
    seed: Annotated[list[int] | None, typer.Option(help="Only this seed; may be repeated.")] = None,
    quiet: Quiet = False,
) -> None:
    """Run detectors x data sets x seeds, and report.

    Stop it whenever you like: the same command goes on with what is not finished. Prints the tables of `skasd report`, and
    writes them, the numbers and a picture into the folder.
    """
    from skasd.cli._benchmark import run_benchmark

    typer.echo(run_benchmark(suite, out, jobs, threads, scheduler, seed, verbose=_verbose(quiet)))


@app.command()
def report(
    results: Annotated[Path, typer.Argument(help="Folder of results, as benchmark writes it.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder for report.md, report.csv and report.png; that of results by default.")
    ] = None,
    compare: Annotated[
        tuple[str, str] | None, typer.Option(help="Two detectors, to compare by a paired bootstrap.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Tables of a folder of results, beside published figures; writes Markdown, CSV and a picture."""
    from skasd.benchmark import report as make_report

    _verbose(quiet)
    typer.echo(make_report(results, out=out or results, compare=compare))


def _verbose(quiet: bool) -> int:
    if quiet:
        warnings.simplefilter("ignore")
    return int(not quiet and sys.stderr.isatty())


def main() -> None:
    """Run the command line; bad input ends in one line on stderr and exit code 2."""
    warnings.showwarning = _show_warning
    try:
        sys.exit(app(sys.argv[1:] or ["--help"], prog_name="skasd", standalone_mode=False))
    except (ValueError, TypeError, OSError, ImportError, RuntimeError) as error:
        _stop(error)
    except typer.Abort:
        _stop("interrupted")
    except Exception as error:
        if not hasattr(error, "format_message"):  # usage errors; their class has moved between versions of typer
            raise
        _stop(f"{error.format_message()} See --help.")


def _stop(message: object) -> NoReturn:
    typer.echo(f"skasd: {_one_line(message)}", err=True)
    sys.exit(_BAD_INPUT)


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    typer.echo(f"skasd: warning: {_one_line(message)}", err=True)


def _one_line(message: object) -> str:
    return " ".join(str(message).split())
