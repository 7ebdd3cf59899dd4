"""The repositories on the Hub that a run is published to."""

from __future__ import annotations

import logging
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sentiment140_bert.cards.merge import parse_card
from sentiment140_bert.errors import HubError, S140Error
from sentiment140_bert.run import RunDir

if TYPE_CHECKING:
    from sentiment140_bert.cards.model import Files
    from sentiment140_bert.hub.client import Hub
    from sentiment140_bert.hub.push import Target
    from sentiment140_bert.results import Pushed

log = logging.getLogger(__name__)
# Sections of a card by which an earlier push is known, by kind of repository.
OWN_SECTIONS = {"model": {"summary", "reproduce"}, "dataset": {"summary", "processing"}, "space": {"demo"}}
SPACE_TEMPLATE = {"index.html", "style.css"}  # of a new static Space, by the Hub
EMPTY = {".gitattributes", "README.md"}  # of a repository that was just made


@dataclass(frozen=True)
class Destination:
    """The repositories of a run. A new dataset is private unless ``private`` is False, a new model public unless it is
    True; without ``private`` what exists stays as it is. With ``onnx`` the model is published as ONNX graphs, too, and
    again by every later push; a Space with a demo needs them."""

    repo_id: str | None = None
    dataset_repo_id: str | None = None
    private: bool | None = None
    revision: str | None = None
    create_pr: bool = False
    commit_message: str | None = None
    tag: str | None = None
    onnx: bool = False
    space_repo_id: str | None = None

    @property
    def needs_graphs(self) -> bool:
        """True if the model is published as ONNX graphs."""
        return self.onnx or self.space_repo_id is not None

    def targets(self) -> dict[str, Target]:
        """Return the targets by kind: the model's card names the dataset's commit, and the demo the model's.

        Raises:
            HubError: A name is wrong or missing, or options contradict each other.
            SecretError: One of them holds a secret.
        """
        from sentiment140_bert.hub import push, secrets

        texts = {name: value for name, value in vars(self).items() if isinstance(value, str)}
        secrets.check_files((f"--{name.replace('_', '-')}", text.encode()) for name, text in texts.items())
        if self.create_pr and self.revision not in (None, "main"):
            raise HubError("--create-pr and --revision exclude each other.", "A pull request is made from main.")
        for flag, name in (("--tag", self.tag), ("--revision", self.revision)):
            if name is not None and not push.REF.fullmatch(name):
                raise HubError(f"{flag} {name!r} is not a valid git name.", "For example v1.0.")
        if self.onnx and self.repo_id is None:
            raise HubError("--onnx publishes graphs of a model, but no model is published.", "Name it with --repo-id.")
        self._check_space()
        if self.tag is not None and self.tag == self.revision:
            raise HubError(f"--tag and --revision are both {self.tag}.", "Give them different names.")
        targets = {}
        for kind, flag, repo_id in (
            ("dataset", "--dataset-repo-id", self.dataset_repo_id),
            ("model", "--repo-id", self.repo_id),
            ("space", "--space-repo-id", self.space_repo_id),
        ):
            if repo_id is not None:
                push.check_name(repo_id, flag)
                message = self.commit_message or f"s140 push-to-hub: {kind}"
                where = (None, False) if kind == "space" else (self.revision, self.create_pr)  # a Space runs its main
                targets[kind] = push.Target(kind, repo_id, self.private, *where, message, self.tag)
        if not targets:
            raise HubError("No repository was named.", "Name it: --repo-id user/model")
        return targets

    def _check_space(self) -> None:
        if self.space_repo_id is None:
            return
        if self.repo_id is None:
            raise HubError("--space-repo-id shows a model, but no model is published.", "Name it with --repo-id.")
        if self.create_pr:
            raise HubError(
                "--space-repo-id and --create-pr exclude each other: a Space runs its main branch.",
                "Publish the Space once the pull request is merged.",
            )
        if self.private:
            raise HubError(
                "--space-repo-id and --private exclude each other: the page loads the model without a login.",
                "Omit one of them.",
            )

    def format_command(self, run: RunDir) -> str:
        """Return the command line of a push."""
        words = ["s140", "push-to-hub", str(run.path)]
        for name in ("repo_id", "dataset_repo_id", "space_repo_id", "revision", "commit_message", "tag"):
            if value := getattr(self, name):
                words += [f"--{name.replace('_', '-')}", value]
        words += [] if self.private is None else ["--private" if self.private else "--public"]
        words += ["--create-pr"] if self.create_pr else []
        words += ["--onnx"] if self.onnx else []
        return shlex.join(words)


def refuse_other_files(hub: Hub, run: RunDir, target: Target, files: Files) -> None:
    """Make sure that a push replaces and removes only files of earlier pushes, unless people will review it.

    Args:
        hub: Logged in.
        run: The run, which may have been pushed there before.
        target: Opened; its card can be read.
        files: The files to push; in a Space no other file may be there.

    Raises:
        HubError: The repository holds the work of another tool or person.
    """
    from sentiment140_bert.hub import fetch, push

    card, commit = push.read_card(hub, target)
    last = run.read_publications().get(target.kind, {})
    is_last_place = (last.get("repo_id"), last.get("revision")) == (target.repo_id, target.revision)
    is_reviewed = target.create_pr or (target.revision or "").startswith("refs/pr/")
    last_commit = last.get("commit") if is_last_place else None
    if is_reviewed or last_commit == commit:
        return
    listed = fetch.list_files(target.kind, target.repo_id, commit)
    names = {*listed} - EMPTY
    others = {name for name in names if push.is_replaced(name, target, files, listed)}
    if last_commit and push.has_commit(hub, target, last_commit):
        then, now = (push.read_hashes(hub, target, others, revision) for revision in (last_commit, commit))
        others = {name for name in others if then.get(name) != now.get(name)}
        others = {name for name in others if not (name in files and push.is_content(files[name], now[name]))}
    elif _is_own_card(target, card):
        return
    elif target.kind == "space":  # a new static one has a page of the Hub's own, by its first commit
        is_new = names <= SPACE_TEMPLATE and push.count_commits(hub, target) == 1
        others = set() if is_new else names
    if others:
        raise HubError(
            f"{target.name} holds files that `s140 push-to-hub` did not write: {', '.join(sorted(others)[:3])}.",
            "Name a new repository, or remove these files there.",
        )


def _is_own_card(target: Target, card: str | None) -> bool:
    """Return True for a card of an earlier push; one that quotes a section is none."""
    parsed = parse_card(card or "")
    is_whole = parsed.sections.keys() >= OWN_SECTIONS[target.kind]
    return is_whole and (target.kind != "space" or parsed.metadata.get("sdk") == "static")


def check_access(destination: Destination) -> None:
    """Make sure, before hours are spent, that there is a login and a right to write.

    Raises:
        HubError: There is not.
        MissingExtra: ONNX graphs are wanted, and a package for them is missing.
    """
    from sentiment140_bert.hub import push
    from sentiment140_bert.hub.client import Hub
    from sentiment140_bert.inference.graphs import require_packages

    targets, hub = destination.targets(), Hub()
    if destination.needs_graphs:
        require_packages()
    log.info("hub: logged in as %s", push.login(hub))
    for target in targets.values():
        push.open_target(hub, target)


def explain_failure(error: S140Error, targets: dict[str, Target], pushed: dict[str, Pushed], command: str) -> S140Error:
    """Return the same error with what was published, what was not, and how to continue."""
    missing = [target.name for kind, target in targets.items() if kind not in pushed]
    state = [f"Published: {kind} {done.repo_id} (commit {done.commit[:12]})." for kind, done in pushed.items()]
    state += [f"Not published: {', '.join(missing)}."] if missing else []
    explained = HubError(f"{error.message}\n{' '.join(state)}", f"{error.hint} Then: {command}".strip())
    explained.exit_code = error.exit_code
    return explained
