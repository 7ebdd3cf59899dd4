"""A fault of a moment is tried again, at every step; one that stays leaves main as it was.

Nobody sleeps here (``impatient``), and where the Hub is silent the client gives up early (``give_up``); all else is as
it is in use.
"""

from __future__ import annotations

import re
import shlex
import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hub_endpoints import ROUTES
from hub_server import HubServer
from on_hub import DATA, MODEL, AfterAPush, commits_of_ours, titles
from sentiment140_bert.hub import client, replies

pytest_plugins = "hub_fixtures"

FIRST_PUSH = (
    *("whoami", "repo_info", "create_repo", "preupload", "lfs_batch", "lfs_upload", "lfs_verify", "resolve_head"),
    *("validate_yaml", "tree", "commits", "commit"),
)
# What is asked besides of repositories that have a card, with a tag, a branch and another visibility.
LATER = ("settings", "create_branch", "refs", "create_tag", "resolve_get")
LATER_FLAGS = ("--revision", "next", "--tag", "v1", "--private")
FAULTS: dict[str, dict[str, Any]] = {
    "503": {"status": 503},
    "429": {"status": 429, "retry_after": 1},
    "reset": {"reset": True},
    "lost": {"lose_response": True},
    "stall": {"stall": 600},  # until the test ends
}


@pytest.fixture(autouse=True)
def give_up(monkeypatch: pytest.MonkeyPatch) -> Iterator[set[str]]:
    """Endpoints whose next request the client gives up after a moment; every other has its limit of a minute or less.

    A request without a limit fails the test.
    """
    from huggingface_hub.utils import close_session

    endpoints: set[str] = set()
    make_client = replies.make_client

    def check(request: Any) -> None:
        limits = request.extensions["timeout"]
        assert all(0 < limits[name] <= replies.TIMEOUT for name in ("connect", "read", "write", "pool")), request
        endpoint = endpoint_of(request.method, request.url.path)
        if endpoint in endpoints:
            endpoints.remove(endpoint)
            request.extensions["timeout"] = limits | {"read": 0.2}

    def make_checked_client(hooks: list[Any]) -> Any:
        checking_client = make_client(hooks)
        events = checking_client.event_hooks
        checking_client.event_hooks = events | {"request": [*events["request"], check]}
        return checking_client

    monkeypatch.setattr(replies, "make_client", make_checked_client)
    close_session()  # the next one is new
    yield endpoints
    close_session()


def endpoint_of(method: str, path: str) -> str | None:
    return next((name for name, (verb, form) in ROUTES.items() if verb == method and re.fullmatch(form, path)), None)


@pytest.fixture
def with_cards(hub: HubServer) -> HubServer:
    hub.create(MODEL)
    hub.create(DATA, "dataset")
    hub.write(MODEL, "README.md", b"# Mine\n")
    hub.write(DATA, "README.md", b"# Mine\n", "dataset")
    return hub


def endpoints(hub: HubServer) -> list[str]:
    return [request.endpoint for request in hub.requests]


def test_a_push_asks_these_endpoints(hub: HubServer, push) -> None:
    push()
    # The card that was just pushed is fetched, unless another test has left the very same one in the cache.
    assert set(endpoints(hub)) - {"resolve_get"} == set(FIRST_PUSH)


def test_a_push_with_all_options_asks_more(with_cards: HubServer, push) -> None:
    push(*LATER_FLAGS)
    assert set(endpoints(with_cards)) == {*FIRST_PUSH, *LATER} - {"create_repo"}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("hit", [FIRST_PUSH[::2], FIRST_PUSH[1::2]], ids=["these", "the others"])
def test_one_fault_at_each_endpoint_is_got_over(
    hub: HubServer, push, after_a_push: AfterAPush, give_up: set[str], hit: tuple[str, ...], fault: str
) -> None:
    for endpoint in hit:
        hub.fail(endpoint, **FAULTS[fault])
    if fault == "stall":
        give_up.update(hit)
    push()
    counts, usual = Counter(endpoints(hub)), Counter(after_a_push.endpoints)
    once = {endpoint for endpoint in hit if counts[endpoint] <= usual[endpoint]}
    # All else was tried again; a commit whose answer was lost is found to be there, and a card may be in the cache.
    assert once <= {"resolve_head", *(["commit"] if fault == "lost" else [])}
    assert commits_of_ours(hub) == (1, 1)
    assert (hub.repos["model", MODEL].private, hub.repos["dataset", DATA].private) == (False, True)


@pytest.mark.parametrize("fault", ["503", "lost"])
def test_faults_of_a_push_with_all_options_are_got_over(with_cards: HubServer, push, fault: str) -> None:
    hub = with_cards
    for endpoint in LATER:
        hub.fail(endpoint, **FAULTS[fault])
    push(*LATER_FLAGS)
    assert titles(hub, MODEL, revision="next")[0] == "s140 push-to-hub: model"
    assert titles(hub, DATA, "dataset", "next")[0] == "s140 push-to-hub: dataset"
    assert titles(hub, MODEL) == ["Update README.md", "initial commit"]
    assert hub.repos["model", MODEL].refs["refs/tags/v1"] == hub.head(MODEL, revision="next")
    assert hub.repos["model", MODEL].private
    assert "# Mine" in hub.files(MODEL, revision="next")["README.md"].decode()


def test_faults_open_no_second_pull_request(hub: HubServer, push) -> None:
    for endpoint, fault in (("discussions", "503"), ("discussions", "reset"), ("commit", "lost")):
        hub.fail(endpoint, **FAULTS[fault])
    push("--create-pr", to=("--repo-id", MODEL))
    assert len(hub.repos["model", MODEL].discussions) == 1
    assert titles(hub, MODEL, revision="refs/pr/1") == ["s140 push-to-hub: model", "initial commit"]


def test_silence_is_given_up_by_a_new_connection_pool_too() -> None:
    """huggingface_hub makes another one after a connection was refused."""
    from huggingface_hub.utils import close_session, get_session

    client.Hub()
    close_session()
    assert get_session().timeout.read == replies.TIMEOUT == 60


def test_a_commit_that_was_given_up_and_arrives_after_all(hub: HubServer, push, give_up: set[str]) -> None:
    """It overtakes the second attempt, which is then refused as out of date: still, it is published."""
    on_its_way = threading.Event()

    def overtaken() -> None:
        on_its_way.set()
        while len(hub.commits(DATA, "dataset")) == 1:
            time.sleep(0.01)

    hub.fail("commit", meanwhile=lambda: on_its_way.wait(60))
    hub.fail("commit", meanwhile=overtaken)
    give_up.add("commit")
    push()
    assert commits_of_ours(hub) == (1, 1)


FOR_GOOD = [
    *((endpoint, "503") for endpoint in ("whoami", "repo_info", "create_repo", "preupload", "lfs_upload", "commit")),
    *(("whoami", "reset"), ("commit", "reset")),
]


@pytest.mark.parametrize("rows", [FOR_GOOD[:4], FOR_GOOD[4:]], ids=["early", "late"])
def test_what_fails_for_good_leaves_main_alone_and_tells_how_to_go_on(
    hub: HubServer, push, s140, run_copy: Path, tmp_path: Path, rows: list[tuple[str, str]]
) -> None:
    for endpoint, fault in rows:
        hub.reset()
        run = shutil.copytree(run_copy, tmp_path / f"{endpoint} {fault}")
        hub.fail(endpoint, times=None, **FAULTS[fault])
        result = push("--tag", "v1", run=run, code=1)
        assert "Traceback" not in result.stderr
        assert f"Not published: dataset {DATA}, model {MODEL}." in result.stderr
        assert "Published:" not in result.stderr.replace("Not published:", "")
        assert all(len(repo.commits) == 1 for repo in hub.repos.values())
        hub.mend()
        s140(*shlex.split(command_in(result.stderr))[1:])
        assert commits_of_ours(hub) == (1, 1)
        assert hub.repos["model", MODEL].refs["refs/tags/v1"] == hub.head(MODEL)


def command_in(text: str) -> str:
    """The command line that a message tells to go on with."""
    (line,) = (line for line in text.splitlines() if "s140 push-to-hub" in line)
    return line[line.index("s140 push-to-hub") :]


def test_where_the_model_fails_for_good_it_is_said_that_the_dataset_is_there(hub: HubServer, push, s140) -> None:
    hub.fail("commit", after=1, times=None, status=500)
    result = push(code=1)
    commit = hub.head(DATA, "dataset")
    assert f"Published: dataset {DATA} (commit {commit[:12]})." in result.stderr
    assert f"Not published: model {MODEL}." in result.stderr
    assert commits_of_ours(hub) == (1, 0)
    hub.mend()
    s140(*shlex.split(command_in(result.stderr))[1:])
    assert commits_of_ours(hub) == (1, 1)
    assert hub.head(DATA, "dataset") == commit


def test_the_command_to_go_on_with_says_all_that_was_said(hub: HubServer, push, run_copy: Path) -> None:
    both = ["--repo-id", MODEL, "--dataset-repo-id", DATA]
    words = ["--revision", "next", "--commit-message", "two words", "--tag", "v1"]
    for to, options in (
        (both, [*words, "--private"]),
        (both, [*words, "--public"]),
        (both, ["--create-pr"]),
        (both[:2], []),
    ):
        hub.reset()
        hub.fail("commit", times=None, status=500)
        result = push(*options, to=to, code=1)
        assert shlex.split(command_in(result.stderr)) == ["s140", "push-to-hub", str(run_copy), *to, *options]
