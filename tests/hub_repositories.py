"""Hold repositories of the Hub on loopback in memory, with their commits, branches, tags and large files."""

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
        """Return what git holds."""
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
        """Return its path on the website."""
        return f"/{self.id}" if self.kind == "model" else f"/{self.kind}s/{self.id}"

    def add(self, ref: str, commit: Commit) -> Commit:
        self.commits[commit.oid] = commit
        self.refs[ref] = commit.oid
        return commit

    def ref(self, revision: str) -> str:
        """Return the full name of a branch, tag or pull request; "" where there is none."""
        names = (revision, f"refs/heads/{revision}", f"refs/tags/{revision}")
        return next((name for name in names if name in self.refs), "")

    def at(self, revision: str) -> Commit:
        """Return the commit of a branch, tag, pull request or commit hash; seven characters of a hash are enough."""
        start = self.refs.get(self.ref(revision), revision)
        for oid, commit in self.commits.items():
            if len(start) >= 7 and oid.startswith(start):
                return commit
        raise Refusal(404, f"Invalid rev id: {revision}", "RevisionNotFound")

    def history(self, revision: str) -> Iterator[Commit]:
        commit: Commit | None = self.at(revision)
        while commit:
            yield commit
            commit = self.commits[commit.parent] if commit.parent else None

    def forget_unreachable(self) -> None:
        """Drop the commits that no branch, tag or pull request leads to."""
        self.commits = {commit.oid: commit for oid in self.refs.values() for commit in self.history(oid)}

    def open_pull_request(self, title: str, author: str) -> dict[str, Any]:
        number, repo = len(self.discussions) + 1, {"name": self.id, "type": self.kind}
        request = {"num": number, "ref": f"refs/pr/{number}", "title": title, "author": {"name": author}, "repo": repo}
        self.discussions.append(request | {"createdAt": now(), "status": "open", "isPullRequest": True})
        return self.discussions[-1]


def goes_to_lfs(path: str, size: int) -> bool:
    return size > 0 and (path.endswith(LFS_SUFFIXES) or size > LFS_FROM_BYTES)


def below(files: Files, path: str) -> Files:
    """Return the file of that path, or the files in that folder."""
    return {name: blob for name, blob in files.items() if name == path or name.startswith(f"{path}/")}


def read_front_matter(files: Files) -> dict[str, Any] | None:
    """Return the YAML at the top of a README; None where there is none."""
    readme = files["README.md"].content.decode(errors="replace") if "README.md" in files else ""
    match = re.match(r"---[ \t]*\r?\n(.*?\n)?---[ \t]*(?:\r?\n|$)", readme, re.DOTALL)
    try:
        content = yaml.safe_load(match[1] or "") if match else None
        problem = "" if content is None or isinstance(content, dict) else "it must be a mapping"
    except yaml.YAMLError as error:
        problem = str(error)
    if problem:
        errors = [{"message": f"YAML Metadata Error: {problem}"}]
        raise Refusal(400, "Invalid metadata in README.md", errors=errors, warnings=[])
    return content


def describe(commit: Commit, path: str) -> dict[str, Any]:
    """Return a file or folder as in a listing; empty where there is neither."""
    if blob := commit.files.get(path):
        entry = {"type": "file", "path": path, "oid": blob.oid, "size": len(blob.content)}
        lfs = {"oid": blob.sha256, "size": len(blob.content), "pointerSize": len(blob.pointer)}
        return entry | ({"lfs": lfs} if blob.lfs else {})
    oid = Commit("", "", None, below(commit.files, path)).oid
    return {"type": "directory", "path": path, "oid": oid, "size": 0} if below(commit.files, path) else {}


def apply(repo: Repo, files: Files, operations: list[dict[str, Any]]) -> Files:
    """Return the files after all operations of a commit, or refuse if one of them cannot be done."""
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
    read_front_matter(files)
    return files
