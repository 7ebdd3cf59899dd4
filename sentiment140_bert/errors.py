"""The errors that a user can cause. Each says what happened, what was given and what to do.

    S140Error                  the command line prints its message and hint, and exits with its exit_code
    ├── RecipeError            settings are wrong; problems lists them, one sentence each
    ├── DataError              tweets cannot be used
    │   └── FalseDataError     a published dataset does not match its own description
    ├── ModelError             a model cannot be loaded, or is not a sentiment classifier
    ├── HardwareError          this machine lacks the requested hardware
    ├── MissingExtra           an optional package is not installed
    ├── RunError               a run directory, or another file that is read or written
    │   ├── FullDiskError      the disk is full
    │   └── Diverged           the loss or the weights are no longer finite numbers
    ├── StoreError             the store of a study
    ├── HubError               the Hub refused or could not be reached; status is its HTTP status
    ├── TrackerError           a tracker refused or could not be reached; training continues
    ├── SecretError            what is about to be published contains a secret
    ├── TrustError             a folder or recipe refers to something outside itself
    └── Interrupted            a signal stopped training after a checkpoint was saved

Anything else that escapes is a defect of this package and keeps its traceback.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import metadata

from sentiment140_bert.credentials import conceal
from sentiment140_bert.text import escape_hidden


class S140Error(Exception):
    """A mistake that can be explained in a sentence.

    Args:
        message: What happened, and what was given.
        hint: What to do about it.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        message, hint = conceal(message), conceal(hint)  # it may tell of an address, or of what was typed
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message

    def _render_traceback_(self) -> list[str]:
        """Return the lines that a notebook shows, without a traceback; IPython calls this by its name."""
        return [escape_hidden(f"{type(self).__name__}: {self}")]


def first_line(error: BaseException) -> str:
    """Return the first line of a library's error, without its full stop and without secrets."""
    return conceal((str(error).strip().splitlines() or [type(error).__name__])[0].rstrip("."))


def is_unicode(text: str) -> bool:
    """Return True if a text can be written as UTF-8; one with a lone surrogate cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class RecipeError(S140Error):
    """One or more fields of a recipe are wrong; ``problems`` holds one sentence for each."""

    def __init__(self, problems: Sequence[str], origin: str = "") -> None:
        where = f" in {origin}" if origin else ""
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__(
            f"{count}{where}:\n" + "\n".join(f"  - {problem}" for problem in problems),
            "`s140 recipes show NAME` prints a valid recipe; `s140 train --help` lists every field.",
        )
        self.problems = [conceal(problem) for problem in problems]


class DataError(S140Error):
    """The given tweets cannot be used as they are."""


class FalseDataError(DataError):
    """A published dataset does not match its own description."""


class ModelError(S140Error):
    """The given model cannot be loaded, or is not a sentiment classifier."""


class HardwareError(S140Error):
    """This machine lacks the requested hardware."""


class HubError(S140Error):
    """The Hub refused, or could not be reached; ``status`` is its HTTP status, None without an answer."""

    def __init__(self, message: str, hint: str = "", status: int | None = None) -> None:
        super().__init__(message, hint)
        self.status = status


class TrackerError(S140Error):
    """A tracker refused, or could not be reached; training itself continues."""


class SecretError(S140Error):
    """Something that is about to be published contains a secret."""


class TrustError(S140Error):
    """A folder or recipe refers to something outside itself."""


class RunError(S140Error):
    """A run directory lacks what is needed, or contains something that must not be overwritten."""


class FullDiskError(RunError):
    """A file could not be written because its disk is full."""


class StoreError(S140Error):
    """The store of a study cannot be used, or holds another study."""


class Diverged(RunError):
    """Training failed for good: its loss or weights are no longer finite numbers."""


def diverged(how: str) -> Diverged:
    """Return the error of a training that failed for good; ``how`` says how it showed."""
    return Diverged(f"Training diverged: {how}.", "Lower --learning-rate, or try --precision bf16 or fp32.")


class MissingExtra(S140Error):
    """An optional package is needed: ``extra`` is the name to install it by."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(
            f"{what} needs the optional extra [{extra}], which is not installed.",
            f"Install it with: pip install {' '.join(_list_packages(extra))}",
        )
        self.extra = extra


def _list_packages(extra: str) -> list[str]:
    """Return the packages of an extra, quoted for a shell, which works wherever this package itself came from."""
    requirements = [line.replace('"', "'") for line in metadata.requires("sentiment140-bert") or []]
    return [f'"{line.split(";")[0].strip()}"' for line in requirements if f"extra == '{extra}'" in line]


class Interrupted(S140Error):
    """Training was stopped by a signal after it had saved a checkpoint.

    The exit code is the shell's own for a signal: 128 + its number (130 for Ctrl-C, 143 for SIGTERM).
    """

    def __init__(self, message: str, hint: str, signal_number: int) -> None:
        super().__init__(message, hint)
        self.exit_code = 128 + signal_number
