"""Search for secrets in whatever is about to be published."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from sentiment140_bert import credentials
from sentiment140_bert.credentials import KINDS
from sentiment140_bert.errors import SecretError

CHUNK = 1 << 24
OVERLAP = 1 << 13

# Names of variables and settings, in any case; a value after them is a secret.
_VALUE = rb"[\"']?\s*[=:]\s*[\"']?"
NAMED: tuple[tuple[str, bytes, re.Pattern[bytes]], ...] = (
    ("Weights & Biases key", b"wandb", re.compile(rb"wandb[^\n]{0,40}?(?<![0-9a-f])[0-9a-f]{40}(?![0-9a-f])")),
    ("Weights & Biases key", b"api", re.compile(rb"api[_-]?key[^\n]{0,40}?(?<![0-9a-f])[0-9a-f]{40}(?![0-9a-f])")),
    ("Weights & Biases key", b"wandb_api_key", re.compile(rb"wandb_api_key" + _VALUE + rb"[\w-]{20,}")),
    ("MLflow password", b"mlflow_", re.compile(rb"mlflow_tracking_(?:token|password)" + _VALUE + rb"[^\s\"'$<{]{8,}")),
    (
        "Databricks token",
        b"databricks_",
        re.compile(rb"databricks_(?:token|client_secret)" + _VALUE + rb"[^\s\"'$<{]{8,}"),
    ),
    ("AWS secret key", b"aws", re.compile(rb"aws[_-]?secret[_-]?access[_-]?key" + _VALUE + rb"[a-z0-9/+=]{40}")),
    ("AWS secret key", b"secret", re.compile(rb"secretaccesskey" + _VALUE + rb"[a-z0-9/+=]{40}")),
    ("AWS session token", b"aws", re.compile(rb"aws_?session_?token" + _VALUE + rb"[a-z0-9/+=]{40}")),
)
# A bare W&B key: forty hexadecimal digits that nothing introduces as a commit.
BARE = re.compile(
    rb"(?:(?<![0-9a-zA-Z])|(?<=\\[nrt]))"
    rb"(?<!ision `)(?<!ision=)(?<!ision: )(?<!ision: ')(?<!ision\": \")(?<!ision )"
    rb"(?<!commit )(?<!commit/)(?<!commit\": \")(?<!tree/)(?<!blob/)(?<!resolve/)"
    rb"[0-9a-f]{40}(?![0-9a-zA-Z])"
)


def list_known() -> list[bytes]:
    """Return the secrets of the environment and of this machine's logins, in every form."""
    from huggingface_hub import get_token

    token = get_token() or ""
    values = credentials.find_secrets() | ({token} if len(token) >= credentials.SHORTEST else set())
    return [form.encode("utf-8", "surrogateescape") for value in values for form in credentials.list_forms(value)]


def find_secret(content: bytes, values: Iterable[bytes] = (), *, bare: bool = True) -> str | None:
    """Return the kind of the first secret in ``content``, or None.

    Args:
        content: Any bytes, text or not.
        values: Values that are secrets themselves, from :func:`list_known`.
        bare: Take any forty hexadecimal digits for a key; in tweets they have many other reasons.
    """
    values = list(values)
    return next((kind for text in _read_wide(content) if (kind := _find_kind(text, values, bare))), None)


def _read_wide(content: bytes) -> Iterator[bytes]:
    """Yield the content, and that of a text in UTF-16 or UTF-32 without the zeros between its signs, too."""
    yield content
    if content.count(0) * 3 > len(content):
        yield content.replace(b"\0", b"")


def _find_kind(content: bytes, values: list[bytes], bare: bool) -> str | None:
    if any(value in content for value in values):
        return "token of this machine"
    lower = content.lower()
    for kinds, text in ((KINDS, content), (NAMED, lower)):
        for name, sign, pattern in kinds:
            if _matches_at(text, sign, pattern):
                return name
    is_text = b"\0" not in content
    return "Weights & Biases key" if is_text and bare and BARE.search(content) else None


def _matches_at(content: bytes, sign: bytes, pattern: re.Pattern[bytes]) -> bool:
    at = content.find(sign)
    while at >= 0:
        if pattern.match(content, at):
            return True
        at = content.find(sign, at + 1)
    return False


def make_tweet_check() -> Callable[[bytes, str], None]:
    """Return a function that raises SecretError, with the given name, if the given tweets hold a secret."""
    values = list_known()

    def check(content: bytes, name: str) -> None:
        _refuse(find_secret(content, values, bare=False), name)

    return check


def check_files(files: Iterable[tuple[str, Path | bytes]]) -> None:
    """Search files of any size.

    Args:
        files: The name to report, and the file or its content.

    Raises:
        SecretError: One holds a secret; the message does not show it.
    """
    values = list_known()
    for name, content in files:
        _refuse(find_secret(name.encode("utf-8", "surrogateescape"), values, bare=False), "The name of a file")
        in_parts = isinstance(content, Path) and content.stat().st_size > CHUNK  # a hash may be cut to a key's length
        for part in [content] if isinstance(content, bytes) else _parts(content):
            _refuse(find_secret(part, values, bare=not in_parts), name)


def _refuse(kind: str | None, name: str) -> None:
    if kind:
        raise SecretError(
            f"{name} holds what looks like a secret ({kind}).",
            "Nothing was published. Remove it from there, and push again.",
        )


def _parts(path: Path) -> Iterator[bytes]:
    """Yield a file in pieces that overlap, so that a secret on a seam is not missed."""
    tail = b""
    with path.open("rb") as file:
        while piece := file.read(CHUNK):
            yield tail + piece
            tail = piece[-OVERLAP:]
