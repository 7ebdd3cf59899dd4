"""Answers to huggingface_hub, checked before it reads them: their shape, their headers, and their size once unpacked.

It imports huggingface_hub, so it is itself imported inside the functions that need it. Loading by name through
transformers or datasets goes through the same client.
"""

from __future__ import annotations

import email.utils
import re
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache, partial
from typing import Any, NoReturn, cast
from urllib.parse import unquote

from huggingface_hub import constants, get_session, set_client_factory
from huggingface_hub.utils import httpx
from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from sentiment140_bert.errors import HubError, first_line
from sentiment140_bert.hub.reply_shapes import SHAPES, Refusal

TIMEOUT = 60.0  # seconds without a single byte; huggingface_hub itself waits for ever
SLOWEST = 1_000  # bytes a second of an answer, after PATIENCE seconds
PATIENCE = 120
LONGEST_WAIT = 300  # seconds that the Hub may ask for
LARGEST_ANSWER = 32_000_000  # bytes of JSON, unpacked; a page of 1,000 files has 500,000
LARGEST_REFUSAL = 1_000_000  # bytes of an error's or a redirect's body
LARGEST_TEXT = 1_000_000_000  # bytes of a file that was packed on its way, unpacked; large files are not packed
LARGEST_FILE = constants.MAX_HTTP_DOWNLOAD_SIZE
MOST_PAGES = 1_000  # of one listing
AT_ONCE = 1 << 20  # bytes
# What huggingface_hub's own code raises at an answer of another shape.
ODD_ANSWERS = (LookupError, TypeError, AttributeError, AssertionError, NameError)

PUBLIC_HUB = "huggingface.co"
FILE_NAME = re.compile(r'(?:W/)?"?[0-9A-Za-z_-][0-9A-Za-z_.-]{0,199}"?')
FILE_HEADERS = {  # huggingface_hub makes paths of the first three
    "ETag": FILE_NAME,
    "X-Linked-ETag": FILE_NAME,
    "X-Repo-Commit": FILE_NAME,
    "X-Linked-Size": re.compile("[0-9]{1,15}"),
}
XET_HEADERS = ("X-Xet-Hash", "X-Xet-Refresh-Route")  # hf_xet has a client of its own, which checks nothing
RATE_LIMIT = re.compile(r'"[a-z]{1,40}" ?; ?r ?= ?[0-9]{1,9} ?; ?t ?= ?(?P<seconds>[0-9]{1,9})(?![0-9])')
_build_adapter = cache(TypeAdapter)
PAGES: Counter[str] = Counter()  # how many of a listing came one after the other


@cache
def check_answers() -> None:
    """Make huggingface_hub's client check what it is answered, in this process and those forked from it.

    Where it cannot be made, only what needs the Hub is refused.
    """
    try:
        hooks = get_session().event_hooks["request"]  # huggingface_hub's own
    except (ValueError, ImportError, OSError, httpx.InvalidURL) as error:
        set_client_factory(partial(_refuse_requests, first_line(error)))
    else:
        set_client_factory(lambda: make_client(hooks))


def _refuse_requests(reason: str) -> NoReturn:
    raise HubError(f"The Hub cannot be asked: {reason}.", "Check HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and SSL_CERT_FILE.")


def make_client(hooks: list[Any]) -> Any:
    """Make huggingface_hub's client, which waits at most :data:`TIMEOUT` and checks every answer."""
    return httpx.Client(
        event_hooks={"request": [*hooks, _prepare], "response": [_check]},
        headers={"Accept-Encoding": "gzip"},
        follow_redirects=True,
        timeout=TIMEOUT,
    )


def seconds_to_wait(header: str | None) -> int | None:
    """Return the seconds that a ``Retry-After`` asks for, as a number or as a date, at most :data:`LONGEST_WAIT`."""
    text = (header or "").strip()
    if re.fullmatch("[0-9]+", text):
        return min(int(text[:9]), LONGEST_WAIT)
    try:
        date = email.utils.parsedate_to_datetime(text)
        seconds = (date if date.tzinfo else date.replace(tzinfo=UTC)) - datetime.now(UTC)
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(0, round(seconds.total_seconds())), LONGEST_WAIT)


def _prepare(request: Any) -> None:
    """Set a time limit, keep the login for the Hub, and remember what the first of redirected requests asked for.

    Raises:
        HubError: The path leads out of its repository.
    """
    if ".." in unquote(request.url.path).split("/"):
        raise HubError(f"{request.url.path} points outside its repository.", "Check the names and the revision.")
    if not _is_hub(request.url):  # an answer may have named the host, as that of an upload does
        request.headers.pop("Authorization", None)
    limits = request.extensions.get("timeout") or {}
    if all(limits.get(name) is None for name in ("connect", "read", "write", "pool")):
        request.extensions["timeout"] = dict.fromkeys(("connect", "read", "write", "pool"), TIMEOUT)
    if "s140_asked" not in request.extensions:
        request.extensions["s140_asked"] = request.method, _path_on_hub(request.url)


def _is_hub(url: Any) -> bool:
    """Return True for an address of the Hub that the user's login is for."""
    is_public = url.scheme == "https" and f".{url.host}".endswith(f".{PUBLIC_HUB}")
    return is_public or _is_endpoint(url)


def _is_endpoint(url: Any) -> bool:
    """Return True for an address of ``HF_ENDPOINT``, however that is spelled."""
    own = httpx.URL(constants.ENDPOINT)
    return (url.scheme, url.host, url.port) == (own.scheme, own.host, own.port)


def _path_on_hub(url: Any) -> str:
    """Return the path of an address below the Hub's own; "" for other hosts."""
    path = url.raw_path.decode().partition("?")[0]
    return path.removeprefix(httpx.URL(constants.ENDPOINT).path.rstrip("/")) if _is_endpoint(url) else ""


def _check(response: Any) -> None:
    """Check an answer before any of it is read.

    Raises:
        HubError: It is of another shape than asked for, or larger than it may be.
    """
    method, path = response.request.extensions["s140_asked"]
    address = f"{response.request.method} {response.request.url.copy_with(query=None)}"
    _check_headers(response, address)
    if response.request.method == "HEAD":
        return
    is_api = path.startswith("/api/") or path.endswith("/info/lfs/objects/batch")
    coding = response.headers.pop("Content-Encoding", "identity").strip().lower()
    if coding not in ("identity", "gzip", "x-gzip", ""):
        raise _odd(address, f"it is compressed as {coding[:40]!r}, which was not requested")
    is_packed = coding.endswith("gzip")
    if is_packed:
        response.headers.pop("Content-Length", None)
    limit = LARGEST_ANSWER if is_api else LARGEST_TEXT if is_packed else LARGEST_FILE
    if response.status_code >= httpx.codes.MULTIPLE_CHOICES:
        limit = LARGEST_REFUSAL
    body = _Body(response.stream, is_packed, limit, address)
    response.stream = body
    if response.status_code >= httpx.codes.BAD_REQUEST:
        response.stream = httpx.ByteStream(_refusal(body.read()))
    elif is_api and response.status_code < httpx.codes.MULTIPLE_CHOICES:
        content = body.read()
        response.stream = httpx.ByteStream(content)
        for verb, pattern, shape in SHAPES:
            if method == verb and re.fullmatch(pattern, path):
                _check_shape(content, shape, address)
                break


def _check_headers(response: Any, address: str) -> None:
    headers = response.headers
    if "Retry-After" in headers:
        seconds = seconds_to_wait(headers.pop("Retry-After"))
        headers.update({} if seconds is None else {"Retry-After": str(seconds)})
    limit = RATE_LIMIT.search(headers.get("RateLimit", ""))
    if "RateLimit" in headers and (not limit or int(limit["seconds"]) > LONGEST_WAIT):
        del headers["RateLimit"]
    _check_file_headers(response, address)
    following = response.links.get("next", {}).get("url")
    headers.pop("Link", None)
    if following is not None:  # of all links only this one: another names the host that hf_xet sends the token to
        headers["Link"] = f'<{following}>; rel="next"'
    PAGES[address] = PAGES[address] + 1 if following is not None else 0
    if following is not None:
        try:
            page = response.request.url.join(following)
        except httpx.InvalidURL:
            raise _odd(address, f"its next page is {following[:80]!r}") from None
        own = (response.request.url.host, httpx.URL(constants.ENDPOINT).host, PUBLIC_HUB)
        if page.host not in own or page == response.request.url or PAGES[address] > MOST_PAGES:
            raise _odd(address, f"its next page is {str(page)[:80]!r}")


def _check_file_headers(response: Any, address: str) -> None:
    """Refuse headers that lead out of the cache if they describe a file; remove any others."""
    headers = response.headers
    for name in XET_HEADERS:
        headers.pop(name, None)
    is_redirect = headers.get("Location", "").startswith("/")
    describes_file = response.request.method == "HEAD" and response.status_code < httpx.codes.BAD_REQUEST
    for name, pattern in FILE_HEADERS.items():
        if name not in headers or pattern.fullmatch(headers[name]):
            continue
        is_unused = name == "ETag" and "X-Linked-ETag" in headers
        if describes_file and not is_redirect and not is_unused:
            raise _odd(address, f"its header {name} is {headers[name][:80]!r}")
        del headers[name]


def _check_shape(content: bytes, shape: Any, address: str) -> None:
    try:
        _build_adapter(shape).validate_python(from_json(content), strict=True)
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(str(part)[:40] for part in problem["loc"])
        raise _odd(address, f"{place + ': ' if place else ''}{problem['msg']}") from None
    except ValueError as error:
        raise _odd(address, f"it is not JSON: {str(error)[:80]}") from None


def _refusal(content: bytes) -> bytes:
    """Return the body of an error where huggingface_hub can read it; else an empty one."""
    try:
        _check_shape(content, Refusal, "")
    except HubError:
        return b"{}"
    return content


def _odd(address: str, why: str) -> HubError:
    return HubError(
        f"The answer to {address} is invalid: {why}.",
        "Check HF_ENDPOINT, and whether a proxy answers instead of the Hub.",
    )


class _Body(httpx.SyncByteStream):  # type: ignore[misc]
    """The body of an answer, unpacked piece by piece: at most ``limit`` bytes, no slower than :data:`SLOWEST`."""

    def __init__(self, stream: Any, is_packed: bool, limit: int, address: str) -> None:
        self.stream, self.is_packed, self.limit, self.address = stream, is_packed, limit, address

    def __iter__(self) -> Iterator[bytes]:
        size, begin = 0, time.monotonic()
        for piece in self._unpack() if self.is_packed else self.stream:
            size += len(piece)
            if size > self.limit:
                raise _odd(self.address, f"it has more than {self.limit:,} bytes")
            if time.monotonic() - begin > PATIENCE + size / SLOWEST:
                raise _odd(self.address, f"it arrives at less than {SLOWEST:,} bytes a second")
            yield piece

    def _unpack(self) -> Iterator[bytes]:
        packed = zlib.decompressobj(wbits=31)
        for part in self.stream:
            while part:
                try:
                    piece, part = packed.decompress(part, AT_ONCE), packed.unconsumed_tail
                except zlib.error as error:
                    raise _odd(self.address, f"it cannot be unpacked: {error}") from None
                yield piece
        yield packed.flush()

    def read(self) -> bytes:
        """Read the whole body, which frees the connection."""
        try:
            return b"".join(cast(Iterator[bytes], self))
        finally:
            self.close()

    def close(self) -> None:
        self.stream.close()
