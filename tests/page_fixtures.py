"""A pytest plugin for tests of pages: runs of other kinds, and what ``s140 push-to-hub`` made of one, on the Hub."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import sentiment140_bert as s140
from hub_server import Commit, HubServer, Repo
from on_hub import DATA, MODEL
from sentiment140_bert.cli import main
from sentiment140_bert.run import RunDir
from tiny_run import flags

README, METRICS, DATA_JSON, RESULTS = "README.md", "metrics.json", "data.json", ".eval_results/sentiment140.yaml"
FOLDER = "home of j.r.hartley_1946"  # nothing that is published may name it


def copy_of(run: Path, to: Path) -> Path:
    """Copy a run, to be changed."""
    return shutil.copytree(run, to)


def train_copy(run: Path, to: Path) -> Path:
    """Copy a run, to be published with its tweets, which only the user's own runs are."""
    copy = copy_of(run, to)
    RunDir(copy).remember()  # as a training does
    return copy


def edit(file: Path, change: Callable[[Any], Any]) -> None:
    """Give a JSON file's content to ``change``, and write what that returns, or has made of it."""
    content = json.loads(file.read_text("utf-8"))
    changed = change(content)
    file.write_text(json.dumps(content if changed is None else changed), "utf-8")


def trained(folder: Path, *, without: tuple[str, ...] = (), **changes: Any) -> Path:
    words = flags(num_train_epochs=1, **changes)
    result = CliRunner().invoke(main, ["train", "--output-dir", str(folder), *words, *without], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return folder


@pytest.fixture(scope="session")
def private_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("private") / FOLDER
    folder.mkdir()
    return folder


@pytest.fixture(scope="session")
def local_run(classifier_folder: Path, private_folder: Path) -> Path:
    """A run with encoder, tweets and hand-labeled tweets from a folder of somebody's; not to be changed."""
    base = shutil.copytree(classifier_folder, private_folder / "my_encoder")
    words = ("sad rain bus late cold", "glad sun cake warm friend")
    lines = [f"{4 * (at % 2)},{words[at % 2].split()[at % 5]} day number {at}" for at in range(200)]
    tweets, hand = private_folder / "tweets.csv", private_folder / "hand.csv"
    tweets.write_text("\n".join(lines) + "\n", "utf-8")
    hand.write_text("0,what a sad thing\n4,a glad one\n2,a thing\n4,warm and sunny\n", "utf-8")
    files = {"model_name_or_path": base, "dataset": tweets, "manual_test": hand}
    return trained(
        private_folder / "runs" / "local", **files, max_samples=180, cleaning="mask", run_name="tweets of ours"
    )


@pytest.fixture(scope="session")
def bare_run(classifier_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Neither test nor hand-labeled tweets, nothing scored on the way, nothing cleaned; not to be changed."""
    settings = {"test_size": 0, "manual_test": "none", "cleaning": "raw", "eval_strategy": "no", "save_strategy": "no"}
    words = {"model_name_or_path": classifier_folder, "without": ("--no-load-best-model-at-end",)}
    return trained(tmp_path_factory.mktemp("bare") / "bare", **words, **settings)


@pytest.fixture(scope="session")
def real_run(classifier_folder: Path, real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on real tweets, official hand-labeled ones included; not to be changed."""
    return trained(
        tmp_path_factory.mktemp("real") / "real",
        model_name_or_path=classifier_folder,
        dataset=real_data / "original_format_random.csv",
        manual_test=real_data / "testdata.manual.2009.06.14.csv",
    )


@dataclass
class Published:
    """A model and its dataset on the Hub, with ways to change them there."""

    hub: HubServer
    run: Path

    def put_back(self) -> None:
        """Undo all changes since the push."""
        self.hub.repos = {
            key: dataclasses.replace(repo, refs=dict(repo.refs), commits=dict(repo.commits), lfs=dict(repo.lfs))
            for key, repo in _STATE.items()
        }

    def text(self, path: str, repo_id: str = MODEL, kind: str = "model") -> str:
        return self.hub.files(repo_id, kind)[path].decode()

    def change(self, path: str, change: Callable[[str], str], repo_id: str = MODEL, kind: str = "model") -> str:
        """Edit a text file on the website; return the new commit."""
        before = self.text(path, repo_id, kind)
        after = change(before)
        assert after != before, f"nothing was changed in {path}"
        return self.hub.write(repo_id, path, after.encode(), kind)

    def change_bytes(self, path: str, change: Callable[[bytes], bytes]) -> str:
        return self.hub.write(MODEL, path, change(self.hub.files(MODEL)[path]))

    def change_json(self, path: str, change: Callable[[Any], Any], repo_id: str = MODEL, kind: str = "model") -> str:
        def changed(text: str) -> str:
            content = json.loads(text)
            change(content)
            return json.dumps(content, indent=2, ensure_ascii=False) + "\n"

        return self.change(path, changed, repo_id, kind)

    def move_pin(self, to: str) -> None:
        """Name another commit of the dataset on the model's page, wherever it names one."""
        before = json.loads(self.text("data.json"))["published"]["revision"]
        for path, content in self.hub.files(MODEL).items():
            if before.encode() in content:
                self.hub.write(MODEL, path, content.replace(before.encode(), to.encode()))

    def remove(self, path: str, repo_id: str = MODEL, kind: str = "model") -> None:
        repo = self.hub.repos[kind, repo_id]
        head = repo.at("main")
        files = {name: blob for name, blob in head.files.items() if name != path}
        repo.add("refs/heads/main", Commit(f"Delete {path}", "somebody", head.oid, files))


_STATE: dict[tuple[str, str], Repo] = {}  # the Hub after the one push of this session


@pytest.fixture(scope="session")
def pushed_run(small_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of ``published``, with what the push wrote into it; not to be changed."""
    return copy_of(small_run, tmp_path_factory.mktemp("pushed") / "pushed")


@pytest.fixture
def published(hub: HubServer, pushed_run: Path) -> Published:
    """The Hub right after a run and its dataset were pushed to it; the dataset is private, as is the default."""
    if not _STATE:
        s140.push_to_hub(pushed_run, s140.Destination(repo_id=MODEL, dataset_repo_id=DATA))
        _STATE.update(hub.repos)
    result = Published(hub, pushed_run)
    result.put_back()
    hub.requests.clear()
    return result


@dataclass
class Verdict:
    """The result of ``s140 verify --json``."""

    code: int
    result: dict[str, Any]
    stderr: str

    def named(self, verdict: str = "false") -> str:
        """Return the claims with this verdict, one a line, with what was claimed and measured, and why."""
        checks = [item for item in self.result.get("checks", []) if item["verdict"] == verdict]
        return "\n".join(
            f"{check['claim']} | {check['claimed']} | {check['measured']} | {check['why']}" for check in checks
        )


@pytest.fixture
def verify() -> Callable[..., Verdict]:
    """Run ``s140 verify … --json``; an exception that is not the package's own goes through."""

    def invoke(*arguments: object) -> Verdict:
        words = [str(item) for item in ("verify", *arguments, "--json")]
        result: Result = CliRunner().invoke(main, words, catch_exceptions=False)
        return Verdict(result.exit_code, json.loads(result.stdout) if result.stdout else {}, result.stderr)

    return invoke


@pytest.fixture
def find_missed(published: Published, verify: Callable[..., Verdict]) -> Callable[..., list[tuple[str, int, str]]]:
    """Try changes of the page one by one: each is a function and words, all of which `s140 verify` must name.

    Return those that it does not answer with one of ``codes`` and these words.
    """

    def try_changes(
        rows: Mapping[str, tuple[Any, ...]], *arguments: object, codes: tuple[int, ...] = (1,)
    ) -> list[tuple[str, int, str]]:
        missed = []
        for name, (change, *words) in rows.items():
            published.put_back()
            change(published)
            verdict = verify(MODEL, *arguments)
            named = verdict.named() + verdict.named("unchecked")
            if verdict.code not in codes or not all(word in named for word in words):
                missed.append((name, verdict.code, named))
        return missed

    return try_changes


def another_digit(where: str) -> Callable[[str], str]:
    """Return what changes the last digit of the first group of a pattern."""

    def change(text: str) -> str:
        result = re.search(where, text)
        assert result, where
        at = result.end(1) - 1
        return text[:at] + ("7" if text[at] != "7" else "3") + text[at + 1 :]

    return change


def other_weights(file: Path) -> None:
    """Write weights of the same shapes, and of the same size on disk."""
    from safetensors.torch import load_file, save_file

    weights = {name: tensor.flip(0) if "bias" in name else tensor * 1.01 for name, tensor in load_file(file).items()}
    save_file(weights, file, metadata={"format": "pt"})


def rewrite_page(published: Published) -> None:
    """Let the page agree with its own files again, as somebody does who cheats with care."""
    import yaml

    from sentiment140_bert.cards import facts, metadata, model

    files = published.hub.files(MODEL)
    contents = [json.loads(files[name]) for name in (DATA_JSON, "environment.json", METRICS)]
    read = facts.Facts(yaml.safe_load(files["recipe.yaml"]), *contents, {})
    pictures = sorted(name.removeprefix("figures/") for name in files if name.startswith("figures/"))
    text = model.render_model_card(read, MODEL.partition("/")[2], MODEL, pictures)
    published.hub.write(MODEL, README, text.encode())
    if results := metadata.format_eval_results(read):
        published.hub.write(MODEL, RESULTS, results.encode())


def publish_forged_facts(published: Published, path: str, change: Callable[[Any], Any]) -> None:
    """Forge a JSON file of the page, of the dataset too where it has one, and write all cards again from them."""
    from sentiment140_bert.cards.dataset import render_dataset_card

    if path == DATA_JSON:
        published.change_json(path, change, DATA, "dataset")
        data = json.loads(published.text(path, DATA, "dataset"))
        published.hub.write(DATA, README, render_dataset_card(data, DATA, MODEL).encode(), "dataset")
        published.move_pin(published.hub.head(DATA, "dataset"))
    published.change_json(path, change)
    rewrite_page(published)
