"""The steps of a push that need the network: dataset, then model, each in one commit."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentiment140_bert.cards import model_folder
from sentiment140_bert.cards.model_folder import Files
from sentiment140_bert.data.corpora import list_decided_keys
from sentiment140_bert.errors import HubError, RunError, S140Error
from sentiment140_bert.run_dir import RunDir, write_json, write_text

if TYPE_CHECKING:
    from sentiment140_bert.hub.client import Hub
    from sentiment140_bert.hub.publish import Pushed, Target

log = logging.getLogger(__name__)
CHANGED_MEANWHILE = 412
ATTEMPTS = 3
LARGEST_FILE = 50_000_000_000  # the Hub's own limit for one file (huggingface.co/docs/hub/storage-limits)


def push(
    run: RunDir, metrics: dict[str, Any], targets: dict[str, Target], dataset: Files, go_on: str
) -> dict[str, Pushed]:
    """Publishes what was asked for.

    Args:
        run: Finished.
        metrics: Its scores.
        targets: ``dataset``, ``model`` or both.
        dataset: The dataset's files.
        go_on: The command that does this again.

    Raises:
        S140Error: It did not succeed; the message says what was published and what was not.
    """
    from sentiment140_bert.hub import publish
    from sentiment140_bert.hub.client import Hub

    done: dict[str, Pushed] = {}
    hub = Hub()
    try:
        log.info("hub: logged in as %s", publish.login(hub))
        targets = {kind: publish.open_target(hub, target) for kind, target in targets.items()}
        _rehearse(hub, run, metrics, targets, dataset)
        if "dataset" in targets:
            done["dataset"] = _with_latest_card(hub, targets["dataset"], lambda text: _with(dataset, text))
            _remember(run, done["dataset"], targets["dataset"])
            published = {"repo_id": targets["dataset"].repo_id, "revision": done["dataset"].commit}
            write_json(run.data, run.read(run.data) | {"published": published})
        if "model" in targets:
            target = targets["model"]
            done["model"] = _with_latest_card(hub, target, lambda text: _model_files(run, metrics, target, text))
            _keep_card(hub, run, metrics, target, done["model"])
        for kind, pushed in done.items():
            done[kind] = publish.finish(hub, targets[kind], pushed)
    except S140Error as error:
        raise _what_happened(error, targets, done, go_on) from error
    return done


def _rehearse(hub: Hub, run: RunDir, metrics: dict[str, Any], targets: dict[str, Target], dataset: Files) -> None:
    """Everything that could still be refused once the first commit is made; and the large files, which show nowhere."""
    from sentiment140_bert.hub import publish

    if "dataset" in targets:
        _tell_size(targets["dataset"], _with(dataset, publish.readme(hub, targets["dataset"])[0]))
    model_folder.remembered(run)
    if "model" in targets:
        files = _model_files(run, metrics, targets["model"], publish.readme(hub, targets["model"])[0])
        _tell_size(targets["model"], files)
        weights: Files = {name: each for name, each in files.items() if name.endswith(".safetensors")}
        publish.upload_large(hub, targets["model"], weights)


def _tell_size(target: Target, files: Files) -> None:
    """Says how much goes out, and refuses what cannot be right.

    Raises:
        HubError: A file is empty, or larger than the Hub takes.
    """
    sizes = {name: model_folder.size_of(each) for name, each in files.items()}
    for name, size in sizes.items():
        if not 0 < size <= LARGEST_FILE:
            raise HubError(f"{name} has {size:,} bytes; the Hub takes up to {LARGEST_FILE:,}.", "Is the run whole?")
    log.info("hub: %s: %d files, %.1f MB", target.name, len(sizes), sum(sizes.values()) / 1e6)


def _with_latest_card(hub: Hub, target: Target, files_with: Callable[[str | None], Files]) -> Pushed:
    """A commit on top of the card that is there; once more where somebody changed it at that very moment."""
    from sentiment140_bert.hub import publish

    for left in reversed(range(ATTEMPTS)):
        on_hub, parent = publish.readme(hub, target)
        try:
            files = files_with(on_hub)
            publish.check_tag(hub, target, files, parent)
            return publish.commit(hub, target, files, parent)
        except HubError as error:
            if error.status != CHANGED_MEANWHILE or not left:
                raise
    raise AssertionError  # the last attempt returns or raises


def _with(dataset: Files, on_hub: str | None) -> Files:
    """The dataset's files, with what people wrote into its card on the Hub."""
    from sentiment140_bert.cards import sections

    new, data = (bytes(dataset[name]).decode() for name in ("README.md", "data.json"))
    try:
        return dataset | {"README.md": sections.merged(new, on_hub, list_decided_keys(json.loads(data))).encode()}
    except ValueError as error:
        raise HubError(
            f"The dataset's card on the Hub cannot be read: {error}.", "Mend its front matter there."
        ) from None


def _model_files(run: RunDir, metrics: dict[str, Any], target: Target, on_hub: str | None) -> Files:
    return model_folder.files(run, metrics, target.repo_id, _latest_card(run, on_hub, target))


def _latest_card(run: RunDir, on_hub: str | None, target: Target) -> str | None:
    """The card whose hand-written text counts: the one that was edited since the last push to this place.

    Raises:
        RunError: Both were, and they differ; or one cannot be read.
    """
    from sentiment140_bert.cards import sections

    here = model_folder.own_card(run)
    last = model_folder.remembered(run).get("model", {})
    same_place = (last.get("repo_id"), last.get("revision")) == (target.repo_id, target.revision)
    before = last.get("handwritten", "") if same_place else ""
    try:
        own = sections.parse(here).handwritten if here else before
    except ValueError as error:
        raise RunError(f"{run.card} cannot be read: {error}.", "Mend its front matter.") from None
    try:
        theirs = sections.parse(on_hub).handwritten if on_hub else before
    except ValueError as error:
        raise HubError(
            f"The card of {target.repo_id} cannot be read: {error}.", "Mend its front matter there."
        ) from None
    if before not in (own, theirs) and own != theirs:
        raise RunError(
            f"The card was edited both in {run.card} and on the Hub ({target.repo_id}).",
            "Copy one's text into the other, and push again.",
        )
    if on_hub is None or here is None:
        return here if on_hub is None else on_hub
    known = last.get("front", {}) if same_place else {}
    said_here = sections.said_by_people(sections.parse(here))
    news = {key: value for key, value in said_here.items() if same_place and known.get(key) != value}
    chosen, other = (here, on_hub) if own != before else (on_hub, here)
    return sections.with_metadata_of(chosen, other, news)


def _keep_card(hub: Hub, run: RunDir, metrics: dict[str, Any], target: Target, pushed: Pushed) -> None:
    """Brings the card that was published home, so that the next edit on either side is known for one."""
    from sentiment140_bert.cards import sections
    from sentiment140_bert.hub import fetch

    text = fetch.read_text(hub, target.kind, target.repo_id, "README.md", pushed.commit)
    if text is not None:
        write_text(run.card, text)
        card = sections.parse(text)
        _remember(run, pushed, target, handwritten=card.handwritten, front=sections.said_by_people(card))
    model_folder.complete(run, metrics, target.repo_id)


def _remember(run: RunDir, pushed: Pushed, target: Target, **more: Any) -> None:
    """Notes in ``published.json`` where something went."""
    revision = f"refs/pr/{pushed.pr_url.rpartition('/')[2]}" if pushed.pr_url else target.revision
    entry = {"repo_id": pushed.repo_id, "url": pushed.url, "commit": pushed.commit, "revision": revision}
    write_json(run.published, model_folder.remembered(run) | {pushed.kind: entry | more})


def _what_happened(error: S140Error, targets: dict[str, Target], done: dict[str, Pushed], go_on: str) -> S140Error:
    """The same error, saying also what was published, what was not, and how to go on."""
    left = [target.name for kind, target in targets.items() if kind not in done]
    state = [f"Published: {kind} {each.repo_id} (commit {each.commit[:12]})." for kind, each in done.items()]
    state += [f"Not published: {', '.join(left)}."] if left else []
    told = HubError(f"{error.message}\n{' '.join(state)}", f"{error.hint} Then: {go_on}".strip())
    told.exit_code = error.exit_code
    return told


def plain(done: dict[str, Pushed]) -> dict[str, Any]:
    """What was published, as JSON."""
    return {kind: dataclasses.asdict(each) for kind, each in done.items()}


def checked(run: RunDir, files: Files) -> None:
    """Looks for secrets in what would be published and in the run's own files.

    Raises:
        SecretError: There is one.
    """
    from sentiment140_bert.hub import secrets

    # Of parquet files the tweets were looked at before they were packed.
    texts = {name: each for name, each in files.items() if not name.endswith(".parquet")}
    known = {each for each in texts.values() if isinstance(each, Path)}
    others = (each for each in sorted(run.path.rglob("*")) if each.is_file() and each not in known)
    own = {str(each.relative_to(run.path)): each for each in others if run.checkpoints not in each.parents}
    secrets.check_files([*texts.items(), *own.items()])
