"""The schema that editors read, and recipes that older versions wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from sentiment140_bert.errors import RecipeError
from sentiment140_bert.recipe import SECTIONS, Recipe, build_schema, list_recipes, parse_recipe

OLD_RECIPE = """\
description: Written by version 0.1.0, before recipes were pydantic models.
model: {model_name_or_path: bundled:minilm, model_revision: null, hidden_dropout_prob: null,
  attention_probs_dropout_prob: null, classifier_dropout: 0.2}
data: {dataset: sample, dataset_revision: null, dataset_split: train, text_column: null, label_column: null,
  label_map: 0=negative, user_column: null, time_column: null, id_column: null, labels_file: null, delimiter: null,
  quoting: auto, encoding: null, manual_test: null, max_bad_rows: 0.01, cleaning: repair, conflicts: drop,
  max_samples: null, max_train_samples: null, validation_size: 500.0, test_size: 0.1, split_by: random,
  drop_suspects: null, split_seed: 42, max_length: 128}
training: {num_train_epochs: 2.0, max_steps: -1, learning_rate: 0.0001, per_device_train_batch_size: 32,
  per_device_eval_batch_size: 64, gradient_accumulation_steps: 1, auto_find_batch_size: true, weight_decay: 0.01,
  warmup_steps: 0.1, lr_scheduler_type: linear, layerwise_lr_decay: 1.0, optim: adamw_torch_fused,
  max_grad_norm: 1.0, label_smoothing_factor: 0.0, eval_strategy: epoch, eval_steps: null, save_strategy: epoch,
  save_steps: 500.0, save_total_limit: 2, load_best_model_at_end: true, metric_for_best_model: eval_accuracy,
  logging_steps: 10.0, precision: auto, fp16: false, bf16: false, dataloader_num_workers: 0, seed: 42,
  report_to: [none], run_name: null, adam_beta2: 0.98}
tracking: {tags: [a], group: null, job_type: null, parent_run: null, log_model: null, register_model: null,
  model_alias: champion, checkpoint_repo_id: null}
card: {language: [], license: null, dataset_name: null, citation: null}
tuning: {max_length: {low: 16, high: 64, step: 16}, weight_decay: {low: 0.0, high: 0.1},
  lr_scheduler_type: {choices: [linear, cosine]}}
"""


def test_recipes_of_older_runs_hold_the_same_keys_and_values():
    old = yaml.safe_load(OLD_RECIPE)
    recipe = parse_recipe(old).to_dict()
    training = recipe["training"]
    newer = (training.pop("keep_checkpoints"), training.pop("early_stopping_patience"), recipe["data"].pop("labels"))
    assert newer == (False, None, None)
    assert recipe["tracking"].pop("carbon_country") is None
    teaching = {"layers": None, "teacher": None, "teacher_revision": None}
    teaching |= {"teacher_temperature": 2.0, "teacher_weight": 0.5}
    assert {name: recipe["model"].pop(name) for name in teaching} == teaching
    assert recipe == old
    assert [list(section) for section in recipe.values()][1:6] == [list(old[name]) for name in SECTIONS]


def test_the_schema_accepts_the_packaged_recipes_and_refuses_mistakes():
    """jsonschema is an implementation of its own, so this does not compare pydantic with itself."""
    schema = build_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    folder = Path(__file__).parents[1] / "sentiment140_bert" / "recipes"
    accepted: list[Any] = [yaml.safe_load((folder / f"{name}.yaml").read_text()) for name in list_recipes()]
    accepted += [yaml.safe_load(OLD_RECIPE), Recipe().to_dict(), {"tuning": {"weight_decay": [0.1, 0.2]}}]
    for plain in accepted:
        validator.validate(plain)
    refused: list[Any] = [
        {"trainin": {}},
        {"data": {"max_sample": 1}},
        {"training": {"adam_bet1": 1}},
        {"training": {"adam_beta1": "x"}},
        {"training": {"hub_token": "x"}},
        {"training": {"learning_rate": 0}},
        {"training": {"eval_steps": -1}},
        {"training": {"eval_strategy": "never"}},
        {"data": {"max_samples": "many"}},
        {"model": {"hidden_dropout_prob": 1}},
        {"tuning": {"weight_decay": {"low": -1, "high": 1}}},
        {"tuning": {"eval_steps": [1, 2]}},
    ]
    assert [plain for plain in refused if validator.is_valid(plain)] == []
    for plain in refused:
        with pytest.raises(RecipeError):
            parse_recipe(plain)
