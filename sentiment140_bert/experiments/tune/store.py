"""The database that remembers a study, and the lock under which its trials are given out."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentiment140_bert.errors import MissingExtra, StoreError, first_line

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

log = logging.getLogger(__name__)
SUPER_JOURNAL = bytes.fromhex("d9d505f920a163d7")  # how a journal ends that names one
SECONDS = 60  # to wait for one that has it locked
SERVERS = ("postgresql", "mysql", "mariadb")


class Store:
    """An Optuna store in SQLite, PostgreSQL or MySQL.

    Args:
        url: As SQLAlchemy writes it, ``sqlite:////folder/study.db`` or ``postgresql://user@host/name``.
        seconds: How long to wait for a lock.

    Raises:
        MissingExtra: Optuna is not installed.
        StoreError: It cannot be opened.
    """

    def __init__(self, url: str, seconds: float = SECONDS) -> None:
        self.seconds = seconds
        self.place, self.file = check(url)
        if self.file:
            _check_file(self.file)
        try:
            with self.explained():
                self.engine: Any = None if self.file else _with_lock_row(url)
            with self.exclusive():  # two that begin at once would both make the tables
                self.optuna: BaseStorage = _opened(url, seconds if self.file else None)
        except (ImportError, OSError) as error:
            raise StoreError(
                f"The store {self.place} cannot be opened: {first_line(error)}.",
                "SQLite needs a folder that can be written to; a server needs its driver, such as psycopg or pymysql.",
            ) from None

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """No other process is within such a block of the same store meanwhile. The lock goes with the process."""
        from filelock import FileLock

        with self.explained():
            if self.file:
                self.file.parent.mkdir(parents=True, exist_ok=True)
                with FileLock(f"{self.file}.lock", timeout=self.seconds):
                    if not self.file.exists():  # SQLite would make it for this user alone to write
                        self.file.touch()
                    yield
            else:
                with self.engine.begin() as connection:
                    connection.execute(_lock_table().select().with_for_update())
                    yield

    @contextmanager
    def explained(self) -> Iterator[None]:
        """A StoreError for whatever a database has to say.

        Raises:
            StoreError: It is locked, out of reach, or no store of Optuna.
        """
        from filelock import Timeout
        from optuna.exceptions import StorageInternalError
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except Timeout:
            raise self._locked() from None
        except (SQLAlchemyError, StorageInternalError) as error:
            reason = first_line(error.__cause__ or error)
            if "database is locked" in reason:
                raise self._locked() from None
            raise StoreError(
                f"The store {self.place} cannot be used: {reason}.", "Is it in reach, and a store of Optuna?"
            ) from None

    def _locked(self) -> StoreError:
        return StoreError(
            f"The store {self.place} is locked: another program has kept it for {self.seconds:g} seconds.",
            "Close what has it open, a database browser perhaps, and start again: nothing is lost.",
        )


def _check_file(file: Path) -> None:
    """Refuse a SQLite file that does more than hold tables.

    A journal may name another one, a "super-journal", which SQLite removes whatever it is (sqlite.org/fileformat.html,
    "The Rollback Journal"; atomiccommit.html, 5). A journal of one file alone names none. Views and triggers compute.

    Raises:
        StoreError: It does.
    """
    journal = file.with_name(f"{file.name}-journal")
    if journal.is_file() and journal.read_bytes()[-8:] == SUPER_JOURNAL:
        raise StoreError(f"{journal} names another file, which SQLite would remove.", "Do not use this store.")
    if not file.is_file():
        return
    # Not read-only: SQLite first brings a file back to before a change that a killed process had begun.
    with contextlib.closing(sqlite3.connect(file, timeout=0)) as connection:
        try:
            found = connection.execute("SELECT name FROM sqlite_master WHERE type IN ('view', 'trigger')").fetchone()
        except sqlite3.Error:  # it is no store, or locked, which is said when it is opened
            return
    if found:
        raise StoreError(f"{file} holds more than tables: {found[0]!r}.", "Optuna makes none. Do not use this store.")


def _opened(url: str, seconds: float | None) -> BaseStorage:
    """Optuna's storage; ``seconds`` to wait for a lock, of SQLite."""
    import optuna

    options: dict[str, Any] = {"connect_args": {"timeout": seconds}} if seconds else {"pool_pre_ping": True}
    try:
        storage: BaseStorage = optuna.storages.RDBStorage(url, engine_kwargs=options)
    except RuntimeError as error:  # so it says that another version made the tables
        hint = "Take a new store, or `optuna storage upgrade`."
        raise StoreError(f"The store is one of another version of Optuna: {first_line(error)}.", hint) from None
    return storage


def _lock_table() -> Any:
    """A table of one row, which one process at a time holds locked."""
    from sqlalchemy import Column, Integer, MetaData, Table

    return Table("s140_lock", MetaData(), Column("id", Integer, primary_key=True, autoincrement=False))


def _with_lock_row(url: str) -> Any:
    """An engine for a server's database that has the table. Of two processes that make it at once one is refused."""
    from sqlalchemy import create_engine
    from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError

    engine = create_engine(url, pool_pre_ping=True)
    table = _lock_table()
    for last in (False, True):
        try:
            table.metadata.create_all(engine)
            with engine.begin() as connection:
                if connection.execute(table.select()).first() is None:
                    connection.execute(table.insert().values(id=1))
            return engine
        except (IntegrityError, OperationalError, ProgrammingError):
            if last:
                raise
            time.sleep(1.0)
    return engine


def check(url: str) -> tuple[str, Path | None]:
    """How a store is named to people, without its password; and its file, where it is one. Nothing is opened.

    Raises:
        MissingExtra: Optuna is not installed.
        StoreError: It is no address of a store.
    """
    try:
        import optuna
    except ModuleNotFoundError:
        raise MissingExtra("Tuning", "tune") from None
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    hint = "As in sqlite:///study.db, postgresql+psycopg://user@host/name or mysql+pymysql://user@host/name."
    try:
        parts = make_url(url)
    except ArgumentError:
        raise StoreError("What was given as --storage is no address of a database.", hint) from None
    kind = parts.get_backend_name()
    if kind in SERVERS:
        return parts.set(query={}).render_as_string(hide_password=True), None  # one may stand in the query, too
    if kind != "sqlite":
        raise StoreError(f"A store of the kind {kind} cannot be shared safely.", hint)
    if not parts.database or ":memory:" in parts.database:
        raise StoreError("A store in memory is gone with the process.", hint)
    file = Path(parts.database)
    return str(file), file
