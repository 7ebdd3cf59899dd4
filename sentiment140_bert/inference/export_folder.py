"""The folder that ``s140 export`` writes: what is in it, and whether it is still the model that it was made of."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from sentiment140_bert.errors import ModelError
from sentiment140_bert.run_dir import TRAINING_ROWS, sha256_of
from sentiment140_bert.trust.model_files import UnusableFile, check_shape, is_rust_failure, read_labels, read_object

MANIFEST, CONFIG, TOKENIZER = "export.json", "config.json", "tokenizer.json"
TOKENIZER_SETTINGS = "tokenizer_config.json"
AGAIN = "Export the model again with `s140 export`."
# The names under which transformers.js and optimum look for them.
GRAPHS = {"fp32": "model.onnx", "int8": "model_int8.onnx"}


def is_export(folder: Path) -> bool:
    """Return True if an export is there."""
    return (folder / MANIFEST).is_file()


def sources_of(folder: Path) -> dict[str, str]:
    """Return the sha256 of all files in a model folder that an export is made of, by name."""
    files = [*folder.glob("*.safetensors"), folder / CONFIG, folder / TOKENIZER]
    made_of = [file for file in files if file.is_file() and file.name != TRAINING_ROWS]
    return {file.name: sha256_of(file) for file in sorted(made_of)}


def check_fresh(folder: Path, model: Path) -> None:
    """Raise ModelError where ``folder`` was not exported from what is in the model folder ``model`` now."""
    then, now = read(folder, MANIFEST)["made_of"], sources_of(model)
    changed = sorted(name for name in then.keys() | now.keys() if then.get(name) != now.get(name))
    if changed:
        raise ModelError(
            f"The export in {folder} was made of another model than the one in {model}: {', '.join(changed)} changed.",
            AGAIN,
        )


class Manifest(TypedDict):
    """What ``export.json`` must say."""

    made_of: dict[str, str]
    files: dict[str, str]
    max_length: Annotated[int, Field(ge=1, le=1 << 20)]
    pads: NotRequired[bool]


class TokenizerSettings(TypedDict):
    """What an export needs of ``tokenizer_config.json``."""

    pad_token: NotRequired[str | dict[str, Any] | None]
    pad_token_type_id: NotRequired[Annotated[int, Field(ge=0, lt=1_000)]]
    padding_side: NotRequired[Literal["left", "right"]]
    truncation_side: NotRequired[Literal["left", "right"]]


SHAPES: dict[str, Any] = {MANIFEST: Manifest, TOKENIZER_SETTINGS: TokenizerSettings}


@contextmanager
def checked(folder: Path) -> Iterator[None]:
    """Make a ModelError of whatever is wrong with the files of an export while they are read."""
    try:
        yield
    except UnusableFile as error:
        raise ModelError(f"The export in {folder} cannot be read: {error}.", AGAIN) from None
    except BaseException as error:
        if not is_rust_failure(error):
            raise
        raise ModelError(f"The export in {folder} cannot be read: its tokenizer is damaged: {error}.", AGAIN) from None


def read(folder: Path, name: str) -> dict[str, Any]:
    """Read one of an export's JSON files.

    Raises:
        ModelError: It is missing, damaged, or not of its shape.
    """
    with checked(folder):
        content = read_object(folder / name)
        return content | check_shape(content, SHAPES[name], name) if name in SHAPES else content


def labels_of(folder: Path, config: dict[str, Any]) -> list[str]:
    """Return the names of the labels by position.

    Raises:
        ModelError: There are none, or they make no sense.
    """
    with checked(folder):
        labels = read_labels(config)
        if not labels:
            raise UnusableFile(f"{CONFIG} names no labels")
    return labels
