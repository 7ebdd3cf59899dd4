"""Check the result of a push on the Hub: files, commits, visibility."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from hub_server import HubServer
from on_hub import DATA, MODEL, changed_by_last, commits_of_ours, titles
from sentiment140_bert.publishing import publish
from tiny_run import flags

pytest_plugins = "hub_fixtures"

MODEL_FILES = {
    ".eval_results/sentiment140.yaml",
    ".gitattributes",
    "README.md",
    "config.json",
    "data.json",
    "environment.json",
    "figures/calibration.png",
    "figures/confusion_matrix.png",
    "figures/learning_curve.png",
    "figures/risk_coverage.png",
    "figures/slices.png",
    "metrics.json",
    "model.safetensors",
    "recipe.yaml",
    "tokenizer.json",
    "tokenizer_config.json",
    "training_rows.safetensors",
}
SHARDS = [f"{name}-00000-of-00001.parquet" for name in ("train", "validation", "test", "manual")]
DATA_FILES = {".gitattributes", "README.md", "data.json"} | {
    f"{config}/{shard}" for config in ("default", "tokenized") for shard in SHARDS
}
DATA_FILES.add("three_way/manual-00000-of-00001.parquet")


def test_each_is_one_commit_on_top_of_the_first(hub: HubServer, push) -> None:
    push()
    assert titles(hub, MODEL) == ["s140 push-to-hub: model", "initial commit"]
    assert titles(hub, DATA, "dataset") == ["s140 push-to-hub: dataset", "initial commit"]


def test_the_model_is_these_files_as_the_run_has_them(hub: HubServer, push, run_copy: Path) -> None:
    push()
    files = hub.files(MODEL)
    assert files.keys() == MODEL_FILES
    for name in ("model.safetensors", "config.json", "tokenizer.json", "README.md", "metrics.json", "data.json"):
        assert (run_copy / "model" / name).read_bytes() == files[name], name
    assert json.loads(files["metrics.json"]) == json.loads((run_copy / "metrics.json").read_text("utf-8"))


def test_the_dataset_is_these_files(hub: HubServer, push) -> None:
    push()
    assert hub.files(DATA, "dataset").keys() == DATA_FILES


PLANTED = ("pytorch_model.bin", "training_args.bin", "optimizer.pt", "notes.txt", "rng_state.pth", "runs/log.json")


def test_nothing_else_of_a_model_folder_is_published(hub: HubServer, push, run_copy: Path) -> None:
    for name in (*(f"model/{name}" for name in PLANTED), "checkpoints/checkpoint-6/trainer_state.json", "notes.md"):
        (run_copy / name).parent.mkdir(parents=True, exist_ok=True)
        (run_copy / name).write_text(f"planted as {name}")
    push()
    assert hub.files(MODEL).keys() == MODEL_FILES
    assert hub.files(DATA, "dataset").keys() == DATA_FILES


def test_nothing_else_is_even_uploaded(hub: HubServer, push, run_copy: Path) -> None:
    for name in ("optimizer.safetensors", "adapter.safetensors"):
        (run_copy / "model" / name).write_bytes(b"planted " + name.encode())
    push()
    assert hub.files(MODEL).keys() == MODEL_FILES
    assert not [content for content in hub.repos["model", MODEL].lfs.values() if b"planted" in content]


@pytest.mark.parametrize(
    ("flags", "private"), [((), (False, True)), (("--private",), (True, True)), (("--public",), (False, False))]
)
def test_a_new_model_is_public_and_a_new_dataset_private(hub: HubServer, push, flags, private) -> None:
    push(*flags)
    assert (hub.repos["model", MODEL].private, hub.repos["dataset", DATA].private) == private


def test_a_card_edited_just_before_the_commit_is_not_overwritten(
    hub: HubServer, push, run_copy: Path, tmp_path
) -> None:
    """The commit is made on top of the very card that was read, or the card is read again."""
    runs = [shutil.copytree(run_copy, tmp_path / name) for name in ("one", "other")]
    for run in runs:
        before = [request.endpoint for request in hub.requests]
        hub.reset()
        hub.create(MODEL)
        hub.write(MODEL, "README.md", b"# Before\n")
        if before:  # known from the first push: the last question before the commit
            at = before[: before.index("commit")].count("repo_info") - 1
            hub.fail("repo_info", after=at, meanwhile=lambda: hub.write(MODEL, "README.md", b"# Just now\n"))
        push(run=run, to=("--repo-id", MODEL))
    assert "# Just now" in hub.files(MODEL)["README.md"].decode()


@pytest.mark.parametrize("private", [True, False])
def test_what_exists_is_seen_by_whom_it_was(hub: HubServer, push, private: bool) -> None:
    hub.create(MODEL, private=private)
    hub.create(DATA, "dataset", private=private)
    result = json.loads(push("--json").stdout)
    assert {kind: repo.private for (kind, _), repo in hub.repos.items()} == {"model": private, "dataset": private}
    assert {kind: push["private"] for kind, push in result.items()} == {"model": private, "dataset": private}
    assert "settings" not in {request.endpoint for request in hub.requests}


@pytest.mark.parametrize("private", [True, False])
def test_unless_it_is_said_who_shall_see_it(hub: HubServer, push, private: bool) -> None:
    hub.create(MODEL, private=not private)
    hub.create(DATA, "dataset", private=not private)
    result = json.loads(push("--json", "--private" if private else "--public").stdout)
    assert {kind: repo.private for (kind, _), repo in hub.repos.items()} == {"model": private, "dataset": private}
    assert {kind: push["private"] for kind, push in result.items()} == {"model": private, "dataset": private}


def test_a_failed_push_does_not_make_anything_public(hub: HubServer, push) -> None:
    hub.create(MODEL, private=True)
    hub.fail("lfs_upload", times=None, status=400)
    push("--public", to=("--repo-id", MODEL), code=1)
    assert hub.repos["model", MODEL].private


def test_what_is_to_be_private_is_so_before_anything_is_uploaded(hub: HubServer, push) -> None:
    hub.create(MODEL)
    hub.fail("lfs_upload", times=None, status=400)
    push("--private", to=("--repo-id", MODEL), code=1)
    assert hub.repos["model", MODEL].private
    assert not hub.repos["model", MODEL].lfs


def test_a_file_that_is_empty_or_larger_than_the_hub_takes(hub: HubServer, push, run_copy: Path, monkeypatch) -> None:
    picture, weights = run_copy / "figures" / "slices.png", run_copy / "model" / "model.safetensors"
    content, size = picture.read_bytes(), weights.stat().st_size
    picture.write_bytes(b"")
    assert "figures/slices.png has 0 bytes" in push(code=1).stderr
    picture.write_bytes(content)
    monkeypatch.setattr(publish, "MAX_FILE_SIZE", size - 1)
    assert f"model.safetensors has {size:,} bytes; the Hub takes up to {size - 1:,}" in push(code=1).stderr
    assert commits_of_ours(hub) == (0, 0)
    monkeypatch.setattr(publish, "MAX_FILE_SIZE", size)
    push()
    assert commits_of_ours(hub) == (1, 1)


def test_the_same_again_is_no_commit(hub: HubServer, push) -> None:
    push()
    heads = hub.head(MODEL), hub.head(DATA, "dataset")
    result = json.loads(push("--json").stdout)
    assert (hub.head(MODEL), hub.head(DATA, "dataset")) == heads
    assert {kind: (push["changed"], push["commit"]) for kind, push in result.items()} == {
        "model": (False, heads[0]),
        "dataset": (False, heads[1]),
    }
    assert "no changes" in push().stdout


@pytest.mark.parametrize("copied", ["before", "after"])
def test_nor_from_elsewhere(hub: HubServer, push, run_copy: Path, tmp_path: Path, monkeypatch, copied: str) -> None:
    other = tmp_path / "elsewhere" / "renamed"
    if copied == "before":
        shutil.copytree(run_copy, other)
    push()
    if copied == "after":
        shutil.copytree(run_copy, other)
    monkeypatch.chdir(other.parent)
    result = json.loads(push("--json", run=Path("renamed")).stdout)
    assert {kind: push["changed"] for kind, push in result.items()} == {"model": False, "dataset": False}
    assert commits_of_ours(hub) == (1, 1)


def test_nor_where_the_base_model_was_named_by_a_path_from_here(
    hub: HubServer, push, s140, encoder: Path, tmp_path: Path, monkeypatch
) -> None:
    shutil.copytree(encoder, "encoders/small")
    tiny = {"max_samples": 100, "validation_size": 20, "test_size": 20, "max_steps": 1}
    s140("train", "--output-dir", "mine", *flags(model_name_or_path="encoders/small", **tiny))
    push(run=Path("mine"), to=("--repo-id", MODEL))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    result = json.loads(push("--json", run=tmp_path / "mine", to=("--repo-id", MODEL)).stdout)
    assert not result["model"]["changed"]


def test_a_changed_file_is_one_commit_of_that_file(hub: HubServer, push, run_copy: Path) -> None:
    push()
    (run_copy / "figures" / "learning_curve.png").write_bytes(b"another picture")
    result = json.loads(push("--json").stdout)
    assert {kind: push["changed"] for kind, push in result.items()} == {"model": True, "dataset": False}
    assert commits_of_ours(hub) == (1, 2)
    assert changed_by_last(hub, MODEL) == {"figures/learning_curve.png"}
    assert hub.files(MODEL)["figures/learning_curve.png"] == b"another picture"


def test_what_an_earlier_push_left_goes_in_the_same_commit_and_what_others_put_there_stays(
    hub: HubServer, push
) -> None:
    hub.create(MODEL)
    hub.create(DATA, "dataset")
    stale = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json"]
    stale += ["tracking.json"]
    foreign = ["NOTES.md", "onnx/model.onnx", "pytorch_model.bin", "figures/photos/me.png", "tf_model.h5"]
    foreign += ["mine/vocab.txt", "old/figures/slices.png", "a/model-00001-of-00002.safetensors", "figures/mine.png"]
    for path in stale + foreign:
        hub.write(MODEL, path, path.encode())
    stale_data = ["default/train-00000-of-00002.parquet", "tokenized/train-00001-of-00002.parquet"]
    foreign_data = ["NOTES.md", "raw/tweets.parquet", "old/default/train.parquet", "default/notes.md"]
    for path in stale_data + foreign_data:
        hub.write(DATA, path, path.encode(), "dataset")
    push()
    assert hub.files(MODEL).keys() == MODEL_FILES | {*foreign}
    assert hub.files(DATA, "dataset").keys() == DATA_FILES | {*foreign_data}
    assert titles(hub, MODEL)[:2] == ["s140 push-to-hub: model", "Update figures/mine.png"]
    assert titles(hub, DATA, "dataset")[:2] == ["s140 push-to-hub: dataset", "Update default/notes.md"]


def test_a_figure_that_a_new_push_no_longer_has_is_removed(hub: HubServer, push, run_copy: Path) -> None:
    push()
    (run_copy / "figures" / "learning_curve.png").unlink()
    push()
    assert hub.files(MODEL).keys() == MODEL_FILES - {"figures/learning_curve.png"}
    assert changed_by_last(hub, MODEL) == {"figures/learning_curve.png", "README.md"}


def test_scores_for_a_dataset_that_is_no_longer_named_are_removed(hub: HubServer, push, run_copy: Path) -> None:
    """They would go on claiming what nobody measured."""
    push()
    data = json.loads((run_copy / "data.json").read_text("utf-8"))
    del data["published"]
    (run_copy / "data.json").write_text(json.dumps(data))
    push(to=("--repo-id", MODEL))
    assert ".eval_results/sentiment140.yaml" not in hub.files(MODEL)


def test_files_of_an_older_tokenizer_are_removed(hub: HubServer, push) -> None:
    hub.create(MODEL)
    for name in ("added_tokens.json", "special_tokens_map.json", "vocab.txt"):
        hub.write(MODEL, name, b"{}")
    push(to=("--repo-id", MODEL))
    assert not {"added_tokens.json", "special_tokens_map.json", "vocab.txt"} & hub.files(MODEL).keys()


def test_somebody_elses_commit_during_the_push_is_not_undone(hub: HubServer, push) -> None:
    hub.create(MODEL)
    hub.fail("commit", meanwhile=lambda: hub.write(MODEL, "README.md", b"# Written just now\n"))
    push(to=("--repo-id", MODEL))
    assert "# Written just now" in hub.files(MODEL)["README.md"].decode()


def test_a_card_edited_after_it_was_read_is_not_overwritten(hub: HubServer, push) -> None:
    hub.create(MODEL)
    hub.write(MODEL, "README.md", b"# Before\n")
    hub.fail("resolve_get", meanwhile=lambda: hub.write(MODEL, "README.md", b"# Just now\n"))
    push(to=("--repo-id", MODEL), code=None)
    assert "# Just now" in hub.files(MODEL)["README.md"].decode()


def test_only_the_first_of_several_processes_publishes(hub: HubServer, push, monkeypatch) -> None:
    for rank in ("1", "7"):
        monkeypatch.setenv("RANK", rank)
        assert push().stdout == ""
    assert hub.requests == []
    for rank in ("0", ""):
        hub.reset()
        monkeypatch.setenv("RANK", rank)
        push()
        assert commits_of_ours(hub) == (1, 1)


def test_the_library_gives_what_the_command_line_prints(hub: HubServer, run_copy: Path) -> None:
    import sentiment140_bert

    destination = sentiment140_bert.Destination(repo_id=MODEL, dataset_repo_id=DATA)
    result = sentiment140_bert.push_to_hub(run_copy, destination)
    assert result.to_dict() == {
        "dataset": {
            "kind": "dataset",
            "repo_id": DATA,
            "url": f"{hub.url}/datasets/{DATA}",
            "commit": hub.head(DATA, "dataset"),
            "changed": True,
            "private": True,
            "pr_url": None,
            "tag": None,
        },
        "model": {
            "kind": "model",
            "repo_id": MODEL,
            "url": f"{hub.url}/{MODEL}",
            "commit": hub.head(MODEL),
            "changed": True,
            "private": False,
            "pr_url": None,
            "tag": None,
        },
    }
