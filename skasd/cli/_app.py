"""Commands of the command line with their arguments and help; the other files of this folder do the work."""

import sys
import warnings
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
import typer.core

from skasd._interrupt import interrupts_end_fits
from skasd.cli._options import (
    Alpha,
    Channel,
    Contamination,
    DetectorName,
    Jobs,
    OneMachine,
    Quiet,
    SampleRate,
    Scheduler,
    Settings,
    Strict,
    Train,
    verbosity,
)
from skasd.cli._versions import one_version, versions
from skasd.cli._watch_command import watch

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


app.callback(invoke_without_command=True)(one_version)


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

    typer.echo(run_demo(out, seed, verbose=verbosity(quiet)))


@app.command()
def fit(
    folder: Annotated[Path, typer.Argument(help="Folder with recordings of normal operation.")],
    out: Annotated[Path, typer.Option(help="Model file to write, such as model.skasd; one that exists is replaced.")],
    detector: DetectorName = None,
    settings: Settings = None,
    sample_rate: SampleRate = None,
    channel: Channel = None,
    alpha: Alpha = None,
    one_machine: OneMachine = False,
    jobs: Jobs = -1,
    strict: Strict = False,
    quiet: Quiet = False,
) -> None:
    """Fit on a folder of normal recordings and keep the result in a model file, for skasd score --model.

    Subfolders are machines. Each has a detector and a threshold of its own; detectors that learn to tell machines apart,
    such as osscl, are fitted to all of them at once. Subfolders whose names indicate anomalies (anomaly, abnormal, faulty
    ...) are not used.

    Decisions are calibrated for the false alarm rate --alpha on recordings that were not learnt; with fewer than 20 of them
    they are provisional. --set also takes method, n_folds, calibration_fraction and learning_period of the calibration.

    Recordings that cannot be used are named and left out. Exit status: 0, or 2 if a recording could not be used.
    """
    from skasd.cli._fit import run_fit

    report, status = run_fit(
        folder,
        out,
        detector=detector,
        set=settings,
        sample_rate=sample_rate,
        channel=channel,
        alpha=alpha,
        one_machine=one_machine,
        jobs=jobs,
        strict=strict,
        verbose=verbosity(quiet),
    )
    typer.echo(report)
    raise typer.Exit(status)


@app.command()
def score(
    files: Annotated[list[Path], typer.Argument(help="Recordings to score, or folders of them.")],
    model: Annotated[Path | None, typer.Option(help="Model file that skasd fit or skasd.save wrote.")] = None,
    train: Train = None,
    csv: Annotated[Path | None, typer.Option(help="Table to write: a csv file with a header.")] = None,
    scheduler: Scheduler = None,
    detector: DetectorName = None,
    settings: Settings = None,
    sample_rate: SampleRate = None,
    channel: Channel = None,
    alpha: Alpha = None,
    one_machine: OneMachine = False,
    jobs: Jobs = -1,
    strict: Strict = False,
    exit_status: Annotated[bool, typer.Option("--exit-status", help="Exit with 1 if there is an anomaly.")] = False,
    quiet: Quiet = False,
) -> None:
    """Score recordings by a model file, or fit on a folder of normal recordings first.

    Prints one line per file: anomaly score (high is anomalous), p-value, decision and path, the most anomalous first. The
    p-value is the share of normal recordings that score as high, and an anomaly has one of at most --alpha. A recording is
    scored as the machine whose folder it is in. With --train, the options of skasd fit apply.

    With --scheduler, the workers of a Dask cluster score, each with --jobs threads. Rows are kept beside the table until all
    are there: after the command or workers were killed, the same command scores what is missing.

    Recordings that cannot be used are listed with the reason, and the others are scored. Exit status: 0, or 2 if a recording
    could not be used; with --exit-status, 1 if all could be used and one is an anomaly.
    """
    from skasd.cli._score import run_score

    report, status = run_score(
        files,
        model=model,
        train=train,
        fitting={
            "detector": detector,
            "set": settings,
            "sample_rate": sample_rate,
            "channel": channel,
            "alpha": alpha,
            "one_machine": one_machine,
        },
        jobs=jobs,
        csv=csv,
        scheduler=scheduler,
        exit_status=exit_status,
        strict=strict,
        verbose=verbosity(quiet),
    )
    typer.echo(report)
    raise typer.Exit(status)


@app.command()
def explain(
    files: Annotated[list[Path], typer.Argument(help="Recordings to explain, or folders of them.")],
    model: Annotated[Path, typer.Option(help="Model file that skasd fit or skasd.save wrote.")],
    out: Annotated[Path, typer.Option(help="HTML file to write, such as report.html; one that exists is replaced.")],
    normal: Annotated[
        list[Path] | None,
        typer.Option(help="Recording known to be normal, or a folder of them, to compare with by ear; repeatable."),
    ] = None,
    title: Annotated[str, typer.Option(help="Heading of the page.")] = "Sound report",
    most: Annotated[
        int,
        typer.Option(help="Number of recordings with sound and pictures, the most anomalous ones; others have a row."),
    ] = 200,
    audio: Annotated[
        str,
        typer.Option(help="Format of the sound: flac, ogg (a fifth of the size), or auto, ogg for many recordings."),
    ] = "auto",
    jobs: Jobs = -1,
    strict: Strict = False,
    quiet: Quiet = False,
) -> None:
    """Write an HTML page about recordings: scores, decisions, what stands out in each, and a player to hear it.

    The page is one file that any browser opens, without a network. A recording is scored as the machine whose folder it is
    in, as by skasd score.

    Recordings that cannot be used are listed on the page with the reason. Exit status: 0, or 2 if a recording could not be
    used.
    """
    from skasd.cli._explain import run_explain

    report, status = run_explain(
        files,
        model=model,
        out=out,
        normal=normal,
        title=title,
        most=most,
        audio=audio,
        jobs=jobs,
        strict=strict,
        verbose=verbosity(quiet),
    )
    typer.echo(report)
    raise typer.Exit(status)


app.command()(watch)


@app.command()
def show(
    model: Annotated[Path, typer.Argument(help="Model file that skasd fit or skasd.save wrote.")],
    quiet: Quiet = False,
) -> None:
    """Say what is in a model file: the detector, its parameters, what it was fitted on and when, and the versions.

    Nothing of the model itself is loaded, and nothing in the file is run.
    """
    from skasd.cli._show import run_show

    verbosity(quiet)
    typer.echo(run_show(model))


@app.command()
def export(
    model: Annotated[Path, typer.Argument(help="Model file that skasd fit or skasd.save wrote.")],
    out: Annotated[Path, typer.Option(help="ONNX file to write, or a folder that gets one for each machine.")],
    machine: Annotated[str | None, typer.Option(help="Machine to export, if the model has several.")] = None,
    quiet: Quiet = False,
) -> None:
    """Export a model file to ONNX: one graph from the waveform to the anomaly score and the decision, without Python.

    The file is run in ONNX Runtime on synthetic clips before it is put in place. One whose scores or decisions differ from
    those of the model is not written. Needs the extra skasd[onnx].
    """
    from skasd.cli._export import run_export

    verbosity(quiet)
    typer.echo(run_export(model, out, machine))


@app.command()
def evaluate(
    root: Annotated[Path, typer.Argument(help="Folder of a DCASE Task 2 data set, with dev_data or eval_data inside.")],
    year: Annotated[int, typer.Option(help="Year of the challenge, 2020 to 2026; sets the file names and the score.")],
    detector: DetectorName = None,
    settings: Settings = None,
    subset: Annotated[str, typer.Option(help="Subset: dev, eval or both.")] = "dev",
    machine_type: Annotated[list[str] | None, typer.Option(help="Use only this machine type; repeatable.")] = None,
    ground_truth: Annotated[Path | None, typer.Option(help="File or folder with published eval labels.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for score and decision files in the challenge format.")
    ] = None,
    contamination: Contamination = None,
    jobs: Jobs = -1,
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
        detector=detector,
        settings=settings or (),
        jobs=jobs,
        subset=subset,
        machine_types=machine_type,
        ground_truth=ground_truth,
        out=out,
        contamination=contamination,
        verbose=verbosity(quiet),
    )
    typer.echo(report)


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
        verbose=verbosity(quiet),
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

    typer.echo(run_benchmark(suite, out, jobs, threads, scheduler, seed, verbose=verbosity(quiet)))


@app.command()
def report(
    results: Annotated[Path | None, typer.Argument(help="Results folder written by skasd benchmark.")] = None,
    database: Annotated[
        Path | None, typer.Option(help="Database of skasd watch, for a page about watched machines.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for report.md, report.csv and report.png, the results folder by default; with --database, the "
            "HTML file to write."
        ),
    ] = None,
    compare: Annotated[
        tuple[str, str] | None, typer.Option(help="Two detectors of a benchmark to compare with a paired bootstrap.")
    ] = None,
    days: Annotated[
        float | None, typer.Option(help="Days to show, up to the end of the last recording; all by default.")
    ] = None,
    title: Annotated[str | None, typer.Option(help="Heading of the page.")] = None,
    most: Annotated[
        int | None, typer.Option(help="Number of episodes with sound, the last ones; 100 by default.")
    ] = None,
    audio: Annotated[
        str | None, typer.Option(help="Format of the sound: flac, ogg, or auto (the default), ogg for many episodes.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Compare the results of a benchmark with published results, or write a page about watched machines.

    Of a results folder: Markdown, CSV and a figure. With --database: one HTML file that any browser opens, without a
    network, with the scores of each machine over time, episodes with players, drift, and what could not be read.
    """
    from skasd.cli._report import run_report

    page = {"days": days, "title": title, "most": most, "audio": audio}
    verbose = verbosity(quiet)
    typer.echo(run_report(results, database=database, out=out, compare=compare, timeline=page, verbose=verbose))


app.command()(versions)


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
