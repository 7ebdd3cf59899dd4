"""Optuna's database of a study: its address, what is refused in it, and which processes of this machine use it."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import sqlite3
import stat
import time
import warnings
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from sentiment140_bert.errors import MissingExtra, StoreError, first_line
from sentiment140_bert.files import NO_LINK
from sentiment140_bert.locks import NO_LOCKS

if TYPE_CHECKING:
    from optuna.storages import RDBStorage

log = logging.getLogger(__name__)
SUPER_JOURNAL = bytes.fromhex("d9d505f920a163d7")  # the end of a journal that names one
SIDE_FILES = ("-journal", "-wal", "-shm")  # of SQLite
# The statements that may be in a store, as Optuna makes them: tables of plain columns, and indexes of columns.
_NAME = r'"?\w+"?'
_NAMES = rf"\( ?{_NAME}(?: ?, ?{_NAME})* ?\)"
_COLUMN = rf"{_NAME}(?: (?:INTEGER|BIGINT|FLOAT|DATETIME|TEXT|BOOLEAN|VARCHAR ?\(\d+\)))?(?: NOT NULL)?"
_REFERENCE = rf"FOREIGN KEY ?{_NAMES} REFERENCES {_NAME} ?{_NAMES}"
_CONSTRAINT = rf"(?:PRIMARY KEY|UNIQUE) ?{_NAMES}|{_REFERENCE}|CHECK ?\( ?version_info_id ?= ?1 ?\)"
_PART = rf"(?:(?:CONSTRAINT {_NAME} )?(?:{_CONSTRAINT})|{_COLUMN})"
OPTUNAS = {"studies", "version_info", "alembic_version"}  # tables that it makes first of all
PLAIN = re.compile(
    rf"CREATE TABLE {_NAME} ?\( ?{_PART}(?: ?, ?{_PART})* ?\)|CREATE (?:UNIQUE )?INDEX {_NAME} ON {_NAME} ?{_NAMES}",
    re.IGNORECASE,
)
SECONDS = 60  # to wait for a locked database
SERVERS = ("postgresql", "mysql", "mariadb")
HEARTBEAT, GRACE = 20, 120  # seconds between two heartbeats of a trial, and without one until it counts as dead
VERSION = 2  # of what is written into a study; 1 had each trial in one of Optuna's
DAMAGED = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RuntimeError, AssertionError)
_locks: weakref.WeakSet[IO[bytes]] = weakref.WeakSet()


class Store:
    """An Optuna store in SQLite, PostgreSQL or MySQL. A process that uses a SQLite file holds a shared lock on
    ``FILE.lock``, by which others of the machine know at once whether it lives; close the store to give it back.

    Args:
        url: SQLAlchemy's address, ``sqlite:////folder/study.db`` or ``postgresql://user@host/name``.
        seconds: How long to wait for a locked database.

    Raises:
        MissingExtra: Optuna is not installed.
        StoreError: It cannot be opened.
    """

    def __init__(self, url: str, seconds: float = SECONDS) -> None:
        self.seconds = seconds
        self.place, self.file = parse_url(url)
        self._lock: IO[bytes] | None = None
        try:
            if self.file:
                _check_file(self.file)
                self.file.parent.mkdir(parents=True, exist_ok=True)
                self.file.touch()  # SQLite would make it for this user alone to write
                self._lock = _open_lock(self.file)
            with self.explain_errors(), self.alone():  # two that begin at once would both make the tables
                self.optuna = self._open(url)
        except (ImportError, OSError) as error:
            raise StoreError(
                f"The store {self.place} cannot be opened: {first_line(error)}.",
                "SQLite needs a folder that can be written to; a server needs its driver, such as psycopg or pymysql.",
            ) from None

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Keep other processes of this machine from opening the store, and yield True, if none has it open already.

        On a server, and where the system has no such locks, nothing is known of others, and False is yielded.
        """
        if not self._lock:
            yield False
            return
        import fcntl

        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            alone = True
        except BlockingIOError:
            fcntl.flock(self._lock, fcntl.LOCK_SH)
            alone = False
        try:
            yield alone
        finally:
            fcntl.flock(self._lock, fcntl.LOCK_SH)

    def close(self) -> None:
        """Let other processes of this machine know that this one no longer uses the store."""
        if self._lock:
            self._lock.close()

    @contextmanager
    def explain_errors(self) -> Iterator[None]:
        """Raise a StoreError in place of whatever error a database has."""
        from optuna.exceptions import StorageInternalError
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except (SQLAlchemyError, StorageInternalError) as error:
            reason = first_line(error.__cause__ or error)
            if "database is locked" in reason:
                raise StoreError(
                    f"The store {self.place} is locked: another program has held it for {self.seconds:g} seconds.",
                    "Close the program that has it open (a database browser?), and start again: nothing is lost.",
                ) from None
            raise StoreError(
                f"The store {self.place} cannot be used: {reason}.",
                "Check that it is reachable, and that it is an Optuna store.",
            ) from None

    def _open(self, url: str, *, again: bool = True) -> RDBStorage:
        """Return Optuna's storage. Of two processes that make a server's tables at once, one is refused: it retries."""
        from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError

        options = {"connect_args": {"timeout": self.seconds}} if self.file else {"pool_pre_ping": True}
        try:
            with ignore_experimental():
                return _make_storage_type()(url, options, heartbeat_interval=HEARTBEAT, grace_period=GRACE)
        except RuntimeError as error:  # that another version made the tables
            hint = "Use a new store, or run `optuna storage upgrade`."
            raise StoreError(f"The store is of another version of Optuna: {first_line(error)}.", hint) from None
        except (IntegrityError, OperationalError, ProgrammingError):
            if self.file or not again:
                raise
        time.sleep(1.0)
        return self._open(url, again=False)


@contextmanager
def ignore_experimental() -> Iterator[None]:
    """Keep Optuna from warning of each function that is new."""
    from optuna.exceptions import ExperimentalWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        yield


def _make_storage_type() -> type[RDBStorage]:
    from optuna.exceptions import StorageInternalError
    from optuna.storages import RDBStorage
    from sqlalchemy.exc import SQLAlchemyError

    class Storage(RDBStorage):  # type: ignore[misc]
        """Optuna's storage; a heartbeat that fails is followed by the next, instead of a traceback and none."""

        def record_heartbeat(self, trial_id: int) -> None:
            try:
                super().record_heartbeat(trial_id)
            except (SQLAlchemyError, StorageInternalError) as error:  # the training meets it where it matters
                log.debug("tune: no heartbeat: %s", first_line(error))

    return Storage


def _open_lock(file: Path) -> IO[bytes] | None:
    """Return the open file by which processes know of each other; None where the system has no such locks."""
    try:
        import fcntl

        lock = os.fdopen(os.open(f"{file}.lock", os.O_RDWR | os.O_CREAT | NO_LINK, 0o666), "rb")
        fcntl.flock(lock, fcntl.LOCK_SH)
    except ImportError:
        return None
    except OSError as error:
        if error.errno in NO_LOCKS:
            return None
        raise
    _locks.add(lock)
    return lock


def _release_in_child() -> None:
    """Give back the locks in a forked child, such as one that reads ahead: it may outlive the process."""
    for lock in _locks:
        lock.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_release_in_child)


def _check_file(file: Path) -> None:
    """Refuse a SQLite file that does more than hold tables.

    A journal may name another one, a "super-journal", which SQLite removes whatever it is (sqlite.org/fileformat.html,
    "The Rollback Journal"; atomiccommit.html, 5). A journal of one file alone names none. Views, triggers, virtual
    tables, generated columns and expressions compute. A hard link is the name of another file, too; SQLite empties
    those of its files that are left over.

    Raises:
        StoreError: It does.
    """
    real = file.resolve()  # next to which SQLite looks for its other files
    for path in (real, *(real.with_name(real.name + ending) for ending in SIDE_FILES)):
        _check_own(path)
    journal = real.with_name(f"{real.name}-journal")
    if journal.is_file() and _read_end(journal) == SUPER_JOURNAL:
        raise StoreError(f"{journal} names another file, which SQLite would remove.", "Do not use this store.")
    if not file.is_file():
        return
    # Not read-only: SQLite first brings a file back to before a change that a killed process had begun.
    with contextlib.closing(sqlite3.connect(file, timeout=0)) as connection:
        try:
            rows = connection.execute("SELECT name, sql FROM sqlite_master").fetchall()
        except sqlite3.Error:  # not a store, or locked; opening it reports that
            return
    if rows and not OPTUNAS & {name for name, _ in rows}:
        raise StoreError(f"{file} is a database of another program: it holds {rows[0][0]!r}.", "Name a new store.")
    for name, sql in rows:
        if sql is not None and not PLAIN.fullmatch(" ".join(str(sql).split())):
            raise StoreError(f"{file} holds more than tables: {name!r}.", "Optuna creates only tables. Do not use it.")


def _check_own(path: Path) -> None:
    """Refuse a link, a pipe or a second name of another file; SQLite writes to all its files."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISREG(status.st_mode):
        raise StoreError(f"{path} is a link, a pipe or a folder, not a file.", "Do not use this store.")
    if status.st_nlink > 1:
        raise StoreError(f"{path} is a hard link to another file.", "Do not use this store, or copy it.")


def _read_end(file: Path) -> bytes:
    with file.open("rb") as content:
        content.seek(max(0, file.stat().st_size - len(SUPER_JOURNAL)))
        return content.read(len(SUPER_JOURNAL))


def make_file_url(file: Path) -> str:
    """Return SQLAlchemy's address of a file, whatever characters its name has.

    Raises:
        MissingExtra: Optuna, which brings SQLAlchemy, is not installed.
    """
    try:
        from sqlalchemy.engine import URL
    except ModuleNotFoundError:
        raise MissingExtra("Tuning", "tune") from None
    return str(URL.create("sqlite", database=str(file.resolve())).render_as_string())


def parse_url(url: str) -> tuple[str, Path | None]:
    """Return the name of a store for people, without its password, and its file, if it is one; open nothing.

    Raises:
        MissingExtra: Optuna is not installed.
        StoreError: It is not the address of a store.
    """
    try:
        import optuna
    except ModuleNotFoundError:
        raise MissingExtra("Tuning", "tune") from None
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    hint = "For example sqlite:///study.db, postgresql+psycopg://user@host/name or mysql+pymysql://user@host/name."
    try:
        parts = make_url(url)
    except ArgumentError:
        raise StoreError("The value of --storage is not a database address.", hint) from None
    kind = parts.get_backend_name()
    if kind in SERVERS:
        return parts.set(query={}).render_as_string(hide_password=True), None  # the query may contain a password, too
    if kind != "sqlite":
        raise StoreError(f"A store of the kind {kind} cannot be shared safely.", hint)
    if not parts.database or ":memory:" in parts.database:
        raise StoreError("A store in memory is lost when the process ends.", hint)
    file = Path(parts.database)
    return str(file), file


@contextmanager
def explain_damage(what: str) -> Iterator[None]:
    """Raise a StoreError, which begins with ``what``, in place of errors that strange content of a store causes."""
    try:
        yield
    except DAMAGED as error:
        raise StoreError(
            f"{what} is damaged: {first_line(error)}.", "Do not use this store, or choose another --study-name."
        ) from None


def refuse_difference(before: Mapping[str, Any] | None, now: Mapping[str, Any], what: str) -> None:
    """Raise StoreError with the differences if a study was started with other settings.

    Args:
        before: The identity of the study; None if it is new.
        now: The identity that this call expects.
        what: The beginning of the sentence.
    """
    if before is None:
        return
    if isinstance(before, Mapping) and "recipe" in before and before.get("version") != VERSION:
        raise StoreError(
            f"{what} was started by another version of s140, which stored trials differently.",
            "Finish it with that version, or choose another OUTPUT and --study-name.",
        )
    changes = list(_list_changes(before, now))
    if changes:
        raise StoreError(
            f"{what} was started with other settings: {'; '.join(changes)}.",
            "Use the recipe and tweets that it was started with, or choose another --study-name and OUTPUT.",
        )


def _list_changes(before: Any, now: Any, name: str = "") -> Iterator[str]:
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for key in dict.fromkeys([*before, *now]):
            yield from _list_changes(before.get(key), now.get(key), f"{name}.{key}" if name else str(key))
    elif before != now:
        yield f"{name}: {_shorten(before)} then, {_shorten(now)} now"


def _shorten(value: Any) -> str:
    text = f"{value[:12]}…" if isinstance(value, str) and len(value) == 64 else repr(value)
    return text if len(text) <= 80 else f"{text[:80]}…"
