"""Trials that Optuna suggests from what earlier ones came to, and gives up where they do badly."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cnn_jax.errors import UserError
from cnn_jax.runs.search_space import Range, Space, Values
from cnn_jax.runs.sweep import Outcome, Pruned
from cnn_jax.tasks.contract import Metric
from cnn_jax.training.callbacks import Callback


class _Reports(Callback):
    """Tells Optuna of each validation, and gives up where it says so."""

    def __init__(self, trial: Any, metric: str) -> None:
        self._trial, self._metric = trial, metric

    def validation(self, step: int, values: Mapping[str, Any]) -> None:
        """See `Callback`.

        Raises:
          Pruned: the trial does worse than the median of others at this step.
        """
        self._trial.report(float(values[self._metric]), step)
        if self._trial.should_prune():
            raise Pruned(f"{self._metric} at step {step} is worse than the median of trials")


def search(
    space: Space,
    count: int,
    seed: int,
    metric: Metric,
    folder: Path,
    run: Callable[[Values, list[Callback]], Outcome],
) -> list[Outcome]:
    """Runs trials until there are so many, those that an earlier start has run included.

    What is known of them lies in the file `optuna.log`, a journal of Optuna.

    Args:
      space: what is suggested from.
      count: how many trials there are in the end.
      seed: of what is suggested.
      metric: of the validation part.
      folder: of the sweep.
      run: runs a trial with callbacks that may raise `Pruned`.

    Returns:
      What came of those that this start has run.

    Raises:
      UserError: Optuna is not installed.
    """
    try:
        optuna: Any = importlib.import_module("optuna")
        backend: Any = importlib.import_module("optuna.storages.journal").JournalFileBackend
    except ImportError:
        raise UserError(
            "--optuna needs Optuna 4, which is not installed: pip install 'cnn-jax[optuna]'; "
            "--random needs nothing"
        ) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    folder.mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(
        storage=optuna.storages.JournalStorage(backend(str(folder / "optuna.log"))),
        study_name="sweep",
        direction="maximize" if metric.higher else "minimize",
        load_if_exists=True,
        pruner=optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=0),
    )
    state = optuna.trial.TrialState
    # What a start was stopped in is gone on with.
    for left in study.get_trials(states=(state.RUNNING,)):
        study.enqueue_trial(left.params)
        study.tell(left.number, state=state.FAIL)
    # The same draws would come again after a stop.
    done = study.get_trials(states=(state.COMPLETE, state.PRUNED))
    study.sampler = optuna.samplers.TPESampler(seed=seed + len(study.trials))
    found = []
    for _ in range(count - len(done)):
        trial = study.ask()
        values = {name: _suggested(trial, name, each) for name, each in space.items()}
        outcome = run(values, [_Reports(trial, metric.name)])
        if outcome.mean is not None:
            study.tell(trial, outcome.mean)
        else:
            study.tell(trial, state=state.PRUNED if outcome.state == "pruned" else state.FAIL)
        found.append(outcome)
    return found


def _suggested(trial: Any, name: str, each: tuple[str, ...] | Range) -> str:
    if not isinstance(each, Range):
        return str(trial.suggest_categorical(name, each))
    if each.whole:
        return str(trial.suggest_int(name, int(each.low), int(each.high), log=each.log))
    return f"{trial.suggest_float(name, each.low, each.high, log=each.log):.6g}"
