"""Cards to publish, with what people wrote into them here and on the Hub."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from sentiment140_bert import schemas
from sentiment140_bert.cards import merge
from sentiment140_bert.cards.model import Files, collect_files, read_card
from sentiment140_bert.data.corpora import list_decided_keys
from sentiment140_bert.errors import HubError, RunError
from sentiment140_bert.publishing.destination import find_pushes
from sentiment140_bert.results import Pushed
from sentiment140_bert.run import RunDir

if TYPE_CHECKING:
    from sentiment140_bert.hub.client import Hub
    from sentiment140_bert.hub.push import Target

COMMIT = re.compile(r"\(([0-9a-f]{40})\)")  # of a pull request, in the message of its merge


def merge_dataset_card(dataset: Files, on_hub: str | None) -> Files:
    """Add what people wrote into the dataset's card on the Hub."""
    new, data = (bytes(dataset[name]).decode() for name in ("README.md", "data.json"))
    try:
        card = merge.merge_cards(new, on_hub, list_decided_keys(json.loads(data)))
    except ValueError as error:
        raise HubError(
            f"The dataset's card on the Hub cannot be read: {error}.", "Correct its front matter there."
        ) from None
    return dataset | {"README.md": card.encode()}


def collect_model_files(hub: Hub, run: RunDir, metrics: schemas.Scores, target: Target, on_hub: str | None) -> Files:
    """Collect the files to publish; their card has what was edited here, and on the Hub, since the last push there.

    Raises:
        RunError: The same was edited here and there; or the card here cannot be read.
        HubError: The card there cannot be read.
    """
    here = read_card(run)
    if on_hub is None or here is None:
        return collect_files(run, metrics, target.repo_id, here if on_hub is None else on_hub)
    before = _read_last_card(hub, run, target)
    if before is None:
        before = bytes(collect_files(run, metrics, target.repo_id, None)["README.md"]).decode()
    try:
        merge.parse_card(on_hub)
    except ValueError as error:
        raise HubError(
            f"The card of {target.repo_id} cannot be read: {error}.", "Correct its front matter there."
        ) from None
    try:
        card, conflicts = merge.reconcile(before, here, on_hub)
    except ValueError as error:
        raise RunError(f"{run.card} cannot be read: {error}.", "Correct its front matter.") from None
    if conflicts:
        raise RunError(
            f"The card was edited both in {run.card} and on the Hub ({target.repo_id}): {', '.join(conflicts)}.",
            "Copy what you want to keep into both, and push again.",
        )
    return collect_files(run, metrics, target.repo_id, card)


def _read_last_card(hub: Hub, run: RunDir, target: Target) -> str | None:
    """Return the card of the last push from this run directory that the branch has, under whichever name it went there,
    or by a merged pull request, whose commit names its own; None unless the Hub knows the run."""
    from sentiment140_bert.hub import fetch, push

    history = push.list_commits(hub, target)
    if not find_pushes(hub, run, target, history):
        return None
    noted = {last["commit"] for last in run.read_publications().get("model", {}).get("commits", {}).values()}
    named = (commit for made in history for commit in (made.commit_id, *COMMIT.findall(made.message)))
    commit = next((commit for commit in named if commit in noted), None)
    return None if commit is None else fetch.read_text(hub, target.kind, target.repo_id, "README.md", commit)


def name_place(repo_id: str, revision: str | None) -> str:
    """Return the name of a branch in ``published.json``."""
    return f"{repo_id}@{revision or 'main'}"


def find_revision(pushed: Pushed, target: Target) -> str | None:
    """Return the branch that got a push; None for main."""
    return f"refs/pr/{pushed.pr_url.rpartition('/')[2]}" if pushed.pr_url else target.revision
