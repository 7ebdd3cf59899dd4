"""What happens around loading: one error in place of a traceback, and quiet where nothing is wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from sentiment140_bert.errors import ModelError, first_line
from sentiment140_bert.models.places import BUNDLED
from sentiment140_bert.run_dir import is_disk_full
from sentiment140_bert.trust.model_files import ADVICE, UnusableFile, is_rust_failure

# With these transformers meets a file that makes no sense: with whatever its code happens to trip over.
UNLOADABLE = (
    *(OSError, ValueError, RuntimeError, ImportError, LookupError, TypeError, AttributeError, ArithmeticError),
    AssertionError,
)
STAGED = "s140-model-"  # how temporary folders with what may be opened of a model begin


@contextmanager
def explained(name: str) -> Iterator[None]:
    """Make a ModelError with advice of whatever goes wrong while the model ``name`` is loaded."""
    from huggingface_hub.errors import StrictDataclassError
    from huggingface_hub.utils import httpx
    from safetensors import SafetensorError

    from sentiment140_bert.hub.replies import check_answers

    check_answers()
    try:
        yield
    except UnusableFile as error:
        raise ModelError(f"The model {name!r} could not be loaded: {error}.", ADVICE) from None
    except (*UNLOADABLE, SafetensorError, StrictDataclassError, httpx.HTTPError, httpx.InvalidURL) as error:
        if (
            isinstance(error, OSError) and error.errno and is_disk_full(error)
        ):  # of temporary files or the Hub's cache: not the model's fault
            raise
        raise _unloadable(name, error) from error
    except BaseException as error:
        if not is_rust_failure(error):
            raise
        raise _unloadable(name, error) from None


def _unloadable(name: str, error: BaseException) -> ModelError:
    from huggingface_hub.errors import StrictDataclassError

    why = " ".join(str(error).split()) if isinstance(error, StrictDataclassError) else first_line(error)
    if "ignore_mismatched_sizes" in why:  # transformers points to a table, which is not shown
        why = "its weights do not have the shapes that config.json describes"
    why = re.sub(rf"\S*{STAGED}\w+", name, why)
    return ModelError(
        f"The model {name!r} could not be loaded: {why}.",
        "Is the name right, and the Hub in reach? Weights must be safetensors. Without the Hub use a local folder "
        f"or {BUNDLED}.",
    )


@contextmanager
def quiet() -> Iterator[None]:
    """Without transformers' loading table and bar: that the head of a bare encoder is new is what is expected here."""
    from transformers.utils import logging

    before = logging.get_verbosity()
    bars = logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        if bars:
            logging.enable_progress_bar()
