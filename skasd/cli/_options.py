"""Options that several commands have, with their help."""

import sys
import warnings
from pathlib import Path
from typing import Annotated

import typer

Quiet = Annotated[bool, typer.Option("--quiet", help="Show no progress bars and no warnings.")]
Jobs = Annotated[int, typer.Option(help="Number of threads; all cores by default. Scores do not depend on it.")]
Strict = Annotated[bool, typer.Option("--strict", help="Stop at the first recording that cannot be used.")]
DetectorName = Annotated[
    str | None,
    typer.Option("--detector", help="Detector by name, such as statistics (the default), twfr, osscl or autoencoder."),
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", help="Parameter of the detector as key=value, such as max_epochs=20; repeatable."),
]
SampleRate = Annotated[
    int | None, typer.Option(help="Sample rate in Hz, 16000 by default; other files are resampled to it.")
]
Channel = Annotated[
    str | None, typer.Option(help="Channel of multichannel files: a number from 0 (the default), mean or residual.")
]
OneMachine = Annotated[
    bool, typer.Option("--one-machine", help="Subfolders of the training folder are not machines; fit one detector.")
]
Alpha = Annotated[
    float | None,
    typer.Option(help="Accepted share of false alarms among new normal recordings, in (0, 0.5]; 0.05 by default."),
]
Contamination = Annotated[
    float | None,
    typer.Option(
        help="Accepted share of false alarms among new normal clips, which sets the threshold, in (0, 0.5]; 0.1 by default."
    ),
]
Scheduler = Annotated[
    str | None, typer.Option(help="Address of a Dask scheduler whose workers score; goes with --model and --csv.")
]
Train = Annotated[
    Path | None,
    typer.Option(help="Folder with recordings of normal operation to fit on, in place of a model file."),
]


def verbosity(quiet: bool) -> int:
    """Whether progress bars are shown, 0 or 1, by --quiet, which also silences warnings."""
    if quiet:
        warnings.simplefilter("ignore")
    return int(not quiet and sys.stderr.isatty())
