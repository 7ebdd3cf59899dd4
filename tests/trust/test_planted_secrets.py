"""Plant secrets wherever one can come from: they are in nothing that is written, printed or sent, whether all goes
well, servers refuse the login and repeat it, or this package has a defect."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import pytest

from conftest import HUB
from eavesdropper import Eavesdropper
from hub_server import HubServer
from mlflow_server import MlflowServer
from on_hub import BOTH, MODEL
from planted_secrets import IN_ADDRESSES, SECRETS, files_below, holding, planted
from tiny_run import flags
from told import tell

pytest_plugins = ("hub_fixtures", "mlflow_fixtures")
SCRIPT = Path(__file__).parents[1] / "several_commands.py"
MLFLOW = IN_ADDRESSES["MLFLOW_TRACKING_URI"]
Contents = dict[str, bytes]


def run_commands(commands: Sequence[Sequence[object]], folder: Path, **variables: str) -> tuple[str, Contents]:
    """Run them in a folder of their own; return what was printed, and that with every file."""
    home, work, temporary = folder / "home", folder / "work", folder / "tmp"
    for path in (home, work, temporary):
        path.mkdir(parents=True, exist_ok=True)
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


def list_requests(*servers: Eavesdropper) -> Contents:
    """Return all requests, without the headers for logins; every server must have got a login there."""
    for server in servers:
        assert any(request.login for request in server.heard)
    return {
        f"request {number}: {request.line}": f"{request.line}\n".encode() + request.rest
        for server in servers
        for number, request in enumerate(server.heard)
    }


def list_hub() -> Contents:
    """Return what the Hub has, commit messages included."""
    contents: Contents = {}
    for kind, repo_id in HUB.repos:
        contents |= {f"{kind} {repo_id}/{path}": content for path, content in HUB.files(repo_id, kind).items()}
        titles = [commit.title for commit in HUB.commits(repo_id, kind)]
        contents |= {f"{kind} {repo_id} {title}": title.encode() for title in titles}
    return contents


def find_secrets(contents: Contents) -> dict[str, list[str]]:
    """Return the names of the planted secrets that are anywhere, and where."""
    return {name: places for name, secret in SECRETS.items() if (places := holding(secret, contents))}


@pytest.mark.long
def test_a_published_run_has_none(encoder: Path, hub: HubServer, tmp_path: Path) -> None:
    """Trained, published, scored again, verified."""
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
    with Eavesdropper(hub.port) as server:
        address = f"http://somebody:{MLFLOW}@127.0.0.1:9"
        printed, contents = run_commands(commands, tmp_path, HF_ENDPOINT=server.url, MLFLOW_TRACKING_URI=address)
        contents |= list_requests(server)
    assert exit_codes(printed) == [0] * 7, printed
    assert any(name.startswith(f"model {MODEL}/") for name in list_hub())
    assert find_secrets(contents | list_hub()) == {}


@pytest.mark.long
def test_a_run_that_all_trackers_follow_has_none(encoder: Path, one_server: MlflowServer, tmp_path: Path) -> None:
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
        printed, contents = run_commands(commands, tmp_path, MLFLOW_TRACKING_URI=address, WANDB_MODE="offline")
        contents |= list_requests(mlflow)
    contents |= {f"server/{name}": file for name, file in files_below(one_server.folder, tmp_path / "home").items()}
    assert exit_codes(printed) == [0, 1, 0], printed  # W&B is not there, which is said; all else is done
    assert any(name.endswith(".wandb") for name in contents)
    assert find_secrets(contents) == {}


@pytest.mark.long
def test_a_refused_login_and_unwise_words_are_repeated_nowhere(encoder: Path, tmp_path: Path) -> None:
    secret = SECRETS["HUGGINGFACE_TOKEN"]
    (tmp_path / "recipe.yaml").write_text(f"training:\n  hub_token: {secret}\n  run_name: {secret}\n")
    (tmp_path / "broken.yaml").write_text(f"training: [\n  hub_token: '{secret}\n")
    words = flags(model_name_or_path=encoder, num_train_epochs=1, report_to="wandb,mlflow")
    quickstart = ["train", "--output-dir", "three", "--recipe", "quickstart"]
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
        *([*quickstart, "--set", text] for text in (f"hub_token={secret}", f"token {secret}", f"project={secret}")),
        *([*quickstart, flag, secret] for flag in ("--run-name", "--num-train-epochs")),
        *(["train", "--output-dir", "three", "--recipe", tmp_path / name] for name in ("recipe.yaml", "broken.yaml")),
        ["train", "--output-dir", "three", "--recipe", secret],
        ["train", f"--hf-token={secret}"],
        ["train", secret],
        ["prepare", "--dataset", f"http://somebody:{MLFLOW}@127.0.0.1:9/tweets.csv"],
        ["prepare", "--dataset", f"https://example.com/tweets.csv?token={secret}"],
        ["prepare", "--dataset", secret],
        ["recipes", "show", secret],
    ]
    with Eavesdropper() as hub, Eavesdropper(status=403) as mlflow, Eavesdropper() as wandb:
        addresses = {"HF_ENDPOINT": hub.address, "MLFLOW_TRACKING_URI": mlflow.address}
        addresses = {name: f"http://somebody:{MLFLOW}@{address}" for name, address in addresses.items()}
        printed, contents = run_commands(commands, tmp_path, WANDB_BASE_URL=wandb.url, **addresses)
        contents |= list_requests(hub, mlflow, wandb)
    del contents["recipe.yaml"], contents["broken.yaml"]
    assert find_secrets(contents) == {}
    assert len(exit_codes(printed)) == len(commands), printed
    assert "Traceback" not in printed


@pytest.mark.long
def test_tracebacks_have_none(encoder: Path, tmp_path: Path) -> None:
    """Nobody listens, neither there nor at the proxy; then a defect of the package ends the process."""
    words = flags(model_name_or_path=encoder, num_train_epochs=1, report_to="mlflow")
    commands = [
        ["verify", MODEL],
        ["prepare", "--dataset", "somebody/private"],
        ["doctor", "--dataset", "somebody/private", "--model-name-or-path", encoder],
        ["train", "--output-dir", "run", *words],
    ]
    addresses = dict.fromkeys(("HF_ENDPOINT", "MLFLOW_TRACKING_URI"), f"http://somebody:{MLFLOW}@127.0.0.1:9")
    proxies = dict.fromkeys(("NO_PROXY", "no_proxy"), "example.com")
    defect = "sentiment140_bert.evaluation.run:score_run"
    printed, contents = run_commands(commands, tmp_path, DEFECT=defect, **addresses, **proxies)
    assert find_secrets(contents) == {}
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


def test_a_card_with_a_secret_goes_to_no_tracker(run_copy: Path, tmp_path: Path, caplog, monkeypatch) -> None:
    secret = "hf_" + "aB3dE5" * 6
    card = run_copy / "model" / "README.md"
    card.write_text(f"{card.read_text()}\nMy key is {secret}.\n")
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "wandb"))
    tell(run_copy, "tensorboard", "wandb", log_model=True)
    assert "README.md holds what looks like a secret" in caplog.text
    folders = [run_copy / "tensorboard", run_copy / "wandb", tmp_path / "wandb"]
    written = [path.read_bytes() for folder in folders for path in folder.rglob("*") if path.is_file()]
    assert any(b"model.safetensors" in content for content in written)
    assert not any(secret.encode() in content for content in written)
