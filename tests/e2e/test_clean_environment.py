"""Check that the environment in which the tests are started does not reach any test."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

FOREIGN = (
    *("HF_TOKEN", "HF_HUB_OFFLINE", "HUGGING_FACE_HUB_TOKEN", "HUGGINGFACE_HUB_CACHE", "TRANSFORMERS_OFFLINE"),
    *("WANDB_API_KEY", "WANDB_BASE_URL", "MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "DATABRICKS_TOKEN", "TRACKIO_DIR"),
    *("AWS_SECRET_ACCESS_KEY", "S140_CACHE", "S140_VOLUMES", "NETRC", "XDG_CACHE_HOME"),
    *("https_proxy", "HTTP_PROXY", "NO_PROXY", "all_proxy"),
)
CONFIGURED = """
import json, os, sys
sys.path.insert(0, sys.argv[1])
import conftest
conftest.pytest_configure()
home = os.environ["HOME"]
print(json.dumps([dict(os.environ), os.listdir(home)]))
conftest.pytest_unconfigure()
assert not os.path.exists(home)
"""


def test_keeps_only_the_place_of_the_real_tweets() -> None:
    environment = os.environ | dict.fromkeys(FOREIGN, "/foreign") | {"HOME": "/foreign", "S140_REAL_DATA": "/tweets"}
    command = [sys.executable, "-c", CONFIGURED, str(Path(__file__).parents[1])]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    cleaned, in_home = json.loads(done.stdout)
    assert [name for name, value in cleaned.items() if value == "/foreign"] == []
    assert cleaned["S140_REAL_DATA"] == "/tweets"
    assert in_home == []
