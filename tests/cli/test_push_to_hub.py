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

pytest_plugins = "hub_fixtures"


def refused(result, said: str) -> None:
    """One sentence of the error, perhaps one on what to do, and nothing on stdout."""
    assert result.exit_code != 0
    assert said in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
    assert TOKEN not in result.output


def reseed(run: Path, **data: object) -> None:
    """Changes the data section of a run's recipe."""
    recipe = yaml.safe_load((run / "recipe.yaml").read_text("utf-8"))
    recipe["data"] |= data
    (run / "recipe.yaml").write_text(yaml.safe_dump(recipe), "utf-8")


# --dry-run


def listed(stdout: str) -> dict[str, dict[str, int]]:
    """Files and sizes by repository, out of what is printed for people."""
    found: dict[str, dict[str, int]] = {}
    for line in stdout.splitlines():
        if head := re.match(r"(?:model|dataset) (\S+): [\d,]+ files, [\d,]+ bytes$", line):
            current = found.setdefault(head[1], {})
        elif entry := re.match(r"  (\S+) +([\d,]+)$", line):
            current[entry[1]] = int(entry[2].replace(",", ""))
    return found


def sizes(hub: HubServer, repo_id: str, kind: str = "model") -> dict[str, int]:
    return {name: len(content) for name, content in hub.files(repo_id, kind).items() if name != ".gitattributes"}


def test_a_dry_run_asks_nothing_and_writes_nothing(hub: HubServer, push, mine: Path) -> None:
    before = hashes(mine)
    push("--dry-run")
    assert hub.requests == []
    assert hashes(mine) == before


def test_a_dry_run_needs_neither_hub_nor_login(hub_down: HubServer, push, mine: Path, monkeypatch) -> None:
    monkeypatch.delenv("HF_TOKEN")
    result = push("--dry-run")
    assert listed(result.stdout).keys() == {MODEL, DATA}


def test_a_dry_run_lists_what_is_then_uploaded(hub: HubServer, push) -> None:
    for_people, for_programs = push("--dry-run").stdout, json.loads(push("--dry-run", "--json").stdout)
    push()
    uploaded = {MODEL: sizes(hub, MODEL), DATA: sizes(hub, DATA, "dataset")}
    assert {program["repo_id"]: program["files"] for program in for_programs.values()} == uploaded
    assert listed(for_people) == uploaded
    assert f"model {MODEL}: {len(uploaded[MODEL])} files, {sum(uploaded[MODEL].values()):,} bytes" in for_people
    assert "nothing was published" in for_people


def test_a_dry_run_after_a_push_lists_the_same(hub: HubServer, push, mine: Path) -> None:
    push()
    again = json.loads(push("--dry-run", "--json").stdout)
    assert {item["repo_id"]: item["files"] for item in again.values()} == {
        MODEL: sizes(hub, MODEL),
        DATA: sizes(hub, DATA, "dataset"),
    }


def test_a_dry_run_of_what_was_trained_on_a_published_dataset_asks_nothing_either(
    hub: HubServer, push, s140, mine: Path, encoder: Path, tmp_path: Path
) -> None:
    push("--dataset-only")
    words = ["--recipe", "quickstart", "--dataset", DATA, "--model-name-or-path", encoder, "--max-steps", 1]
    s140("train", "--output-dir", "second", *words)
    hub.requests.clear()
    found = push("--dry-run", run=Path("second"), to=("--repo-id", MODEL, "--dataset-repo-id", "tester/other"))
    assert hub.requests == []
    assert listed(found.stdout).keys() == {MODEL, "tester/other"}


def test_a_dry_run_finds_secrets_too(hub: HubServer, push, mine: Path) -> None:
    (mine / "notes.txt").write_text("hf_" + "Ab1" * 12)
    refused(push("--dry-run", code=1), "notes.txt")


@pytest.mark.parametrize("what", ["name", "unfinished"])
def test_a_dry_run_refuses_what_a_push_would(hub: HubServer, push, mine: Path, what: str) -> None:
    if what == "name":
        push("--dry-run", to=("--repo-id", "model"), code=1)
    else:
        (mine / "metrics.json").unlink()
        push("--dry-run", code=1)


# what is printed


def test_json_is_one_object_on_stdout(hub: HubServer, push) -> None:
    result = push("--json")
    assert result.stdout.count("\n") == 1
    assert json.loads(result.stdout)["model"]["commit"] == hub.head(MODEL)
    assert json.loads(result.stdout)["dataset"]["url"] == f"{hub.url}/datasets/{DATA}"


def test_people_are_told_where_it_is_and_what_to_do_with_it(hub: HubServer, push) -> None:
    said = push().stdout
    for part in (f"{hub.url}/{MODEL}", f"{hub.url}/datasets/{DATA}", hub.head(MODEL)[:12], "public", "private"):
        assert part in said
    assert f'pipeline("text-classification", model="{MODEL}", truncation=True)' in said
    assert f"s140 verify {MODEL}" in said


# mistakes


WRONG_NAMES = [
    *("model", "a/b/c", "user/na me", "--x", "user/", "/model", "user/model.git", "user/-model", "../model", ""),
    *("https://huggingface.co/user/model", "user/" + "m" * 97),
]


def test_a_wrong_name_is_told_before_anything_is_asked(hub: HubServer, push, mine: Path) -> None:
    before = hashes(mine)
    for flag, other in (("--repo-id", ("--dataset-repo-id", DATA)), ("--dataset-repo-id", ("--repo-id", MODEL))):
        for name in WRONG_NAMES:
            refused(push(to=(*other, f"{flag}={name}"), code=None), name)
    assert hub.requests == []
    assert hashes(mine) == before


def test_nowhere_to_publish(hub: HubServer, push) -> None:
    refused(push(to=(), code=1), "--repo-id")
    refused(push("--model-only", to=("--dataset-repo-id", DATA), code=1), "--repo-id")
    refused(push("--dataset-only", to=("--repo-id", MODEL), code=1), "--dataset-repo-id")
    refused(push("--dataset-only", "--model-only", code=1), "exclude each other")
    assert hub.requests == []


def test_no_login(hub: HubServer, push, monkeypatch) -> None:
    monkeypatch.delenv("HF_TOKEN")
    refused(push(code=1), "hf auth login")
    assert hub.requests == []


def test_a_login_that_the_hub_does_not_know(hub: HubServer, push, monkeypatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_" + "Unknown" * 5)
    result = push(code=1)
    refused(result, "login")
    assert "Unknown" not in result.output
    assert not hub.repos


def test_a_token_that_may_only_read(hub: HubServer, push) -> None:
    hub.accounts[TOKEN] = Account("tester", role="read")
    refused(push(code=1), "may only read")
    assert not hub.repos


def test_a_name_that_is_somebody_elses(hub: HubServer, push) -> None:
    for kind in ("model", "dataset"):
        for theirs in ("missing", "public", "private"):
            hub.reset()
            if theirs != "missing":
                hub.create("somebody/thing", kind, private=theirs == "private")
            to = {"model": MODEL, "dataset": DATA} | {kind: "somebody/thing"}
            result = push(to=("--repo-id", to["model"], "--dataset-repo-id", to["dataset"]), code=1)
            refused(result, f"{kind} somebody/thing")
            assert "may not" in result.stderr or "no right" in result.stderr
            assert published(hub) == []


def test_a_login_of_somebody_else(hub: HubServer, push, monkeypatch) -> None:
    hub.create(MODEL)
    monkeypatch.setenv("HF_TOKEN", SOMEBODYS_TOKEN)
    refused(push(to=("--repo-id", MODEL), code=1), f"model {MODEL}")
    assert published(hub) == []


def test_the_hub_out_of_reach(hub_down: HubServer, push, impatient: list[float]) -> None:
    result = push(code=1)
    refused(result, hub_down.url)
    assert "cannot be reached" in result.stderr
    assert len(impatient) >= 3


def test_offline_is_said_at_once(hub: HubServer, push, monkeypatch, impatient: list[float]) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    refused(push(code=1), "ffline")
    assert impatient == []
    assert hub.requests == []


def test_an_unfinished_run(hub: HubServer, push, mine: Path) -> None:
    (mine / "metrics.json").unlink()
    refused(push(code=1), "not finished")
    assert hub.requests == []


def test_a_run_without_a_model(hub: HubServer, push, mine: Path) -> None:
    shutil.rmtree(mine / "model")
    refused(push(code=1), "not finished")
    assert hub.requests == []


def test_what_is_no_run(hub: HubServer, push, mine: Path) -> None:
    Path("empty").mkdir()
    Path("file").write_text("x")
    for run in (Path("empty"), Path("missing"), Path("file"), mine / "model"):
        refused(push(run=run, code=1), "no run")
    assert hub.requests == []


def test_scores_of_other_weights(hub: HubServer, push, mine: Path) -> None:
    metrics = json.loads((mine / "metrics.json").read_text("utf-8"))
    (mine / "metrics.json").write_text(json.dumps(metrics | {"weights_sha256": "0" * 64}))
    refused(push(code=1), "s140 evaluate")
    assert hub.requests == []


def test_a_damaged_file(hub: HubServer, push, mine: Path) -> None:
    names = ["metrics.json", "data.json", "environment.json", "recipe.yaml", "tracking.json", "published.json"]
    for name in names:
        before = (mine / name).read_bytes() if (mine / name).exists() else None
        (mine / name).write_text('{"a": [')
        refused(push(code=1), name)
        (mine / name).unlink() if before is None else (mine / name).write_bytes(before)
    assert published(hub) == []
    push()


def test_data_that_are_gone(hub: HubServer, push, mine: Path, cache: Path) -> None:
    reseed(mine, dataset="gone.csv")
    refused(push(code=1), "gone.csv")
    assert hub.requests == []


def test_data_that_are_others_now(hub: HubServer, push, mine: Path, cache: Path) -> None:
    sample = Path(str(files("sentiment140_bert.data"))) / "sample"
    lines = (sample / "tweets.csv").read_bytes().splitlines(keepends=True)
    Path("tweets.csv").write_bytes(b"".join(lines[:-200]))
    reseed(mine, dataset=os.fspath(Path("tweets.csv").resolve()), manual_test=os.fspath(sample / "manual.csv"))
    refused(push(code=1), "fingerprint")
    assert hub.requests == []


def test_without_its_data_the_model_alone_is_published(hub: HubServer, push, mine: Path, cache: Path) -> None:
    reseed(mine, dataset="gone.csv")
    push(to=("--repo-id", MODEL))
    assert published(hub) == [MODEL]


# s140 train --push-to-hub


@pytest.fixture
def tiny(encoder: Path) -> list[str]:
    changes = {"model-name-or-path": encoder, "max-samples": 100, "validation-size": 20, "test-size": 20}
    words = [word for name, value in changes.items() for word in (f"--{name}", str(value))]
    return ["--recipe", "quickstart", "--output-dir", "new", *words, "--max-steps", "1"]


def test_train_publishes_when_it_is_told_to_what_push_to_hub_would(hub: HubServer, s140, push, tiny) -> None:
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
def test_train_finds_out_first(hub: HubServer, s140, tiny: list[str], monkeypatch, what: str) -> None:
    to = {"name": ["--repo-id", "model"], "right": ["--repo-id", "somebody/model"], "nowhere": []}
    if what == "login":
        monkeypatch.delenv("HF_TOKEN")
    result = s140("train", *tiny, "--push-to-hub", *to.get(what, BOTH), code=1)
    refused(result, {"login": "hf auth login", "right": "somebody/model"}.get(what, "user/"))
    assert not Path("new").exists()
    assert published(hub) == []


def test_a_finished_run_outlives_a_failed_publication(hub: HubServer, s140, push, tiny, impatient) -> None:
    hub.fail("commit", times=None, status=503)
    result = s140("train", *tiny, "--push-to-hub", *BOTH, code=1)
    assert "s140 push-to-hub new" in result.stderr
    hub.mend()
    push(run=Path("new"))
    assert commits_of_ours(hub) == (1, 1)


def test_where_to_publish_without_publishing_is_a_mistake(hub: HubServer, s140, tiny: list[str]) -> None:
    refused(s140("train", *tiny, *BOTH, code=1), "--push-to-hub")
    assert not Path("new").exists()
