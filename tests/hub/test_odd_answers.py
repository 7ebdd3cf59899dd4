"""A Hub, or a proxy in its place, that answers what makes no sense: every command says so, and none ends otherwise."""

from __future__ import annotations

import contextlib
import copy
import gzip
import itertools
import os
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from huggingface_hub import HfFileSystem, constants
from huggingface_hub.errors import HfHubHTTPError

from eavesdropper import Eavesdropper
from hub_server import HubServer, Repo
from kept_trainings import REPO, training
from on_hub import BOTH, DATA, MODEL, AfterAPush, commits_of_ours
from sentiment140_bert.cli import main
from sentiment140_bert.errors import HubError
from sentiment140_bert.hub import push as push_files
from sentiment140_bert.hub import replies
from sentiment140_bert.hub.client import Hub, look_up
from sentiment140_bert.hub.fetch import resolve_commit

pytest_plugins = ("hub_fixtures", "checkpoint_fixtures")

TWEETS = "somebody/tweets"
ROWS = "text,label\n" + "".join(f"tweet number {number} of some,{number % 2}\n" for number in range(60))


def replace_values(kind: type, value: Any) -> Callable[[Any], Any]:
    """Return a function that puts ``value`` into JSON wherever there is a value of a kind, below the top."""

    def change(content: Any, top: bool = True) -> Any:
        if isinstance(content, kind) and not top:
            return value
        if isinstance(content, dict):
            return {name: change(part, False) for name, part in content.items()}
        return [change(part, False) for part in content] if isinstance(content, list) else content

    return change


ANSWERS: dict[str, dict[str, Any]] = {
    "null": {"answer": b"null"},
    "numbers for texts": {"change": replace_values(str, 5)},
    "a list": {"answer": b"[5, null]"},
    "nulls for lists": {"change": replace_values(list, None)},
    "a page": {"answer": b"<!doctype html><title>Log in</title>", "headers": {"Content-Type": "text/html"}},
    "texts for objects": {"change": replace_values(dict, "text")},
    "an object": {"answer": b"{}"},
    "numbers for lists": {"change": replace_values(list, 5)},
    "deep": {"answer": b'{"a":' * 100_000},
    "nothing": {"answer": b""},
    "objects for texts": {"change": replace_values(str, {"a": [None]})},
    "a number": {"answer": b"-1e999"},
    "no Unicode": {"answer": b'{"name": "\xff\xfe"}'},
    "not packed": {"headers": {"Content-Encoding": "gzip"}},
    "packed oddly": {"headers": {"Content-Encoding": "gzip, gzip"}},
    "a list as an error": {"answer": b"[1]", "status": 400},
    "an odd error": {"answer": b'{"error": {"a": 1}, "errors": 5}', "status": 409},
}
HEADERS: dict[str, dict[str, str]] = {
    "a hash that climbs": {"ETag": '"../../../../climbed"', "X-Linked-ETag": '"../../../../climbed"'},
    "no hash": {"ETag": "", "X-Linked-ETag": ""},
    "a commit that climbs": {"X-Repo-Commit": "../../../climbed"},
    "no size": {"X-Linked-Size": "\u00b2"},
    "a page elsewhere": {"Link": '<http://127.0.0.1:9/more>; rel="next"'},
    "a page without an address": {"Link": '<http://[::1>; rel="next"'},
}
SOURCE_SETTINGS = ("repo_info", "tree", "resolve_head", "resolve_get")
MODEL_SETTINGS = ("repo_info", "resolve_head", "resolve_get")
WRITING = ("whoami", "repo_info", "create_repo", "preupload", "lfs_batch", "lfs_verify", "validate_yaml", "commit")
KEEPING = ("whoami", "repo_info", "preupload", "resolve_head", "resolve_get")
AFTER_TRAINING = ("lfs_batch", "commit", "lfs_files")


@pytest.fixture
def verbs(
    hub: HubServer, after_a_push: AfterAPush, repository_after: Repo, run_copy: Path, encoder: Path, tmp_path: Path
) -> dict[str, tuple[tuple[str, ...], Callable[[], list[object]]]]:
    """Return the requests of each command that asks the Hub, and a function that prepares it and returns its words."""
    numbers, prepare = itertools.count(), ("prepare", "--model-name-or-path")

    def empty() -> Path:
        hub.reset()
        HfFileSystem.clear_instance_cache()
        shutil.rmtree(Path(os.environ["HF_HOME"], "hub"), ignore_errors=True)
        return tmp_path / f"work-{next(numbers)}"

    def push(*words: str) -> list[object]:
        return ["push-to-hub", shutil.copytree(run_copy, empty()), *BOTH, *words]

    def push_again() -> list[object]:
        words = push("--revision", "next", "--tag", "v1", "--private")
        for repo_id, kind in ((MODEL, "model"), (DATA, "dataset")):
            hub.create(repo_id, kind)
            hub.write(repo_id, "README.md", b"# Mine\n", kind)
        return words

    def after_push(*words: object) -> Callable[[], list[object]]:
        def restore() -> list[object]:
            empty()
            hub.repos = copy.deepcopy(after_a_push.repos)
            return [*words]

        return restore

    def prepare_others() -> list[object]:
        empty()
        hub.create(TWEETS, "dataset")
        hub.write(TWEETS, "train.csv", ROWS.encode(), "dataset")
        return [*prepare, encoder, "--dataset", TWEETS]

    def train() -> list[object]:
        folder = empty()
        hub.repos["model", REPO] = copy.deepcopy(repository_after)
        return training(encoder, folder, num_train_epochs=2)

    return {
        "push": (WRITING, push),
        "push again": (("settings", "create_branch", "refs", "create_tag", "resolve_head", "resolve_get"), push_again),
        "verify": (SOURCE_SETTINGS, after_push("verify", MODEL)),
        "prepare": (SOURCE_SETTINGS, after_push(*prepare, encoder, "--dataset", DATA)),
        "prepare others'": (SOURCE_SETTINGS, prepare_others),
        "prepare for a model": (MODEL_SETTINGS, after_push(*prepare, MODEL, "--dataset", "sample")),
        "train": (KEEPING, train),
    }


def problem_of(result: Result, hub: HubServer, verb: str) -> str | None:
    """Return what is wrong with how a command ended."""
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        return repr(result.exception)[:300]
    if result.exit_code not in (0, 1, 2, 3):
        return f"exit code {result.exit_code}"
    if verb == "push" and result.exit_code == 0 and commits_of_ours(hub) != (1, 1):
        return "not published"
    if result.exit_code and not result.stderr.strip():
        return "it says nothing"
    return None


def find_problems(
    hub: HubServer, verbs: dict[str, Any], verb: str, rows: list[tuple[str, str, dict[str, Any]]]
) -> list[tuple[str, ...]]:
    """Run a verb for each (endpoint, name, fault), and return which ended otherwise than it may."""
    problems = []
    for endpoint, name, fault in rows:
        words = [str(word) for word in verbs[verb][1]()]
        hub.fail(endpoint, times=None, **fault)
        problem = problem_of(CliRunner().invoke(main, words), hub, verb)
        if problem:
            problems.append((verb, endpoint, name, problem))
    return problems


VERBS = ("push", "push again", "verify", "prepare", "prepare others'", "prepare for a model", "train")
ALWAYS = ("push", "verify", "prepare")


@pytest.mark.parametrize(
    "verb", [pytest.param(verb, marks=() if verb in ALWAYS else pytest.mark.long) for verb in VERBS]
)
@pytest.mark.usefixtures("impatient")
def test_an_odd_answer_is_explained(hub: HubServer, verbs, verb: str) -> None:
    """Each endpoint answers oddly in one way, another one at each."""
    ways = itertools.cycle([*ANSWERS.items()][VERBS.index(verb) :] + [*ANSWERS.items()][: VERBS.index(verb)])
    assert find_problems(hub, verbs, verb, [(endpoint, *next(ways)) for endpoint in verbs[verb][0]]) == []


@pytest.mark.long
@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.usefixtures("impatient")
def test_every_odd_answer_is_explained(hub: HubServer, verbs, verb: str) -> None:
    endpoints = (*verbs[verb][0], *(AFTER_TRAINING if verb == "train" else ()))
    rows = [(endpoint, *way) for endpoint in endpoints for way in ANSWERS.items()]
    if verb == "train":  # a second for each; over all endpoints every way occurs
        rows = rows[::3]
    assert find_problems(hub, verbs, verb, rows) == []


@pytest.mark.usefixtures("impatient")
def test_odd_headers_are_explained(hub: HubServer, verbs, tmp_path: Path) -> None:
    """huggingface_hub makes paths of some of them."""
    rows = [("resolve_head", name, {"headers": headers}) for name, headers in HEADERS.items()]
    rows += [("tree", name, {"headers": HEADERS[name]}) for name in HEADERS if "page" in name]
    assert find_problems(hub, verbs, "prepare", rows) == []
    assert not [*Path(os.environ["HF_HOME"]).rglob("climbed*"), *Path(os.environ["HOME"]).glob("climbed*")]


def test_no_header_makes_a_path_or_names_a_host(hub: HubServer, hub_api: Hub, monkeypatch, tmp_path: Path) -> None:
    """Whatever the status is: huggingface_hub reads some headers of a refusal and of a redirect, too."""
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", False)
    hub.write(MODEL, "config.json", b"{}")
    victim = tmp_path / "victim.json"
    victim.write_text("a secret")
    with Eavesdropper() as other:
        xet = {"X-Xet-Hash": "0" * 64, "X-Xet-Refresh-Route": f"{other.url}/refresh"}
        link = {"X-Xet-Hash": "0" * 64, "Link": f'<{other.url}/refresh>; rel="xet-auth"'}
        missing = {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": str(tmp_path / "made")}
        rows: list[dict[str, Any]] = [
            {"status": 404, "headers": missing},
            {"headers": {"Location": "/elsewhere", "ETag": f'"{victim}"'}},
            {"headers": {"Location": "//elsewhere/x", "ETag": f'"{victim}"', "X-Linked-ETag": f'"{victim}"'}},
            {"headers": xet | {"ETag": f'"{tmp_path / "made"}"'}},
            {"headers": xet},
            {"headers": link},
        ]
        for row in rows:
            hub.fail("resolve_head", **row)
            with contextlib.suppress(HubError, OSError, ValueError):
                file = hub_api.api.hf_hub_download(MODEL, "config.json", force_download=True)
                assert Path(file).read_bytes() == b"{}"
        assert other.heard == []
    assert [path.name for path in tmp_path.iterdir()] == ["victim.json"]
    assert victim.read_text() == "a secret"


def test_an_upload_names_no_host_for_the_token(hub: HubServer, push: Callable[..., Result]) -> None:
    """huggingface_hub asks the address that an answer names whether a large file has arrived."""
    with Eavesdropper(status=200) as other:

        def verify_there(content: Any) -> Any:
            for entry in content["objects"]:
                if "actions" in entry:  # else the Hub has the file
                    entry["actions"]["verify"] = {"href": f"{other.url}/verify"}
            return content

        hub.fail("lfs_batch", times=None, change=verify_there)
        push(to=("--repo-id", MODEL))
        assert other.heard
        assert not [heard for heard in other.heard if heard.login]


def test_an_upload_of_a_file_that_was_not_announced_is_explained(hub: HubServer, push: Callable[..., Result]) -> None:
    entry = {"oid": "0" * 64, "size": 1, "actions": {"upload": {"href": f"{hub.url}/elsewhere"}}}
    hub.fail("lfs_batch", times=None, change=lambda content: {**content, "objects": [entry]})
    assert "Not published" in push(to=("--repo-id", MODEL), code=1).stderr


def test_a_revision_is_no_path(hub: HubServer, hub_api: Hub) -> None:
    """huggingface_hub writes a file of its name, if the Hub knows it."""
    repo = hub.repos["model", MODEL]
    repo.refs["refs/heads/../../victim.txt"] = repo.refs["refs/heads/main"]
    hub.write(MODEL, "config.json", b"{}")
    with pytest.raises(HubError, match="points outside its repository"):
        hub_api.api.hf_hub_download(MODEL, "config.json", revision="../../victim.txt")
    assert not (Path(constants.HF_HUB_CACHE) / "victim.txt").exists()


@pytest.mark.parametrize("sha", ["{victim}", "../../victim.txt", "c0ffee", "main"])
def test_a_commit_is_no_path(hub: HubServer, hub_api: Hub, tmp_path: Path, sha: str) -> None:
    """huggingface_hub writes a file of its name."""
    victim = tmp_path / "victim.txt"
    victim.write_text("three years of work")
    hub.fail("repo_info", change=lambda content: content | {"sha": sha.format(victim=victim)})
    with pytest.raises(HubError, match="sha"):
        resolve_commit(hub_api, "model", MODEL)
    assert [path.name for path in tmp_path.iterdir()] == ["victim.txt"]
    assert victim.read_text() == "three years of work"


@pytest.mark.parametrize("name", ["/etc/passwd", "../up.json", "a/../../up.json", "C:/up.json", "a\\..\\up.json"])
def test_a_listing_names_only_files_of_its_repository(hub: HubServer, hub_api: Hub, name: str) -> None:
    hub.fail("tree", change=lambda content: [entry | {"path": name} for entry in content])
    with pytest.raises(HubError, match="points outside its repository"):
        hub_api.api.list_repo_files(MODEL)


def test_an_endpoint_in_another_spelling_is_checked_alike(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", hub.url.replace("http", "HTTP"))
    hub.fail("whoami", times=None, answer=[1, 2])
    with pytest.raises(HubError, match="is invalid"):
        push_files.login(Hub())


def test_what_the_doctor_asks_may_be_answered_oddly(hub: HubServer) -> None:
    hub.create(TWEETS, "dataset")
    states = {}
    for name, fault in ANSWERS.items():
        hub.fail("repo_info", **fault)
        states[name], remark = look_up("dataset", TWEETS)
        assert remark
    assert {name for name, state in states.items() if state != "missing"} == {"nulls for lists"}  # which may be so
    assert look_up("dataset", TWEETS)[0] == "reachable"


@pytest.fixture
def hub_api(hub: HubServer) -> Hub:
    """A Hub with one model."""
    hub.create(MODEL)
    return Hub()


def test_an_answer_is_bounded_once_it_is_unpacked(hub: HubServer, hub_api: Hub, monkeypatch) -> None:
    """100 MB in 100 KB; as an error and as a redirect, too."""
    bomb = gzip.compress(b"[" + b" " * 100_000_000 + b"]")
    monkeypatch.setattr(replies, "LARGEST_ANSWER", 1_000_000)
    for more in ({}, {"status": 500}, {"status": 302, "Location": "/api/models/somebody/else"}):
        headers = {"Content-Encoding": "gzip", "Location": more.pop("Location", "/")}
        hub.reset()
        hub.fail("repo_info", times=None, answer=bomb, headers=headers, **more)
        tracemalloc.start()
        with pytest.raises((HubError, HfHubHTTPError), match="more than 1,000,000 bytes"):
            hub_api.api.repo_info(MODEL)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
        tracemalloc.stop()


def test_an_answer_that_drips_is_given_up(hub: HubServer, hub_api: Hub, monkeypatch) -> None:
    monkeypatch.setattr(replies, "PATIENCE", -1)
    monkeypatch.setattr(replies, "SLOWEST", 10**12)
    with pytest.raises(HubError, match="it arrives at less than"):
        hub_api.api.repo_info(MODEL)


def test_a_file_is_bounded_once_it_is_unpacked(hub: HubServer, hub_api: Hub, monkeypatch) -> None:
    hub.write(MODEL, "config.json", b"{}")
    monkeypatch.setattr(replies, "LARGEST_TEXT", 1_000_000)
    hub.fail("resolve_get", answer=gzip.compress(b" " * 100_000_000), headers={"Content-Encoding": "gzip"})
    with pytest.raises(HubError, match="more than 1,000,000 bytes"):
        hub_api.api.hf_hub_download(MODEL, "config.json")
    hub.fail("resolve_get", answer=gzip.compress(b"{}"), headers={"Content-Encoding": "gzip"})
    assert Path(hub_api.api.hf_hub_download(MODEL, "config.json")).read_bytes() == b"{}"


def test_a_listing_without_an_end_is_given_up(hub: HubServer, hub_api: Hub, monkeypatch) -> None:
    monkeypatch.setattr(replies, "MOST_PAGES", 3)
    pages = (f'<{hub.url}/api/models/{MODEL}/tree/main?p={number}>; rel="next"' for number in itertools.count())
    for _ in range(9):
        hub.fail("tree", headers={"Link": next(pages)})
    with pytest.raises(HubError, match="its next page"):
        hub_api.api.list_repo_files(MODEL)
    hub.reset()
    hub.create(MODEL)
    hub.fail("discussions", times=None, answer=b'{"count": 9, "start": 0, "discussions": []}')
    with pytest.raises(HubError, match="an empty page"):
        list(hub_api.api.get_repo_discussions(MODEL))


def test_the_hubs_client_is_not_asked_to_wait_for_ever(hub: HubServer, hub_api: Hub, impatient: list[float]) -> None:
    """Its own retries believe any number; 61 is a limit of the Hub's, 1 is its own first pause."""
    from huggingface_hub.utils import http_backoff

    far = "Fri, 31 Dec 9999 23:59:59 GMT"
    for name, value, seconds in (
        ("Retry-After", "\u00b2", 1),
        ("Retry-After", "-7", 1),
        ("Retry-After", "9" * 5000, 301),
        ("Retry-After", far, 301),
        ("RateLimit", '"api";r=0;t=60', 61),
        ("RateLimit", '"api";r=0;t=99999999', 1),
        ("RateLimit", f'"api";r=0;t={"9" * 5000}', 1),
    ):
        impatient.clear()
        hub.fail("repo_info", status=429, headers={name: value})
        assert http_backoff("GET", f"{hub.url}/api/models/{MODEL}").status_code == 200
        assert impatient == [seconds], (name, value[:20])
