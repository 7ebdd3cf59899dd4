"""A pytest plugin for tests of the Hub of our tests: huggingface_hub's client, and a repository."""

from __future__ import annotations

import pytest
from huggingface_hub import CommitOperationAdd, HfApi
from huggingface_hub.utils import HfHubHTTPError

from hub_server import HubServer

MODEL = "tester/model"


@pytest.fixture
def api(hub: HubServer) -> HfApi:
    return HfApi()


@pytest.fixture
def repo(api: HfApi) -> str:
    return api.create_repo(MODEL).repo_id


def add(path: str = "notes.txt", content: bytes = b"hello") -> CommitOperationAdd:
    return CommitOperationAdd(path, content)


def code(error: pytest.ExceptionInfo[HfHubHTTPError]) -> int:
    return error.value.response.status_code


def list_requests(hub: HubServer, *endpoints: str) -> list[tuple[str, int | None]]:
    """Endpoint and status of the requests to these endpoints."""
    return [(request.endpoint, request.status) for request in hub.requests if request.endpoint in endpoints]
