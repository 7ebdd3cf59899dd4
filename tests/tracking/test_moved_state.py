"""Keep the parts of a tracking.json that hold on another machine."""

from __future__ import annotations

from typing import Any

import pytest

from sentiment140_bert.errors import RunError
from sentiment140_bert.recipe import TRACKERS
from sentiment140_bert.tracking.sync_state import move_state

SENT = {"steps": {"train/loss": 6}, "files": {"recipe.yaml": "0" * 16}}
SERVER = "http://127.0.0.1:9/mlflow"


def entry(**values: Any) -> dict[str, Any]:
    return {"id": "abc123", "url": None, "project": "tweets", "sent": SENT} | values


def test_resumes_a_run_that_a_service_has() -> None:
    moved, remarks = move_state({"wandb": entry(url="https://wandb.ai/me/tweets/runs/abc123")})
    assert moved["wandb"] == {"id": "abc123", "project": "tweets", "sent": SENT}
    assert remarks == []


def test_resends_a_local_run_under_the_same_id() -> None:
    moved, _ = move_state({"wandb": entry(), "trackio": entry(), "tensorboard": {"folder": "/etc", "sent": SENT}})
    assert moved == {
        "wandb": {"id": "abc123", "project": "tweets"},
        "trackio": {"id": "abc123", "project": "tweets"},
        "tensorboard": {},
    }


def test_the_same_mlflow_server_has_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", SERVER)
    moved, remarks = move_state({"mlflow": entry(tracking_uri=SERVER, experiment="1", key="k")})
    assert moved["mlflow"] == {"id": "abc123", "experiment": "1", "key": "k", "sent": SENT}
    assert remarks == []


@pytest.mark.parametrize("there", [SERVER, "sqlite:////tmp/of/another/machine/mlflow.db", "sqlite:///{}/mlflow.db"])
def test_a_stored_address_is_never_used(there: str, monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    """Keep this machine's password from the author of the file; a file of that name does not know the run."""
    there = there.format(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    moved, remarks = move_state({"mlflow": entry(tracking_uri=there)})
    assert moved == {"mlflow": {}}
    assert there in remarks[0]


def test_every_tracker_follows_its_run_to_another_machine() -> None:
    assert move_state({name: entry(tracking_uri=SERVER) for name in TRACKERS})[0].keys() == {*TRACKERS}


def test_unknown_trackers_are_dropped() -> None:
    moved, _ = move_state({"wandb": entry(id="x", project="a"), "evil": entry()})
    assert moved.keys() == {"wandb"}


OTHERS = [
    {"wandb": 7},
    {"wandb": {"sent": []}},
    {"wandb": {"id": 7}},
    {"wandb": {"id": "../../x"}},
    {"wandb": {"project": "a/b"}},
]


@pytest.mark.parametrize("content", OTHERS)
def test_a_file_of_another_shape_is_refused(content: Any) -> None:
    with pytest.raises(RunError):
        move_state(content)
