"""Recipes: what is refused and how, what beats what, and that the packaged ones are whole."""

from __future__ import annotations

import dataclasses

import hypothesis
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sentiment140_bert import recipes
from sentiment140_bert.cli.options import resolved
from sentiment140_bert.errors import RecipeError, S140Error
from sentiment140_bert.recipe import NOT_YOURS, SECTION_OF, SECTIONS, Recipe, parse
from sentiment140_bert.settings import settings

NAMES = [
    "bert-base-100k",
    "bert-base-100k-fast",
    "bert-base-full",
    "colab-t4",
    "databricks",
    "distilbert-100k",
    "local-8gb",
    "quickstart",
]


def problems_of(plain: object) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        parse(plain)  # type: ignore[arg-type]
    return caught.value.problems


def test_the_packaged_recipes_are_these():
    assert recipes.names() == NAMES


def test_a_packaged_recipe_comes_back_from_its_own_yaml():
    for name in NAMES:
        recipe = recipes.load(name)
        assert recipe.description
        assert parse(yaml.safe_load(recipe.to_yaml())) == recipe
        assert parse(recipe.to_dict()) == recipe
        assert set(recipe.to_dict()["data"]) == {key for key, section in SECTION_OF.items() if section == "data"}


def test_the_original_job_is_kept():
    recipe = recipes.load("bert-base-100k")
    assert (recipe.model.model_name_or_path, recipe.data.max_samples) == ("google-bert/bert-base-uncased", 100_000)
    training = recipe.training
    assert (training.num_train_epochs, training.learning_rate, training.per_device_train_batch_size) == (3, 2e-5, 16)


def test_no_key_stands_in_two_sections_and_each_is_documented():
    documented = [name for section in SECTIONS.values() for name, _, _ in settings(section)]
    assert len(documented) == len(set(documented))
    everything = {each.name for section in SECTIONS.values() for each in dataclasses.fields(section)}
    assert everything - set(documented) == {"more"}


def test_keys_of_training_are_those_of_training_arguments():
    from transformers import TrainingArguments

    theirs = {each.name for each in dataclasses.fields(TrainingArguments)}
    assert {each.name for each in dataclasses.fields(SECTIONS["training"])} - theirs == {
        "precision",
        "layerwise_lr_decay",
        "more",
    }


PROBLEMS = [
    ({"training": {"learning_rat": 1}}, "unknown key 'learning_rat'; did you mean learning_rate?"),
    ({"training": {"adam_bet1": 1}}, "unknown key 'adam_bet1'; did you mean adam_beta1?"),
    ({"data": {"max_sample": 1}}, "unknown key 'max_sample'; did you mean max_samples?"),
    ({"trainin": {}}, "unknown key 'trainin'; did you mean training?"),
    ({"model": {"xyzzy": 1}}, "unknown key 'xyzzy'"),
    ({"learning_rate": 1}, "learning_rate belongs into section training"),
    ({"data": {"learning_rate": 1}}, "learning_rate belongs into section training"),
    ({"training": {"max_samples": 1}}, "max_samples belongs into section data"),
    ({"training": {7: 1}}, "unknown key 7"),
    ({"data": [1]}, "section data: expected `key: value` lines, got [1]"),
    ([1], "expected the sections model, data, training, tracking, card; got list"),
    ({"training": {"learning_rate": "fast"}}, "learning_rate: expected a number, got 'fast'"),
    ({"training": {"learning_rate": True}}, "learning_rate: expected a number, got True"),
    ({"training": {"learning_rate": float("nan")}}, "learning_rate: expected a number, got nan"),
    ({"training": {"learning_rate": 0}}, "learning_rate: must be greater than 0, got 0"),
    ({"training": {"learning_rate": None}}, "learning_rate: needs a value"),
    (
        {"training": {"load_best_model_at_end": "maybe"}},
        "load_best_model_at_end: expected true or false, got 'maybe'",
    ),
    ({"training": {"run_name": ["a"]}}, "run_name: expected text, got ['a']"),
    ({"training": {"eval_strategy": "never"}}, "eval_strategy: 'never' is none of no, steps, epoch"),
    ({"data": {"max_samples": 1.5}}, "max_samples: expected a whole number, got 1.5"),
    ({"data": {"max_samples": 0}}, "max_samples: must be greater than 0, got 0"),
    (
        {"data": {"test_size": 1.5}},
        "test_size: must be a share between 0 and 1, or a whole number of rows (0: none), got 1.5",
    ),
    ({"data": {"max_bad_rows": 2}}, "max_bad_rows: must lie between 0 and 1, got 2"),
    ({"data": {"conflicts": "fold"}}, "conflicts: 'fold' is none of drop, majority, keep"),
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
        {"training": {"eval_strategy": "steps"}},
        "load_best_model_at_end needs save_strategy (epoch) to equal eval_strategy (steps)",
    ),
    (
        {"training": {"report_to": "mlflo"}},
        "report_to: 'mlflo' is none of wandb, mlflow, trackio, tensorboard, auto, none; did you mean mlflow?",
    ),
    ({"training": {"report_to": 3}}, "report_to: expected words, by commas or as a list, got 3"),
]


def test_what_is_wrong_is_said_in_a_sentence():
    found = [(problems_of(plain), [problem]) for plain, problem in PROBLEMS]
    assert [pair for pair in found if pair[0] != pair[1]] == []


def test_what_a_recipe_must_not_set():
    for key, reason in NOT_YOURS.items():
        assert problems_of({"training": {key: "x"}}) == [f"{key} cannot be set in a recipe: {reason}"]
    assert "HF_TOKEN" in NOT_YOURS["hub_token"]


def test_both_copies_of_a_text_cannot_be_kept_together_by_time_or_user():
    assert "conflicts: keep" in problems_of({"data": {"conflicts": "keep", "split_by": "user"}})[0]


def test_all_problems_are_told_at_once():
    plain = {
        "model": {"name": "x"},
        "data": {"max_samples": "many", "split_by": "moon"},
        "training": {"learning_rate": -1, "hub_token": "secret-of-mine"},
        "extra": 1,
    }
    problems = problems_of(plain)
    assert len(problems) == 6
    error = RecipeError(problems, "mine.yaml")
    assert error.message.startswith("6 problems in mine.yaml:\n")
    assert all(problem in error.message for problem in problems)
    assert "secret-of-mine" not in error.message


@pytest.mark.parametrize(
    ("section", "key", "written", "meant"),
    [
        ("training", "learning_rate", "2e-5", 2e-5),  # YAML 1.1 reads 2e-5 as text
        ("training", "max_steps", "1e3", 1000),
        ("training", "eval_strategy", False, "no"),  # YAML 1.1 reads no as false
        ("training", "fp16", "True", True),
        ("training", "run_name", 7, "7"),
        ("data", "max_samples", 100.0, 100),
        ("data", "split_seed", 2**32 - 1, 2**32 - 1),
        ("data", "max_samples", None, None),
    ],
)
def test_values_are_taken_as_they_are_meant(section, key, written, meant):
    others = {"load_best_model_at_end": False} if section == "training" else {}
    assert getattr(getattr(parse({section: {key: written} | others}), section), key) == meant


def test_other_arguments_of_the_trainer_are_kept():
    recipe = parse({"training": {"adam_beta1": 0.8, "lr_scheduler_kwargs": {"num_cycles": 2}}})
    assert recipe.training.more == {"adam_beta1": 0.8, "lr_scheduler_kwargs": {"num_cycles": 2}}
    assert recipe.to_dict()["training"]["adam_beta1"] == 0.8
    assert parse(yaml.safe_load(recipe.to_yaml())) == recipe


words = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1)


@given(
    name=words,
    rate=st.floats(1e-8, 1, exclude_min=True),
    samples=st.none() | st.integers(1, 10**9),
    size=st.floats(0.01, 0.49) | st.integers(1, 10**6),
    description=words,
)
@hypothesis.settings(max_examples=40)
def test_any_recipe_comes_back_from_its_yaml(name, rate, samples, size, description):
    recipe = parse(
        {
            "description": description,
            "model": {"model_name_or_path": name, "model_revision": name},
            "data": {"max_samples": samples, "test_size": size, "delimiter": name[0]},
            "training": {"learning_rate": rate, "run_name": name},
        }
    )
    assert parse(yaml.safe_load(recipe.to_yaml())) == recipe


def test_a_flag_beats_the_recipe_and_the_recipe_beats_the_default():
    flags = {"learning_rate": 3e-4, "max_samples": None, "model_revision": None}
    recipe = resolved("quickstart", flags)
    assert (recipe.training.learning_rate, recipe.data.dataset) == (3e-4, "sample")
    assert recipes.load("quickstart").training.learning_rate == 1e-4
    assert Recipe().training.learning_rate == resolved(None, {}).training.learning_rate == 2e-5
    assert recipe.training.weight_decay == Recipe().training.weight_decay


def test_set_reaches_every_field_and_beats_all():
    assignments = ["adam-beta1=0.8", "learning_rate=1e-3", "max_samples=null", "report_to=none", "run_name=a=b"]
    recipe = resolved("bert-base-100k", {"learning_rate": 3e-4}, assignments)
    assert recipe.training.more == {"adam_beta1": 0.8}
    assert (recipe.training.learning_rate, recipe.data.max_samples) == (1e-3, None)
    assert (recipe.training.report_to, recipe.training.run_name) == (("none",), "a=b")


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("learning_rate", "is not KEY=VALUE"),
        ("learning_rat=1", "did you mean learning_rate?"),
        ("hub_token=x", "hub_token cannot be set"),
        ("more=1", "unknown key 'more'"),
        ("learning_rate={", "learning_rate: expected a number, got '{'"),
        ("description=x", "unknown key 'description'"),
    ],
)
def test_a_wrong_set_is_refused(assignment, message):
    with pytest.raises(RecipeError) as caught:
        resolved(None, {}, [assignment])
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"data: [", "not valid YAML"),
        (b"- a\n- b\n", "got list"),
        (b"just text", "got str"),
        (b"? [a]\n: b\n", "not valid YAML"),
        (b"\xff\xfe", "cannot be read"),
        (b"training:\n  learning_rate: 1\n  learning_rate: 2\n", "learning_rate"),
        (None, "There is no recipe"),
    ],
)
def test_files_that_are_no_recipe(tmp_path, content, message):
    if content is not None:
        (tmp_path / "mine.yaml").write_bytes(content)
    with pytest.raises(S140Error, match=r"mine\.yaml") as caught:
        recipes.load("mine.yaml")
    assert message in caught.value.message


@pytest.mark.parametrize("content", ["", "# nothing\n", "data:\n"])
def test_an_empty_recipe_is_all_defaults(tmp_path, content):
    (tmp_path / "mine.yaml").write_text(content)
    assert recipes.load("mine.yaml") == Recipe()


@pytest.mark.parametrize("value", ["x", 1, [], {}, None, ["inputs"]])
def test_lists_among_training_arguments_take_any_value_or_refuse_it(value: object) -> None:
    try:
        parse({"training": {"include_for_metrics": value}})
    except RecipeError as error:
        assert "include_for_metrics" in error.message  # noqa: PT017 - either is right


def test_what_would_read_a_file_or_make_callbacks_is_no_setting() -> None:
    for name in ("accelerator_config", "restore_callback_states_from_checkpoint"):
        with pytest.raises(RecipeError, match=name):
            parse({"training": {name: "x.json"}})
