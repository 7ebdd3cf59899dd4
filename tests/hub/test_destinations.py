"""Pull requests, branches, tags, messages: where a push goes when it does not simply go to main."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hub_server import HubServer
from on_hub import DATA, MODEL, commits_of_ours, published, titles

pytest_plugins = "hub_fixtures"

JUST_MODEL = ("--repo-id", MODEL)


def edit(run: Path, content: bytes = b"another picture") -> None:
    (run / "figures" / "learning_curve.png").write_bytes(content)


def pull_requests(hub: HubServer, repo_id: str = MODEL, kind: str = "model") -> list[str]:
    return [discussion["ref"] for discussion in hub.repos[kind, repo_id].discussions]


def test_a_pull_request_leaves_main_alone(hub: HubServer, push) -> None:
    result = json.loads(push("--create-pr", "--json").stdout)
    assert commits_of_ours(hub) == (0, 0)
    assert "model.safetensors" in hub.files(MODEL, revision="refs/pr/1")
    assert "default/train-00000-of-00001.parquet" in hub.files(DATA, "dataset", "refs/pr/1")
    assert result["model"]["pr_url"] == f"{hub.url}/{MODEL}/discussions/1"
    assert result["dataset"]["pr_url"] == f"{hub.url}/datasets/{DATA}/discussions/1"
    assert result["model"]["commit"] == hub.head(MODEL, revision="refs/pr/1")


def test_the_same_again_goes_on_in_it_without_a_commit(hub: HubServer, push) -> None:
    first = json.loads(push("--create-pr", "--json").stdout)
    again = json.loads(push("--create-pr", "--json").stdout)
    assert pull_requests(hub) == pull_requests(hub, DATA, "dataset") == ["refs/pr/1"]
    for kind in ("model", "dataset"):
        assert not again[kind]["changed"]
        assert again[kind]["commit"] == first[kind]["commit"]
        assert again[kind]["pr_url"] == first[kind]["pr_url"]


def test_a_change_is_a_second_commit_in_it(hub: HubServer, push, run_copy: Path) -> None:
    push("--create-pr")
    edit(run_copy)
    push("--create-pr")
    assert pull_requests(hub) == ["refs/pr/1"]
    assert titles(hub, MODEL, revision="refs/pr/1") == ["s140 push-to-hub: model"] * 2 + ["initial commit"]
    assert commits_of_ours(hub) == (0, 0)


def test_one_that_is_closed_is_not_gone_on_with(hub: HubServer, push, run_copy: Path) -> None:
    push("--create-pr", to=JUST_MODEL)
    hub.repos["model", MODEL].discussions[0]["status"] = "closed"
    edit(run_copy)
    push("--create-pr", to=JUST_MODEL)
    assert pull_requests(hub) == ["refs/pr/1", "refs/pr/2"]
    assert titles(hub, MODEL, revision="refs/pr/1") == ["s140 push-to-hub: model", "initial commit"]


def test_somebody_elses_of_the_same_title_is_not_gone_on_with(hub: HubServer, push) -> None:
    """It would add our files to a stranger's proposal."""
    repo = hub.create(MODEL)
    other = repo.discuss("s140 push-to-hub: model", "somebody", pull_request=True)
    repo.refs[other["ref"]] = repo.refs["refs/heads/main"]
    push("--create-pr", to=JUST_MODEL)
    assert pull_requests(hub) == ["refs/pr/1", "refs/pr/2"]
    assert titles(hub, MODEL, revision="refs/pr/1") == ["initial commit"]


def test_one_of_another_title_is_not_gone_on_with(hub: HubServer, push) -> None:
    """It is a proposal of something else, perhaps of the same account."""
    for message in ("one", "two", "one"):
        push("--create-pr", "--commit-message", message, to=JUST_MODEL)
    assert pull_requests(hub) == ["refs/pr/1", "refs/pr/2"]
    for number, message in ((1, "one"), (2, "two")):
        assert titles(hub, MODEL, revision=f"refs/pr/{number}") == [message, "initial commit"]


def test_of_several_the_newest_is_gone_on_with(hub: HubServer, push, run_copy: Path) -> None:
    repo = hub.create(MODEL)
    for _ in range(3):
        opened = repo.discuss("s140 push-to-hub: model", "tester", pull_request=True)
        repo.refs[opened["ref"]] = repo.refs["refs/heads/main"]
    push("--create-pr", to=JUST_MODEL)
    assert [len(titles(hub, MODEL, revision=ref)) for ref in pull_requests(hub)] == [1, 1, 2]


def test_an_answer_that_is_lost_does_not_open_a_second_one(hub: HubServer, push) -> None:
    hub.fail("commit", lose_response=True)
    push("--create-pr", to=JUST_MODEL)
    assert pull_requests(hub) == ["refs/pr/1"]


def test_a_pull_request_may_be_made_where_one_may_not_write(hub: HubServer, push) -> None:
    hub.create("somebody/model")
    hub.create("somebody/data", "dataset")
    push("--create-pr", to=("--repo-id", "somebody/model", "--dataset-repo-id", "somebody/data"))
    assert pull_requests(hub, "somebody/model") == pull_requests(hub, "somebody/data", "dataset") == ["refs/pr/1"]
    assert titles(hub, "somebody/model") == titles(hub, "somebody/data", "dataset") == ["initial commit"]
    assert not hub.repos["dataset", "somebody/data"].private


def test_a_branch_is_made_and_main_is_left_alone(hub: HubServer, push) -> None:
    push("--revision", "next")
    assert commits_of_ours(hub) == (0, 0)
    assert titles(hub, MODEL, revision="next") == ["s140 push-to-hub: model", "initial commit"]
    assert titles(hub, DATA, "dataset", "next") == ["s140 push-to-hub: dataset", "initial commit"]
    results = json.loads(push("--revision", "next", "--json").stdout)
    assert [push["changed"] for push in results.values()] == [False, False]


def test_a_branch_that_exists_is_gone_on_with(hub: HubServer, push) -> None:
    repo = hub.create(MODEL)
    repo.refs["refs/heads/next"] = repo.refs["refs/heads/main"]
    hub.write(MODEL, "notes.md", b"mine", revision="next")
    push("--revision", "next", to=JUST_MODEL)
    assert titles(hub, MODEL, revision="next") == ["s140 push-to-hub: model", "Update notes.md", "initial commit"]
    assert "notes.md" in hub.files(MODEL, revision="next")


def test_main_may_be_said(hub: HubServer, push) -> None:
    push("--revision", "main")
    assert commits_of_ours(hub) == (1, 1)


def test_a_pull_request_and_a_branch_exclude_each_other(hub: HubServer, push) -> None:
    assert "exclude each other" in push("--create-pr", "--revision", "next", code=1).stderr
    assert hub.requests == []


def test_the_message_is_the_commits(hub: HubServer, push) -> None:
    push("--commit-message", "After the long night")
    assert titles(hub, MODEL)[0] == titles(hub, DATA, "dataset")[0] == "After the long night"


def test_a_tag_is_on_the_commit(hub: HubServer, push) -> None:
    result = json.loads(push("--tag", "v1", "--json").stdout)
    for kind, repo_id in (("model", MODEL), ("dataset", DATA)):
        assert hub.repos[kind, repo_id].refs["refs/tags/v1"] == hub.head(repo_id, kind) == result[kind]["commit"]
        assert result[kind]["tag"] == "v1"


def test_the_same_push_with_the_same_tag_is_fine(hub: HubServer, push) -> None:
    push("--tag", "v1")
    push("--tag", "v1")
    push("--tag", "v2")
    assert commits_of_ours(hub) == (1, 1)
    refs = hub.repos["model", MODEL].refs
    assert refs["refs/tags/v1"] == refs["refs/tags/v2"] == hub.head(MODEL)


def test_a_tag_on_an_older_commit_is_refused_before_anything_is_uploaded(hub: HubServer, push) -> None:
    repo = hub.create(MODEL)
    repo.refs["refs/tags/v1"] = repo.refs["refs/heads/main"]
    hub.write(MODEL, "notes.md", b"later")
    result = push("--tag", "v1", code=1)
    assert "tag v1" in result.stderr
    assert titles(hub, MODEL) == ["Update notes.md", "initial commit"]
    assert not repo.lfs
    assert DATA not in published(hub)


def test_nor_does_a_tag_stay_behind_a_new_commit(hub: HubServer, push, run_copy: Path) -> None:
    """It would name an older model than the one this push reports."""
    push("--tag", "v1", to=JUST_MODEL)
    edit(run_copy)
    result = push("--tag", "v1", to=JUST_MODEL, code=None)
    assert hub.repos["model", MODEL].refs["refs/tags/v1"] == hub.head(MODEL)
    assert result.exit_code == 1
    assert "tag v1" in result.stderr


def test_a_tag_is_on_what_was_pushed_whatever_comes_after(hub: HubServer, push) -> None:
    hub.create(MODEL)
    hub.fail("create_tag", meanwhile=lambda: hub.write(MODEL, "notes.md", b"a moment later"))
    result = json.loads(push("--tag", "v1", "--json", to=JUST_MODEL).stdout)
    assert hub.repos["model", MODEL].refs["refs/tags/v1"] == result["model"]["commit"] != hub.head(MODEL)


def test_a_tag_stays_with_its_files(hub: HubServer, push, run_copy: Path) -> None:
    """A file that is new, small or large, is a change as any other."""
    push("--tag", "v1", to=JUST_MODEL)
    tagged = hub.head(MODEL)
    for name, content in (("model/added_tokens.json", b"{}"), ("figures/another.png", b"a picture")):
        (run_copy / name).write_bytes(content)
        result = push("--tag", "v1", to=JUST_MODEL, code=1)
        assert f"{Path(name).name} has changed since" in result.stderr
        assert hub.head(MODEL) == hub.repos["model", MODEL].refs["refs/tags/v1"] == tagged
        (run_copy / name).unlink()
    push("--tag", "v1", to=JUST_MODEL)


@pytest.mark.parametrize("endpoint", ["create_tag", "refs"])
def test_where_only_the_tag_failed_it_is_not_said_that_the_model_is_missing(
    hub: HubServer, push, endpoint: str
) -> None:
    hub.create(MODEL)
    hub.fail(endpoint, after=0 if endpoint == "create_tag" else 2, times=None, status=503)
    result = push("--tag", "v1", to=JUST_MODEL, code=1)
    assert titles(hub, MODEL)[0] == "s140 push-to-hub: model"
    assert f"Not published: model {MODEL}" not in result.stderr
    assert hub.head(MODEL)[:12] in result.stderr
    hub.mend()
    push("--tag", "v1", to=JUST_MODEL)
    assert hub.repos["model", MODEL].refs["refs/tags/v1"] == hub.head(MODEL)
    assert len(titles(hub, MODEL)) == 2


def test_the_model_alone(hub: HubServer, push) -> None:
    assert json.loads(push("--model-only", "--json").stdout).keys() == {"model"}
    assert hub.repos.keys() == {("model", MODEL)}
    assert not [request for request in hub.requests if "/datasets/" in request.path]


def test_the_dataset_alone(hub: HubServer, push) -> None:
    assert json.loads(push("--dataset-only", "--json").stdout).keys() == {"dataset"}
    assert hub.repos.keys() == {("dataset", DATA)}
    assert not [request for request in hub.requests if "/models/" in request.path]


def test_one_alone_after_both_changes_nothing(hub: HubServer, push) -> None:
    push()
    for flag in ("--model-only", "--dataset-only"):
        (result,) = json.loads(push(flag, "--json").stdout).values()
        assert not result["changed"], flag


def test_the_model_card_names_the_datasets_commit_on_its_branch(hub: HubServer, push) -> None:
    push("--revision", "next")
    data = json.loads(hub.files(MODEL, revision="next")["data.json"])
    assert data["published"] == {"repo_id": DATA, "revision": hub.head(DATA, "dataset", "next")}


def test_an_organisation_is_pushed_to(hub: HubServer, push) -> None:
    push(to=("--repo-id", "testers/model", "--dataset-repo-id", "testers/model"))
    assert titles(hub, "testers/model")[0] == "s140 push-to-hub: model"
    assert titles(hub, "testers/model", "dataset")[0] == "s140 push-to-hub: dataset"


def test_what_git_cannot_call_a_tag_or_branch_is_told_before_anything_is_published(hub: HubServer, push) -> None:
    for flag in ("--tag", "--revision"):
        for name in ("v 1", "v1~2", "v..1", "/v1", ".v1", "v" * 101):
            result = push(f"{flag}={name}", code=1)
            assert name in result.stderr
    assert "different names" in push("--tag", "v1", "--revision", "v1", code=1).stderr
    assert published(hub) == []
    assert hub.requests == []
