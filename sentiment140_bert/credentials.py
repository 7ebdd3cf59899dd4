"""Secrets of this machine, patterns of secrets, and texts without them."""

from __future__ import annotations

import base64
import html
import json
import logging
import os
import re
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus, unquote

from sentiment140_bert.text import escape_hidden

SHORTEST = 8  # characters: shorter ones are in too many texts by chance
LONG = 16  # characters that a value of any variable must have to be taken for a secret, and not for a word
HIDDEN = "***"
BASE64_OF_ADDRESSES = str.maketrans("+/", "-_")

# Variables that hold secrets go by such names, in any program; those that end in _FILE or _PATH do not.
VARIABLE = re.compile(
    r"(?:TOKEN|SECRET|PASSWORD|PASSWD|API_?KEY|ACCESS_KEY|SECRET_KEY|ENCRYPTION_KEY)(?:_\d+)?$", re.IGNORECASE
)
# Variables of the supported services; their values are secrets whatever they look like.
SERVICE_VARIABLE = re.compile(
    r"^(?:HF|HUGGING_?FACE|HUGGINGFACEHUB|WANDB|MLFLOW|DATABRICKS|TRACKIO|AWS|.*_PROXY$)", re.IGNORECASE
)
IN_ADDRESS = re.compile(r"://[^\s/:@\"'<>]*:([^\s/\"'<>]+)@")
# A setting in one of the files below, from the start of its line: `token = …`, `"api_key": "…"`; netrc's `password …`.
SETTING = re.compile(
    r"^[ \t]*[\"']?\w*(?:token|secret|password|passwd|key)[\"']?[ \t]*[=:][ \t]*[\"']?([^\s\"']{8,})",
    re.IGNORECASE | re.MULTILINE,
)
# Lines of a netrc that hold no login: comments, and macros, which end at an empty line.
NO_LOGIN = re.compile(r"^[ \t]*(?:#.*$|macdef\b(?:.*\n)+?[ \t\r]*\n)", re.MULTILINE)
IN_NETRC = re.compile(r"(?<!\S)password\s+(?:\"((?:\\.|[^\"\\])*)\"|(\S+))")
# The files in which supported programs keep their logins: the variable that names the file, and its usual place.
# Those of Hugging Face: _find_hugging_face_logins.
FILES = (
    ("NETRC", "~/.netrc"),
    ("", "~/_netrc"),
    ("WANDB_IDENTITY_TOKEN_FILE", ""),
    ("", "~/.config/wandb/settings"),
    ("DATABRICKS_CONFIG_FILE", "~/.databrickscfg"),
    ("", "~/.mlflow/credentials"),
    ("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials"),
    ("AWS_CONFIG_FILE", "~/.aws/config"),
    ("", "~/.git-credentials"),
    ("", "$XDG_CONFIG_HOME/git/credentials"),
)
LARGEST = 1 << 20  # bytes: such a file is small

# What each kind of token looks like, by the text it begins with. Only at that text is the expression tried, which is
# some ten times faster than searching for it.
KINDS: tuple[tuple[str, bytes, re.Pattern[bytes]], ...] = (
    ("Hugging Face token", b"hf_", re.compile(rb"hf_[A-Za-z0-9]{30,}")),
    # The Hub's answer to a login in the browser, and to that of a CI job: what follows is a JWT, with a digit in it.
    ("Hugging Face token", b"hf_oauth_", re.compile(rb"hf_oauth_(?=[A-Za-z._-]*[0-9])[A-Za-z0-9._-]{20,}")),
    ("Hugging Face token", b"hf_jwt_", re.compile(rb"hf_jwt_(?=[A-Za-z._-]*[0-9])[A-Za-z0-9._-]{20,}")),
    ("Hugging Face token", b"api_org_", re.compile(rb"api_org_[A-Za-z0-9]{30,}")),
    ("Weights & Biases key", b"wandb_v1_", re.compile(rb"wandb_v1_[A-Za-z0-9_-]{20,}")),
    ("Weights & Biases key", b"local-", re.compile(rb"local-[0-9a-f]{40}(?![0-9a-f])")),
    ("Databricks token", b"dapi", re.compile(rb"dapi[0-9a-f]{32}")),
    ("Databricks token", b"dkea", re.compile(rb"dkea[0-9a-f]{32}")),
    ("Databricks token", b"dose", re.compile(rb"dose[0-9a-f]{32}")),
    ("AWS access key", b"AKIA", re.compile(rb"(?<![A-Z0-9])AKIA(?=[A-Z0-9]*[0-9])[A-Z0-9]{16}(?![A-Z0-9])")),
    ("AWS access key", b"ASIA", re.compile(rb"(?<![A-Z0-9])ASIA(?=[A-Z0-9]*[0-9])[A-Z0-9]{16}(?![A-Z0-9])")),
    ("GitHub token", b"gh", re.compile(rb"gh[pousr]_[A-Za-z0-9]{36}")),
    ("GitHub token", b"github_pat_", re.compile(rb"github_pat_[A-Za-z0-9_]{40,}")),
    ("GitLab token", b"gl", re.compile(rb"gl(?:pat|agent|cbt|dt|ffct|ft|imt|oas|ptt|rt|soat)-[A-Za-z0-9_-]{20,}")),
    ("Slack token", b"xox", re.compile(rb"xox[a-z]-[A-Za-z0-9%-]{20,}")),
    ("Slack token", b"xapp-", re.compile(rb"xapp-[0-9]-[A-Za-z0-9-]{20,}")),
    ("Slack address", b"hooks.slack.com/", re.compile(rb"hooks\.slack\.com/[a-z]+/[A-Za-z0-9/]{20,}")),
    ("API key", b"sk-", re.compile(rb"(?<![A-Za-z0-9])sk-(?=[A-Za-z_-]*[0-9])[A-Za-z0-9_-]{32,}")),
    ("Google key", b"AIza", re.compile(rb"AIza[A-Za-z0-9_-]{35}")),
    ("Google token", b"ya29.", re.compile(rb"ya29\.[A-Za-z0-9_-]{20,}")),
    ("Google secret", b"GOCSPX-", re.compile(rb"GOCSPX-[A-Za-z0-9_-]{20,}")),
    ("signed token", b"eyJ", re.compile(rb"eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}")),
    ("login in a header", b"Bearer ", re.compile(rb"Bearer (?=[A-Za-z._~-]*[0-9])[A-Za-z0-9+/=._~-]{20,}")),
    ("login in a header", b"Basic ", re.compile(rb"(?<=ation: )Basic [A-Za-z0-9+/]{8,}={0,2}")),
    ("login in an address", b"://", re.compile(rb"://(?=[A-Za-z_-]*[0-9])[A-Za-z0-9_-]{20,}@[A-Za-z0-9]")),
    ("private key", b"-----BEGIN ", re.compile(rb"-----BEGIN [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----")),
    ("password in an address", b"://", re.compile(rb"://[^\s/:@\"'<>]{0,64}:[^\s/:@\"'<>]{6,}@[A-Za-z0-9]")),
)
_USER = re.compile(r"(?<=://)[^\s/?#\\\"'<>]+@")  # what follows one of these is a query or a path, not a user
_NAME = r"token|password|passwd|secret|api[_-]?key|access[_-]?key|signature|\bsig|credential"
_NAMED = re.compile(rf"((?:{_NAME})[\"']?(?:[=:]|: )[\"']?)(?!\*\*\*)([^\s\"'&#,;)}}\]]{{6,}})", re.IGNORECASE)
_QUERY = re.compile(rf"([?&](?:{_NAME})=)[^&\s\"'<>]+", re.IGNORECASE)
_NUMBER = re.compile(r"[\d.,:/_-]+(?:[a-zA-Z/]{0,20})")
_HEADER = re.compile(r"\b(Bearer|Basic) [A-Za-z0-9+/=._~-]{8,}")


def find_secrets() -> frozenset[str]:
    """Return the secrets in this process's environment and in the files of its logins."""
    return _collect_secrets(tuple(sorted(os.environ.items())), tuple(_find_login_files()))


def list_forms(secret: str) -> set[str]:
    """Return the ways in which a secret is written: plainly, in JSON, HTML, an address, and inside of base64."""
    raw = secret.encode("utf-8", "surrogateescape")
    # Three letters of base64 hold four bytes; so it looks in three ways, by how many bytes stand before it.
    coded = (base64.b64encode(b"\0" * before + raw)[(0, 2, 3)[before] :] for before in range(3))
    parts = {part for code in coded if len(part := code.rstrip(b"=")[:-1].decode()) >= 12}
    in_addresses = {quote(secret, safe, errors="surrogateescape") for safe in ("", "/")}
    in_addresses.add(quote_plus(secret, errors="surrogateescape"))
    in_addresses |= {re.sub("%..", lambda code: code[0].lower(), form) for form in in_addresses}
    escaped = {json.dumps(secret, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False)}
    escaped |= {html.escape(secret, quotes) for quotes in (True, False)}
    return {secret} | escaped | in_addresses | parts | {part.translate(BASE64_OF_ADDRESSES) for part in parts}


def conceal(text: str) -> str:
    """Return a text that others may read.

    Secrets of this machine, and whatever looks like one, are ``***``; addresses have no users and passwords.
    """
    for secret in _sort_by_length(find_secrets()):
        text = text.replace(secret, HIDDEN)
    text = _HEADER.sub(rf"\1 {HIDDEN}", _NAMED.sub(_hide_value, strip_passwords(text)))
    raw = text.encode("utf-8", "surrogatepass")
    for _, sign, pattern in KINDS:
        if sign in raw:
            raw = pattern.sub(HIDDEN.encode(), raw)
    return raw.decode("utf-8", "surrogatepass")


def strip_passwords(text: str) -> str:
    """Return an address, or a text with addresses, without the users and passwords in them and in their queries."""
    return _QUERY.sub(r"\1" + HIDDEN, _USER.sub("", text))


def looks_secret(text: str) -> bool:
    """Return True if a text must not be written down: it holds a secret of this machine, a token or a password."""
    if any(secret in text for secret in _sort_by_length(find_secrets())):
        return True
    raw = text.encode("utf-8", "surrogatepass")
    named = re.search(rf"[?&](?:{_NAME})=[^&\s]", text, re.IGNORECASE)
    return bool(named) or any(pattern.search(raw) for _, sign, pattern in KINDS if sign in raw)


def conceal_output() -> None:
    """Keep secrets and characters that control a terminal out of this process's logs and tracebacks.

    This covers every library and thread. It is for our own programs: callers of the library would not expect it.
    """
    if not isinstance(logging.getLogRecordFactory(), _ConcealingFactory):
        logging.setLogRecordFactory(_ConcealingFactory(logging.getLogRecordFactory()))
    if sys.excepthook is sys.__excepthook__:  # nobody else's, such as a debugger's
        sys.excepthook = lambda *error: sys.stderr.write(_format_traceback(*error)) and None
    if threading.excepthook is threading.__excepthook__:
        threading.excepthook = lambda error: sys.stderr.write(_format_traceback(*error[:3])) and None


class _ConcealingFactory:
    """Makes log records like the factory before it, without secrets and hidden characters in text and traceback."""

    def __init__(self, before: Callable[..., logging.LogRecord]) -> None:
        self.before = before

    def __call__(self, *arguments: Any, **options: Any) -> logging.LogRecord:
        record = self.before(*arguments, **options)
        try:
            record.msg, record.args = escape_hidden(conceal(record.getMessage())), ()
        except (TypeError, ValueError, KeyError):  # text and arguments do not fit together: the handler will say so
            return record
        if record.exc_info and record.exc_info[0]:
            record.exc_text = _format_traceback(*record.exc_info).rstrip("\n")
        return record


def _format_traceback(kind: Any, error: Any, where: Any) -> str:
    return escape_hidden(conceal("".join(traceback.format_exception(kind, error, where))))


def _find_hugging_face_logins() -> tuple[str, str]:
    """Return the files of its logins as ``huggingface_hub.constants`` does, which takes long to import."""
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    home = os.environ.get("HF_HOME", os.path.join(cache, "huggingface"))  # noqa: PTH118 - Path("") is a folder
    token = os.environ.get("HF_TOKEN_PATH", os.path.join(home, "token"))  # noqa: PTH118
    return token, os.path.join(os.path.dirname(token), "stored_tokens")  # noqa: PTH118, PTH120


def _find_login_files() -> Iterator[tuple[Path, float]]:
    """Yield the existing files of logins, and the times at which they were written."""
    settings = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    usual = ((os.environ.get(name) or place.replace("$XDG_CONFIG_HOME", settings)) for name, place in FILES)
    for name in (*_find_hugging_face_logins(), *usual):
        path = Path(os.path.expandvars(os.path.expanduser(name)))  # noqa: PTH111 - Path's own raises where no home is
        try:
            if name and path.is_file() and (state := path.stat()).st_size <= LARGEST:
                yield path, state.st_mtime_ns
        except OSError:  # this process cannot read it, so it cannot reveal it
            continue


def _hide_value(named: re.Match[str]) -> str:
    """Return `token=…` without its value, unless that is a number or a word."""
    name, value = named.groups()
    mixed = re.search("[0-9]", value) and re.search("[A-Za-z]", value)
    secret = (mixed or len(value) >= LONG) and not _NUMBER.fullmatch(value)
    return f"{name}{HIDDEN}" if secret else named[0]


def _is_long(value: str) -> bool:
    """Return True if a value is more than a word, a number or a name, which are in other texts, too."""
    return len(value) >= LONG and not _NUMBER.fullmatch(value)


def _is_existing_path(value: str) -> bool:
    """Return True for the path of something that exists; a key in base64 may begin with a slash, too."""
    return value.startswith(("/", "~")) and os.path.exists(os.path.expanduser(value))  # noqa: PTH110, PTH111


def _read_netrc(path: Path, text: str) -> set[str]:
    """Return the passwords of a netrc, as Python's own reader finds them and as they are written.

    That reader gives up at a mistake, keeps one login of each machine, and takes an empty one for the file's end.
    A file of another kind is a mistake from its first word on.
    """
    from netrc import NetrcParseError, netrc

    passwords = {plain or quoted for quoted, plain in IN_NETRC.findall(NO_LOGIN.sub("", text))}
    try:
        hosts = netrc(path).hosts
    except (NetrcParseError, UnicodeDecodeError, OSError):
        return passwords
    return passwords | {password for _, _, password in hosts.values() if password}


@lru_cache(maxsize=8)
def _collect_secrets(environment: tuple[tuple[str, str], ...], files: tuple[tuple[Path, float], ...]) -> frozenset[str]:
    secrets: set[str] = set()
    for name, value in environment:
        supported = SERVICE_VARIABLE.search(name)
        values = {value} if VARIABLE.search(name) and (supported or not _is_existing_path(value)) else set()
        values |= set(IN_ADDRESS.findall(value))
        secrets |= values if supported else set(filter(_is_long, values))
    for path, _ in files:
        try:
            text = path.read_text("utf-8", "surrogateescape")
        except OSError:
            continue
        secrets |= {*SETTING.findall(text), *IN_ADDRESS.findall(text)} | _read_netrc(path, text)
        if len(text.split()) == 1:  # the token and nothing else
            secrets.add(text)
    secrets |= {unquote(secret) for secret in secrets}
    return frozenset(value for secret in secrets if len(value := secret.strip()) >= SHORTEST)


@lru_cache(maxsize=8)
def _sort_by_length(secrets: frozenset[str]) -> tuple[str, ...]:
    """Return all their forms, the longest first, because one may be part of another."""
    return tuple(sorted({form for secret in secrets for form in list_forms(secret)}, key=len, reverse=True))
