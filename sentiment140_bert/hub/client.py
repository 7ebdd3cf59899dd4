"""huggingface_hub with patience: what may pass is tried again at every step, what will not becomes a sentence."""

from __future__ import annotations

import email.utils
import logging
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, TypeVar

from sentiment140_bert.errors import HubError, first_line

log = logging.getLogger(__name__)
Result = TypeVar("Result")
WAITS = (1.0, 2.0, 4.0)  # seconds between the attempts at anything, unless the Hub names its own
LONGEST_WAIT = 300.0
TIMEOUT = 60.0  # seconds without a single byte; huggingface_hub itself waits for ever
PASSING = {408, 425, 429, 500, 502, 503, 504}


class Hub:
    """The Hub with the login of this machine (``HF_TOKEN`` or ``hf auth login``); ``api`` is huggingface_hub's own."""

    def __init__(self) -> None:
        from huggingface_hub import HfApi, set_client_factory

        self.api = HfApi()
        self.user: str | None = None  # known once `publish.login` has asked
        self.owners: set[str] = set()  # the user and the organizations
        set_client_factory(_client_with_limits)

    def patiently(self, what: str, call: Callable[..., Result], *arguments: Any, **options: Any) -> Result:
        """``call(*arguments, **options)``, again after a fault that may pass.

        Args:
            what: What is being done, for messages: "reading …".

        Raises:
            HubError: It did not succeed.
        """
        from huggingface_hub.errors import HFValidationError
        from huggingface_hub.utils import httpx

        for wait in (*WAITS, None):
            try:
                return call(*arguments, **options)
            except HFValidationError as error:
                raise HubError(f"{first_line(error)}.", "A name on the Hub is user/name.") from None
            except (OSError, RuntimeError, ValueError, httpx.HTTPError, httpx.InvalidURL) as error:
                if wait is None or not may_pass(error):
                    raise explained(error, what, self.api.endpoint) from error
                pause = min(asked_to_wait(error) or wait, LONGEST_WAIT)
                log.warning("hub: %s: %s; again in %.0f s", what, reason(error), pause)
                time.sleep(pause)
        raise AssertionError  # the last attempt returns or raises


def _client_with_limits() -> Any:
    """huggingface_hub's own HTTP client, with a time limit on every request that has none."""
    from huggingface_hub.utils._http import default_client_factory

    def limited(request: Any) -> None:
        given = request.extensions.get("timeout") or {}
        if all(given.get(each) is None for each in ("connect", "read", "write", "pool")):
            request.extensions["timeout"] = dict.fromkeys(("connect", "read", "write", "pool"), TIMEOUT)

    client = default_client_factory()
    client.timeout = TIMEOUT
    hooks = client.event_hooks
    client.event_hooks = {**hooks, "request": [*hooks["request"], limited]}
    return client


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what it was raised from: huggingface_hub wraps some."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def response_of(error: BaseException) -> Any:
    """The Hub's answer that an error carries; None if there was none."""
    found = (getattr(each, "response", None) for each in causes(error))
    return next((each for each in found if each is not None), None)


def status_of(error: BaseException) -> int | None:
    """The HTTP status of the Hub's answer."""
    response = response_of(error)
    return None if response is None else int(response.status_code)


def no_answer(error: BaseException) -> bool:
    """Whether the connection failed, rather than the Hub having refused."""
    from huggingface_hub.utils import httpx

    return any(isinstance(each, httpx.TransportError | ConnectionError | TimeoutError) for each in causes(error))


def may_pass(error: BaseException) -> bool:
    """Whether trying again makes sense."""
    from huggingface_hub.errors import OfflineModeIsEnabled
    from huggingface_hub.utils import httpx

    if any(isinstance(each, OfflineModeIsEnabled | httpx.UnsupportedProtocol) for each in causes(error)):
        return False
    status = status_of(error)
    return status in PASSING if status is not None else no_answer(error)


def asked_to_wait(error: BaseException) -> float | None:
    """Seconds that the Hub's ``Retry-After`` asks for, given as a number or as a date."""
    response = response_of(error)
    asked = response.headers.get("Retry-After") if response is not None else None
    if asked is None:
        return None
    if asked.strip().isdigit():
        return float(asked)
    try:
        return max(0.0, (email.utils.parsedate_to_datetime(asked) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


def reason(error: BaseException) -> str:
    """An error in a few words."""
    status = status_of(error)
    if status is not None:
        return f"the Hub answered {status}"
    if no_answer(error):
        inner = next(each for each in causes(error) if each.__cause__ is None and each.__context__ is None)
        return f"no answer ({type(inner).__name__})"
    return first_line(error)


def explained(error: BaseException, what: str, endpoint: str) -> HubError:
    """A sentence for an error that ended an attempt for good."""
    status, response = status_of(error), response_of(error)
    said = str(response.headers.get("X-Error-Message") or "") if response is not None else ""
    said = f" ({said.rstrip('.')})" if said else ""
    what = what[0].upper() + what[1:]
    if status == 401 and "RepoNotFound" not in str(getattr(response, "headers", {}).get("X-Error-Code", "")):
        return HubError(f"{what}: the Hub does not accept the login{said}.", "Log in anew: hf auth login", 401)
    if status in (401, 404):
        return HubError(f"{what}: not found{said}.", "Check the name; a private one needs the right login.", 404)
    if status == 403:
        return HubError(f"{what}: this login may not{said}.", "Is the name your own, and may the token write?", 403)
    if status == 412:
        return HubError(f"{what}: somebody else changed it meanwhile{said}.", "Push again.", 412)
    if status is not None:
        return HubError(f"{what}: {reason(error)}{said}.", "Try again later.", status)
    if no_answer(error):
        return HubError(
            f"{what}: {endpoint} cannot be reached: {reason(error)}.", "Is the network up? Then try again.", None
        )
    return HubError(f"{what}: {first_line(error)}.", "", None)
