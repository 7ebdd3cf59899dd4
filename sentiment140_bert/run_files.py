"""JSON files of a run or a learning curve, read by their shapes: damage, by hands or by half a write, is a sentence."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

from sentiment140_bert import shapes
from sentiment140_bert.errors import RunError, first_line

SHAPES: dict[str, Any] = {
    "data.json": shapes.Data,
    "metrics.json": shapes.Scores,
    "tracking.json": shapes.Tracking,
    "published.json": shapes.Pushes,
}
ENVIRONMENT, METRICS = "environment.json", "metrics.json"


def read(file: Path, shape: Any = None) -> dict[str, Any]:
    """The content of a JSON file in a run directory; checked where its name has a shape.

    Args:
        file: In the run directory.
        shape: What is asked of it instead of its own shape.

    Raises:
        RunError: It is missing, cannot be read, is damaged, or not of its shape.
    """
    try:
        content = _content(file)
    except FileNotFoundError:
        raise RunError(f"{file.parent} has no {file.name}.", "Is it the folder of a finished run?") from None
    except OSError as error:
        raise RunError(f"{file} cannot be read: {error.strerror}.", _remedy(file)) from None
    except (ValueError, RecursionError) as error:
        raise RunError(f"{file} is damaged: {first_line(error)}.", _remedy(file)) from None
    shape = shape or _shape_of(file)
    return dict(shapes.checked(content, shape, str(file), _remedy(file)) if shape else content)


def _content(file: Path) -> dict[str, Any]:
    if file.exists() and not file.is_file():
        raise ValueError("it is no file")  # opening a pipe would never end
    content = json.loads(file.read_text("utf-8"))
    if not isinstance(content, dict):
        raise ValueError(f"it holds a {type(content).__name__}")
    json.dumps(content, ensure_ascii=False, allow_nan=False).encode()  # what it holds is written again, into cards too
    return content


def _shape_of(file: Path) -> Any:
    if file.name == ENVIRONMENT:
        return shapes.Environment if file.with_name(METRICS).is_file() else shapes.Begun
    return SHAPES.get(file.name)


def _remedy(file: Path) -> str:
    """What costs least, by file; only what nothing else brings back is trained again."""
    run, copy = file.parent, file.parent / "model" / file.name
    if file.name == "failed.json":
        return f"Remove {file}; it is made anew."
    if not (run / "recipe.yaml").is_file() or (run / "config.json").is_file():  # a page that was fetched, or no run
        return "Is it damaged, or of an older version?"
    if file.name == "tracking.json":
        return f"Remove {file}: its trackers are then told of a new run, beside the one that they have."
    if file.name == "published.json":
        return f"Remove {file}: where the run was published is then forgotten, and told by --repo-id again."
    if any((run.parent.parent / each).is_file() for each in ("plan.json", "study.json")):
        return f"Remove {run}; it is trained again by the command that made it."
    if file.name == METRICS and (run / "model" / "model.safetensors").is_file():
        return f"The run is scored anew with: s140 evaluate {shlex.quote(str(run))}"
    if copy.is_file():
        return f"A finished run has a copy of it: cp {shlex.quote(str(copy))} {shlex.quote(str(file))}"
    return "Nothing else holds what it held: train again with --overwrite."
