"""The database that remembers a study, and the lock under which its trials are given out."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentiment140_bert.errors import MissingExtra, StoreError, first_line

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

log = logging.getLogger(__name__)
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
        try:
            import optuna
        except ModuleNotFoundError:
            raise MissingExtra("Tuning", "tune") from None
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.seconds = seconds
        self.place, self.file = _place_of(url)
        options: dict[str, Any] = {"connect_args": {"timeout": seconds}} if self.file else {"pool_pre_ping": True}
        with self.explained():
            if self.file:
                self.file.parent.mkdir(parents=True, exist_ok=True)
            with self._file_lock():  # two that begin at once would both make the tables
                database = _opened(url, options)
        self.engine = database.engine
        self.optuna: BaseStorage = database
        if not self.file:
            with self.explained():
                self._make_lock_row()

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """No other process is within such a block of the same store meanwhile. The lock goes with the process."""
        with self.explained():
            if self.file:
                with self._file_lock():
                    yield
            else:
                table = _lock_table()
                with self.engine.begin() as connection:
                    connection.execute(table.select().with_for_update())
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
        except (ImportError, OSError) as error:
            raise StoreError(
                f"The store {self.place} cannot be opened: {first_line(error)}.",
                "SQLite needs a folder that can be written to; a server needs its driver, such as psycopg or pymysql.",
            ) from None

    def _locked(self) -> StoreError:
        return StoreError(
            f"The store {self.place} is locked: another program has kept it for {self.seconds:g} seconds.",
            "Close what has it open, a database browser perhaps, and start again: nothing is lost.",
        )

    @contextmanager
    def _file_lock(self) -> Iterator[None]:
        from filelock import FileLock

        if not self.file:
            yield
            return
        with FileLock(f"{self.file}.lock", timeout=self.seconds):
            yield

    def _make_lock_row(self) -> None:
        from sqlalchemy.exc import IntegrityError

        table = _lock_table()
        table.metadata.create_all(self.engine)
        try:
            with self.engine.begin() as connection:
                connection.execute(table.insert().values(id=1))
        except IntegrityError:
            return  # it is there


def _opened(url: str, options: dict[str, Any]) -> Any:
    import optuna

    try:
        return optuna.storages.RDBStorage(url, engine_kwargs=options)
    except RuntimeError as error:  # so it says that another version made the tables
        raise StoreError(
            f"The store is one of another version of Optuna: {first_line(error)}.",
            "Take a new store, or `optuna storage upgrade`.",
        ) from None


def _lock_table() -> Any:
    """A table of one row, which one process at a time holds locked."""
    import sqlalchemy

    return sqlalchemy.Table(
        "s140_lock", sqlalchemy.MetaData(), sqlalchemy.Column("id", sqlalchemy.Integer, primary_key=True)
    )


def _place_of(url: str) -> tuple[str, Path | None]:
    """How a store is named to people, without its password; and its file, where it is one.

    Raises:
        StoreError: It is no address of a store.
    """
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    hint = "As in sqlite:///study.db, postgresql+psycopg://user@host/name or mysql+pymysql://user@host/name."
    try:
        parts = make_url(url)
    except ArgumentError:
        raise StoreError("What was given as --storage is no address of a database.", hint) from None
    kind = parts.get_backend_name()
    if kind in SERVERS:
        return parts.render_as_string(hide_password=True), None
    if kind != "sqlite":
        raise StoreError(f"A store of the kind {kind} cannot be shared safely.", hint)
    if not parts.database or ":memory:" in parts.database:
        raise StoreError("A store in memory is gone with the process.", hint)
    file = Path(parts.database)
    return str(file), file
