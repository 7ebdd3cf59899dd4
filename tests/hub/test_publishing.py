"""Check the result of a push on the Hub: files, commits, visibility."""

from __future__ import annotations

import json
import shlex
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import HfApi

from command_line import signalled
from hub_server import SOMEBODYS_TOKEN, Account, HubServer
from kept_trainings import start, training
from on_hub import DATA, MODEL, change_weights, changed_by_last, commits_of_ours, published, titles
from sentiment140_bert.publishing import publish
from tiny_run import flags

pytest_plugins = "hub_fixtures"

MODEL_FILES = {
    *(".eval_results/sentiment140.yaml", ".gitattributes", "README.md", "config.json", "data.json"),
    *("environment.json", "figures/calibration.png", "figures/confusion_matrix.png", "figures/learning_curve.png"),
    *("figures/risk_coverage.png", "figures/slices.png", "metrics.json", "model.safetensors", "recipe.yaml"),
    *("tokenizer.json", "tokenizer_config.json", "training_rows.safetensors"),
}
SHARDS = [f"{name}-00000-of-00001.parquet" for name in ("train", "validation", "test", "manual")]
DATA_FILES = {".gitattributes", "README.md", "data.json"} | {
    f"{config}/{shard}" for config in ("default", "tokenized") for shard in SHARDS
}
DATA_FILES.add("three_way/manual-00000-of-00001.parquet")


def test_each_is_one_commit_of_these_files_as_the_run_has_them(hub: HubServer, push, run_copy: Path) -> None:
    """Whatever else lies in the run or the model folder is neither published nor uploaded."""
    others = ["pytorch_model.bin", "training_args.bin", "optimizer.pt", "notes.txt", "rng_state.pth", "runs/log.json"]
    others += ["optimizer.safetensors", "adapter.safetensors"]
    for name in (*(f"model/{name}" for name in others), "checkpoints/checkpoint-6/trainer_state.json", "notes.md"):
        (run_copy / name).parent.mkdir(parents=True, exist_ok=True)
        (run_copy / name).write_text(f"planted as {name}")
    push()
    assert titles(hub, MODEL) == ["s140 push-to-hub: model", "initial commit"]
    assert titles(hub, DATA, "dataset") == ["s140 push-to-hub: dataset", "initial commit"]
    files = hub.files(MODEL)
    assert (files.keys(), hub.files(DATA, "dataset").keys()) == (MODEL_FILES, DATA_FILES)
    assert not [content for content in hub.repos["model", MODEL].lfs.values() if b"planted" in content]
    for name in ("model.safetensors", "config.json", "tokenizer.json", "README.md", "metrics.json", "data.json"):
        assert (run_copy / "model" / name).read_bytes() == files[name], name
    assert json.loads(files["metrics.json"]) == json.loads((run_copy / "metrics.json").read_text("utf-8"))


@pytest.mark.parametrize(
    ("before", "flag", "after"),
    [
        *((None, "", (False, True)), (None, "--private", (True, True)), (None, "--public", (False, False))),
        *((before, "", (before,) * 2) for before in (True, False)),
        *((before, "--public" if before else "--private", (not before,) * 2) for before in (True, False)),
    ],
)
def test_who_sees_model_and_dataset(hub: HubServer, push, before: bool | None, flag: str, after) -> None:
    """A new model is public, a new dataset private, and what exists stays as it is, unless a flag changes it."""
    if before is not None:
        hub.create(MODEL, private=before)
        hub.create(DATA, "dataset", private=before)
    result = json.loads(push(*([flag] if flag else []), "--json").stdout)
    assert (hub.repos["model", MODEL].private, hub.repos["dataset", DATA].private) == after
    assert (result["model"]["private"], result["dataset"]["private"]) == after
    assert flag or "settings" not in {request.endpoint for request in hub.requests}


def test_the_command_that_an_interruption_names_also_publishes(
    hub: HubServer, encoder: Path, tmp_path: Path, s140
) -> None:
    words = training(encoder, tmp_path / "a run", "--push-to-hub", "--repo-id", MODEL, "--private", repo=None)
    with start(words, cwd=tmp_path, pause_at="step 2/") as command:
        _, stderr = signalled(command, signal.SIGINT)
    s140(*shlex.split(stderr.partition("Resume it with: s140 ")[2]))
    assert hub.repos["model", MODEL].private
    assert titles(hub, MODEL) == ["s140 push-to-hub: model", "initial commit"]


@pytest.mark.parametrize("flag", ["--public", "--private"])
def test_a_failed_push_leaves_nothing_public(hub: HubServer, push, flag: str) -> None:
    hub.create(MODEL, private=flag == "--public")
    hub.fail("lfs_upload", times=None, status=400)
    push(flag, to=("--repo-id", MODEL), code=1)
    assert hub.repos["model", MODEL].private
    assert not hub.repos["model", MODEL].lfs


@pytest.mark.parametrize("endpoint", ["commit", "resolve_get"])
def test_a_card_edited_during_the_push_is_not_overwritten(hub: HubServer, push, endpoint: str) -> None:
    hub.create(MODEL)
    if endpoint == "resolve_get":  # of a card that is there
        hub.write(MODEL, "README.md", b"# Before\n")
    hub.fail(endpoint, meanwhile=lambda: hub.write(MODEL, "README.md", b"# Just now\n"))
    push(to=("--repo-id", MODEL), code=0 if endpoint == "commit" else None)
    assert "# Just now" in hub.files(MODEL)["README.md"].decode()


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


@pytest.mark.parametrize("copied", ["never", "before", "after"])
def test_the_same_again_is_no_commit_from_anywhere(
    hub: HubServer, push, run_copy: Path, tmp_path: Path, monkeypatch, copied: str
) -> None:
    other = run_copy if copied == "never" else tmp_path / "elsewhere" / "renamed"
    if copied == "before":
        shutil.copytree(run_copy, other)
    push()
    heads = {"model": hub.head(MODEL), "dataset": hub.head(DATA, "dataset")}
    if copied == "after":
        shutil.copytree(run_copy, other)
    monkeypatch.chdir(other.parent)
    results = json.loads(push("--json", run=Path(other.name)).stdout)
    pushes = {kind: (result["changed"], result["commit"]) for kind, result in results.items()}
    assert pushes == {kind: (False, head) for kind, head in heads.items()}
    assert commits_of_ours(hub) == (1, 1)
    assert "no changes" in push(run=Path(other.name)).stdout


def test_a_base_model_named_by_a_path_changes_nothing_elsewhere(
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


def test_a_changed_or_removed_file_is_one_commit_of_it(hub: HubServer, push, run_copy: Path) -> None:
    push()
    picture = "figures/learning_curve.png"
    (run_copy / picture).write_bytes(b"another picture")
    for name in ("figures/passport.png", "model/model_private.safetensors", "model/notes.txt"):
        (run_copy / name).write_bytes(b"not of the run")
    results = json.loads(push("--json").stdout)
    assert {kind: result["changed"] for kind, result in results.items()} == {"model": True, "dataset": False}
    assert commits_of_ours(hub) == (1, 2)
    assert changed_by_last(hub, MODEL) == {picture}
    assert hub.files(MODEL)[picture] == b"another picture"
    (run_copy / picture).unlink()
    push()
    assert hub.files(MODEL).keys() == MODEL_FILES - {picture}
    assert changed_by_last(hub, MODEL) == {picture, "README.md"}


def test_a_push_removes_what_an_earlier_one_left_and_nothing_of_others(hub: HubServer, push, run_copy: Path) -> None:
    push()
    stale = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json"]
    stale += ["tracking.json", "added_tokens.json", "special_tokens_map.json", "vocab.txt"]
    foreign = ["NOTES.md", "onnx/model.onnx", "pytorch_model.bin", "figures/photos/me.png", "tf_model.h5"]
    foreign += ["mine/vocab.txt", "old/figures/slices.png", "a/model-00001-of-00002.safetensors", "figures/mine.png"]
    stale_data = ["default/train-00000-of-00002.parquet", "tokenized/train-00001-of-00002.parquet"]
    foreign_data = ["NOTES.md", "raw/tweets.parquet", "old/default/train.parquet", "default/notes.md"]
    for path in stale + foreign:
        hub.write(MODEL, path, path.encode())
    for path in stale_data + foreign_data:
        hub.write(DATA, path, path.encode(), "dataset")
    for repo_id, kind in ((MODEL, "model"), (DATA, "dataset")):  # as if the push before had left them
        head = hub.commits(repo_id, kind)[0]
        description = "Published by s140 push-to-hub, run 0123456789ab."
        last = replace(
            head, title=f"s140 push-to-hub: {kind}", author="tester", parent=head.oid, description=description
        )
        hub.repos[kind, repo_id].add("refs/heads/main", last)
    push("--citation", "@misc{x}")
    assert hub.files(MODEL).keys() == MODEL_FILES | {*foreign}
    assert hub.files(DATA, "dataset").keys() == DATA_FILES | {*foreign_data}
    assert titles(hub, MODEL)[:3] == [*["s140 push-to-hub: model"] * 2, "Update figures/mine.png"]
    assert titles(hub, DATA, "dataset")[:3] == [*["s140 push-to-hub: dataset"] * 2, "Update default/notes.md"]
    data = json.loads((run_copy / "data.json").read_text("utf-8"))
    del data["published"]
    (run_copy / "data.json").write_text(json.dumps(data))
    push(to=("--repo-id", MODEL))  # scores for a dataset that is no longer named would claim what nobody measured
    assert ".eval_results/sentiment140.yaml" not in hub.files(MODEL)


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
    usual = {"changed": True, "pr_url": None, "tag": None}
    data = {"kind": "dataset", "repo_id": DATA, "url": f"{hub.url}/datasets/{DATA}", "private": True}
    model = {"kind": "model", "repo_id": MODEL, "url": f"{hub.url}/{MODEL}", "private": False}
    assert result.to_dict() == {
        "dataset": usual | data | {"commit": hub.head(DATA, "dataset")},
        "model": usual | model | {"commit": hub.head(MODEL)},
    }


@pytest.mark.parametrize(
    ("kind", "name"), [("model", "model.safetensors"), ("model", "vocab.txt"), ("dataset", "data.json")]
)
def test_files_of_another_tool_are_neither_replaced_nor_removed(hub: HubServer, push, kind: str, name: str) -> None:
    repo_id = {"model": MODEL, "dataset": DATA}[kind]
    hub.create(repo_id, kind)
    hub.write(repo_id, "README.md", b"# Mine\n", kind)
    hub.write(repo_id, name, b"three years of work", kind)
    before = hub.head(repo_id, kind)
    assert f"holds files that `s140 push-to-hub` did not write: {name}." in " ".join(push(code=1).stderr.split())
    assert hub.head(repo_id, kind) == before
    assert published(hub) == [repo_id]


def test_what_others_changed_since_the_last_push_is_neither_replaced_nor_removed(
    hub: HubServer, push, pushed: Path
) -> None:
    changes = {MODEL: ["model.safetensors", "vocab.txt"], DATA: ["three_way/test-00000-of-00001.parquet"]}
    for repo_id, names in changes.items():
        kind = "dataset" if repo_id == DATA else "model"
        for name in names:
            hub.write(repo_id, name, b"better ones of a colleague", kind)
        before = hub.head(repo_id, kind)
        to = (f"--{'dataset-' if kind == 'dataset' else ''}repo-id", repo_id)
        refused = push("--citation", "@misc{x}", to=to, code=1)
        assert f"did not write: {', '.join(names)}." in " ".join(refused.stderr.split())
        assert hub.head(repo_id, kind) == before


@pytest.mark.parametrize(
    "between",
    [("--create-pr",), ("--revision", "dev"), ("--repo-id", "tester/second"), ("--revision", "main"), None],
)
def test_a_push_to_another_place_makes_nothing_of_others_ours(
    hub: HubServer, push, run_copy: Path, between: tuple[str, ...] | None
) -> None:
    to = ("--repo-id", MODEL)
    push(to=to)
    if between is None:
        (run_copy / "published.json").unlink()  # as if another run of this user had been pushed
    else:
        push(*between, "--citation", "@misc{x}", to=() if "--repo-id" in between else to)
    push("--citation", "@misc{y}", to=to)  # nobody changed anything
    for name in ("model.safetensors", "vocab.txt"):
        hub.write(MODEL, name, b"of a colleague")
    refused = push("--citation", "@misc{z}", to=to, code=1)
    assert "did not write: model.safetensors, vocab.txt." in " ".join(refused.stderr.split())


@pytest.mark.parametrize("title", [(), ("--commit-message", "A new winter")])
def test_another_run_replaces_the_model_of_this_user_alone(
    hub: HubServer, push, run_copy: Path, monkeypatch: pytest.MonkeyPatch, title: tuple[str, ...]
) -> None:
    to = ("--repo-id", "testers/model", *title)
    push(to=to)
    weights = change_weights(run_copy)
    push(to=to)
    assert hub.files("testers/model")["model.safetensors"] == weights
    change_weights(run_copy)
    hub.accounts[SOMEBODYS_TOKEN] = Account("somebody", orgs=("testers",))
    monkeypatch.setenv("HF_TOKEN", SOMEBODYS_TOKEN)
    assert "did not write: metrics.json, model.safetensors." in " ".join(push(to=to, code=1).stderr.split())
    push("--create-pr", to=to)
    assert hub.files("testers/model")["model.safetensors"] == weights


@pytest.mark.parametrize(
    ("kind", "front"),
    [
        ("dataset", "configs:\n- config_name: mine\n  data_files: data/train.csv\n"),
        ("dataset", "language: de\n"),
        ("model", "base_model: somebody/other\n"),
        ("model", "library_name: keras\n"),
    ],
)
def test_a_card_of_other_work_is_not_replaced(hub: HubServer, push, kind: str, front: str) -> None:
    """Although no other file has the name of one of ours, its claims would be lost, or be made of other work."""
    repo_id = {"model": MODEL, "dataset": DATA}[kind]
    hub.create(repo_id, kind)
    hub.write(repo_id, "data/train.csv", b"mine", kind)
    hub.write(repo_id, "README.md", f"---\nlicense: mit\ntags: [mine]\n{front}---\n# Mine\n".encode(), kind)
    assert "did not write: README.md." in " ".join(push(code=1).stderr.split())
    assert published(hub) == [repo_id]


def test_a_card_that_no_run_may_have_is_refused_before_the_commit(hub: HubServer, push, run_copy: Path) -> None:
    hub.create(MODEL)
    hub.write(MODEL, "README.md", b"# Mine\n\n" + b"x" * 1_000_000)
    before = hub.head(MODEL)
    assert "at most 1,000,000 are read" in push(to=("--repo-id", MODEL), code=1).stderr
    assert hub.head(MODEL) == before


def test_a_strangers_run_does_not_say_what_was_pushed(hub: HubServer, push, run_copy: Path) -> None:
    """Let it name the head of the user's own repository, and its card, as its last push."""
    hub.create(MODEL)
    for name, content in (("model.safetensors", b"mine"), ("vocab.txt", b"mine"), ("README.md", b"# Mine\n")):
        head = hub.write(MODEL, name, content)
    place = {"repo_id": MODEL, "url": "", "commit": head, "revision": None}
    forged = {"model": place | {"card": "# Mine\n", "commits": {f"{MODEL}@main": {"commit": head}}}}
    (run_copy / "published.json").write_text(json.dumps(forged))
    refused = " ".join(push(to=("--repo-id", MODEL), code=1).stderr.split())
    assert "did not write: model.safetensors, vocab.txt." in refused
    assert hub.head(MODEL) == head


def test_a_squashed_history_does_not_tell_what_is_the_runs_own(hub: HubServer, push, run_copy: Path) -> None:
    to = ("--repo-id", MODEL)
    push(to=to)
    HfApi(hub.url).super_squash_history(MODEL)
    push(to=to)  # nothing would be replaced
    weights = hub.files(MODEL)["model.safetensors"]
    change_weights(run_copy)
    refused = " ".join(push(to=to, code=1).stderr.split())
    assert "did not write: metrics.json, model.safetensors." in refused
    assert "or propose the change: --create-pr" in refused
    push("--create-pr", to=to)
    assert hub.files(MODEL)["model.safetensors"] == weights


def test_files_next_to_those_of_an_earlier_push_stay(hub: HubServer, pushed: Path, push) -> None:
    names = {"dataset": ["default/my-own.parquet", "tokenized/other.parquet"], "model": ["onnx/mine.onnx", "notes.md"]}
    for kind, repo_id in (("dataset", DATA), ("model", MODEL)):
        for name in names[kind]:
            hub.write(repo_id, name, b"of a person", kind)
    change_description = ("--citation", "@misc{x}")
    push(*change_description)
    for kind, repo_id in (("dataset", DATA), ("model", MODEL)):
        files = hub.files(repo_id, kind)
        assert all(files[name] == b"of a person" for name in names[kind])


def test_neither_a_pull_request_nor_a_quoted_section_makes_a_repository_ours(hub: HubServer, push) -> None:
    hub.create(MODEL)
    hub.write(MODEL, "README.md", b"# Mine\n\n<!-- begin s140: summary -->\nquoted\n<!-- end s140: summary -->\n")
    hub.write(MODEL, "model.safetensors", b"three years of work")
    before = hub.head(MODEL)
    push("--create-pr", to=("--repo-id", MODEL))
    assert "did not write: model.safetensors" in " ".join(push(to=("--repo-id", MODEL), code=1).stderr.split())
    assert hub.head(MODEL) == before


def test_what_others_commit_while_a_push_is_on_its_way_is_not_replaced(hub: HubServer, push) -> None:
    def commit_first() -> None:
        hub.write(MODEL, "model.safetensors", b"of a colleague")

    hub.fail("commit", meanwhile=commit_first)
    assert "did not write: model.safetensors" in " ".join(push(to=("--repo-id", MODEL), code=1).stderr.split())
    assert hub.files(MODEL)["model.safetensors"] == b"of a colleague"
