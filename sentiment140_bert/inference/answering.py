"""``s140 predict``, and the classifier of every other verb."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sentiment140_bert.data.rows import Answer, BadRow, Row
from sentiment140_bert.errors import DataError, ModelError
from sentiment140_bert.files import expand_path
from sentiment140_bert.machine.facts import check_memory
from sentiment140_bert.run_dir import RunDir

if TYPE_CHECKING:
    from sentiment140_bert.inference import Classifier, Prediction
    from sentiment140_bert.inference.torch_backend import TorchClassifier

PRECISIONS = {"onnx": "fp32", "onnx-int8": "int8"}  # of the exported graphs, by backend


def load_classifier(
    model: str,
    revision: str | None = None,
    *,
    calibrated: bool = False,
    abstains: bool = False,
    device: str | None = None,
) -> TorchClassifier:
    """A classifier ready to answer, from a run directory, a model folder, a Hub id or MLflow's registry.

    Args:
        model: Its name.
        revision: Of a Hub model.
        calibrated: Scores with the temperature that was fitted on its validation split.
        abstains: It says ``neutral`` where it is less sure than the threshold of the same split; calibrated, too.
        device: Where it computes; default: the GPU, or else the CPU.

    Raises:
        HardwareError: There is too little memory for torch.
        ModelError: It cannot be loaded, is no fine-tuned classifier, or was not calibrated.
    """
    check_memory()
    from sentiment140_bert import models
    from sentiment140_bert.inference.torch_backend import TorchClassifier

    with at_hand(model) as place:
        classifier = TorchClassifier(*models.load_classifier(place, revision), device)
    _calibrate(classifier, model, calibrated, abstains)
    return classifier


def settled(model: str, revision: str | None) -> str | None:
    """The commit that a Hub model's revision is on now; for whoever asks for more of a model than its answers, so that
    all of it is of one commit. Of anything else ``revision`` itself.

    Raises:
        ModelError: There is no such model.
    """
    from sentiment140_bert import models
    from sentiment140_bert.tracking import registry

    return revision if registry.is_registered(model) else models.pinned(model, revision) or revision


@contextmanager
def at_hand(model: str) -> Iterator[str]:
    """A model by a name that the room ``modeling`` knows: one out of MLflow's registry is a folder for that long."""
    from sentiment140_bert.tracking import registry

    if not registry.is_registered(model):
        yield model
        return
    with registry.fetched(model) as folder:
        yield str(folder)


def open_classifier(
    model: str,
    revision: str | None = None,
    *,
    backend: str | None = None,
    calibrated: bool = False,
    abstains: bool = False,
) -> Classifier:
    """A classifier ready to answer, computed by torch or from what ``s140 export`` made of it.

    Args:
        model: As :func:`load_classifier` takes it, or an exported folder.
        revision: Of a Hub model.
        backend: ``torch``, ``onnx`` or ``onnx-int8``; default: ``onnx`` for an exported folder, else ``torch``.
        calibrated: See :func:`load_classifier`.
        abstains: Likewise.

    Raises:
        MissingExtra: onnxruntime is needed and not installed.
        ModelError: It cannot be loaded, is no fine-tuned classifier, was not calibrated, or is not exported.
    """
    from sentiment140_bert.inference.export_folder import is_export

    exported = is_export(expand_path(model))
    if exported and backend == "torch":
        raise ModelError(f"{model} is an export, which torch does not read.", "Leave --backend torch away.")
    if backend not in PRECISIONS and not exported:
        return load_classifier(model, revision, calibrated=calibrated, abstains=abstains)
    classifier = _exported(model, revision, backend)
    _calibrate(classifier, model, calibrated, abstains)
    return classifier


def _calibrate(classifier: Classifier, model: str, calibrated: bool, abstains: bool) -> None:
    if calibrated or abstains:
        from sentiment140_bert import models

        learned = models.calibration_of(classifier.config, model)
        classifier.temperature = learned["temperature"]
        classifier.neutral_below = learned["neutral_below"] if abstains else 0.0


def _exported(model: str, revision: str | None, backend: str | None) -> Classifier:
    """An exported folder itself, or the one that lies in a run or a model folder and is not older than its model."""
    from sentiment140_bert.inference import export_folder
    from sentiment140_bert.inference.onnx_backend import load_export

    if revision:
        raise ModelError("An export has no revisions.", "Export that revision: s140 export MODEL --model-revision …")
    folder = expand_path(model)
    if not export_folder.is_export(folder):
        home, folder = folder, RunDir(folder).onnx
        if not export_folder.is_export(folder):
            made = f"s140 export {model}" if RunDir(home).is_run() else f"s140 export {model} --output FOLDER"
            raise ModelError(f"There is no ONNX export of {model}.", f"Make one, and name its folder: {made}")
        export_folder.check_fresh(folder, RunDir(home).model if RunDir(home).is_run() else home)
    return load_export(folder, PRECISIONS.get(backend or ""))


def predict(
    model: str,
    texts: Iterable[str],
    revision: str | None = None,
    *,
    backend: str | None = None,
    calibrated: bool = False,
    abstains: bool = False,
) -> Iterator[tuple[str, Prediction]]:
    """(text, prediction) for each text, in order, while the texts are read; arguments as :func:`open_classifier`.

    Raises:
        ModelError: The model cannot be loaded; before the first text is read.
    """
    return answers(open_classifier(model, revision, backend=backend, calibrated=calibrated, abstains=abstains), texts)


def answers(classifier: Classifier, texts: Iterable[str]) -> Iterator[tuple[str, Prediction]]:
    """(text, prediction) for each text; the texts are held no longer than their window."""
    waiting: deque[str] = deque()

    def remembered() -> Iterator[str]:
        for text in texts:
            waiting.append(text)
            yield text

    for prediction in classifier.predict(remembered()):
        yield waiting.popleft(), prediction


def answer_rows(classifier: Classifier, rows: Iterable[Row | BadRow], max_bad_rows: float) -> Iterator[Answer]:
    """Yield what becomes of each row, in order; rows are held no longer than the window of texts they are in.

    Args:
        classifier: Gives the labels.
        rows: Of the input.
        max_bad_rows: The share of rows that may be unreadable.

    Raises:
        DataError: After the last row, if more of them are.
    """
    waiting: deque[Row | BadRow] = deque()
    count = bad = 0
    first = ""

    def texts() -> Iterator[str]:
        for row in rows:
            waiting.append(row)
            if isinstance(row, Row):
                yield row.text

    for prediction in itertools.chain(classifier.predict(texts()), [None]):
        while waiting:
            row = waiting.popleft()
            if isinstance(row, Row) and prediction:
                count += 1
                yield Answer(count, row.id, row.text, prediction.label, prediction.score)
                break
            assert isinstance(row, BadRow)  # noqa: S101 - each text has a prediction
            first = first or f"row {row.number}: {row.reason}"
            for _ in range(row.rows):  # so that the output has a row for each line that a quotation mark swallowed
                count, bad = count + 1, bad + 1
                yield Answer(count, None, row.content, error=f"row {row.number}: {row.reason}")
    if bad > max_bad_rows * count:
        raise DataError(
            f"{bad:,} of {count:,} rows ({bad / count:.1%}) cannot be read; the first is {first}.",
            "Name the file's layout (--delimiter, --quoting, --text-column, --encoding), or allow more with "
            "--max-bad-rows.",
        )
