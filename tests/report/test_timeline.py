"""The page about watched machines: what it says of a database, and what it refuses."""

import json
import sqlite3
from datetime import UTC, datetime, timedelta
from importlib.resources import files

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from skasd.cli._app import app
from skasd.monitoring._schema import APPLICATION_ID, SCHEMA_VERSION
from skasd.monitoring._state import _text
from skasd.report import write_timeline
from skasd.report._time_line import WIDTH, time_line
from skasd.report._watched import N_COLUMNS, read_watch
from skasd.report._write_timeline import duration
from tests.report.conftest import CLOSING, HOSTILE

START = datetime(2026, 11, 20, 8, tzinfo=UTC)
RATE = 8000
PART = {"estimator": "TWFRDetector", "parameters": {}, "threshold": None, "training": None, "calibration": None}


def text(minutes):
    return (START + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%S.000Z")


class Database:
    """A database as skasd watch writes it, filled by hand."""

    def __init__(self, path):
        self.path, self.connection = path, sqlite3.connect(path, isolation_level=None)
        self.connection.executescript(files("skasd.monitoring").joinpath("schema.sql").read_text())
        self.connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        self.connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        self.add(
            "model", id=1, fingerprint="f" * 64, path="m.skasd", description=json.dumps(PART), first_used_at=text(0)
        )

    def add(self, table, **row):
        names, marks = ", ".join(row), ", ".join("?" * len(row))
        self.connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(row.values()))
        return self.connection.execute("SELECT last_insert_rowid()").fetchone()[0]

    def machine(self, name, since=None):
        """A machine that watches, or has been learning since a time in minutes."""
        sound = None if since is None else {"start": _text(np.array([(START + timedelta(minutes=since)).timestamp()]))}
        return self.add("machine", name=name, model_id=1, monitor=json.dumps({"sound": sound}))

    def recording(self, machine, minutes, scores, path=None, size=1, modified_ns=1):
        path = str(path or f"gone {machine} {minutes}.wav")
        row = {"path": path, "size": size, "modified_ns": modified_ns, "machine_id": machine, "model_id": 1}
        number = self.add("recording", **row, started_at=text(minutes), duration=600.0, heard_at=text(minutes))
        for place, score in enumerate(scores):
            times = {"number": place, "start": 60.0 * place, "end": 60.0 * place + 120.0}
            self.add("window", recording_id=number, **times, anomaly_score=float(score), is_anomaly=int(score > 4))
        return number

    def episode(self, machine, recording, minutes, lasts=2, score=7.5, window=1):
        ended_at = None if lasts is None else text(minutes + lasts)
        row = {"machine_id": machine, "started_at": text(minutes), "ended_at": ended_at, "n_windows": 3}
        return self.add(
            "episode", **row, largest_score=score, threshold=4.0, recording_id=recording, window_number=window
        )

    def learning(self, machine, minutes, threshold):
        rates = {"episodes_per_day": 1.0, "lowest_per_day": 0.4, "highest_per_day": 2.5}
        self.add(
            "learning",
            machine_id=machine,
            learnt_at=text(minutes),
            hours=24.0,
            threshold=threshold,
            **rates,
            details="{}",
        )


@pytest.fixture
def database(tmp_path):
    return Database(tmp_path / "watch.sqlite")


def fill(database, folder):
    """Two machines, one with names that are markup, an episode with sound and two without, drift and a failure."""
    press, pump = database.machine(HOSTILE), database.machine("pump", since=0)
    sound = folder / CLOSING.replace("/", "_")
    tone = 0.3 * np.sin(2 * np.pi * 1000 * np.arange(240 * RATE) / RATE)
    soundfile.write(sound, np.column_stack([tone, 0 * tone]), RATE, format="WAV")
    state = sound.stat()
    first = database.recording(press, 0, [1, 7.5, 2], sound, state.st_size, state.st_mtime_ns)
    second = database.recording(press, 2000, [1, 2, 6])
    database.recording(pump, 0, [1, 1, 1])
    database.learning(press, 0, 4.0)
    database.episode(press, first, 1)
    database.episode(press, second, 2001, lasts=None, score=6.0, window=2)
    database.episode(pump, second, 5, lasts=90, score=5.0)
    database.add("drift", machine_id=press, recording_id=second, noticed_at=text(2005), log_martingale=2.5, level=0.01)
    database.add(
        "failure", path=f"/{HOSTILE}", size=3, modified_ns=3, reason="is <b>empty</b>: zero bytes", failed_at=text(30)
    )
    return database


@pytest.fixture(scope="session")
def timeline(tmp_path_factory):
    folder = tmp_path_factory.mktemp("timeline")
    database = fill(Database(folder / "watch.sqlite"), folder)
    return write_timeline(database.path, folder / "watch.html", title="Hall <u>2</u>")


def test_the_page_says_what_was_heard(timeline):
    page = timeline.read_text(encoding="utf-8")
    for said in (
        "<strong>3</strong> episodes",
        "<strong>0.5</strong> hours heard",
        "<strong>1</strong> not usable",
        "From 20 November 2026, 08:00 UTC to 21 November 2026, 17:30 UTC",
        "Threshold 4 since 20 November 2026, 08:00 UTC",
        "1 false episodes a day are expected (95 % interval 0.4 to 2.5)",
        "<b>Still learning</b>",
        "<b>Drift</b>, noticed on 21 November 2026, 17:25 UTC",
        "1 h 30 min",
        "goes on",
        "No sound here: the recording is gone.",
        "TWFRDetector",
    ):
        assert said in page, said


def test_names_and_reasons_never_become_markup(timeline):
    page = timeline.read_text(encoding="utf-8")
    assert "<img src=x" not in page
    assert "<b>empty" not in page
    assert "<u>2" not in page
    assert page.count("<script") == 3 + page.count(
        '<script type="text/plain" id="s'
    )  # data, format, program, and files


def test_the_sound_is_the_first_channel_of_the_loudest_window(timeline):
    page = timeline.read_text(encoding="utf-8")
    (figure,) = json.loads(page.split('id="data">')[1].split("</script>")[0])
    assert (figure["start"], figure["seconds"], figure["whole"]) == (60.0 + 30.0, 60.0, 240.0)  # the middle of it
    assert figure["gain"] == pytest.approx(20 * np.log10(0.9 / 0.3), abs=0.1)


def test_a_recording_that_changed_has_no_sound(database, tmp_path):
    machine = database.machine("")
    path = tmp_path / "sound.wav"
    soundfile.write(path, np.zeros(RATE), RATE)
    for size, reason in ((0, "the recording has changed since"), (path.stat().st_size, "the recording cannot be read")):
        number = database.recording(machine, size, [1, 5], path, size, path.stat().st_mtime_ns)
        database.episode(machine, number, size + 1, window=7)  # a window that is not there
        page = write_timeline(database.path, tmp_path / "page.html").read_text(encoding="utf-8")
        assert f"No sound here: {reason}" in page


def test_most_episodes_are_without_sound_where_asked_for(database, tmp_path):
    fill(database, tmp_path)
    page = write_timeline(database.path, tmp_path / "page.html", most=0).read_text(encoding="utf-8")
    assert page.count("an older episode, without sound on this page") == 3


def test_days_count_from_the_end_of_the_last_recording(database, tmp_path):
    fill(database, tmp_path)
    whole, part = read_watch(database.path, None), read_watch(database.path, 1.0)
    assert [each.name for each in whole.machines] == [HOSTILE, "pump"]
    assert [each.name for each in part.machines] == [HOSTILE]
    assert part.end - part.start == timedelta(days=1)
    assert [each.id for each in part.machines[0].episodes] == [2]
    assert part.failures == []
    assert read_watch(database.path, 1000.0).start == START


def test_columns_are_the_smallest_the_mean_and_the_largest_score(database):
    machine = database.machine("")
    for minutes in range(0, 6000, 10):
        database.recording(machine, minutes, [minutes, minutes + 1, minutes + 5])
    (watched,) = read_watch(database.path, None).machines
    assert watched.n_windows == 1800
    np.testing.assert_allclose(watched.columns[:, 0], np.arange(N_COLUMNS) * 10)
    np.testing.assert_allclose(watched.columns[:, 1], np.arange(N_COLUMNS) * 10 + 2)
    np.testing.assert_allclose(watched.columns[:, 2], np.arange(N_COLUMNS) * 10 + 5)


def test_the_time_line_has_gaps_episodes_and_every_threshold(database):
    machine = database.machine("")
    for minutes in (*range(0, 2000, 10), *range(4000, 6000, 10)):
        number = database.recording(machine, minutes, [1, 2])
    database.learning(machine, 0, 4.0)
    database.learning(machine, 3000, 5.0)
    database.episode(machine, number, 5990, lasts=1)
    watch = read_watch(database.path, None)
    line = time_line(watch.machines[0], watch.start, watch.end)
    assert line.band.count("M") == line.mean.count("M") == 2  # before and after the gap
    assert line.threshold.startswith("M0.0 ")
    assert line.threshold.count("M") == 2
    ((_, left, width),) = line.episodes
    assert left + width == WIDTH
    assert line.times == ["20 Nov 08:00", "21 Nov 09:00", "22 Nov 10:00", "23 Nov 11:00", "24 Nov 12:00"]


def test_a_threshold_ends_where_the_machine_is_learnt_again(database, tmp_path):
    machine = database.machine("", since=5)
    database.recording(machine, 0, [1, 2])
    database.learning(machine, 0, 4.0)
    watch = read_watch(database.path, None)
    assert time_line(watch.machines[0], watch.start, watch.end).threshold.endswith(f" L{WIDTH / 2} 6.8")
    page = write_timeline(database.path, tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<b>Learning again</b> since 20 November 2026, 08:05 UTC" in page


def test_thresholds_from_before_the_time_of_the_page_do_not_count(database):
    machine = database.machine("")
    database.recording(machine, 0, [1, 2])
    database.recording(machine, 10_000, [1, 2])
    database.learning(machine, 0, 50_000.0)
    database.learning(machine, 20, 4.0)
    watch = read_watch(database.path, 1.0)
    assert time_line(watch.machines[0], watch.start, watch.end).scores == ("4.15", "0.85")


def test_a_machine_that_fell_silent_is_named(database, tmp_path):
    database.recording(database.machine("fan"), 10_000, [1])
    database.recording(database.machine("pump"), 0, [1])
    page = write_timeline(database.path, tmp_path / "page.html", days=2).read_text(encoding="utf-8")
    assert "<b>pump</b>: nothing was recorded in this time; the last recording ends on 20 November 2026, 08:10" in page


def test_a_recording_that_began_before_the_time_of_the_page_counts(database):
    database.recording(database.machine(""), 0, np.arange(9))  # windows of two minutes, one a minute
    (watched,) = read_watch(database.path, 5 / 1440).machines
    assert watched.n_windows == 4
    assert np.nanmin(watched.columns) == 5


def test_the_database_is_never_replaced(database):
    with pytest.raises(ValueError, match="is the database itself"):
        write_timeline(database.path, database.path)


def test_scores_far_above_the_threshold_are_drawn_at_the_top(database):
    machine = database.machine("")
    database.recording(machine, 0, [1, 1, 1, 1, 900])
    database.learning(machine, 0, 3.0)
    watch = read_watch(database.path, None)
    assert time_line(watch.machines[0], watch.start, watch.end).scores == ("11 and more", "1")


def test_a_database_without_recordings_has_a_page(database, tmp_path):
    page = write_timeline(database.path, tmp_path / "page.html").read_text(encoding="utf-8")
    assert "Nothing was recorded in this time." in page


def test_it_is_read_while_another_process_writes(database, tmp_path):
    fill(database, tmp_path)
    database.connection.execute("PRAGMA journal_mode = WAL")
    database.connection.execute("BEGIN IMMEDIATE")
    database.machine("not committed")
    assert len(read_watch(database.path, None).machines) == 2


def test_what_is_no_database_of_watch_is_refused(database, tmp_path):
    out = tmp_path / "page.html"
    with pytest.raises(FileNotFoundError, match=r"none\.sqlite does not exist"):
        write_timeline(tmp_path / "none.sqlite", out)
    (tmp_path / "text").write_text("no database, but a text that is long enough to have a header of one" * 20)
    with pytest.raises(ValueError, match="text is no database of skasd watch"):
        write_timeline(tmp_path / "text", out)
    database.connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    with pytest.raises(ValueError, match="made by a newer skasd"):
        write_timeline(database.path, out)
    database.connection.execute("PRAGMA application_id = 7")
    with pytest.raises(ValueError, match="a database of another program"):
        write_timeline(database.path, out)
    assert not out.exists()


@pytest.mark.parametrize(
    ("given", "message"),
    [({"days": 0}, "days=0"), ({"most": -1}, "most=-1"), ({"audio": "mp3"}, "audio='mp3'")],
)
def test_options_are_checked(database, tmp_path, given, message):
    with pytest.raises(ValueError, match=message):
        write_timeline(database.path, tmp_path / "page.html", **given)


@pytest.mark.parametrize(
    ("seconds", "said"), [(5, "5 s"), (119, "119 s"), (600, "10 min"), (12000, "3 h 20 min"), (259200, "3.0 days")]
)
def test_lengths_of_time_are_told_in_words(seconds, said):
    assert duration(timedelta(seconds=seconds)) == said


# the command


def command(*words):
    return CliRunner().invoke(app, ["report", *map(str, words)], catch_exceptions=True)


def test_the_command_writes_the_page(database, tmp_path):
    fill(database, tmp_path)
    out = tmp_path / "new" / "page.html"
    done = command("--database", database.path, "--out", out, "--days", 1, "--title", "Hall 7")
    assert done.exit_code == 0, done.exception
    assert done.stdout.strip() == f"{out} was written."
    assert "<title>Hall 7</title>" in out.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "either the results folder"),
        (["results", "--database", "a.sqlite"], "either the results folder"),
        (["--database", "a.sqlite"], "--database needs --out"),
        (["results", "--days", "3"], "--days cannot be used with the results of a benchmark"),
        (["--database", "a.sqlite", "--out", "b.html", "--compare", "x", "y"], "--compare cannot be used"),
    ],
)
def test_the_command_names_what_does_not_fit(words, message):
    assert message in str(command(*words).exception)
