"""Trackers whose server gives invalid answers: a warning, no traceback, and the same result."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from eavesdropper import Eavesdropper
from sentiment140_bert.cli import main
from sentiment140_bert.tracking import sync, wandb
from told import tell

pytest_plugins = ("hub_fixtures", "mlflow_fixtures")
ANSWERS = {
    "null": b"null",
    "a list": b"[5]",
    "an object": b"{}",
    "a number": b"5",
    "a page": b"<!doctype html><title>Log in</title>",
    "nothing": b"",
    "deep": b"[" * 100_000,
    "no Unicode": b"\xff\xfe",
    "of another shape": b'{"data": null, "run": 5, "experiment": [], "experiments": {}, "errors": 7}',
}


@pytest.fixture
def odd(own_address: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Eavesdropper]:
    """Name a server of odd answers as W&B and MLflow; retry failures at once."""
    monkeypatch.setattr(sync, "PAUSES", (0.0,) * 2)
    with Eavesdropper(content=b"") as server:
        for name, value in {
            "WANDB_BASE_URL": server.url,
            "WANDB_API_KEY": "b" * 39 + "7",
            "MLFLOW_TRACKING_URI": server.url,
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
            "HOME": str(tmp_path / "home"),
        }.items():
            monkeypatch.setenv(name, value)
        yield server


def test_an_odd_mlflow_is_reported(run_copy: Path, odd: Eavesdropper, tmp_path: Path, caplog) -> None:
    runs = {name: Path(shutil.copytree(run_copy, tmp_path / f"run of {name}")) for name in ANSWERS}
    wrong = []
    for name, odd.content in ANSWERS.items():
        caplog.clear()
        complete = tell(runs[name], "mlflow")
        warned = [record for record in caplog.records if record.getMessage().startswith("mlflow: ")]
        if complete or not warned:
            wrong.append((name, complete, len(warned)))
    for name, odd.content in ANSWERS.items():
        synced = CliRunner().invoke(main, ["track", "sync", str(runs[name]), "--report-to", "mlflow"])
        if synced.exit_code != 1 or not isinstance(synced.exception, SystemExit):
            wrong.append((name, synced.exit_code, repr(synced.exception)[:300]))
    assert wrong == []


def test_an_odd_wandb_leaves_the_run_here(run_copy: Path, odd: Eavesdropper, monkeypatch, tmp_path: Path) -> None:
    """Limit wandb itself, which waits for an answer of the right shape as long as allowed."""
    monkeypatch.setattr(wandb, "TO_BEGIN", 2)
    odd.content = ANSWERS["of another shape"]
    assert tell(run_copy, "wandb") in (True, False)
    assert list((run_copy / "wandb").glob("offline-run-*"))


def test_asks_whether_wandb_is_reachable_without_reading_the_answer(odd: Eavesdropper, monkeypatch) -> None:
    bomb = gzip.compress(b" " * 100_000_000)
    for status, headers, reached in (
        (200, {"Content-Encoding": "gzip"}, ""),
        (302, {"Content-Encoding": "gzip", "Location": "/elsewhere"}, ""),
        (302, {"Location": "http://[::1"}, "wandb could not be reached: Invalid IPv6 URL"),
        (401, {"Content-Encoding": "gzip"}, "wandb refuses the key"),
        (200, {"Content-Length": "\u00b2"}, ""),
    ):
        odd.status, odd.headers, odd.content = status, headers, bomb
        odd.forget()
        assert wandb.out_of_reach() == reached, (status, headers)
        assert [request.line for request in odd.heard] == ["POST /graphql"]
    for name, value in (("WANDB_API_KEY", "k\u0142ucz"), ("WANDB_BASE_URL", "http://[::1"), ("WANDB_BASE_URL", "x y")):
        monkeypatch.setenv(name, value)
        assert "could not be reached" in wandb.out_of_reach()
