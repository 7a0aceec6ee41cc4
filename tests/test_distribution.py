"""The source distribution and the wheel: what they hold, and that both work where nothing else of the project is."""

import fnmatch
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest
import soundfile
from filelock import FileLock

from skasd.datasets import make_machine_clips

pytest.importorskip("build")
ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGE_DATA = PROJECT["tool"]["setuptools"]["package-data"]["skasd"]
MOST_BYTES = 4e6  # of the wheel, unpacked
USED_RIGHT = """
import numpy as np
import skasd
from skasd.datasets import make_machine_clips
from skasd.detectors import TWFRDetector

clips = make_machine_clips("fan", n_train=20, random_state=0)
detector = TWFRDetector(contamination=0.05)
skasd.save(detector, "model.skasd")
skasd.show_versions()
"""
USED_WRONG = """
import skasd
from skasd.datasets import make_machine_clips

make_machine_clips("fan", n_train="many")
skasd.save("model.skasd")
"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Folder of both distributions, which the processes of a test run share."""
    folder = tmp_path_factory.getbasetemp()
    out = (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "distributions"
    with FileLock(out.with_suffix(".lock")):
        if not out.exists():
            build(tmp_path_factory.mktemp("source"), out)
    return out


def build(source, out):
    """Build both, the wheel from the source distribution, of a copy without old builds."""
    for name in ("pyproject.toml", "README.md", "LICENSE", "MANIFEST.in"):
        shutil.copy(ROOT / name, source)
    for name in ("skasd", "tests"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    draft = source / "dist"
    done = ran([sys.executable, "-m", "build", "--outdir", draft, source], source)
    assert done.returncode == 0, done.stderr
    draft.rename(out)


@pytest.fixture(scope="module")
def wheel(built):
    return next(built.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """Interpreter of an environment with the wheel, and with the dependencies of this one."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True)
    site = Path(sysconfig.get_path("purelib", "venv", vars={"base": str(folder)}))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    # a path, not a file of paths: that of an editable installation of skasd would be followed
    dependencies = [path for path in sys.path if path.endswith("site-packages")]
    site.joinpath("dependencies.pth").write_text("\n".join(dependencies), encoding="utf-8")
    return folder / "bin" / "python"


def ran(command, folder):
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "MYPYPATH")}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def package_files(root):
    return {
        path.relative_to(root).as_posix()
        for path in (root / "skasd").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
        assert sum(file.file_size for file in archive.infolist()) < MOST_BYTES
    assert held == package_files(ROOT)


@pytest.mark.parametrize("pattern", PACKAGE_DATA)
def test_every_kind_of_package_data_is_in_the_wheel(wheel, pattern):
    with zipfile.ZipFile(wheel) as archive:
        assert fnmatch.filter(archive.namelist(), f"skasd/{pattern}")


def test_the_source_distribution_holds_the_package_and_what_builds_it(built):
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    assert package_files(ROOT) | {"pyproject.toml", "README.md", "LICENSE"} <= held
    assert not [name for name in held if name.split("/")[0] in ("tests", "docs", "benchmarks", "examples", ".ci")]


def test_descriptions_are_valid(built):
    pytest.importorskip("twine")
    done = ran([sys.executable, "-m", "twine", "check", "--strict", *built.iterdir()], built)
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("PASSED") == 2


def test_the_installed_wheel_runs_the_demo(installed, tmp_path):
    code = "import skasd; print(skasd.__file__)"
    assert ran([installed, "-c", code], tmp_path).stdout.startswith(str(installed.parents[1]))
    done = ran([installed, "-m", "skasd", "demo"], tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "skasd_demo.png").exists()


def test_the_installed_wheel_fits_explains_and_watches(installed, tmp_path):
    """The page has a template, a style and a script, the database a schema: all of them are package data."""
    recordings = tmp_path / "normal"
    recordings.mkdir()
    for number, clip in enumerate(make_machine_clips("fan", n_train=20, random_state=0).data.waveform[:20]):
        soundfile.write(recordings / f"{number}.wav", clip, 16000)
    for command in (
        "--help",
        "fit normal --out fan.skasd --detector twfr --quiet",
        "explain normal --model fan.skasd --out page.html --most 1 --quiet",
        "watch normal --model fan.skasd --database watch.sqlite --once --quiet",
        "report --database watch.sqlite --out watched.html --quiet",
    ):
        done = ran([installed, "-m", "skasd", *command.split()], tmp_path)
        assert done.returncode == 0, done.stderr
    for page in ("page.html", "watched.html"):
        assert re.search(r"<style>.+</style>.*<script>.+</script>", (tmp_path / page).read_text("utf-8"), re.DOTALL)


def test_a_users_program_is_checked_against_the_types(installed, tmp_path):
    pytest.importorskip("mypy")
    (tmp_path / "right.py").write_text(USED_RIGHT, encoding="utf-8")
    (tmp_path / "wrong.py").write_text(USED_WRONG, encoding="utf-8")
    mypy = [sys.executable, "-m", "mypy", "--strict", "--python-executable", installed, "right.py", "wrong.py"]
    lines = ran(mypy, tmp_path).stdout.splitlines()
    assert [line.partition(": ")[0] for line in lines[:-1]] == ["wrong.py:5", "wrong.py:6"], lines
    assert 'has incompatible type "str"; expected "int"' in lines[0]
    assert "Missing positional argument" in lines[1]
