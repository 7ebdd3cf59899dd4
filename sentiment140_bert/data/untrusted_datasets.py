"""Load untrusted datasets, from the Hub and from folders written by ``save_to_disk``: no file but their own is opened.

Of a dataset on the Hub only files of its own repository, of a few kinds, are opened; of a folder only what it contains.
"""

from __future__ import annotations

import json
import pickle
import re
import stat
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from sentiment140_bert.data.files import DAMAGE
from sentiment140_bert.errors import DataError, first_line
from sentiment140_bert.trust import plain_yaml

if TYPE_CHECKING:
    from datasets import Dataset, DatasetBuilder, DatasetDict

CARD, SETTINGS = "README.md", ".huggingface.yaml"  # in which datasets looks for the names of files
LARGEST_CARD = 10_000_000  # bytes
CONVERTED = "refs/convert/parquet"  # the Hub's own conversion of a repository that is still a script
STATE, INFO, SPLITS = "state.json", "dataset_info.json", "dataset_dict.json"  # the names that datasets uses
# What the datasets library and this module raise for nonsense in a saved folder, and in a repository.
SENSELESS_FOLDER = (ValueError, OSError, LookupError, TypeError, AttributeError, RecursionError)
SENSELESS = (OSError, RuntimeError, ValueError, LookupError, TypeError, AttributeError, ImportError, AssertionError)


def load_from_hub(name: str, revision: str | None) -> tuple[DatasetDict, str | None]:
    """Load the splits of a dataset; return them and their commit.

    Raises:
        DataError: It cannot be loaded, or names what is not among its own files.
        HubError: The Hub answers nonsense.
    """
    from huggingface_hub import constants

    from sentiment140_bert.hub.replies import check_answers

    check_answers()
    with _explain_errors(name):
        if constants.HF_HUB_OFFLINE:
            return _load_from_cache(name, revision)
        try:
            return _load_at(name, _get_commit(name, revision))
        except RuntimeError as error:
            if "scripts are no longer supported" not in str(error) or revision:
                raise
            return _load_at(name, _get_commit(name, CONVERTED))


def _load_from_cache(name: str, revision: str | None) -> tuple[DatasetDict, str | None]:
    """Load what datasets has of a repository, of which it looks for no revision.

    Raises:
        DataError: That is another commit than ``revision``, or it is not known to be the same.
    """
    from datasets import load_dataset_builder

    builder = load_dataset_builder(name)
    if revision not in (None, builder.hash):
        raise DataError(
            f"Of {name} the cache has commit {builder.hash}, and without the Hub nobody knows if that is {revision}.",
            "Name that commit, or omit --dataset-revision, or unset HF_HUB_OFFLINE.",
        )
    builder.download_and_prepare()
    return builder.as_dataset(), builder.hash


def _load_at(name: str, commit: str) -> tuple[DatasetDict, str]:
    from datasets import load_dataset_builder

    _check_metadata(name, commit)
    builder = load_dataset_builder(name, revision=commit)
    if builder.hash != commit:  # after a failed request datasets takes whatever its cache has
        raise DataError(f"Of {name} the Hub has commit {commit}, but it did not come.", "Try again.")
    _check_builder(builder, name, commit)
    builder.download_and_prepare()
    return builder.as_dataset(), commit


def _get_commit(name: str, revision: str | None) -> str:
    from sentiment140_bert.hub.client import Hub

    commit = Hub().api.dataset_info(name, revision=revision).sha
    if not commit:
        raise ValueError("the Hub does not name its commit")
    return str(commit)


def _check_metadata(name: str, commit: str) -> None:
    """Check all that datasets would follow: names of files, and names in the card and in the settings.

    Raises:
        DataError: One leads out of the repository.
        ValueError: The card or the settings cannot be read.
    """
    from sentiment140_bert.hub.client import Hub

    hub = Hub()
    files = hub.api.list_repo_files(name, repo_type="dataset", revision=commit)
    for file in files:
        if "::" in file or "://" in file:
            raise _refuse_path(name, "the repository", file)
    for file in (CARD, SETTINGS):
        if file not in files:
            continue
        path = Path(hub.api.hf_hub_download(name, file, repo_type="dataset", revision=commit))
        if path.stat().st_size > LARGEST_CARD:
            raise ValueError(f"its {file} has more than {LARGEST_CARD:,} bytes")
        with path.open(encoding="utf-8", newline="") as card:  # as huggingface_hub opens it
            text = card.read()
        for content in _parse_metadata(text, file):
            for value in _list_paths(content.get("configs")):
                if not _is_inside(value):
                    raise _refuse_path(name, file, value)


def _parse_metadata(text: str, file: str) -> Iterator[dict[str, Any]]:
    """Yield the YAML of a file as datasets itself reads it, after a check that its size is bounded."""
    import yaml
    from huggingface_hub import DatasetCard
    from huggingface_hub.repocard import REGEX_YAML_BLOCK

    if file == CARD:
        front = REGEX_YAML_BLOCK.search(text)
        plain_yaml.load(front[2] if front else "", repeated=True)
        yield DatasetCard(text, ignore_metadata_errors=True).data.to_dict()
    else:
        plain_yaml.load(text, repeated=True)
        content = yaml.safe_load(text)
        yield content if isinstance(content, dict) else {}


def _list_paths(configs: Any) -> Iterator[Any]:
    """Yield the paths that configs give, whatever they are.

    Raises:
        ValueError: They are not valid configs.
    """
    if configs is None:
        return
    if not isinstance(configs, list) or not all(isinstance(config, dict) for config in configs):
        raise ValueError("its configs are not a list of mappings")
    for config in configs:
        if not re.fullmatch(r"[\w.+ -]*[\w+ -][\w.+ -]*", str(config.get("config_name"))):
            raise ValueError(f"{str(config.get('config_name'))[:80]!r} is not a valid config name")
        yield config.get("data_dir") or "."
        patterns = config.get("data_files")
        for pattern in patterns if isinstance(patterns, list) else [] if patterns is None else [patterns]:
            paths = pattern.get("path") if isinstance(pattern, dict) else pattern
            yield from paths if isinstance(paths, list) else [paths]


def _is_inside(path: Any) -> bool:
    """Return True if a path, perhaps with wildcards, cannot lead out of its repository, not even by a scheme."""
    if not isinstance(path, str) or not path.isprintable() or set(path) & set(":\\"):
        return False
    return not path.startswith(("/", "~", " ")) and ".." not in PurePosixPath(path).parts


def _check_builder(builder: DatasetBuilder, name: str, commit: str) -> None:
    """Check the files that datasets found by the names, before any is fetched.

    Raises:
        DataError: A file is not of this repository, or of a kind that may name others.
    """
    from datasets.packaged_modules import arrow, csv, json, parquet  # modules, each with its builder

    if not isinstance(builder, csv.Csv | json.Json | parquet.Parquet | arrow.Arrow):
        raise DataError(
            f"The dataset {name!r} has no files that can be read as tables.",
            "Readable: CSV, JSON lines, parquet and arrow.",
        )
    own = f"hf://datasets/{name}@{commit}/"
    for files in (builder.config.data_files or {}).values():
        for file in files:
            if not str(file).startswith(own) or not _is_inside(str(file).removeprefix(own)):
                raise _refuse_path(name, "the repository", file)


def _refuse_path(name: str, file: str, path: Any) -> DataError:
    return DataError(
        f"The dataset {name!r} names a file outside its own repository: {str(path)[:200]!r}, in {file}.",
        "Nothing was opened. Only files of the repository itself are read; download what you trust, and name that.",
    )


@contextmanager
def _explain_errors(name: str) -> Iterator[None]:
    """Turn whatever datasets and the Hub's client raise into a DataError that names the dataset."""
    from datasets.exceptions import DatasetNotFoundError, DatasetsError
    from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError
    from huggingface_hub.utils import httpx

    unusable = (*SENSELESS, *DAMAGE, pickle.PickleError, tarfile.TarError, httpx.HTTPError, httpx.InvalidURL)
    try:
        yield
    except (DatasetNotFoundError, RepositoryNotFoundError, RevisionNotFoundError) as error:
        raise DataError(
            f"The dataset {name!r} is neither a file here nor found on the Hub: {first_line(error)}",
            "Check the spelling and the path; a private dataset needs `hf auth login`.",
        ) from None
    except (*unusable, DatasetsError) as error:
        raise DataError(
            f"The dataset {name!r} could not be loaded from the Hub: {first_line(error)[:500]}.",
            "Check the connection, and that it has labeled texts; or use --dataset sample or a local file.",
        ) from None


def load_folder(path: Path) -> Dataset | DatasetDict:
    """Load the dataset or the splits of a folder.

    Raises:
        DataError: It was not written by datasets, is damaged, or names what is not inside it: datasets would open
            that, wherever it is, and wait for ever if it is a pipe.
    """
    from datasets import load_from_disk

    try:
        if (path / STATE).is_file() and (path / INFO).is_file():
            _check_folder(path)
        elif (path / SPLITS).is_file():
            for name in _read_json(path / SPLITS)["splits"]:
                _check_folder(_check_member(path, SPLITS, name, stat.S_ISDIR))
        return load_from_disk(str(path))
    except SENSELESS_FOLDER as error:
        raise DataError(
            f"{path} is a folder, but not one saved by datasets: {first_line(error)}.",
            "Name a file in it, or a folder written by Dataset.save_to_disk.",
        ) from None


def _check_folder(folder: Path) -> None:
    if not (folder / STATE).is_file():  # which datasets reports itself
        return
    for file in _read_json(folder / STATE)["_data_files"]:
        _check_member(folder, STATE, file["filename"], stat.S_ISREG)


def _check_member(folder: Path, file: str, name: Any, is_kind: Callable[[int], bool]) -> Path:
    """Return the path of a name that a file of the folder gives; refuse links and names of anything elsewhere."""
    is_plain = isinstance(name, str) and name not in ("", ".", "..") and not set(name) & set("/\\:\0")
    path = folder / str(name)
    if not is_plain or not is_kind(path.lstat().st_mode):
        raise DataError(
            f"{folder / file} names {str(name)[:200]!r}, which is not a "
            f"{'file' if is_kind is stat.S_ISREG else 'folder'} of its own in that folder.",
            "A saved dataset must hold all its files without links; `cp -rL` copies a folder and resolves its links.",
        )
    return path


def _read_json(file: Path) -> Any:
    return json.loads(file.read_text("utf-8"))
