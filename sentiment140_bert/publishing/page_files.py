"""The files of a page other than its cards: ``config.json``, and what the package does not write."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator
from fnmatch import fnmatch
from pathlib import Path

from sentiment140_bert import models
from sentiment140_bert.errors import ModelError
from sentiment140_bert.models.staging import OTHER_FRAMEWORKS, PICKLES, VOCABULARIES
from sentiment140_bert.publishing import pages
from sentiment140_bert.publishing.checks import CLAIMED, WARNING, Check, leave_unchecked
from sentiment140_bert.run import MODEL_FILES

CONFIG = "config.json"
# Notes of transformers and people in a config and in settings of a tokenizer that no library reads.
NOTES = ("_name_or_path", "_num_labels", "finetuning_task", "transformers_version")
TOKENIZER_NOTES = ("name_or_path", "backend", "is_local", "local_files_only", "special_tokens_map_file")
HUBS_FILES = ("README.md", ".gitattributes", ".eval_results/*")  # cards and results are compared elsewhere
TEXTS = (".json", ".md", ".txt", ".yaml", ".yml")
# Weights, and the event files of TensorBoard, which the Hub shows as metrics.
UNREAD = ("*.safetensors", "*.onnx", "*tfevents*", *(f"*{ending}" for ending in (*PICKLES, *OTHER_FRAMEWORKS)))
LARGEST_TEXT = 1_000_000  # bytes
MOST_FILES, MOST_CLAIMS = 50, 3  # that are listed, of a page and of a file


def check_settings(folder: Path, verdict: str) -> Iterator[Check]:
    """Compare ``config.json`` and the tokenizer's settings with those of the model that is scored.

    Whatever else they hold may make others load code, or another tokenizer, weights or precision than was measured.

    Args:
        folder: The page's.
        verdict: Of a setting that is another one.
    """
    try:
        stated, scored = models.compare_settings(folder)
        dropped = [*models.list_dropped_settings(folder)]
    except ModelError as error:
        yield leave_unchecked(CONFIG, None, error.message)
        return
    for key, value in stated.items():
        if value is not None and key not in NOTES and scored.get(key) != value:
            why = "the model that is scored has another setting, or none"
            yield Check(f"{CONFIG}: {key}", str(value), str(scored.get(key)), verdict, why)
    for name, key, value in dropped:
        if key not in TOKENIZER_NOTES:
            yield Check(f"{name}: {key}", str(value), None, verdict, "the tokenizer that is scored does not have it")


def list_other_files(folder: Path, names: Collection[str], known: Collection[str], verdict: str) -> Iterator[Check]:
    """List the files of a page that nothing compares, with a warning where a text reads like a claim.

    Args:
        folder: The page's, with its texts.
        names: All files of the page.
        known: Names or patterns of the files that are compared.
        verdict: Of weights and of other files that may state scores, none of which are opened.
    """
    parts = ("model-", "model.safetensors.index") if models.SAFETENSORS in names else ()  # are not loaded then
    model_files = [name for name in MODEL_FILES if not name.startswith(parts)]
    patterns = (*HUBS_FILES, *model_files, *VOCABULARIES, *known)
    others = sorted(name for name in names if not any(fnmatch(name, pattern) for pattern in patterns))
    for name in others[:MOST_FILES]:
        file = folder / name
        if name.endswith(TEXTS) and file.is_file() and file.stat().st_size <= LARGEST_TEXT:
            text = file.read_text("utf-8", "replace")
            yield Check(name, name, None, CLAIMED, "nobody measured its content")
            yield from itertools.islice(pages.warn(name, text, is_literal=not name.endswith(".md")), MOST_CLAIMS)
        else:
            is_unread = any(fnmatch(name, pattern) for pattern in UNREAD)
            yield Check(name, name, None, verdict if is_unread else CLAIMED, "it was not checked")
    if rest := others[MOST_FILES:]:
        yield Check("other files", f"{len(rest):,} more", None, WARNING, "they were not checked")
