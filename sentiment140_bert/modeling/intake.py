"""What is loaded of a model: safetensors and JSON, all of one commit. Whatever else it brings is refused unopened.

Model folders and repositories are other people's. transformers is told ``use_safetensors`` and never trusts remote
code, yet some keys of its JSON files lead it elsewhere: to pickles, to files beside the model, to code on the Hub.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from sentiment140_bert.errors import ModelError
from sentiment140_bert.modeling.loading import explained
from sentiment140_bert.modeling.places import BUNDLED, is_hub_id, locate
from sentiment140_bert.run_dir import sha256_of

SAFE, SAFE_INDEX = "model.safetensors", "model.safetensors.index.json"
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
ELSEWHERE = (".h5", ".keras", ".msgpack", ".gguf")  # weights of other frameworks
# A Trainer leaves these beside the weights; they hold none.
STATE = ("training_args", "optimizer", "scheduler", "scaler", "rng_state")
Find = Callable[[str], Path | None]


def admitted(name_or_path: str, revision: str | None = None, *, weights: bool = True) -> tuple[str, str | None]:
    """What ``from_pretrained`` is given, after a look at it: a folder, or a Hub id and its commit.

    Args:
        name_or_path: As :func:`~sentiment140_bert.modeling.places.locate` takes it.
        revision: Of a Hub repository; it is looked up once, so that all files are of one commit.
        weights: They are to be loaded, too; of a Hub model they are fetched here.

    Raises:
        ModelError: It has no safetensors, or its JSON files lead out of it.
        OSError: The Hub does not give one of its files.
    """
    place, commit = locate(name_or_path), None
    find = _in(Path(place))
    if is_hub_id(name_or_path):
        commit = pinned(place, revision)
        find = _at(place, commit)
    if find("adapter_config.json"):
        raise ModelError(
            f"{name_or_path} is an adapter, which is no model of its own.",
            "Load it with peft, call merge_and_unload(), save that with its tokenizer, and name the new folder.",
        )
    _check_config(find("config.json"), name_or_path)
    _check_tokenizer(find("tokenizer_config.json"), name_or_path)
    if weights:
        _check_weights(find, name_or_path, lambda: _names(place, commit))
    return place, commit


def pinned(name: str, revision: str | None = None) -> str | None:
    """The commit that a revision of a Hub model is on now; None for anything but a Hub model.

    Without the Hub, the one that the cache of this machine knows.

    Raises:
        ModelError: There is no such model, or neither Hub nor cache have it.
    """
    if not is_hub_id(name):
        return None
    from huggingface_hub import hf_hub_download

    with explained(name):
        # It asks a branch twice, for the commit and for the file; that both are one, the file's hash tells.
        return _as_uploaded(Path(hf_hub_download(name, "config.json", revision=revision)), name).parent.name


def _in(folder: Path) -> Find:
    return lambda name: folder / name if (folder / name).is_file() else None


def _at(repo_id: str, commit: str | None) -> Find:
    """Files of a repository, each checked when it arrives."""
    from huggingface_hub import hf_hub_download, try_to_load_from_cache
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    def find(name: str) -> Path | None:
        known = isinstance(try_to_load_from_cache(repo_id, name, revision=commit), str)
        try:
            file = Path(hf_hub_download(repo_id, name, revision=commit))
        except LocalEntryNotFoundError:  # no answer; its parent class means that there is no such file
            if name in (SAFE, "config.json"):
                raise
            return None
        except EntryNotFoundError:
            return None
        return file if known else _as_uploaded(file, repo_id)

    return find


def _as_uploaded(file: Path, repo_id: str) -> Path:
    """A file of the Hub's cache, where it goes by its hash: the sha256 of a large file, else git's own."""
    from huggingface_hub.utils.sha import git_hash

    blob = file.resolve()
    kind = {40: "sha1", 64: "sha256"}.get(len(blob.name)) if re.fullmatch("[0-9a-f]+", blob.name) else None
    if kind == "sha256":
        right = sha256_of(blob) == blob.name
    else:
        right = kind is None or git_hash(blob.read_bytes()) == blob.name
    if not right:
        blob.unlink()
        file.unlink(missing_ok=True)
        raise ModelError(
            f"{file.name} of {repo_id} did not arrive as it was uploaded ({kind} differs); it was removed.",
            "It may have been changed just now: try again. If that does not help, do not trust where it comes from.",
        )
    return file


def _names(place: str, commit: str | None) -> list[str]:
    """All file names of a model that has no safetensors, for the message about that."""
    if commit is None:
        return sorted(each.name for each in Path(place).iterdir())
    from huggingface_hub import HfApi

    return sorted(HfApi().list_repo_files(place, revision=commit))


def _read(file: Path | None) -> dict[str, Any]:
    """A JSON file of a model; one that is missing or damaged is left to transformers to complain about."""
    try:
        content = json.loads(file.read_text("utf-8")) if file else {}
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _check_config(file: Path | None, name: str) -> None:
    config = _read(file)
    weights = config.get("transformers_weights")
    if weights is not None and not _is_safe_name(weights):
        raise _leads_out(name, "config.json", "transformers_weights", weights)
    for key, value in config.items():
        if "implementation" in key and "/" in json.dumps(value):  # transformers would fetch that code from the Hub
            raise _leads_out(name, "config.json", key, value)


def _check_tokenizer(file: Path | None, name: str) -> None:
    for key, value in _read(file).items():
        if key.endswith("_file") and value is not None and _is_path(value):
            raise _leads_out(name, "tokenizer_config.json", key, value)


def _check_weights(find: Find, name: str, names: Callable[[], Iterable[str]]) -> None:
    chosen = _read(find("config.json")).get("transformers_weights")
    if find(chosen or SAFE) and not str(chosen).endswith(".json"):
        return
    index = find(chosen or SAFE_INDEX)
    if index:
        shards = _read(index).get("weight_map")
        for shard in sorted({*map(str, shards.values())}) if isinstance(shards, dict) else ():
            if not _is_safe_name(shard) or shard.endswith(".json"):
                raise _leads_out(name, index.name, "weight_map", shard)
            if not find(shard):
                raise ModelError(f"{name} lacks {shard}, a part of its weights.", "Fetch or copy it whole.")
        return
    raise without_safetensors(name, names())


def _is_safe_name(value: Any) -> bool:
    endings = (".safetensors", ".safetensors.index.json")
    return isinstance(value, str) and not _is_path(value) and value.endswith(endings)


def _is_path(value: Any) -> bool:
    return not isinstance(value, str) or "/" in value or "\\" in value or value in ("", ".", "..")


def _leads_out(name: str, file: str, key: str, value: Any) -> ModelError:
    return ModelError(
        f"{name} is not loaded: {key} in its {file} names {str(value)[:100]!r}.",
        "Only safetensors and settings of the model itself are. Do not trust it; choose another, or ask its owner.",
    )


def without_safetensors(name: str, names: Iterable[str]) -> ModelError:
    """That a model has no safetensors, what it has instead, and how to convert that."""
    names = list(names)
    pickles = pickled_weights(names)
    if pickles:
        return ModelError(
            f"{name} has no safetensors weights, only {', '.join(pickles[:3])}. Such a file is a pickle, which can run "
            "anything while it is opened; it is not loaded.",
            f"Take its numbers out without running it: s140 convert {name} --output FOLDER",
        )
    other = [each for each in names if each.endswith(ELSEWHERE)]
    found = f"only {', '.join(other[:3])}" if other else "nor any other"
    return ModelError(
        f"{name} has no safetensors weights, {found}.",
        f"Ask its owner for model.safetensors, or name another model: a local folder, say, or {BUNDLED}.",
    )


def pickled_weights(names: Iterable[str]) -> list[str]:
    """Those of some file names that are pickles of weights, and not what else a Trainer leaves."""
    return [each for each in names if each.endswith(PICKLES) and not Path(each).name.startswith(STATE)]
