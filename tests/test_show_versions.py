"""What a bug report states: all dependencies, threads and devices, also where torch is absent or broken."""

import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
import torch

import skasd
from tests.cli.running import skasd as skasd_command

PROJECT = tomllib.loads((Path(__file__).resolve().parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]

ABSENT = 'ModuleNotFoundError("No module named torch")'
BROKEN = 'OSError("libcudart.so.12: cannot open shared object file")'
HIDING = """
import sys

class Hiding:
    def find_spec(name, path=None, target=None):
        if name.split(".")[0] == "torch":
            raise {error}

sys.meta_path.insert(0, Hiding)
import skasd
skasd.show_versions()
"""


def rows(text):
    """Values by name; the first one of a name."""
    pairs = [line.split(None, 1) for line in text.splitlines() if len(line.split(None, 1)) == 2]
    return dict(reversed(pairs))


@pytest.fixture
def printed(capsys):
    skasd.show_versions()
    return capsys.readouterr().out


def test_every_dependency_has_its_version(printed):
    values = rows(printed)
    names = [re.match(r"[\w.-]+", requirement)[0] for requirement in PROJECT["dependencies"]]
    assert len(names) > 15
    assert {name: values.get(name) for name in names} == {name: version(name) for name in names}


def test_optional_dependencies_are_listed_and_tools_are_not(printed):
    optional = printed.partition("Optional dependencies\n")[2].partition("\n\n")[0]
    assert {"distributed", "onnxruntime", "torchaudio", "transformers"} <= set(rows(optional))
    assert not {"pytest", "ruff", "sphinx"} & set(rows(optional))


def test_a_package_that_is_missing_is_said_to_be(monkeypatch):
    monkeypatch.setattr("skasd._show_versions.requires", lambda _: ["numpy>=1", 'skasd-nothing>=2; extra == "onnx"'])
    text = skasd_command("versions").stdout
    assert rows(text)["skasd-nothing"] == "not installed"


def test_threads_and_devices_are_stated(printed, monkeypatch):
    assert "openblas" in printed or "mkl" in printed or "blis" in printed
    assert re.search(rf"torch\nthreads +{torch.get_num_threads()}, ", printed)
    assert "accelerator" in rows(printed)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert rows(skasd_command("versions").stdout)["OMP_NUM_THREADS"] == "3"


def test_nothing_private_is_printed(printed):
    assert str(Path.home()) not in printed
    assert sys.prefix not in printed


def test_the_command_prints_the_same(printed):
    done = skasd_command("versions")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == printed


@pytest.mark.parametrize(
    ("error", "said"), [(ABSENT, "not installed, so"), (BROKEN, "cannot be imported: libcudart.so.12")]
)
def test_torch_that_is_absent_or_broken_is_said_to_be(error, said):
    code = HIDING.format(error=error)
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env={**os.environ})
    assert said in done.stdout.partition("\ntorch\n")[2]
