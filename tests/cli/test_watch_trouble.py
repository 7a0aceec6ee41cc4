"""`skasd watch` where files, times and programs are not as one expects: nothing is lost, and it goes on."""

import os
import shutil

import numpy as np
import pytest
import soundfile

from tests.cli.watching import LEARNING, RATE, rows, sound, told, version, versions, write


def write_long(path, *, is_odd, gain=1.0, at):
    """Four seconds of sound that end `at` s after some moment."""
    pieces = [gain * sound(number, is_odd) for number in range(8)]
    soundfile.write(path, np.concatenate(pieces), RATE)
    os.utime(path, (1.79e9 + at,) * 2)


def test_what_a_program_prints_may_be_any_bytes(watched):
    write(watched.folder / "0.wav", 0, is_odd=True, at=0)
    done = watched.once("--on-episode", r"""sh -c 'printf "\377"; exit 3'""")
    assert [line["event"] for line in told(done.stdout)] == ["started"]
    assert "--on-episode ended with exit status 3" in done.stderr
    assert watched.once() == (0, "", "")


def test_an_episode_has_the_recording_of_its_largest_score_though_the_file_was_overwritten(watched):
    path = watched.folder / "current.wav"
    write_long(path, is_odd=True, gain=0.5, at=0)
    watched.once()
    write_long(path, is_odd=True, at=4)
    watched.once()
    found = rows(
        watched.database,
        "SELECT episode.recording_id, (SELECT recording_id FROM window ORDER BY anomaly_score DESC LIMIT 1) FROM episode",
    )
    assert len(found) == 1
    assert found[0][0] == found[0][1]
    assert rows(watched.database, f"SELECT count(*) FROM recording WHERE id > {found[0][0]}") == [(1,)]


def test_episodes_that_start_at_the_same_time_are_all_kept_and_told(watched):
    for name in "abc":
        write_long(watched.folder / f"{name}.wav", is_odd=True, at=0)
    watched.once()
    write(watched.folder / "later.wav", 0, at=9000)  # after drift, an episode goes on over an hour
    watched.once()
    starts = [start for (start,) in rows(watched.database, "SELECT started_at FROM episode ORDER BY id")]
    assert starts == [f"2026-09-21T14:13:16.00{number}Z" for number in range(3)]
    assert rows(watched.database, "SELECT count(*) FROM episode WHERE end_told_at IS NULL") == [(0,)]


def test_settings_are_refused_before_anything_is_heard_or_forgotten(watched):
    before = rows(watched.database, "SELECT monitor FROM machine")
    for options in (("--set", "end_share=5"), ("--set", "drift_interval=0.1"), ("--on-episode", "no-such-program")):
        done = watched.once("--relearn", *options)
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1
    assert rows(watched.database, "SELECT monitor FROM machine") == before
    assert "--on-episode=" in watched.once("--on-episode", "mail 'me").stderr


def test_a_length_without_end_is_a_failure(hall):
    path = hall.folder / "long.flac"
    soundfile.write(path, sound(0), RATE)
    content = bytearray(path.read_bytes())
    bits = 1 << 44 | 15 << 36 | (2**36 - 2)  # a sample rate of 1 Hz, one channel of 16 bits, 2,000 years
    content[18:26] = bits.to_bytes(8, "big")
    path.write_bytes(content)
    os.utime(path, (1.79e9,) * 2)
    write(hall.folder / "next.wav", 1, at=5)
    done = hall.once(*LEARNING)
    assert done.returncode == 2
    assert versions(hall.database, "failure") == [version(path)]
    assert len(versions(hall.database)) == 1


def test_what_could_not_be_used_is_tried_again_with_a_new_learning_period(hall):
    path = hall.folder / "0.wav"
    path.write_bytes(b"")
    os.utime(path, (1.79e9,) * 2)
    hall.once()
    state = path.stat()
    assert versions(hall.database, "failure") == [version(path)]
    shutil.copy(write(hall.folder.parent / "good.wav", 0), path)
    with path.open("rb+") as stream:
        stream.truncate(0)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))  # as it was
    assert hall.once().returncode == 0
    assert hall.once("--relearn").returncode == 2


@pytest.mark.parametrize("hours", ["9000"])
def test_a_learning_period_that_could_not_end_is_refused(hall, hours):
    done = hall.once("--learning-hours", hours)
    assert done.returncode == 2
    assert "learning_hours=9000.0 takes a learning period of 9000 hours" in done.stderr
