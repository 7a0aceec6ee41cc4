"""`skasd versions`: what a bug report should state."""

import typer

from skasd._show_versions import versions_text


def versions() -> None:
    """Print what a bug report should state: versions of skasd and all dependencies, the machine, threads and devices."""
    typer.echo(versions_text())
