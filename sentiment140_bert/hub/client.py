"""Retry each call of huggingface_hub after faults that may pass, and raise a HubError for the others."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from sentiment140_bert.credentials import strip_passwords
from sentiment140_bert.errors import HubError, first_line

log = logging.getLogger(__name__)
Result = TypeVar("Result")
WAITS = (1.0, 2.0, 4.0)  # seconds between the attempts at anything, unless the Hub names its own
LONGEST_REASON = 500  # characters of what the Hub says to an error
REFUSALS = {
    401: ("the Hub does not accept the login", "Log in again: hf auth login"),
    403: ("permission denied", "Check that the name is your own and that the token may write."),
    404: ("not found", "Check the name; a private repository needs a login with access."),
    412: ("it has changed in the meantime", "Push again."),
}
PASSING = {408, 425, 429, 500, 502, 503, 504}


class Hub:
    """The Hub with this machine's login (``HF_TOKEN`` or ``hf auth login``); ``api`` is huggingface_hub's own."""

    def __init__(self) -> None:
        from huggingface_hub import HfApi

        from sentiment140_bert.hub.replies import check_answers

        check_answers()
        self.api = HfApi()
        self.user: str | None = None  # known once `push.login` has asked
        self.owners: set[str] = set()  # the user and the organizations

    def retry(self, what: str, call: Callable[..., Result], *arguments: Any, **options: Any) -> Result:
        """Return ``call(*arguments, **options)``; call again after a fault that may pass.

        Args:
            what: The action, for messages: "reading …".

        Raises:
            HubError: It did not succeed.
        """
        from huggingface_hub.errors import HFValidationError
        from huggingface_hub.utils import httpx

        from sentiment140_bert.hub.replies import ODD_ANSWERS

        for wait in (*WAITS, None):
            try:
                return call(*arguments, **options)
            except HFValidationError as error:
                raise HubError(f"{first_line(error)}.", "Use the form user/name.") from None
            except (OSError, RuntimeError, ValueError, httpx.HTTPError, httpx.InvalidURL) as error:
                if wait is None or not may_pass(error):
                    raise explain(error, what, self.api.endpoint) from error
                pause = requested_pause(error) or wait
                log.warning("hub: %s: %s; again in %.0f s", what, reason(error), pause)
                time.sleep(pause)
            except ODD_ANSWERS as error:
                raise explain_odd_answer(error, what, self.api.endpoint) from error
        raise AssertionError  # the last attempt returns or raises


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and what it was raised from: huggingface_hub wraps some."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def response_of(error: BaseException) -> Any:
    """Return the Hub's answer that an error carries; None if there was none."""
    responses = (getattr(cause, "response", None) for cause in causes(error))
    return next((response for response in responses if response is not None), None)


def status_of(error: BaseException) -> int | None:
    """Return the HTTP status of the Hub's answer."""
    response = response_of(error)
    return None if response is None else int(response.status_code)


def no_answer(error: BaseException) -> bool:
    """Return True if the connection failed, rather than the Hub having refused."""
    from huggingface_hub.utils import httpx

    return any(isinstance(cause, httpx.TransportError | ConnectionError | TimeoutError) for cause in causes(error))


def may_pass(error: BaseException) -> bool:
    """Return True if trying again makes sense."""
    from huggingface_hub.errors import OfflineModeIsEnabled
    from huggingface_hub.utils import httpx

    if any(isinstance(cause, OfflineModeIsEnabled | httpx.UnsupportedProtocol) for cause in causes(error)):
        return False
    status = status_of(error)
    return status in PASSING if status is not None else no_answer(error)


def requested_pause(error: BaseException) -> float | None:
    """Return the seconds that the Hub's ``Retry-After`` asks for."""
    from sentiment140_bert.hub.replies import seconds_to_wait

    response = response_of(error)
    return None if response is None else seconds_to_wait(response.headers.get("Retry-After"))


def reason(error: BaseException) -> str:
    """Describe an error in a few words."""
    status = status_of(error)
    if status is not None:
        return f"the Hub answered {status}"
    if no_answer(error):
        inner = next(cause for cause in causes(error) if cause.__cause__ is None and cause.__context__ is None)
        return f"no answer ({type(inner).__name__})"
    return first_line(error)


def explain(error: BaseException, what: str, endpoint: str) -> HubError:
    """Explain an error that ended an attempt for good."""
    status, response = status_of(error), response_of(error)
    message = str(response.headers.get("X-Error-Message") or "")[:LONGEST_REASON] if response is not None else ""
    message = f" ({message.rstrip('.')})" if message else ""
    what = what[0].upper() + what[1:]
    if status == 401 and "RepoNotFound" in response.headers.get("X-Error-Code", ""):
        status = 404
    if status is not None:
        problem, hint = REFUSALS.get(status, (reason(error), "Try again later."))
        return HubError(f"{what}: {problem}{message}.", hint, status)
    if no_answer(error):
        return HubError(f"{what}: {endpoint} cannot be reached: {reason(error)}.", "Check the network, and try again.")
    return HubError(f"{what}: {first_line(error)[:LONGEST_REASON]}.")


def explain_odd_answer(error: BaseException, what: str, endpoint: str) -> HubError:
    """Explain an error that huggingface_hub's own code ran into while it read an answer."""
    return HubError(
        f"{what[0].upper()}{what[1:]}: {strip_passwords(endpoint)} sent an invalid answer "
        f"({type(error).__name__}: {first_line(error)[:LONGEST_REASON]}).",
        "Check HF_ENDPOINT, and whether a proxy answers instead of the Hub.",
    )


TIMEOUT = 3.0  # seconds


def look_up(kind: str, repo_id: str, revision: str | None = None) -> tuple[str, str]:
    """Return ``cached``, ``reachable`` or ``missing``, and a remark.

    Args:
        kind: ``model`` or ``dataset``.
        repo_id: user/name.
        revision: Branch, tag or commit.
    """
    from huggingface_hub import constants
    from huggingface_hub.utils import httpx

    if _in_cache(kind, repo_id, revision):
        return "cached", "in the cache of this machine"
    if constants.HF_HUB_OFFLINE:
        return "missing", "HF_HUB_OFFLINE is set, and it is not in the cache"
    from sentiment140_bert.hub.replies import ODD_ANSWERS

    hub = Hub()
    try:
        hub.api.repo_info(repo_id, repo_type=kind, revision=revision, timeout=TIMEOUT)
    except (OSError, RuntimeError, ValueError, httpx.HTTPError, httpx.InvalidURL, HubError, *ODD_ANSWERS) as error:
        return "missing", f"{strip_passwords(hub.api.endpoint)}: {reason(error)}"
    return "reachable", "on the Hub, to be downloaded"


def _in_cache(kind: str, repo_id: str, revision: str | None) -> bool:
    from huggingface_hub import constants, try_to_load_from_cache
    from huggingface_hub.file_download import repo_folder_name

    if kind == "model":
        return isinstance(try_to_load_from_cache(repo_id, "model.safetensors", revision=revision), str)
    folder = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=repo_id, repo_type=kind) / "snapshots"
    return folder.is_dir() and any(folder.iterdir())
