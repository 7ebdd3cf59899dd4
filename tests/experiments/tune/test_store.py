"""Stores that are refused: no addresses, other studies, locked ones, and what a stranger's study may hold."""

from __future__ import annotations

import shutil
import sqlite3
import sys
from pathlib import Path
from typing import Any

import pytest

from sentiment140_bert.errors import MissingExtra, StoreError
from sentiment140_bert.experiments.tune.store import Store, parse_url
from sentiment140_bert.experiments.tune.study import IDENTITY as IDENTITY_KEY
from tune_fixtures import IDENTITY, open_study

pytest_plugins = "tune_fixtures"


def refuse(url: str, **changes: Any) -> str:
    """Open a study that is refused, and return the message."""
    with pytest.raises(StoreError) as error:
        open_study(url, seconds=1, **changes)
    assert "\n" not in error.value.message
    return error.value.message.replace('"', "'")


def test_studies_of_other_tools_and_of_earlier_versions_are_refused(url: str) -> None:
    import optuna

    optuna.create_study(storage=url, study_name="mine").add_trial(optuna.create_trial(value=0.5))
    assert "was not created by `s140 tune`" in refuse(url)
    earlier = optuna.create_study(storage=url.replace("study", "earlier"), study_name="mine", direction="maximize")
    earlier.set_user_attr(IDENTITY_KEY, IDENTITY)
    assert "was started by another version of s140" in refuse(url.replace("study", "earlier"))


def test_a_locked_store_is_named(url: str) -> None:
    study = open_study(url, seconds=1)
    with sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreError, match="is locked: another program"):
            study.queue_next(1)
        connection.execute("ROLLBACK")
    assert study.queue_next(1)


def test_addresses_that_are_not_stores_are_refused() -> None:
    for url, message in (
        ("study.db", "not a database address"),
        ("sqlite://", "in memory is lost when the process ends"),
        ("sqlite:///:memory:", "in memory is lost when the process ends"),
        ("oracle://user:secret@host/name", "of the kind oracle cannot be shared safely"),
        ("nonsense://x", "of the kind nonsense cannot be shared safely"),
        ("mysql+nodriver://user:secret@host/name", "cannot be used"),
    ):
        with pytest.raises(StoreError) as error:
            Store(url)
        assert message in error.value.message
        assert "secret" not in str(error.value)


def test_a_store_is_named_without_its_password() -> None:
    for url in ("postgresql://me:secret@host/name", "mysql+pymysql://me@host/name?password=secret"):
        place, file = parse_url(url)
        assert "secret" not in place
        assert "host/name" in place
        assert file is None


def test_a_file_that_is_not_a_store_is_refused(tmp_path: Path) -> None:
    (tmp_path / "study.db").write_text("my notes, which are long enough to be none of a database" * 20)
    with pytest.raises(StoreError, match=r"cannot be used: .*file is not a database"):
        Store(f"sqlite:///{tmp_path}/study.db")
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be opened"):
        Store(f"sqlite:///{tmp_path}/file/study.db")


def test_a_database_of_another_program_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "study.db") as connection:
        connection.execute("CREATE TABLE patients (name TEXT)")
    before = (tmp_path / "study.db").read_bytes()
    with pytest.raises(StoreError, match="of another program: it holds 'patients'"):
        Store(f"sqlite:///{tmp_path}/study.db")
    assert (tmp_path / "study.db").read_bytes() == before


def test_without_optuna_the_command_that_installs_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingExtra) as error:
        parse_url("sqlite:///study.db")
    assert "[tune]" in error.value.message
    assert "pip install" in error.value.hint


DEEP = "[" * 100_000
ODD_CONTENT = [
    "UPDATE trial_user_attributes SET value_json = '{'",
    f"UPDATE trial_user_attributes SET value_json = '{DEEP}'",
    "UPDATE trial_user_attributes SET value_json = '\"x\"' WHERE key = 'number'",
    "UPDATE trial_user_attributes SET value_json = '-1' WHERE key = 'number'",
    "UPDATE trial_user_attributes SET value_json = '[]' WHERE key = 'number'",
    "INSERT INTO trial_user_attributes (trial_id, key, value_json) VALUES (1, 'reason', '{}')",
    "UPDATE trial_system_attributes SET value_json = '[1]' WHERE key = 'fixed_params'",
    "UPDATE trial_system_attributes SET value_json = '{\"learning_rate\": 5}' WHERE key = 'fixed_params'",
    "UPDATE trial_system_attributes SET value_json = '{\"learning_rate\": \"x\"}' WHERE key = 'fixed_params'",
    "UPDATE trial_system_attributes SET value_json = '{\"seed\": 1}' WHERE key = 'fixed_params'",
    "INSERT INTO trial_system_attributes (trial_id, key, value_json) VALUES (1, 'retry_history', '5')",
    *("UPDATE trial_params SET param_value = 1e9", "UPDATE trial_params SET param_value = 'x'"),
    "UPDATE trial_params SET param_value = NULL",
    "UPDATE trial_params SET param_name = 'seed' WHERE param_name = 'learning_rate'",
    *("UPDATE trial_params SET distribution_json = '{}'", "UPDATE trial_params SET distribution_json = 'x'"),
    'UPDATE trial_params SET distribution_json = \'{"name": "os.system", "attributes": {"a": "touch here"}}\'',
    *("DELETE FROM trial_params WHERE param_name = 'learning_rate'", "DELETE FROM trial_values"),
    *("UPDATE trial_values SET value = 'x'", "UPDATE trial_values SET value_type = 'INF_POS', value = NULL"),
    "UPDATE trial_values SET value_type = 'ODD'",
    "INSERT INTO trial_values (trial_id, objective, value, value_type) VALUES (1, 1, 0.5, 'FINITE')",
    "UPDATE trial_intermediate_values SET intermediate_value_type = 'NAN', intermediate_value = NULL",
    *("UPDATE trial_intermediate_values SET intermediate_value = 'x'", "UPDATE trials SET state = 'ODD'"),
    *("UPDATE trials SET number = 'x'", "UPDATE trials SET number = NULL"),
    *("UPDATE trials SET datetime_start = 'x'", "UPDATE trials SET datetime_start = NULL"),
    "UPDATE trials SET datetime_complete = NULL",
    "UPDATE trials SET datetime_start = '0001-01-01 00:00:00.000000'",
    *("UPDATE study_directions SET direction = 'ODD'", "UPDATE study_directions SET direction = 'MINIMIZE'"),
    "DELETE FROM study_directions",
    "INSERT INTO study_directions (direction, study_id, objective) VALUES ('MAXIMIZE', 1, 1)",
    "UPDATE study_user_attributes SET value_json = '{'",
    f"UPDATE study_user_attributes SET value_json = '{DEEP}'",
    *("UPDATE study_user_attributes SET value_json = '5'", "UPDATE study_user_attributes SET value_json = '{}'"),
    *("DELETE FROM study_user_attributes", "DROP TABLE trial_params", "ALTER TABLE trials DROP COLUMN state"),
    *("UPDATE alembic_version SET version_num = 'x'", "CREATE VIRTUAL TABLE odd USING fts5(text)"),
    *("CREATE VIEW odd AS SELECT 1", "CREATE TRIGGER odd AFTER INSERT ON trials BEGIN DELETE FROM trials; END"),
]


def test_odd_content_of_a_store_is_refused_with_one_error(tmp_path: Path, url: str) -> None:
    study = open_study(url)

    def run(attempt: Any) -> float:
        attempt.report(1, 0.5)
        return 0.5

    while study.queue_next(2):
        study.run_next(run)
    study.store.close()
    wrong = {}
    for number, change in enumerate(ODD_CONTENT):
        copy = tmp_path / f"{number}" / "study.db"
        copy.parent.mkdir()
        shutil.copy(url.removeprefix("sqlite:///"), copy)
        with sqlite3.connect(copy) as connection:
            connection.execute(change)
        connection.close()
        try:
            open_study(f"sqlite:///{copy}", seconds=1)
        except StoreError as error:
            if "\n" not in error.message and len(error.message) < 600:
                continue
            wrong[change] = error.message
        except Exception as error:  # noqa: BLE001 - all of them are listed
            wrong[change] = repr(error)[:200]
        else:
            wrong[change] = "opened"
    assert wrong == {}
