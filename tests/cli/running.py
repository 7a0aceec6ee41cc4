"""Run the command line in this process, or in one of its own."""

import io
import subprocess
import sys
import warnings
from contextlib import redirect_stderr, redirect_stdout
from typing import NamedTuple
from unittest import mock

import pytest

from skasd.cli import main


class Done(NamedTuple):
    """What is left of a run: exit code, and what it printed."""

    returncode: int
    stdout: str
    stderr: str


def skasd(*arguments):
    """Run the command line as a new process would, in this one: importing everything takes longer than most of them."""
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.object(sys, "argv", ["skasd", *map(str, arguments)]),
        warnings.catch_warnings(),
        redirect_stdout(out),
        redirect_stderr(err),
        pytest.raises(SystemExit) as stop,
    ):
        warnings.simplefilter("default")
        main()
    return Done(stop.value.code or 0, out.getvalue(), err.getvalue())


def skasd_process(*arguments, cwd=None):
    """Run the command line in a process of its own, as a user does."""
    command = [sys.executable, "-m", "skasd", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd, timeout=300)
