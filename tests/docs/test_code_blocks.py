"""Every code block of the pages runs, on small recordings, or is listed here with the reason why it does not."""

import os
import re
import shlex
import sqlite3
import subprocess
import sys
import tomllib
import types
import warnings
from contextlib import closing
from pathlib import Path

import pytest

from skasd.benchmark import read_suite
from tests.cli.running import skasd
from tests.docs.blocks import PAGES, ROOT, Block, blocks_of, commands_of, examples_of, name_of
from tests.docs.recordings import make_place

# The beginning of a command or of a block, and why it does not run here
NOT_RUN = {
    "pip install": "an installation; `.ci/run` runs the two of the README",
    "pytest": "`.ci/run` runs it",
    "ruff": "`.ci/run` runs it",
    "python -m sphinx": "`.ci/run` runs it",
    "python benchmarks/accuracy/tables.py": "tests/benchmark/test_tables.py runs it",
    "skasd benchmark benchmarks/": "real recordings, and hours",
    "skasd report benchmarks/": "of these",
    "skasd demo": "tests/cli/test_cli.py runs it",
    "skasd fetch": "a download of gigabytes",
    "from skasd.datasets import fetch_dcase": "a download of gigabytes",
    "dask ": "processes that run until they are stopped; tests/cli/test_scheduler.py scores on a cluster",
    "spark-submit": "needs Spark",
    "accelerate launch": "processes that train together; tests/training/test_processes.py starts some",
    "cc score_wav.c": "needs the headers of ONNX Runtime; tests/export runs the same file in Python",
    "./score_wav": "of the compiled program",
    "python -m sounddevice": "needs a sound card",
    "skasd watch /srv/recordings/pump": "needs a microphone",
    "[Unit]": "needs systemd; the command in it is that of the other blocks",
    "import optuna": "Optuna is no dependency",
}
# What is written on a page, and what runs instead: other places, and less work
INSTEAD = {
    r"~/dcase2023_task2_evaluator": "dcase/truth",
    r"~/dcase\b": "dcase",
    r"~/dcase2023": "dcase2023",
    r"/srv/recordings": "recordings/live",
    r"cd /srv/(hall|skasd) && ": "",
    r"/shared/archive": "archive",
    r"/usr/local/bin/tell-the-shift --urgent": "cat",
    r" --scheduler \S+": "",
    r"benchmark quick": "benchmark quick.toml",
    r"(--jobs |n_jobs=)2": r"\g<1>1",
    r"(skasd watch (?!.*--once).*)": r"\1 --once",
    r"max_epochs=(20|60)": "max_epochs=1",
    r"(OSSCLDetector\(.*\))\.fit\(": r"\1.set_params(max_epochs=1).fit(",
    r"training=options, random_state": "training=options, max_epochs=1, random_state",
    r'device="cuda"': 'device="cpu"',
    r"min_resources=5": "min_resources=1",
    r"max_resources=135": "max_resources=2",
    r"\[0.2, 0.4, 0.6\], .*\[1e-4, 3e-4, 1e-3\]": "[0.2, 0.6]",
    r"\[3e-4, 1e-3, 3e-3\], (.*)\[64, 128\]": r"[1e-3], \1[64]",
    r'OSSCLDetector\(\("log_mel",\)\), features': 'OSSCLDetector(("log_mel",), max_epochs=1), features',
    r'"machine_types": \["fan"\]': '"machine_types": ["fan"], "n_train": 20, "duration": 1.0',
    r"make_machine_clips\((.*)random_state=0\)": r"make_machine_clips(\1n_train=20, duration=1.0, random_state=0)",
}
CLIPS = """
import numpy as np
from pathlib import Path
from sklearn.base import clone
from sklearn.ensemble import IsolationForest
from sklearn.pipeline import make_pipeline
from skasd.datasets import load_dcase, make_machine_clips
from skasd.detectors import OSSCLDetector, StatisticsDetector, TWFRDetector
from skasd.features import LogMelTransformer
from skasd.metrics import partial_auc_scorer
from skasd.model_selection import DCASESplit
from skasd.objectives import MobileFaceNetOptions
from skasd.training import TrainingOptions
clips = make_machine_clips(("fan", "pump"), n_train=20, n_test_normal=8, n_test_anomaly=8, duration=1.0, random_state=0)
train = normal = normal_clips = kept_back = clips.data[clips.data["split"] == "train"]
"""
FIT = "skasd fit recordings/normal --out hall.skasd\n"
# What pages take for granted: Python, or commands
GIVEN = {
    "benchmark.rst": "DATA = {'fans': clips}",
    "clips.rst": "detector = TWFRDetector()",
    "datasets.rst": "model = TWFRDetector().fit(load_dcase('dcase', year=2023).data)",
    "training.rst": """
detector = OSSCLDetector(("log_mel",), network=MobileFaceNetOptions(bottlenecks=((2, 32, 1, 2),)), max_epochs=1)
score_files, batches = len, [[1], [2, 3]]
""",
    "report.rst": FIT + "skasd watch recordings/live --model hall.skasd --database watch.sqlite --once\n",
    "scale_out.rst": FIT,
}
# Where blocks use names that a doctest of the page has made
WITH_EXAMPLES = {"write_your_own.rst"}
# Where blocks use what a block before has not kept
BEFORE = {
    ("datasets.rst", "from skasd.datasets import read_dcase_scores"): "clips = load_dcase('dcase', year=2023)",
}
MACHINES = {"README.md": "Pump 7"}


def reason(text):
    return next((why for start, why in NOT_RUN.items() if text.startswith(start)), None)


def cheaper(text):
    for pattern, other in INSTEAD.items():
        text = re.sub(pattern, other, text)
    return text


def run_python(block, page, names):
    for (of_page, start), code in BEFORE.items():
        if of_page == page.name and block.text.startswith(start):
            exec(code, names)
    text = cheaper(block.text) if block.language == "python" else block.text
    exec(compile("\n" * (block.line - 1) + text, page, "exec"), names)


def run_shell(text):
    for command in commands_of(text):
        if reason(command):
            continue
        words = shlex.split(cheaper(command))
        if words[0] == "skasd" and not {"||", ">"} & set(words):
            done, allowed = skasd(*words[1:]), (0, 1)  # 1: there is an anomaly
        else:
            done, allowed = run_bash(cheaper(command)), (0,)
        assert done.returncode in allowed, (command, done.stdout, done.stderr)


def run_bash(command):
    path = f"{Path.cwd() / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}
    return subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=environment, check=False)


def run_toml(text):
    """Read a suite; what a part of one lacks comes before it."""
    parts = tomllib.loads(text)
    lacking = "" if "name" in parts else "name = 'part'\n"
    if not any("kind" in data for data in parts.get("data", {}).values()):
        lacking += "[data.valves]\nkind = 'synthetic'\n"
    if "detectors" not in parts:
        lacking += "[detectors.TWFR]\nclass = 'TWFRDetector'\n"
    Path("part.toml").write_text(lacking + cheaper(text), encoding="utf-8")
    assert read_suite("part.toml").entries


def run_sql(text):
    with closing(sqlite3.connect("watch.sqlite")) as database:
        database.execute(text).fetchall()


RUN = {"bash": run_shell, "toml": run_toml, "sql": run_sql, "text": lambda text: None}


def steps_of(page):
    """Blocks to run, in order: what the page takes for granted, then its own."""
    given = GIVEN.get(page.name, "")
    first = [Block(-1, "given", CLIPS), Block(0, "bash" if given.startswith("skasd ") else "given", given)]
    examples = examples_of(page) if page.name in WITH_EXAMPLES else []
    own = [block for block in blocks_of(page) if block.language == "bash" or not reason(block.text)]
    return sorted([*first, *own, *examples])


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if blocks_of(page)], ids=name_of)
def test_every_block_of_a_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_place(tmp_path, MACHINES.get(name_of(page), "Pumpe 7"))
    module = types.ModuleType("page")  # for pickles of the classes of a page
    monkeypatch.setitem(sys.modules, "page", module)
    for block in steps_of(page):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of few clips
            if block.language in ("python", "doctest", "given"):
                run_python(block, page, vars(module))
            else:
                RUN[block.language](block.text)


def test_every_exception_is_still_needed():
    blocks = [block for page in PAGES for block in blocks_of(page)]
    texts = [text for block in blocks for text in (block.text, *commands_of(block.text))]
    assert [start for start in NOT_RUN if not any(text.startswith(start) for text in texts)] == []
