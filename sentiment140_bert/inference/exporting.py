"""``s140 export``: a model for places without torch, held against the model that it was made of."""

from __future__ import annotations

import json
import logging
import os
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentiment140_bert.errors import ModelError
from sentiment140_bert.files import expand_path
from sentiment140_bert.inference.answering import at_hand, settled
from sentiment140_bert.run_dir import RunDir, folder_written_whole, sha256_of, write_json
from sentiment140_bert.runs import without_folders

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from sentiment140_bert.inference.torch_backend import TorchClassifier

log = logging.getLogger(__name__)

TOLERANCE = 1e-3  # of a logit, for a graph that computes in float32 as torch does
CHECKED = 100  # tweets of the packaged sample
PACKAGES = ("sentiment140-bert", "torch", "transformers", "onnx", "onnxruntime")


def export(
    model: str, *, output: Path | None = None, quantize: str | None = None, revision: str | None = None
) -> dict[str, Any]:
    """Writes a folder with a classifier as ONNX graphs and all that they need, whole or not at all, and checks it.

    Args:
        model: A run directory, a model folder, a Hub id or a model of MLflow's registry.
        output: The folder; default: ``onnx/`` in a run. An earlier export there is replaced.
        quantize: ``int8`` for a second graph with weights of eight bits.
        revision: Of a Hub model.

    Returns:
        ``folder``; ``files`` with the bytes of each graph; ``check``: on how many ``texts`` each graph was held
        against torch, the ``largest_difference`` of a logit, and how many ``labels_agree``.

    Raises:
        MissingExtra: A package of the extra ``onnx`` is missing.
        ModelError: The model cannot be loaded or exported, or its graph does not compute what torch does.
        RunError: The folder cannot be written.
    """
    from sentiment140_bert import models
    from sentiment140_bert.inference import onnx_graphs
    from sentiment140_bert.inference.export_folder import CONFIG, GRAPHS, MANIFEST, sources_of
    from sentiment140_bert.inference.torch_backend import TorchClassifier

    onnx_graphs.check_installed()
    folder, revision = _place(model, output), settled(model, revision)
    with at_hand(model) as name:
        classifier = TorchClassifier(*models.load_classifier(name, revision), device="cpu")
        source = models.folder_of(name, revision)
        made_of = sources_of(source)
        config = json.loads((source / CONFIG).read_text("utf-8"))
    with folder_written_whole(folder) as new:
        log.info("writing the ONNX graph")
        onnx_graphs.write_graph(classifier.model, classifier.tokenization.names, new / GRAPHS["fp32"])
        if quantize:
            log.info("writing its %s", quantize)
            onnx_graphs.write_int8(new / GRAPHS["fp32"], new / GRAPHS[quantize])
        graphs = sorted(each.name for each in new.iterdir())
        write_json(new / CONFIG, config | _labels(classifier))
        models.save_tokenizer(classifier.tokenizer, new)
        manifest: dict[str, Any] = {
            "model": without_folders(model),
            "revision": models.commit_of(model, revision),
            "made_of": made_of,
            "files": {each.name: sha256_of(each) for each in sorted(new.iterdir())},
            "max_length": classifier.max_length,
            "pads": classifier.pads,
            "packages": {each: version(each) for each in PACKAGES},
        }
        write_json(new / MANIFEST, manifest)
        try:
            manifest["check"] = _checked(classifier, new)
        except ModelError as error:
            reason, kind = error.message.replace(f"{new}{os.sep}", ""), type(classifier.model).__name__
            raise ModelError(f"The graph of a {kind} is of no use: {reason}", onnx_graphs.EXPORTED) from None
        write_json(new / MANIFEST, manifest)
    sizes = {each: (folder / each).stat().st_size for each in graphs}
    return {"folder": str(folder), "files": sizes, "check": manifest["check"]}


def _place(model: str, output: Path | None) -> Path:
    """Where to write; nothing but an earlier export is written over."""
    from sentiment140_bert.inference.export_folder import is_export

    if not output:
        run = RunDir(expand_path(model))
        if not run.is_run():
            raise ModelError(f"{model} is no run, so the export has no place of its own.", "Name one with --output.")
        return run.onnx
    folder = output.expanduser()
    if folder.exists() and not is_export(folder) and not (folder.is_dir() and not any(folder.iterdir())):
        raise ModelError(f"{output} exists and is no export.", "Choose a new folder with --output.")
    return folder


def _labels(classifier: TorchClassifier) -> dict[str, Any]:
    """Names and numbers of the labels, which a config leaves out where they are LABEL_0 and LABEL_1."""
    return {
        "id2label": {str(at): name for at, name in enumerate(classifier.labels)},
        "label2id": {name: at for at, name in enumerate(classifier.labels)},
    }


def _checked(classifier: TorchClassifier, folder: Path) -> dict[str, Any]:
    """What the graphs of an export say beside torch.

    Raises:
        ModelError: The one in float32 does not compute the same.
    """
    from sentiment140_bert.inference.export_folder import GRAPHS
    from sentiment140_bert.inference.onnx_backend import load_export

    texts = _texts()
    log.info("holding it against torch on %d texts", len(texts))
    expected = classifier.logits(texts)
    check: dict[str, Any] = {"texts": len(texts)}
    for precision, file in GRAPHS.items():
        if (folder / file).is_file():
            check[precision] = _difference(load_export(folder, precision).logits(texts), expected)
    largest = check["fp32"]["largest_difference"]
    if not largest <= TOLERANCE:
        raise ModelError(
            f"it does not compute what torch does: a logit differs by {largest:.2g} (at most {TOLERANCE:g})."
        )
    return check


def _difference(found: npt.NDArray[np.float32], expected: npt.NDArray[np.float32]) -> dict[str, Any]:
    return {
        "largest_difference": float(abs(found - expected).max()),
        "labels_agree": int((found.argmax(1) == expected.argmax(1)).sum()),
    }


def _texts() -> list[str]:
    """Tweets of all lengths, nothing at all, and more than any model takes."""
    from sentiment140_bert.data import source, texts
    from sentiment140_bert.recipe import DataConfig

    tweets = texts.read_texts(str(source.locate(DataConfig(dataset="sample"))[0].path))
    return [*tweets[:: max(1, len(tweets) // CHECKED)][:CHECKED], "", "word " * 600]
