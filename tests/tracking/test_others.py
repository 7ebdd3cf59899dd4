"""TensorBoard and Trackio, several trackers at once, several processes, and which trackers are chosen."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from command_line import Command, complete
from sentiment140_bert import tracking
from sentiment140_bert.errors import MissingExtra
from sentiment140_bert.run import RunDir
from tiny_run import flags
from told import change_scores, tell

pytest_plugins = "hub_fixtures"

STEPS = [1, 2, 3, 4, 5, 6]
CONTRADICTIONS = [
    (["--report-to", "mlflow", "--register-model", "a.b"], "catalog.schema.name"),
    (["--report-to", "mlflow", "--register-model", "a", "--model-alias", "v1"], "neither v1"),
    (["--report-to", "mlflow", "--register-model", "a", "--no-log-model"], "needs the model to be logged"),
    (["--report-to", "auto", "--register-model", "a.b.c"], "Add --report-to mlflow"),
]


@pytest.fixture(scope="module")
def trained(encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run that two trackers synced at once, scored again in a second process."""
    home = tmp_path_factory.mktemp("both")
    place = {"TRACKIO_DIR": str(home / "trackio"), "HOME": str(home)}
    words = flags(model_name_or_path=encoder, num_train_epochs=1, report_to="tensorboard,trackio")
    for command in (["train", "--output-dir", home / "run", *words], ["evaluate", home / "run"]):
        complete(*command, env=place, cwd=home)
        (home / "run" / "metrics.json").write_text(
            (home / "run" / "metrics.json").read_text().replace('"confidence_level": 0.95', '"confidence_level": 0.950')
        )
    return home / "run"


def scores_in(folder: Path) -> dict[str, float]:
    splits = json.loads((folder / "metrics.json").read_text())["splits"]
    return {f"{name}/accuracy": split["accuracy"]["value"] for name, split in splits.items()}


def test_tensorboard_shows_curves_scores_pictures_and_card(trained: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(trained / "tensorboard")).Reload()
    assert [entry.step for entry in events.Scalars("train/loss")] == STEPS
    losses = [json.loads(line) for line in (trained / "history.jsonl").read_text().splitlines()]
    assert [entry.value for entry in events.Scalars("train/loss")] == pytest.approx(
        [entry["loss"] for entry in losses if "loss" in entry]
    )
    for name, value in scores_in(trained).items():
        assert events.Scalars(name)[-1].value == pytest.approx(value)
    assert "figures/confusion_matrix" in events.Tags()["images"]
    assert any("README.md" in tag for tag in events.Tags()["tensors"])


def test_runs_of_one_name_get_folders_of_their_own(trained: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "logs"))
    runs = [shutil.copytree(trained, tmp_path / name / "bert") for name in ("small", "large")]
    for run in runs:
        (run / "tracking.json").unlink()
        assert tell(run, "tensorboard")
        change_scores(run)
        assert tell(run, "tensorboard")  # goes where it was
    assert sorted(folder.name for folder in (tmp_path / "logs").iterdir()) == ["bert", "bert-1"]


def test_trackio_holds_one_run_with_every_step_once(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = json.loads((trained / "tracking.json").read_text())["trackio"]
    code = (
        "import json, sys\nfrom trackio.sqlite_storage import SQLiteStorage as store\n"
        "print(json.dumps({run: store.get_logs(sys.argv[1], run) for run in store.get_runs(sys.argv[1])}))"
    )
    monkeypatch.setenv("TRACKIO_DIR", str(trained.parent / "trackio"))
    shown = subprocess.run(
        [sys.executable, "-c", code, entry["project"]], capture_output=True, text=True, check=True
    ).stdout
    (run,) = json.loads(shown).items()
    assert run[0] == entry["id"]
    assert [entry["step"] for entry in run[1] if "train/loss" in entry] == STEPS
    merged = {name: value for entry in run[1] for name, value in entry.items()}
    for name, value in scores_in(trained).items():
        assert merged[name] == pytest.approx(value)
    assert {"recipe.yaml", "README.md", "figures/confusion_matrix"} <= merged.keys()


@pytest.mark.long
def test_in_several_processes_only_the_main_one_tracks(encoder: Path, tmp_path: Path) -> None:
    words = flags(
        model_name_or_path=encoder, num_train_epochs=1, report_to="tensorboard", per_device_train_batch_size=16
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    place |= {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    both = [
        Command("train", "--output-dir", tmp_path / "run", *words, env=place | {"RANK": rank, "LOCAL_RANK": rank})
        for rank in ("0", "1")
    ]
    for started in both:
        _, stderr = started.communicate()
        assert started.returncode == 0, stderr
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    assert len(list((tmp_path / "run" / "tensorboard").iterdir())) == 1
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()
    assert [entry.step for entry in events.Scalars("train/loss")] == STEPS


@pytest.mark.parametrize(
    ("report_to", "databricks", "expected"),
    [
        (("auto",), False, ["wandb"]),
        (("auto",), True, ["mlflow"]),
        (("none",), True, []),
        (("auto", "mlflow"), True, ["mlflow"]),
        (("tensorboard", "wandb"), False, ["tensorboard", "wandb"]),
    ],
)
def test_which_trackers_are_meant(monkeypatch, report_to, databricks: bool, expected: list[str]) -> None:
    if databricks:
        monkeypatch.setenv("DATABRICKS_RUNTIME_VERSION", "17.3")
    assert tracking.resolve(report_to) == expected


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide it, as on a machine where it was never installed."""
    import importlib.util

    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "mlflow" else real(name))
    with pytest.raises(MissingExtra, match="mlflow"):
        tracking.resolve(("mlflow",))


def test_contradictory_settings_are_refused_before_training(s140, tmp_path: Path) -> None:
    base = [word for word in flags() if word not in ("--report-to", "none")]
    wrong = []
    for words, sentence in CONTRADICTIONS:
        printed = s140("train", "--output-dir", tmp_path / "run", *base, *words, code=1).stderr
        if sentence not in printed or (tmp_path / "run").exists():
            wrong.append((words, sentence, printed))
    assert wrong == []


def test_only_what_people_can_see_is_published(tmp_path: Path) -> None:
    entry = {
        "mlflow": {"id": "1", "tracking_uri": "http://inside.example", "url": "http://inside.example/#/1", "sent": {}},
        "wandb": {"id": "2", "project": "p", "url": "https://wandb.ai/me/p/runs/2", "sent": {"steps": {}}},
        "tensorboard": {"folder": "/home/somebody/runs"},
    }
    private = {"wandb": {"id": "3", "project": "secret", "url": "http://wandb.corp.internal:8080/team/secret/runs/3"}}
    (tmp_path / "tracking.json").write_text(json.dumps(private))
    assert tracking.public_state(RunDir(tmp_path)) == {"wandb": {"id": "3"}}
    (tmp_path / "tracking.json").write_text(json.dumps(entry))
    assert tracking.public_state(RunDir(tmp_path)) == {
        "mlflow": {"id": "1"},
        "wandb": {"id": "2", "project": "p", "url": "https://wandb.ai/me/p/runs/2"},
    }
