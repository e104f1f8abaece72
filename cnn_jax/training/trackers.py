"""Logs for Weights & Biases and MLflow, if their packages are installed."""

from __future__ import annotations

import importlib
import os
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cnn_jax.errors import UserError
from cnn_jax.json_values import read_json, write_json
from cnn_jax.training.callbacks import Callback, RunFacts
from cnn_jax.training.hyperparameters import hyperparameters
from cnn_jax.training.tensorboard_log import scalars
from cnn_jax.training.tracker_names import Tracker

_AT_ONCE = 100
"""Values that MLflow takes in one call."""


class WandbLog(Callback):
    """Logs to Weights & Biases: by default only on disk, into the folder `wandb` of the run.

    `WANDB_MODE=online` sends everything while the run trains; `wandb sync` sends that folder later.
    A run that is continued keeps its id, which is stored in the run folder.

    Args:
      project: name of the project, by default that of the recipe.
      mode: `offline` or `online`, by default `WANDB_MODE`, else `offline`.

    Raises:
      UserError: the package is not installed.
    """

    def __init__(self, project: str | None = None, mode: str | None = None) -> None:
        self._wandb = _package("wandb")
        self._project = project
        self._mode = mode or os.environ.get("WANDB_MODE") or "offline"
        self._run: Any = None

    def start(self, run: RunFacts) -> None:
        """Begins a run, or goes on with the one whose id is in the run folder."""
        if self._run is None:
            self._run = self._wandb.init(
                project=self._project or run.recipe.name,
                name=run.folder.name,
                id=_id(run.folder / "wandb.json", lambda: uuid.uuid4().hex[:12]),
                resume="allow",
                mode=self._mode,
                dir=str(run.folder),
                config=hyperparameters(run.recipe),
            )
            # A run that goes back after a failure counts back too, which its own steps cannot.
            self._run.define_metric("*", step_metric="step")
        if run.restart is not None:
            self._log("restart", run.step, run.restart)

    def step(self, step: int, values: Mapping[str, Any]) -> None:
        """Adds training metrics."""
        self._log("train", step, values)

    def validation(self, step: int, values: Mapping[str, Any]) -> None:
        """Adds validation metrics."""
        self._log("validation", step, values)

    def end(self, summary: Mapping[str, Any] | None, why: str) -> None:
        """Adds the test metrics, and ends the run as finished or failed."""
        run, self._run = self._run, None
        if run is None:
            return
        if summary is not None:
            run.summary.update(dict(scalars("test", summary["test"] or {})))
        run.finish(exit_code=0 if summary is not None else 1)

    def _log(self, kind: str, step: int, values: Mapping[str, Any]) -> None:
        self._run.log({"step": step, **dict(scalars(kind, values))})


class MlflowLog(Callback):
    """Logs to MLflow: by default into the file `mlflow.db` beside the run folder.

    `mlflow ui --backend-store-uri sqlite:///runs/mlflow.db` shows it. A run that is continued keeps
    its id, which is stored in the run folder.

    Args:
      experiment: name of the experiment, by default that of the recipe.
      store: a tracking URI of MLflow, by default `MLFLOW_TRACKING_URI`, else that file.

    Raises:
      UserError: the package is not installed.
    """

    def __init__(self, experiment: str | None = None, store: str | None = None) -> None:
        self._mlflow = _package("mlflow")
        self._experiment = experiment
        self._store = store or os.environ.get("MLFLOW_TRACKING_URI")
        self._client: Any = None
        self._run = ""

    def start(self, run: RunFacts) -> None:
        """Begins a run, or goes on with the one whose id is in the run folder."""
        if self._client is None:
            # MLflow 3 has given up plain files as a store.
            beside = run.folder.absolute().parent / "mlflow.db"
            store = self._store or f"sqlite:///{beside}"
            self._client = self._mlflow.MlflowClient(tracking_uri=store)
            self._run = _id(run.folder / "mlflow.json", lambda: self._begun(run))
            self._client.update_run(self._run, status="RUNNING")
        if run.restart is not None:
            self._log("restart", run.step, run.restart)

    def _begun(self, run: RunFacts) -> str:
        name = self._experiment or run.recipe.name
        found = self._client.get_experiment_by_name(name)
        experiment = self._client.create_experiment(name) if found is None else found.experiment_id
        begun: str = self._client.create_run(experiment, run_name=run.folder.name).info.run_id
        param = self._mlflow.entities.Param
        fields = [param(field, str(x)) for field, x in hyperparameters(run.recipe).items()]
        for start in range(0, len(fields), _AT_ONCE):
            self._client.log_batch(begun, params=fields[start : start + _AT_ONCE])
        return begun

    def step(self, step: int, values: Mapping[str, Any]) -> None:
        """Adds training metrics."""
        self._log("train", step, values)

    def validation(self, step: int, values: Mapping[str, Any]) -> None:
        """Adds validation metrics."""
        self._log("validation", step, values)

    def end(self, summary: Mapping[str, Any] | None, why: str) -> None:
        """Adds the test metrics, and ends the run as finished or failed."""
        client = self._client
        if client is None:
            return
        if summary is not None:
            self._log("test", summary["steps"], summary["test"] or {})
        self._client = None
        client.set_terminated(self._run, "FINISHED" if summary is not None else "FAILED")

    def _log(self, kind: str, step: int, values: Mapping[str, Any]) -> None:
        now = int(time.time() * 1000)
        metric = self._mlflow.entities.Metric
        found = [metric(name, value, now, step) for name, value in scalars(kind, values)]
        for start in range(0, len(found), _AT_ONCE):
            self._client.log_batch(self._run, metrics=found[start : start + _AT_ONCE])


def trackers(names: Sequence[Tracker]) -> list[Callback]:
    """The logs of these names, each once.

    Raises:
      UserError: a package is not installed.
    """
    kinds: dict[Tracker, type[WandbLog] | type[MlflowLog]] = {
        "wandb": WandbLog,
        "mlflow": MlflowLog,
    }
    return [kinds[name]() for name in dict.fromkeys(names)]


def _package(name: Tracker) -> Any:
    missing = UserError(
        f"--log {name} needs the package {name}, which is not installed: "
        f"pip install 'cnn-jax[{name}]'"
    )
    try:
        found = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise missing from None
    # A folder of that name, such as one that holds logs, is imported as an empty package.
    if getattr(found, "__file__", None) is None:
        raise missing
    return found


def _id(file: Path, begin: Callable[[], str]) -> str:
    """The id that lies in a file, or a new one, which is put there."""
    if not file.exists():
        write_json(file, {"id": begin()})
    found: str = read_json(file)["id"]
    return found
