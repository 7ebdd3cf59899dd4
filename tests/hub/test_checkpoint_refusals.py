"""Refuse to resume from another run's checkpoints, other people's files, and hostile ones."""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from hub_server import SOMEBODYS_TOKEN, TOKEN, Account, HubServer, Repo
from kept_trainings import REPO, kept_steps, training

pytest_plugins = ("hub_fixtures", "checkpoint_fixtures")
INDEX = "checkpoints.json"


@pytest.fixture
def refused(repository: Repo, hub: HubServer, encoder: Path, tmp_path: Path, s140) -> Callable[..., str]:
    """The same command on a bare machine is refused, in a sentence; nothing is left here, and the Hub is as it was."""

    def ask(*more: object, **changes: object) -> str:
        before = dict(hub.files(REPO))
        folder = tmp_path / "bare" / "run"
        result = s140(*training(encoder, folder, *more, **{"num_train_epochs": 2, **changes}), code=1)
        assert not list((tmp_path / "bare").glob("*"))
        assert hub.files(REPO) == before
        assert "Traceback" not in result.output
        return result.stderr

    return ask


def exchange(hub: HubServer, name: str, content: bytes, *, indexed: bool = True) -> None:
    """Puts another file into the repository, as somebody who can write to it would; the index agrees if ``indexed``."""
    hub.write(REPO, name, content)
    if indexed:
        index = json.loads(hub.files(REPO)[INDEX])
        index["files"][name] = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        hub.write(REPO, INDEX, json.dumps(index).encode())


def newest(hub: HubServer) -> str:
    return f"checkpoint-{kept_steps(hub)[-1]}"


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"learning_rate": 3e-5}, "learning_rate: 0.0001 then, 3e-05 now"),
        ({"max_samples": 400}, "max_samples: 300 then, 400 now"),
    ],
)
def test_another_recipe_is_refused(refused, changes: dict[str, object], shown: str) -> None:
    assert shown in refused(**changes)


def test_other_tweets_are_refused(hub: HubServer, encoder: Path, tmp_path: Path, write, s140) -> None:
    tweets = write("tweets.csv", 400)
    changes = {"dataset": tweets, "max_samples": 300, "num_train_epochs": 1}
    s140(*training(encoder, tmp_path / "first", **changes))
    write("tweets.csv", 500)
    result = s140(*training(encoder, tmp_path / "second", **changes), code=1)
    assert "trained on other tweets: fingerprint " in result.stderr
    assert " then, " in result.stderr
    assert not (tmp_path / "second").exists()


def test_where_the_tweets_lie_is_no_difference(hub: HubServer, encoder: Path, tmp_path: Path, write, s140) -> None:
    """Another machine has them in another folder; the fingerprint says that they are the same."""
    changes = {"max_samples": 300, "num_train_epochs": 1}
    tweets = write("tweets.csv", 400)
    s140(*training(encoder, tmp_path / "first", dataset=tweets, **changes))
    (tmp_path / "elsewhere").mkdir()
    moved = tweets.rename(tmp_path / "elsewhere" / "tweets.csv")
    result = s140(*training(encoder, tmp_path / "second", dataset=moved, **changes))
    assert "resume: from checkpoint-" in result.stderr


def test_a_public_repository_is_refused(hub: HubServer, refused) -> None:
    hub.repos["model", REPO].private = False
    assert "is public" in refused()


def test_a_repository_of_something_else_is_refused(hub: HubServer, refused) -> None:
    hub.write(REPO, "pytorch_model.bin", b"weights")
    assert "holds something other than the checkpoints of a run: pytorch_model.bin" in refused("--overwrite")


def test_a_model_of_ones_own_is_not_taken_for_checkpoints(hub: HubServer, encoder: Path, tmp_path: Path, s140) -> None:
    hub.create("tester/precious", private=True)
    hub.write("tester/precious", "README.md", b"# Mine\n")
    result = s140(*training(encoder, tmp_path / "run", repo="tester/precious"), code=1)
    assert f"has no {INDEX}" in result.stderr
    assert hub.files("tester/precious")["README.md"] == b"# Mine\n"


def test_without_a_login_nothing_begins(hub: HubServer, encoder: Path, tmp_path: Path, s140, monkeypatch) -> None:
    monkeypatch.delenv("HF_TOKEN")
    assert "You are not logged in" in s140(*training(encoder, tmp_path / "run"), code=1).stderr
    assert not (tmp_path / "run").exists()


def test_nor_without_the_right_to_write(hub: HubServer, encoder: Path, tmp_path: Path, s140, monkeypatch) -> None:
    hub.accounts[SOMEBODYS_TOKEN] = Account("somebody")
    monkeypatch.setenv("HF_TOKEN", SOMEBODYS_TOKEN)
    assert "permission denied" in s140(*training(encoder, tmp_path / "run"), code=1).stderr


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.pt", "trainer_state.json", "complete.json"])
def test_a_changed_file_is_refused(hub: HubServer, refused, name: str) -> None:
    path = f"{newest(hub)}/{name}"
    content = hub.files(REPO)[path]
    exchange(hub, path, content[:-1] + bytes([content[-1] ^ 1]), indexed=False)
    assert f"{path} does not match {INDEX}" in refused()


def test_a_missing_file_is_refused(hub: HubServer, refused) -> None:
    repo, path = hub.repos["model", REPO], f"{newest(hub)}/model.safetensors"
    del repo.at("main").files[path]
    assert f"{path} is missing" in refused()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("../../../escaped", "points outside its repository"),
        ("checkpoint-12/../../escaped", "points outside its repository"),
        ("/tmp/escaped", "points outside its repository"),
        ("checkpoint-12/a.py", "something other than the checkpoints"),
    ],
)
def test_a_path_that_climbs_out_is_refused(hub: HubServer, refused, tmp_path: Path, name: str, message: str) -> None:
    exchange(hub, name, b"harm")
    assert message in refused()
    assert not list(tmp_path.rglob("escaped"))


@pytest.mark.parametrize("content", [b"\xff\xfe\n", '{"step": 1}\n'.encode("utf-16")])
def test_a_history_that_is_no_text_is_refused(hub: HubServer, refused, content: bytes) -> None:
    exchange(hub, "history.jsonl", content)
    assert f"Line 1 of history.jsonl in {REPO} is damaged" in refused()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda manifest: manifest | {"seconds": "x"}, "is incomplete"),
        (lambda manifest: {name: value for name, value in manifest.items() if name != "seconds"}, "is incomplete"),
        (lambda manifest: manifest | {"files": {}}, "does not match the files that are there"),
    ],
)
def test_a_manifest_that_says_less_is_refused(hub: HubServer, refused, change: Callable, message: str) -> None:
    """Together with an index that agrees with it."""
    path = f"{newest(hub)}/complete.json"
    exchange(hub, path, json.dumps(change(json.loads(hub.files(REPO)[path]))).encode())
    assert message in refused()


def test_an_index_that_leaves_a_needed_file_out_is_refused(hub: HubServer, refused) -> None:
    """The file is there, but nothing says what it must be."""
    whole = hub.files(REPO)[INDEX]
    folder = newest(hub)
    needed = [f"{folder}/{name}" for name in ("complete.json", "model.safetensors", "trainer_state.json")]
    for name in (*needed, "recipe.yaml", "data.json", "environment.json", "history.jsonl"):
        index = json.loads(whole)
        del index["files"][name]
        hub.write(REPO, INDEX, json.dumps(index).encode())
        assert f"{name} is missing" in refused(), name


def test_a_name_in_the_index_alone_is_refused_too(hub: HubServer, refused) -> None:
    index = json.loads(hub.files(REPO)[INDEX])
    index["files"]["checkpoint-12/../../escaped"] = index["files"]["recipe.yaml"]
    hub.write(REPO, INDEX, json.dumps(index).encode())
    assert "which is not a checkpoint file" in refused()


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff", b"[" * 100_000, b'{"format": 2}'])
def test_an_index_that_is_none_is_refused(hub: HubServer, refused, content: bytes) -> None:
    hub.write(REPO, INDEX, content)
    assert INDEX in refused()


class Harm:
    """A pickle of it makes a file as soon as it is read."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> object:
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("name", ["optimizer.pt", "scheduler.pt", "rng_state.pth", "scaler.pt", "model.safetensors"])
@pytest.mark.parametrize("zipped", [True, False])
def test_nothing_in_a_pickle_is_run(hub: HubServer, refused, tmp_path: Path, name: str, zipped: bool) -> None:
    import torch

    mark, file = tmp_path / "harmed", tmp_path / "harm"
    torch.save(Harm(mark), file, _use_new_zipfile_serialization=zipped)
    path = f"{newest(hub)}/{name}"
    exchange(hub, path, file.read_bytes())
    _as_manifest(hub, path, file.read_bytes())
    message = refused()
    assert name in message
    assert "refused" in message or "no safetensors" in message
    assert not mark.exists()
    with pytest.raises(pickle.UnpicklingError):
        torch.load(file, weights_only=True)


def _as_manifest(hub: HubServer, path: str, content: bytes) -> None:
    """The manifest of the checkpoint agrees with the exchanged file."""
    folder, name = path.split("/")
    manifest = json.loads(hub.files(REPO)[f"{folder}/complete.json"])
    manifest["files"][name] = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    exchange(hub, f"{folder}/complete.json", json.dumps(manifest).encode())


@pytest.mark.parametrize(
    "harm",
    [
        {"no_such_field": 1},
        {"global_step": 6},
        {"global_step": "12"},
        {"best_model_checkpoint": 7},
        {"log_history": "text"},
    ],
)
def test_a_state_that_trainer_did_not_write_is_refused(hub: HubServer, refused, harm: dict[str, object]) -> None:
    path = f"{newest(hub)}/trainer_state.json"
    content = json.dumps(json.loads(hub.files(REPO)[path]) | harm).encode()
    exchange(hub, path, content)
    _as_manifest(hub, path, content)
    assert "trainer_state.json" in refused()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("recipe.yaml", b"!!python/object/apply:os.system ['touch harmed']"),
        ("recipe.yaml", b"training: {no_such_key: 1}"),
        ("data.json", b"[]"),
        ("data.json", b"{"),
        ("environment.json", b'{"python": 3}'),
        ("history.jsonl", b'{"step": "text"}\n'),
        ("history.jsonl", b"[1]\n"),
        ("tracking.json", b'{"mlflow": {"sent": 7}}'),
    ],
)
def test_a_damaged_file_of_the_run_is_refused(
    hub: HubServer, refused, tmp_path: Path, name: str, content: bytes
) -> None:
    exchange(hub, name, content)
    refused()
    assert not list(tmp_path.rglob("harmed"))


def test_a_secret_is_not_kept_on_the_hub(
    hub: HubServer, encoder: Path, tmp_path: Path, s140, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No pattern would know it: it is a word of trainer_state.json, and the password in a variable of this machine."""
    secret = "best_model_checkpoint"
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", secret)
    stderr = s140(*training(encoder, tmp_path / "run", num_train_epochs=1)).stderr
    assert "holds what looks like a secret" in stderr
    assert secret not in stderr
    assert kept_steps(hub) == []


def test_the_token_is_nowhere(hub: HubServer, repository: Repo, encoder: Path, tmp_path: Path, s140) -> None:
    result = s140(*training(encoder, tmp_path / "run", num_train_epochs=2))
    assert TOKEN not in result.output
    for name, content in hub.files(REPO).items():
        assert TOKEN.encode() not in content, name
    for file in tmp_path.rglob("*"):
        assert not file.is_file() or TOKEN.encode() not in file.read_bytes(), file


def test_a_learning_curve_leaves_it_out_and_says_so(hub: HubServer, encoder: Path, tmp_path: Path, s140) -> None:
    words = [str(word) for word in training(encoder, tmp_path / "curve", num_train_epochs=1)]
    words = ["learning-curve", tmp_path / "curve", *words[3:], "--sizes", "20,40", "--seeds", 1]
    stderr = s140(*words).stderr
    assert "a learning curve trains several models;" in stderr
    assert ("model", REPO) not in hub.repos
