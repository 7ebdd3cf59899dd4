"""Recipes: what is refused and with which sentence, what beats what, and the schema that editors read."""

from __future__ import annotations

import dataclasses

import hypothesis
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sentiment140_bert.cli.options import resolve_recipe
from sentiment140_bert.errors import RecipeError
from sentiment140_bert.recipe import (
    RESERVED_ARGUMENTS,
    SECTION_BY_KEY,
    SECTIONS,
    TRACKERS,
    Recipe,
    list_recipes,
    load_recipe,
    parse_recipe,
)

NAMES = [
    *("bert-base-100k", "bert-base-100k-fast", "bert-base-full", "colab-t4", "databricks"),
    *("deberta-v3-base-100k", "distil-student", "distilbert-100k", "local-8gb", "modernbert-base-100k", "quickstart"),
    *("twitter-roberta-100k", "xlm-t-100k"),
]


def find_problems(plain: object) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        parse_recipe(plain)  # type: ignore[arg-type]
    return caught.value.problems


def test_packaged_recipes_round_trip_through_their_yaml():
    assert list_recipes() == NAMES
    for name in NAMES:
        recipe = load_recipe(name)
        assert recipe.description
        assert parse_recipe(yaml.safe_load(recipe.to_yaml())) == recipe
        assert parse_recipe(recipe.to_dict()) == recipe


def test_the_original_job_is_unchanged():
    recipe = load_recipe("bert-base-100k")
    assert (recipe.model.model_name_or_path, recipe.data.max_samples) == ("google-bert/bert-base-uncased", 100_000)
    training = recipe.training
    assert (training.num_train_epochs, training.learning_rate, training.per_device_train_batch_size) == (3, 2e-5, 16)


def test_each_setting_has_one_section_and_a_description():
    fields = [(name, field) for section in SECTIONS.values() for name, field in section.model_fields.items()]
    assert len(fields) == len(SECTION_BY_KEY)
    assert [name for name, field in fields if not field.description] == []


def test_training_settings_are_training_arguments():
    from transformers import TrainingArguments

    arguments = {field.name for field in dataclasses.fields(TrainingArguments)}
    assert SECTIONS["training"].model_fields.keys() - arguments == {
        "precision",
        "layerwise_lr_decay",
        "keep_checkpoints",
        "early_stopping_patience",
    }
    assert RESERVED_ARGUMENTS.keys() <= arguments


NAMES_OF_TRACKERS = ", ".join((*TRACKERS, "auto", "none"))
PROBLEMS: list[tuple[object, str]] = [
    ({"training": {"learning_rat": 1}}, "unknown key 'learning_rat'; did you mean learning_rate?"),
    ({"training": {"adam_bet1": 1}}, "unknown key 'adam_bet1'; did you mean adam_beta1?"),
    ({"trainin": None}, "unknown key 'trainin'; did you mean training?"),
    ({"model": {"xyzzy": 1}}, "unknown key 'xyzzy'"),
    ({"learning_rate": 1}, "learning_rate belongs in section training"),
    ({"training": {7: 1}}, "unknown key '7'"),
    ({"data": [1]}, "section data: expected `key: value` lines, got [1]"),
    ([1], "expected the sections model, data, training, tracking, card; got list"),
    ({"training": {"learning_rate": "fast"}}, "learning_rate: must be a valid number, got 'fast'"),
    ({"training": {"learning_rate": True}}, "learning_rate: must be a valid number, got True"),
    ({"training": {"learning_rate": float("nan")}}, "learning_rate: must be a finite number, got nan"),
    ({"training": {"learning_rate": 0}}, "learning_rate: must be greater than 0, got 0"),
    ({"training": {"seed": 2**32}}, "seed: must be at most 4294967295, got 4294967296"),
    ({"training": {"fp16_full_eval": 7}}, "fp16_full_eval: must be a valid boolean, got 7"),
    ({"training": {"run_name": ["a"]}}, "run_name: must be a valid string, got ['a']"),
    ({"training": {"optim": "adamw_torch_fuse"}}, "optim: transformers has no 'adamw_torch_fuse'; did you mean "),
    ({"training": {"lr_scheduler_type": "cosin"}}, "lr_scheduler_type: transformers has no 'cosin'; did you mean "),
    ({"training": {"metric_for_best_model": "f2"}}, "metric_for_best_model: must be one of accuracy, macro_f1, f1, "),
    ({"training": {"eval_strategy": "never"}}, "eval_strategy: must be 'no', 'steps' or 'epoch', got 'never'"),
    ({"data": {"max_samples": 1.5}}, "max_samples: must be a valid integer, got 1.5"),
    ({"data": {"test_size": 1.5}}, "test_size: must be a share between 0 and 1, or a whole number of rows, got 1.5"),
    ({"data": {"max_bad_rows": 2}}, "max_bad_rows: must be at most 1, got 2"),
    ({"data": {"max_length": 2}}, "max_length: must be at least 3, got 2"),
    ({"data": {"conflicts": "fold"}}, "conflicts: must be 'drop', 'majority' or 'keep', got 'fold'"),
    ({"data": {"label_map": "0=bad"}}, "label_map: must be pairs as in 0=negative,1=neutral,2=positive: "),
    ({"data": {"conflicts": "keep", "split_by": "user"}}, "conflicts: keep cannot be combined with split_by: user"),
    ({"training": {"fp16": True, "bf16": True}}, "fp16 and bf16 are both true: choose one"),
    ({"training": {"fp16": True, "precision": "fp32"}}, "precision is fp32 but fp16 is true"),
    (
        {"data": {"validation_size": 0.6, "test_size": 0.4}},
        "validation_size 0.6 and test_size 0.4 leave nothing to train on",
    ),
    (
        {"training": {"eval_strategy": "no"}},
        "load_best_model_at_end needs eval_strategy and save_strategy: set it to false, or both to epoch",
    ),
    (
        {"training": {"early_stopping_patience": 2, "load_best_model_at_end": False}},
        "early_stopping_patience needs evaluations, of which the best is kept: set load_best_model_at_end to true, and",
    ),
    (
        {"training": {"early_stopping_patience": 2, "eval_on_start": True}},
        "early_stopping_patience would count eval_on_start again whenever a run resumes; remove one of them",
    ),
    ({"tracking": {"carbon_country": "de"}}, "carbon_country: must be a country's code of three letters, as in USA, "),
    ({"training": {"early_stopping_patience": 0}}, "early_stopping_patience: must be greater than 0, got 0"),
    (
        {"training": {"eval_strategy": "steps"}},
        "load_best_model_at_end needs save_strategy (epoch) to equal eval_strategy (steps)",
    ),
    (
        {"training": {"eval_strategy": "steps", "save_strategy": "steps", "eval_steps": 300}},
        "save_steps (500) must be a multiple of eval_steps (300)",
    ),
    (
        {"training": {"report_to": "mlflo"}},
        f"report_to: must be one of {NAMES_OF_TRACKERS}, got 'mlflo'; did you mean mlflow?",
    ),
    ({"training": {"dataloader_num_workers": 100_000}}, "dataloader_num_workers: must be at most 128, got 100000"),
    ({"training": {"gradient_accumulation_steps": 10**12}}, "gradient_accumulation_steps: must be at most 10000, got"),
    ({"training": {"per_device_eval_batch_size": 10**12}}, "per_device_eval_batch_size: must be at most 1000000, got"),
    ({"training": {"adam_beta1": 2}}, "adam_beta1: must be less than 1, got 2"),
    ({"training": {"neftune_noise_alpha": 1e308}}, "neftune_noise_alpha: must be at most 1000, got 1e+308"),
    ({"training": {"torch_compile_backend": "foo"}}, "torch_compile_backend: must be 'eager', 'aot_eager', 'inductor'"),
    ({"training": {"log_level": "foo"}}, "log_level: must be 'debug', 'info', "),
    (
        {"training": {"gradient_checkpointing_kwargs": "x"}},
        "gradient_checkpointing_kwargs: must be a valid dictionary, got 'x'",
    ),
    ({"training": {"report_to": 3}}, "report_to: must be comma-separated words or a list, got 3"),
    ({"training": {"report_to": []}}, "report_to: must be a tracker, or none"),
    ({"training": {"report_to": "none,wandb"}}, "report_to: none cannot be combined with others: none, wandb"),
    ({"tracking": {"register_model": "a b"}}, "register_model: must be a name, or catalog.schema.name, without "),
    ({"tracking": {"model_alias": "v1"}}, "model_alias: must be letters, digits, _ . or -, and neither v1, v2, … nor"),
    (
        {"tracking": {"register_model": "m"}, "training": {"report_to": "wandb"}},
        "register_model needs report_to mlflow",
    ),
    ({"tracking": {"register_model": "m", "log_model": False}}, "register_model needs the model to be logged"),
    ({"card": {"language": "Spanish"}}, "language: must be comma-separated language codes, as in es or pt-BR,gl, got "),
    ({"card": {"license": "My Own"}}, "license: must be a license as the Hub names it"),
]


def test_every_mistake_has_its_sentence():
    sentences = {str(plain): (find_problems(plain), problem) for plain, problem in PROBLEMS}
    assert {
        plain: pair for plain, pair in sentences.items() if len(pair[0]) != 1 or not pair[0][0].startswith(pair[1])
    } == {}


def test_reserved_arguments_are_refused_with_their_reason():
    for key, reason in RESERVED_ARGUMENTS.items():
        assert find_problems({"training": {key: "x"}}) == [f"{key} cannot be set in a recipe: {reason}"]
    assert "HF_TOKEN" in RESERVED_ARGUMENTS["hub_token"]


def test_all_problems_are_reported_at_once():
    plain = {
        "model": {"name": "x"},
        "data": {"max_samples": "many", "split_by": "moon"},
        "training": {"learning_rate": -1, "hub_token": "secret-of-mine", "adam_bet1": 1, "fp16_full_eval": "x"},
        "extra": 1,
    }
    problems = find_problems(plain)
    assert len(problems) == 8
    error = RecipeError(problems, "mine.yaml")
    assert error.message.startswith("8 problems in mine.yaml:\n")
    assert all(problem in error.message for problem in problems)
    assert "secret-of-mine" not in error.message
    assert len(find_problems({"data": dict.fromkeys(map(str, range(200)), 1)})) == 51


def test_secrets_are_refused_in_every_field():
    token = "hf_" + "a1B2c3D4" * 5
    for plain in ({"description": token}, {"model": {"model_name_or_path": token}}, {"training": {"run_name": token}}):
        (problem,) = find_problems(plain)
        assert "looks like a secret" in problem
        assert token not in problem


@pytest.mark.parametrize(
    ("section", "key", "written", "meant"),
    [
        ("training", "learning_rate", "2e-5", 2e-5),  # YAML 1.1 reads 2e-5 as text
        ("training", "max_steps", "1e3", 1000),
        ("training", "eval_strategy", False, "no"),  # YAML 1.1 reads no as false
        ("training", "fp16", "True", True),
        ("training", "run_name", 7, "7"),
        ("training", "report_to", "wandb, mlflow", ("wandb", "mlflow")),
        ("data", "max_samples", 100.0, 100),
        ("data", "split_seed", 2**32 - 1, 2**32 - 1),
        ("data", "max_samples", None, None),
    ],
)
def test_values_are_read_as_they_are_meant(section, key, written, meant):
    others = {"load_best_model_at_end": False} if section == "training" else {}
    value = getattr(getattr(parse_recipe({section: {key: written} | others}), section), key)
    assert (value, type(value)) == (meant, type(meant))


def test_other_arguments_of_the_trainer_are_accepted():
    recipe = parse_recipe({"training": {"adam_beta1": "0.8", "lr_scheduler_kwargs": {"num_cycles": 2}}})
    assert recipe.training.other_arguments == {"adam_beta1": 0.8, "lr_scheduler_kwargs": {"num_cycles": 2}}
    assert recipe.to_dict()["training"]["adam_beta1"] == 0.8
    assert parse_recipe(yaml.safe_load(recipe.to_yaml())) == recipe


words = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1)


@given(
    name=words,
    rate=st.floats(1e-8, 1, exclude_min=True),
    samples=st.none() | st.integers(1, 10**9),
    size=st.floats(0.01, 0.49) | st.integers(1, 10**6),
    description=words,
)
@hypothesis.settings(max_examples=40)
def test_any_recipe_round_trips_through_its_yaml(name, rate, samples, size, description):
    recipe = parse_recipe(
        {
            "description": description,
            "model": {"model_name_or_path": name, "model_revision": "refs/pr/1"},
            "data": {"max_samples": samples, "test_size": size, "delimiter": name[0]},
            "training": {"learning_rate": rate, "run_name": name},
        }
    )
    assert parse_recipe(yaml.safe_load(recipe.to_yaml())) == recipe


def test_flags_beat_the_recipe_and_the_recipe_beats_defaults():
    flags = {"learning_rate": 3e-4, "max_samples": None, "model_revision": None}
    recipe = resolve_recipe("quickstart", flags)
    assert (recipe.training.learning_rate, recipe.data.dataset) == (3e-4, "sample")
    assert load_recipe("quickstart").training.learning_rate == 1e-4
    assert Recipe().training.learning_rate == resolve_recipe(None, {}).training.learning_rate == 2e-5
    assert recipe.training.weight_decay == Recipe().training.weight_decay


def test_set_reaches_every_setting_and_beats_all():
    assignments = ["adam-beta1=0.8", "learning_rate=1e-3", "max_samples=null", "report_to=none", "run_name=a=b"]
    recipe = resolve_recipe("bert-base-100k", {"learning_rate": 3e-4}, assignments)
    assert recipe.training.other_arguments == {"adam_beta1": 0.8}
    assert (recipe.training.learning_rate, recipe.data.max_samples) == (1e-3, None)
    assert (recipe.training.report_to, recipe.training.run_name) == (("none",), "a=b")


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("learning_rate", "is not KEY=VALUE"),
        ("learning_rat=1", "did you mean learning_rate?"),
        ("hub_token=x", "hub_token cannot be set"),
        ("other_arguments=1", "unknown key 'other_arguments'"),
        ("learning_rate={", "learning_rate: must be a valid number, got '{'"),
        ("description=x", "unknown key 'description'"),
    ],
)
def test_wrong_assignments_are_refused(assignment, message):
    with pytest.raises(RecipeError) as caught:
        resolve_recipe(None, {}, [assignment])
    assert message in caught.value.message


@pytest.mark.parametrize("content", ["", "# nothing\n", "data:\n", "description:\ntuning: {}\n"])
def test_an_empty_recipe_is_all_defaults(tmp_path, content):
    (tmp_path / "mine.yaml").write_text(content)
    assert load_recipe("mine.yaml") == Recipe()


@pytest.mark.parametrize("value", ["x", 1, [], {}, None, ["inputs"]])
def test_arguments_of_mixed_types_are_left_to_training_arguments(value: object) -> None:
    assert parse_recipe({"training": {"optim_target_modules": value}}).training.other_arguments == {
        "optim_target_modules": value
    }
