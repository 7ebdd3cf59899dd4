"""One error with advice instead of a traceback, and no bars where nothing is wrong, while a model is loaded."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from sentiment140_bert.errors import ModelError, first_line
from sentiment140_bert.full_disk import is_disk_full
from sentiment140_bert.models.locate import BUNDLED, is_hub_id
from sentiment140_bert.trust.model_files import ADVICE, UnusableFile, is_rust_failure

# What transformers raises for an invalid file: whatever error its code happens to run into.
UNLOADABLE = (
    *(OSError, ValueError, RuntimeError, ImportError, LookupError, TypeError, AttributeError, ArithmeticError),
    AssertionError,
)
STAGED = "s140-model-"  # prefix of the temporary folders that models are loaded from


@contextmanager
def explain_errors(name: str) -> Iterator[None]:
    """Turn whatever goes wrong while the model ``name`` is loaded into a ModelError with advice."""
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
        if isinstance(error, OSError) and error.errno and is_disk_full(error):  # which is not the model's fault
            raise
        raise _make_error(name, error) from error
    except BaseException as error:
        if not is_rust_failure(error):
            raise
        raise _make_error(name, error) from None


def _make_error(name: str, error: BaseException) -> ModelError:
    from huggingface_hub.errors import StrictDataclassError

    why = " ".join(str(error).split()) if isinstance(error, StrictDataclassError) else first_line(error)
    if "ignore_mismatched_sizes" in why:  # transformers points to a table, which is not shown
        why = "its weights do not have the shapes that config.json describes"
    why = re.sub(rf"\S*{STAGED}\w+", name, why)
    where = "There is no such folder here, so the Hub was asked. " if is_hub_id(name) else ""
    return ModelError(
        f"The model {name!r} could not be loaded: {why}.",
        f"{where}Check the name and the connection; weights must be safetensors. Offline, use a local folder or "
        f"{BUNDLED}.",
    )


@contextmanager
def silence_transformers() -> Iterator[None]:
    """Silence transformers' loading table and bar: a bare encoder is expected to get a new head."""
    from transformers.utils import logging

    verbosity, has_bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if has_bars:
            logging.enable_progress_bar()
