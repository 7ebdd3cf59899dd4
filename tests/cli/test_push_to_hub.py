"""``s140 push-to-hub`` and ``s140 train --push-to-hub``: dry runs, output, and errors before anything is published."""

from __future__ import annotations

import json
import os
import re
import shutil
from importlib.resources import files
from pathlib import Path

import pytest
import yaml

from hub_server import SOMEBODYS_TOKEN, TOKEN, Account, HubServer
from on_hub import BOTH, DATA, MODEL, commits_of_ours, hashes, published
from sentiment140_bert.run import RunDir

pytest_plugins = "hub_fixtures"


def assert_error(result, words: str) -> None:
    """Check for an error with these words, no traceback, and nothing on stdout."""
    assert result.exit_code != 0
    assert words in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
    assert TOKEN not in result.output


def change_data(run: Path, **data: object) -> None:
    """Change the data section of a run's recipe."""
    recipe = yaml.safe_load((run / "recipe.yaml").read_text("utf-8"))
    recipe["data"] |= data
    (run / "recipe.yaml").write_text(yaml.safe_dump(recipe), "utf-8")


def parse_list(stdout: str) -> dict[str, dict[str, int]]:
    """Return files and sizes by repository from the output for people."""
    repositories: dict[str, dict[str, int]] = {}
    for line in stdout.splitlines():
        if head := re.match(r"(?:model|dataset) (\S+): [\d,]+ files, [\d,]+ bytes$", line):
            current = repositories.setdefault(head[1], {})
        elif entry := re.match(r"  (\S+) +([\d,]+)$", line):
            current[entry[1]] = int(entry[2].replace(",", ""))
    return repositories


def sizes(hub: HubServer, repo_id: str, kind: str = "model") -> dict[str, int]:
    return {name: len(content) for name, content in hub.files(repo_id, kind).items() if name != ".gitattributes"}


def test_a_dry_run_uses_no_network_and_writes_nothing(hub_down: HubServer, push, run_copy: Path, monkeypatch) -> None:
    before = hashes(run_copy)
    monkeypatch.delenv("HF_TOKEN")
    assert parse_list(push("--dry-run").stdout).keys() == {MODEL, DATA}
    assert hub_down.requests == []
    assert hashes(run_copy) == before


def test_a_dry_run_lists_what_is_then_uploaded(hub: HubServer, push) -> None:
    for_people, for_programs = push("--dry-run").stdout, json.loads(push("--dry-run", "--json").stdout)
    push()
    uploaded = {MODEL: sizes(hub, MODEL), DATA: sizes(hub, DATA, "dataset")}
    assert {program["repo_id"]: program["files"] for program in for_programs.values()} == uploaded
    assert parse_list(for_people) == uploaded
    assert f"model {MODEL}: {len(uploaded[MODEL])} files, {sum(uploaded[MODEL].values()):,} bytes" in for_people
    assert "nothing was published" in for_people
    again = json.loads(push("--dry-run", "--json").stdout)
    assert {target["repo_id"]: target["files"] for target in again.values()} == uploaded


def test_a_dry_run_of_what_was_trained_on_a_published_dataset_asks_nothing_either(
    hub: HubServer, push, s140, run_copy: Path, encoder: Path, tmp_path: Path
) -> None:
    push("--dataset-only")
    words = ["--recipe", "quickstart", "--dataset", DATA, "--model-name-or-path", encoder, "--max-steps", 1]
    s140("train", "--output-dir", "second", *words)
    hub.requests.clear()
    result = push("--dry-run", run=Path("second"), to=("--repo-id", MODEL, "--dataset-repo-id", "tester/other"))
    assert hub.requests == []
    assert parse_list(result.stdout).keys() == {MODEL, "tester/other"}


def test_a_dry_run_raises_the_errors_of_a_push(hub: HubServer, push, run_copy: Path) -> None:
    push("--dry-run", to=("--repo-id", "model"), code=1)
    (run_copy / "notes.txt").write_text("hf_" + "Ab1" * 12)
    assert_error(push("--dry-run", code=1), "notes.txt")
    (run_copy / "metrics.json").unlink()
    assert_error(push("--dry-run", code=1), "not finished")
    assert hub.requests == []


def test_json_is_one_object_on_stdout(hub: HubServer, push) -> None:
    result = push("--json")
    assert result.stdout.count("\n") == 1
    assert json.loads(result.stdout)["model"]["commit"] == hub.head(MODEL)
    assert json.loads(result.stdout)["dataset"]["url"] == f"{hub.url}/datasets/{DATA}"


def test_prints_the_address_and_how_to_use_it(hub: HubServer, push) -> None:
    stdout = push().stdout
    for part in (f"{hub.url}/{MODEL}", f"{hub.url}/datasets/{DATA}", hub.head(MODEL)[:12], "public", "private"):
        assert part in stdout
    assert f'pipeline("text-classification", model="{MODEL}", truncation=True)' in stdout
    assert f"s140 verify {MODEL}" in stdout


WRONG_NAMES = [
    *("model", "a/b/c", "user/na me", "--x", "user/", "/model", "user/model.git", "user/-model", "../model", ""),
    *("https://huggingface.co/user/model", "user/" + "m" * 97),
]


def test_a_wrong_name_is_reported_before_any_request(hub: HubServer, push, run_copy: Path) -> None:
    before = hashes(run_copy)
    for flag, other in (("--repo-id", ("--dataset-repo-id", DATA)), ("--dataset-repo-id", ("--repo-id", MODEL))):
        for name in WRONG_NAMES:
            assert_error(push(to=(*other, f"{flag}={name}"), code=None), name)
    assert hub.requests == []
    assert hashes(run_copy) == before


def test_nowhere_to_publish(hub: HubServer, push) -> None:
    assert_error(push(to=(), code=1), "--repo-id")
    assert_error(push("--model-only", to=("--dataset-repo-id", DATA), code=1), "--repo-id")
    assert_error(push("--dataset-only", to=("--repo-id", MODEL), code=1), "--dataset-repo-id")
    assert_error(push("--dataset-only", "--model-only", code=1), "exclude each other")
    assert hub.requests == []


def test_a_name_of_another_user(hub: HubServer, push) -> None:
    for kind in ("model", "dataset"):
        for state in ("missing", "public", "private"):
            hub.reset()
            if state != "missing":
                hub.create("somebody/thing", kind, private=state == "private")
            to = {"model": MODEL, "dataset": DATA} | {kind: "somebody/thing"}
            result = push(to=("--repo-id", to["model"], "--dataset-repo-id", to["dataset"]), code=1)
            assert_error(result, f"{kind} somebody/thing")
            assert "permission denied" in result.stderr
            assert published(hub) == []


def test_tokens_without_the_right_to_write(hub: HubServer, push, monkeypatch) -> None:
    """Try no token, an unknown one, one that can only read, and one of another user."""
    with monkeypatch.context() as context:
        context.delenv("HF_TOKEN")
        assert_error(push(code=1), "hf auth login")
        assert hub.requests == []
        context.setenv("HF_TOKEN", "hf_" + "Unknown" * 5)
        result = push(code=1)
        assert_error(result, "login")
        assert "Unknown" not in result.output
    account = hub.accounts[TOKEN]
    hub.accounts[TOKEN] = Account("tester", role="read")
    assert_error(push(code=1), "can only read")
    assert not hub.repos
    hub.accounts[TOKEN] = account
    hub.create(MODEL)
    monkeypatch.setenv("HF_TOKEN", SOMEBODYS_TOKEN)
    assert_error(push(to=("--repo-id", MODEL), code=1), f"model {MODEL}")
    assert published(hub) == []


def test_the_hub_out_of_reach(hub_down: HubServer, push, impatient: list[float]) -> None:
    result = push(code=1)
    assert_error(result, hub_down.url)
    assert "cannot be reached" in result.stderr
    assert len(impatient) >= 3


def test_offline_mode_is_reported_at_once(hub: HubServer, push, monkeypatch, impatient: list[float]) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert_error(push(code=1), "ffline")
    assert impatient == []
    assert hub.requests == []


def test_runs_that_cannot_be_published(hub: HubServer, push, run_copy: Path) -> None:
    Path("empty").mkdir()
    Path("file").write_text("x")
    for run in (Path("empty"), Path("missing"), Path("file"), run_copy / "model"):
        assert_error(push(run=run, code=1), "no run")
    metrics = (run_copy / "metrics.json").read_text("utf-8")
    (run_copy / "metrics.json").write_text(json.dumps(json.loads(metrics) | {"weights_sha256": "0" * 64}))
    assert_error(push(code=1), "s140 evaluate")
    (run_copy / "metrics.json").unlink()
    assert_error(push(code=1), "not finished")
    (run_copy / "metrics.json").write_text(metrics)
    shutil.rmtree(run_copy / "model")
    assert_error(push(code=1), "not finished")
    assert hub.requests == []


def test_without_its_tweets_the_model_alone_is_published(hub: HubServer, push, run_copy: Path, cache: Path) -> None:
    """Change the file's tweets, or remove it."""
    sample = Path(str(files("sentiment140_bert.data"))) / "sample"
    lines = (sample / "tweets.csv").read_bytes().splitlines(keepends=True)
    Path("tweets.csv").write_bytes(b"".join(lines[:-200]))
    change_data(run_copy, dataset=os.fspath(Path("tweets.csv").resolve()), manual_test=os.fspath(sample / "manual.csv"))
    assert_error(push(code=1), "was not trained here")
    RunDir(run_copy).remember()  # as its own training does
    assert_error(push(code=1), "fingerprint")
    change_data(run_copy, dataset="gone.csv")
    assert_error(push(code=1), "gone.csv")
    assert hub.requests == []
    push(to=("--repo-id", MODEL))
    assert published(hub) == [MODEL]


@pytest.fixture
def tiny(encoder: Path) -> list[str]:
    changes = {"model-name-or-path": encoder, "max-samples": 100, "validation-size": 20, "test-size": 20}
    words = [word for name, value in changes.items() for word in (f"--{name}", str(value))]
    return ["--recipe", "quickstart", "--output-dir", "new", *words, "--max-steps", "1"]


def test_train_publishes_on_request_what_push_to_hub_would(hub: HubServer, s140, push, tiny) -> None:
    result = json.loads(s140("train", *tiny, "--push-to-hub", *BOTH, "--json").stdout)
    assert commits_of_ours(hub) == (1, 1)
    assert result["published"]["model"]["commit"] == hub.head(MODEL)
    assert hub.repos["dataset", DATA].private
    again = json.loads(push("--json", run=Path("new")).stdout)
    assert [item["changed"] for item in again.values()] == [False, False]


def test_train_writes_nothing_on_the_hub_by_itself(hub: HubServer, s140, tiny: list[str]) -> None:
    s140("train", *tiny)
    assert not [request for request in hub.requests if request.method not in ("GET", "HEAD")]
    assert not hub.repos


@pytest.mark.parametrize("what", ["login", "name", "right", "nowhere"])
def test_train_checks_the_destination_first(hub: HubServer, s140, tiny: list[str], monkeypatch, what: str) -> None:
    to = {"name": ["--repo-id", "model"], "right": ["--repo-id", "somebody/model"], "nowhere": []}
    if what == "login":
        monkeypatch.delenv("HF_TOKEN")
    result = s140("train", *tiny, "--push-to-hub", *to.get(what, BOTH), code=1)
    assert_error(result, {"login": "hf auth login", "right": "somebody/model"}.get(what, "user/"))
    assert not Path("new").exists()
    assert published(hub) == []


def test_a_finished_run_outlives_a_failed_publication(hub: HubServer, s140, push, tiny, impatient) -> None:
    hub.fail("commit", times=None, status=503)
    result = s140("train", *tiny, "--push-to-hub", *BOTH, code=1)
    assert "s140 push-to-hub new" in result.stderr
    hub.mend()
    push(run=Path("new"))
    assert commits_of_ours(hub) == (1, 1)


def test_a_destination_without_push_to_hub_is_a_mistake(hub: HubServer, s140, tiny: list[str]) -> None:
    assert_error(s140("train", *tiny, *BOTH, code=1), "--push-to-hub")
    assert not Path("new").exists()
