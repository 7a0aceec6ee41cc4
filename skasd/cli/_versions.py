"""`skasd --version` and `skasd versions`: the version of skasd, and what a bug report should state."""

from typing import Annotated

import typer

from skasd._show_versions import versions_text
from skasd._version import __version__


def one_version(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


def versions() -> None:
    """Print what a bug report should state: versions of skasd and all dependencies, the machine, threads and devices."""
    typer.echo(versions_text())
