from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file
from torch.testing import assert_close

from sentiment140_bert import load_recipe
from sentiment140_bert.errors import S140Error
from sentiment140_bert.platforms.spark import processes
from sentiment140_bert.platforms.spark import train as workflow
from sentiment140_bert.platforms.spark.processes import unpack_error
from sentiment140_bert.tracking import mlflow_models
from tiny_run import flags

pytest_plugins = ("spark_fixtures", "hub_fixtures")

TOKEN = "not-a-real-token-of-anybody"
# 16 tweets to train on, which is one global batch: 2 processes x 4 tweets x 2 accumulated, or 16 in one.
COMMON = {"max_samples": 60, "validation_size": 22, "test_size": 22, "num_train_epochs": 4, "optim": "sgd"}
COMMON |= {"learning_rate": 0.05, "weight_decay": 0}
SPREAD = {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 2}


@pytest.fixture(scope="module")
def encoder_without_dropout(encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Switch dropout off: it draws other numbers in two processes than in one."""
    import shutil

    folder = shutil.copytree(encoder, tmp_path_factory.mktemp("encoders") / "still")
    config = json.loads((folder / "config.json").read_text())
    config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def training(folder: Path, encoder: Path, name: str, **more: object) -> list[str]:
    return ["--output-dir", str(folder), *flags(**COMMON, model_name_or_path=encoder, dataset=name, **more)]


def losses(folder: Path) -> list[float]:
    lines = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines if "loss" in line]


@pytest.mark.long
@pytest.mark.parametrize("mode", ["--local-mode", "--no-local-mode"])
def test_two_processes_of_spark_learn_as_one(
    table, encoder_without_dropout: Path, shared: Path, s140, monkeypatch, mode: str
) -> None:
    """On this machine, and as tasks of the (local) cluster with the run on a volume, to which whole files alone can be
    written; the tweets come from a table, which no process can ask."""
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    if mode == "--no-local-mode":
        monkeypatch.setenv("S140_VOLUMES", str(shared.parents[2]))
    name = f"table:{table('train', 300)}"
    one, two = shared / "one", shared / "two"
    s140("train", *training(one, encoder_without_dropout, name, per_device_train_batch_size=16))
    start = ["spark", "train", "--num-processes", 2, mode, "--no-use-gpu", "--"]
    result = s140(*start, *training(two, encoder_without_dropout, name, **SPREAD), "--json")
    report = json.loads(result.stdout)  # one object, the main process's
    assert report["run"] == str(two)
    assert report["metrics"] == json.loads((two / "metrics.json").read_text())
    environment = json.loads((two / "environment.json").read_text())
    assert (environment["processes"], environment["training"]["steps"]) == (2, 4)
    assert environment["command"].startswith("s140 spark train --num-processes 2")
    assert len(losses(one)) == 4
    assert losses(two) == pytest.approx(losses(one), abs=1e-5)
    assert losses(one)[-1] < losses(one)[0]
    first, second = (load_file(folder / "model" / "model.safetensors") for folder in (one, two))
    for part, weight in first.items():
        assert_close(second[part], weight, atol=1e-5, rtol=1e-5)
    fingerprints = [json.loads((folder / "data.json").read_text())["fingerprint"] for folder in (one, two)]
    assert fingerprints[0] == fingerprints[1]
    assert sorted(path.name for path in shared.iterdir()) == ["one", "two"]  # the table's copy is gone
    assert TOKEN not in result.output
    assert not [file for file in shared.rglob("*") if file.is_file() and TOKEN.encode() in file.read_bytes()]


@pytest.mark.long
@pytest.mark.parametrize("mode", ["--local-mode", "--no-local-mode"])
def test_the_error_of_a_process_reaches_the_user_as_its_message(
    spark, encoder: Path, tmp_path: Path, s140, mode: str
) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.txt").write_text("years of work")
    start = ["spark", "train", "--num-processes", 2, mode, "--no-use-gpu", "--"]
    result = s140(*start, *training(tmp_path / "thesis", encoder, "sample"), code=1)
    assert result.stderr.endswith(
        f"Error: {tmp_path}/thesis is not empty, and `s140 train` did not write it.\nChoose another --output-dir.\n"
    )
    assert [path.name for path in (tmp_path / "thesis").iterdir()] == ["chapter1.txt"]


def test_missing_resources_of_the_cluster_are_one_error(spark, s140) -> None:
    cases = (
        (["--num-processes", 2, "--use-gpu"], "Spark has no GPUs to assign"),
        (["--num-processes", 2, "--no-local-mode", "--use-gpu"], "Spark has no GPUs to assign"),
        (["--num-processes", 3, "--no-local-mode"], "cannot run that many processes at once"),
    )
    wrong = []
    for arguments, sentence in cases:
        words = ["spark", "train", *arguments, "--", "--recipe", "quickstart", "--output-dir", "new"]
        printed = s140(*words, code=1).stderr
        if sentence not in printed or "Traceback" in printed or Path("new").exists():
            wrong.append((arguments, printed))
    assert wrong == []


def test_wrong_arguments_are_reported_before_a_process_starts(s140) -> None:
    cases = (
        (["--learning-rate", "x"], 1, "must be a valid number"),
        (["--learning-rate", "-1"], 1, "must be greater than 0"),
        (["--nonsense"], 2, "--nonsense"),
    )
    for arguments, code, sentence in cases:
        printed = s140("spark", "train", "--num-processes", 2, "--", *arguments, code=code).stderr
        assert sentence in printed, arguments
        assert "processes:" not in printed, arguments


@pytest.mark.parametrize("rank", [0, 1, 12])
def test_a_process_that_gives_up_leaves_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rank: int) -> None:
    monkeypatch.setenv("RANK", str(rank))
    monkeypatch.setenv("LOCAL_RANK", "0")
    monkeypatch.setenv(processes.REPORTS, str(tmp_path))
    error = S140Error("It is \u2603.", "Do not.")
    error.exit_code = 143

    def give_up(*_: object) -> None:
        raise error

    with pytest.raises(SystemExit) as ended:
        processes._run_and_report(give_up, [1, 2])
    assert ended.value.code == 143
    (report,) = tmp_path.iterdir()
    assert report.name == f"{rank:05}"
    result = unpack_error(f"Traceback\n RuntimeError: {report.read_text('utf-8')}\n\tat org.apache.spark")
    assert (result.message, result.hint, result.exit_code) == (error.message, error.hint, 143)


def test_only_the_first_process_of_a_machine_gives_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "0")
    assert processes._run_and_report(lambda *arguments: arguments, [1, "two"]) == (1, "two")
    monkeypatch.setenv("LOCAL_RANK", "1")
    with pytest.raises(SystemExit) as ended:
        processes._run_and_report(lambda *arguments: arguments, [1, "two"])
    assert not ended.value.code


def test_a_worker_finds_files_by_paths_that_do_not_depend_on_its_folder(tmp_path: Path) -> None:
    (tmp_path / "tweets.csv").touch()
    (tmp_path / "encoder").mkdir()
    (tmp_path / "suspects.csv").touch()
    arguments = {"model_name_or_path": "encoder", "dataset": "tweets.csv", "manual_test": "sample"}
    arguments |= {"drop_suspects": "suspects.csv"}
    result = workflow._make_paths_absolute(load_recipe("quickstart").with_values(arguments))
    assert result.model.model_name_or_path == str(tmp_path / "encoder")
    assert result.data.dataset == str(tmp_path / "tweets.csv")
    assert result.data.drop_suspects == str(tmp_path / "suspects.csv")
    assert result.data.manual_test == "sample"


def told_by_a_process(names: list[str]) -> dict[str, str | None]:
    """Return the environment of a process of Spark's."""
    files = [path for path in Path(sys.argv[0]).parent.iterdir() if path.is_file()]
    leaked = [file.name for file in files if os.environ["HF_TOKEN"].encode() in file.read_bytes()]
    return {name: os.environ.get(name) for name in names} | {"leaked": ",".join(leaked), "rank": os.environ["RANK"]}


@pytest.mark.parametrize("local_mode", [True, pytest.param(False, marks=pytest.mark.long)])
def test_the_callers_login_reaches_the_processes_and_no_file(spark, monkeypatch, capfd, local_mode: bool) -> None:
    from pyspark import cloudpickle

    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # the workers cannot import a test
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("WANDB_API_KEY", TOKEN)
    monkeypatch.setenv("UNRELATED", TOKEN)
    names = ["HF_TOKEN", "WANDB_API_KEY", "MLFLOW_RUN_ID"]
    settings = {"num_processes": 2, "local_mode": local_mode, "use_gpu": False, "environment": {"MLFLOW_RUN_ID": "7"}}
    result = processes.run_processes(told_by_a_process, [names], **settings)
    assert result == {"HF_TOKEN": TOKEN, "WANDB_API_KEY": TOKEN, "MLFLOW_RUN_ID": "7", "leaked": "", "rank": "0"}
    captured = capfd.readouterr()
    assert TOKEN not in captured.out + captured.err
    assert "MLFLOW_RUN_ID" not in os.environ
    assert TOKEN not in repr(processes.Launcher({"HF_TOKEN": TOKEN}, True))


def test_modules_of_the_current_folder_are_not_run(spark, monkeypatch, tmp_path: Path) -> None:
    """torchrun is started by -m, for which Python looks into the current folder first."""
    from pyspark import cloudpickle

    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    write_poison(tmp_path)
    settings = {"num_processes": 1, "local_mode": True, "use_gpu": False, "environment": {}}
    assert processes.run_processes(told_by_a_process, [[]], **settings)["rank"] == "0"
    assert not (tmp_path / "owned").exists()


def write_poison(folder: Path) -> None:
    for name in ("importlib", "socket", "torch"):
        (folder / f"{name}.py").write_text(f"open({str(folder / 'owned')!r}, 'w').close()\n")


@pytest.mark.long
def test_a_session_of_ours_runs_no_modules_of_the_current_folder(tmp_path: Path) -> None:
    """Spark's workers are started by -m, too. In a process of its own, which has no session yet."""
    write_poison(tmp_path)
    script = (
        "import sys; sys.path = [path for path in sys.path if path]\n"
        "from sentiment140_bert.data import tables\n"
        "rows = tables.get_session().sparkContext.parallelize([1, 2], 1)\n"
        "print(rows.map(lambda number: number + 1).collect())\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.stdout == "[2, 3]\n", done.stderr
    assert not (tmp_path / "owned").exists()


def test_the_workspaces_login_is_handed_on_only_on_databricks(monkeypatch) -> None:
    assert mlflow_models.login() == {}
    monkeypatch.setenv("DATABRICKS_RUNTIME_VERSION", "17.3")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "databricks")
    monkeypatch.setenv("DATABRICKS_HOST", "https://workspace.invalid")
    monkeypatch.setenv("DATABRICKS_TOKEN", TOKEN)
    result = mlflow_models.login()
    assert result["DATABRICKS_HOST"] == "https://workspace.invalid"
    assert (result["DATABRICKS_TOKEN"], result["MLFLOW_TRACKING_URI"]) == (TOKEN, "databricks")
