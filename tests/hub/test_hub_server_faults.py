"""Let the Hub of our tests fail in every way that it offers."""

from __future__ import annotations

import http.client
import threading
from pathlib import Path

import pytest
from huggingface_hub import (
    HfApi,
    hf_hub_download,
)
from huggingface_hub.utils import (
    HfHubHTTPError,
    httpx,
)

from hub_api_fixtures import MODEL, add, code, list_requests
from hub_server import ENDPOINTS, HubServer

pytest_plugins = "hub_api_fixtures"


def test_fault_status(hub: HubServer, api: HfApi, repo: str) -> None:
    hub.fail("commit", status=503)
    hub.fail("preupload", status=429, retry_after=0)
    with pytest.raises(HfHubHTTPError, match="told to answer 503") as caught:
        api.create_commit(repo, [add()], commit_message="one")  # preupload is tried again, commit is not
    assert code(caught) == 503
    assert list_requests(hub, "preupload", "commit") == [("preupload", 429), ("preupload", 200), ("commit", 503)]
    assert len(hub.commits(repo)) == 1
    api.create_commit(repo, [add()], commit_message="one")
    hub.fail("whoami", status=500, times=None)
    for _ in range(3):
        with pytest.raises(HfHubHTTPError):
            api.whoami()
    with pytest.raises(ValueError, match="no such endpoint"):
        hub.fail("comit", status=500)


def test_fault_reset_does_nothing(hub: HubServer, api: HfApi) -> None:
    hub.fail("create_repo", reset=True)
    with pytest.raises(httpx.NetworkError):
        api.create_repo(MODEL)
    assert not hub.repos
    assert list_requests(hub, "create_repo") == [("create_repo", None)]
    api.create_repo(MODEL)


def test_fault_lose_response_does_the_work(hub: HubServer, api: HfApi, repo: str) -> None:
    hub.fail("commit", lose_response=True)
    with pytest.raises(httpx.NetworkError):
        api.create_commit(repo, [add()], commit_message="one")
    assert [commit.title for commit in hub.commits(repo)] == ["one", "initial commit"]


def test_fault_truncate_sends_half(hub: HubServer, repo: str) -> None:
    content = bytes(range(256)) * 5
    hub.write(repo, "data.bin", content)
    hub.fail("resolve_get", truncate=True)
    assert Path(hf_hub_download(repo, "data.bin")).read_bytes() == content  # the client begins again
    assert list_requests(hub, "resolve_get") == [("resolve_get", 200)] * 2


def test_fault_stall_ends_with_the_server() -> None:
    got: list[int | OSError] = []

    def ask(port: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        try:
            connection.request("GET", "/api/whoami-v2")
            got.append(connection.getresponse().status)
        except OSError as error:
            got.append(error)

    server = HubServer().start()
    for end in (server.reset, server.stop):
        server.fail("whoami", stall=600)
        client = threading.Thread(target=ask, args=(server.port,))
        client.start()
        while not server.requests:
            assert client.is_alive()
        end()
        client.join(60)
        assert isinstance(got[-1], ConnectionError)
    ask(server.port)
    assert isinstance(got[-1], ConnectionRefusedError)
    with server:  # at the same address again
        server.fail("whoami", stall=0.01)
        ask(server.port)
    assert got[-1] == 401
    assert {request.endpoint for request in server.requests} < set(ENDPOINTS)
