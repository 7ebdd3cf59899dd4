"""Answer as the Hub does: a method for each endpoint of its HTTP protocol that this package or its libraries ask."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, unquote

from hub_repositories import Blob, Commit, Refusal, Reply, Repo, apply, describe, goes_to_lfs, now, read_front_matter

if TYPE_CHECKING:
    from hub_server import HubServer

REPO = "(?P<repo>[^/]+(?:/[^/]+)?)"
API, SITE = f"/api/(?P<kind>model|dataset|space)s/{REPO}", f"/(?:(?P<kind>dataset|space)s/)?{REPO}"
REVISION = "/(?P<revision>[^/]+)"
ROUTES = {
    "whoami": ("GET", "/api/whoami-v2"),
    "validate_yaml": ("POST", "/api/validate-yaml"),
    "create_repo": ("POST", "/api/repos/create"),
    "settings": ("PUT", f"{API}/settings"),
    "tree": ("GET", f"{API}/tree{REVISION}(?:/(?P<path>.+))?"),
    "paths_info": ("POST", f"{API}/paths-info{REVISION}"),
    "refs": ("GET", f"{API}/refs"),
    "commits": ("GET", f"{API}/commits{REVISION}"),
    "create_branch": ("POST", f"{API}/branch{REVISION}"),
    "create_tag": ("POST", f"{API}/tag{REVISION}"),
    "preupload": ("POST", f"{API}/preupload{REVISION}"),
    "lfs_batch": ("POST", rf"{SITE}\.git/info/lfs/objects/batch"),
    "lfs_upload": ("PUT", rf"{SITE}\.git/info/lfs/storage/(?P<oid>[^/]+)"),
    "lfs_verify": ("POST", rf"{SITE}\.git/info/lfs/verify"),
    "commit": ("POST", f"{API}/commit{REVISION}"),
    "super_squash": ("POST", f"{API}/super-squash{REVISION}"),
    "lfs_files": ("GET", f"{API}/lfs-files"),
    "delete_lfs_files": ("POST", f"{API}/lfs-files/batch"),
    "discussions": ("GET", f"{API}/discussions"),
    "resolve_head": ("HEAD", f"{SITE}/resolve{REVISION}/(?P<path>.+)"),
    "resolve_get": ("GET", f"{SITE}/resolve{REVISION}/(?P<path>.+)"),
    "repo_info": ("GET", f"{API}(?:/revision{REVISION})?"),
}
ENDPOINTS: tuple[str, ...] = tuple(ROUTES)


class Call:
    """A request on its way through its endpoint, which is the method of that name."""

    def __init__(self, hub: HubServer, method: str, target: str, headers: Any, body: bytes) -> None:
        self.hub, self.headers, self.body = hub, headers, body
        self.path, _, query = target.partition("?")
        self.query, self.endpoint, self.parts = parse_qs(query), "unknown", {}
        for endpoint, (verb, pattern) in ROUTES.items():
            if method == verb and (match := re.fullmatch(pattern, self.path)):
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

    def has_flag(self, name: str) -> bool:
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
        """Return the repository of the path. One that the account may not see looks missing."""
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

    def find_for_proposal(self) -> Repo:
        """Return the repository for those who may write to it or propose: ``create_pr``, or their own pull request."""
        repo = self.find()
        own = any(pr["author"]["name"] == self.author for pr in repo.discussions if pr["ref"] == self.revision)
        proposes = self.account and self.account.role == "write" and (own or self.has_flag("create_pr"))
        return repo if proposes else self.find(write=True)

    def whoami(self) -> Any:
        if not self.account:
            raise Refusal(401, "Invalid username or password.")
        name, role = self.account.name, self.account.role
        orgs = [{"type": "org", "name": org, "fullname": org, "roleInOrg": "write"} for org in self.account.orgs]
        auth = {"type": "access_token", "accessToken": {"displayName": "test", "role": role, "createdAt": now()}}
        return {"type": "user", "id": "0", "name": name, "fullname": name, "orgs": orgs, "auth": auth}

    def validate_yaml(self) -> Any:
        missing = read_front_matter({"README.md": Blob(self.json["content"].encode())}) is None
        warning = {"message": "empty or missing yaml metadata in repo card"}
        return {"errors": [], "warnings": [warning] if missing else []}

    def create_repo(self) -> Any:
        form = self.json
        kind, owner = form.get("type") or "model", form.get("organization") or self.author
        repo_id = f"{owner}/{form['name']}"
        if not self.account:
            raise Refusal(401, "Invalid username or password.")
        if not self.account.may_write(owner):
            raise Refusal(403, f'You don\'t have the rights to create a {kind} under the namespace "{owner}"')
        if (kind, repo_id) in self.hub.repos:
            url = f"{self.hub.url}{self.hub.repos[kind, repo_id].page}"
            raise Refusal(409, f"You already created this {kind} repo: {repo_id}", url=url)
        private = form.get("private") or form.get("visibility") == "private"  # the client's 1.x, 2.x
        repo = self.hub.create(repo_id, kind, bool(private), self.author)
        if form.get("sdk") == "static":  # the Hub's own page, in the first commit
            first = repo.at("main")
            first.files.update(
                {"index.html": Blob(b"<h1>Welcome to your static Space!</h1>"), "style.css": Blob(b"p {}")}
            )
        return {"url": f"{self.hub.url}{repo.page}", "name": repo_id, "id": repo_id}

    def settings(self) -> Any:
        repo, form = self.find(write=True), self.json
        repo.private = form.get("private", form.get("visibility", repo.private)) in (True, "private")
        return {"private": repo.private}

    def tree(self) -> Any:
        commit, path = self.find().at(self.revision), self.file.rstrip("/")
        prefix = f"{path}/" if path else ""
        inside = [name.removeprefix(prefix).split("/") for name in commit.files if name.startswith(prefix)]
        if path and not inside:
            raise Refusal(404, f"{path} does not exist on {self.revision}", "EntryNotFound")
        depth = max(map(len, inside)) if self.has_flag("recursive") else 1
        names = {prefix + "/".join(parts[:size]) for parts in inside for size in range(1, depth + 1)}
        return [describe(commit, name) for name in sorted(names)]

    def paths_info(self) -> Any:
        commit, form = self.find().at(self.revision), parse_qs(self.body.decode())
        return [entry for path in form.get("paths", []) if (entry := describe(commit, path.strip("/")))]

    def refs(self) -> Any:
        groups = {"heads": "branches", "tags": "tags", "pr": "pullRequests"}
        refs: dict[str, list[dict[str, str]]] = {name: [] for name in (*groups.values(), "converts")}
        for ref, oid in self.find().refs.items():
            _, group, name = ref.split("/", 2)
            refs[groups[group]].append({"name": ref if group == "pr" else name, "ref": ref, "targetCommit": oid})
        return refs

    def commits(self) -> Any:
        repo = self.find()
        return [
            {
                "id": commit.oid,
                "title": commit.title,
                "message": commit.description,
                "date": now(),
                "authors": [{"user": commit.author}],
            }
            for commit in repo.history(repo.at(self.revision).oid)
        ]

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

    def preupload(self) -> Any:
        """Say how to send each file, and the oid of what is there, by which the client drops what did not change."""
        head = self.find_for_proposal().at(self.revision)
        files = [
            {"path": path, "uploadMode": "lfs" if goes_to_lfs(path, size) else "regular", "shouldIgnore": False}
            | ({"oid": head.files[path].etag} if path in head.files else {})
            for path, size in ((file["path"], file["size"]) for file in self.json["files"])
        ]
        return {"files": files, "commitOid": head.oid}

    def lfs_batch(self) -> Any:
        """Say where to upload; nowhere, when the content is there already."""
        repo = self.find()
        if not self.account or self.account.role != "write":
            raise Refusal(403, f"You don't have the rights to upload to {repo.id}")
        storage = f"{self.hub.url}{quote(repo.page)}.git/info/lfs"
        objects = [{"oid": item["oid"], "size": item["size"]} for item in self.json["objects"]]
        for item in objects:
            if item["oid"] not in repo.lfs:
                upload = {"href": f"{storage}/storage/{item['oid']}?size={item['size']}"}
                item["actions"] = {"upload": upload, "verify": {"href": f"{storage}/verify"}}
        return {"transfer": "basic", "objects": objects}

    def lfs_upload(self) -> Any:
        """Accept an upload without an account, like the Hub's signed addresses."""
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
        repo, proposes = self.find_for_proposal(), self.has_flag("create_pr")
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
        files = apply(repo, head.files, operations)
        answer = {}
        if proposes:
            request = repo.open_pull_request(title, self.author)
            ref, answer = request["ref"], {"pullRequestUrl": f"{self.hub.url}{repo.page}/discussions/{request['num']}"}
        oid = repo.add(ref, Commit(title, self.author, head.oid, files, description)).oid
        return answer | {"commitOid": oid, "commitUrl": f"{self.hub.url}{repo.page}/commit/{oid}", "success": True}

    def super_squash(self) -> Any:
        """Squash the branch into one commit without parent; earlier commits disappear, their large files stay."""
        repo, ref = self.find(write=True), self.find().ref(self.revision)
        if not ref.startswith("refs/heads/"):
            raise Refusal(400, f"Invalid reference for a branch: {self.revision}", "BadRequest")
        head = repo.at(self.revision)
        repo.add(ref, Commit(self.json["message"], self.author, None, head.files))
        repo.forget_unreachable()
        return {}

    def lfs_files(self) -> Any:
        """List what counts as storage, whether a commit names it or not."""
        repo = self.find(write=True)
        names = {blob.sha256: path for commit in repo.commits.values() for path, blob in commit.files.items()}
        facts = {"oid": "0" * 40, "pushedAt": now(), "ref": "main"}
        return [
            {"fileOid": oid, "filename": names.get(oid, oid), "size": len(content), **facts}
            for oid, content in repo.lfs.items()
        ]

    def delete_lfs_files(self) -> Any:
        repo = self.find(write=True)
        for oid in self.json["deletions"]["sha"]:
            repo.lfs.pop(oid, None)
        return {}

    def discussions(self) -> Any:
        matching = []
        for request in reversed(self.find().discussions):
            facts = {"author": request["author"]["name"], "status": request["status"], "type": "pull_request"}
            if all(self.query.get(name, ["all"]) in (["all"], [fact]) for name, fact in facts.items()):
                matching.append(request)
        return {"count": len(matching), "start": 0, "discussions": matching}

    def repo_info(self) -> Any:
        repo = self.find()
        head, first = repo.at(self.revision), list(repo.history("main"))[-1]
        try:
            card = read_front_matter(head.files) or {}
        except Refusal:  # such a README can have been written on the website
            card = {}
        siblings = [self.sibling(path, blob) for path, blob in sorted(head.files.items())]
        facts = {"_id": "0", "id": repo.id, "author": repo.id.split("/")[0], "sha": head.oid, "private": repo.private}
        facts |= {"lastModified": head.date, "createdAt": first.date, "siblings": siblings, "gated": False}
        facts |= {"disabled": False, "downloads": 0, "likes": 0, "tags": card.get("tags") or [], "cardData": card}
        facts |= {name: card[name] for name in ("pipeline_tag", "library_name") if name in card}
        names = {"_id", "id", *self.query.get("expand", facts)}
        return {name: value for name, value in facts.items() if name in names}

    def sibling(self, path: str, blob: Blob) -> dict[str, Any]:
        size, entry = len(blob.content), {"rfilename": path}
        if self.has_flag("blobs"):
            lfs = {"sha256": blob.sha256, "size": size, "pointerSize": len(blob.pointer)}
            entry |= {"blobId": blob.oid, "size": size} | ({"lfs": lfs} if blob.lfs else {})
        return entry

    def resolve_get(self) -> Reply:
        """Return a file or the requested range of it. LFS files come from here too, unless ``storage`` is set."""
        commit = self.find().at(self.revision)
        headers = {"X-Repo-Commit": commit.oid, "Accept-Ranges": "bytes"}
        blob = commit.files.get(self.file)
        if not blob or (blob.lfs and blob.sha256 not in self.find().lfs):
            raise Refusal(404, "Entry not found", "EntryNotFound", headers)
        size = len(blob.content)
        headers |= {"ETag": f'"{blob.etag}"'}
        headers |= {"X-Linked-ETag": f'"{blob.etag}"', "X-Linked-Size": str(size)} if blob.lfs else {}
        if blob.lfs and self.hub.storage:
            return Reply(b"", 302, headers | {"Location": f"{self.hub.storage}/{blob.sha256}"})
        span = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if not span:
            return Reply(blob.content, headers=headers)
        start, end = int(span[1]), min(int(span[2] or size) + 1, size)
        headers |= {"Content-Range": f"bytes {start}-{end - 1}/{size}"}
        return Reply(blob.content[start:end], 206, headers)

    resolve_head = resolve_get
