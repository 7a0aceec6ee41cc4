"""`skasd watch`: each whole recording in the database once, episodes told, and bad files and full disks survived."""

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile

import skasd as library
from skasd.cli._models import load_scored
from skasd.cli._watch import _machine_of, _monitor
from skasd.monitoring import _watch
from skasd.monitoring._database import WatchDatabase
from skasd.monitoring._folder import Folders
from skasd.monitoring._hearing import Hearing
from skasd.monitoring._records import model_row
from skasd.monitoring._tell import Teller
from tests.cli.running import skasd
from tests.cli.watching import (
    RATE,
    fill,
    n_heard,
    rows,
    sound,
    started,
    told,
    version,
    versions,
    wait_until,
    write,
    write_learning_sound,
)


def test_once_hears_all_in_order_of_change_and_says_nothing(hall):
    fill(hall.folder, 4)
    os.utime(hall.folder / "000.wav", (1.79e9 + 9,) * 2)
    done = hall.once()
    assert done == (0, "", "")
    paths = rows(hall.database, "SELECT path, duration FROM recording ORDER BY id")
    assert paths == [(str(hall.folder / f"{number:03d}.wav"), 0.5) for number in (1, 2, 3, 0)]
    assert rows(hall.database, "SELECT started_at FROM recording ORDER BY id LIMIT 1") == [
        ("2026-09-21T14:13:20.000Z",)
    ]


def test_windows_are_those_of_score_windows(hall):
    from skasd.monitoring import score_windows

    path = write(hall.folder / "long.wav", 0, at=0)
    soundfile.write(path, np.concatenate([sound(number) for number in range(3)]), RATE)
    os.utime(path, (1.79e9,) * 2)
    hall.once()
    table = score_windows(library.load(hall.model), path)
    found = rows(hall.database, "SELECT start, end, anomaly_score, is_anomaly FROM window ORDER BY number")
    assert found == list(
        zip(table["start"], table["end"], table["anomaly_score"], table["decision"] == "anomaly", strict=True)
    )


def test_a_second_run_hears_only_what_is_new(hall):
    fill(hall.folder, 2)
    hall.once()
    heard = rows(hall.database, "SELECT heard_at FROM recording ORDER BY id")
    write(hall.folder / "new.wav", 5, at=9)
    hall.once()
    assert len(versions(hall.database)) == 3
    assert rows(hall.database, "SELECT heard_at FROM recording ORDER BY id")[:2] == heard


def test_an_episode_is_told_once_as_it_starts_and_once_as_it_ends(watched):
    for number in range(4):
        write(watched.folder / f"{number}.wav", number, is_odd=number > 1, at=number / 2)
    done = watched.once()
    (line,) = told(done.stdout)
    assert done.returncode == 1
    assert (line["event"], line["id"], line["machine"], line["ended_at"]) == ("started", 1, "", None)
    assert (line["recording"], line["start"], line["end"]) in [
        (str(watched.folder / f"{number}.wav"), 0, 0.5) for number in (2, 3)
    ]
    assert line["largest_score"] > line["threshold"]
    assert watched.once() == (0, "", "")
    for number in range(4, 8):
        write(watched.folder / f"{number}.wav", number, at=number / 2)
    done = watched.once()
    (last,) = told(done.stdout)
    assert done.returncode == 1
    assert (last["event"], last["id"], last["started_at"]) == ("ended", 1, line["started_at"])
    assert last["ended_at"] > last["started_at"]
    assert watched.once() == (0, "", "")
    assert rows(watched.database, "SELECT count(*) FROM episode WHERE told_at < end_told_at") == [(1,)]


def test_a_program_gets_each_line_and_its_failure_is_a_warning(watched, tmp_path):
    fill(watched.folder, 12, odd=(3, 4))
    script = tmp_path / "keep.py"
    script.write_text(
        f"import sys; open({str(tmp_path / 'lines')!r}, 'a').write(sys.stdin.read()); sys.exit('no mail')"
    )
    done = watched.once("--on-episode", f"'{sys.executable}' {script}")
    assert done.returncode == 1
    assert (tmp_path / "lines").read_text() == done.stdout
    assert "warning: --on-episode ended with exit status 1: no mail" in done.stderr
    assert len(versions(watched.database)) == 12


def test_a_program_that_does_not_exist_is_refused_at_the_start(hall):
    done = hall.once("--on-episode", "no-such-program --now")
    assert done.returncode == 2
    assert "there is no program no-such-program" in done.stderr


def test_an_episode_that_was_not_told_before_a_kill_is_told_at_the_next_start(watched):
    fill(watched.folder, 12, odd=(3, 4))
    first = watched.once()
    with closing(sqlite3.connect(watched.database)) as connection, connection:
        connection.execute("UPDATE episode SET told_at = NULL, end_told_at = NULL")
    assert told(watched.once().stdout)[-1] == told(first.stdout)[-1]


def test_bad_files_are_failures_once_and_taken_when_they_are_repaired(hall):
    fill(hall.folder, 2)
    (hall.folder / "empty.wav").touch()
    (hall.folder / "text.wav").write_text("hello")
    (hall.folder / "phone.m4a").write_text("hello")
    cut = write(hall.folder / "cut.wav", 3)
    cut.write_bytes(cut.read_bytes()[:5000])
    for path in hall.folder.iterdir():
        os.utime(path, (1.79e9,) * 2)
    done = hall.once()
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 4
    reasons = dict(rows(hall.database, "SELECT path, reason FROM failure"))
    assert "is cut short" in reasons[str(cut)]
    assert reasons[str(hall.folder / "empty.wav")] == "is empty: zero bytes"
    assert "convert to WAV or FLAC" in reasons[str(hall.folder / "phone.m4a")]
    assert len(versions(hall.database)) == 2
    assert hall.once() == (0, "", "")
    write(cut, 3, at=9)
    assert hall.once().returncode == 0
    assert version(cut) in versions(hall.database)
    assert len(versions(hall.database, "failure")) == 4


def test_a_file_that_may_still_grow_is_no_failure_yet(hall):
    cut = write(hall.folder / "cut.wav", 3)
    whole = cut.read_bytes()
    cut.write_bytes(whole[:5000])
    assert hall.once("--patience", "100") == (0, "", "")
    cut.write_bytes(whole)
    assert hall.once("--patience", "100") == (0, "", "")
    assert versions(hall.database) == [version(cut)]
    assert versions(hall.database, "failure") == []


def test_a_recording_that_was_renamed_is_not_heard_again(hall):
    fill(hall.folder, 2)
    hall.once()
    (hall.folder / "000.wav").rename(hall.folder / "pump.wav")
    shutil.copy2(hall.folder / "001.wav", hall.folder / "copy.wav")  # another recording, as both are there
    hall.once()
    assert versions(hall.database) == sorted(version(path) for path in hall.folder.iterdir())
    assert rows(hall.database, "SELECT path FROM recording WHERE id = 1") == [(str(hall.folder / "pump.wav"),)]


def test_a_recording_that_was_deleted_stays_in_the_database(hall):
    fill(hall.folder, 2)
    hall.once()
    (hall.folder / "000.wav").unlink()
    assert hall.once() == (0, "", "")
    assert len(versions(hall.database)) == 2


def test_names_that_are_not_utf_8_and_markup_are_kept(hall):
    names = (b"L\xfcfter.wav", "Lüfter 2.wav".encode(), b"<img src=x>\n.wav")
    for number, name in enumerate(names):
        path = write(hall.folder / "a.wav", number, at=number / 2)
        os.rename(path, os.fsencode(hall.folder) + b"/" + name)  # noqa: PTH104
    hall.once()
    hall.once()
    paths = [path for (path,) in rows(hall.database, "SELECT path FROM recording ORDER BY id")]
    assert [path.removeprefix(f"{hall.folder}/") for path in paths] == [
        "L\\xfcfter.wav",
        "Lüfter 2.wav",
        "<img src=x>\n.wav",
    ]


def test_recordings_are_of_the_machine_whose_folder_they_are_in(hall, tmp_path, watch_model):
    detector = library.load(watch_model)
    hall.model = tmp_path / "two.skasd"
    library.save({"fan": detector, "Pumpe 7": detector}, hall.model)
    write(hall.folder / "fan" / "a.wav", 0, at=0)
    write(hall.folder / "pumpe 7" / "monday" / "a.wav", 1, is_odd=True, at=0)
    write(hall.folder / "loose.wav", 2, at=0)
    done = hall.once()
    assert done.returncode == 2
    query = "SELECT name, path FROM recording JOIN machine ON machine.id = machine_id ORDER BY name"
    assert rows(hall.database, query) == [
        ("Pumpe 7", str(hall.folder / "pumpe 7" / "monday" / "a.wav")),
        ("fan", str(hall.folder / "fan" / "a.wav")),
    ]
    assert (
        "none of the machines that were learnt (fan, Pumpe 7)"
        in rows(hall.database, "SELECT reason FROM failure")[0][0]
    )
    (hall.folder / "loose.wav").rename(hall.folder / "fan" / "loose.wav")
    assert hall.once().returncode == 0
    assert len(versions(hall.database)) == 3


def test_other_settings_need_a_new_learning_period(watched):
    fill(watched.folder, 1)
    done = watched.once("--false-episodes-per-day", "300")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "was watched with false_episodes_per_day=200.0, and false_episodes_per_day=300.0 is given now" in done.stderr
    assert watched.once("--false-episodes-per-day", "200").returncode == 0
    assert watched.once("--false-episodes-per-day", "300", "--relearn").returncode == 0
    (state,) = rows(watched.database, "SELECT monitor FROM machine")
    assert state == (None,)


def test_relearning_says_what_it_replaced_and_ends_the_episode(watched):
    write(watched.folder / "0.wav", 0, is_odd=True, at=0)
    assert [line["event"] for line in told(watched.once().stdout)] == ["started"]
    write_learning_sound(watched.folder / "again")
    done = watched.once("--relearn")
    assert [line["event"] for line in told(done.stdout)] == ["ended"]
    first, second = (json.loads(text) for (text,) in rows(watched.database, "SELECT details FROM learning ORDER BY id"))
    assert first["before"] is None
    assert second["before"]["median_score"] == first["median_score"]


def test_another_model_needs_a_new_learning_period(watched, tmp_path, watch_model):
    write(watched.folder / "0.wav", 0, is_odd=True, at=0)
    watched.once()
    detector = library.load(watch_model)
    detector.offset_ -= 1
    watched.model = tmp_path / "new.skasd"
    library.save(detector, watched.model)
    write(watched.folder / "1.wav", 1, at=0.5)
    done = watched.once()
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "Give --relearn once" in done.stderr
    done = watched.once("--relearn")
    assert [line["event"] for line in told(done.stdout)] == ["ended"]  # it cannot go on by the other model
    assert rows(watched.database, "SELECT model_id, count(*) FROM recording GROUP BY model_id") == [(1, 11), (2, 1)]
    assert rows(watched.database, "SELECT started_at < ended_at FROM episode") == [(1,)]
    assert watched.once().returncode == 0


def test_the_queries_of_the_guide_find_something(watched):
    fill(watched.folder, 12, odd=(3, 4))
    watched.once()
    guide = (Path(__file__).parents[2] / "docs" / "user_guide" / "watching.rst").read_text(encoding="utf-8")
    queries = re.findall(r"code-block:: sql\n\n((?:    .*\n)+)", guide)
    assert len(queries) == 3
    assert all(rows(watched.database, query) for query in queries)


def test_wrong_use_is_one_line(hall, tmp_path):
    assert "names" in skasd(*hall.command("--once")[:1], tmp_path / "nowhere", *hall.command("--once")[2:]).stderr
    assert "records until it is stopped" in hall.once("--device", "1").stderr
    hall.database.write_text("text " * 1000)
    done = hall.once()
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)


def test_it_hears_what_comes_and_ends_at_sigterm(watched):
    fill(watched.folder, 1)
    process = started(watched)
    wait_until(lambda: n_heard(watched) == 1, process)
    write(watched.folder / "later" / "a.wav", 1, is_odd=True)
    wait_until(lambda: n_heard(watched) == 2, process)
    assert skasd(*watched.command("--once")).stderr.count("is in use by another skasd watch") == 1
    process.terminate()
    out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")
    assert [line["event"] for line in told(out)] == ["started"]


def test_it_polls_and_ctrl_c_says_that_the_next_start_goes_on(hall):
    fill(hall.folder, 1)
    process = started(hall, "--poll")
    wait_until(lambda: n_heard(hall) == 1, process)
    write(hall.folder / "a.wav", 1)
    wait_until(lambda: n_heard(hall) == 2, process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err.splitlines() == [
        "skasd: the machine is being learnt; 24 hours of sound are missing.",
        "skasd: interrupted after 2 recordings; the next start goes on behind them",
    ]


@contextmanager
def small_disk(folder, size="8m"):
    """A file system of its own, which only root can mount."""
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"no small file system could be mounted: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


mounts = pytest.mark.skipif(shutil.which("mount") is None or os.name != "posix", reason="there is no mount")


@mounts
def test_a_full_disk_is_one_line_and_the_next_run_resumes(hall, tmp_path):
    fill(hall.folder, 4)
    with small_disk(tmp_path / "disk") as disk:
        hall.database = disk / "watch.sqlite"
        hall.once()
        fill(hall.folder, 60)
        filler = disk / "filler"
        with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
            while True:
                file.write(bytes(4096))
        os.truncate(filler, filler.stat().st_size - 2**17)  # which a few recordings fill
        done = hall.once()
        assert done.returncode == 2
        (line,) = done.stderr.splitlines()
        assert "cannot be written to" in line
        filler.unlink()
        assert 4 < n_heard(hall) < 60
        assert hall.once().returncode == 0
        assert versions(hall.database) == sorted(version(path) for path in hall.folder.iterdir())
        assert rows(hall.database, "PRAGMA integrity_check") == [("ok",)]


@mounts
def test_a_read_only_folder_of_the_database_is_one_line_and_the_next_run_resumes(hall, tmp_path):
    fill(hall.folder, 2)
    with small_disk(tmp_path / "disk") as disk:
        hall.database = disk / "watch.sqlite"
        hall.once()
        write(hall.folder / "new.wav", 3, at=9)
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        done = hall.once()
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
        assert "Read-only file system" in done.stderr or "readonly" in done.stderr
        subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
        assert hall.once().returncode == 0
        assert n_heard(hall) == 3


@mounts
def test_recordings_on_a_read_only_drive_are_heard(hall, tmp_path):
    with small_disk(tmp_path / "disk") as disk:
        hall.folder = disk
        fill(disk, 2)
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        assert hall.once() == (0, "", "")
        assert n_heard(hall) == 2


def test_a_running_watch_waits_for_a_full_disk_and_resumes(hall, monkeypatch):
    monkeypatch.setattr(_watch, "_RETRY", 0.0)
    fill(hall.folder, 40)
    stop, warned, noted, lines = threading.Event(), [], [], []
    machines = load_scored(hall.model, 1)
    with WatchDatabase(hall.database) as database:
        model = model_row(database, "", "", {})
        hearing = Hearing(database, model, partial(_monitor, machines, {}), partial(_machine_of, machines))
        teller = Teller(database, say=lines.append, warn=warned.append)
        folders = Folders([hall.folder], settle=0, patience=0)
        watch = _watch.Watch(folders, hearing, teller, warned.append, noted.append, stop)

        def wake_ups():
            database.rows(f"PRAGMA max_page_count = {database.rows('PRAGMA page_count')[0][0] + 1}")
            yield True
            assert 0 < n_heard(hall) < 40
            yield False
            database.rows("PRAGMA max_page_count = 100000")
            yield False
            stop.set()

        watch.run(wake_ups())
    assert [sentence.split(": ")[1] for sentence in warned] == [
        "database or disk is full. It is tried again until it can."
    ]
    assert noted[-1] == "The database can be written to again."
    assert versions(hall.database) == sorted(version(path) for path in hall.folder.iterdir())
    assert lines == []
