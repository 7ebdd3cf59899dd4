"""Stage what may be opened of a model, safetensors and JSON of one commit, and refuse the rest unopened.

Model folders and repositories are other people's. transformers never sees them: it is given a temporary folder with
copies of the few settings that are known to be harmless, and links to weights and vocabularies.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sentiment140_bert import confined
from sentiment140_bert.errors import ModelError
from sentiment140_bert.files import hash_file
from sentiment140_bert.models import allowed_settings
from sentiment140_bert.models.load_errors import STAGED, explain_errors
from sentiment140_bert.models.locate import BUNDLED, is_hub_id, locate
from sentiment140_bert.models.weights import UNKNOWN, Contents, read_headers
from sentiment140_bert.trust.model_files import UnusableFile, read_labels, read_object

CONFIG, TOKENIZER = "config.json", "tokenizer.json"
SAFETENSORS, SAFETENSORS_INDEX = "model.safetensors", "model.safetensors.index.json"
MAX_TOKENIZER_BYTES = 1 << 28  # bytes; the largest vocabularies take 40 MB
# Settings of a tokenizer, each with its filter.
SETTINGS = {
    "tokenizer_config.json": allowed_settings.filter_tokenizer_settings,
    "special_tokens_map.json": allowed_settings.filter_special_tokens,
    "added_tokens.json": allowed_settings.filter_added_tokens,
}
# A fast tokenizer is made of these where there is no tokenizer.json.
VOCABULARIES = (
    *("vocab.txt", "vocab.json", "merges.txt"),
    *("spiece.model", "sentencepiece.bpe.model", "tokenizer.model", "spm.model"),
)
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
OTHER_FRAMEWORKS = (".h5", ".keras", ".msgpack", ".gguf")  # weights of other frameworks
# A Trainer saves these with the weights; they hold none.
STATE = ("training_args", "optimizer", "scheduler", "scaler", "rng_state")
Find = Callable[[str], Path | None]


@dataclass(frozen=True)
class StagedModel:
    """A model that may be opened.

    Args:
        folder: The folder for transformers; it is removed after the block.
        contents: The size of its weights; without weights the most that it may have.
        labels: Names of the labels by position, or None if they are invalid.
    """

    folder: Path
    contents: Contents
    labels: list[str] | None


@contextmanager
def stage_model(
    name_or_path: str, revision: str | None = None, *, weights: bool = False, tokenizer: bool = False
) -> Iterator[StagedModel]:
    """Check a model, and stage what may be opened of it in a temporary folder.

    Args:
        name_or_path: A model for :func:`~sentiment140_bert.models.locate.locate`.
        revision: Revision of a Hub repository; it is looked up once, so that all files are of one commit.
        weights: Stage the weights; of a Hub model they are fetched here.
        tokenizer: Stage the tokenizer. One that is new to this machine is tried in a process of its own. With
            ``weights`` the model is a classifier, whose labels are kept.

    Raises:
        ModelError: It has no safetensors, or its JSON files lead out of it.
        UnusableFile: One of its files is damaged, or too large.
        OSError: The Hub does not give one of its files.
    """
    place, commit = locate(name_or_path), None
    find = _find_in_folder(Path(place))
    if is_hub_id(name_or_path):
        commit = resolve_commit(place, revision)
        find = _find_on_hub(place, commit)
    if find("adapter_config.json"):
        raise ModelError(
            f"{name_or_path} is an adapter, not a complete model.",
            "Load it with peft, call merge_and_unload(), save that with its tokenizer, and name the new folder.",
        )
    if not (settings := find(CONFIG)):
        raise UnusableFile(f"it has no {CONFIG}")
    config = read_object(settings)
    files = _find_weights(find, config, name_or_path, lambda: _list_names(place, commit)) if weights else {}
    contents = read_headers({*files.values()}) if weights else UNKNOWN
    with tempfile.TemporaryDirectory(prefix=STAGED) as temporary:
        folder = Path(temporary)
        labels = weights and tokenizer  # an encoder gets new ones
        _write(folder / CONFIG, allowed_settings.filter_config(config, contents.widest, labels))
        _stage_weights(folder, files)
        if tokenizer:
            _stage_tokenizer(folder, find, tried=name_or_path == BUNDLED)
        yield StagedModel(folder, contents, _read_labels(config))


def _read_labels(config: dict[str, Any]) -> list[str] | None:
    try:
        return read_labels(config) or ["LABEL_0", "LABEL_1"]  # a config leaves these out
    except UnusableFile:
        return None


def _stage_weights(folder: Path, files: dict[str, Path]) -> None:
    """Link weights into a folder under the names that transformers expects; ``files`` has the file of each tensor."""
    shards = sorted({*files.values()})
    for number, shard in enumerate(shards):
        _link(shard, folder / (SAFETENSORS if len(shards) == 1 else f"model-{number}.safetensors"))
    if len(shards) > 1:
        names = {shard: f"model-{number}.safetensors" for number, shard in enumerate(shards)}
        _write(
            folder / SAFETENSORS_INDEX,
            {"metadata": {}, "weight_map": {key: names[file] for key, file in files.items()}},
        )


def _stage_tokenizer(folder: Path, find: Find, tried: bool) -> None:
    for name, keep in SETTINGS.items():
        if file := find(name):
            _write(folder / name, keep(read_object(file)))
    if not (file := find(TOKENIZER)):
        for name in VOCABULARIES:
            if vocabulary := find(name):
                if vocabulary.stat().st_size > MAX_TOKENIZER_BYTES:
                    raise UnusableFile(f"{name} is larger than {MAX_TOKENIZER_BYTES:,} bytes")
                _link(vocabulary, folder / name)
        return
    _write(folder / TOKENIZER, allowed_settings.filter_tokenizer(read_object(file, MAX_TOKENIZER_BYTES)))
    if not tried:
        confined.try_tokenizer(folder / TOKENIZER)


def _write(file: Path, content: dict[str, Any]) -> None:
    file.write_text(json.dumps(content), "utf-8")


def _link(file: Path, name: Path) -> None:
    """Link a file under another name; copy it where links are not allowed."""
    try:
        name.symlink_to(file.resolve())
    except OSError:
        shutil.copyfile(file, name)


def resolve_commit(name: str, revision: str | None = None) -> str | None:
    """Return the commit of a Hub model's revision, without the Hub the cached one; None for anything but a Hub model.

    Raises:
        ModelError: There is no such model, or neither Hub nor cache have it.
    """
    if not is_hub_id(name):
        return None
    from sentiment140_bert.hub.client import Hub

    with explain_errors(name):
        # It asks a branch twice, for the commit and for the file; that both are one, the file's hash tells.
        return _check_hash(Path(Hub().api.hf_hub_download(name, "config.json", revision=revision)), name).parent.name


def _find_in_folder(folder: Path) -> Find:
    return lambda name: folder / name if (folder / name).is_file() else None


def _find_on_hub(repo_id: str, commit: str | None) -> Find:
    """Return a function that finds files of a repository, and checks each when it arrives."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    from sentiment140_bert.hub.client import Hub

    hub = Hub()

    def find(name: str) -> Path | None:
        is_cached = isinstance(try_to_load_from_cache(repo_id, name, revision=commit), str)
        try:
            file = Path(hub.api.hf_hub_download(repo_id, name, revision=commit))
        except LocalEntryNotFoundError:  # no answer; its parent class means that there is no such file
            if name in (SAFETENSORS, "config.json"):
                raise
            return None
        except EntryNotFoundError:
            return None
        return file if is_cached else _check_hash(file, repo_id)

    return find


def _check_hash(file: Path, repo_id: str) -> Path:
    """Return a file of the Hub's cache if its content has the hash that it is named by; else remove it.

    The hash is the sha256 of a large file, and git's own of any other.

    Raises:
        ModelError: It has not.
    """
    from huggingface_hub.utils.sha import git_hash

    blob = file.resolve()
    kind = {40: "sha1", 64: "sha256"}.get(len(blob.name)) if re.fullmatch("[0-9a-f]+", blob.name) else None
    if kind == "sha256":
        is_intact = hash_file(blob) == blob.name
    else:
        is_intact = kind is None or git_hash(blob.read_bytes()) == blob.name
    if not is_intact:
        blob.unlink()
        file.unlink(missing_ok=True)
        raise ModelError(
            f"{file.name} of {repo_id} did not arrive as it was uploaded ({kind} differs); it was removed.",
            "It may have been changed just now: try again. If that does not help, do not trust its source.",
        )
    return file


def _list_names(place: str, commit: str | None) -> list[str]:
    """Return all file names of a model that has no safetensors, for the message about that."""
    if commit is None:
        return sorted(file.name for file in Path(place).iterdir())
    from sentiment140_bert.hub.client import Hub

    return sorted(Hub().api.list_repo_files(place, revision=commit))


def _find_weights(find: Find, config: dict[str, Any], name: str, names: Callable[[], Iterable[str]]) -> dict[str, Path]:
    """Return the safetensors that hold a model's weights, by the tensors that an index names; a single one by ""."""
    chosen = config.get("transformers_weights")
    if chosen is not None and not _is_safe_name(chosen):
        raise _make_untrusted_error(name, CONFIG, "transformers_weights", chosen)
    if not str(chosen).endswith(".json") and (file := find(chosen or SAFETENSORS)):
        return {"": file}
    if not (index := find(chosen or SAFETENSORS_INDEX)):
        raise explain_missing_safetensors(name, names())
    shards = read_object(index, MAX_TOKENIZER_BYTES).get("weight_map")
    if not isinstance(shards, dict) or not shards:
        raise UnusableFile(f"{index.name} has no weight_map")
    files: dict[str, Path | None] = {}
    for shard in sorted({*map(str, shards.values())}):
        if not _is_safe_name(shard) or shard.endswith(".json"):
            raise _make_untrusted_error(name, index.name, "weight_map", shard)
        files[shard] = find(shard)
        if not files[shard]:
            raise ModelError(f"{name} lacks {shard}, a part of its weights.", "Fetch or copy the complete model.")
    return {tensor: file for tensor, shard in shards.items() if (file := files[str(shard)])}


def find_weights(folder: Path) -> list[Path]:
    """Return the safetensors that are loaded of a model folder, whatever its config or an index names; sorted.

    Raises:
        ModelError: It has none, or names what is not its own.
    """
    with explain_errors(str(folder)):
        find = _find_in_folder(folder)
        config = read_object(settings) if (settings := find(CONFIG)) else {}
        return sorted({*_find_weights(find, config, str(folder), lambda: _list_names(str(folder), None)).values()})


def compare_settings(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the settings in the ``config.json`` of a model folder, and those with which its model is loaded here.

    Both have the number type as ``dtype`` or ``torch_dtype``; where the file has none, it is that of the weights.

    Raises:
        ModelError: The model cannot be loaded.
    """
    files = find_weights(folder)
    with explain_errors(str(folder)):
        stated, contents = read_object(folder / CONFIG), read_headers(files)
        loaded = allowed_settings.filter_config(stated, contents.widest, labels=True)
    loaded |= {"dtype": "float32", "torch_dtype": "float32", "num_labels": stated.get("num_labels")}
    others = sorted(dtype for dtype in contents.dtypes if "F" in dtype and dtype != "F32")
    if others and not (stated.get("dtype") or stated.get("torch_dtype")):
        stated["dtype"] = ", ".join(others)
    return stated, loaded


def list_dropped_settings(folder: Path) -> Iterator[tuple[str, str, Any]]:
    """List the settings of a folder's tokenizer that are left out here, or changed, when it is loaded.

    Returns:
        For each the file, the key and its value.

    Raises:
        ModelError: The tokenizer cannot be loaded.
    """
    for name, keep_allowed in SETTINGS.items():
        if (folder / name).is_file():
            with explain_errors(str(folder)):
                loaded = keep_allowed(stated := read_object(folder / name))
            for key, value in stated.items():
                is_changed = isinstance(value, str) and loaded.get(key) != value
                if value is not None and (key not in loaded or is_changed):
                    yield name, key, value


def _is_safe_name(value: Any) -> bool:
    endings = (".safetensors", ".safetensors.index.json")
    return isinstance(value, str) and not {*"/\\"} & {*value} and value.endswith(endings)


def _make_untrusted_error(name: str, file: str, key: str, value: Any) -> ModelError:
    return ModelError(
        f"{name} is not loaded: {key} in its {file} names {str(value)[:100]!r}.",
        "Only safetensors and the model's own settings are loaded. Do not trust it; choose another, or ask its owner.",
    )


def explain_missing_safetensors(name: str, names: Iterable[str]) -> ModelError:
    """Return the error of a model that has no safetensors, with how to convert what it has instead."""
    names = list(names)
    pickles = find_pickles(names)
    if pickles:
        return ModelError(
            f"{name} has no safetensors weights, only {', '.join(pickles[:3])}. Such a file is a pickle, which can run "
            "any code when it is opened, so it is not loaded.",
            f"Convert it without running it: s140 convert {name} --output FOLDER",
        )
    others = [name for name in names if name.endswith(OTHER_FRAMEWORKS)]
    instead = f"only {', '.join(others[:3])}" if others else "nor any other"
    return ModelError(
        f"{name} has no safetensors weights, {instead}.",
        f"Ask its owner for model.safetensors, or name another model: a local folder, say, or {BUNDLED}.",
    )


def find_pickles(names: Iterable[str]) -> list[str]:
    """Return the names of pickled weights among names of files, without the state that a Trainer saves."""
    return [name for name in names if name.endswith(PICKLES) and not Path(name).name.startswith(STATE)]
