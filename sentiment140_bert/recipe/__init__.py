"""A recipe: everything that decides a run, as frozen models, read from and written to YAML.

Five sections, ``model``, ``data``, ``training``, ``tracking`` and ``card``; no two share a key, so a flag or ``--set``
needs no prefix. A sixth, ``tuning``, holds ranges for `s140 tune`. Keys of ``training`` are
``transformers.TrainingArguments``' own; those that are not spelled out here are accepted too and checked against that
class.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from importlib.resources import files
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, StringConstraints, ValidationError

from sentiment140_bert import trust
from sentiment140_bert.credentials import looks_secret
from sentiment140_bert.errors import RecipeError, S140Error
from sentiment140_bert.recipe.arguments import RESERVED_ARGUMENTS as RESERVED_ARGUMENTS
from sentiment140_bert.recipe.arguments import other_arguments
from sentiment140_bert.recipe.problems import explain
from sentiment140_bert.recipe.ranges import Range as Range
from sentiment140_bert.recipe.ranges import Tuning
from sentiment140_bert.recipe.sections import FILE_SETTINGS as FILE_SETTINGS
from sentiment140_bert.recipe.sections import FORMAT_SETTINGS as FORMAT_SETTINGS
from sentiment140_bert.recipe.sections import SECTION_BY_KEY as SECTION_BY_KEY
from sentiment140_bert.recipe.sections import SECTIONS as SECTIONS
from sentiment140_bert.recipe.sections import SOURCE_SETTINGS as SOURCE_SETTINGS
from sentiment140_bert.recipe.sections import CardConfig as CardConfig
from sentiment140_bert.recipe.sections import DataConfig as DataConfig
from sentiment140_bert.recipe.sections import ModelConfig as ModelConfig
from sentiment140_bert.recipe.sections import Section
from sentiment140_bert.recipe.sections import TrackingConfig as TrackingConfig
from sentiment140_bert.recipe.sections import TrainingConfig as TrainingConfig
from sentiment140_bert.recipe.values import TRACKERS as TRACKERS

if TYPE_CHECKING:
    Ranges = Mapping[str, Range]
else:
    Ranges = Tuning

log = logging.getLogger(__name__)
FLAGS = "the flags"  # the origin of what a user chose
PLACES = ("checkpoint_repo_id", "trackio_space_id")  # settings that say where things are sent
REGISTERED = "register_model"  # the setting that says which registered model gets a version
MOST_PROBLEMS = 50  # reported at once
CHANGEABLE = ("report_to", "run_name", "keep_checkpoints")  # when a run resumes: without influence on the weights


class Recipe(Section):
    """A whole recipe. :func:`parse_recipe` builds one from plain values, :meth:`with_values` changes some."""

    description: Annotated[str, StringConstraints(strip_whitespace=True)] = ""
    model: ModelConfig = Field(default_factory=ModelConfig)
    data: DataConfig = Field(default_factory=DataConfig)
    training: TrainingConfig = Field(default_factory=TrainingConfig)
    tracking: TrackingConfig = Field(default_factory=TrackingConfig)
    card: CardConfig = Field(default_factory=CardConfig)
    tuning: Ranges = Field(default_factory=dict)

    def contradictions(self) -> Iterator[str]:
        training, tracking = self.training, self.tracking
        if tracking.register_model and not {"mlflow", "auto"} & set(training.report_to):
            yield "register_model needs report_to mlflow"
        if tracking.register_model and tracking.log_model is False:
            yield "register_model needs the model to be logged; remove log_model: false"
        if "warmup_steps" in self.tuning and self.tuning["warmup_steps"].mixes_shares():
            yield (
                "tuning: warmup_steps: below 1 it is a share of all steps, otherwise their number; "
                "one range cannot mix them"
            )
        if "num_train_epochs" in self.tuning and training.max_steps > 0:
            yield "tuning: num_train_epochs has no effect with max_steps; omit one of them"
        if "label_smoothing_factor" in self.tuning and training.metric_for_best_model in ("loss", "eval_loss"):
            yield "tuning: label_smoothing_factor changes the loss that metric_for_best_model measures; use log_loss"

    def to_dict(self) -> dict[str, Any]:
        """Return every value, defaults included, as :func:`parse_recipe` takes it; ``tuning`` only if it has ranges."""
        plain: dict[str, Any] = {"description": self.description}
        for name in SECTIONS:
            values = getattr(self, name).model_dump()
            plain[name] = {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}
        if self.tuning:
            plain["tuning"] = {name: tried.to_plain() for name, tried in self.tuning.items()}
        return plain

    def to_yaml(self) -> str:
        """Return the YAML of :meth:`to_dict`."""
        from sentiment140_bert.trust import plain_yaml

        return plain_yaml.dump(self.to_dict())

    def with_values(self, values: Mapping[str, Any], origin: str = FLAGS) -> Recipe:
        """Return this recipe with some values replaced.

        Args:
            values: Key (no section) to new value. A place to send things to is the user's own choice from now on.
            origin: Where the values come from, for the error; by default from the user.

        Raises:
            RecipeError: Listing every unknown key and wrong value.
        """
        plain = self.to_dict()
        for key, value in values.items():
            plain[SECTION_BY_KEY.get(key, "training")][key] = value
        recipe = parse_recipe(plain, origin)
        if origin == FLAGS:
            for key in filter(values.get, PLACES):
                trust.remember_place(key, str(values[key]))
            if values.get(REGISTERED):
                trust.name_now(REGISTERED, str(values[REGISTERED]))
        return recipe


RecipeName = Recipe | str | Path  # as callers of the public functions give it


def parse_recipe(plain: Mapping[str, Any], origin: str = "the recipe") -> Recipe:
    """Build a recipe from plain values, as ``yaml.safe_load`` gives them.

    Args:
        plain: ``{"description": str, "model": {…}, "data": {…}, "training": {…}}``, each key optional.
        origin: Name of the source, for the error.

    Raises:
        RecipeError: Listing every unknown key and every wrong value at once.
    """
    if not isinstance(plain, Mapping):
        raise RecipeError([f"expected the sections {', '.join(SECTIONS)}; got {type(plain).__name__}"], origin)
    problems: list[str] = []
    content = {key: value for key, value in plain.items() if value is not None or key not in Recipe.model_fields}
    if looks_secret(str(content.get("description"))):
        problems.append("description contains what looks like a secret")
    for name in SECTIONS:
        if isinstance(content.get(name), Mapping):
            content[name] = _without_refused(content[name], problems)
    if isinstance(content.get("training"), Mapping):
        content["training"] = _check_other_arguments(content["training"], problems)
    recipe = None
    try:
        recipe = Recipe.model_validate(content)
    except ValidationError as error:
        problems += islice(explain(error), MOST_PROBLEMS + 1)
    if recipe is None or problems:
        shown = problems if len(problems) <= MOST_PROBLEMS else [*problems[:MOST_PROBLEMS], "and more"]
        raise RecipeError(shown, origin)
    return recipe


def _without_refused(section: Mapping[Any, Any], problems: list[str]) -> dict[Any, Any]:
    """Return a section without secrets and reserved arguments, each of which becomes a problem."""
    allowed = {}
    for key, value in section.items():
        if key in RESERVED_ARGUMENTS:
            problems.append(f"{key} cannot be set in a recipe: {RESERVED_ARGUMENTS[key]}")
        elif looks_secret(str(value)):
            problems.append(f"{key} contains what looks like a secret; use the environment or a login instead")
        else:
            allowed[key] = value
    return allowed


def _check_other_arguments(training: Mapping[Any, Any], problems: list[str]) -> dict[Any, Any]:
    """Return the section ``training`` with those arguments converted that have no setting of their own."""
    settings = {key: value for key, value in training.items() if key in TrainingConfig.model_fields}
    others = {key: value for key, value in training.items() if key not in settings}
    if others:
        try:
            settings |= other_arguments().validate_python(others)
        except ValidationError as error:
            problems += islice(explain(error, "training"), MOST_PROBLEMS + 1)
    return settings


def list_differences(before: Recipe, now: Recipe) -> list[str]:
    """Return a phrase for each setting by which two recipes would not give the same run."""
    then, today = before.to_dict(), now.to_dict()
    return [
        f"{key}: {then[section].get(key)!r} then, {value!r} now"
        for section in ("model", "data", "training")
        for key, value in today[section].items()
        if then[section].get(key) != value and key not in CHANGEABLE
    ]


def to_key(text: str) -> str:
    """Return the key of a setting as the command line takes it: hyphens and blanks are allowed."""
    return text.strip().replace("-", "_")


def drop_checkpoint_repo(recipe: Recipe, work: str) -> Recipe:
    """Return the recipe for work that trains several models, which cannot share one repository of checkpoints.

    Args:
        recipe: Whose repository is named in a warning.
        work: Name of the work, as in "a learning curve".
    """
    repo_id = recipe.tracking.checkpoint_repo_id
    if repo_id is None:
        return recipe
    log.warning("hub: %s trains several models; %s is for one run and stays unused", work, repo_id)
    return recipe.with_values({"checkpoint_repo_id": None})


def build_schema() -> dict[str, Any]:
    """Return the JSON Schema of a recipe, all arguments of the Trainer included."""
    schema = Recipe.model_json_schema()
    training, others = schema["$defs"]["TrainingConfig"], other_arguments().json_schema()
    schema["$defs"] |= others.pop("$defs", {})
    training["properties"] |= others["properties"]
    training["additionalProperties"] = False
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | schema


def list_recipes() -> list[str]:
    """Return the names of the packaged recipes, sorted."""
    packaged = files("sentiment140_bert").joinpath("recipes")
    return sorted(entry.name.removesuffix(".yaml") for entry in packaged.iterdir() if entry.name.endswith(".yaml"))


def read_recipe(name_or_path: str) -> str:
    """Return a recipe's YAML as it was written, comments included.

    Args:
        name_or_path: A packaged name (``quickstart``) or a file (``mine.yaml``).

    Raises:
        S140Error: There is no such recipe, or the file cannot be read as text.
    """
    from sentiment140_bert.trust import plain_yaml

    if name_or_path in list_recipes():
        return files("sentiment140_bert").joinpath("recipes", f"{name_or_path}.yaml").read_text("utf-8")
    path = Path(name_or_path)
    try:
        if not path.is_file():  # nor a device or a pipe, which may never end
            raise S140Error(
                f"There is no recipe {name_or_path[:500]!r}, neither in the package nor as a file.",
                f"In the package: {', '.join(list_recipes())}.",
            )
        if (size := path.stat().st_size) > plain_yaml.LONGEST:
            raise S140Error(
                f"{name_or_path} has {size:,} bytes, more than the {plain_yaml.LONGEST:,} that a recipe may have.",
                "Is it the right file?",
            )
        return path.read_text("utf-8")
    except (UnicodeDecodeError, OSError) as error:
        raise S140Error(
            f"The recipe {name_or_path[:500]} cannot be read: {error}.", "A recipe is a UTF-8 YAML file."
        ) from None


def as_recipe(recipe: RecipeName) -> Recipe:
    """Return a recipe itself, or the one of a packaged name (``quickstart``) or of a file.

    Raises:
        S140Error: There is no such recipe, or it holds wrong values.
        TypeError: It has another type.
    """
    if isinstance(recipe, Recipe):
        return recipe
    if not isinstance(recipe, str | Path):
        raise TypeError(
            f"recipe must be a Recipe, a packaged name such as 'quickstart', or a file, not {type(recipe).__name__}"
        )
    return load_recipe(recipe)


def as_data(data: DataConfig | str | Path) -> DataConfig:
    """Return settings of tweets themselves, or those of a dataset that is only named.

    Raises:
        TypeError: It is neither.
    """
    if isinstance(data, DataConfig):
        return data
    if not isinstance(data, str | Path):
        raise TypeError(f"data must be a DataConfig, or the name of a dataset or file, not {type(data).__name__}")
    return DataConfig(dataset=str(data))


def load_recipe(name_or_path: str | Path) -> Recipe:
    """Read and check a recipe, a packaged one or a YAML file.

    >>> recipe = load_recipe("quickstart").with_values({"learning_rate": 5e-5})
    >>> recipe.training.learning_rate, recipe.data.dataset
    (5e-05, 'sample')

    Args:
        name_or_path: A packaged name (``quickstart``) or a file (``mine.yaml``).

    Raises:
        S140Error: There is no such recipe.
        RecipeError: It is not YAML, or holds unknown keys or wrong values (all are listed).
    """
    from sentiment140_bert.trust import plain_yaml

    name_or_path = str(name_or_path)
    source = read_recipe(name_or_path)
    try:
        plain = plain_yaml.load(source)
    except ValueError as error:
        raise RecipeError([f"not valid YAML: {error}"], name_or_path) from None
    return parse_recipe({} if plain is None else plain, name_or_path)
