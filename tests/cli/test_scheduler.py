"""`skasd score --scheduler`: the same table as that of one process, whatever is killed."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from filelock import FileLock

from skasd.cli import _cluster
from tests.cli.running import skasd, skasd_process

distributed = pytest.importorskip("distributed", reason="Dask is an extra: pip install skasd[distributed]")
pytestmark = pytest.mark.network

HOOKS = Path(__file__).parent / "worker_hooks"
SCORE_OF_TEST = 12345.5


@pytest.fixture(scope="module")
def hall(tmp_path_factory):
    """Normal and new recordings of two machines, some of which cannot be scored, and a model."""
    root, rng = tmp_path_factory.mktemp("hall"), np.random.default_rng(0)
    for machine, frequency in (("fan", 400), ("pump", 3000)):
        for kind, n_files in (("normal", 12), ("new", 30)):
            (root / kind / machine).mkdir(parents=True)
            for index in range(n_files):
                pitch = frequency * (2 if kind == "new" and index % 9 == 0 else 1)
                tone = 0.2 * np.sin(2 * np.pi * pitch * np.arange(4000) / 16000 + rng.uniform(0, 6))
                soundfile.write(
                    root / kind / machine / f"{machine}{index}.wav", tone + 0.02 * rng.normal(size=4000), 16000
                )
    assert skasd("fit", root / "normal", "--out", root / "hall.skasd", "--detector", "twfr", "--quiet").returncode == 0
    shutil.copytree(root / "new", root / "good")
    (root / "new" / "fan" / "text.wav").write_text("no sound at all")
    (root / "new" / "pump" / "empty.wav").touch()
    shutil.copy(root / "new" / "fan" / "fan1.wav", root / "new" / "loose.wav")
    return root


@pytest.fixture(scope="module")
def threads():
    """Address of a cluster in this process."""
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": False, "dashboard_address": ":0"}
    with distributed.LocalCluster(**options, protocol="tcp://", silence_logs=50) as cluster:
        yield cluster.scheduler_address


@pytest.fixture
def reads(tmp_path, monkeypatch):
    """File of the names of recordings that processes of workers have opened; they take 20 ms for each."""
    monkeypatch.setenv("SKASD_TEST_READS", str(tmp_path / "reads"))
    return tmp_path / "reads"


@pytest.fixture
def cluster(reads, monkeypatch):
    """Two processes on this machine."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(HOOKS), *sys.path]))
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": ":0"}
    with distributed.LocalCluster(**options, silence_logs=50) as cluster:
        yield cluster


def by_one_process(hall, folder, csv):
    """Bytes of the table of one process."""
    skasd("score", folder, "--model", hall / "hall.skasd", "--csv", csv)
    return csv.read_bytes()


def kept(csv):
    """Rows that are kept beside a table, by column, without the first line."""
    file = csv.with_name(csv.name + ".part")
    if not file.exists():
        return []
    lines = [json.loads(line) for line in file.read_text().rpartition("\n")[0].splitlines()]  # those that are whole
    return [dict(zip(lines[0]["columns"], line, strict=True)) for line in lines[1:]]


def test_table_is_that_of_one_process(hall, threads, tmp_path, monkeypatch):
    monkeypatch.chdir(hall)  # workers get absolute paths, the table those that were given
    options = ("--model", "hall.skasd", "--csv", tmp_path / "out.csv")
    here = skasd("score", "new", *options)
    alone = (tmp_path / "out.csv").read_bytes()
    there = skasd("score", "new", *options, "--scheduler", threads)
    assert (tmp_path / "out.csv").read_bytes() == alone
    assert (there.returncode, there.stdout) == (here.returncode, here.stdout)
    assert there.returncode == 2
    assert [file.name for file in tmp_path.iterdir()] == ["out.csv"]


def test_warnings_of_workers_are_told(hall, threads, tmp_path):
    soundfile.write(tmp_path / "new.wav", np.zeros(400), 16000)
    done = skasd(
        *("score", tmp_path / "new.wav", hall / "new" / "fan", "--model", hall / "hall.skasd"),
        *("--csv", tmp_path / "out.csv", "--scheduler", threads),
    )
    assert "none of the machines" in done.stdout
    shutil.move(tmp_path / "new.wav", tmp_path / "fan.wav")
    (tmp_path / "fan").mkdir()
    shutil.move(tmp_path / "fan.wav", tmp_path / "fan" / "short.wav")
    options = ("--model", hall / "hall.skasd", "--csv", tmp_path / "out.csv", "--scheduler", threads)
    done = skasd("score", tmp_path / "fan", *options)
    assert done.stderr.startswith("skasd: warning: 1 of 1 clips are much shorter (0.025 s)")
    assert skasd("score", tmp_path / "fan", *options, "--quiet").stderr == ""


def stopped(hall, threads, tmp_path):
    """A command that a bad recording stopped, after which the score of a row was changed, and the command."""
    shutil.copytree(hall / "good", tmp_path / "new")
    (tmp_path / "new" / "pump" / "zero.wav").touch()
    command = ("score", tmp_path / "new", "--model", hall / "hall.skasd", "--csv", tmp_path / "out.csv")
    command = (*command, "--scheduler", threads, "--strict")
    done = skasd(*command)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"skasd: {tmp_path / 'new' / 'pump' / 'zero.wav'}: is empty: zero bytes.\n"
    assert not (tmp_path / "out.csv").exists()
    row = kept(tmp_path / "out.csv")[0]
    part = tmp_path / "out.csv.part"
    text = part.read_text()
    assert text.count(str(row["anomaly_score"])) == 1
    part.write_text(text.replace(str(row["anomaly_score"]), str(SCORE_OF_TEST)) + '["half a li')
    soundfile.write(tmp_path / "new" / "pump" / "zero.wav", np.random.default_rng(0).normal(size=4000) / 50, 16000)
    return Path(row["file"]), command


def test_strict_stops_and_the_same_command_scores_what_is_missing(hall, threads, tmp_path):
    file, command = stopped(hall, threads, tmp_path)
    assert skasd(*command).returncode == 0
    table = pd.read_csv(tmp_path / "out.csv")
    assert sorted(table["path"]) == sorted(
        str(file.relative_to(tmp_path / "new")) for file in (tmp_path / "new").rglob("*.wav")
    )
    assert table.loc[table["anomaly_score"] == SCORE_OF_TEST, "path"].tolist() == [f"{file.parent.name}/{file.name}"]


def test_a_recording_that_changed_is_scored_again(hall, threads, tmp_path):
    file, command = stopped(hall, threads, tmp_path)
    shutil.copy(hall / "good" / "fan" / "fan9.wav", file)
    assert skasd(*command).returncode == 0
    assert (tmp_path / "out.csv").read_bytes() == by_one_process(hall, tmp_path / "new", tmp_path / "one.csv")


def test_rows_of_another_model_are_refused(hall, threads, tmp_path):
    _, command = stopped(hall, threads, tmp_path)
    skasd("fit", hall / "normal", "--out", tmp_path / "other.skasd", "--detector", "twfr", "--quiet", "--alpha", "0.2")
    done = skasd(*[tmp_path / "other.skasd" if word == hall / "hall.skasd" else word for word in command])
    assert done.returncode == 2
    assert "out.csv.part keeps the rows of an earlier command that was not finished, with another model" in done.stderr


def test_exit_status_tells_anomalies(hall, threads, tmp_path):
    options = ("--model", hall / "hall.skasd", "--csv", tmp_path / "out.csv", "--scheduler", threads)
    assert skasd("score", hall / "good", *options).returncode == 0
    assert skasd("score", hall / "good", *options, "--exit-status").returncode == 1


def test_two_commands_do_not_write_the_same_table(hall, threads, tmp_path):
    with FileLock(tmp_path / "out.csv.part.lock"):
        done = skasd(
            *("score", hall / "new", "--model", hall / "hall.skasd", "--csv", tmp_path / "out.csv"),
            *("--scheduler", threads),
        )
    assert "out.csv.part is in use: another skasd score writes the same table" in done.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--model", "hall.skasd"), "takes --model, a file that is sent to the workers, and --csv, a table"),
        (("--train", "normal", "--csv", "out.csv"), "takes --model, a file that is sent to the workers, and --csv"),
        (("--model", "hall.skasd", "--csv", "out.csv", "--jobs", "0"), "n_jobs=0 means no thread at all"),
    ],
)
def test_options_that_have_no_meaning_are_refused(hall, monkeypatch, options, message):
    monkeypatch.chdir(hall)
    done = skasd("score", "new", *options, "--scheduler", "tcp://127.0.0.1:1")
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert not (hall / "out.csv.part").exists()


def refused(hall, folder, address):
    """Message with which an address is refused."""
    options = ("--model", hall / "hall.skasd", "--csv", folder / "out.csv", "--scheduler", address)
    done = skasd("score", hall / "new", *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert not list(folder.glob("out.csv*"))
    return done.stderr


def test_a_scheduler_that_cannot_be_reached_is_named(hall, tmp_path, monkeypatch):
    monkeypatch.setattr(_cluster, "_CONNECT_SECONDS", 0.5)
    message = refused(hall, tmp_path, "tcp://127.0.0.1:1")
    assert message.startswith("skasd: --scheduler=tcp://127.0.0.1:1 cannot be reached: ")
    assert "dask scheduler" in message
    assert "cannot be reached" in refused(hall, tmp_path, "no address at all")


def test_a_scheduler_without_workers_is_named(hall, tmp_path):
    with distributed.LocalCluster(
        n_workers=0, processes=False, dashboard_address=":0", protocol="tcp://", silence_logs=50
    ) as cluster:
        message = refused(hall, tmp_path, cluster.scheduler_address)
    assert f"--scheduler={cluster.scheduler_address} has no workers; start some with dask worker" in message


def test_workers_with_another_version_are_named(hall, threads, tmp_path, monkeypatch):
    monkeypatch.setattr(_cluster, "__version__", "999")
    message = refused(hall, tmp_path, threads)
    assert message.startswith(f"skasd: 2 of 2 workers of --scheduler={threads} cannot score recordings as this command")
    assert "which has skasd 999: " in message
    assert "Install skasd 999 for all workers." in message


def after(n_rows, csv):
    """Wait until so many rows are kept."""
    deadline = time.monotonic() + 60
    while len(kept(csv)) < n_rows and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(kept(csv)) >= n_rows


@pytest.mark.slow
def test_a_worker_that_is_killed_loses_nothing(hall, cluster, reads, tmp_path):
    with distributed.Client(cluster.scheduler_address, set_as_default=False) as client:
        pids = list(client.run(os.getpid).values())
    before = []

    def kill_one():
        after(10, tmp_path / "out.csv")
        os.kill(pids[0], signal.SIGKILL)
        before.extend(kept(tmp_path / "out.csv"))

    killer = threading.Thread(target=kill_one)
    killer.start()
    options = ("--model", hall / "hall.skasd", "--csv", tmp_path / "out.csv", "--scheduler", cluster.scheduler_address)
    done = skasd("score", hall / "good", *options)
    killer.join()
    assert (done.returncode, done.stderr) == (0, "")
    assert 10 <= len(before) < 60
    assert (tmp_path / "out.csv").read_bytes() == by_one_process(hall, hall / "good", tmp_path / "one.csv")


@pytest.mark.slow
def test_a_command_that_is_killed_goes_on_with_what_is_missing(hall, cluster, reads, tmp_path, monkeypatch):
    monkeypatch.chdir(hall)  # where the workers are not
    options = ("--model", hall / "hall.skasd", "--csv", tmp_path / "out.csv", "--scheduler", cluster.scheduler_address)
    command = ("score", "new/fan/fan1.wav", "new", *options)
    first = subprocess.Popen([sys.executable, "-m", "skasd", *map(str, command)])
    after(10, tmp_path / "out.csv")
    first.kill()
    first.wait()
    rows = kept(tmp_path / "out.csv")
    time.sleep(1)  # workers finish the chunk that they have
    before = reads.read_text().split()
    assert skasd(*command).returncode == 2
    again = reads.read_text().split()[len(before) :]
    assert len(rows) < 63
    assert set(again).isdisjoint(Path(row["file"]).name for row in rows if not row["reason"])
    assert (tmp_path / "out.csv").read_bytes() == by_one_process(hall, hall / "new", tmp_path / "one.csv")


@pytest.mark.slow
def test_a_recording_that_kills_workers_is_a_row_with_the_reason(hall, cluster, tmp_path):
    shutil.copytree(hall / "good", tmp_path / "new")
    alone = pd.read_csv(by_one_process(hall, tmp_path / "new", tmp_path / "one.csv") and tmp_path / "one.csv")
    for name in ("poison1.wav", "poison2.wav"):
        shutil.copy(hall / "good" / "fan" / "fan1.wav", tmp_path / "new" / "fan" / name)
    options = ("--model", hall / "hall.skasd", "--csv", tmp_path / "out.csv", "--scheduler", cluster.scheduler_address)
    assert skasd("score", tmp_path / "new", *options).returncode == 2
    table = pd.read_csv(tmp_path / "out.csv")
    assert table["path"][60:].tolist() == ["fan/poison1.wav", "fan/poison2.wav"]
    assert table["reason"][60:].tolist() == ["ends the process that scores it (Killed)"] * 2
    pd.testing.assert_frame_equal(table[:60], alone, check_dtype=False)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="needs a path that each process sees differently")
def test_a_recording_that_workers_do_not_see_says_so_and_is_tried_again(hall, cluster, tmp_path):
    (tmp_path / "here").mkdir()
    shutil.copytree(hall / "good" / "fan", tmp_path / "here" / "own" / "fan")
    folders = ("/proc/self/cwd/own", hall / "good" / "pump")
    options = ("--model", hall / "hall.skasd", "--csv", tmp_path / "out.csv", "--scheduler", cluster.scheduler_address)
    done = skasd_process("score", *folders, *options, cwd=tmp_path / "here")
    assert done.returncode == 2, done.stderr
    table = pd.read_csv(tmp_path / "out.csv")
    assert table["reason"].str.contains("is not seen by the worker tcp://127.0.0.1:").sum() == 30
    assert table["anomaly_score"].notna().sum() == 30
    assert "30 files were not seen by a worker. The same command tries them again" in done.stdout.splitlines()[-1]
    with distributed.Client(cluster.scheduler_address, set_as_default=False) as client:
        client.run(os.chdir, str(tmp_path / "here"))
    done = skasd_process("score", *folders, *options, cwd=tmp_path / "here")
    assert done.returncode == 0, done.stderr
    assert pd.read_csv(tmp_path / "out.csv")["anomaly_score"].notna().all()
    assert not (tmp_path / "out.csv.part").exists()


@pytest.mark.slow
def test_workers_without_skasd_are_named(hall, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(HOOKS))
    monkeypatch.setenv("SKASD_TEST_WITHOUT", "skasd")
    options = {"n_workers": 1, "threads_per_worker": 1, "processes": True, "dashboard_address": ":0"}
    with distributed.LocalCluster(**options, silence_logs=50) as cluster:
        message = refused(hall, tmp_path, cluster.scheduler_address)
    assert "has no skasd (No module named 'skasd'). Install skasd" in message


@pytest.mark.slow
def test_workers_that_are_gone_end_the_command(hall, cluster, tmp_path, monkeypatch):
    monkeypatch.setattr(_cluster, "_PATIENCE", 2.0)
    stop = threading.Thread(target=lambda: (after(1, tmp_path / "out.csv"), cluster.scale(0)))
    stop.start()
    command = ("score", hall / "good", "--model", hall / "hall.skasd", "--csv", tmp_path / "out.csv")
    done = skasd(*command, "--scheduler", cluster.scheduler_address)
    stop.join()
    assert done.returncode == 2
    assert "no workers for 2 seconds" in done.stderr or "the workers is lost" in done.stderr
    assert f"What is scored is kept in {tmp_path / 'out.csv'}.part, and the same command scores" in done.stderr


@pytest.mark.slow
def test_a_scheduler_that_is_gone_ends_the_command(hall, cluster, tmp_path):
    stop = threading.Thread(target=lambda: (after(1, tmp_path / "out.csv"), cluster.close()))
    stop.start()
    command = ("score", hall / "good", "--model", hall / "hall.skasd", "--csv", tmp_path / "out.csv")
    done = skasd(*command, "--scheduler", cluster.scheduler_address)
    stop.join()
    assert done.returncode == 2
    assert done.stderr.startswith("skasd: the connection to the scheduler")
    assert done.stderr.count("\n") == 1
