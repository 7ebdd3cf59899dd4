"""``s140 card`` and ``s140 push-to-hub``: what a run made, for others."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import shlex
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentiment140_bert.errors import HubError, RunError, S140Error
from sentiment140_bert.recipe import Recipe
from sentiment140_bert.run_dir import RunDir, sha256_of, write_json, write_text
from sentiment140_bert.workflows import preparing
from sentiment140_bert.workflows.runs import public, saved_recipe, title_of

if TYPE_CHECKING:
    from sentiment140_bert.hub.client import Hub
    from sentiment140_bert.hub.publish import Pushed, Target

log = logging.getLogger(__name__)
Files = dict[str, Path | bytes]
# Of a model folder; whatever is on neither list stays here: pickles, optimizer state, notes.
WEIGHTS = ("config.json", "model*.safetensors", "model.safetensors.index.json")
TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.txt")
EVAL_RESULTS = ".eval_results/sentiment140.yaml"


@dataclass(frozen=True)
class Destination:
    """Where a run is published. A dataset is private unless ``private`` is False, a model public unless it is True."""

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
        found = {}
        for kind, repo_id in (("dataset", self.dataset_repo_id), ("model", self.repo_id)):
            if repo_id:
                publish.check_name(repo_id, "--repo-id" if kind == "model" else "--dataset-repo-id")
                found[kind] = publish.Target(
                    kind=kind,
                    repo_id=repo_id,
                    private=True if kind == "dataset" and self.private is None else self.private,
                    revision=self.revision,
                    create_pr=self.create_pr,
                    commit_message=self.commit_message or f"s140 push-to-hub: {kind}",
                    tag=self.tag,
                )
        if not found:
            raise HubError("It is not said where to publish.", "Name it: --repo-id user/model")
        return found


def card(path: Path, repo_id: str | None = None) -> dict[str, Any]:
    """Writes a finished run's model card, and what else goes along with the weights, into its model folder.

    Args:
        path: The run directory.
        repo_id: The id on the Hub that the card is to name.

    Returns:
        ``card``, its path.

    Raises:
        RunError: The run is not finished, or was scored with other weights.
    """
    run = RunDir(path)
    metrics = _finished(run)
    _redraw(run, metrics)
    complete_model_folder(run, metrics, repo_id)
    return {"card": str(run.card)}


def _finished(run: RunDir) -> dict[str, Any]:
    """The scores of a run whose weights are those that were scored."""
    saved_recipe(run.path)
    if not run.is_finished() or not run.weights.is_file():
        raise RunError(
            f"The run in {run.path} is not finished: it has no {'scores' if run.weights.is_file() else 'model'} yet.",
            "Finish it with `s140 train --resume`, or score it with `s140 evaluate RUN`.",
        )
    metrics: dict[str, Any] = run.read(run.metrics)
    if metrics.get("weights_sha256") != sha256_of(run.weights):
        raise RunError(
            f"The scores in {run.metrics} are not those of the weights in {run.model} (sha256 differs).",
            f"Score them: s140 evaluate {shlex.quote(str(run.path))}",
        )
    return metrics


def _redraw(run: RunDir, metrics: dict[str, Any]) -> None:
    from sentiment140_bert.evaluation import figures
    from sentiment140_bert.workflows.scoring import history_of

    figures.draw(run.figures, metrics["splits"], history_of(run))


def complete_model_folder(run: RunDir, metrics: dict[str, Any], repo_id: str | None = None) -> None:
    """Puts beside the weights what is published with them; a card's hand-written parts are kept."""
    repo_id = repo_id or remembered(run).get("model", {}).get("repo_id")
    shutil.rmtree(run.model / "figures", ignore_errors=True)
    for name, content in model_files(run, metrics, repo_id, _own_card(run)).items():
        target = run.model / name
        if isinstance(content, bytes):
            write_text(target, content.decode())
        elif content != target:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(content, target)


def model_files(
    run: RunDir,
    metrics: dict[str, Any],
    repo_id: str | None,
    card_before: str | None,
    published: dict[str, str | None] | None = None,
) -> Files:
    """Everything that is published of a model: path in the repository to a file or its content.

    Args:
        run: Its model, figures and JSON files are read.
        metrics: The content of its ``metrics.json``.
        repo_id: The model's id on the Hub.
        card_before: The card whose hand-written parts are kept.
        published: ``repo_id`` and ``revision`` of the dataset on the Hub, if it was pushed just now.

    Raises:
        RunError: A file is missing or damaged, or the card's front matter cannot be read.
    """
    from sentiment140_bert.cards import facts as card_facts
    from sentiment140_bert.cards import metadata, model, sections

    recipe = saved_recipe(run.path)
    data = run.read(run.data) | ({"published": published} if published else {})
    tracking = run.read(run.tracking) if run.tracking.is_file() else {}
    shown = public(recipe)
    facts = card_facts.Facts(shown.to_dict(), data, run.read(run.environment), metrics, tracking)
    pictures = sorted(run.figures.glob("*.png"))
    title, model_id = names_of(run, recipe, repo_id)
    try:
        text = sections.merged(model.model_card(facts, title, model_id, [each.name for each in pictures]), card_before)
    except ValueError as error:
        raise RunError(f"The front matter of the card is no YAML: {error}.", f"Mend it: {run.card}") from None
    files: Files = {each.name: each for pattern in (*WEIGHTS, *TOKENIZER) for each in sorted(run.model.glob(pattern))}
    files |= {f"figures/{each.name}": each for each in pictures}
    contents = {"metrics.json": metrics, "data.json": data, "environment.json": facts.environment}
    contents |= {"tracking.json": tracking} if tracking else {}
    files |= {name: as_json(content) for name, content in contents.items()}
    files |= {"README.md": text.encode(), "recipe.yaml": shown.to_yaml().encode()}
    if results := metadata.eval_results(facts):
        files[EVAL_RESULTS] = results.encode()
    return files


def names_of(run: RunDir, recipe: Recipe, repo_id: str | None) -> tuple[str, str]:
    """A model's title, and what `pipeline` is to be given: the id on the Hub if it has one, else the folder."""
    if repo_id:
        return repo_id.rpartition("/")[2], repo_id
    title = title_of(run, recipe)
    return title, f"{title}/model" if run.path.is_absolute() else str(run.model)


def push_to_hub(path: Path, destination: Destination, *, dry_run: bool = False) -> dict[str, Any]:
    """Publishes a finished run: its dataset, then its model, each in one commit or not at all.

    Args:
        path: The run directory.
        destination: Where to.
        dry_run: Only list what would be published; nothing is asked of the network, nothing is written.

    Returns:
        For ``model`` and ``dataset``, as far as they were asked for: ``repo_id``, ``url``, ``commit``, ``changed``,
        ``private``, ``pr_url`` and ``tag``; with ``dry_run`` ``repo_id`` and ``files``, each name with its bytes.

    Raises:
        RunError: The run is not finished.
        SecretError: A file holds a secret; nothing was published.
        HubError: The Hub refused or cannot be reached; the message says what was published and what was not.
    """
    if int(os.environ.get("RANK", "0")):
        return {}  # one of several processes; the first one publishes
    run = RunDir(path)
    targets = destination.targets()
    metrics = _finished(run)
    with _dataset_files(run, targets) as dataset:
        if not dry_run:
            return _push(run, metrics, targets, dataset, destination)
        listed = {}
        later = {"repo_id": destination.dataset_repo_id, "revision": "0" * 40} if dataset else None
        for kind, target in targets.items():
            files = dataset if kind == "dataset" else model_files(run, metrics, target.repo_id, _own_card(run), later)
            _checked(run, files)
            listed[kind] = {"repo_id": target.repo_id, "files": {name: size_of(each) for name, each in files.items()}}
        return listed


def _own_card(run: RunDir) -> str | None:
    return run.card.read_text("utf-8") if run.card.is_file() else None


def size_of(content: Path | bytes) -> int:
    """Bytes."""
    return len(content) if isinstance(content, bytes) else content.stat().st_size


@contextmanager
def _dataset_files(run: RunDir, targets: dict[str, Target]) -> Iterator[Files]:
    """The dataset's files, in a folder that vanishes afterwards; none where no dataset is asked for."""
    if "dataset" not in targets:
        yield {}
        return
    from sentiment140_bert.cards.dataset import dataset_card
    from sentiment140_bert.data import publication
    from sentiment140_bert.hub import secrets

    prepared, tokens, _ = preparing.tokenized(saved_recipe(run.path))
    data = run.read(run.data)
    if data["fingerprint"] != tokens.report["fingerprint"]:
        raise RunError(
            f"The data of {run.path} are not what they were when it was trained (the fingerprint differs).",
            "Give the original file back, or publish the model alone.",
        )
    data.pop("published", None)  # the dataset cannot name its own commit
    model = targets["model"].repo_id if "model" in targets else None
    with tempfile.TemporaryDirectory(prefix="s140-") as folder:
        data["configs"] = publication.write(prepared, tokens, Path(folder), secrets.tweets_checked())
        text = dataset_card(data, targets["dataset"].repo_id, model)
        files: Files = {str(each.relative_to(folder)): each for each in sorted(Path(folder).rglob("*.parquet"))}
        yield files | {"README.md": text.encode(), "data.json": as_json(data)}


def as_json(content: Any) -> bytes:
    """A JSON file's content."""
    return (json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _checked(run: RunDir, files: Files) -> None:
    """Looks for secrets in what would be published and in the run's own files."""
    from sentiment140_bert.hub import secrets

    texts = {name: each for name, each in files.items() if not name.endswith(".parquet")}
    others = (each for each in sorted(run.path.rglob("*")) if each.is_file() and each not in texts.values())
    own = {str(each.relative_to(run.path)): each for each in others if run.checkpoints not in each.parents}
    secrets.check_files([*texts.items(), *own.items()])


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


def _push(
    run: RunDir, metrics: dict[str, Any], targets: dict[str, Target], dataset: Files, destination: Destination
) -> dict[str, Any]:
    from sentiment140_bert.hub import publish
    from sentiment140_bert.hub.client import Hub

    hub = Hub()
    _checked(run, dataset | (model_files(run, metrics, destination.repo_id, None) if "model" in targets else {}))
    log.info("hub: logged in as %s", publish.login(hub))
    done: dict[str, Pushed] = {}
    try:
        targets = {kind: publish.open_target(hub, target) for kind, target in targets.items()}
        if "model" in targets:
            weights: Files = {each.name: each for each in sorted(run.model.glob("*.safetensors"))}
            publish.upload_large(hub, targets["model"], weights)
        if "dataset" in targets:
            done["dataset"] = _push_dataset(hub, run, targets["dataset"], dataset)
        if "model" in targets:
            done["model"] = _push_model(hub, run, metrics, targets["model"])
    except S140Error as error:
        raise _what_happened(error, run, targets, done, destination) from error
    return {kind: dataclasses.asdict(each) for kind, each in done.items()}


def _push_dataset(hub: Hub, run: RunDir, target: Target, files: Files) -> Pushed:
    from sentiment140_bert.hub import publish

    before = publish.readme(hub, target)
    pushed = publish.commit(hub, target, files | {"README.md": _merged(files["README.md"], before, target)})
    _remember(run, pushed)
    published = {"repo_id": pushed.repo_id, "revision": pushed.commit}
    write_json(run.data, run.read(run.data) | {"published": published})
    return pushed


def _merged(new: Path | bytes, before: str | None, target: Target) -> bytes:
    from sentiment140_bert.cards import sections

    text = new.decode() if isinstance(new, bytes) else new.read_text("utf-8")
    try:
        return sections.merged(text, before).encode()
    except ValueError as error:
        raise HubError(
            f"The README.md of {target.name} has a damaged front matter: {error}.", "Mend it there."
        ) from None


def _push_model(hub: Hub, run: RunDir, metrics: dict[str, Any], target: Target) -> Pushed:
    from sentiment140_bert.hub import publish

    before = _latest_card(run, publish.readme(hub, target), target)
    files = model_files(run, metrics, target.repo_id, before)
    pushed = publish.commit(hub, target, files)
    text = files["README.md"]
    if isinstance(text, bytes):
        write_text(run.card, text.decode())
    complete_model_folder(run, metrics, target.repo_id)
    _remember(run, pushed, handwritten=_handwritten(run.card.read_text("utf-8")))
    return pushed


def _latest_card(run: RunDir, on_hub: str | None, target: Target) -> str | None:
    """The card whose hand-written parts count: the one that was edited since the last push.

    Raises:
        RunError: Both were, and they differ.
    """
    here = _own_card(run)
    if on_hub is None or here is None:
        return here if on_hub is None else on_hub
    last = remembered(run).get("model", {}).get("handwritten", "")
    edited_here, edited_there = _handwritten(here) != last, _handwritten(on_hub) != last
    if edited_here and edited_there and _handwritten(here) != _handwritten(on_hub):
        raise RunError(
            f"The card was edited both in {run.card} and on the Hub ({target.repo_id}).",
            "Copy one's text into the other, and push again.",
        )
    return here if edited_here else on_hub


def _handwritten(text: str) -> str:
    from sentiment140_bert.cards import sections

    return sections.parse(text).handwritten


def remembered(run: RunDir) -> dict[str, Any]:
    """Where the run's dataset and model were published before."""
    return run.read(run.published) if run.published.is_file() else {}


def _remember(run: RunDir, pushed: Pushed, **more: str) -> None:
    """Notes in ``published.json`` where something went."""
    entry = {key: value for key, value in dataclasses.asdict(pushed).items() if key not in ("kind", "changed")}
    write_json(run.published, remembered(run) | {pushed.kind: entry | more})


def _what_happened(
    error: S140Error, run: RunDir, targets: dict[str, Target], done: dict[str, Pushed], destination: Destination
) -> S140Error:
    """The same error, saying also what was published, what was not, and how to go on."""
    left = [target.name for kind, target in targets.items() if kind not in done]
    state = [f"Published: {kind} {each.repo_id} (commit {each.commit[:12]})." for kind, each in done.items()]
    state += [f"Not published: {', '.join(left)}."] if left else []
    hint = f"{error.hint} Then: {command(run, destination)}".strip()
    told = HubError(f"{error.message}\n{' '.join(state)}", hint)
    told.exit_code = error.exit_code
    return told


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
