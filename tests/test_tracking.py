from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from sentiment140_bert.errors import RunError
from sentiment140_bert.run_dir import RunDir
from sentiment140_bert.tracking import tracked
from tiny_run import flags, process

pytest_plugins = "model_fixtures"

SECRETS = {"HF_TOKEN": "hf_NobodyMayReadThisToken", "WANDB_API_KEY": "b" * 39 + "7"}


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("NETRC", raising=False)


def test_without_credentials_the_run_is_kept_offline_and_goes_on_under_its_id(tmp_path: Path, caplog) -> None:
    run = RunDir(tmp_path / "a run")
    run.path.mkdir()
    ids = []
    for value in (0.5, 0.75):
        with caplog.at_level("INFO"), tracked("wandb", run, "mine", {"seed": 1}) as tracking:
            assert len(tracking.callbacks) == 1
            assert tracking.wandb_run.offline
            tracking.scores({"splits": {"test": {"n": 3, "neutral_left_out": 0, "accuracy": {"value": value}}}})
            assert tracking.wandb_run.summary["test/accuracy"] == value
            assert tracking.wandb_run.summary["test/n"] == 3
        ids.append(json.loads(run.tracking.read_text())["wandb"]["id"])
        assert ids[-1] == tracking.wandb_run.id
    assert ids[0] == ids[1]
    command = caplog.messages[-1].partition("To send it: ")[2]
    program, verb, *folders = shlex.split(command)
    assert (program, verb) == ("wandb", "sync")
    assert [Path(folder).is_dir() for folder in folders] == [True]
    assert list(Path(folders[0]).glob("*.wandb"))


def test_a_run_of_the_callers_own_is_used_and_left_open(tmp_path: Path) -> None:
    import wandb

    with wandb.init(mode="offline", project="theirs", dir=tmp_path, settings=wandb.Settings(silent=True)) as theirs:
        with tracked("wandb", RunDir(tmp_path), "mine", {}) as tracking:
            assert tracking.wandb_run is theirs
        assert wandb.run is theirs
    assert json.loads((tmp_path / "tracking.json").read_text())["wandb"]["project"] == "theirs"


def test_none_means_none(tmp_path: Path) -> None:
    with tracked("none", RunDir(tmp_path), "mine", {}) as tracking:
        tracking.scores({"splits": {"test": {"n": 1}}})
    assert tracking.callbacks == []
    assert not (tmp_path / "tracking.json").exists()


def test_a_run_without_a_tracker_leaves_no_trace_of_one(run: Path) -> None:
    assert not list(run.rglob("*wandb*"))
    assert not (run / "tracking.json").exists()


def test_a_damaged_tracking_file_is_a_sentence(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    run.tracking.write_text('{"wandb": ')
    with pytest.raises(RunError, match=r"tracking\.json"), tracked("wandb", run, "mine", {}):
        pass


@pytest.fixture(scope="module")
def tracked_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """A training of two steps with secrets in the environment, stdin closed: its folder and what it printed."""
    home = tmp_path_factory.mktemp("tracked")
    folder = home / "run"
    settings = SECRETS | {"WANDB_MODE": "offline", "HOME": str(home)}
    changes = {"report_to": "wandb", "max_samples": 100, "validation_size": 20, "test_size": 20, "max_steps": 2}
    started = process("train", "--output-dir", folder, *flags(**changes), "--json", env=settings, cwd=home)
    stdout, stderr = started.communicate(timeout=200)
    assert started.returncode == 0, stderr
    return folder, stdout, stderr


def test_stdout_is_one_json_object(tracked_run) -> None:
    folder, stdout, _ = tracked_run
    assert stdout.count("\n") == 1
    assert json.loads(stdout)["run"] == str(folder)


def test_no_secret_is_in_any_file(tracked_run) -> None:
    folder, stdout, stderr = tracked_run
    for name, secret in SECRETS.items():
        assert secret not in stdout + stderr
        found = [each for each in folder.rglob("*") if each.is_file() and secret.encode() in each.read_bytes()]
        assert found == [], name


def test_the_offline_run_holds_losses_and_scores(tracked_run) -> None:
    folder, _, stderr = tracked_run
    known = json.loads((folder / "tracking.json").read_text())["wandb"]
    (file,) = folder.rglob(f"run-{known['id']}.wandb")
    content = file.read_bytes()
    for key in (b"train/loss", b"eval/accuracy", b"manual/accuracy", b"test/log_loss", b"fingerprint"):
        assert key in content, key
    assert f"wandb sync {file.parent}" in stderr or f"wandb sync {shlex.quote(str(file.parent))}" in stderr


def test_one_tracked_run_and_none_outside_the_run_directory(tracked_run) -> None:
    folder, _, _ = tracked_run
    assert len(list(folder.rglob("*.wandb"))) == 1
    assert not list(folder.parent.glob("wandb"))
    assert not (folder / "model" / "wandb").exists()


def test_what_is_printed_is_true_and_needed(tracked_run) -> None:
    """It is kept offline because WANDB_MODE says so; and wandb's complaint that such a run has no URL helps nobody."""
    _, _, stderr = tracked_run
    assert "no credentials" not in stderr
    assert "URL not available" not in stderr
