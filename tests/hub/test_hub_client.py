"""Retry calls of huggingface_hub, and explain their errors."""

from __future__ import annotations

import ast
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled
from huggingface_hub.utils import httpx

from sentiment140_bert.errors import HubError
from sentiment140_bert.hub import client

pytest_plugins = "hub_fixtures"


# What other folders may import of huggingface_hub: types, errors, its folders, and whether there is a login.
NO_CALLS = {
    *("DatasetCard", "EvalResult", "EvalResultEntry", "ModelCard", "ModelCardData", "eval_result_entries_to_yaml"),
    *("constants", "get_token", "try_to_load_from_cache"),
    *("huggingface_hub.errors", "huggingface_hub.repocard", "huggingface_hub.utils", "huggingface_hub.utils.sha"),
}


def test_only_this_folder_calls_the_hub() -> None:
    package = Path(client.__file__).parents[1]
    imports = {
        (file.parent.name, name.name if node.module == "huggingface_hub" else node.module)
        for file in package.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("huggingface_hub")
        for name in node.names
    }
    assert ("hub", "HfApi") in imports
    assert {(folder, name) for folder, name in imports if folder != "hub" and name not in NO_CALLS} == set()


def answered(status: int, headers: dict[str, Any] | None = None) -> HfHubHTTPError:
    """The client's error for such an answer."""
    request = httpx.Request("GET", "http://127.0.0.1/")
    return HfHubHTTPError("no", response=httpx.Response(status, headers=headers, request=request))


def attempt(*errors: Exception) -> str:
    """Do something that fails with these errors, one after the other, and then succeeds."""
    left = list(errors)

    def call() -> str:
        if left:
            raise left.pop(0)
        return "done"

    return client.Hub().retry("trying", call)


def test_how_long_it_waits(impatient: list[float]) -> None:
    """It is the time that the Hub asks for, at most five minutes; else it grows."""
    now = datetime.now(UTC)
    late, soon, past = (format_datetime(now + timedelta(seconds=at), usegmt=True) for at in (7_200, 250, -7_200))
    odd = ("\u00b2", "\u0661", "-5", "1e9", "soon", "", "Mon, 32 Foo 2026")
    expected_waits = {"17": 17, "100000": 300, "9" * 5000: 300, "0": 1, late: 300, past: 1, **dict.fromkeys(odd, 1)}
    expected_waits |= {f"Fri, 31 Dec 9999 23:59:59 {zone}": 300 for zone in ("GMT", "-2359", "-0000")}
    waited = {}
    for header in expected_waits:
        impatient.clear()
        assert attempt(answered(503, {"Retry-After": header.encode()})) == "done"
        (waited[header],) = impatient
    assert waited == expected_waits
    impatient.clear()
    attempt(answered(429, {"Retry-After": soon}))
    assert 100 < impatient[0] <= 250
    impatient.clear()
    attempt(answered(500), answered(429, {"Retry-After": "9"}), httpx.ReadTimeout("silence"))
    assert impatient == [1, 9, 4]


def test_what_is_tried_again(impatient: list[float]) -> None:
    """Faults of the network and of the server, and being asked to wait; four attempts, and no more."""
    again = {status for status in range(400, 600) if client.may_pass(answered(status))}
    assert again == {408, 425, 429, 500, 502, 503, 504}
    network = [httpx.ReadTimeout("x"), httpx.ConnectError("x"), ConnectionResetError(), TimeoutError()]
    assert [attempt(error) for error in network] == ["done"] * 4
    for error in (httpx.UnsupportedProtocol("x"), OfflineModeIsEnabled("x"), ValueError("x"), answered(404)):
        impatient.clear()
        with pytest.raises(HubError):
            attempt(error)
        assert impatient == []
    assert attempt(*[answered(503)] * 3) == "done"
    with pytest.raises(HubError, match="Trying: the Hub answered 503"):
        attempt(*[answered(503)] * 4)


def test_what_an_error_says() -> None:
    absent = {"X-Error-Code": "RepoNotFound"}
    rows = [
        (answered(401), 401, "does not accept the login"),
        (answered(401, absent), 404, "not found"),
        (answered(404, {"X-Error-Message": "No such thing."}), 404, "not found (No such thing)"),
        (answered(403), 403, "permission denied"),
        (answered(412), 412, "it has changed in the meantime"),
        (answered(418), 418, "the Hub answered 418"),
        (httpx.ConnectError("x"), None, "http://there cannot be reached: no answer (ConnectError)"),
        (ValueError("odd\nlines"), None, "odd"),
    ]
    for error, status, text in rows:
        explained = client.explain(error, "reading it", "http://there")
        problem = explained.message
        assert (explained.status, problem.partition(": ")[0], text in problem) == (status, "Reading it", True)
