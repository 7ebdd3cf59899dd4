"""A pytest plugin for tests of publishing: a small finished run, and its way to the Hub."""

from __future__ import annotations

import copy
import itertools
import re
import shutil
import string
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner, Result

import sentiment140_bert
from conftest import HUB
from hub_clock import replace_clock
from hub_server import TOKEN, HubServer
from on_hub import BOTH, DATA, MODEL, AfterAPush
from once import make_once
from sentiment140_bert import models
from sentiment140_bert.cli import main
from tiny_run import flags

NUMBERS = itertools.count()  # of repositories: what was downloaded of one is not taken for another


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an untrained BERT of some hundred kilobytes that knows letters and the most common words of the sample."""
    return make_once(tmp_path_factory, "tiny_encoder", write_tiny_encoder)


def write_tiny_encoder(folder: Path) -> Path:
    import tokenizers
    import transformers
    from tokenizers import Tokenizer, normalizers, pre_tokenizers, processors

    tweets = (files("sentiment140_bert.data") / "sample" / "tweets.csv").read_text("latin-1").lower()
    signs = string.ascii_lowercase + string.digits + string.punctuation
    words = [word for word, _ in Counter(re.findall("[a-z]{2,}", tweets)).most_common(300)]
    special = {f"{name.lower()}_token": f"[{name}]" for name in ("PAD", "UNK", "CLS", "SEP", "MASK")}
    vocabulary = [*special.values(), *signs, *(f"##{sign}" for sign in signs), *words]
    numbers = {word: number for number, word in enumerate(vocabulary)}
    backend = Tokenizer(tokenizers.models.WordPiece(numbers, unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer()
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    ends = [(name, numbers[name]) for name in ("[CLS]", "[SEP]")]
    backend.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=backend, model_max_length=512, **special)
    config = transformers.BertConfig(
        **{"vocab_size": len(vocabulary), "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2},
        **{"intermediate_size": 64, "initializer_range": 0.5},  # wide enough for answers to differ from text to text
        **{"id2label": {0: "negative", 1: "positive"}, "label2id": {"negative": 0, "positive": 1}},
    )
    transformers.set_seed(1)
    models.save_model(transformers.BertForSequenceClassification(config), tokenizer, folder)
    return folder


@pytest.fixture(scope="session")
def small_run(encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a finished run of it; not to be changed."""

    def train(folder: Path) -> None:
        words = ["train", "--output-dir", folder, *flags(model_name_or_path=encoder, num_train_epochs=1)]
        result = CliRunner().invoke(main, [*map(str, words)], catch_exceptions=False)
        assert result.exit_code == 0, result.output

    return make_once(tmp_path_factory, "small_run", train)


@pytest.fixture(scope="session")
def after_a_push(small_run: Path, tmp_path_factory: pytest.TempPathFactory) -> AfterAPush:
    """Return a copy of it from which both were pushed, and the Hub after that; neither to be changed."""
    folder = tmp_path_factory.mktemp("pushed_runs") / "small"
    shutil.copytree(small_run, folder)
    HUB.reset()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_TOKEN", TOKEN)
        sentiment140_bert.push_to_hub(folder, sentiment140_bert.Destination(repo_id=MODEL, dataset_repo_id=DATA))
    state = AfterAPush(folder, HUB.repos, [request.endpoint for request in HUB.requests])
    HUB.reset()
    return state


@pytest.fixture
def run_copy(small_run: Path, tmp_path: Path) -> Path:
    """Return a copy of the small run that a test may change."""
    return shutil.copytree(small_run, tmp_path / "runs" / "small")


@pytest.fixture
def pushed(after_a_push: AfterAPush, hub: HubServer, run_copy: Path) -> Path:
    """Return the copy after a push of both; the Hub has them."""
    hub.repos = copy.deepcopy(after_a_push.repos)
    shutil.rmtree(run_copy)
    return shutil.copytree(after_a_push.run, run_copy)


@pytest.fixture
def push(run_copy: Path, impatient: list[float]) -> Callable[..., Result]:
    """``s140 push-to-hub`` of that copy, of both kinds unless it is said otherwise; ``code`` None: it may fail."""

    def invoke(*arguments: object, run: Path = run_copy, to: Sequence[str] = BOTH, code: int | None = 0) -> Result:
        words = ["push-to-hub", run, *to, *arguments]
        result = CliRunner().invoke(main, [*map(str, words)], catch_exceptions=False)
        assert code is None or result.exit_code == code, result.output
        return result

    return invoke


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Skip the sleeps between attempts, ours and huggingface_hub's, and return their seconds."""
    slept: list[float] = []
    clock = SimpleNamespace(**{name: getattr(time, name) for name in ("time", "monotonic")}, sleep=slept.append)
    replace_clock(clock, monkeypatch.setattr)
    return slept


@pytest.fixture
def put(hub: HubServer) -> Callable[..., str]:
    """Make a repository of somebody with these files, and return its id. None leaves a file out."""

    def make(files: Mapping[str, bytes | None], kind: str = "dataset") -> str:
        name = f"{kind}-{next(NUMBERS)}"
        hub.create(f"somebody/{name}", kind)
        for path, content in files.items():
            if content is not None:
                hub.write(f"somebody/{name}", path.replace("REPO", name), content, kind)
        return f"somebody/{name}"

    return make


@pytest.fixture
def hub_down(hub: HubServer) -> Iterator[HubServer]:
    """Use an address where no Hub listens."""
    hub.stop()
    yield hub
    hub.start()
