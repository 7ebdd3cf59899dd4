"""A student learns the scores of its teacher, and starts from some of its layers."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from test_layerwise import KINDS, classifier
from torch.nn.functional import kl_div, log_softmax, softmax

import sentiment140_bert
from killing import same, trained
from sentiment140_bert import models
from sentiment140_bert.data import loading
from sentiment140_bert.errors import ModelError, S140Error
from sentiment140_bert.recipe import Recipe, as_recipe
from sentiment140_bert.recipe.privacy import make_public
from sentiment140_bert.run import RunDir, make_run_public, saved_recipe
from sentiment140_bert.training.batching import IGNORED
from sentiment140_bert.training.distillation import Distillation, ask_teacher
from sentiment140_bert.training.optimization import ExactLoss
from tiny_run import flags, tiny_recipe

pytest_plugins = "model_fixtures"
STUDENT = {"model_name_or_path": "teacher", "layers": 1}


def student(model: Path, **changes: object) -> Recipe:
    return tiny_recipe(model, **({"num_train_epochs": 2, "teacher": str(model)} | changes))


def test_its_loss_is_the_gradient_of_hintons_in_parts_of_any_size() -> None:
    """Compare with the divergence of the teacher's distribution, which differs by a constant only."""
    torch.manual_seed(0)
    teacher, labels, temperature, weight = torch.randn(10, 2), torch.randint(0, 2, (10,)), 3.0, 0.7
    labels[4] = IGNORED
    soft = softmax(teacher / temperature, dim=1)
    loss = ExactLoss(0.1, Distillation(soft.numpy(), temperature, weight, {"name": "teacher", "weights": ""}))
    logits = torch.randn(10, 2, requires_grad=True)
    divergence = kl_div(log_softmax(logits / temperature, dim=1), soft, reduction="none").sum(dim=1)
    divergence = divergence[labels != IGNORED].sum() / 9
    ((1 - weight) * ExactLoss(0.1)({"logits": logits}, labels, 9) + weight * temperature**2 * divergence).backward()
    expected, logits.grad = logits.grad, None
    for part in (slice(7), slice(7, 10)):
        loss.soft_targets = soft[part]
        loss({"logits": logits[part]}, labels[part], 9).backward()
    torch.testing.assert_close(logits.grad, expected)
    torch.testing.assert_close(loss({"logits": logits}, labels), ExactLoss(0.1)({"logits": logits}, labels))


@pytest.mark.parametrize("kind", KINDS)
def test_it_starts_from_evenly_spaced_layers(kind: str, tmp_path: Path) -> None:
    classifier(kind).save_pretrained(tmp_path)
    whole, part = models.load_encoder(tmp_path.as_posix()), models.load_encoder(tmp_path.as_posix(), layers=1)
    assert part.config.num_hidden_layers == 1
    theirs = {name.replace(".2.", ".0."): weight for name, weight in whole.named_parameters() if ".2." in name}
    layer = {name: weight for name, weight in part.named_parameters() if name in theirs}
    assert len(layer) == len(theirs) > 8
    assert all(torch.equal(layer[name], theirs[name]) for name in theirs)
    assert models.build_untrained(tmp_path.as_posix(), layers=2).config.num_hidden_layers == 2
    with pytest.raises(ModelError, match="has 3, not 4"):
        models.load_encoder(tmp_path.as_posix(), layers=4)


def test_it_learns_the_scores_of_the_teacher_and_not_the_labels_alone(run: Path, tmp_path: Path) -> None:
    """Exchange the labels of the teacher: with all of the weight, the student learns the opposite of the labels."""
    lying = Path(shutil.copytree(run / "model", tmp_path / "lying"))
    (lying / models.SAFETENSORS).chmod(0o644)
    model, tokenizer = models.load_model_and_tokenizer(str(lying))
    for parameter in model.classifier.parameters():
        parameter.data = parameter.data.flip(0)
    models.save_model(model, tokenizer, lying)
    result = sentiment140_bert.train(student(lying, layers=2, teacher_weight=1.0), tmp_path / "student")
    accuracy = result.metrics["splits"]["test"]["accuracy"]["value"]
    assert accuracy < 0.4 < 0.6 < RunDir(run).read_metrics()["splits"]["test"]["accuracy"]["value"]


def test_its_card_names_the_teacher_and_no_folder(smallest_run: Path, tmp_path: Path, s140, monkeypatch) -> None:
    """Once the teacher is gone, too, when its relative path looks like an id of the Hub."""
    teacher = shutil.copytree(smallest_run, tmp_path / "clients" / "acme")
    monkeypatch.chdir(tmp_path)
    folder, words = tmp_path / "student", flags(**STUDENT, teacher="clients/acme", num_train_epochs=1)
    told = s140("train", "--output-dir", folder, *words).stderr
    assert "teacher: clients/acme scores the 180 training tweets" in told
    environment = RunDir(folder).read_environment()
    assert environment["teacher"] == {"name": "acme", "weights": RunDir(teacher).read_metrics()["weights_sha256"]}
    shutil.rmtree(teacher)
    # What trackers, cards and repositories of checkpoints show:
    public = make_run_public(RunDir(folder), saved_recipe(folder)).model
    assert (public.model_name_or_path, public.teacher) == ("acme", "acme")
    s140("card", folder)
    card = RunDir(folder).card.read_text()
    assert "the scores of a teacher, `acme`, as well as the labels" in card
    assert "keeps 1 of its base's layers" in card
    assert environment["teacher"]["weights"] in card
    assert not any("clients/" in file.read_text("utf-8") for file in (folder / "model").glob("*.[jmy]*"))
    assert sentiment140_bert.verify(folder).count("false") == 0
    recipe = folder / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("layers: 1", "layers: 2"))
    checks = sentiment140_bert.verify(folder).checks
    assert "recipe.yaml: layers" in [check.claim for check in checks if check.verdict == "false"]


def test_a_base_in_a_folder_named_teacher_is_not_taken_for_the_teacher(tmp_path: Path) -> None:
    recipe = Recipe().with_values({"model_name_or_path": str(tmp_path / "teacher"), "teacher": str(tmp_path / "acme")})
    public = make_public(Recipe.model_validate(make_public(recipe).to_dict()))
    assert (public.model.model_name_or_path, public.model.teacher) == ("./teacher", "acme")


def test_it_is_soft_targets_are_the_teachers_probabilities(smallest_run: Path) -> None:
    recipe = student(smallest_run, teacher_temperature=3.0)
    prepared = loading.load_data(recipe).splits
    distillation = ask_teacher(recipe.model, prepared)
    texts = prepared.split("train")["text"][:]
    logits = torch.from_numpy(sentiment140_bert.load_classifier(smallest_run).logits(texts))
    np.testing.assert_allclose(distillation.soft_targets, softmax(logits / 3.0, dim=1), atol=1e-6)
    assert ask_teacher(as_recipe("quickstart").model, prepared) is None


@pytest.mark.long
def test_it_resumes_as_if_undisturbed_but_not_with_another_teacher(
    small_bert: Callable[..., Path], smallest_run: Path, tmp_path: Path
) -> None:
    teacher = tmp_path / "teacher"
    shutil.copytree(smallest_run, teacher)
    base = small_bert("BertModel", dropout=0.1)
    words = flags(
        model_name_or_path=base, teacher=teacher, per_device_train_batch_size=8, gradient_accumulation_steps=4
    )
    assert trained(tmp_path / "undisturbed", words).code == 0
    assert trained(tmp_path / "killed", words, "step 8/", whole=6).code == -signal.SIGKILL
    weights = RunDir(teacher).weights
    before = weights.read_bytes()
    model, tokenizer = models.load_model_and_tokenizer(str(teacher))
    model.classifier.bias.data += 1
    models.save_model(model, tokenizer, RunDir(teacher).model)
    ended = trained(tmp_path / "killed", words)
    assert ended.code == 1
    assert "is not the one that" in ended.stderr
    weights.write_bytes(before)
    ended = trained(tmp_path / "killed", words)
    assert ended.code == 0, ended.stderr
    assert "resume: from checkpoint-6" in ended.stderr
    assert same(tmp_path / "killed", tmp_path / "undisturbed")


def test_what_cannot_have_a_teacher_is_an_error(
    small_bert: Callable[..., Path], smallest_run: Path, tmp_path: Path, s140
) -> None:
    words = flags(teacher=smallest_run, model_name_or_path="teacher")
    curve = ["learning-curve", tmp_path / "curve", "--sizes", "100", *words]
    assert "teacher: a learning curve trains without one" in s140(*curve, code=1).stderr
    untaught = s140("train", "--recipe", "distil-student", "--output-dir", tmp_path / "run", code=1)
    assert "Add --teacher RUN." in untaught.stderr
    foreign = small_bert(labels=("cat", "dog"))
    recipe = student(foreign, model_name_or_path=str(smallest_run))
    prepared = loading.load_data(recipe).splits
    with pytest.raises(S140Error, match="cat"):
        ask_teacher(recipe.model, prepared)
    assert not (tmp_path / "run").exists()
