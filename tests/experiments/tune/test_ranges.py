"""The ``tuning`` section of a recipe."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sentiment140_bert.errors import RecipeError
from sentiment140_bert.experiments.tune import space
from sentiment140_bert.recipe import SECTION_BY_KEY, Range, Recipe, parse_recipe
from sentiment140_bert.recipe.ranges import TUNABLE


def list_problems(tuning: object, **training: Any) -> list[str]:
    with pytest.raises(RecipeError) as error:
        parse_recipe({"tuning": tuning, "training": training})
    return error.value.problems


def test_ranges_come_back_from_their_own_yaml() -> None:
    tuning = {
        "learning_rate": {"low": 1e-5, "high": "1e-4", "log": True},
        "per_device_train_batch_size": [16, "32"],
        "num_train_epochs": {"low": 1, "high": 4, "step": 1},
        "lr_scheduler_type": {"choices": ["linear", "cosine"]},
        "max_length": {"low": 16, "high": 64},
    }
    recipe = parse_recipe({"tuning": tuning})
    assert recipe.tuning == {
        "learning_rate": Range(1e-5, 1e-4, log=True),
        "per_device_train_batch_size": Range(choices=(16, 32)),
        "num_train_epochs": Range(1.0, 4.0, step=1.0),
        "lr_scheduler_type": Range(choices=("linear", "cosine")),
        "max_length": Range(16, 64, step=1),
    }
    assert parse_recipe(yaml.safe_load(recipe.to_yaml())) == recipe
    assert recipe.with_values({"seed": 7}).tuning == recipe.tuning


def test_a_recipe_without_ranges_has_no_such_section() -> None:
    assert "tuning" not in Recipe().to_dict()
    assert parse_recipe({"tuning": None}) == parse_recipe({"tuning": {}}) == Recipe()


PROBLEMS: list[tuple[object, str]] = [
    ({"learning_rat": [1, 2]}, "tuning: unknown setting 'learning_rat'; did you mean learning_rate?"),
    ({"eval_steps": [1, 2]}, "tuning: eval_steps is a setting that is not tuned"),
    ([1], "section tuning: expected `key: value` lines, got [1]"),
    ({"learning_rate": 1e-5}, "tuning: learning_rate: expected low and high, or a list of choices, got 1e-05"),
    ({"learning_rate": []}, "tuning: learning_rate: choices are empty"),
    (
        {"learning_rate": [1e-5]},
        "tuning: learning_rate: a single choice, 1e-05, leaves nothing to tune: set the value itself",
    ),
    ({"learning_rate": [1e-5, 1.0e-5]}, "tuning: learning_rate: choices: duplicate value"),
    ({"learning_rate": [1e-5, "fast"]}, "tuning: learning_rate: choices: must be a valid number, got 'fast'"),
    ({"learning_rate": {"choices": 3}}, "tuning: learning_rate: choices: must be a valid list, got 3"),
    ({"learning_rate": {"choices": [1, 2], "low": 1}}, "tuning: learning_rate: choices cannot be combined with low"),
    ({"learning_rate": {"low": 2, "high": 1}}, "tuning: learning_rate: low 2.0 is greater than high 1.0"),
    ({"learning_rate": {"low": 1, "high": 1}}, "learning_rate: low and high are both 1.0: set the value itself"),
    ({"learning_rate": {"low": 0, "high": 1}}, "tuning: learning_rate: low: must be greater than 0, got 0"),
    ({"weight_decay": {"low": 0, "high": 1, "log": True}}, "weight_decay: log needs a low above 0, got 0.0"),
    ({"weight_decay": {"low": 0.1, "high": 1, "log": True, "step": 0.1}}, "log and step exclude each other"),
    ({"weight_decay": {"low": 0, "high": 1, "step": 2}}, "tuning: weight_decay: step 2.0 is greater than"),
    ({"weight_decay": {"low": 0}}, "tuning: weight_decay: high is missing"),
    ({"weight_decay": {"low": 0, "high": 1, "logg": True}}, "weight_decay: unknown key 'logg'; did you mean log?"),
    ({"weight_decay": {"low": 0, "high": 1, "log": "x"}}, "tuning: weight_decay: log: must be a valid boolean"),
    ({"hidden_dropout_prob": {"low": 0, "high": 1}}, "hidden_dropout_prob: high: must be less than 1, got 1"),
    ({"lr_scheduler_type": {"low": "cosine", "high": "linear"}}, "lr_scheduler_type: takes only choices"),
    ({"lr_scheduler_type": ["linear", "cosin"]}, "transformers has no 'cosin'; did you mean cosine?"),
    ({"warmup_steps": {"low": 0.1, "high": 10}}, "one range cannot mix them"),
    ({"warmup_steps": {"low": 0, "high": 1, "step": 0.25}}, "one range cannot mix them"),
    ({"warmup_steps": [0.1, 100]}, "one range cannot mix them"),
]


def test_each_problem_is_named() -> None:
    problems = {expected: "\n".join(list_problems(tuning)) for tuning, expected in PROBLEMS}
    assert {expected: text for expected, text in problems.items() if expected not in text} == {}


def test_all_problems_are_named_at_once() -> None:
    problems = list_problems({"learning_rat": [], "weight_decay": {"low": 2, "high": 1}, "max_length": []}, seed="x")
    assert len(problems) == 4


def test_epochs_have_no_effect_with_max_steps() -> None:
    assert "no effect with max_steps" in list_problems({"num_train_epochs": [1, 2]}, max_steps=5)[0]


def test_warm_up_is_a_share_or_a_number_of_steps() -> None:
    for warm_up in (
        *({"low": 0, "high": 0.2}, {"low": 0, "high": 500, "step": 100}, {"low": 10, "high": 99}, [0, 0.1], [0, 50]),
    ):
        assert parse_recipe({"tuning": {"warmup_steps": warm_up}}).tuning, warm_up


def test_label_smoothing_is_not_tuned_by_a_loss_that_it_changes() -> None:
    smoothing = {"label_smoothing_factor": {"low": 0, "high": 0.1}}
    assert "use log_loss" in list_problems(smoothing, metric_for_best_model="eval_loss")[0]
    assert parse_recipe({"tuning": smoothing, "training": {"metric_for_best_model": "log_loss"}}).tuning


def test_a_recipe_could_have_every_default_range() -> None:
    assert set(space.DEFAULT) <= set(TUNABLE) <= SECTION_BY_KEY.keys()
    assert parse_recipe({"tuning": space.to_plain(space.DEFAULT)}).tuning == space.DEFAULT
    assert space.from_plain(space.to_plain(space.DEFAULT)) == space.DEFAULT


def test_a_range_knows_its_values() -> None:
    for limits, inside, outside in (
        (Range(1.0, 4.0, step=1.0), (1.0, 3), (2.5, 5, 0.0, None)),
        (Range(1e-5, 1e-4, log=True), (1e-5, 5e-5, 1e-4), (1e-3, 1e-6)),
        (Range(choices=(16, 32)), (16, 32), (24, None)),
        (Range(0.0, 0.3, step=0.1), (0.1, 0.2, 0.3), (0.15,)),
    ):
        assert [value for value in (*inside, *outside) if limits.holds(value)] == list(inside), limits


@given(st.integers(-50, 50), st.integers(1, 60), st.integers(1, 9), st.integers(-120, 120))
def test_a_range_with_steps_holds_what_they_reach(low: int, width: int, step: int, value: int) -> None:
    step = min(step, width)
    assert Range(low, low + width, step=step).holds(value) == (value in range(low, low + width + 1, step))


def test_the_recipe_s_values_are_tried_first_as_far_as_they_are_in_the_space() -> None:
    ranges = {"a": Range(1, 4, step=1), "b": Range(choices=(8, 16)), "c": Range(0.0, 1.0), "d": Range(0.0, 1.0)}
    assert space.select_within(ranges, {"a": 2, "b": 9, "c": 1.5, "e": 3}) == {"a": 2}
    assert space.select_within(ranges, {"a": 4, "b": 16, "c": 0.0, "d": None}) == {"a": 4, "b": 16, "c": 0.0}


@given(st.lists(st.integers(1, 512), min_size=2, unique=True), st.integers(1, 512))
def test_tweets_are_tokenized_at_the_greatest_length_that_is_tried(lengths: list[int], otherwise: int) -> None:
    assert space.find_longest({"max_length": Range(choices=tuple(lengths))}, otherwise) == max(lengths)
    assert space.find_longest({"max_length": Range(min(lengths), max(lengths), step=1)}, otherwise) == max(lengths)
    assert space.find_longest({"learning_rate": Range(1e-5, 1e-4)}, otherwise) == otherwise
