"""``s140 push-to-hub --space-repo-id``: the Space on the Hub, and what is refused. The page itself is tested in
e2e/test_demo_page.py."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from hub_repositories import Blob
from hub_server import HubServer
from on_hub import MODEL, changed_by_last, titles
from report_page import Elements
from sentiment140_bert.cards.merge import parse_card

pytest.importorskip("onnxscript", reason="the extra onnx is not installed")
pytest_plugins = "hub_fixtures"

Push = Callable[..., Result]
SPACE = "tester/demo"
BOTH = ("--repo-id", MODEL, "--space-repo-id", SPACE)


def read_page(hub: HubServer) -> tuple[str, dict[str, Any]]:
    """Return the page's text, and the settings of its script."""
    page = hub.files(SPACE, "space")["index.html"].decode()
    settings = re.search(r'id="settings">(.*?)</script>', page)
    assert settings
    return Elements(page).text, json.loads(settings[1])


def test_it_is_published_after_its_model_and_only_if_something_changed(
    hub: HubServer, run_copy: Path, push: Push
) -> None:
    listed = json.loads(push("--dry-run", "--json", to=BOTH).stdout)
    assert listed["space"]["files"].keys() == {"README.md", "index.html"}
    assert "onnx/model_quantized.onnx" in listed["model"]["files"]
    assert not hub.repos
    result = json.loads(push("--json", to=BOTH).stdout)
    assert result["space"]["url"] == f"{hub.url}/spaces/{SPACE}"
    assert not result["space"]["private"]
    settings = read_page(hub)[1]
    assert settings["revision"] == result["model"]["commit"] == hub.head(MODEL)
    assert settings["bytes"] == len(hub.files(MODEL)["onnx/model_quantized.onnx"])
    card = parse_card(hub.files(SPACE, "space")["README.md"].decode())
    assert card.metadata["sdk"] == "static"
    assert card.metadata["models"] == [MODEL]
    assert not json.loads(push("--json", to=BOTH).stdout)["space"]["changed"]
    assert titles(hub, SPACE, "space") == ["s140 push-to-hub: space", "initial commit"]


def test_its_numbers_are_those_of_the_run(hub: HubServer, run_copy: Path, push: Push) -> None:
    push(to=BOTH)
    (text, settings), metrics = read_page(hub), json.loads((run_copy / "metrics.json").read_text())
    for name in ("test", "manual"):
        score = metrics["splits"][name]["accuracy"]
        limits = f"{100 * score['low']:.1f} to {100 * score['high']:.1f}%"
        assert f"{100 * score['value']:.1f}% of {metrics['splits'][name]['n']} " in text
        assert f"(95% confidence interval: {limits})" in text
    assert settings["temperature"] == metrics["temperature"]["value"]
    assert settings["neutral_below"] == metrics["abstention"]["threshold"]
    for example in metrics["examples"]:
        assert example["text"] in text
    agree = json.loads(hub.files(MODEL)["onnx/export.json"])["graphs"]["int8"]["labels_agree"]
    assert f"eight bits; {agree} of " in text


def test_what_its_owner_changes_on_the_hub_stays(hub: HubServer, run_copy: Path, push: Push) -> None:
    push(to=BOTH)
    card = hub.files(SPACE, "space")["README.md"].decode()
    edited = card.replace("title: demo", "title: '<b>Try</b> it'").replace("emoji: 💬", "emoji: 🎈")
    hub.write(SPACE, "README.md", (edited + "\nMade by hand.\n").encode(), "space")
    hub.write(SPACE, "notes.txt", b"of its owner", "space")
    push(to=BOTH)
    files = hub.files(SPACE, "space")
    assert "Made by hand." in files["README.md"].decode()
    assert parse_card(files["README.md"].decode()).metadata["emoji"] == "🎈"
    assert "<h1>&lt;b&gt;Try&lt;/b&gt; it</h1>" in files["index.html"].decode()
    assert files["notes.txt"] == b"of its owner"
    assert changed_by_last(hub, SPACE, "space") == {"README.md", "index.html"}


def test_another_app_is_not_replaced(hub: HubServer, run_copy: Path, push: Push) -> None:
    hub.create(SPACE, "space")
    hub.write(SPACE, "app.py", b"import gradio", "space")
    refused = push(to=BOTH, code=1)
    assert f"space {SPACE} holds files that `s140 push-to-hub` did not write: app.py." in refused.output
    assert (MODEL not in {repo_id for _, repo_id in hub.repos}) or titles(hub, MODEL) == ["initial commit"]
    assert hub.files(SPACE, "space").keys() == {".gitattributes", "app.py"}


@pytest.mark.parametrize("front", ["", "---\nsdk: gradio\n---\n"])
def test_a_space_with_one_commit_may_be_a_persons(hub: HubServer, run_copy: Path, push: Push, front: str) -> None:
    """Its owner squashed it, or copied it from another one; or there is a README alone."""
    first = hub.create(SPACE, "space").at("main")
    if front:
        first.files["README.md"] = Blob(front.encode())
    else:
        first.files.update({"index.html": Blob(b"<h1>Mine</h1>"), "style.css": Blob(b"p {}")})
    assert "holds files that `s140 push-to-hub` did not write" in push(to=BOTH, code=1).output
    assert len(titles(hub, SPACE, "space")) == 1


def test_a_private_model_has_no_demo(hub: HubServer, run_copy: Path, push: Push) -> None:
    hub.create(MODEL, private=True)
    refused = push(to=BOTH, code=1)
    assert "is private, and the page of space tester/demo loads it without a login" in " ".join(refused.output.split())
    assert titles(hub, MODEL) == titles(hub, SPACE, "space") == ["initial commit"]
    assert "--public" not in refused.output  # that would show a private dataset, too
    assert push("--public", to=BOTH).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--space-repo-id", SPACE), "--space-repo-id shows a model, but no model is published"),
        ((*BOTH, "--create-pr"), "--space-repo-id and --create-pr exclude each other"),
        ((*BOTH, "--private"), "--space-repo-id and --private exclude each other"),
        (("--repo-id", MODEL, "--space-repo-id", "demo"), "--space-repo-id 'demo' has no owner"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_asked(
    hub: HubServer, run_copy: Path, push: Push, arguments: tuple[str, ...], message: str
) -> None:
    assert message in " ".join(push(to=arguments, code=1).output.split())
    assert not hub.requests
