"""No token of any tracker is in anything that is written, printed or sent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from command_line import Command
from mlflow_server import MlflowServer
from tiny_run import flags

pytest_plugins = ("hub_fixtures", "mlflow_fixtures")

TOKENS = {
    "HF_TOKEN": "hf_NobodyMayReadThisTokenAtAll",
    "WANDB_API_KEY": "b" * 39 + "7",
    "MLFLOW_TRACKING_TOKEN": "mlflow-token-that-nobody-may-read",
    "DATABRICKS_TOKEN": "dapi0123456789abcdef0123456789abcdef",
    "TRACKIO_WRITE_TOKEN": "trackio-token-that-nobody-may-read",
}
PASSWORD = "a-password-in-an-address"


@pytest.fixture(scope="module")
def everything(encoder: Path, one_server: MlflowServer, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Return a home in which all of them tracked a run, then one whose server was gone; and everything printed."""
    if one_server.process is None:
        one_server.start()
    home = tmp_path_factory.mktemp("secrets")
    here = {
        "HOME": str(home),
        "TRACKIO_DIR": str(home / "trackio"),
        "WANDB_MODE": "offline",
    }
    address = one_server.url.replace("//", f"//somebody:{PASSWORD}@")
    printed = ""
    for name, uri in (("there", address), ("gone", f"http://somebody:{PASSWORD}@127.0.0.1:9")):
        words = flags(
            model_name_or_path=encoder,
            num_train_epochs=1,
            report_to="wandb,mlflow,trackio,tensorboard" if name == "there" else "mlflow",
        )
        settings = TOKENS | here | {"MLFLOW_TRACKING_URI": uri, "MLFLOW_EXPERIMENT_NAME": "secrets"}
        started = Command("train", "--output-dir", home / name, *words, env=settings, cwd=home)
        stdout, stderr = started.communicate()
        assert started.returncode == 0, stderr
        printed += stdout + stderr
    return home, printed


@pytest.mark.long
@pytest.mark.parametrize("secret", [*TOKENS.values(), PASSWORD], ids=[*TOKENS, "a password in an address"])
def test_it_is_nowhere(everything, one_server: MlflowServer, secret: str) -> None:
    home, printed = everything
    assert "mlflow: " in printed
    assert secret not in printed
    folders = (home, one_server.folder, Path(os.environ["HF_HOME"]))
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    assert any(file.suffix == ".wandb" for file in files)
    assert any(file.name == "mlflow.db" for file in files)
    assert [file for file in files if secret.encode() in file.read_bytes()] == []
