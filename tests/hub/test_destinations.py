"""Push to pull requests, branches, tags and organisations: where a push goes when it does not simply go to main."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from hub_server import SOMEBODYS_TOKEN, TOKEN, Account, HubServer
from on_hub import DATA, MODEL, change_weights, commits_of_ours, published, titles

pytest_plugins = "hub_fixtures"

JUST_MODEL = ("--repo-id", MODEL)
OURS = "s140 push-to-hub: model"


def edit(run: Path, content: bytes = b"another picture") -> None:
    (run / "figures" / "learning_curve.png").write_bytes(content)


def pull_requests(hub: HubServer, repo_id: str = MODEL, kind: str = "model") -> list[str]:
    return [discussion["ref"] for discussion in hub.repos[kind, repo_id].discussions]


def test_a_pull_request_leaves_main_alone_and_is_continued_until_it_is_closed(
    hub: HubServer, push, run_copy: Path
) -> None:
    first, again = (json.loads(push("--create-pr", "--json").stdout) for _ in range(2))
    for kind, repo_id, page in (("model", MODEL, MODEL), ("dataset", DATA, f"datasets/{DATA}")):
        assert pull_requests(hub, repo_id, kind) == ["refs/pr/1"]
        assert first[kind]["pr_url"] == again[kind]["pr_url"] == f"{hub.url}/{page}/discussions/1"
        assert first[kind]["commit"] == again[kind]["commit"] == hub.head(repo_id, kind, "refs/pr/1")
        assert not again[kind]["changed"]
    assert "model.safetensors" in hub.files(MODEL, revision="refs/pr/1")
    assert "default/train-00000-of-00001.parquet" in hub.files(DATA, "dataset", "refs/pr/1")
    edit(run_copy)
    push("--create-pr")
    assert titles(hub, MODEL, revision="refs/pr/1") == [OURS, OURS, "initial commit"]
    hub.repos["model", MODEL].discussions[0]["status"] = "closed"
    edit(run_copy, b"a third")
    push("--create-pr", to=JUST_MODEL)
    assert pull_requests(hub) == ["refs/pr/1", "refs/pr/2"]
    assert titles(hub, MODEL, revision="refs/pr/1") == [OURS, OURS, "initial commit"]
    assert commits_of_ours(hub) == (0, 0)


def test_the_newest_pull_request_of_this_run_and_account_is_continued(
    hub: HubServer, push, run_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another account's, or another run's, would add our files to another proposal."""
    hub.create(MODEL)
    push("--create-pr", to=JUST_MODEL)
    monkeypatch.setenv("HF_TOKEN", SOMEBODYS_TOKEN)
    push("--create-pr", to=JUST_MODEL)
    assert pull_requests(hub) == ["refs/pr/1", "refs/pr/2"]
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    hub.repos["model", MODEL].open_pull_request(OURS, "tester")  # by hand, perhaps
    hub.repos["model", MODEL].refs["refs/pr/3"] = hub.head(MODEL)
    edit(run_copy)
    push("--create-pr", to=JUST_MODEL)
    change_weights(run_copy)
    push("--create-pr", to=JUST_MODEL)
    lengths = [len(titles(hub, MODEL, revision=f"refs/pr/{number}")) for number in range(1, 5)]
    assert lengths == [3, 2, 1, 2]


def test_what_a_reviewer_changes_in_a_pull_request_is_not_replaced(hub: HubServer, push, run_copy: Path) -> None:
    push("--create-pr", to=JUST_MODEL)
    for name in ("config.json", "vocab.txt"):
        hub.write(MODEL, name, b"of a reviewer", revision="refs/pr/1")
    edit(run_copy)
    refused = push("--create-pr", to=JUST_MODEL, code=1)
    assert "did not write: config.json, vocab.txt." in " ".join(refused.stderr.split())


def merge(hub: HubServer, repo_id: str, author: str) -> None:
    """Merge a first pull request on the website, whose merges name the commits, and keep the title in theirs."""
    repo, proposal = hub.repos["model", repo_id], hub.commits(repo_id, revision="refs/pr/1")[0]
    files = hub.commits(repo_id)[0].files | proposal.files
    message = f"\n\n- {proposal.title} ({proposal.oid})\n"
    merged = replace(
        proposal, title=f"{OURS} (#1)", author=author, description=message, parent=hub.head(repo_id), files=files
    )
    repo.add("refs/heads/main", merged)
    repo.discussions[0]["status"] = "merged"


@pytest.mark.parametrize("title", [(), ("--commit-message", "Add a winter")])
def test_a_merged_pull_request_is_known_as_the_runs_own(hub: HubServer, push, run_copy: Path, title) -> None:
    hub.create("somebody/model")
    to = ("--repo-id", "somebody/model", *title)
    push("--create-pr", to=to)
    merge(hub, "somebody/model", "somebody")
    hub.accounts[TOKEN] = Account("tester", orgs=("somebody",))
    edit(run_copy)
    push(to=to)
    hub.write("somebody/model", "config.json", b"of a colleague")
    assert "did not write: config.json." in " ".join(push("--license", "mit", to=to, code=1).stderr.split())


@pytest.mark.parametrize("author", ["tester", "somebody"])
def test_a_merge_holds_the_work_of_others_too(hub: HubServer, push, run_copy: Path, author: str) -> None:
    push("--create-pr", to=JUST_MODEL)
    hub.write(MODEL, "config.json", b"of a reviewer", revision="refs/pr/1")
    hub.write(MODEL, "vocab.txt", b"of a colleague")
    merge(hub, MODEL, author)
    edit(run_copy)
    assert "did not write: config.json, vocab.txt." in " ".join(push(to=JUST_MODEL, code=1).stderr.split())


@pytest.mark.parametrize("title", [f'Revert "{OURS}"', f"What {OURS} did", OURS])
def test_a_commit_by_hand_is_no_push(hub: HubServer, push, run_copy: Path, title: str) -> None:
    """Although its title or message mentions one, and this user made it."""
    push(to=JUST_MODEL)
    head = hub.write(MODEL, "config.json", b"of a colleague")
    last = hub.commits(MODEL)[0]
    message = f"This reverts commit {head}.\n\n{hub.commits(MODEL)[1].description}"
    hub.repos["model", MODEL].add(
        "refs/heads/main", replace(last, title=title, author="tester", description=message, parent=head)
    )
    edit(run_copy)
    assert "did not write: config.json." in " ".join(push(to=JUST_MODEL, code=1).stderr.split())


def test_a_revert_of_a_push_is_not_undone(hub: HubServer, push, run_copy: Path) -> None:
    """Older content of the run itself, which a person brought back."""
    push(to=("--repo-id", MODEL))
    first = hub.files(MODEL)
    push("--license", "mit", to=("--repo-id", MODEL))
    assert hub.files(MODEL)["data.json"] != first["data.json"]
    hub.write(MODEL, "data.json", first["data.json"])
    result = push(to=("--repo-id", MODEL), code=1)
    assert "holds files that `s140 push-to-hub` did not write: data.json" in result.stderr
    assert hub.files(MODEL)["data.json"] == first["data.json"]


@pytest.mark.parametrize("name", ["training_rows.safetensors", "figures/slices.png"])
def test_a_file_that_a_person_removed_does_not_come_back(hub: HubServer, push, run_copy: Path, name: str) -> None:
    to = ("--repo-id", MODEL)
    push(to=to)
    head = hub.commits(MODEL)[0]
    left = {path: blob for path, blob in head.files.items() if path != name}
    removal = replace(head, title=f"Delete {name}", description="", parent=head.oid, files=left)
    hub.repos["model", MODEL].add("refs/heads/main", removal)
    assert f"which a person removed: {name}." in " ".join(push("--license", "mit", to=to, code=1).stderr.split())
    assert name not in hub.files(MODEL)


def test_a_pull_request_of_another_title_is_not_continued(hub: HubServer, push) -> None:
    for message in ("one", "two", "one"):
        push("--create-pr", "--commit-message", message, to=JUST_MODEL)
    assert pull_requests(hub) == ["refs/pr/1", "refs/pr/2"]
    for number, message in ((1, "one"), (2, "two")):
        assert titles(hub, MODEL, revision=f"refs/pr/{number}") == [message, "initial commit"]


def test_a_pull_request_may_be_made_where_one_may_not_write(hub: HubServer, push) -> None:
    hub.create("somebody/model")
    hub.create("somebody/data", "dataset")
    push("--create-pr", to=("--repo-id", "somebody/model", "--dataset-repo-id", "somebody/data"))
    assert pull_requests(hub, "somebody/model") == pull_requests(hub, "somebody/data", "dataset") == ["refs/pr/1"]
    assert titles(hub, "somebody/model") == titles(hub, "somebody/data", "dataset") == ["initial commit"]
    assert not hub.repos["dataset", "somebody/data"].private


def test_a_branch_is_made_or_continued_and_main_is_left_alone(hub: HubServer, push) -> None:
    repo = hub.create(MODEL)
    repo.refs["refs/heads/next"] = repo.refs["refs/heads/main"]
    hub.write(MODEL, "notes.md", b"mine", revision="next")
    for is_changed in (True, False):
        results = json.loads(push("--revision", "next", "--commit-message", "Two words", "--json").stdout)
        assert [result["changed"] for result in results.values()] == [is_changed] * 2
    assert commits_of_ours(hub) == (0, 0)
    assert titles(hub, MODEL, revision="next") == ["Two words", "Update notes.md", "initial commit"]
    assert titles(hub, DATA, "dataset", "next") == ["Two words", "initial commit"]
    assert "notes.md" in hub.files(MODEL, revision="next")
    data = json.loads(hub.files(MODEL, revision="next")["data.json"])
    assert data["published"] == {"repo_id": DATA, "revision": hub.head(DATA, "dataset", "next")}
    push("--revision", "main")
    assert commits_of_ours(hub) == (1, 1)


def test_a_tag_is_on_the_commit_also_when_nothing_has_changed(hub: HubServer, push) -> None:
    for tag in ("v1", "v1", "v2"):
        result = json.loads(push("--tag", tag, "--json").stdout)
        for kind, repo_id in (("model", MODEL), ("dataset", DATA)):
            assert hub.repos[kind, repo_id].refs[f"refs/tags/{tag}"] == hub.head(repo_id, kind)
            assert (result[kind]["tag"], result[kind]["commit"]) == (tag, hub.head(repo_id, kind))
    assert commits_of_ours(hub) == (1, 1)


def test_a_tag_on_an_older_commit_is_refused_before_anything_is_uploaded(hub: HubServer, push) -> None:
    repo = hub.create(MODEL)
    repo.refs["refs/tags/v1"] = repo.refs["refs/heads/main"]
    hub.write(MODEL, "notes.md", b"later")
    assert "tag v1" in push("--tag", "v1", code=1).stderr
    assert titles(hub, MODEL) == ["Update notes.md", "initial commit"]
    assert not repo.lfs
    assert DATA not in published(hub)


def test_a_tag_stays_with_its_files(hub: HubServer, push, run_copy: Path) -> None:
    """A file that is new or changed, small or large, is a change as any other."""
    push("--tag", "v1", to=JUST_MODEL)
    tagged = hub.head(MODEL)
    for name in ("model/added_tokens.json", "model/vocab.txt", "figures/slices.png"):
        before = (run_copy / name).read_bytes() if (run_copy / name).exists() else None
        (run_copy / name).write_bytes(b"{}")
        assert f"{Path(name).name} has changed since" in push("--tag", "v1", to=JUST_MODEL, code=1).stderr
        assert hub.head(MODEL) == hub.repos["model", MODEL].refs["refs/tags/v1"] == tagged
        (run_copy / name).unlink() if before is None else (run_copy / name).write_bytes(before)
    push("--tag", "v1", to=JUST_MODEL)


def test_a_tag_is_on_what_was_pushed_whatever_comes_after(hub: HubServer, push) -> None:
    hub.create(MODEL)
    hub.fail("create_tag", meanwhile=lambda: hub.write(MODEL, "notes.md", b"a moment later"))
    result = json.loads(push("--tag", "v1", "--json", to=JUST_MODEL).stdout)
    assert hub.repos["model", MODEL].refs["refs/tags/v1"] == result["model"]["commit"] != hub.head(MODEL)


@pytest.mark.parametrize(("endpoint", "after"), [("create_tag", 0), ("refs", 2)])
def test_a_model_whose_tag_failed_is_not_reported_missing(hub: HubServer, push, endpoint: str, after: int) -> None:
    hub.create(MODEL)
    hub.fail(endpoint, after=after, times=None, status=503)
    result = push("--tag", "v1", to=JUST_MODEL, code=1)
    assert titles(hub, MODEL)[0] == OURS
    assert f"Not published: model {MODEL}" not in result.stderr
    assert hub.head(MODEL)[:12] in result.stderr
    hub.mend()
    push("--tag", "v1", to=JUST_MODEL)
    assert hub.repos["model", MODEL].refs["refs/tags/v1"] == hub.head(MODEL)
    assert len(titles(hub, MODEL)) == 2


def test_the_model_or_the_dataset_alone(hub: HubServer, push) -> None:
    for kind, repo_id, other in (("model", MODEL, "/datasets/"), ("dataset", DATA, "/models/")):
        hub.reset()
        assert json.loads(push(f"--{kind}-only", "--json").stdout).keys() == {kind}
        assert hub.repos.keys() == {(kind, repo_id)}
        assert not [request for request in hub.requests if other in request.path]
    push()
    for flag in ("--model-only", "--dataset-only"):
        (result,) = json.loads(push(flag, "--json").stdout).values()
        assert not result["changed"], flag


def test_an_organisation_is_pushed_to(hub: HubServer, push) -> None:
    push(to=("--repo-id", "testers/model", "--dataset-repo-id", "testers/model"))
    assert titles(hub, "testers/model")[0] == OURS
    assert titles(hub, "testers/model", "dataset")[0] == "s140 push-to-hub: dataset"


def test_impossible_destinations_are_refused_before_anything_is_asked(hub: HubServer, push) -> None:
    for flag in ("--tag", "--revision"):
        for name in ("v 1", "v1~2", "v..1", "/v1", ".v1", "v" * 101):
            assert name in push(f"{flag}={name}", code=1).stderr
    assert "different names" in push("--tag", "v1", "--revision", "v1", code=1).stderr
    assert "exclude each other" in push("--create-pr", "--revision", "next", code=1).stderr
    assert hub.requests == []


def test_a_refused_push_hides_nothing_and_a_proposal_shows_nothing(hub: HubServer, push) -> None:
    hub.create(MODEL)
    hub.write(MODEL, "config.json", b"of a colleague")
    push("--private", to=JUST_MODEL, code=1)
    assert not hub.repos["model", MODEL].private
    hub.create("tester/second", private=True)
    for flag in ("--public", "--private"):
        push("--create-pr", flag, to=("--repo-id", "tester/second"))
        assert hub.repos["model", "tester/second"].private


def test_a_dataset_does_not_name_a_private_model(hub: HubServer, push, run_copy: Path) -> None:
    for flag, names_it in (("--private", False), ("--public", True)):
        push(flag, to=JUST_MODEL)
        push("--public", to=("--dataset-repo-id", DATA))
        assert (MODEL.encode() in hub.files(DATA, "dataset")["README.md"]) == names_it
