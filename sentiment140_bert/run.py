"""The run directory: the name of every file in it, and its JSON files, history and recipe, checked when they are read.

A run directory may be untrusted, and a killed process or an editor may have corrupted it.
"""

from __future__ import annotations

import contextlib
import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

from sentiment140_bert import schemas
from sentiment140_bert.errors import RunError, first_line
from sentiment140_bert.files import Place, expand_path, hash_file, remove_path
from sentiment140_bert.recipe import Recipe, load_recipe
from sentiment140_bert.recipe.privacy import make_public
from sentiment140_bert.schemas.history import LogEntry, parse_entry
from sentiment140_bert.trust import check_folder, is_known_place, remember_place

RUNS = "runs"  # the folder of runs, by default
# Pictures in figures/ that are published with a model.
CONFUSION, LEARNING, CALIBRATION = "confusion_matrix.png", "learning_curve.png", "calibration.png"
RISK_COVERAGE, SLICES = "risk_coverage.png", "slices.png"
FIGURES = (CALIBRATION, CONFUSION, LEARNING, RISK_COVERAGE, SLICES)
STUDY_FIGURES = ("history.png", "importances.png", "parallel_coordinates.png")  # of the tracked run of a tuning
EVAL_RESULTS = ".eval_results/sentiment140.yaml"
# ONNX graphs, under the names by which transformers.js looks for them (fp32, q8).
GRAPHS = {"fp32": "onnx/model.onnx", "int8": "onnx/model_quantized.onnx"}
GRAPHS_NOTE = "onnx/export.json"  # in a model folder with published ONNX graphs, next to them
TRAINING_ROWS = "training_rows.safetensors"  # hashes of the texts that a model was trained on, next to its weights
# What leaves this machine of a model folder: the model and the pages about it; pickles and notes stay here.
MODEL_FILES: tuple[str, ...] = ("config.json", "model.safetensors", "model.safetensors.index.json", TRAINING_ROWS)
MODEL_FILES += (f"model-{'[0-9]' * 5}-of-{'[0-9]' * 5}.safetensors",)
MODEL_FILES += ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.txt")
MODEL_PAGES = ("README.md", "recipe.yaml", *(f"{name}.json" for name in ("metrics", "data", "environment", "tracking")))
MODEL_PAGES += (EVAL_RESULTS, *(f"figures/{name}" for name in FIGURES))
CHECKPOINT = re.compile(r"checkpoint-[0-9]{1,15}")
Schema = TypeVar("Schema")


@dataclass(frozen=True)
class RunFile:
    """A file or folder of a run; as an attribute of a :class:`RunDir` its path there."""

    name: str
    description: str

    def __get__(self, run: RunDir, kind: type[RunDir]) -> Path:
        return run.path / self.name


@dataclass(frozen=True)
class RunDir:
    """The paths of a run's files. ``path`` need not exist yet."""

    path: Path
    recipe = RunFile("recipe.yaml", "The resolved recipe, every default written out.")
    data = RunFile("data.json", "The tweets and what was done to them.")
    environment = RunFile("environment.json", "Machine, versions, precision, command and duration.")
    history = RunFile("history.jsonl", "One JSON line for each log entry of the Trainer.")
    metrics = RunFile("metrics.json", "The scores of the weights in ``model/``, and their sha256.")
    predictions = RunFile("predictions.parquet", "The model's answer to every tweet that was scored; not published.")
    report = RunFile("report.html", "The page that `s140 report` writes; not published.")
    tracking = RunFile("tracking.json", "The run's place at each tracker, and what was sent there.")
    tensorboard = RunFile("tensorboard", "Event files of TensorBoard.")
    published = RunFile("published.json", "The places on the Hub of the model, the dataset and the demo.")
    figures = RunFile("figures", "Pictures of the scores.")
    checkpoints = RunFile("checkpoints", "Checkpoints of the training, until it is finished.")
    staging = RunFile("checkpoints/.for-the-hub", "Second names of the files that are being sent to the Hub.")
    fetched = RunFile(
        ".from-the-hub", "Checkpoints on their way here from the Hub; a fetch that was cut off resumes there."
    )
    suspects = RunFile("suspects", "The predictions of the folds of ``s140 suspects --by model``.")
    model = RunFile("model", "The model folder, as it is published.")
    onnx = RunFile("onnx", "The export of the model by `s140 export`; not published.")
    card = RunFile("model/README.md", "The model card, part of what is published.")
    weights = RunFile("model/model.safetensors", "The weights that are scored and published.")
    training_rows = RunFile(f"model/{TRAINING_ROWS}", "Hashes of the training texts, part of what is published.")

    def list_figures(self, names: tuple[str, ...] = FIGURES) -> list[Path]:
        """Return the existing pictures of these names; other files in their folder stay here."""
        return [file for name in names if (file := self.figures / name).is_file()]

    def list_model_files(self, names: tuple[str, ...] = MODEL_FILES) -> list[Path]:
        """Return the existing files of these names in the model's folder."""
        return [file for pattern in names for file in sorted(self.model.glob(pattern))]

    def is_run(self) -> bool:
        """Return True if a run was started here.

        A recipe.yaml alone is not a run; neither is a model folder, which has copies of its run's files.
        """
        return self.recipe.is_file() and self.environment.is_file() and not (self.path / "config.json").is_file()

    def is_finished(self) -> bool:
        """Return True if the scores are written, which is a run's last step."""
        return self.metrics.is_file()

    def clear(self) -> None:
        """Remove the files and folders of a run, and nothing else in the folder, nor among its checkpoints.

        The scores go first, so that the folder is never a finished run without its parts. The files that make
        it a run go last.

        Raises:
            RunError: Something cannot be removed.
        """
        folders = (self.fetched, self.model, self.figures, self.tensorboard, self.suspects, self.onnx)
        try:
            for file in (self.metrics, self.predictions, self.report, self.tracking, self.published):
                file.unlink(missing_ok=True)
            for folder in (*list_checkpoints(self.checkpoints), self.staging, *folders, self.path / "wandb"):
                remove_path(folder)
            with contextlib.suppress(OSError):  # it holds what no run wrote
                self.checkpoints.rmdir()
            for file in (self.recipe, self.history, self.data, self.environment):
                file.unlink(missing_ok=True)
        except OSError as error:
            raise RunError(
                f"{error.filename or self.path} cannot be removed: {error.strerror}.",
                "Remove it yourself, or choose another folder.",
            ) from None

    def read(self, file: Path, schema: type[Schema]) -> Schema:
        """Return the content of a JSON file in the folder, of which no link leads out.

        Args:
            file: One of those above, or of a folder that holds runs.
            schema: A type of ``schemas``, or another typed dictionary.

        Raises:
            RunError: The file is missing, cannot be read, is damaged, or is not of this type.
        """
        check_folder(self.path)
        return read_json(file, schema)

    def read_data(self) -> schemas.Data:
        """Return ``data.json``; raises as :meth:`read`, and so do the next ones."""
        return self.read(self.data, schemas.Data)

    def read_environment(self) -> schemas.Environment:
        """Return ``environment.json``; ``training`` is in it once the run is finished."""
        if self.is_finished():
            return self.read(self.environment, schemas.Environment)
        return cast(schemas.Environment, self.read(self.environment, schemas.StartedEnvironment))

    def read_metrics(self) -> schemas.Scores:
        """Return ``metrics.json``."""
        return self.read(self.metrics, schemas.Scores)

    def read_tracking(self) -> schemas.Tracking:
        """Return ``tracking.json``, or an empty dictionary without one."""
        return self.read(self.tracking, schemas.Tracking) if self.tracking.exists() else {}

    def read_publications(self) -> schemas.Publications:
        """Return ``published.json``, or an empty dictionary without one."""
        return self.read(self.published, schemas.Publications) if self.published.exists() else {}

    def read_published_card(self) -> str | None:
        """Return the model's card of the last push; None if there was none."""
        return self.read_publications().get("model", {}).get("card")

    def read_history(self) -> list[LogEntry]:
        """Return the Trainer's log entries, without a last line that a killed process did not finish.

        Raises:
            RunError: ``history.jsonl`` is damaged.
        """
        entries = []
        for number, line in enumerate(read_lines(self.history), start=1):
            if not line.endswith(b"\n") or not line.strip():
                continue
            entry = parse_entry(line)
            if entry is None:
                raise RunError(
                    f"{self.history} is damaged: line {number} is not a log entry.", "Remove the damaged line."
                )
            entries.append(entry)
        return entries

    def remember(self) -> None:
        """Note that this run was trained here, by its place and the hash of a file that is never published."""
        if self.history.is_file():
            remember_place("run", self._identify())

    def is_own(self) -> bool:
        """Return True if this run was trained by this user on this machine, and is where it was then."""
        return self.history.is_file() and is_known_place("run", self._identify())

    def _identify(self) -> str:
        return f"{self.path.resolve()} {hash_file(self.history)}"

    def choose_title(self, recipe: Recipe) -> str:
        """Return the run's name, as trackers and cards show it."""
        return recipe.training.run_name or self.path.resolve().name


def list_checkpoints(checkpoints: Path) -> list[Path]:
    """Return the folders that are named like a run's checkpoints, complete or not, by their steps.

    Where ``checkpoints`` is a link there are none: they may be another run's, and would be removed.
    """
    folders = [
        folder
        for folder in ([] if checkpoints.is_symlink() else checkpoints.glob("checkpoint-*"))
        if CHECKPOINT.fullmatch(folder.name) and folder.is_dir() and not folder.is_symlink()
    ]
    return sorted(folders, key=step_of)


def step_of(checkpoint: Path) -> int:
    """Return the step that a checkpoint was written after."""
    return int(checkpoint.name.removeprefix("checkpoint-"))


def saved_recipe(path: Place) -> Recipe:
    """Return the recipe that a run was started with.

    Raises:
        RunError: There is no run.
    """
    run = RunDir(expand_path(path))
    check_folder(run.path)
    if not run.is_run():
        raise RunError(f"There is no run in {path}.", "Name a folder that `s140 train` wrote.")
    return load_recipe(str(run.recipe))


def make_run_public(run: RunDir, recipe: Recipe) -> Recipe:
    """Return a run's recipe as it may be published, with the models and the source of tweets as the run noted them.

    Raises:
        RunError: A file of the run is missing or damaged.
    """
    environment, source = run.read_environment(), run.read_data()["sources"]["training"]
    teacher = environment.get("teacher")
    return make_public(recipe, environment["base_model"]["name"], source["on_hub"], teacher and teacher["name"])


def read_json(file: Path, schema: type[Schema]) -> Schema:
    """Return the content of a JSON file.

    Args:
        file: In a run directory.
        schema: The type of its content.

    Raises:
        RunError: It is missing, cannot be read, is damaged, or not of this type.
    """
    try:
        content = _load_object(file)
    except FileNotFoundError:
        raise RunError(f"{file.parent} has no {file.name}.", "Is it the folder of a finished run?") from None
    except OSError as error:
        raise RunError(f"{file} cannot be read: {error.strerror}.", suggest_remedy(file)) from None
    except (ValueError, RecursionError) as error:
        raise RunError(f"{file} is damaged: {first_line(error)}.", suggest_remedy(file)) from None
    return schemas.check_schema(content, schema, str(file), suggest_remedy(file))


def _load_object(file: Path) -> dict[str, Any]:
    if file.exists() and not file.is_file():
        raise ValueError("it is not a file")  # opening a pipe would never end
    content = json.loads(file.read_text("utf-8"))
    if not isinstance(content, dict):
        raise ValueError(f"it holds a {type(content).__name__}")
    json.dumps(content, ensure_ascii=False, allow_nan=False).encode()  # its content is written again, into cards too
    return content


def suggest_remedy(file: Path) -> str:
    """Return the cheapest way to repair a file of a run; only what nothing else brings back is trained again."""
    run, copy = file.parent, file.parent / "model" / file.name
    if file.name == "failed.json":
        return f"Remove {file}; it is created again."
    if not (run / "recipe.yaml").is_file() or (run / "config.json").is_file():  # a page that was fetched, or no run
        return "Is it damaged, or of an older version?"
    if file.name == "tracking.json":
        return f"Remove {file}: the trackers then get a new run, in addition to the old one."
    if file.name == "published.json":
        return f"Remove {file}, then name the published model with --repo-id again."
    if file.name in ("metrics.json", "predictions.parquet") and (run / "model" / "model.safetensors").is_file():
        return f"The run is scored again with: s140 evaluate {shlex.quote(str(run))}"
    if copy.is_file():
        return f"A finished run has a copy of it: cp {shlex.quote(str(copy))} {shlex.quote(str(file))}"
    if any((run.parent.parent / name).is_file() for name in ("plan.json", "study.json")):
        return f"Remove {run}; the command that made it trains it again."
    return "It cannot be restored: train again with --overwrite."


def read_lines(history: Path) -> list[bytes]:
    """Return the lines of a ``history.jsonl``, the last one perhaps cut off; none if there is no such file.

    Raises:
        RunError: There is something else in its place.
    """
    if not history.exists():
        return []
    remedy = "Remove it: the run resumes without it, and its curves start again."
    if not history.is_file():  # opening a pipe would never end
        raise RunError(f"{history} exists and is not a regular file.", remedy)
    try:
        return history.read_bytes().splitlines(keepends=True)
    except OSError as error:
        raise RunError(f"{history} cannot be read: {error.strerror}.", remedy) from None
