"""``s140 card`` and ``s140 push-to-hub``: what a run made, for others."""

from __future__ import annotations

import logging
import os
import shlex
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentiment140_bert import run_lock
from sentiment140_bert.cards import model_folder
from sentiment140_bert.data import preparing
from sentiment140_bert.data.corpora import describe
from sentiment140_bert.errors import HubError, RunError
from sentiment140_bert.publishing import pushing
from sentiment140_bert.run_dir import RunDir, write_json
from sentiment140_bert.runs import saved_recipe
from sentiment140_bert.settings import CardConfig
from sentiment140_bert.tracking import tracks

if TYPE_CHECKING:
    from sentiment140_bert.hub.publish import Target

log = logging.getLogger(__name__)
Files = model_folder.Files


@dataclass(frozen=True)
class Destination:
    """Where a run is published. A new dataset is private unless ``private`` is False, a new model public unless it is
    True; without ``private`` what exists stays as it is."""

    repo_id: str | None = None
    dataset_repo_id: str | None = None
    private: bool | None = None
    revision: str | None = None
    create_pr: bool = False
    commit_message: str | None = None
    tag: str | None = None

    def targets(self) -> dict[str, Target]:
        """The dataset first: the model's card names its commit.

        Raises:
            HubError: A name is wrong, or none is given, or options contradict each other.
        """
        from sentiment140_bert.hub import publish

        if self.create_pr and self.revision not in (None, "main"):
            raise HubError("--create-pr and --revision exclude each other.", "A pull request is made from main.")
        for flag, name in (("--tag", self.tag), ("--revision", self.revision)):
            if name is not None and not publish.REF.fullmatch(name):
                raise HubError(f"{flag} {name!r} cannot be a name in git.", "Give one such as v1.0.")
        if self.tag is not None and self.tag == self.revision:
            raise HubError(f"--tag and --revision are both {self.tag}.", "Give them different names.")
        found = {}
        for kind, repo_id in (("dataset", self.dataset_repo_id), ("model", self.repo_id)):
            if repo_id is not None:
                publish.check_name(repo_id, "--repo-id" if kind == "model" else "--dataset-repo-id")
                found[kind] = publish.Target(
                    kind=kind,
                    repo_id=repo_id,
                    private=self.private,
                    revision=self.revision,
                    create_pr=self.create_pr,
                    commit_message=self.commit_message or f"s140 push-to-hub: {kind}",
                    tag=self.tag,
                )
        if not found:
            raise HubError("It is not said where to publish.", "Name it: --repo-id user/model")
        return found


def card(path: Path, repo_id: str | None = None, description: CardConfig | None = None) -> dict[str, Any]:
    """Writes a finished run's model card, and what else goes along with the weights, into its model folder.

    Args:
        path: The run directory.
        repo_id: The id on the Hub that the card is to name.
        description: What its publisher says of the tweets; it is kept in ``data.json``.

    Returns:
        ``card``, its path.

    Raises:
        RunError: The run is not finished, or was scored with other weights.
    """
    from sentiment140_bert.hub import publish

    run = RunDir(path)
    if repo_id is not None:
        publish.check_name(repo_id, "--repo-id")
    metrics = model_folder.finished(run)
    with run_lock.held(path, "writing its card"):
        data = describe(run.read(run.data), description)
        model_folder.files(run, metrics, repo_id, model_folder.own_card(run), data)  # says what is wrong first
        save_description(run, description)
        model_folder.redraw(run, metrics)
        model_folder.complete(run, metrics, repo_id)
    return {"card": str(run.card)}


def push_to_hub(
    path: Path, destination: Destination, description: CardConfig | None = None, *, dry_run: bool = False
) -> dict[str, Any]:
    """Publishes a finished run: its dataset, then its model, each in one commit or not at all.

    Args:
        path: The run directory.
        destination: Where to.
        description: What its publisher says of the tweets; it is kept in ``data.json``.
        dry_run: Only list what would be published; nothing is asked of the network, nothing is written.

    Returns:
        For ``model`` and ``dataset``, as far as they were asked for: ``repo_id``, ``url``, ``commit``, ``changed``,
        ``private``, ``pr_url`` and ``tag``; with ``dry_run`` ``repo_id`` and ``files``, each name with its bytes.

    Raises:
        RunError: The run is not finished.
        SecretError: A file holds a secret; nothing was published.
        HubError: The Hub refused or cannot be reached; the message says what was published and what was not.
    """
    if int(os.environ.get("RANK") or 0):
        return {}  # one of several processes; the first one publishes
    if dry_run:
        return publish(path, destination, description, dry_run=True)
    with run_lock.held(path, "publishing"), tracks.going_on(RunDir(path)):
        return publish(path, destination, description)


def publish(
    path: Path, destination: Destination, description: CardConfig | None = None, *, dry_run: bool = False
) -> dict[str, Any]:
    """As :func:`push_to_hub`, within a tracked run that is open."""
    run = RunDir(path)
    targets = destination.targets()
    metrics = model_folder.finished(run)
    data = describe(run.read(run.data), description)
    if not dry_run and save_description(run, description):
        model_folder.complete(run, metrics)
    with _dataset_files(run, targets, data) as dataset:
        if not dry_run:
            model = model_folder.files(run, metrics, destination.repo_id, None) if "model" in targets else {}
            pushing.checked(run, dataset | model)
            return pushing.plain(pushing.push(run, metrics, targets, dataset, command(run, destination)))
        listed = {}
        if dataset:
            data |= {"published": {"repo_id": destination.dataset_repo_id, "revision": "f" * 40}}
        for kind, target in targets.items():
            files = (
                dataset
                if kind == "dataset"
                else model_folder.files(run, metrics, target.repo_id, model_folder.own_card(run), data)
            )
            pushing.checked(run, files)
            listed[kind] = {
                "repo_id": target.repo_id,
                "files": {name: model_folder.size_of(each) for name, each in files.items()},
            }
        return listed


@contextmanager
def _dataset_files(run: RunDir, targets: dict[str, Target], data: dict[str, Any]) -> Iterator[Files]:
    """The dataset's files, in a folder that vanishes afterwards; none where no dataset is asked for."""
    if "dataset" not in targets:
        yield {}
        return
    from sentiment140_bert.cards.dataset import dataset_card
    from sentiment140_bert.data import publication
    from sentiment140_bert.data.cache import from_cache
    from sentiment140_bert.hub import secrets

    prepared, tokens = from_cache(data) or preparing.tokenized(saved_recipe(run.path))[:2]
    if data["fingerprint"] != tokens.report["fingerprint"]:
        raise RunError(
            f"The data of {run.path} are not what they were when it was trained (the fingerprint differs).",
            "Give the original file back, or publish the model alone.",
        )
    data = {key: value for key, value in data.items() if key != "published"}  # it cannot name its own commit
    model = (
        targets["model"].repo_id if "model" in targets else model_folder.remembered(run).get("model", {}).get("repo_id")
    )
    with tempfile.TemporaryDirectory(prefix="s140-") as folder:
        data["configs"], hashes = publication.write(prepared, tokens, Path(folder), secrets.tweets_checked())
        data["tokenizer"] = data["tokenizer"] | {"splits": hashes}
        text = dataset_card(data, targets["dataset"].repo_id, model)
        files: Files = {str(each.relative_to(folder)): each for each in sorted(Path(folder).rglob("*.parquet"))}
        yield files | {"README.md": text.encode(), "data.json": model_folder.as_json(data)}


def save_description(run: RunDir, description: CardConfig | None) -> bool:
    """Keep what the publisher says of the tweets in ``data.json``; return True if that is new."""
    before = run.read(run.data)
    data = describe(before, description)
    if data != before:
        write_json(run.data, data)
    return data != before


def ready(destination: Destination) -> None:
    """Makes sure, before hours are spent, that there is a login, and a right to write.

    Raises:
        HubError: There is not.
    """
    from sentiment140_bert.hub import publish
    from sentiment140_bert.hub.client import Hub

    targets, hub = destination.targets(), Hub()
    log.info("hub: logged in as %s", publish.login(hub))
    for target in targets.values():
        publish.open_target(hub, target)


def command(run: RunDir, destination: Destination) -> str:
    """The command line of a push."""
    words = ["s140", "push-to-hub", str(run.path)]
    for flag, value in (
        ("--repo-id", destination.repo_id),
        ("--dataset-repo-id", destination.dataset_repo_id),
        ("--revision", destination.revision),
        ("--commit-message", destination.commit_message),
        ("--tag", destination.tag),
    ):
        words += [flag, value] if value else []
    words += [] if destination.private is None else ["--private" if destination.private else "--public"]
    words += ["--create-pr"] if destination.create_pr else []
    return shlex.join(words)
