"""Track a run with Weights & Biases: online with credentials, else offline in the run directory until it is sent."""

from __future__ import annotations

import contextlib
import json
import logging
import netrc
import os
import secrets
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from configparser import ConfigParser
from configparser import Error as ConfigParserError
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from sentiment140_bert import trust
from sentiment140_bert.errors import TrackerError, first_line
from sentiment140_bert.models.labels import order_names
from sentiment140_bert.run import RunDir
from sentiment140_bert.schemas import SplitScores, TrackerState, get_matrix
from sentiment140_bert.tracking.sync_state import SyncState, has_key, make_id
from sentiment140_bert.tracking.tracked_run import CARD, Point, RunStatus, TrackedRun
from sentiment140_bert.tracking.tracker import PROJECT, Remember, Tracker

log = logging.getLogger(__name__)
# Seconds: without an answer, or a beginning, until then a run is kept offline; what is not sent at its end stays here.
TO_ANSWER, TO_BEGIN, TO_END = 10, 60, 120
LONGEST_TAG = 64  # characters; a longer one would end wandb.init
STEP = "train/global_step"  # as the Trainer's own report names it
# When it is set, wandb writes the key into its own logs in the run directory.
NO_KEY_IN_LOGS = {"WANDB_DEBUG": "false", "WANDB_CORE_DEBUG": "false"}


class Wandb(Tracker):
    """A wandb run. The steps of its history are those of the training."""

    name = "wandb"
    public = ("id", "project", "url")
    public_host = "wandb.ai"
    durable_after = "close"  # a process of its own writes when it likes

    def __init__(self, tracked_run: TrackedRun, state: TrackerState) -> None:
        super().__init__(tracked_run, state)
        self.callers_run: Any = getattr(sys.modules.get("wandb"), "run", None)
        self.run: Any = None
        self.offline = ""
        # Otherwise wandb would take the address from ./wandb/settings, which may be a stranger's.
        self.environment = NO_KEY_IN_LOGS | {"WANDB_BASE_URL": _address()}

    def unnamed_place(self) -> str:
        """Return the settings that wandb would read of the current folder: proxies, owners, files to be sent along.

        A folder that came as an archive may hold such settings next to a run; users name their own by ``WANDB_DIR``.
        """
        named = os.environ.get("WANDB_DIR")
        if named and Path(named).resolve() == Path.cwd():
            return ""
        settings = (Path(folder, "settings").absolute() for folder in ("wandb", ".wandb"))
        return next((str(file) for file in settings if os.path.lexists(file)), "")

    def how_to_trust(self, place: str) -> str:
        return f"If the file is your own, set WANDB_DIR={shlex.quote(str(Path.cwd()))}; else run from another folder."

    def switched_off(self) -> str:
        return switched_off_by() or (
            "the run that is open is disabled" if self.callers_run and self.callers_run.disabled else ""
        )

    def is_own(self) -> bool:
        run_id = self.state.get("id")
        return (
            not run_id or has_key(self.state) or trust.is_known_place(self.name, place_of(self.tracked_run.run, run_id))
        )

    def open(self, remember: Remember) -> None:
        run_id = self.state.get("id")
        if not run_id and self.callers_run and not self.tracked_run.is_part:
            run_id = self.callers_run.id
        elif not run_id:
            key = self.state.get("key") or secrets.token_hex(16)
            remember({"key": key})
            run_id = make_id(key)
        if not list_unsent(self.tracked_run.run, run_id):  # what another machine kept here is not sent
            trust.remember_place("wandb", place_of(self.tracked_run.run, run_id))
        remember({"id": run_id})
        if self.callers_run and self.callers_run.id == run_id:
            self.run = self.callers_run
            self.run.config.update(self.tracked_run.config(), allow_val_change=True)
            for curves in ("train/*", "eval/*"):
                self.run.define_metric(curves, step_metric=STEP)
        else:
            self.callers_run = None
            self.run = self._begin(run_id)
        url = None if self.run.offline or self.offline else self.run.url
        remember({"id": self.run.id, "project": self.run.project, "url": url})
        log.info("wandb: %s", url or f"kept offline ({self.offline or 'as the run that was open'})")

    def points(self, points: Sequence[Point]) -> None:
        for step, together in groupby(points, key=lambda point: point.step):
            self._log({point.name: point.value for point in together}, step)

    def file(self, name: str, content: bytes) -> None:
        import wandb

        path = Path(self.run.dir) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        self.run.save(str(path), base_path=self.run.dir, policy="now")
        if name == "data.json":
            data = json.loads(content)
            counts = {"rows": {split: part["rows"] for split, part in data["splits"].items()}, "steps": data["steps"]}
            self.run.config.update({"data_report": counts}, allow_val_change=True)
        elif name == "environment.json":
            self.run.config.update({"environment": json.loads(content)}, allow_val_change=True)
        elif name.startswith("figures/"):
            self._log({name.removesuffix(".png"): wandb.Image(str(path))}, self.tracked_run.last_step())
        elif name == CARD:
            self.run.notes = f"The model card is {CARD} among this run's files."

    def scores(self) -> None:
        import wandb

        self.run.summary.update(self.tracked_run.scores())
        charts: dict[str, Any] = {}
        for split, values in self.tracked_run.run.read_metrics()["splits"].items():
            if "accuracy" in values:
                charts[f"{split}/confusion"] = _confusion_matrix(values, f"{split}: confusion matrix")
            if "calibration" in values:
                bins = values["calibration"]["bins"]
                charts[f"{split}/calibration"] = wandb.plot.line_series(
                    xs=[[bin_["predicted"] for bin_ in bins], [0.0, 1.0]],
                    ys=[[bin_["observed"] for bin_ in bins], [0.0, 1.0]],
                    keys=["model", "perfect"],
                    title=f"{split}: calibration",
                    xname="probability of positive",
                )
        self._log(charts, self.tracked_run.last_step())

    def published(self) -> None:
        self.run.summary.update({f"published/{kind}": url for kind, url in self.tracked_run.urls().items()})

    def model(self) -> bool:
        if self.tracked_run.settings.log_model:
            import wandb

            artifact = wandb.Artifact(f"model-{self.run.id}", "model", metadata=self.tracked_run.scores())
            for file in self.tracked_run.model_files():
                artifact.add_file(str(file), name=file.relative_to(self.tracked_run.run.model).as_posix())
            self.run.log_artifact(artifact)
        return True

    def close(self, status: RunStatus) -> None:
        if self.run is not self.callers_run:  # a run that the caller opened is left open
            self.run.finish(exit_code=status.exit_code)

    def offline_command(self) -> str | None:
        is_own = self.run is not None and self.run is not self.callers_run
        folders = list_unsent(self.tracked_run.run, self.run.id) if is_own else []
        if not folders:
            return None
        why = self.offline or "not everything could be sent"
        return f"wandb: kept offline ({why}). To send it: wandb sync {shlex.join(map(str, folders))}"

    def _log(self, values: dict[str, Any], step: int) -> None:
        """Log values at a step; in the caller's own run, which counts its own steps, the step is one more value."""
        if self.run is self.callers_run:
            self.run.log(values | {STEP: step})
        else:
            self.run.log(values, step=step)

    def _begin(self, run_id: str) -> Any:
        """Resume the run of this id, or start it; offline if necessary."""
        import wandb

        settings = wandb.Settings(
            silent=True,
            console="off",
            init_timeout=TO_BEGIN,
            finish_timeout=TO_END,
            finish_timeout_raises=True,
            x_disable_stats=not self.tracked_run.live,
            disable_git=True,  # git would run commands from the configuration of a repository in the run's folder
            save_code=False,
            x_disable_meta=True,  # the command line as it was typed, with folders and perhaps passwords
            host="a machine",  # whose name it would write otherwise
        )
        project = os.environ.get("WANDB_PROJECT") or self.tracked_run.project or PROJECT
        begin: dict[str, Any] = {
            "project": self.state.get("project") or project,
            "name": self.tracked_run.title,
            "dir": str(self.tracked_run.run.path),
            "config": self.tracked_run.config(),
            "id": run_id,
            "resume": "allow",
            "tags": [tag[:LONGEST_TAG] for tag in self.tracked_run.settings.tags] or None,
            "group": self.tracked_run.settings.group,
            "job_type": self.tracked_run.settings.job_type,
            "reinit": "create_new",
            "settings": settings,
        }
        mode = os.environ.get("WANDB_MODE")
        self.offline = "as WANDB_MODE says" if mode in ("offline", "dryrun") else ""
        if not self.offline:
            self.offline = out_of_reach() if has_credentials() else "no credentials"
        if not self.offline:
            try:
                return wandb.init(mode=mode, **begin)  # type: ignore[arg-type]
            except wandb.errors.Error as error:
                self.offline = f"wandb could not be reached: {first_line(error)}"
                if wandb.setup().most_recent_active_run is None:  # no other run of this process
                    wandb.teardown()  # its service holds the id in use that it failed to begin a run with
        return wandb.init(mode="offline", **begin)


def switched_off_by() -> str:
    """Return the variable of the environment that switches wandb off; empty if none does.

    ``WANDB_DISABLED`` is transformers' own, with the values that it took for true before version 5.
    """
    if os.environ.get("WANDB_MODE") == "disabled":
        return "WANDB_MODE is disabled"
    value = os.environ.get("WANDB_DISABLED", "")
    return f"WANDB_DISABLED is {value}" if value.upper() in ("1", "ON", "YES", "TRUE") else ""


def place_of(run: RunDir, run_id: str) -> str:
    """Return what is remembered of a run that wandb keeps here: its id alone is not a secret."""
    return f"{run_id} in {run.path.resolve()}"


def list_unsent(run: RunDir, run_id: str) -> list[Path]:
    """Return the folders of a wandb run that were written offline and not sent since."""
    folders = sorted((run.path / "wandb").glob(f"offline-run-*-{run_id}"))
    return [folder for folder in folders if not list(folder.glob("*.synced"))]


def list_offline(run: RunDir) -> list[Path]:
    """Return the folders that wandb kept of a run on this machine and has not sent."""
    run_id = SyncState(run).get("wandb").get("id")
    return list_unsent(run, run_id) if run_id else []


def send(run: RunDir) -> None:
    """Let wandb send what it kept of a run on this machine.

    Raises:
        TrackerError: It cannot; all of it is still here. W&B is asked first: wandb itself would wait for hours for one
            that does not answer, and would log what one answered that does not want the key.
    """
    folders = list_offline(run)
    if not folders or switched_off_by():
        return
    state = SyncState(run).get("wandb")
    is_own = has_key(state) or run.is_own()  # ids are public, and runs are moved
    if not (is_own and trust.is_known_place("wandb", place_of(run, str(state["id"])))):
        raise TrackerError(
            f"The offline wandb data in {run.path} was not recorded on this machine; it could send files of yours.",
            f"If you trust it: wandb sync {shlex.join(map(str, folders))}",
        )
    if why := out_of_reach():
        raise TrackerError(f"{why}.", "What it kept is still here; try again later.")
    log.info("wandb: sending %s", ", ".join(folder.name for folder in folders))
    # -P and an empty folder: neither modules nor settings of a stranger's folder that this process may be in.
    with tempfile.TemporaryDirectory(prefix="s140-") as nowhere:
        sent = subprocess.run(
            [sys.executable, "-P", "-m", "wandb", "sync", "--yes", *(str(folder.resolve()) for folder in folders)],
            env=os.environ | NO_KEY_IN_LOGS | {"WANDB_BASE_URL": _address()},
            cwd=nowhere,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
    if sent.returncode:
        lines = (sent.stderr + sent.stdout).strip().splitlines() or ["it gave no reason"]
        raise TrackerError(f"wandb could not send what it kept: {lines[-1]}.", "It is kept; try again later.")


def has_credentials() -> bool:
    """Return True if wandb can log in without a prompt."""
    return bool(_key())


def _address() -> str:
    """Return the address of the W&B server: of the environment, of the user's own `wandb login`, or the public one."""
    address = os.environ.get("WANDB_BASE_URL")
    if not address:
        folder = os.environ.get("WANDB_CONFIG_DIR") or "~/.config/wandb"
        login = ConfigParser(interpolation=None)
        with contextlib.suppress(OSError, ConfigParserError, UnicodeDecodeError):
            login.read(os.path.join(os.path.expanduser(folder), "settings"), "utf-8")  # noqa: PTH111, PTH118 - no home
        address = login.get("default", "base_url", fallback="https://api.wandb.ai")
    return address.rstrip("/")


def _key() -> str | None:
    if os.environ.get("WANDB_API_KEY"):
        return os.environ["WANDB_API_KEY"]
    try:
        login = netrc.netrc(os.environ.get("NETRC")).authenticators(urlparse(_address()).netloc)
    except (OSError, netrc.NetrcParseError):
        return None
    return login[2] if login else None


def out_of_reach() -> str:
    """Return why W&B cannot be reached now; empty if it can. A failed ``wandb.init`` would leave its id in use."""
    import requests

    question = {"query": "{ viewer { id } }"}
    about = {"auth": ("api", _key() or ""), "timeout": TO_ANSWER, "allow_redirects": False, "stream": True}
    try:
        with requests.post(f"{_address()}/graphql", json=question, **about) as answer:  # its body is not read
            status = answer.status_code
    except (requests.RequestException, ValueError) as error:  # the latter of a key or an address that cannot be sent
        return f"wandb could not be reached: {first_line(error)}"
    return "wandb refuses the key" if status in (401, 403) else ""


def _confusion_matrix(split: SplitScores, title: str) -> Any:
    """Return W&B's own chart, of the counts that its ``confusion_matrix`` would count from all predictions."""
    import wandb

    matrix = get_matrix(split)
    names, columns = order_names(len(matrix)), ("Actual", "Predicted", "nPredictions")
    rows: list[list[Any]] = [
        [label, prediction, count]
        for label, counts in zip(names, matrix, strict=True)
        for prediction, count in zip(names, counts, strict=True)
    ]
    table, fields = wandb.Table(columns=[*columns], data=rows), {name: name for name in columns}
    return wandb.plot_table("wandb/confusion_matrix/v1", table, fields, {"title": title})
