"""The shapes of the Hub's answers: as far as huggingface_hub and this package read them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired

from pydantic import AfterValidator, Field
from typing_extensions import TypedDict

Size = Annotated[int, Field(ge=0)]
Commit = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{40}([0-9a-f]{24})?$")]


def _is_relative(name: str) -> str:
    """Return the name of a file, unless it would lead out of the folder that it is joined to."""
    if name.startswith("/") or "\\" in name or ".." in name.split("/") or ":" in name.split("/")[0]:
        raise ValueError(f"{name[:80]!r} points outside its repository")
    return name


FileName = Annotated[str, AfterValidator(_is_relative)]


class AccessToken(TypedDict):
    """A login's token."""

    role: NotRequired[str | None]


class Login(TypedDict):
    """The user's way of being logged in."""

    accessToken: NotRequired[AccessToken | None]


class Organization(TypedDict):
    """An organization of the user."""

    name: str


class User(TypedDict):
    """The user who is logged in."""

    name: str
    orgs: NotRequired[list[Organization] | None]
    auth: NotRequired[Login | None]


class Lfs(TypedDict):
    """A large file; ``sha256`` in the description of a repository, ``oid`` in a listing."""

    size: Size
    sha256: NotRequired[Hash]
    oid: NotRequired[Hash]


class Sibling(TypedDict):
    """A file in the description of a repository."""

    rfilename: FileName
    size: NotRequired[Size | None]
    blobId: NotRequired[Hash | None]
    lfs: NotRequired[Lfs | None]


class Repository(TypedDict):
    """A model or dataset."""

    id: str
    sha: NotRequired[Commit | None]
    private: NotRequired[bool | None]
    siblings: NotRequired[list[Sibling] | None]


class Entry(TypedDict):
    """A file or folder in a listing."""

    type: str
    path: FileName
    oid: NotRequired[Hash]
    size: NotRequired[Size]
    lfs: NotRequired[Lfs | None]


class Ref(TypedDict):
    """A branch or tag."""

    name: str
    ref: str
    targetCommit: Commit


class Refs(TypedDict):
    """Branches and tags of a repository."""

    branches: list[Ref]
    tags: list[Ref]
    converts: NotRequired[list[Ref]]
    pullRequests: NotRequired[list[Ref]]


class Upload(TypedDict):
    """The way to send a file."""

    path: str
    uploadMode: Literal["lfs", "regular"]
    shouldIgnore: NotRequired[bool]
    oid: NotRequired[str | None]


class Uploads(TypedDict):
    """The way to send each of several files."""

    files: list[Upload]


class Batch(TypedDict):
    """The addresses to send large files to."""

    objects: list[dict[str, Any]]
    transfer: NotRequired[str | None]


class Committed(TypedDict):
    """A new commit."""

    commitOid: Commit
    commitUrl: str
    pullRequestUrl: NotRequired[str | None]


class CommitAuthor(TypedDict):
    """One of those who made a commit."""

    user: str


class CommitInfo(TypedDict):
    """A commit in a list."""

    id: Commit
    title: str
    message: str
    date: str
    authors: list[CommitAuthor]


class Created(TypedDict):
    """A new repository."""

    url: str


class Author(TypedDict):
    """The user who opened a discussion."""

    name: NotRequired[str]


class Discussion(TypedDict):
    """A discussion or pull request."""

    num: Size
    title: str
    author: NotRequired[Author | None]


class Page(TypedDict):
    """A page of discussions."""

    count: Size
    start: Size
    discussions: list[Discussion]


def _is_needed(page: Page) -> Page:
    """Return the page, unless it is empty and promises more, which would never end."""
    if not page["discussions"] and page["start"] < page["count"]:
        raise ValueError("an empty page that is not the last")
    return page


class StoredFile(TypedDict):
    """A large file that counts as storage."""

    fileOid: str
    filename: str
    pushedAt: str


class Remark(TypedDict):
    """A remark of the Hub on a card or a request."""

    message: str


class Remarks(TypedDict):
    """Errors and warnings about a card."""

    errors: NotRequired[list[Remark]]
    warnings: NotRequired[list[Remark]]


class Refusal(TypedDict):
    """The body of an error."""

    error: NotRequired[str | list[str]]
    error_description: NotRequired[str]
    errors: NotRequired[list[Remark]]


REPO = r"/api/(?:models|datasets|spaces)/[^/]+(?:/[^/]+)?"
# What huggingface_hub reads of which answers. Of all others only their status counts.
SHAPES: tuple[tuple[str, str, Any], ...] = (
    ("GET", "/api/whoami-v2", User),
    ("POST", "/api/validate-yaml", Remarks),
    ("POST", "/api/repos/create", Created),
    ("GET", f"{REPO}/tree/.+", list[Entry]),
    ("POST", f"{REPO}/paths-info/.+", list[Entry]),
    ("GET", f"{REPO}/refs", Refs),
    ("GET", f"{REPO}/commits/.+", list[CommitInfo]),
    ("GET", f"{REPO}/discussions", Annotated[Page, AfterValidator(_is_needed)]),
    ("GET", f"{REPO}/lfs-files", list[StoredFile]),
    ("POST", f"{REPO}/preupload/.+", Uploads),
    ("POST", f"{REPO}/commit/.+", Committed),
    ("POST", r"/.+\.git/info/lfs/objects/batch", Batch),
    ("GET", f"{REPO}(?:/revision/.+)?", Repository),
)
