"""The database of `skasd watch`: whose file it is, one writer, and all or nothing of a transaction."""

import os
import sqlite3
import subprocess
import sys

import pytest

from skasd.monitoring._database import WatchDatabase
from skasd.monitoring._schema import APPLICATION_ID, SCHEMA_VERSION

INSERT = "INSERT INTO machine (name) VALUES (?)"


def pragma(path, name):
    with sqlite3.connect(path) as connection:
        return connection.execute(f"PRAGMA {name}").fetchone()[0]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "watch.sqlite"


def test_a_new_database_says_what_it_is(path):
    WatchDatabase(path).__exit__(None, None, None)
    assert (pragma(path, "application_id"), pragma(path, "user_version")) == (APPLICATION_ID, SCHEMA_VERSION)
    assert pragma(path, "journal_mode") == "wal"
    assert pragma(path, "integrity_check") == "ok"


def test_an_empty_file_becomes_a_database(path):
    path.touch()
    with WatchDatabase(path) as database:
        assert database.rows("SELECT count(*) FROM machine")[0][0] == 0


def test_what_was_written_is_there_when_it_is_opened_again(path):
    with WatchDatabase(path) as database, database.transaction() as connection:
        connection.execute(INSERT, ("fan",))
    with WatchDatabase(path) as database:
        assert [tuple(row) for row in database.rows("SELECT name FROM machine")] == [("fan",)]


def test_a_transaction_that_raises_leaves_nothing(path):
    with WatchDatabase(path) as database:
        with pytest.raises(KeyboardInterrupt), database.transaction() as connection:
            connection.execute(INSERT, ("fan",))
            raise KeyboardInterrupt
        with database.transaction() as connection:
            connection.execute(INSERT, ("pump",))
        assert [row["name"] for row in database.rows("SELECT name FROM machine")] == ["pump"]


def test_foreign_keys_are_kept(path):
    with (
        WatchDatabase(path) as database,
        pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"),
        database.transaction() as connection,
    ):
        connection.execute("INSERT INTO machine (name, model_id) VALUES ('fan', 7)")


def test_a_second_writer_is_refused_in_one_line_and_a_reader_is_not(path):
    with WatchDatabase(path), pytest.raises(ValueError, match=r"watch\.sqlite is in use by another skasd watch"):
        WatchDatabase(path)
    with WatchDatabase(path) as database:  # the refused one has left no lock
        code = "import sqlite3, sys; print(sqlite3.connect(f'file:{sys.argv[1]}?mode=ro', uri=True).execute("
        code += "'SELECT count(*) FROM machine').fetchone())"
        with database.transaction() as connection:
            connection.execute(INSERT, ("fan",))
            done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    assert done.stdout == "(0,)\n"


def test_the_database_of_another_program_is_refused_and_left_as_it_is(path):
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE mine (x)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(ValueError, match="is a database of another program"):
        WatchDatabase(path)
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_refused(path):
    path.write_text("hello, this is a text and no database at all\n" * 100)
    with pytest.raises(ValueError, match="is no database of skasd watch, or is damaged"):
        WatchDatabase(path)


def test_a_newer_database_is_refused(path):
    WatchDatabase(path).__exit__(None, None, None)
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    connection.close()
    with pytest.raises(ValueError, match=f"version {SCHEMA_VERSION + 1}, and this one knows {SCHEMA_VERSION}"):
        WatchDatabase(path)


def test_a_folder_that_is_missing_is_named(tmp_path):
    with pytest.raises(OSError, match=r"The database .*nowhere/watch\.sqlite cannot be opened"):
        WatchDatabase(tmp_path / "nowhere" / "watch.sqlite")


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="permissions of POSIX systems")
def test_a_database_that_may_not_be_written_to_is_named(path):
    if os.geteuid() == 0:
        pytest.skip("root may write to any file; tests/cli/test_watch.py mounts a read-only file system instead")
    WatchDatabase(path).__exit__(None, None, None)
    path.parent.chmod(0o555)
    try:
        with pytest.raises(OSError, match=r"The database .* cannot be"):
            WatchDatabase(path)
    finally:
        path.parent.chmod(0o755)


def test_a_full_disk_is_an_error_that_names_it_and_the_database_goes_on(path):
    with WatchDatabase(path) as database:
        (pages,) = database.rows("PRAGMA page_count")[0]
        database.rows(f"PRAGMA max_page_count = {pages}")
        with (
            pytest.raises(OSError, match="cannot be written to: database or disk is full"),
            database.transaction() as full,
        ):
            full.executemany(INSERT, [("x" * 3000 + str(number),) for number in range(20)])
        database.rows("PRAGMA max_page_count = 100000")
        with database.transaction() as connection:
            connection.execute(INSERT, ("fan",))
        assert database.rows("SELECT count(*) FROM machine")[0][0] == 1
