"""Refuse to resume from another run's checkpoints, other people's files, and hostile ones."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from hub_server import SOMEBODYS_TOKEN, TOKEN, HubServer, Repo
from kept_trainings import REPO, kept_steps, training
from malice import Canary

pytest_plugins = ("hub_fixtures", "checkpoint_fixtures", "malice")
INDEX, NEWEST, MANIFEST = "checkpoints.json", "checkpoint-12", "checkpoint-12/complete.json"
STATE, OPTIMIZER = f"{NEWEST}/trainer_state.json", f"{NEWEST}/optimizer.pt"
Change = Callable[[HubServer], object]


@pytest.fixture
def refused(repository: Repo, hub: HubServer, encoder: Path, tmp_path: Path, s140) -> Callable[..., str]:
    """Return the error of the same command on a bare machine; nothing is left here, and the Hub is as it was."""

    def train(*more: object, **changes: object) -> str:
        before = dict(hub.files(REPO))
        folder = tmp_path / "bare" / "run"
        result = s140(*training(encoder, folder, *more, **{"num_train_epochs": 2, **changes}), code=1)
        assert not list((tmp_path / "bare").glob("*"))
        assert hub.files(REPO) == before
        assert "Traceback" not in result.output
        return result.stderr

    return train


def describe(content: bytes) -> dict[str, Any]:
    return {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def write(name: str, content: bytes, *, is_indexed: bool = True, is_sealed: bool = False) -> Change:
    """Return what writes a file, as somebody who can write to the repository would; index and manifest may agree."""

    def change(hub: HubServer) -> None:
        hub.write(REPO, name, content)
        if is_sealed:
            manifest = json.loads(hub.files(REPO)[MANIFEST])
            manifest["files"][name.rpartition("/")[2]] = describe(content)
            write(MANIFEST, json.dumps(manifest).encode())(hub)
        if is_indexed:
            index = json.loads(hub.files(REPO)[INDEX])
            index["files"][name] = describe(content)
            hub.write(REPO, INDEX, json.dumps(index).encode())

    return change


def edit(name: str, change: Callable[[dict[str, Any]], dict[str, Any]], **options: bool) -> Change:
    return lambda hub: write(name, json.dumps(change(json.loads(hub.files(REPO)[name]))).encode(), **options)(hub)


def edit_index(change: Callable[[dict[str, Any]], object]) -> Change:
    return edit(INDEX, lambda index: (change(index["files"]), index)[1], is_indexed=False)


def flip_last_bit(name: str) -> Change:
    def change(hub: HubServer) -> None:
        content = hub.files(REPO)[name]
        hub.write(REPO, name, content[:-1] + bytes([content[-1] ^ 1]))

    return change


def drop(manifest: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in manifest.items() if name != key}


NEEDED = [f"{NEWEST}/{name}" for name in ("complete.json", "model.safetensors", "trainer_state.json")]
NEEDED += ["recipe.yaml", "data.json", "environment.json", "history.jsonl"]
CHANGED: list[tuple[Change, str]] = [
    *((flip_last_bit(name), f"{name} does not match {INDEX}") for name in (*NEEDED[:3], OPTIMIZER)),
    (lambda hub: hub.repos["model", REPO].at("main").files.pop(OPTIMIZER), f"{OPTIMIZER} is missing"),
    *((edit_index(lambda files, name=name: files.pop(name)), f"{name} is missing") for name in NEEDED),
    *((write(INDEX, content, is_indexed=False), INDEX) for content in (b"", b"[]", b"{}", b"\xff", b'{"format": 2}')),
    (write(INDEX, b"[" * 100_000, is_indexed=False), INDEX),
]
CLIMBING: list[tuple[Change, str]] = [
    (write("../../../escaped", b"harm"), "points outside its repository"),
    (write(f"{NEWEST}/../../escaped", b"harm"), "points outside its repository"),
    (write("/tmp/escaped", b"harm"), "points outside its repository"),
    (write(f"{NEWEST}/a.py", b"harm"), "something other than the checkpoints"),
    (edit_index(lambda files: files.update({f"{NEWEST}/../../escaped": describe(b"")})), "not a checkpoint file"),
]
DAMAGED: list[tuple[Change, str]] = [
    *((write("history.jsonl", line), "Line 1 of history.jsonl") for line in (b"\xff\xfe\n", "{}\n".encode("utf-16"))),
    *((write("history.jsonl", line), "") for line in (b'{"step": "text"}\n', b"[1]\n")),
    (edit(MANIFEST, lambda manifest: manifest | {"seconds": "x"}), "is incomplete"),
    (edit(MANIFEST, partial(drop, key="seconds")), "is incomplete"),
    (edit(MANIFEST, lambda manifest: manifest | {"files": {}}), "does not match the files that are there"),
    *(
        (edit(STATE, lambda state, odd=odd: state | odd, is_sealed=True), "trainer_state.json")
        for odd in (
            *({"no_such_field": 1}, {"global_step": 6}, {"global_step": "12"}, {"best_model_checkpoint": 7}),
            {"log_history": "text"},
        )
    ),
    (write("recipe.yaml", b"!!python/object/apply:os.system ['touch harmed']"), ""),
    (write("recipe.yaml", b"training: {no_such_key: 1}"), ""),
    *((write("data.json", content), "") for content in (b"[]", b"{")),
    (write("environment.json", b'{"python": 3}'), ""),
    (write("tracking.json", b'{"mlflow": {"sent": 7}}'), ""),
]


@pytest.mark.parametrize(("change", "message"), CHANGED)
def test_a_changed_or_missing_file_is_refused(hub: HubServer, refused, change: Change, message: str) -> None:
    change(hub)
    assert message in refused()


@pytest.mark.parametrize(("change", "message"), CLIMBING)
def test_a_path_that_climbs_out_is_refused(hub: HubServer, refused, tmp_path: Path, change, message: str) -> None:
    change(hub)
    assert message in refused()
    assert not list(tmp_path.rglob("escaped"))


@pytest.mark.parametrize(("change", "message"), DAMAGED)
def test_a_damaged_description_is_refused(hub: HubServer, refused, tmp_path: Path, change, message: str) -> None:
    """Index and manifest agree with it."""
    change(hub)
    assert message in refused()
    assert not list(tmp_path.rglob("harmed"))


@pytest.mark.parametrize("name", ["optimizer.pt", "scheduler.pt", "rng_state.pth", "scaler.pt", "model.safetensors"])
@pytest.mark.parametrize("is_zipped", [True, False])
def test_nothing_in_a_pickle_is_run(hub: HubServer, refused, canary: Path, name: str, is_zipped: bool) -> None:
    import torch

    pickled = io.BytesIO()
    torch.save(Canary(canary), pickled, _use_new_zipfile_serialization=is_zipped)
    write(f"{NEWEST}/{name}", pickled.getvalue(), is_sealed=True)(hub)
    message = refused()
    assert name in message
    assert "refused" in message or "is not a safetensors file" in message


def test_another_recipe_and_a_repository_of_something_else_are_refused(hub: HubServer, refused) -> None:
    message = refused(learning_rate=3e-5)
    assert "learning_rate: 0.0001 then, 3e-05 now" in message
    assert "and removes the run in --output-dir, too" in message
    assert "max_samples: 300 then, 400 now" in refused(max_samples=400)
    hub.repos["model", REPO].private = False
    assert "is public" in refused()
    hub.repos["model", REPO].private = True
    hub.write(REPO, "pytorch_model.bin", b"weights")
    assert "holds something other than the checkpoints of a run: pytorch_model.bin" in refused("--overwrite")


def test_the_tweets_must_be_the_same_wherever_they_are(hub: HubServer, encoder: Path, tmp_path, write, s140) -> None:
    """Another machine has them in another folder; the fingerprint says that they are the same."""
    changes = {"max_samples": 300, "num_train_epochs": 1}
    s140(*training(encoder, tmp_path / "first", dataset=write("tweets.csv", 400), **changes))
    (tmp_path / "elsewhere").mkdir()
    moved = (tmp_path / "tweets.csv").rename(tmp_path / "elsewhere" / "tweets.csv")
    result = s140(*training(encoder, tmp_path / "second", dataset=moved, **changes))
    assert "resume: from checkpoint-" in result.stderr
    result = s140(*training(encoder, tmp_path / "third", dataset=write("tweets.csv", 500), **changes), code=1)
    assert "trained on other tweets: fingerprint " in result.stderr
    assert not (tmp_path / "third").exists()


def test_a_model_of_ones_own_is_not_taken_for_checkpoints(hub: HubServer, encoder: Path, tmp_path: Path, s140) -> None:
    hub.create("tester/precious", private=True)
    hub.write("tester/precious", "README.md", b"# Mine\n")
    result = s140(*training(encoder, tmp_path / "run", repo="tester/precious"), code=1)
    assert f"has no {INDEX}" in result.stderr
    assert hub.files("tester/precious")["README.md"] == b"# Mine\n"


@pytest.mark.parametrize(("token", "message"), [("", "You are not logged in"), (SOMEBODYS_TOKEN, "permission denied")])
def test_without_the_right_to_write_nothing_begins(
    hub: HubServer, encoder: Path, tmp_path: Path, s140, monkeypatch, token: str, message: str
) -> None:
    monkeypatch.setenv("HF_TOKEN", token)
    assert message in s140(*training(encoder, tmp_path / "run"), code=1).stderr
    assert not (tmp_path / "run").exists()


def test_a_secret_is_not_sent_to_the_hub(hub: HubServer, encoder: Path, tmp_path: Path, s140, monkeypatch) -> None:
    """No pattern would know it: it is a word of trainer_state.json, and the password in a variable of this machine."""
    secret = "best_model_checkpoint"
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", secret)
    stderr = s140(*training(encoder, tmp_path / "run", num_train_epochs=1)).stderr
    assert "holds what looks like a secret" in stderr
    assert secret not in stderr
    assert kept_steps(hub) == []


def test_the_token_is_nowhere(hub: HubServer, repository: Repo, encoder: Path, tmp_path: Path, s140) -> None:
    result = s140(*training(encoder, tmp_path / "run", num_train_epochs=2))
    contents = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} | hub.files(REPO)
    contents["output"] = result.output.encode()
    assert [name for name, content in contents.items() if TOKEN.encode() in content] == []


def test_a_learning_curve_stores_no_checkpoints_on_the_hub(hub: HubServer, encoder: Path, tmp_path: Path, s140) -> None:
    words = [str(word) for word in training(encoder, tmp_path / "curve", num_train_epochs=1)]
    words = ["learning-curve", tmp_path / "curve", *words[3:], "--sizes", "20,40", "--seeds", 1]
    stderr = s140(*words).stderr
    assert "a learning curve trains several models;" in stderr
    assert ("model", REPO) not in hub.repos
