"""``s140 export``: a model as ONNX graphs for places without torch, compared with torch before they are kept."""

from __future__ import annotations

import json
import logging
from collections.abc import Collection
from contextlib import nullcontext, suppress
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typing_extensions import TypedDict

from sentiment140_bert.errors import ModelError
from sentiment140_bert.files import (
    Place,
    expand_output,
    expand_path,
    hash_file,
    list_files,
    to_name,
    write_folder_whole,
    write_json,
)
from sentiment140_bert.inference.graphs import PACKAGES, Check, compare_with_torch, require_packages, write_graphs
from sentiment140_bert.inference.onnx_backend import (
    CONFIG,
    MANIFEST,
    TOKENIZER,
    TOKENIZER_SETTINGS,
    hash_sources,
    is_export,
    load_export,
    read_json_file,
)
from sentiment140_bert.inference.predict import check_model_name, fetch_registered, pin_revision
from sentiment140_bert.locks import lock_if_writable
from sentiment140_bert.recipe.privacy import strip_folders
from sentiment140_bert.run import GRAPHS, RunDir

if TYPE_CHECKING:
    from sentiment140_bert.inference.torch_backend import TorchClassifier

log = logging.getLogger(__name__)


class Export(TypedDict):
    """The folder that was written, the bytes of each graph, and its comparison with torch."""

    folder: str
    files: dict[str, int]
    check: Check


def export(
    model: Place, *, output: Place | None = None, quantize: str | None = None, revision: str | None = None
) -> Export:
    """Write a folder with a classifier as ONNX graphs and all that they need, whole or not at all, and check it.

    Args:
        model: A run directory, a model folder, a Hub id or a model of MLflow's registry.
        output: The folder; default: ``onnx/`` in a run. An earlier export there is replaced.
        quantize: ``int8`` for a second graph with weights of eight bits.
        revision: Revision of a Hub model.

    Raises:
        MissingExtra: A package of the extra ``onnx`` is missing.
        ModelError: The model cannot be loaded or exported, or its graph does not compute the same as torch.
        RunError: The folder cannot be written, or another process is at work in the run.
    """
    require_packages()
    model = to_name(model)
    run = expand_path(model)
    with lock_if_writable(run, "exporting") if RunDir(run).is_run() else nullcontext():
        folder = _choose_folder(model, output)
        replaceable = list_files(folder)  # an export, or nothing
        return _write_export(model, folder, replaceable, quantize, pin_revision(model, revision))


def _choose_folder(model: str, output: Place | None) -> Path:
    """Return the folder to write; only an earlier export is ever replaced, and no link in a run is followed."""
    run = RunDir(expand_path(model))
    if not (output or run.is_run()):
        check_model_name(model)
        raise ModelError(f"{model} is not a run directory, so the export needs a folder.", "Name one with --output.")
    named = expand_path(output, "output") if output else run.onnx
    folder = expand_output(named) if output else named
    is_own = run.is_run() and folder.resolve() == run.onnx.resolve()
    place = named.parent.resolve() / named.name  # of a link itself
    if not is_own and any(RunDir(parent).is_run() for parent in (*place.parents, *folder.resolve().parents)):
        raise ModelError(f"{folder} is in a run directory.", "Choose another folder with --output.")
    if folder.exists() and not is_export(folder) and not (folder.is_dir() and not any(folder.iterdir())):
        raise ModelError(f"{folder} exists and is not an export.", "Remove it, or choose a new folder with --output.")
    _refuse_other_files(folder)
    return folder


def _refuse_other_files(folder: Path) -> None:
    """Refuse to replace an earlier export together with files that it did not write."""
    if is_export(folder):
        own = {MANIFEST, CONFIG, TOKENIZER, TOKENIZER_SETTINGS, *GRAPHS.values()}
        with suppress(ModelError):  # a damaged one is replaced, too
            own |= {*read_json_file(folder, MANIFEST)["files"]}
        if others := {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()} - own:
            raise ModelError(
                f"{folder} holds more than an export: {', '.join(sorted(others)[:3])}.",
                "Choose a new folder with --output, or move those files.",
            )


def _write_export(
    model: str, folder: Path, replaceable: Collection[Path], quantize: str | None, revision: str | None
) -> Export:
    from sentiment140_bert import models
    from sentiment140_bert.inference.torch_backend import TorchClassifier

    with fetch_registered(model) as name:
        classifier = TorchClassifier(*models.load_model_and_tokenizer(name, revision), device="cpu")
        source = models.find_folder(name, revision)
        made_of = hash_sources(source)
        config = json.loads((source / CONFIG).read_text("utf-8"))
    with write_folder_whole(folder, replaceable) as temporary:
        write_graphs(classifier, temporary, quantize)
        graphs = [name for name in GRAPHS.values() if (temporary / name).is_file()]
        write_json(temporary / CONFIG, config | _describe_labels(classifier))
        models.save_tokenizer(classifier.tokenizer, temporary)
        manifest: dict[str, Any] = {
            "model": strip_folders(model),
            "revision": models.find_cached_commit(model, revision),
            "made_of": made_of,
            "files": {
                file.relative_to(temporary).as_posix(): hash_file(file)
                for file in sorted(temporary.rglob("*"))
                if file.is_file()
            },
            "max_length": classifier.max_length,
            "pads": classifier.pads,
            "packages": {name: version(name) for name in PACKAGES},
        }
        write_json(temporary / MANIFEST, manifest)
        check = compare_with_torch(classifier, partial(load_export, temporary), temporary)
        write_json(temporary / MANIFEST, manifest | {"check": check})
    return {"folder": str(folder), "files": {name: (folder / name).stat().st_size for name in graphs}, "check": check}


def _describe_labels(classifier: TorchClassifier) -> dict[str, Any]:
    """Return the settings of the labels, which a config leaves out where they are LABEL_0 and LABEL_1."""
    return {
        "id2label": {str(at): name for at, name in enumerate(classifier.labels)},
        "label2id": {name: at for at, name in enumerate(classifier.labels)},
    }
