"""``s140 predict``, and opening the classifier of every other command."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, overload

from sentiment140_bert.data.columns import BadRow, Row
from sentiment140_bert.data.records import measure_row, take_window
from sentiment140_bert.data.texts import PredictedRow
from sentiment140_bert.errors import DataError, ModelError
from sentiment140_bert.files import Place, expand_path, to_name
from sentiment140_bert.machine.facts import check_memory
from sentiment140_bert.results import make_table
from sentiment140_bert.run import RunDir
from sentiment140_bert.text import escape_hidden, to_line

if TYPE_CHECKING:
    from sentiment140_bert.inference.classifier import Classifier, Prediction
    from sentiment140_bert.inference.torch_backend import TorchClassifier

MOST_SHOWN = 20  # answers of a list
PRECISIONS = {"onnx": "fp32", "onnx-int8": "int8"}  # of the exported graphs, by backend
BF16 = "torch-bf16"


def load_classifier(
    model: Place,
    revision: str | None = None,
    *,
    calibrated: bool = False,
    abstains: bool = False,
    device: str | None = None,
    bf16: bool = False,
) -> TorchClassifier:
    """Load a classifier from a run directory, a model folder, the Hub or MLflow's registry.

    Args:
        model: The run, the folder, a Hub id or a URI of the registry.
        revision: Revision of a Hub model.
        calibrated: Apply the temperature that was fitted on its validation split to its scores.
        abstains: Label texts ``neutral`` where the calibrated score is below the threshold of the same split.
        device: ``cpu`` or ``cuda``; default: the GPU, or else the CPU.
        bf16: Compute products in bf16: faster where the hardware has it, with scores that differ in the third digit.

    Raises:
        HardwareError: There is too little memory for torch, or no bf16.
        ModelError: It cannot be loaded, is not a fine-tuned classifier, or was not calibrated.
    """
    model = to_name(model)
    check_memory()
    from sentiment140_bert import models
    from sentiment140_bert.inference.torch_backend import TorchClassifier

    with fetch_registered(model) as place:
        classifier = TorchClassifier(*models.load_model_and_tokenizer(place, revision), device, bf16)
    _calibrate(classifier, model, calibrated, abstains)
    return classifier


def check_model_name(model: str) -> None:
    """Refuse the name of a model that is nowhere here, and that neither the Hub nor MLflow's registry can have.

    Raises:
        ModelError: It is one.
    """
    from sentiment140_bert import models
    from sentiment140_bert.tracking import mlflow_models

    if not mlflow_models.is_registered(model):
        models.locate(model)


def pin_revision(model: str, revision: str | None) -> str | None:
    """Return the commit of a Hub model's revision, so that all its files are read of one commit; else ``revision``.

    Raises:
        ModelError: There is no such model.
    """
    from sentiment140_bert import models
    from sentiment140_bert.tracking import mlflow_models

    return revision if mlflow_models.is_registered(model) else models.resolve_commit(model, revision) or revision


@contextmanager
def fetch_registered(model: str) -> Iterator[str]:
    """Give a name that :mod:`sentiment140_bert.models` takes: for a model of MLflow's registry a temporary folder."""
    from sentiment140_bert.tracking import mlflow_models

    if not mlflow_models.is_registered(model):
        yield model
        return
    with mlflow_models.fetch(model) as folder:
        yield str(folder)


def open_classifier(
    model: Place,
    revision: str | None = None,
    *,
    backend: str | None = None,
    calibrated: bool = False,
    abstains: bool = False,
) -> Classifier:
    """Load a classifier that torch computes, or one that ``s140 export`` wrote.

    Args:
        model: A model for :func:`load_classifier`, or an exported folder.
        revision: Revision of a Hub model.
        backend: ``torch``, ``torch-bf16``, ``onnx`` or ``onnx-int8``; default: ``onnx`` for an exported
            folder, else ``torch``.
        calibrated: See :func:`load_classifier`.
        abstains: See :func:`load_classifier`.

    Raises:
        HardwareError: There is too little memory for torch, or no bf16.
        MissingExtra: onnxruntime is needed and not installed.
        ModelError: It cannot be loaded, is not a fine-tuned classifier, was not calibrated, or is not exported.
    """
    from sentiment140_bert.inference.onnx_backend import is_export

    model = to_name(model)
    exported = is_export(expand_path(model))
    if exported and backend in ("torch", BF16):
        raise ModelError(f"{model} is an export, which torch does not read.", f"Omit --backend {backend}.")
    if backend not in PRECISIONS and not exported:
        return load_classifier(model, revision, calibrated=calibrated, abstains=abstains, bf16=backend == BF16)
    classifier = _open_export(model, revision, backend)
    _calibrate(classifier, model, calibrated, abstains)
    return classifier


def _calibrate(classifier: Classifier, model: str, calibrated: bool, abstains: bool) -> None:
    if calibrated or abstains:
        from sentiment140_bert import models

        calibration = models.read_calibration(classifier.config, model)
        classifier.temperature = calibration.temperature
        classifier.neutral_below = calibration.neutral_below if abstains else 0.0


def _open_export(model: str, revision: str | None, backend: str | None) -> Classifier:
    """Load an exported folder, or the one in a run or a model folder if it was made of that very model."""
    from sentiment140_bert.inference.onnx_backend import check_fresh, is_export, load_export

    if revision:
        raise ModelError("An export has no revisions.", "Export that revision: s140 export MODEL --model-revision …")
    folder = expand_path(model)
    if not is_export(folder):
        home, folder = folder, RunDir(folder).onnx
        is_run = RunDir(home).is_run()
        if not is_export(folder):
            command = f"s140 export {model}" if is_run else f"s140 export {model} --output FOLDER"
            raise ModelError(f"There is no ONNX export of {model}.", f"Create one, and name its folder: {command}")
        check_fresh(folder, RunDir(home).model if is_run else home)
    return load_export(folder, PRECISIONS.get(backend or ""))


class Answers(list[tuple[str, "Prediction"]]):
    """Pairs of a text and its prediction, in order; shown as a table."""

    def _rows(self) -> list[list[str]]:
        rows = [
            [
                answer.label if answer.score is None else f"{answer.label} {answer.score:.4f}",
                escape_hidden(to_line(text, 80)),
            ]
            for text, answer in self[:MOST_SHOWN]
        ]
        return rows + ([["…", f"{len(self) - MOST_SHOWN:,} more"]] if len(self) > MOST_SHOWN else [])

    def __repr__(self) -> str:
        return "\n".join("  ".join(row) for row in self._rows()) or "no texts"

    def _repr_html_(self) -> str:
        return make_table(["prediction", "text"], self._rows())


@overload
def predict(  # type: ignore[overload-overlap]  # a list is an iterable, too
    model: Place,
    texts: str | Sequence[str],
    revision: str | None = None,
    *,
    backend: str | None = None,
    calibrated: bool = False,
    abstains: bool = False,
) -> Answers: ...
@overload
def predict(
    model: Place,
    texts: Iterable[str],
    revision: str | None = None,
    *,
    backend: str | None = None,
    calibrated: bool = False,
    abstains: bool = False,
) -> Iterator[tuple[str, Prediction]]: ...
def predict(
    model: Place,
    texts: str | Iterable[str],
    revision: str | None = None,
    *,
    backend: str | None = None,
    calibrated: bool = False,
    abstains: bool = False,
) -> Answers | Iterator[tuple[str, Prediction]]:
    """Return (text, prediction) for each text, in order; arguments as :func:`open_classifier`.

    Args:
        model: See :func:`open_classifier`.
        texts: One text; several; or an iterable of any length, such as a generator, which is read in bounded memory
            while the answers are.
        revision: Of a Hub model.
        backend: See :func:`open_classifier`, as the others.
        calibrated: See ``backend``.
        abstains: See ``backend``.

    Returns:
        A list, which shows itself as a table; of an iterable an iterator.

    >>> predict("runs/quickstart", "what a lovely surprise")
    positive 0.9610  what a lovely surprise

    Raises:
        ModelError: The model cannot be loaded; before the first text is read.
    """
    classifier = open_classifier(model, revision, backend=backend, calibrated=calibrated, abstains=abstains)
    if isinstance(texts, Sequence):
        return Answers(predict_texts(classifier, [texts] if isinstance(texts, str) else texts))
    return predict_texts(classifier, texts)


def predict_texts(classifier: Classifier, texts: Iterable[str]) -> Iterator[tuple[str, Prediction]]:
    """Yield (text, prediction) for each text; the texts are held no longer than their window."""
    waiting: deque[str] = deque()

    def read() -> Iterator[str]:
        for text in texts:
            waiting.append(text)
            yield text

    for prediction in classifier.predict(read()):
        yield waiting.popleft(), prediction


def predict_rows(classifier: Classifier, rows: Iterable[Row | BadRow], max_bad_rows: float) -> Iterator[PredictedRow]:
    """Yield a labeled or unreadable row for each row, in order, held no longer than the window it is in.

    Args:
        classifier: Gives the labels.
        rows: Rows of the input.
        max_bad_rows: The share of rows that may be unreadable.

    Raises:
        DataError: After the last row, if more of them are.
    """
    from sentiment140_bert.inference.classifier import WINDOW

    remaining, count, bad, first = iter(rows), 0, 0, ""
    while window := take_window(remaining, WINDOW, measure_row):
        texts = [row.text for row in window if isinstance(row, Row)]
        predictions = classifier.predict(texts, count + 1)
        for row in window:
            if isinstance(row, Row):
                prediction, count = next(predictions), count + 1
                yield PredictedRow(count, row.id, row.text, prediction.label, prediction.score, record=row.record)
                continue
            first = first or f"row {row.number}: {row.reason}"
            for _ in range(row.rows):  # so that the output has a row for each line that a quotation mark swallowed
                count, bad = count + 1, bad + 1
                yield PredictedRow(count, None, row.content, error=f"row {row.number}: {row.reason}")
    if bad > max_bad_rows * count:
        raise DataError(
            f"{bad:,} of {count:,} rows ({bad / count:.1%}) cannot be read; the first is {first}.",
            "Name the file's layout (--delimiter, --quoting, --text-column, --encoding), or allow more with "
            "--max-bad-rows.",
        )
