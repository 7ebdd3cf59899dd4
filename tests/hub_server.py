"""The Hugging Face Hub on loopback: its HTTP protocol, kept in memory, with faults on demand.

The real ``huggingface_hub``, ``transformers`` and ``datasets`` work against it under ``HF_ENDPOINT=<url>`` and
``HF_HUB_DISABLE_XET=1``. Status codes, headers and field names are those that their code reads.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import re
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlencode

import yaml

TOKEN = "hf_" + "LoopbackTokenOfTheDefaultTesterABCDE"
SOMEBODYS_TOKEN = "hf_" + "LoopbackTokenOfSomebodyElseABCDEFGHI"
LFS_FROM_BYTES = 10_000_000
LFS_SUFFIXES = (".arrow", ".bin", ".gz", ".jpg", ".model", ".npy", ".onnx", ".parquet", ".pickle", ".pkl", ".png")
LFS_SUFFIXES += (".pt", ".pth", ".safetensors", ".zip")
GITATTRIBUTES = "".join(f"*{suffix} filter=lfs diff=lfs merge=lfs -text\n" for suffix in LFS_SUFFIXES).encode()

REPO = "(?P<repo>[^/]+(?:/[^/]+)?)"
API, SITE = f"/api/(?P<kind>model|dataset)s/{REPO}", f"/(?:(?P<kind>dataset)s/)?{REPO}"
REVISION = "/(?P<revision>[^/]+)"
ROUTES = {
    "whoami": ("GET", "/api/whoami-v2"),
    "validate_yaml": ("POST", "/api/validate-yaml"),
    "create_repo": ("POST", "/api/repos/create"),
    "delete_repo": ("DELETE", "/api/repos/delete"),
    "settings": ("PUT", f"{API}/settings"),
    "tree": ("GET", f"{API}/tree{REVISION}(?:/(?P<path>.+))?"),
    "paths_info": ("POST", f"{API}/paths-info{REVISION}"),
    "refs": ("GET", f"{API}/refs"),
    "commits": ("GET", f"{API}/commits{REVISION}"),
    "create_branch": ("POST", f"{API}/branch{REVISION}"),
    "delete_branch": ("DELETE", f"{API}/branch{REVISION}"),
    "create_tag": ("POST", f"{API}/tag{REVISION}"),
    "delete_tag": ("DELETE", f"{API}/tag{REVISION}"),
    "preupload": ("POST", f"{API}/preupload{REVISION}"),
    "lfs_batch": ("POST", rf"{SITE}\.git/info/lfs/objects/batch"),
    "lfs_upload": ("PUT", rf"{SITE}\.git/info/lfs/storage/(?P<oid>[^/]+)"),
    "lfs_verify": ("POST", rf"{SITE}\.git/info/lfs/verify"),
    "commit": ("POST", f"{API}/commit{REVISION}"),
    "discussions": ("GET", f"{API}/discussions"),
    "create_discussion": ("POST", f"{API}/discussions"),
    "discussion": ("GET", rf"{API}/discussions/(?P<number>\d+)"),
    "resolve_head": ("HEAD", f"{SITE}/resolve{REVISION}/(?P<path>.+)"),
    "resolve_get": ("GET", f"{SITE}/resolve{REVISION}/(?P<path>.+)"),
    "repo_info": ("GET", f"{API}(?:/revision{REVISION})?"),
}
ENDPOINTS: tuple[str, ...] = tuple(ROUTES)


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclass(frozen=True)
class Account:
    name: str
    orgs: tuple[str, ...] = ()
    role: str = "write"  # of its token: "write" or "read"

    def may_write(self, owner: str) -> bool:
        return self.role == "write" and owner in (self.name, *self.orgs)


@dataclass
class Request:
    """A request that arrived. ``status`` is None as long as it has no answer, and for ever when it got none."""

    endpoint: str
    method: str
    path: str
    token: str | None
    status: int | None = None


@dataclass
class Fault:
    """What shall go wrong, and how many times (None: always); see HubServer.fail."""

    times: int | None = 1
    after: int = 0
    status: int | None = None
    retry_after: int | None = None
    reset: bool = False
    lose_response: bool = False
    stall: float = 0.0
    truncate: bool = False
    meanwhile: Callable[[], object] | None = None

    def reply(self) -> Reply:
        headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        return Refusal(self.status or 500, f"This server was told to answer {self.status}", headers=headers).reply


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
        """What git holds."""
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
        """Where it is on the website."""
        return f"/datasets/{self.id}" if self.kind == "dataset" else f"/{self.id}"

    def add(self, ref: str, commit: Commit) -> Commit:
        self.commits[commit.oid] = commit
        self.refs[ref] = commit.oid
        return commit

    def ref(self, revision: str) -> str:
        """The full name of a branch, tag or pull request; "" where there is none."""
        names = (revision, f"refs/heads/{revision}", f"refs/tags/{revision}")
        return next((name for name in names if name in self.refs), "")

    def at(self, revision: str) -> Commit:
        """The commit of a branch, tag, pull request or commit hash; seven characters of a hash will do."""
        oid = self.refs.get(self.ref(revision), revision)
        found = [each for each in self.commits if len(oid) >= 7 and each.startswith(oid)]
        if not found:
            raise Refusal(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return self.commits[found[0]]

    def history(self, revision: str) -> Iterator[Commit]:
        commit: Commit | None = self.at(revision)
        while commit:
            yield commit
            commit = self.commits[commit.parent] if commit.parent else None

    def discuss(self, title: str, author: str, pull_request: bool, status: str = "open") -> dict[str, Any]:
        number, repo = len(self.discussions) + 1, {"name": self.id, "type": self.kind}
        made = {"num": number, "ref": f"refs/pr/{number}", "title": title, "author": {"name": author}, "repo": repo}
        self.discussions.append(made | {"createdAt": now(), "status": status, "isPullRequest": pull_request})
        return self.discussions[-1]


class HubServer:
    """A Hub with no repository and two accounts, ``tester`` and ``somebody``. Use it as a context manager."""

    def __init__(self, port: int = 0) -> None:
        self.port = port
        self.lock = threading.RLock()
        self.woken = threading.Event()  # ends the stalling of requests
        self._server: _Server | None = None
        self.reset()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> HubServer:
        """After ``stop``: at the same address as before."""
        self.woken = threading.Event()
        self._server = _Server(("127.0.0.1", self.port), _Handler)
        self._server.hub, self.port = self, self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def stop(self) -> None:
        """Nobody listens any more; connections are closed, stalled requests get no answer."""
        if self._server:
            self.woken.set()
            self._server.stop()
            self._server = None

    __enter__ = start

    def __exit__(self, *_: object) -> None:
        self.stop()

    def reset(self) -> None:
        """As new: no repositories, faults or requests. A stalled request does nothing and gets no answer."""
        with self.lock:
            self.woken.set()
            self.woken = threading.Event()
            self.accounts = {TOKEN: Account("tester", orgs=("testers",)), SOMEBODYS_TOKEN: Account("somebody")}
            self.repos: dict[tuple[str, str], Repo] = {}
            self.requests: list[Request] = []
            self.page_size = 1000
            self._faults: dict[str, list[Fault]] = {}

    def fail(self, endpoint: str, *, times: int | None = 1, **fault: Any) -> None:
        """The next ``times`` requests to ``endpoint`` fail (None: all of them), after the faults named before.

        ``status``: that answer, perhaps with ``retry_after``, and nothing is done. ``reset``: the connection is cut and
        nothing is done. ``lose_response``: the work is done and the connection cut. ``stall``: that many seconds pass
        first. ``truncate``: half of the body is sent. ``meanwhile``: is called first; alone, all goes well afterwards.
        ``after``: that many requests go well before.
        """
        if endpoint not in ENDPOINTS:
            raise ValueError(f"no such endpoint: {endpoint}; one of {', '.join(ENDPOINTS)}")
        with self.lock:
            self._faults.setdefault(endpoint, []).append(Fault(times, **fault))

    def mend(self) -> None:
        """No more faults."""
        with self.lock:
            self._faults.clear()

    def create(self, repo_id: str, kind: str = "model", private: bool = False, author: str = "") -> Repo:
        """A new repository, with a first commit as the Hub makes it."""
        with self.lock:
            repo = self.repos[kind, repo_id] = Repo(kind, repo_id, private)
            files = {".gitattributes": Blob(GITATTRIBUTES)}
            repo.add("refs/heads/main", Commit("initial commit", author or repo_id.split("/")[0], None, files))
            return repo

    def files(self, repo_id: str, kind: str = "model", revision: str = "main") -> dict[str, bytes]:
        return {path: blob.content for path, blob in self.commits(repo_id, kind, revision)[0].files.items()}

    def head(self, repo_id: str, kind: str = "model", revision: str = "main") -> str:
        return self.commits(repo_id, kind, revision)[0].oid

    def commits(self, repo_id: str, kind: str = "model", revision: str = "main") -> list[Commit]:
        """Newest first."""
        with self.lock:
            return list(self.repos[kind, repo_id].history(revision))

    def write(self, repo_id: str, path: str, content: bytes, kind: str = "model", revision: str = "main") -> str:
        """A commit that somebody makes on the website, to any path; its oid."""
        with self.lock:
            repo = self.repos[kind, repo_id]
            parent, blob = repo.at(revision), Blob(content, goes_to_lfs(path, len(content)))
            repo.lfs |= {blob.sha256: content} if blob.lfs else {}
            commit = Commit(f"Update {path}", "somebody", parent.oid, parent.files | {path: blob})
            return repo.add(repo.ref(revision), commit).oid

    def arrived(self, request: Request) -> Fault:
        with self.lock:
            self.requests.append(request)
            faults = self._faults.get(request.endpoint, [])
            fault = faults[0] if faults else Fault()
            if fault.after:
                fault.after -= 1
                return Fault()
            if faults and fault.times is not None:
                fault.times -= 1
                if fault.times <= 0:
                    faults.remove(fault)
            return fault


def goes_to_lfs(path: str, size: int) -> bool:
    return size > 0 and (path.endswith(LFS_SUFFIXES) or size > LFS_FROM_BYTES)


def below(files: Files, path: str) -> Files:
    """The file of that path, or the files in that folder; all for ``""``."""
    return {name: blob for name, blob in files.items() if not path or name == path or name.startswith(f"{path}/")}


def metadata(readme: bytes) -> dict[str, Any] | None:
    """The YAML at the top of a README; None where there is none."""
    found = re.match(r"---[ \t]*\r?\n(.*?\n)?---[ \t]*(?:\r?\n|$)", readme.decode(errors="replace"), re.DOTALL)
    try:
        read = yaml.safe_load(found[1] or "") if found else None
        problem = "" if read is None or isinstance(read, dict) else "it must be a mapping"
    except yaml.YAMLError as error:
        problem = str(error)
    if problem:
        errors = [{"message": f"YAML Metadata Error: {problem}"}]
        raise Refusal(400, "Invalid metadata in README.md", errors=errors, warnings=[])
    return read


def described(repo: Repo, commit: Commit, path: str, expand: bool) -> dict[str, Any]:
    """A file or folder as in a listing; empty where there is neither."""
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
    """The files after all operations of a commit; a Refusal where one of them cannot be done."""
    files = dict(files)
    for kind, value in ((each["key"], each["value"]) for each in operations):
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


class Call:
    """A request on its way through its endpoint, which is the method of that name."""

    def __init__(self, hub: HubServer, method: str, target: str, headers: Any, body: bytes) -> None:
        self.hub, self.headers, self.body = hub, headers, body
        self.path, _, query = target.partition("?")
        self.query, self.endpoint, self.parts = parse_qs(query), "unknown", {}
        for endpoint, (wanted, pattern) in ROUTES.items():
            if method == wanted and (match := re.fullmatch(pattern, self.path)):
                self.endpoint = endpoint
                self.parts = {name: unquote(part) for name, part in match.groupdict().items() if part}
                break
        self.revision, self.file = self.parts.get("revision", "main"), self.parts.get("path", "")
        self.token = headers.get("Authorization", "").removeprefix("Bearer ") or None
        self.account = hub.accounts.get(self.token or "")
        self.author = self.account.name if self.account else "nobody"

    @property
    def json(self) -> Any:
        return json.loads(self.body or b"{}")

    def asks(self, name: str) -> bool:
        return self.query.get(name, [""])[0].lower() in ("1", "true")

    def reply(self) -> Reply:
        with self.hub.lock:
            try:
                if self.token and not self.account:
                    raise Refusal(401, "Invalid credentials in Authorization header")
                if self.endpoint == "unknown":
                    raise Refusal(404, f"There is nothing at {self.path}")
                answer = getattr(self, self.endpoint)()
            except Refusal as refusal:
                return refusal.reply
            return answer if isinstance(answer, Reply) else Reply(answer)

    def find(self, write: bool = False) -> Repo:
        """The repository of the path. One that the account may not see looks as if it did not exist."""
        owner = self.parts["repo"].split("/")[0]
        repo, account = self.hub.repos.get((self.parts.get("kind", "model"), self.parts["repo"])), self.account
        visible = repo and not (repo.private and not (account and owner in (account.name, *account.orgs)))
        if not account and (write or not visible):
            raise Refusal(401, "Invalid username or password.", "RepoNotFound")
        if not visible:
            raise Refusal(404, "Repository not found", "RepoNotFound")
        if write and not account.may_write(owner):
            hint = "pass `create_pr=1` to open a Pull Request" if account.role == "write" else "the token may only read"
            raise Refusal(403, f"You don't have the rights to write to {repo.id}: {hint}")
        return repo

    def contributable(self) -> Repo:
        """The repository, for those who may write to it, or who propose: ``create_pr``, or their own pull request."""
        repo = self.find()
        own = any(each["author"]["name"] == self.author for each in repo.discussions if each["ref"] == self.revision)
        proposes = self.account and self.account.role == "write" and (own or self.asks("create_pr"))
        return repo if proposes else self.find(write=True)

    def named(self) -> tuple[str, str]:
        """Kind and id of the repository that the body names, and that the account may create or delete."""
        asked = self.json
        kind, owner = asked.get("type") or "model", asked.get("organization") or self.author
        if not self.account:
            raise Refusal(401, "Invalid username or password.")
        if kind not in ("model", "dataset") or not re.fullmatch(r"[\w.-]+", asked["name"]):
            raise Refusal(400, f"Invalid repository: {kind} {owner}/{asked['name']}")
        if not self.account.may_write(owner):
            raise Refusal(403, f'You don\'t have the rights to create a {kind} under the namespace "{owner}"')
        return kind, f"{owner}/{asked['name']}"

    def paged(self, items: list[Any]) -> Reply:
        size, number = self.hub.page_size, int(self.query.get("p", ["0"])[0])
        following = f"{self.hub.url}{self.path}?{urlencode({**self.query, 'p': number + 1}, doseq=True)}"
        more = (number + 1) * size < len(items)
        return Reply(items[number * size :][:size], headers={"Link": f'<{following}>; rel="next"'} if more else {})

    def whoami(self) -> Any:
        if not self.account:
            raise Refusal(401, "Invalid username or password.")
        name, role = self.account.name, self.account.role
        orgs = [{"type": "org", "name": org, "fullname": org, "roleInOrg": "write"} for org in self.account.orgs]
        auth = {"type": "access_token", "accessToken": {"displayName": "test", "role": role, "createdAt": now()}}
        return {"type": "user", "id": "0", "name": name, "fullname": name, "orgs": orgs, "auth": auth}

    def validate_yaml(self) -> Any:
        missing = metadata(self.json["content"].encode()) is None
        warning = {"message": "empty or missing yaml metadata in repo card"}
        return {"errors": [], "warnings": [warning] if missing else []}

    def create_repo(self) -> Any:
        kind, repo_id = self.named()
        if (kind, repo_id) in self.hub.repos:
            url = f"{self.hub.url}{self.hub.repos[kind, repo_id].page}"
            raise Refusal(409, f"You already created this {kind} repo: {repo_id}", url=url)
        private = self.json.get("private") or self.json.get("visibility") == "private"  # the client's 1.x, 2.x
        repo = self.hub.create(repo_id, kind, bool(private), self.author)
        return {"url": f"{self.hub.url}{repo.page}", "name": repo_id, "id": repo_id}

    def delete_repo(self) -> Any:
        if not self.hub.repos.pop(self.named(), None):
            raise Refusal(404, "Repository not found", "RepoNotFound")
        return {}

    def settings(self) -> Any:
        repo, asked = self.find(write=True), self.json
        repo.private = asked.get("private", asked.get("visibility", repo.private)) in (True, "private")
        return {"private": repo.private}

    def tree(self) -> Reply:
        repo, path = self.find(), self.file.rstrip("/")
        commit, prefix = repo.at(self.revision), f"{path}/" if path else ""
        inside = [name.removeprefix(prefix).split("/") for name in commit.files if name.startswith(prefix)]
        if path and not inside:
            raise Refusal(404, f"{path} does not exist on {self.revision}", "EntryNotFound")
        depth = max(map(len, inside)) if self.asks("recursive") else 1
        names = {prefix + "/".join(parts[:size]) for parts in inside for size in range(1, depth + 1)}
        return self.paged([described(repo, commit, name, self.asks("expand")) for name in sorted(names)])

    def paths_info(self) -> Any:
        repo, form = self.find(), parse_qs(self.body.decode())
        commit, expand = repo.at(self.revision), form.get("expand") == ["true"]
        return [entry for path in form.get("paths", []) if (entry := described(repo, commit, path.strip("/"), expand))]

    def refs(self) -> Any:
        repo, found = self.find(), {"branches": [], "tags": [], "converts": [], "pullRequests": []}
        groups = {"heads": "branches", "tags": "tags", "pr": "pullRequests"}
        for ref, oid in repo.refs.items():
            _, group, name = ref.split("/", 2)
            found[groups[group]].append({"name": ref if group == "pr" else name, "ref": ref, "targetCommit": oid})
        return found

    def commits(self) -> Reply:
        return self.paged([each.listed for each in self.find().history(self.revision)])

    def create_branch(self) -> Any:
        repo = self.find(write=True)
        if self.revision.startswith("refs/"):
            raise Refusal(400, f"Invalid reference for a branch: {self.revision}")
        return self.point(repo, f"refs/heads/{self.revision}", self.json.get("startingPoint", "main"))

    def create_tag(self) -> Any:
        return self.point(self.find(write=True), f"refs/tags/{self.json['tag']}", self.revision)

    def point(self, repo: Repo, ref: str, revision: str) -> Any:
        oid = repo.at(revision).oid
        if ref in repo.refs:
            raise Refusal(409, f"Reference already exists: {ref}")
        repo.refs[ref] = oid
        return {}

    def delete_branch(self) -> Any:
        if self.revision == "main":
            raise Refusal(403, "The branch main cannot be deleted")
        return self.unpoint(f"refs/heads/{self.revision}")

    def delete_tag(self) -> Any:
        return self.unpoint(f"refs/tags/{self.revision}")

    def unpoint(self, ref: str) -> Any:
        if not self.find(write=True).refs.pop(ref, None):
            raise Refusal(404, f"Invalid rev id: {self.revision}", "RevisionNotFound")
        return {}

    def preupload(self) -> Any:
        """How each file is to be sent, and the oid of what is there, by which the client drops what did not change."""
        head = self.contributable().at(self.revision)
        asked = {file["path"]: file["size"] for file in self.json["files"]}
        files = [
            {"path": path, "uploadMode": "lfs" if goes_to_lfs(path, size) else "regular", "shouldIgnore": False}
            | ({"oid": head.files[path].etag} if path in head.files else {})
            for path, size in asked.items()
        ]
        return {"files": files, "commitOid": head.oid}

    def lfs_batch(self) -> Any:
        """Where to upload; nowhere, when the content is there already."""
        repo = self.find()
        if not self.account or self.account.role != "write":
            raise Refusal(403, f"You don't have the rights to upload to {repo.id}")
        storage = f"{self.hub.url}{quote(repo.page)}.git/info/lfs"
        objects = [{"oid": each["oid"], "size": each["size"]} for each in self.json["objects"]]
        for each in objects:
            if each["oid"] not in repo.lfs:
                upload = {"href": f"{storage}/storage/{each['oid']}?size={each['size']}"}
                each["actions"] = {"upload": upload, "verify": {"href": f"{storage}/verify"}}
        return {"transfer": "basic", "objects": objects}

    def lfs_upload(self) -> Any:
        """Asks for no account, like the signed addresses that the Hub gives out."""
        oid, size = hashlib.sha256(self.body).hexdigest(), len(self.body)
        if [oid, str(size)] != [self.parts["oid"], *self.query["size"]]:
            raise Refusal(400, "The content has not the sha256 and size that were announced")
        self.hub.repos[self.parts.get("kind", "model"), self.parts["repo"]].lfs[oid] = self.body
        return b""

    def lfs_verify(self) -> Any:
        if len(self.find().lfs.get(self.json["oid"], b"")) != self.json["size"]:
            raise Refusal(404, "This content was never uploaded")
        return {}

    def commit(self) -> Any:
        repo, proposes = self.contributable(), self.asks("create_pr")
        header, *operations = (json.loads(line) for line in self.body.split(b"\n") if line)
        title, description = header["value"]["summary"], header["value"]["description"]
        parent = header["value"].get("parentCommit", "")
        head, ref = repo.at(self.revision), repo.ref(self.revision)
        if not ref or ref.startswith("refs/tags/"):
            raise Refusal(404, f"Not a branch: {self.revision}", "RevisionNotFound")
        if parent and proposes:
            head = repo.at(parent)
        elif not head.oid.startswith(parent):
            raise Refusal(412, "A commit has happened since. Please refresh and try again.")
        files = applied(repo, head.files, operations)
        answer = {}
        if proposes:
            made = repo.discuss(title, self.author, pull_request=True)
            ref, answer = made["ref"], {"pullRequestUrl": f"{self.hub.url}{repo.page}/discussions/{made['num']}"}
        oid = repo.add(ref, Commit(title, self.author, head.oid, files, description)).oid
        return answer | {"commitOid": oid, "commitUrl": f"{self.hub.url}{repo.page}/commit/{oid}", "success": True}

    def discussions(self) -> Any:
        repo, size, found = self.find(), self.hub.page_size, []
        for each in reversed(repo.discussions):
            facts = {"author": each["author"]["name"], "status": each["status"].replace("draft", "open")}
            facts["type"] = "pull_request" if each["isPullRequest"] else "discussion"
            if all(self.query.get(name, ["all"]) in (["all"], [fact]) for name, fact in facts.items()):
                found.append(each)
        start = int(self.query.get("p", ["0"])[0]) * size
        return {"count": len(found), "start": start, "discussions": found[start : start + size]}

    def create_discussion(self) -> Any:
        repo, pull_request = self.find(), self.json["pullRequest"]
        if not self.account or self.account.role != "write":
            raise Refusal(403, f"You don't have the rights to open a discussion in {repo.id}")
        made = repo.discuss(self.json["title"], self.author, pull_request, "draft" if pull_request else "open")
        if pull_request:
            repo.refs[made["ref"]] = repo.at("main").oid
        return made

    def discussion(self) -> Any:
        found = [each for each in self.find().discussions if str(each["num"]) == self.parts["number"]]
        if not found:
            raise Refusal(404, f"There is no discussion {self.parts['number']}")
        return found[0] | {"events": [], "changes": {"base": "refs/heads/main"}, "filesWithConflicts": []}

    def repo_info(self) -> Any:
        repo = self.find()
        head, first = repo.at(self.revision), list(repo.history("main"))[-1]
        try:
            card = metadata(head.files["README.md"].content if "README.md" in head.files else b"") or {}
        except Refusal:  # such a README can have been written on the website
            card = {}
        siblings = [self.sibling(path, blob) for path, blob in sorted(head.files.items())]
        known = {"_id": "0", "id": repo.id, "author": repo.id.split("/")[0], "sha": head.oid, "private": repo.private}
        known |= {"lastModified": head.date, "createdAt": first.date, "siblings": siblings, "gated": False}
        known |= {"disabled": False, "downloads": 0, "likes": 0, "tags": card.get("tags") or [], "cardData": card}
        known |= {name: card[name] for name in ("pipeline_tag", "library_name") if name in card}
        shown = {"_id", "id", *self.query.get("expand", known)}
        return {name: value for name, value in known.items() if name in shown}

    def sibling(self, path: str, blob: Blob) -> dict[str, Any]:
        size, entry = len(blob.content), {"rfilename": path}
        if self.asks("blobs"):
            lfs = {"sha256": blob.sha256, "size": size, "pointerSize": len(blob.pointer)}
            entry |= {"blobId": blob.oid, "size": size} | ({"lfs": lfs} if blob.lfs else {})
        return entry

    def resolve_get(self) -> Reply:
        """A file, or the one range of it that is asked for. LFS files come from here too, not from another host."""
        commit = self.find().at(self.revision)
        headers = {"X-Repo-Commit": commit.oid, "Accept-Ranges": "bytes"}
        if self.file not in commit.files:
            raise Refusal(404, "Entry not found", "EntryNotFound", headers)
        blob = commit.files[self.file]
        size = len(blob.content)
        headers |= {"ETag": f'"{blob.etag}"'}
        headers |= {"X-Linked-ETag": f'"{blob.etag}"', "X-Linked-Size": str(size)} if blob.lfs else {}
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)|bytes=-(\d+)", self.headers.get("Range", ""))
        if not asked:
            return Reply(blob.content, headers=headers)
        start = max(size - int(asked[3]), 0) if asked[3] else int(asked[1])
        end = min(int(asked[2]) + 1, size) if asked[2] else size
        if start >= end:
            raise Refusal(416, "Range not satisfiable", headers={"Content-Range": f"bytes */{size}"})
        headers |= {"Content-Range": f"bytes {start}-{end - 1}/{size}"}
        return Reply(blob.content[start:end], 206, headers)

    resolve_head = resolve_get


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def serve(self) -> None:
        hub, woken = self.server.hub, self.server.hub.woken
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        call = Call(hub, self.command, self.path, self.headers, body)
        request = Request(call.endpoint, self.command, self.path, call.token)
        fault = hub.arrived(request)
        if fault.meanwhile:
            fault.meanwhile()
        if fault.reset or (fault.stall and woken.wait(fault.stall)):
            return self.cut()
        reply = fault.reply() if fault.status else call.reply()
        if fault.lose_response:
            return self.cut()
        request.status = reply.status
        self.send(reply, fault.truncate)

    do_DELETE = do_GET = do_HEAD = do_POST = do_PUT = serve  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Quiet."""

    def send(self, reply: Reply, truncate: bool) -> None:
        self.send_response(reply.status)
        kind = "application/octet-stream" if isinstance(reply.body, bytes) else "application/json"
        size = len(reply.content)
        for name, value in {"Content-Type": kind, "Content-Length": str(size), **reply.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.content[: size // 2] if truncate else reply.content)
        self.close_connection = self.close_connection or truncate

    def cut(self) -> None:
        """Ends the connection with a reset instead of a goodbye."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.rfile.close()
        self.connection.close()
        self.close_connection = True


class _Server(ThreadingHTTPServer):
    hub: HubServer
    request_queue_size = 64

    def __init__(self, *arguments: Any) -> None:
        self.connections: set[socket.socket] = set()
        super().__init__(*arguments)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news; anything else is a bug here, and is shown."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)

    def stop(self) -> None:
        self.shutdown()
        self.server_close()
        for connection in list(self.connections):
            with contextlib.suppress(OSError):  # its client closed it in the meantime
                connection.shutdown(socket.SHUT_RDWR)
