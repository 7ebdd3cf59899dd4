"""The content of the Hub on loopback: repositories with commits, branches, tags and large files, in memory."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import yaml

LFS_FROM_BYTES = 10_000_000
LFS_SUFFIXES = (".arrow", ".bin", ".gz", ".jpg", ".model", ".npy", ".onnx", ".parquet", ".pickle", ".pkl", ".png")
LFS_SUFFIXES += (".pt", ".pth", ".safetensors", ".zip")
GITATTRIBUTES = "".join(f"*{suffix} filter=lfs diff=lfs merge=lfs -text\n" for suffix in LFS_SUFFIXES).encode()


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclass(frozen=True)
class Blob:
    """A file's content; the Hub names it by git's sha1, or, in large file storage (LFS), by its sha256."""

    content: bytes
    lfs: bool = False

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @cached_property
    def oid(self) -> str:
        return hashlib.sha1(b"blob %d\0%s" % (len(self.pointer), self.pointer)).hexdigest()

    @property
    def pointer(self) -> bytes:
        """The content of the file in git."""
        spec = f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.sha256}\nsize {len(self.content)}\n"
        return spec.encode() if self.lfs else self.content

    @property
    def etag(self) -> str:
        return self.sha256 if self.lfs else self.oid


Files = dict[str, Blob]


@dataclass(frozen=True)
class Commit:
    title: str
    author: str
    parent: str | None
    files: Files  # all that there are after it, not only what it changed
    description: str = ""
    date: str = field(default_factory=now)

    @cached_property
    def oid(self) -> str:
        files = sorted((path, blob.oid) for path, blob in self.files.items())
        return hashlib.sha1(json.dumps([self.parent, self.title, self.description, files]).encode()).hexdigest()

    @property
    def listed(self) -> dict[str, Any]:
        authors = [{"user": self.author}]
        return {"id": self.oid, "title": self.title, "message": self.description, "date": self.date, "authors": authors}


class Refusal(Exception):
    """An answer other than 2xx. ``code`` is the X-Error-Code from which the client makes its error classes."""

    def __init__(self, status: int, sentence: str, code: str = "", headers: dict | None = None, **more: Any) -> None:
        super().__init__(sentence)
        message = sentence.encode("ascii", "replace").decode().replace("\n", " ")
        headers = {"X-Error-Message": message, **(headers or {})} | ({"X-Error-Code": code} if code else {})
        self.reply = Reply({"error": sentence, **more}, status, headers)


@dataclass
class Reply:
    body: Any  # bytes, or what is sent as JSON
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)

    @cached_property
    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body, default=str).encode()


@dataclass
class Repo:
    kind: str
    id: str
    private: bool = False
    refs: dict[str, str] = field(default_factory=dict)  # "refs/heads/main" -> oid
    commits: dict[str, Commit] = field(default_factory=dict)
    lfs: dict[str, bytes] = field(default_factory=dict)  # sha256 -> what was uploaded
    discussions: list[dict[str, Any]] = field(default_factory=list)

    @property
    def page(self) -> str:
        """Its path on the website."""
        return f"/datasets/{self.id}" if self.kind == "dataset" else f"/{self.id}"

    def add(self, ref: str, commit: Commit) -> Commit:
        self.commits[commit.oid] = commit
        self.refs[ref] = commit.oid
        return commit

    def ref(self, revision: str) -> str:
        """Return the full name of a branch, tag or pull request; "" if it does not exist."""
        names = (revision, f"refs/heads/{revision}", f"refs/tags/{revision}")
        return next((name for name in names if name in self.refs), "")

    def at(self, revision: str) -> Commit:
        """Return the commit of a branch, tag, pull request or commit hash; seven characters of a hash are enough."""
        oid = self.refs.get(self.ref(revision), revision)
        matches = [commit for commit in self.commits if len(oid) >= 7 and commit.startswith(oid)]
        if not matches:
            raise Refusal(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return self.commits[matches[0]]

    def history(self, revision: str) -> Iterator[Commit]:
        commit: Commit | None = self.at(revision)
        while commit:
            yield commit
            commit = self.commits[commit.parent] if commit.parent else None

    def forget_unreachable(self) -> None:
        """Drop the commits that no branch, tag or pull request leads to."""
        self.commits = {commit.oid: commit for oid in self.refs.values() for commit in self.history(oid)}

    def discuss(self, title: str, author: str, pull_request: bool, status: str = "open") -> dict[str, Any]:
        number, repo = len(self.discussions) + 1, {"name": self.id, "type": self.kind}
        discussion = {
            "num": number,
            "ref": f"refs/pr/{number}",
            "title": title,
            "author": {"name": author},
            "repo": repo,
        }
        self.discussions.append(discussion | {"createdAt": now(), "status": status, "isPullRequest": pull_request})
        return self.discussions[-1]


def goes_to_lfs(path: str, size: int) -> bool:
    return size > 0 and (path.endswith(LFS_SUFFIXES) or size > LFS_FROM_BYTES)


def below(files: Files, path: str) -> Files:
    """Return the file of that path, or the files in that folder; all for ``""``."""
    return {name: blob for name, blob in files.items() if not path or name == path or name.startswith(f"{path}/")}


def metadata(readme: bytes) -> dict[str, Any] | None:
    """Return the YAML at the top of a README, or None."""
    match = re.match(r"---[ \t]*\r?\n(.*?\n)?---[ \t]*(?:\r?\n|$)", readme.decode(errors="replace"), re.DOTALL)
    try:
        read = yaml.safe_load(match[1] or "") if match else None
        problem = "" if read is None or isinstance(read, dict) else "it must be a mapping"
    except yaml.YAMLError as error:
        problem = str(error)
    if problem:
        errors = [{"message": f"YAML Metadata Error: {problem}"}]
        raise Refusal(400, "Invalid metadata in README.md", errors=errors, warnings=[])
    return read


def described(repo: Repo, commit: Commit, path: str, expand: bool) -> dict[str, Any]:
    """Describe a file or folder as in a listing; return an empty dictionary if it does not exist."""
    content = below(commit.files, path)
    if not content:
        return {}
    if blob := commit.files.get(path):
        entry = {"type": "file", "path": path, "oid": blob.oid, "size": len(blob.content)}
        lfs = {"oid": blob.sha256, "size": len(blob.content), "pointerSize": len(blob.pointer)}
        entry |= {"lfs": lfs} if blob.lfs else {}
    else:
        entry = {"type": "directory", "path": path, "oid": Commit("", "", None, content).oid, "size": 0}
    if expand:
        last = commit
        while last.parent and below(repo.commits[last.parent].files, path) == content:
            last = repo.commits[last.parent]
        entry["lastCommit"] = last.listed
    return entry


def applied(repo: Repo, files: Files, operations: list[dict[str, Any]]) -> Files:
    """Return the files after all operations of a commit; raise Refusal if one of them is impossible."""
    files = dict(files)
    for kind, value in ((operation["key"], operation["value"]) for operation in operations):
        path = value["path"]
        if kind == "file":
            files[path] = Blob(base64.b64decode(value["content"]))
        elif kind == "lfsFile":
            if value["oid"] not in repo.lfs:
                raise Refusal(400, f"An LFS pointer pointed to a file that does not exist. Offending file: {path}")
            files[path] = Blob(repo.lfs[value["oid"]], lfs=True)
        else:
            gone = below(files, path.rstrip("/")) if kind == "deletedFolder" else {path} & files.keys()
            if not gone:
                raise Refusal(404, f"A file with this name doesn't exist: {path}", "EntryNotFound")
            files = {name: blob for name, blob in files.items() if name not in gone}
    metadata(files["README.md"].content if "README.md" in files else b"")
    return files
