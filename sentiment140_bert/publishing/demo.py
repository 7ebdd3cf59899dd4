"""The Space with a demo that is published with a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sentiment140_bert import schemas
from sentiment140_bert.cards import merge
from sentiment140_bert.cards.demo import PAGE, render_demo, render_demo_card
from sentiment140_bert.cards.model import Files, collect_run_facts
from sentiment140_bert.credentials import strip_passwords
from sentiment140_bert.errors import HubError
from sentiment140_bert.run import GRAPHS, RunDir

if TYPE_CHECKING:
    from sentiment140_bert.hub.client import Hub
    from sentiment140_bert.hub.push import Target


def collect_demo(
    run: RunDir,
    metrics: schemas.Scores,
    target: Target,
    model_id: str,
    commit: str,
    card_before: str | None = None,
    graphs: Path | None = None,
) -> Files:
    """Return the files of a Space.

    Args:
        run: The run of the model.
        metrics: The content of its ``metrics.json``.
        target: The Space.
        model_id: The model's id on the Hub.
        commit: The commit of the model that the page loads.
        card_before: The README that the Space has.
        graphs: The folder with ``onnx/``, if that is not the model's.

    Raises:
        HubError: The Space's README cannot be read.
    """
    from huggingface_hub import constants

    endpoint = strip_passwords(constants.ENDPOINT)
    facts = collect_run_facts(run, metrics, None, graphs)
    graph = (graphs or run.model) / GRAPHS["int8"]
    try:
        card = render_demo_card(model_id, target.repo_id, endpoint, card_before)
    except ValueError as error:
        raise HubError(
            f"The card of {target.name} cannot be read: {error}.", "Correct its front matter there."
        ) from None
    title = merge.parse_card(card).metadata["title"]
    page = render_demo(facts, str(title), model_id, commit, endpoint, graph.stat().st_size)
    return {"README.md": card.encode(), PAGE: page.encode()}


def check_space(hub: Hub, space: Target, model: Target) -> None:
    """Make sure that the page will be able to load the model.

    Raises:
        HubError: The model is private.
    """
    from sentiment140_bert.hub import push

    if model.private is None and push.is_private(hub, model):
        raise HubError(
            f"{model.name} is private, and the page of {space.name} loads it without a login.",
            f"Make {model.repo_id} public in its settings on the Hub, or omit --space-repo-id.",
        )
