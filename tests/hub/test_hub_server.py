"""The Hub of our tests, asked by huggingface_hub: it keeps the rules of the real one, and fails as it is told to."""

from __future__ import annotations

import http.client
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, constants, hf_hub_download
from huggingface_hub.utils import (
    BadRequestError,
    EntryNotFoundError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
    httpx,
)

from hub_server import SOMEBODYS_TOKEN, Account, HubServer

MODEL = "tester/model"


@pytest.fixture
def api(hub: HubServer) -> HfApi:
    return HfApi()


@pytest.fixture
def repo(api: HfApi) -> str:
    return api.create_repo(MODEL).repo_id


def add(path: str = "notes.txt", content: bytes = b"hello") -> CommitOperationAdd:
    return CommitOperationAdd(path, content)


@contextmanager
def refused(status: int, words: str | None = None, kind: type[HfHubHTTPError] = HfHubHTTPError) -> Iterator[None]:
    with pytest.raises(kind, match=words) as caught:
        yield
    assert caught.value.response.status_code == status


def list_requests(hub: HubServer, *endpoints: str) -> list[tuple[str, int | None]]:
    return [(request.endpoint, request.status) for request in hub.requests if request.endpoint in endpoints]


def test_accounts_see_and_write_what_they_may(hub: HubServer, api: HfApi, repo: str) -> None:
    assert (hub.url, os.environ["HF_HOME"]) == (constants.ENDPOINT, constants.HF_HOME)
    assert (api.whoami()["name"], api.whoami(token=SOMEBODYS_TOKEN)["name"]) == ("tester", "somebody")
    with refused(401, "Invalid user token"):
        api.whoami(token="hf_unknown")
    with refused(409, "You already created this model repo"):
        api.create_repo(MODEL)
    with refused(403, 'namespace "strangers"'):
        api.create_repo("strangers/model")
    hub.accounts["hf_read"] = Account("tester", role="read")
    for token, status, words in (
        (SOMEBODYS_TOKEN, 403, "You don't have the rights to write"),
        ("hf_read", 403, "the token may only read"),
        (False, 401, None),
    ):
        with refused(status, words):
            api.create_commit(repo, [add()], commit_message="mine", token=token)
    proposal = api.create_commit(repo, [add()], commit_message="mine", token=SOMEBODYS_TOKEN, create_pr=True)
    api.create_commit(repo, [add("b")], commit_message="more", token=SOMEBODYS_TOKEN, revision=proposal.pr_revision)
    assert hub.files(repo, revision="refs/pr/1").keys() == {".gitattributes", "notes.txt", "b"}
    assert hub.files(repo).keys() == {".gitattributes"}
    api.update_repo_settings(MODEL, private=True)
    for token, status in ((SOMEBODYS_TOKEN, 404), (False, 401)):
        with refused(status, kind=RepositoryNotFoundError):
            api.model_info(MODEL, token=token)


def test_a_folder_is_one_commit_and_the_same_folder_none(hub: HubServer, api: HfApi, repo: str, tmp_path: Path) -> None:
    sent = {"README.md": b"---\nlicense: mit\n---\n", "deep/model.safetensors": bytes(9_000), "empty.bin": b""}
    for name, content in sent.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    first, again = (api.upload_folder(repo_id=repo, folder_path=tmp_path, commit_message="All of it") for _ in range(2))
    assert first.oid == again.oid == hub.head(repo)
    assert {name: hub.files(repo)[name] for name in sent} == sent
    assert [commit.title for commit in hub.commits(repo)] == ["All of it", "initial commit"]
    sending = list_requests(hub, "lfs_upload", "lfs_verify", "commit")
    assert sending == [("lfs_upload", 200), ("lfs_verify", 200), ("commit", 200)]
    hub.write(repo, "README.md", b"changed on the website")
    assert Path(hf_hub_download(repo, "README.md")).read_text() == "changed on the website"
    for revision, name, kind in (("main", "nothing", EntryNotFoundError), ("nowhere", "a", RevisionNotFoundError)):
        with refused(404, kind=kind):
            hf_hub_download(repo, name, revision=revision)


def test_a_commit_is_whole_and_on_top_of_the_named_one(hub: HubServer, api: HfApi, repo: str) -> None:
    first = hub.head(repo)
    api.create_commit(repo, [add()], commit_message="one", parent_commit=first)
    with refused(412, "A commit has happened since"):
        api.create_commit(repo, [add("new.txt")], commit_message="two", parent_commit=first)
    with refused(404, "doesn't exist", EntryNotFoundError):
        api.create_commit(repo, [add("new.txt"), CommitOperationDelete("nothing")], commit_message="two")
    with pytest.raises(ValueError, match="Invalid metadata in README"):
        api.create_commit(repo, [add("README.md", b"---\na: [\n---\n")], commit_message="two")
    large = add("model.safetensors", b"weights")
    large._upload_mode, large._should_ignore, large._is_uploaded = "lfs", False, True
    with refused(400, "Offending file: model.safetensors", BadRequestError):
        api.create_commit(repo, [large], commit_message="never uploaded")
    assert hub.files(repo).keys() == {".gitattributes", "notes.txt"}


def test_branches_and_tags_are_made_once(hub: HubServer, api: HfApi, repo: str) -> None:
    for make in (lambda: api.create_branch(repo, branch="a/b"), lambda: api.create_tag(repo, tag="v1")):
        make()
        with refused(409):
            make()
    api.create_commit(repo, [add()], commit_message="on it", revision="a/b")
    refs = {ref.name: ref.target_commit for refs in (api.list_repo_refs(repo),) for ref in refs.branches + refs.tags}
    assert refs == {name: hub.head(repo, revision=name) for name in ("main", "a/b", "v1")}
    assert refs["main"] == refs["v1"] != refs["a/b"]


def test_faults_happen_as_often_as_named(hub: HubServer, api: HfApi, repo: str) -> None:
    hub.fail("preupload", status=429, retry_after=0)  # tried again by the client, a commit is not
    hub.fail("commit", status=503)
    with refused(503, "told to answer 503"):
        api.create_commit(repo, [add()], commit_message="one")
    assert list_requests(hub, "preupload", "commit") == [("preupload", 429), ("preupload", 200), ("commit", 503)]
    for fault, titles in (({"reset": True}, ["initial commit"]), ({"lose_response": True}, ["one", "initial commit"])):
        hub.fail("commit", **fault)
        with pytest.raises(httpx.NetworkError):
            api.create_commit(repo, [add()], commit_message="one")
        assert [commit.title for commit in hub.commits(repo)] == titles
    content = bytes(range(256)) * 5
    hub.write(repo, "data.bin", content)
    hub.fail("resolve_get", truncate=True)
    assert Path(hf_hub_download(repo, "data.bin")).read_bytes() == content  # the client begins again
    assert list_requests(hub, "resolve_get") == [("resolve_get", 200)] * 2
    with pytest.raises(ValueError, match="no such endpoint"):
        hub.fail("comit", status=500)


def test_a_stall_ends_with_the_server() -> None:
    answers: list[int | OSError] = []

    def ask(port: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        try:
            connection.request("GET", "/api/whoami-v2")
            answers.append(connection.getresponse().status)
        except OSError as error:
            answers.append(error)

    server = HubServer().start()
    for end in (server.reset, server.stop):
        server.fail("whoami", stall=600)
        client = threading.Thread(target=ask, args=(server.port,))
        client.start()
        while not server.requests:
            assert client.is_alive()
        end()
        client.join(60)
        assert isinstance(answers[-1], ConnectionError)
    ask(server.port)
    assert isinstance(answers[-1], ConnectionRefusedError)
    with server:  # at the same address again
        ask(server.port)
    assert answers[-1] == 401
