"""One commit for each checkpoint, made of files that nobody can change or empty meanwhile."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hub_repositories import Blob, Commit
from hub_server import HubServer
from kept_trainings import REPO, kept_steps, training
from sentiment140_bert.errors import HubError
from sentiment140_bert.hub.checkpoint_index import is_allowed, write_index
from sentiment140_bert.hub.checkpoint_repo import CheckpointRepo
from sentiment140_bert.hub.client import Hub
from sentiment140_bert.recipe.privacy import make_arguments_public

pytest_plugins = ("hub_fixtures", "checkpoint_fixtures")


def opened() -> CheckpointRepo:
    repo = CheckpointRepo(Hub(), REPO)
    repo.open()
    return repo


@pytest.fixture
def stage(tmp_path: Path) -> Callable[..., Path]:
    """Write a folder that a repository is to hold: the files of a run, and of checkpoints of some steps."""

    def write(*steps: int) -> Path:
        folder = tmp_path / "staged" / "-".join(map(str, steps))
        contents = dict.fromkeys(("environment.json", "recipe.yaml", "data.json", "history.jsonl"), b"{}\n")
        for step in steps:
            for name in ("complete.json", "model.safetensors", "trainer_state.json"):
                contents[f"checkpoint-{step}/{name}"] = f"{name} of step {step}".encode()
        for name, content in contents.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        write_index(folder, f"checkpoint-{max(steps)}", {})
        return folder

    return write


def contents_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


INSIDE = (
    *("complete.json", "config.json", "model.safetensors", "trainer_state.json", "optimizer.pt", "scheduler.pt"),
    *("scaler.pt", "rng_state.pth", "rng_state_0.pth", "rng_state_12345.pth", "tokenizer.json"),
)
OURS = {
    *("checkpoints.json", "README.md", "environment.json", "recipe.yaml", "data.json", "history.jsonl"),
    *("tracking.json", "checkpoint-999999999999/model.safetensors"),
    *(f"checkpoint-6/{name}" for name in INSIDE),
}
FOREIGN = {
    *("", "model.safetensors", "metrics.json", "training_args.bin", "checkpoint-6", "checkpoint-6/", "README.md/x"),
    *("checkpoint-6/training_args.bin", "checkpoint-6/recipe.yaml", "checkpoint-6/a/model.safetensors"),
    *("checkpoint-0/model.safetensors", "checkpoint-06/model.safetensors", "xcheckpoint-6/model.safetensors"),
    *("checkpoint-6x/model.safetensors", "checkpoint-1000000000000/model.safetensors", "checkpoint-/model.safetensors"),
    *("checkpoint-6/rng_state_123456.pth", "checkpoint-6/rng_state_.pth", "checkpoint-6/model.safetensors\n"),
    *("checkpoint-6/modelxsafetensors", "checkpoint-6/model.safetensors.py", "../checkpoint-6/model.safetensors"),
    *("checkpoint-\u0666/model.safetensors", "CHECKPOINT-6/model.safetensors", "/checkpoint-6/model.safetensors"),
}


def test_names_that_a_repository_may_hold() -> None:
    assert {name for name in OURS | FOREIGN if is_allowed(name)} == OURS


def test_fetched_files_are_not_fetched_again_unless_damaged(hub: HubServer, stage, tmp_path: Path) -> None:
    repo, staged, folder = opened(), stage(6), tmp_path / "fetched"
    repo.keep(staged)
    stored = repo.read()
    names = sorted(stored.files)
    repo.fetch(stored, names, folder)
    before = len(hub.requests)
    assert repo.fetch(stored, names, folder) == [folder / name for name in names]
    assert len(hub.requests) == before
    damaged = folder / "checkpoint-6" / "model.safetensors"
    damaged.write_bytes(damaged.read_bytes()[::-1])
    os.utime(damaged, (time.time() + 60,) * 2)  # huggingface_hub looks at the time alone
    repo.fetch(stored, names, folder)
    assert {name: (folder / name).read_bytes() for name in names} == {
        name: content for name, content in contents_of(staged).items() if name != "checkpoints.json"
    }
    paths = {request.path for request in hub.requests[before:]}
    assert paths
    assert all("model.safetensors" in path for path in paths)


def test_the_same_content_is_not_sent_again(hub: HubServer, stage) -> None:
    repo = opened()
    repo.keep(stage(6))
    before = len(hub.requests)
    repo.keep(stage(6))
    assert [request.endpoint for request in hub.requests[before:]] == ["repo_info"]


def test_an_answer_that_was_lost_makes_no_second_commit(hub: HubServer, stage, impatient: list[float]) -> None:
    hub.fail("commit", lose_response=True)
    opened().keep(stage(6))
    assert len(hub.commits(REPO)) == 2
    assert impatient


def test_another_machine_that_is_further_is_left_alone(hub: HubServer, stage) -> None:
    repo, other = opened(), opened()
    other.keep(stage(12))
    before = hub.files(REPO)
    for step in (6, 11):
        with pytest.raises(HubError, match="is at step 12"):
            repo.keep(stage(step))
        assert hub.files(REPO) == before
    repo.keep(stage(18))
    assert "checkpoint-18/complete.json" in hub.files(REPO)
    assert "checkpoint-12/complete.json" not in hub.files(REPO)


def test_one_that_commits_at_that_very_moment_too(hub: HubServer, stage) -> None:
    repo, other = opened(), opened()
    hub.fail("commit", meanwhile=lambda: other.keep(stage(12)))
    with pytest.raises(HubError):
        repo.keep(stage(6))
    assert "checkpoint-12/complete.json" in hub.files(REPO)


def test_a_repository_that_became_public_gets_nothing(hub: HubServer, stage) -> None:
    repo = opened()
    hub.repos["model", REPO].private = False
    with pytest.raises(HubError, match="is public"):
        repo.keep(stage(6))
    assert "checkpoints.json" not in hub.files(REPO)


def test_a_file_that_changes_on_its_way_is_not_committed(hub: HubServer, stage) -> None:
    folder = stage(6)
    (folder / "checkpoint-6" / "model.safetensors").write_bytes(b"WEIGHTS")
    with pytest.raises(HubError, match="has changed"):
        opened().keep(folder)
    assert "checkpoints.json" not in hub.files(REPO)


def test_storage_that_cannot_be_freed_is_logged_once_and_no_failure(
    hub: HubServer, stage, impatient: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    repo = opened()
    hub.fail("super_squash", times=None, status=403)
    for step in (6, 12, 18):
        repo.keep(stage(step))
    assert sum("still count as storage" in record.message for record in caplog.records) == 1
    assert json.loads(hub.files(REPO)["checkpoints.json"])["newest"] == "checkpoint-18"


def test_what_another_machine_is_sending_is_not_freed(hub: HubServer, stage) -> None:
    """No commit names it yet; the files of this machine's earlier commits are deleted."""
    repo = opened()
    repo.keep(stage(6))
    earlier = set(hub.repos["model", REPO].lfs)
    hub.repos["model", REPO].lfs["f" * 64] = b"weights of another machine"
    repo.keep(stage(12))
    left = set(hub.repos["model", REPO].lfs)
    assert earlier
    assert not earlier & left
    assert "f" * 64 in left
    assert {blob.sha256 for blob in hub.commits(REPO)[0].files.values() if blob.lfs} == left - {"f" * 64}


@pytest.mark.parametrize("ref", ["refs/tags/good", "refs/heads/archive", "refs/pr/1", ""])
def test_what_others_may_name_is_not_freed(hub: HubServer, stage, caplog: pytest.LogCaptureFixture, ref: str) -> None:
    """A tag, another branch, a pull request, or an earlier commit by hand."""
    repo = opened()
    stored = hub.repos["model", REPO]
    if not ref:
        weights = Blob(b"my own weights", lfs=True)
        stored.lfs[weights.sha256], named = weights.content, {weights.sha256}
        stored.add("refs/heads/main", Commit("Keep", "tester", stored.at("main").oid, {"w.safetensors": weights}))
        stored.add("refs/heads/main", Commit("Remove it", "tester", stored.at("main").oid, {}))
        repo = opened()
    repo.keep(stage(6))
    if ref:
        stored.refs[ref] = stored.at("main").oid
        named = {blob.sha256 for blob in stored.at("main").files.values() if blob.lfs}
    for step in (12, 18):
        repo.keep(stage(step))
    assert named
    assert named <= stored.lfs.keys()
    assert caplog.text.count("has other commits, which may name them") == 1


def test_another_run_does_not_replace_its_checkpoints(hub: HubServer, stage) -> None:
    """Both began while the repository was empty."""
    first, second = opened(), opened()
    first.keep(stage(6))
    other = stage(12)
    (other / "recipe.yaml").write_text("training: {seed: 2}\n")
    write_index(other, "checkpoint-12", {})
    with pytest.raises(HubError, match="another run keeps its checkpoints"):
        second.keep(other)
    assert json.loads(hub.files(REPO)["checkpoints.json"])["newest"] == "checkpoint-6"


@pytest.mark.parametrize(
    "words",
    [
        ["train", "--checkpoint-repo-id", "me/x", "--seed", "1"],
        ["train", "--checkpoint-repo-id=me/x", "--seed", "1"],
        ["train", "--set", "checkpoint_repo_id=me/x", "--seed", "1"],
    ],
)
def test_a_card_does_not_tell_where_checkpoints_are(words: list[str]) -> None:
    assert make_arguments_public(words) == ["train", "--seed", "1"]


@pytest.fixture
def no_links(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "link", refuse)
    return refuse


def test_without_hard_links_files_are_copied(no_links, hub: HubServer, encoder: Path, tmp_path: Path, s140) -> None:
    s140(*training(encoder, tmp_path / "run", num_train_epochs=3))
    assert kept_steps(hub)[-1] == 18
