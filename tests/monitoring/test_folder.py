"""Which files of a folder are recordings, and when they are whole."""

import os
import time
from pathlib import Path

import pytest

from skasd.monitoring._folder import Folders


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def folders(tmp_path, clock):
    return Folders([tmp_path], settle=2, patience=60, clock=clock)


def write(folder, name, content="x", age=0.0):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    os.utime(path, (time.time() - age,) * 2)
    return path


def names(files):
    return [Path(file.path).name for file in files]


def test_recordings_come_in_order_of_change_then_name(tmp_path, folders):
    for name in ("b.wav", "a.wav", "sub/c.FLAC"):
        write(tmp_path, name)
        os.utime(tmp_path / name, (1e9, 1e9))
    write(tmp_path, "0.wav", age=10)
    files = folders.look()
    assert names(files) == ["a.wav", "b.wav", "c.FLAC", "0.wav"]
    assert [file.below for file in files] == ["", "", "sub", ""]


def test_hidden_temporary_and_other_files_are_no_recordings(tmp_path, folders):
    for name in (".a.wav", ".hidden/a.wav", "a.wav.part", "a.tmp", "notes.txt", "watch.sqlite"):
        write(tmp_path, name, age=10)
    (tmp_path / "folder.wav").mkdir()
    os.mkfifo(tmp_path / "pipe.wav")
    assert folders.look() == []
    write(tmp_path, "phone.m4a", age=10)  # has to be converted: told as a failure
    assert names(folders.look()) == []
    assert folders.seconds_to_wait() == 2


def test_a_link_to_a_recording_that_is_watched_itself_is_not_another_one(tmp_path, clock):
    write(tmp_path, "in/a.wav", age=10)
    write(tmp_path, "elsewhere/b.wav", age=10)
    (tmp_path / "in" / "latest.wav").symlink_to("a.wav")
    (tmp_path / "in" / "far.wav").symlink_to(tmp_path / "elsewhere" / "b.wav")
    (tmp_path / "in" / "gone.wav").symlink_to("nothing.wav")
    folders = Folders([tmp_path / "in"], settle=2, patience=60, clock=clock)
    assert sorted(names(folders.look())) == ["a.wav", "far.wav"]


def test_a_folder_inside_another_is_watched_once(tmp_path, clock):
    write(tmp_path, "fan/a.wav", age=10)
    folders = Folders([tmp_path / "fan", tmp_path, tmp_path], settle=2, patience=60, clock=clock)
    assert folders.roots == [tmp_path]
    assert names(folders.look()) == ["a.wav"]


def test_a_file_is_whole_when_it_has_stood_still(tmp_path, folders, clock):
    folders.look()
    path = write(tmp_path, "a.wav")
    for _ in range(5):
        assert folders.look() == []
        clock.now += 1.5
        with path.open("a") as file:
            file.write("more")
    assert folders.look() == []
    assert folders.seconds_to_wait() == 2
    clock.now += 2
    assert names(folders.look()) == ["a.wav"]


def test_only_what_is_there_at_the_start_may_be_whole_at_once(tmp_path, folders, clock):
    write(tmp_path, "old.wav", age=10)
    write(tmp_path, "young.wav", age=0)
    assert names(folders.look()) == ["old.wav"]
    write(tmp_path, "copied with its time.wav", age=1000)
    assert names(folders.look()) == ["old.wav"]
    clock.now += 2
    assert sorted(names(folders.look())) == ["copied with its time.wav", "old.wav", "young.wav"]


def test_a_file_that_is_done_comes_again_when_it_changed(tmp_path, folders, clock):
    path = write(tmp_path, "a.wav", age=10)
    (file,) = folders.look()
    folders.done(file)
    assert folders.look() == []
    path.write_text("repaired")
    clock.now += 2
    assert folders.look() == []
    clock.now += 2
    assert names(folders.look()) == ["a.wav"]


def test_a_file_that_cannot_be_read_is_tried_again_until_it_will_not_get_better(tmp_path, folders, clock):
    folders.look()
    write(tmp_path, "a.wav")
    folders.look()
    clock.now += 2
    (file,) = folders.look()
    assert folders.may_grow(file)
    assert not folders.is_settling()
    assert folders.seconds_to_wait() == 58
    clock.now += 57
    assert folders.look() == []
    clock.now += 1
    assert folders.look() == [file]
    assert not folders.may_grow(file)


def test_a_file_that_cannot_be_read_and_is_old_at_the_start_will_not_get_better(tmp_path, folders):
    write(tmp_path, "a.wav", age=100)
    (file,) = folders.look()
    assert not folders.may_grow(file)


def test_a_folder_that_cannot_be_listed_is_named(tmp_path, clock):
    (tmp_path / "drive").mkdir()
    write(tmp_path, "here/a.wav", age=10)
    folders = Folders([tmp_path / "drive", tmp_path / "here"], settle=2, patience=60, clock=clock)
    (tmp_path / "drive").rmdir()
    assert names(folders.look()) == ["a.wav"]
    assert folders.unreadable == {str(tmp_path / "drive"): "No such file or directory"}
    (tmp_path / "drive").mkdir()
    folders.look()
    assert folders.unreadable == {}


def test_a_changed_or_deleted_file_is_not_there(tmp_path, folders):
    path = write(tmp_path, "a.wav", age=10)
    (file,) = folders.look()
    assert file.is_there()
    path.write_text("longer")
    assert not file.is_there()
    path.unlink()
    assert not file.is_there()
