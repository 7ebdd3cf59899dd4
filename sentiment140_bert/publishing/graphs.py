"""The ONNX graphs that are published with a model: written into its folder, and checked by ``s140 verify``."""

from __future__ import annotations

import copy
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from sentiment140_bert import schemas
from sentiment140_bert.cards.facts import read_graphs
from sentiment140_bert.errors import MissingExtra, ModelError
from sentiment140_bert.files import hash_file, write_folder_whole, write_json
from sentiment140_bert.publishing.checks import FALSE, Check, leave_unchecked, settle
from sentiment140_bert.run import GRAPHS, GRAPHS_NOTE, RunDir

if TYPE_CHECKING:
    from sentiment140_bert.inference.torch_backend import TorchClassifier

# Share of the texts whose label an int8 graph may give differently on another processor: instructions of eight bits
# round differently.
INT8_TOLERANCE = 0.05


def update_graphs(run: RunDir, weights_sha256: str, requested: bool) -> None:
    """Write the graphs into the model folder if they are requested or published, and are not of these weights yet.

    Those of a run that was not trained here are written again: their note is of the same hand.

    Raises:
        MissingExtra: A package of the extra ``onnx`` is missing.
        ModelError: The model cannot be exported, or its folder ``onnx`` holds other files.
    """
    note = run.model / GRAPHS_NOTE
    graphs = read_graphs(run.model, weights_sha256)
    if not (requested or note.is_file()) or (graphs and run.is_own() and _are_intact(run.model, graphs)):
        return
    own = {note.name, *(Path(name).name for name in GRAPHS.values())} if note.is_file() else set()
    if others := sorted({file.name for file in note.parent.glob("*")} - own):
        raise ModelError(
            f"{note.parent} holds files that are not of `s140 push-to-hub --onnx`: {', '.join(others[:3])}.",
            "Move them elsewhere.",
        )
    with write_folder_whole(note.parent) as temporary:
        write_graphs(run, weights_sha256, temporary)
        for file in (temporary / note.parent.name).iterdir():
            file.replace(temporary / file.name)
        (temporary / note.parent.name).rmdir()


def _are_intact(model: Path, note: schemas.Graphs) -> bool:
    """Return True if the graphs in a model folder are those that its note describes."""
    return all(
        (model / GRAPHS[kind]).is_file() and hash_file(model / GRAPHS[kind]) == graph["sha256"]
        for kind, graph in _list_graphs(note)
    )


def write_graphs(run: RunDir, weights_sha256: str, folder: Path) -> None:
    """Write both graphs of a run's model, and the note about them, into ``folder/onnx``; raises as the former."""
    from sentiment140_bert.inference.graphs import PACKAGES, export_graphs

    check = export_graphs(run.model, folder)
    fp32, int8 = (hash_file(folder / GRAPHS[kind]) for kind in ("fp32", "int8"))
    note: schemas.Graphs = {
        "weights_sha256": weights_sha256,
        "texts": check["texts"],
        "graphs": {
            "fp32": {"sha256": fp32, "labels_agree": check["fp32"]["labels_agree"]},
            "int8": {"sha256": int8, "labels_agree": check["int8"]["labels_agree"]},
        },
        "packages": {name: version(name) for name in PACKAGES},
    }
    write_json(folder / GRAPHS_NOTE, note)


def check_graphs(
    claimed: schemas.Graphs | None, folder: Path, repo_id: str | None, classifier: TorchClassifier
) -> tuple[schemas.Graphs | None, list[Check]]:
    """Compare published graphs with their note and with the weights.

    Args:
        claimed: The note, if there is one.
        folder: The model folder; of a model on the Hub at one commit, which its name is.
        repo_id: Of a model on the Hub, whose graphs are downloaded.
        classifier: The weights.

    Returns:
        The right note, with its own numbers where they are within the tolerance; and the checks.
    """
    if claimed is None:  # there is no note, or one of other weights
        is_of_others = repo_id is not None and (folder / GRAPHS_NOTE).is_file()
        return None, [Check(GRAPHS_NOTE, "of these weights", "of other weights", FALSE)] if is_of_others else []
    try:
        measured, wrong = _measure_graphs(claimed, folder, repo_id, classifier)
    except MissingExtra as error:
        return claimed, [leave_unchecked("ONNX graphs", None, " ".join(str(error).split()))]
    if wrong:
        return claimed, wrong
    texts = measured["texts"]
    settled, leaves = settle(claimed, measured, lambda path, *_: INT8_TOLERANCE * texts if "int8" in path else 0)
    measured_leaves = [leaf for leaf in leaves if leaf.path[0] != "packages"]
    return settled, [leaf.as_check(f"{GRAPHS_NOTE}: {'.'.join(leaf.path)}") for leaf in measured_leaves]


def _measure_graphs(
    claimed: schemas.Graphs, folder: Path, repo_id: str | None, classifier: TorchClassifier
) -> tuple[schemas.Graphs, list[Check]]:
    """Return the note as it should be; and what is false, if a graph is not a model's."""
    from sentiment140_bert.hub import fetch
    from sentiment140_bert.hub.client import Hub
    from sentiment140_bert.inference.graphs import compare_graphs

    if repo_id:
        fetch.download(Hub(), "model", repo_id, folder.name, [*GRAPHS.values()])
    measured = copy.deepcopy(claimed)
    for kind, graph in _list_graphs(measured):
        file = folder / GRAPHS[kind]
        if not file.is_file():
            return claimed, [Check(GRAPHS[kind], "a graph", None, FALSE)]
        graph["sha256"] = hash_file(file)
    try:
        check = compare_graphs(classifier, folder)
    except ModelError as error:
        return claimed, [Check("ONNX graphs", "the model", error.message, FALSE)]
    measured["texts"] = check["texts"]
    measured["graphs"]["fp32"]["labels_agree"] = check["fp32"]["labels_agree"]
    measured["graphs"]["int8"]["labels_agree"] = check["int8"]["labels_agree"]
    return measured, []


def _list_graphs(note: schemas.Graphs) -> list[tuple[str, schemas.Graph]]:
    return [("fp32", note["graphs"]["fp32"]), ("int8", note["graphs"]["int8"])]
