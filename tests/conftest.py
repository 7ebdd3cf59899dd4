"""Fixtures of all tests: a clean environment, a cache of their own, hand-made tweets, the real ones if present."""

from __future__ import annotations

import csv
import gc
import gzip
import io
import os
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, settings

from command_line import kill_what_still_runs
from hub_server import TOKEN, HubServer
from sentiment140_bert.cli import main

settings.register_profile(
    "here", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
settings.load_profile("here")

HUB = HubServer()
HOME = tempfile.TemporaryDirectory(prefix="home", ignore_cleanup_errors=True)
# Prefixes of variables for tokens, places, switches and other people's servers.
FAMILIES = (
    *("HF_", "HUGGING_FACE_", "HUGGINGFACE", "TRANSFORMERS_"),
    *("WANDB_", "MLFLOW_", "DATABRICKS_", "TRACKIO_", "AWS_", "S140_"),
)
ALONE = {"NETRC", "TENSORBOARD_LOGGING_DIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"}
WANTED = {"S140_REAL_DATA"}


def is_unwanted(name: str) -> bool:
    """Return True if an environment variable could change what the tests do, or which servers they reach."""
    return (name.startswith(FAMILIES) or name in ALONE or name.lower().endswith("_proxy")) and name not in WANTED


def pytest_configure() -> None:
    """Use a Hub of our own and an empty home folder: no token, no login, no offline switch, no proxy.

    The Hub's client reads most of this once, when it is first imported.
    """
    for name in filter(is_unwanted, list(os.environ)):
        del os.environ[name]
    os.environ |= {"HOME": HOME.name, "HF_HOME": str(Path(HOME.name, "hf")), "HF_ENDPOINT": HUB.start().url}
    os.environ |= {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    os.environ["WANDB_CACHE_DIR"] = str(Path(HOME.name, "wandb"))  # wandb's process keeps that of the first test


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs a session of Spark as long: a Java machine starts for it."""
    for item in items:
        if "spark" in getattr(item, "fixturenames", ()):
            item.add_marker("long")


def pytest_unconfigure() -> None:
    kill_what_still_runs()
    HUB.stop()
    HOME.cleanup()


@pytest.fixture(scope="session", autouse=True)
def _environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("S140_CACHE", str(tmp_path_factory.mktemp("s140_cache")))
        yield


@pytest.fixture(scope="module", autouse=True)
def _frozen_libraries() -> None:
    """Exempt the modules of torch and the like from garbage collection: each training collects several times, and
    looking through them takes 0.3 seconds."""
    if "transformers.trainer" in sys.modules:
        gc.collect()
        gc.freeze()


@pytest.fixture(autouse=True)
def _clean_state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Every test runs in an empty folder, and what it changed in the environment is put back."""
    monkeypatch.chdir(tmp_path)
    before = dict(os.environ)
    yield
    for name in os.environ.keys() - before.keys():
        del os.environ[name]
    os.environ.update(before)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """The Hub, empty, to which ``tester`` is logged in."""
    from huggingface_hub import HfFileSystem

    HUB.reset()
    HfFileSystem.clear_instance_cache()  # it remembers listings, and which repositories there were
    shutil.rmtree(Path(os.environ["HF_HOME"], "hub"), ignore_errors=True)  # equal files are not asked for twice
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    yield HUB
    HUB.reset()


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder that nobody has written to yet."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("S140_CACHE", str(folder))
    return folder


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real tweets."""
    repository = Path(__file__).resolve().parents[1]
    folder = Path(os.environ.get("S140_REAL_DATA") or repository.parent / "shared" / "data")
    if not (folder / "original_format_random.csv").is_file():
        pytest.skip(f"the real tweets are not here ({folder}); S140_REAL_DATA can name their folder")
    return folder


Rows = Sequence[Sequence[str]]


def six_columns(count: int) -> list[list[str]]:
    """Rows as in the original file: distinct texts, half of them negative, sorted by label, three to a user."""
    return [
        [
            "0" if number < count // 2 else "4",
            str(1467810000 + number),
            f"Mon Apr 06 {number // 3600:02}:{number // 60 % 60:02}:{number % 60:02} PDT 2009",
            "NO_QUERY",
            f"some_user_of_ours_{number // 3}",
            f"tweet {number} is {'sad' if number < count // 2 else 'glad'}, caf\xe9",
        ]
        for number in range(count)
    ]


def as_csv(rows: Rows, delimiter: str = ",", newline: str = "\n") -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator=newline, quoting=csv.QUOTE_ALL).writerows(rows)
    return text.getvalue()


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes rows (or a count of made-up ones) as a text file; ``.gz`` and ``.zip`` are packed."""

    def write_file(name: str, rows: Rows | int | str = 120, encoding: str = "latin-1", **layout: str) -> Path:
        rows = six_columns(rows) if isinstance(rows, int) else rows
        content = (rows if isinstance(rows, str) else as_csv(rows, **layout)).encode(encoding)
        path = tmp_path / name
        if name.endswith(".gz"):
            path.write_bytes(gzip.compress(content))
        elif name.endswith(".zip"):
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr("tweets.csv", content)
        else:
            path.write_bytes(content)
        return path

    return write_file


@pytest.fixture
def s140() -> Callable[..., Result]:
    """Return a function that runs the real command line in this process; it lets foreign exceptions through."""

    def invoke(*arguments: object, code: int = 0) -> Result:
        result = CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)
        assert result.exit_code == code, result.output
        return result

    return invoke
