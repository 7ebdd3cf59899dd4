"""The repositories on the Hub that a run is published to."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sentiment140_bert.cards.merge import parse_card
from sentiment140_bert.errors import HubError, S140Error
from sentiment140_bert.run import RunDir

if TYPE_CHECKING:
    from sentiment140_bert.cards.model import Files
    from sentiment140_bert.hub.client import Hub
    from sentiment140_bert.hub.push import GitCommitInfo, Target
    from sentiment140_bert.results import Pushed

log = logging.getLogger(__name__)
CLAIMS = (
    "base_model",
    "datasets",
    "metrics",
    "model-index",
    "widget",
    "configs",
    "dataset_info",
)  # about one work alone
SPACE_TEMPLATE = {"index.html", "style.css"}  # of a new static Space, by the Hub
WELCOME = "Welcome to your static Space!"  # the heading of that page
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

    def targets(self, run_id: str = "") -> dict[str, Target]:
        """Return the targets by kind: the model's card names the dataset's commit, and the demo the model's.

        Args:
            run_id: The run to publish; see :class:`~sentiment140_bert.hub.push.Target`.

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
                targets[kind] = push.Target(kind, repo_id, self.private, *where, message, self.tag, run_id=run_id)
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
        return shlex.join(["s140", "push-to-hub", str(run.path), *self.list_flags()])

    def list_flags(self) -> list[str]:
        """Return the flags that name this destination."""
        words = []
        for name in ("repo_id", "dataset_repo_id", "space_repo_id", "revision", "commit_message", "tag"):
            if value := getattr(self, name):
                words += [f"--{name.replace('_', '-')}", value]
        words += [] if self.private is None else ["--private" if self.private else "--public"]
        words += ["--create-pr"] if self.create_pr else []
        return [*words, "--onnx"] if self.onnx else words


def refuse_other_files(hub: Hub, run: RunDir, target: Target, files: Files) -> None:
    """Make sure that a push replaces and removes only what the last push put there, of this run or by this user.

    Args:
        hub: Logged in.
        run: The run, which may have been pushed there before.
        target: Opened; its card can be read. A new pull request replaces nothing.
        files: The files to push; in a Space no other file may be there.

    Raises:
        HubError: The repository holds the work of another tool or person.
    """
    from sentiment140_bert.hub import fetch, push

    if target.create_pr:
        return
    card, commit = push.read_card(hub, target)
    commits = push.list_commits(hub, target)
    branch = {made.commit_id for made in commits}
    pushes = find_pushes(hub, run, target, commits)
    newest = (
        [made.commit_id for made in commits if push.is_of_user(hub, made)],
        [sha for sha in pushes if sha in branch],
        [sha for sha in pushes if sha not in branch],  # of the last pull request
    )
    own = {sha for shas in newest for sha in shas[:1]}  # older content that is there now is a revert
    if commit in own:
        return
    listed = fetch.list_files(target.kind, target.repo_id, commit)
    names = {*listed} - EMPTY
    if target.kind == "space" and not (own and _is_static(card)):
        is_free = _is_static(card) and (not names or _is_of_the_hub(hub, target, commits, names))
        others = set() if is_free else names or {"README.md"}
    else:
        others = _find_others(hub, target, files, listed, commit, own)
        if not own and not others and _describes_other_work(card or "", bytes(files["README.md"]).decode()):
            others = {"README.md"}
    if others:
        proposal = "." if target.kind == "space" or target.revision else ", or propose the change: --create-pr"
        raise HubError(
            f"{target.name} holds files that `{push.COMMAND}` did not write: {', '.join(sorted(others)[:3])}.",
            f"Name a new repository, or remove these files there{proposal}",
        )
    if removed := _list_removed(hub, target, files, own & branch, names):
        raise HubError(
            f"{target.name} lacks files of earlier pushes, which a person removed: {', '.join(removed[:3])}.",
            "To bring them back, propose it: --create-pr",
        )


def _find_others(hub: Hub, target: Target, files: Files, listed: list[str], commit: str, own: set[str]) -> set[str]:
    """Return the files of a commit that a push would replace or remove, and that no commit of ``own`` put there."""
    from sentiment140_bert.hub import push

    names = {name for name in {*listed} - EMPTY if push.is_replaced(name, target, files, listed)}
    now = push.read_hashes(hub, target, names, commit)
    pushed = {item for revision in own for item in push.read_hashes(hub, target, names, revision).items()}
    others = {name for name in names if (name, now[name]) not in pushed}
    return {name for name in others if not (name in files and push.is_content(files[name], now[name]))}


def _is_static(card: str | None) -> bool:
    """Return True unless the card of a Space names another kind of app."""
    return bool(parse_card(card or "").metadata.get("sdk", "static") == "static")


def _list_removed(hub: Hub, target: Target, files: Files, own: set[str], names: set[str]) -> list[str]:
    """Return the files to push that each earlier push had, and that are not there now."""
    from sentiment140_bert.hub import push

    missing = {*files} - names - EMPTY
    if not (missing and own):
        return []
    return sorted(set.intersection(missing, *({*push.read_hashes(hub, target, missing, commit)} for commit in own)))


def _describes_other_work(card: str, merged: str) -> bool:
    """Return True if a card's front matter claims something of another model or dataset, or would lose a value.

    Args:
        card: The card on the Hub.
        merged: The one that would replace it.
    """
    if card == merged:
        return False
    before, after = parse_card(card).metadata, parse_card(merged).metadata

    def is_kept(key: str) -> bool:
        return after.get(key) in (before[key], [before[key]]) or [after.get(key)] == before[key]

    return any(key in CLAIMS or not is_kept(key) for key in before if key != "tags")


def _is_of_the_hub(hub: Hub, target: Target, commits: Sequence[GitCommitInfo], names: set[str]) -> bool:
    """Return True for the files with which the Hub makes a static Space."""
    from sentiment140_bert.hub import fetch

    if len(commits) > 1 or not names <= SPACE_TEMPLATE:
        return False
    page = fetch.read_text(hub, target.kind, target.repo_id, "index.html", commits[0].commit_id)
    return WELCOME in (page or "")


def find_pushes(hub: Hub, run: RunDir, target: Target, commits: Sequence[GitCommitInfo]) -> list[str]:
    """Return the commits by which this run was pushed to the target's branch, or into the last pull request, which may
    have been merged; those of the branch first, the newest first.

    The Hub's word counts, not that of the run directory, which may be a stranger's.
    """
    from sentiment140_bert.hub import push

    last = run.read_publications().get(target.kind, {})
    revision = last.get("revision") or ""
    if last.get("repo_id") == target.repo_id and revision.startswith("refs/pr/") and revision != target.revision:
        commits = [*commits, *push.list_commits(hub, replace(target, revision=revision))]
    return list(dict.fromkeys(made.commit_id for made in commits if push.is_of_run(made, target)))


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
