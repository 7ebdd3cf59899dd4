"""``s140 push-to-hub``: a run's dataset, its model, then its demo, each in one commit or not at all."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentiment140_bert import schemas, trust
from sentiment140_bert.cards.model import (
    Files,
    collect_files,
    read_card,
    read_scores,
    save_description,
    to_json,
    write_model_folder,
)
from sentiment140_bert.data import loading
from sentiment140_bert.data.corpora import add_description
from sentiment140_bert.errors import HubError, RunError, S140Error
from sentiment140_bert.files import Place, write_json, write_text
from sentiment140_bert.locks import expand_folder, lock_folder
from sentiment140_bert.machine.facts import is_first_process
from sentiment140_bert.publishing import origin
from sentiment140_bert.publishing.demo import check_space, collect_demo
from sentiment140_bert.publishing.destination import Destination, explain_failure, refuse_other_files
from sentiment140_bert.publishing.edited_cards import (
    collect_model_files,
    find_revision,
    merge_dataset_card,
    name_place,
)
from sentiment140_bert.publishing.graphs import update_graphs, write_graphs
from sentiment140_bert.recipe import CardConfig
from sentiment140_bert.results import ListedFiles, Pushed, PushResult
from sentiment140_bert.run import RunDir, saved_recipe
from sentiment140_bert.tracking import tracks

if TYPE_CHECKING:
    from sentiment140_bert.hub.client import Hub
    from sentiment140_bert.hub.push import Target

log = logging.getLogger(__name__)
PRECONDITION_FAILED = 412  # another commit came in between
UNKNOWN_COMMIT = "f" * 40  # in place of one that a push will make
ATTEMPTS = 3
RUN_ID_DIGITS = 12
MAX_FILE_SIZE = 50_000_000_000  # the Hub's own limit for one file (huggingface.co/docs/hub/storage-limits)


def push_to_hub(
    path: Place, destination: Destination | str, description: CardConfig | None = None, *, dry_run: bool = False
) -> PushResult:
    """Publish a finished run: its dataset, its model, then its demo, each in one commit or not at all.

    Args:
        path: The run directory.
        destination: The repositories; or the model's alone, as user/model.
        description: What the publisher says about the tweets; it is kept in ``data.json``.
        dry_run: Only list what would be published; nothing is asked of the network, nothing is written.

    Returns:
        ``dataset``, ``model`` and ``space``, as far as the destination names them; with ``dry_run`` their ``files``.

    Raises:
        RunError: The run is not finished.
        SecretError: A file holds a secret; nothing was published.
        HubError: The Hub refused or cannot be reached; the message says what was published and what was not.
    """
    if not is_first_process():
        return PushResult()
    path = expand_folder(path)
    destination = Destination(repo_id=destination) if isinstance(destination, str) else destination
    if dry_run:
        return _list_files(path, destination, description)
    with lock_folder(path, "publishing"), tracks.resume_tracking(RunDir(path)):
        return publish_run(path, destination, description)


def publish_run(path: Path, destination: Destination, description: CardConfig | None = None) -> PushResult:
    """Do the work of :func:`push_to_hub`, within a tracked run that is open."""
    from sentiment140_bert.hub import push
    from sentiment140_bert.hub.client import Hub

    run = RunDir(path)
    metrics = read_scores(run)
    targets = destination.targets(metrics["weights_sha256"][:RUN_ID_DIGITS])
    update_graphs(run, metrics["weights_sha256"], destination.needs_graphs)
    if save_description(run, description):
        write_model_folder(run, metrics)
    with _build_dataset(run, targets, run.read_data()) as dataset:
        model = collect_files(run, metrics, destination.repo_id, None) if "model" in targets else {}
        _check_secrets(run, dataset | model)
        hub = Hub()
        pushed: dict[str, Pushed] = {}
        try:
            log.info("hub: logged in as %s", push.login(hub))
            targets = {kind: push.open_target(hub, target) for kind, target in targets.items()}
            large = _rehearse(hub, run, metrics, targets, dataset)
            for target in targets.values():
                push.hide(hub, target)
            if large:
                push.upload_large(hub, targets["model"], large)
            if "dataset" in targets:
                pushed["dataset"] = _push_dataset(hub, run, targets["dataset"], dataset)
            if "model" in targets:
                pushed["model"] = _push_model(hub, run, metrics, targets["model"])
            if "space" in targets:
                pushed["space"] = _push_space(hub, run, metrics, targets["space"], pushed["model"])
            pushed = {kind: push.finish(hub, targets[kind], done) for kind, done in pushed.items()}
            _note_visibility(run, pushed)
        except S140Error as error:
            raise explain_failure(error, targets, pushed, destination.format_command(run)) from error
    return PushResult(pushed.get("dataset"), pushed.get("model"), pushed.get("space"))


def _list_files(path: Path, destination: Destination, description: CardConfig | None) -> PushResult:
    """Return what would be published, without using the network."""
    run, targets = RunDir(path), destination.targets()
    metrics = read_scores(run)
    data = add_description(run.read_data(), description)
    listed = {}
    with _build_dataset(run, targets, data) as dataset, tempfile.TemporaryDirectory(prefix="s140-") as temporary:
        graphs = Path(temporary) if destination.needs_graphs else None
        if graphs:
            write_graphs(run, metrics["weights_sha256"], graphs)
        if dataset:
            data = {**data, "published": {"repo_id": targets["dataset"].repo_id, "revision": UNKNOWN_COMMIT}}
        for kind, target in targets.items():
            files = dataset
            if kind == "model":
                files = collect_files(run, metrics, target.repo_id, read_card(run), data, graphs)
            elif kind == "space":
                files = collect_demo(run, metrics, target, targets["model"].repo_id, UNKNOWN_COMMIT, graphs=graphs)
            _check_secrets(run, files)
            listed[kind] = ListedFiles(target.repo_id, _measure(files))
    return PushResult(files=listed)


@contextmanager
def _build_dataset(run: RunDir, targets: dict[str, Target], data: schemas.Data) -> Iterator[Files]:
    """Write the dataset's files into a temporary folder; none if no dataset is published."""
    if "dataset" not in targets:
        yield {}
        return
    from sentiment140_bert.cards.dataset import render_dataset_card
    from sentiment140_bert.data import published_dataset
    from sentiment140_bert.data.cache import find_cached
    from sentiment140_bert.hub import secrets

    recipe, is_own = saved_recipe(run.path), run.is_own()
    if not (is_own or origin.is_corpus(recipe.data)):
        raise RunError(
            f"{run.path} was not trained here, and its tweets may be yours: they are not published.",
            "If the run is yours, repeat its `s140 train` command first: it trains nothing, and remembers the run.",
        )
    prepared, tokens = (find_cached(data) if is_own else None) or loading.load_data(recipe)[:2]
    if data["fingerprint"] != tokens.report["fingerprint"]:
        raise RunError(
            f"The data of {run.path} has changed since it was trained (the fingerprint differs).",
            "Restore the original file, or publish only the model.",
        )
    data = {**data}
    data.pop("published", None)  # it cannot name its own commit
    last = run.read_publications().get("model", {})
    model_id = targets["model"].repo_id if "model" in targets else None
    if model_id is None and last.get("private") is False:  # the name of a private one is not for others
        model_id = last.get("repo_id")
    with tempfile.TemporaryDirectory(prefix="s140-") as folder:
        data["configs"], hashes = published_dataset.write_dataset(
            prepared, tokens, Path(folder), secrets.make_tweet_check()
        )
        data["tokenizer"] = data["tokenizer"] | {"splits": hashes}
        text = render_dataset_card(data, targets["dataset"].repo_id, model_id)
        files: Files = {str(file.relative_to(folder)): file for file in sorted(Path(folder).rglob("*.parquet"))}
        yield files | {"README.md": text.encode(), "data.json": to_json(data)}


def _check_secrets(run: RunDir, files: Files) -> None:
    """Search what would be published, and the run's own files, for secrets.

    Raises:
        SecretError: There is one.
    """
    from sentiment140_bert.hub import secrets

    # The tweets of parquet files were searched before they were packed.
    texts = {name: content for name, content in files.items() if not name.endswith(".parquet")}
    published = {content for content in texts.values() if isinstance(content, Path)}
    others = (file for file in sorted(run.path.rglob("*")) if file.is_file() and file not in published)
    own = {str(file.relative_to(run.path)): file for file in others if run.checkpoints not in file.parents}
    secrets.check_files([*texts.items(), *own.items()])


def _rehearse(hub: Hub, run: RunDir, metrics: schemas.Scores, targets: dict[str, Target], dataset: Files) -> Files:
    """Do everything that could still be refused once the first commit is made; return the model's large files, which
    are visible nowhere before the commit."""
    from sentiment140_bert.hub import push

    large: Files = {}
    if "dataset" in targets:
        files = merge_dataset_card(dataset, push.read_card(hub, targets["dataset"])[0])
        _check_sizes(targets["dataset"], files)
        refuse_other_files(hub, run, targets["dataset"], files)
    run.read_publications()
    if "model" in targets:
        files = collect_model_files(hub, run, metrics, targets["model"], push.read_card(hub, targets["model"])[0])
        _check_sizes(targets["model"], files)
        refuse_other_files(hub, run, targets["model"], files)
        large = {name: content for name, content in files.items() if name.endswith((".safetensors", ".onnx"))}
    if "space" in targets:
        check_space(hub, targets["space"], targets["model"])
        card = push.read_card(hub, targets["space"])[0]
        files = collect_demo(run, metrics, targets["space"], targets["model"].repo_id, UNKNOWN_COMMIT, card)
        _check_sizes(targets["space"], files)
        refuse_other_files(hub, run, targets["space"], files)
    return large


def _check_card(files: Files) -> None:
    """Refuse a card with a secret, or of a size that no run may have.

    Raises:
        HubError: It is too large, perhaps by what people wrote into it on the Hub.
        SecretError: It holds a secret.
    """
    from sentiment140_bert.hub import secrets

    secrets.check_files([("README.md", files["README.md"])])
    size, largest = len(bytes(files["README.md"])), trust.LARGEST[".md"]
    if size > largest:
        raise HubError(f"The card would have {size:,} bytes; at most {largest:,} are read.", "Shorten it on the Hub.")


def _measure(files: Files) -> dict[str, int]:
    """Return the bytes of each file."""
    return {
        name: len(content) if isinstance(content, bytes) else content.stat().st_size for name, content in files.items()
    }


def _check_sizes(target: Target, files: Files) -> None:
    """Log how much is published, and refuse what cannot be right.

    Raises:
        HubError: A file is empty, or larger than the Hub takes.
        SecretError: The card, with what people wrote into it on the Hub, holds a secret.
    """
    _check_card(files)
    sizes = _measure(files)
    for name, size in sizes.items():
        if not 0 < size <= MAX_FILE_SIZE:
            raise HubError(f"{name} has {size:,} bytes; the Hub takes up to {MAX_FILE_SIZE:,}.", "Is the run complete?")
    log.info("hub: %s: %d files, %.1f MB", target.name, len(sizes), sum(sizes.values()) / 1e6)


def _push_dataset(hub: Hub, run: RunDir, target: Target, dataset: Files) -> Pushed:
    pushed = _commit_on_latest_card(hub, run, target, lambda card: merge_dataset_card(dataset, card))
    _note_push(run, pushed, target)
    published = {"repo_id": target.repo_id, "revision": pushed.commit}
    write_json(run.data, {**run.read_data(), "published": published})
    return pushed


def _push_model(hub: Hub, run: RunDir, metrics: schemas.Scores, target: Target) -> Pushed:
    """Push the model, and bring its card back, so that the next edit on either side is recognized as one."""
    from sentiment140_bert.hub import fetch

    before = read_card(run)
    pushed = _commit_on_latest_card(hub, run, target, lambda card: collect_model_files(hub, run, metrics, target, card))
    commits = run.read_publications().get("model", {}).get("commits", {})
    text = fetch.read_text(hub, target.kind, target.repo_id, "README.md", pushed.commit) or ""
    if read_card(run) == before:
        write_text(run.card, text)
        commits |= {name_place(target.repo_id, find_revision(pushed, target)): {"commit": pushed.commit}}
    else:
        log.warning("%s was edited meanwhile; push again to publish that", run.card)
    _note_push(run, pushed, target, card=text, commits=commits)
    write_model_folder(run, metrics, target.repo_id)
    return pushed


def _push_space(hub: Hub, run: RunDir, metrics: schemas.Scores, target: Target, model: Pushed) -> Pushed:
    place = (target, model.repo_id, model.commit)
    pushed = _commit_on_latest_card(hub, run, target, lambda card: collect_demo(run, metrics, *place, card))
    _note_push(run, pushed, target)
    return pushed


def _commit_on_latest_card(hub: Hub, run: RunDir, target: Target, make_files: Callable[[str | None], Files]) -> Pushed:
    """Commit on top of the present card; try again if it changed at that moment."""
    from sentiment140_bert.hub import push

    for attempts_left in reversed(range(ATTEMPTS)):
        card, parent = push.read_card(hub, target)
        try:
            files = make_files(card)
            _check_card(files)  # it may have changed since the rehearsal, and so may the others
            refuse_other_files(hub, run, target, files)
            push.check_tag(hub, target, files, parent)
            return push.commit(hub, target, files, parent)
        except HubError as error:
            if error.status != PRECONDITION_FAILED or not attempts_left:
                raise
    raise AssertionError  # the last attempt returns or raises


def _note_push(run: RunDir, pushed: Pushed, target: Target, **more: Any) -> None:
    """Note in ``published.json`` where something was published."""
    revision = find_revision(pushed, target)
    entry = {"repo_id": pushed.repo_id, "url": pushed.url, "commit": pushed.commit, "revision": revision}
    write_json(run.published, run.read_publications() | {pushed.kind: entry | more})


def _note_visibility(run: RunDir, pushed: dict[str, Pushed]) -> None:
    """Note in ``published.json`` who may see what was published."""
    noted = run.read_publications()
    for kind, done in pushed.items():
        noted[kind]["private"] = done.private
    write_json(run.published, noted)
