"""Command line, a thin layer over the Python interface."""

from skasd.cli._app import main

__all__ = ["main"]
