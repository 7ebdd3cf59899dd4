"""Secrets in every place where one can come from are in nothing that is written, printed or sent: neither where all
goes well, nor where servers refuse the login and repeat it, nor where this package has a defect."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

import pytest

from conftest import HUB
from eavesdropper import Eavesdropper
from mlflow_server import MlflowServer
from on_hub import BOTH, MODEL
from planted_secrets import IN_ADDRESSES, SECRETS, files_below, holding, planted
from tiny_run import flags

pytest_plugins = ("hub_fixtures", "mlflow_fixtures")
SCRIPT = Path(__file__).parents[1] / "several_commands.py"
MLFLOW = IN_ADDRESSES["MLFLOW_TRACKING_URI"]
Found = dict[str, bytes]


def typed(commands: Sequence[Sequence[object]], folder: Path, **variables: str) -> tuple[str, Found]:
    """Runs them in a folder of their own: what was printed, and that with every file."""
    home, work, temporary = folder / "home", folder / "work", folder / "tmp"
    for each in (home, work, temporary):
        each.mkdir(parents=True, exist_ok=True)
    words = json.dumps([[str(word) for word in command] for command in commands])
    own = {"TMPDIR": str(temporary), "TRACKIO_DIR": str(home / "trackio"), "S140_CACHE": str(folder / "cache")}
    done = subprocess.run(
        [sys.executable, str(SCRIPT)],
        env=os.environ | planted(home) | own | {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"} | variables,
        cwd=work,
        input=words.encode(),
        capture_output=True,
        timeout=280,
        check=False,
    )
    printed = {"stdout": done.stdout, "stderr": done.stderr}
    return (done.stdout + done.stderr).decode(), printed | files_below(folder, home)


def exit_codes(printed: str) -> list[int]:
    return [int(code) for code in re.findall(r": exit code (\d+)$", printed, re.MULTILINE)]


def heard_by(*ears: Eavesdropper) -> Found:
    """All requests, without the headers for logins."""
    return {
        f"request {at}: {each.line}": f"{each.line}\n".encode() + each.rest
        for ear in ears
        for at, each in enumerate(ear.heard)
    }


def kept_by_the_hub() -> Found:
    """What the Hub has, commit messages included."""
    found: Found = {}
    for kind, repo_id in HUB.repos:
        for commit in HUB.commits(repo_id, kind):
            found |= {f"{kind} {repo_id} {commit.title}": commit.title.encode()}
        found |= {f"{kind} {repo_id}/{path}": each for path, each in HUB.files(repo_id, kind).items()}
    return found


@pytest.fixture
def empty_hub() -> Iterator[None]:
    HUB.reset()
    yield
    HUB.reset()


@pytest.fixture
def published(encoder: Path, empty_hub: None, tmp_path: Path) -> tuple[str, Found]:
    """A run trained, published, scored again, verified; what was printed, written and sent."""
    words = flags(model_name_or_path=encoder, num_train_epochs=1, report_to="tensorboard")
    commands = [
        ["train", "--output-dir", "run", *words, "--push-to-hub", *BOTH, "--json"],
        ["evaluate", "run", "--json"],
        ["report", "run"],
        ["push-to-hub", "run", *BOTH],
        ["verify", MODEL, "--json"],
        ["predict", MODEL, "what a day", "--json"],
        ["card", "run"],
    ]
    with Eavesdropper(HUB.port) as hub:
        printed, found = typed(
            commands, tmp_path, HF_ENDPOINT=hub.url, MLFLOW_TRACKING_URI=f"http://somebody:{MLFLOW}@127.0.0.1:9"
        )
        assert any(each.login for each in hub.heard)
        found |= heard_by(hub)
    assert any(name.startswith(f"model {MODEL}/") for name in kept_by_the_hub())
    assert exit_codes(printed) == [0] * 7, printed
    return printed, found | kept_by_the_hub()


@pytest.fixture
def tracked(encoder: Path, one_server: MlflowServer, tmp_path: Path) -> tuple[str, Found]:
    """A run that all trackers follow; what was printed, written and sent."""
    if one_server.process is None:
        one_server.start()
    words = flags(model_name_or_path=encoder, num_train_epochs=1, report_to="wandb,mlflow,trackio,tensorboard")
    commands = [
        ["train", "--output-dir", "run", *words, "--json"],
        ["track", "sync", "run", "--report-to", "mlflow"],
        ["track", "show", "run", "--json"],
    ]
    with Eavesdropper(one_server.port) as mlflow:
        address = f"http://somebody:{MLFLOW}@{mlflow.address}"
        printed, found = typed(commands, tmp_path, MLFLOW_TRACKING_URI=address, WANDB_MODE="offline")
        assert any(each.login for each in mlflow.heard)
        found |= heard_by(mlflow)
    assert any(name.endswith(".wandb") for name in found)
    # W&B is not there to be told, which is said in a sentence; all else is done.
    assert exit_codes(printed) == [0, 1, 0], printed
    return printed, found | {
        f"server/{name}": each for name, each in files_below(one_server.folder, tmp_path / "home").items()
    }


@pytest.fixture
def refused(encoder: Path, tmp_path: Path) -> tuple[str, Found]:
    """Every server refuses the login and repeats it; and what people type is not always wise."""
    folder = tmp_path
    secret = SECRETS["HUGGINGFACE_TOKEN"]
    (folder / "recipe.yaml").write_text(f"training:\n  hub_token: {secret}\n  run_name: {secret}\n")
    (folder / "broken.yaml").write_text(f"training: [\n  hub_token: '{secret}\n")
    words = flags(model_name_or_path=encoder, num_train_epochs=1, report_to="wandb,mlflow")
    address = f"http://somebody:{MLFLOW}@127.0.0.1:9"
    commands = [
        ["train", "--output-dir", "one", *words],
        ["track", "sync", "one"],
        ["train", "--output-dir", "two", *words, "--push-to-hub", *BOTH],
        ["push-to-hub", "one", *BOTH],
        ["verify", MODEL],
        ["predict", MODEL, "what a day"],
        ["predict", "models:/main.default.tweets@champion", "what a day"],
        ["prepare", "--dataset", "somebody/private"],
        ["doctor", "--json", "--dataset", "somebody/private", "--model-name-or-path", "somebody/private"],
        ["train", "--output-dir", "three", "--recipe", "quickstart", "--set", f"hub_token={secret}"],
        ["train", "--output-dir", "three", "--recipe", "quickstart", "--set", f"token {secret}"],
        ["train", "--output-dir", "three", "--recipe", "quickstart", "--set", f"project={secret}"],
        ["train", "--output-dir", "three", "--recipe", "quickstart", "--run-name", secret],
        ["train", "--output-dir", "three", "--recipe", "quickstart", "--num-train-epochs", secret],
        ["train", "--output-dir", "three", "--recipe", folder / "recipe.yaml"],
        ["train", "--output-dir", "three", "--recipe", folder / "broken.yaml"],
        ["train", "--output-dir", "three", "--recipe", secret],
        ["train", f"--hf-token={secret}"],
        ["train", secret],
        ["prepare", "--dataset", f"{address}/tweets.csv"],
        ["prepare", "--dataset", f"https://example.com/tweets.csv?token={secret}"],
        ["prepare", "--dataset", secret],
        ["recipes", "show", secret],
    ]
    with Eavesdropper() as hub, Eavesdropper(status=403) as mlflow, Eavesdropper() as wandb:
        printed, found = typed(
            commands,
            folder,
            HF_ENDPOINT=f"http://somebody:{MLFLOW}@{hub.address}",
            MLFLOW_TRACKING_URI=f"http://somebody:{MLFLOW}@{mlflow.address}",
            WANDB_BASE_URL=wandb.url,
        )
        assert all(any(each.login for each in ear.heard) for ear in (hub, mlflow, wandb))
        found |= heard_by(hub, mlflow, wandb)
    return printed, {name: each for name, each in found.items() if name not in ("recipe.yaml", "broken.yaml")}


@pytest.fixture
def out_of_reach(encoder: Path, tmp_path: Path) -> tuple[str, Found]:
    """Nobody listens, neither there nor at the proxy; then a defect of ours ends the process."""
    words = flags(model_name_or_path=encoder, num_train_epochs=1, report_to="mlflow")
    commands = [
        ["verify", MODEL],
        ["prepare", "--dataset", "somebody/private"],
        ["doctor", "--dataset", "somebody/private", "--model-name-or-path", encoder],
        ["train", "--output-dir", "run", *words],
    ]
    return typed(
        commands,
        tmp_path,
        HF_ENDPOINT=f"http://somebody:{MLFLOW}@127.0.0.1:9",
        MLFLOW_TRACKING_URI=f"http://somebody:{MLFLOW}@127.0.0.1:9",
        DEFECT="sentiment140_bert.evaluation.run:score_run",
        NO_PROXY="example.com",
        no_proxy="example.com",
    )


def secrets_in(content: Found) -> dict[str, list[str]]:
    """The names of the planted secrets that are anywhere, and where."""
    return {name: places for name, secret in SECRETS.items() if (places := holding(secret, content))}


@pytest.mark.long
@pytest.mark.parametrize("story", ["published", "tracked"])
def test_where_all_goes_well_it_is_nowhere(request: pytest.FixtureRequest, story: str) -> None:
    _, found = request.getfixturevalue(story)
    assert secrets_in(found) == {}


@pytest.mark.long
def test_where_the_login_is_refused_it_is_nowhere(refused: tuple[str, Found]) -> None:
    printed, found = refused
    assert secrets_in(found) == {}
    assert len(exit_codes(printed)) == 23, printed
    assert "Traceback" not in printed


@pytest.mark.long
def test_in_tracebacks_it_is_not(out_of_reach: tuple[str, Found]) -> None:
    printed, found = out_of_reach
    assert secrets_in(found) == {}
    assert printed.count("Traceback (most recent call last)") == 2
    assert "a defect: '***' at http://127.0.0.1:9" in printed


def test_the_search_finds_a_secret_however_it_is_written() -> None:
    """Else the tests above would show nothing."""
    missed = []
    for name, secret in SECRETS.items():
        raw = secret.encode()
        ways = {"plain": raw, "JSON": json.dumps({"a": secret}).encode(), "address": quote(secret, safe="").encode()}
        ways |= {f"base64 {user}": base64.b64encode(user + b":" + raw) for user in (b"a", b"ab", b"abc", b"abcd")}
        missed += [(name, way) for way, text in ways.items() if holding(secret, {"file": b"x" + text + b"y"}) == []]
    assert missed == []
