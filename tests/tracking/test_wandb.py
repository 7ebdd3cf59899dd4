"""Weights & Biases, offline: there is no server here, so what it would be sent is read back from its own files."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from command_line import Command, complete
from killing import until_whole
from sentiment140_bert import evaluate_run, train
from sentiment140_bert.run import RunDir
from sentiment140_bert.tracking.tracks import resume_tracking
from tiny_run import flags, tiny_recipe
from wandb_files import read_segment, segments

pytest_plugins = "hub_fixtures"


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("NETRC", raising=False)


def command_in(text: str) -> list[Path]:
    """Return the folders in the command that sends offline runs."""
    program, verb, *folders = shlex.split(text.rpartition("To send it: ")[2].splitlines()[0])
    assert (program, verb) == ("wandb", "sync")
    return [Path(folder) for folder in folders]


@pytest.fixture(scope="module")
def trained(encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Return the folder and the output of a run tracked offline, trained in a process of its own."""
    home = tmp_path_factory.mktemp("tracked")
    words = flags(model_name_or_path=encoder, report_to="wandb", num_train_epochs=1, tags="tweets,first try")
    words = ["train", "--output-dir", home / "a run", *words, "--group", "trials"]
    return home / "a run", "".join(complete(*words, env={"HOME": str(home)}, cwd=home))


def test_everything_is_kept_in_one_run(trained) -> None:
    folder, _ = trained
    (file,) = segments(folder)
    run = read_segment(file)
    history = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    for entry in history:
        row = run.history[entry["step"]]
        for name, value in entry.items():
            if name in ("loss", "grad_norm", "learning_rate", "tweets_per_second"):
                assert row[f"train/{name}"] == value
            elif name in ("eval_loss", "eval_accuracy"):
                assert row[f"eval/{name.removeprefix('eval_')}"] == value
    assert sorted(run.history) == sorted({entry["step"] for entry in history})
    metrics = json.loads((folder / "metrics.json").read_text())
    for split, values in metrics["splits"].items():
        assert run.summary[f"{split}/accuracy"] == values["accuracy"]["value"]
        assert run.summary[f"{split}/n"] == values["n"]
    data = json.loads((folder / "data.json").read_text())
    assert run.config["fingerprint"] == data["fingerprint"]
    assert run.config["training"]["learning_rate"] == 1e-4
    assert run.config["data"]["max_samples"] == 300
    assert run.config["data_report"]["rows"]["train"] == data["splits"]["train"]["rows"]
    assert run.config["environment"]["python"] == json.loads((folder / "environment.json").read_text())["python"]
    assert {"recipe.yaml", "data.json", "environment.json", "metrics.json", "README.md"} <= run.files
    assert {f"figures/{path.name}" for path in (folder / "figures").iterdir()} <= run.files
    assert run.names == {"a run"}
    assert (sorted(run.tags), run.group) == (["first try", "tweets"], "trials")
    assert run.exits == [0]


def test_it_holds_no_folder_of_this_machine(trained, encoder: Path) -> None:
    """wandb itself would note the command line as it was typed, the program, the host and the user."""
    (file,) = segments(trained[0])
    content = file.read_bytes()
    assert [path for path in (encoder, trained[0], Path(sys.prefix)) if str(path).encode() in content] == []
    assert read_segment(file).hosts == {"a machine"}


def test_confusion_and_calibration_are_native_charts(trained) -> None:
    folder, _ = trained
    run = read_segment(*segments(folder))
    metrics = json.loads((folder / "metrics.json").read_text())["splits"]["test"]
    (table,) = (folder / "wandb").glob("*run-*/files/media/table/test/confusion_table*.json")
    counts = {(row[0], row[1]): row[2] for row in json.loads(table.read_text())["data"]}
    assert counts[("positive", "negative")] == metrics["false_negative"]["value"]
    assert counts[("negative", "positive")] == metrics["false_positive"]["value"]
    assert any(name.startswith("media/table/test/calibration") for name in run.files)


def test_the_one_command_that_sends_it_is_printed(trained) -> None:
    folder, printed = trained
    assert "no credentials" in printed
    (kept_in,) = command_in(printed)
    assert (folder.parent / kept_in / segments(folder)[0].name).is_file()


def test_evaluate_and_push_resume_the_same_wandb_run(trained, hub, push, tmp_path: Path, s140) -> None:
    folder = tmp_path / "a run"
    shutil.copytree(trained[0], folder)
    states = json.loads((folder / "tracking.json").read_text())
    states["wandb"]["sent"]["files"]["metrics.json"] = "of other scores"
    (folder / "tracking.json").write_text(json.dumps(states))
    evaluated = s140("evaluate", folder)
    pushed = push(run=folder)
    runs = [read_segment(file) for file in segments(folder)]
    ids = {run_id for run in runs for run_id in run.ids}
    assert len(ids) == 1
    assert len(runs) == 3
    assert len(command_in(evaluated.stderr)) == 2
    assert len(command_in(pushed.stderr)) == 3
    assert runs[1].summary["test/accuracy"] == runs[0].summary["test/accuracy"]
    assert not any("train/loss" in row for row in runs[1].history.values())  # told before
    published = json.loads((folder / "published.json").read_text())
    assert runs[2].summary["published/model"] == published["model"]["url"]
    assert runs[2].summary["published/dataset"] == published["dataset"]["url"]


def test_a_synced_run_opens_no_tracker(trained, tmp_path: Path, s140) -> None:
    folder = tmp_path / "a run"
    shutil.copytree(trained[0], folder)
    s140("evaluate", folder)
    before = len(segments(folder))
    s140("evaluate", folder)
    assert len(segments(folder)) == before


def test_after_a_kill_nothing_is_missing(encoder: Path, tmp_path: Path, s140) -> None:
    """Resend the last values: wandb writes late from a process of its own, and may lose them in a kill."""
    folder = tmp_path / "killed"
    words = ["train", "--output-dir", folder, *flags(model_name_or_path=encoder, report_to="wandb", num_train_epochs=3)]
    with Command(*words, pause_at="step 9/") as started:
        started.wait_until_paused()
        until_whole(folder, 6, started)
        started.kill()
        started.wait()
    s140("train", "--output-dir", folder, "--resume")
    runs = [read_segment(file) for file in segments(folder)]
    assert len({run_id for run in runs for run_id in run.ids}) == 1
    steps = {step for run in runs for step, row in run.history.items() if "train/loss" in row}
    assert steps == set(range(1, 19))


def test_nothing_counts_as_sent_before_wandb_has_written_it(trained, tmp_path: Path) -> None:
    folder = tmp_path / "a run"
    shutil.copytree(trained[0], folder)
    states = json.loads((folder / "tracking.json").read_text())
    del states["wandb"]["sent"]
    (folder / "tracking.json").write_text(json.dumps(states))
    with resume_tracking(RunDir(folder)) as tracking:
        tracking.flush()
        assert "sent" not in json.loads((folder / "tracking.json").read_text())["wandb"]
    assert json.loads((folder / "tracking.json").read_text())["wandb"]["sent"]["files"]["end"] == "FINISHED"


@pytest.mark.long
def test_a_run_of_the_callers_own_is_used_and_left_open(encoder: Path, tmp_path: Path) -> None:
    import wandb

    with wandb.init(mode="offline", project="theirs", dir=tmp_path, settings=wandb.Settings(silent=True)) as callers:
        train(tiny_recipe(encoder, report_to="wandb"), tmp_path / "run")
        assert wandb.run is callers
        evaluate_run(tmp_path / "run")
        assert wandb.run is callers
        callers.log({"afterwards": 1})
        assert callers.summary["test/n"] == 60
    states = json.loads((tmp_path / "run" / "tracking.json").read_text())["wandb"]
    assert (states["id"], states["project"]) == (callers.id, "theirs")
    assert not (tmp_path / "run" / "wandb").exists()
    assert len(segments(tmp_path)) == 1


def test_the_model_is_uploaded_on_request(encoder: Path, tmp_path: Path) -> None:
    train(tiny_recipe(encoder, report_to="wandb", log_model=True), tmp_path / "run")
    from wandb_files import records

    (file,) = segments(tmp_path / "run")
    artifacts = [record.artifact for record in records(file) if record.WhichOneof("record_type") == "artifact"]
    (model,) = [artifact for artifact in artifacts if artifact.type == "model"]
    sent = {file.path for file in model.manifest.contents}
    folder = tmp_path / "run" / "model"
    assert sent == {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}


def test_without_a_tracker_there_is_no_trace_of_one(small_run: Path) -> None:
    assert not list(small_run.rglob("*wandb*"))
    assert not (small_run / "tracking.json").exists()


def test_no_tracker_is_outside_the_run_directory(trained) -> None:
    folder, printed = trained
    assert not list(folder.parent.glob("wandb"))
    assert not (folder / "model" / "wandb").exists()
    assert "URL not available" not in printed
