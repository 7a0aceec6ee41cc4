"""The database of `skasd watch`: its file, its only writer, and one transaction for each recording."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from filelock import FileLock, Timeout

from skasd.monitoring._schema import APPLICATION_ID, SCHEMA_VERSION

_BUSY_MS = 30_000  # how long a program that reads or backs up may hold up a transaction


def time_text(time: datetime) -> str:
    """A time as the database has it, in UTC to the millisecond.

    Parameters
    ----------
    time : datetime
        Time with a time zone.

    Examples
    --------
    >>> time_text(datetime(2026, 11, 29, 14, 55, 23, 125000, tzinfo=UTC))
    '2026-11-29T14:55:23.125Z'
    """
    return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{time.microsecond // 1000:03d}Z"


class DatabaseTroubleError(OSError):
    """A database that cannot be written to now, as the disk is full, for example; it is as it was before."""


class WatchDatabase:
    """The database of `skasd watch`, which this process alone may write to until it is closed.

    Parameters
    ----------
    path : Path
        SQLite file; one is made if there is none.

    Raises
    ------
    ValueError
        If the file is something else, has tables of a newer version, or another process writes to it.
    OSError
        If it cannot be opened or written to.
    """

    def __init__(self, path: Path) -> None:
        if not path.absolute().parent.is_dir():
            raise FileNotFoundError(f"The database {path} cannot be opened: its folder does not exist.")
        self.path = path
        self._lock = FileLock(f"{path}.lock", timeout=0)
        try:
            self._lock.acquire()
        except Timeout as error:
            raise ValueError(
                f"{path} is in use by another skasd watch; stop that one, or give each a database of its own."
            ) from error
        except OSError as error:
            raise OSError(f"The database {path} cannot be opened: {error}.") from error
        try:
            with written(path):
                self.connection = _opened(path)
        except BaseException:
            self._lock.release()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.connection.close()
        self._lock.release()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All of the block, or nothing of it if it raises or the process ends.

        Raises
        ------
        DatabaseTroubleError
            If the database cannot be written to.
        """
        with written(self.path):
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield self.connection
                self.connection.execute("COMMIT")
            except BaseException:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise

    def rows(self, query: str, *values: Any) -> list[sqlite3.Row]:
        """Rows of a query.

        Parameters
        ----------
        query : str
            SELECT, with ? for values.
        *values : Any
            Values.
        """
        with written(self.path):
            return self.connection.execute(query, values).fetchall()


@contextmanager
def written(path: Path) -> Iterator[None]:
    """Say in one line why a database cannot be used."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_ERROR:  # wrong SQL, which is ours
            raise
        raise DatabaseTroubleError(f"The database {path} cannot be written to: {error}.") from error
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.IntegrityError | sqlite3.ProgrammingError):
            raise
        raise ValueError(f"{path} is no database of skasd watch, or is damaged: {error}.") from error


def _opened(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_BUSY_MS / 1000, isolation_level=None)
    try:
        connection.row_factory = sqlite3.Row
        (application,), (version,) = (
            connection.execute(f"PRAGMA {name}").fetchone() for name in ("application_id", "user_version")
        )
        (n_tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if n_tables and application != APPLICATION_ID:
            raise ValueError(f"{path} is a database of another program; give a new file, such as watch.sqlite.")
        if version > SCHEMA_VERSION:
            raise ValueError(
                f"{path} was made by a newer skasd: its tables have version {version}, and this one knows "
                f"{SCHEMA_VERSION}. Update skasd."
            )
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")  # what was told stays in the database if the power fails
        connection.execute("PRAGMA foreign_keys = ON")
        if not n_tables:
            _make_tables(connection)
        connection.executescript("BEGIN IMMEDIATE; ROLLBACK;")  # fails here if it may not be written to
    except BaseException:
        connection.close()
        raise
    return connection


def _make_tables(connection: sqlite3.Connection) -> None:
    schema = files("skasd.monitoring").joinpath("schema.sql").read_text(encoding="utf-8")
    numbers = f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION};"
    try:
        connection.executescript(f"BEGIN IMMEDIATE; {schema} {numbers} COMMIT;")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
