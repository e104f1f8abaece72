"""Trials that Optuna suggests from what earlier ones came to, and gives up where they do badly."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cnn_jax.errors import UserError
from cnn_jax.runs.search_space import Range, Space, Values
from cnn_jax.runs.sweep import Pruned, Trial
from cnn_jax.runs.sweep_record import Outcome
from cnn_jax.tasks import Metric, metric_that_counts
from cnn_jax.training.callbacks import Callback

_NAME = "sweep"


class Suggestions:
    """Values to try until there are so many trials, those of earlier starts included.

    What is known of them lies in the file `optuna.log` of the sweep, a journal of Optuna that
    several processes may write. What is suggested while others run takes these for bad ones.

    Args:
      space: what is suggested from.
      count: how many trials there are in the end.
      seed: of what is suggested.
      metric: of the validation part.
      folder: of the sweep.

    Attributes:
      left: how many trials there still are.

    Raises:
      UserError: Optuna is not installed; its journal is damaged; or earlier trials in this folder
        were suggested from other lists, or from ranges where these are lists.
    """

    def __init__(self, space: Space, count: int, seed: int, metric: Metric, folder: Path) -> None:
        optuna = _optuna()
        folder.mkdir(parents=True, exist_ok=True)
        self._space, self._state = space, optuna.trial.TrialState
        try:
            self._study = study = optuna.create_study(
                storage=_journal(folder),
                study_name=_NAME,
                direction="maximize" if metric.higher else "minimize",
                load_if_exists=True,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(
                f"{folder / 'optuna.log'} is damaged ({error}); choose another --workdir"
            ) from None
        self._check(folder)
        # What a start was stopped in is gone on with.
        for left in study.get_trials(states=(self._state.RUNNING,)):
            study.enqueue_trial(left.params)
            study.tell(left.number, state=self._state.FAIL)
        done = study.get_trials(states=(self._state.COMPLETE, self._state.PRUNED))
        self.left = max(count - len(done), 0)
        # The same draws would come again after a stop.
        study.sampler = optuna.samplers.TPESampler(
            seed=seed + len(study.trials), constant_liar=True
        )

    def _check(self, folder: Path) -> None:
        """Checks that all trials are suggested from values that Optuna takes for one field."""
        distributions: Any = importlib.import_module("optuna.distributions")
        for trial in self._study.get_trials(deepcopy=False):
            for name in set(self._space) & set(trial.distributions):
                old, new = trial.distributions[name], _distribution(self._space[name])
                try:
                    distributions.check_distribution_compatibility(old, new)
                except ValueError:
                    raise UserError(
                        f"--space {name}: earlier trials in {folder} were suggested from "
                        f"{_in_words(old)}, and Optuna learns nothing from these for "
                        f"{_in_words(new)}; give what was given then, or choose another --workdir"
                    ) from None

    def __iter__(self) -> Iterator[tuple[int, Values]]:
        """The number of a trial and its values, suggested when they are asked for."""
        for _ in range(self.left):
            trial = self._study.ask()
            values = {name: _suggested(trial, name, each) for name, each in self._space.items()}
            yield trial.number, values

    def tell(self, trial: Trial, outcome: Outcome) -> None:
        """Tells Optuna what came of a trial."""
        if outcome.mean is not None:
            self._study.tell(trial.number, outcome.mean)
            return
        pruned = outcome.state == "pruned"
        self._study.tell(trial.number, state=self._state.PRUNED if pruned else self._state.FAIL)


def told_of(trial: Trial) -> list[Callback]:
    """What tells Optuna of each validation of a trial, and gives it up where Optuna says so.

    Returns:
      Nothing where Optuna has not suggested it.

    Raises:
      UserError: Optuna is not installed.
    """
    if trial.number is None:
        return []
    optuna = _optuna()
    study = optuna.load_study(
        storage=_journal(trial.folder.parent),
        study_name=_NAME,
        pruner=optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=0),
    )
    known = optuna.trial.Trial(study, study.trials[trial.number]._trial_id)
    return [_Reports(known, metric_that_counts(trial.recipe).name)]


class _Reports(Callback):
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


def _optuna() -> Any:
    try:
        optuna: Any = importlib.import_module("optuna")
        importlib.import_module("optuna.storages.journal")
    except ImportError:
        raise UserError(
            "--optuna needs Optuna 4, which is not installed: pip install 'cnn-jax[optuna]'; "
            "--random needs nothing"
        ) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _journal(folder: Path) -> Any:
    storages: Any = importlib.import_module("optuna.storages")
    file = str(folder / "optuna.log")
    return storages.JournalStorage(storages.journal.JournalFileBackend(file))


def _distribution(each: tuple[str, ...] | Range) -> Any:
    """What values are suggested from, as Optuna has it."""
    distributions: Any = importlib.import_module("optuna.distributions")
    if not isinstance(each, Range):
        return distributions.CategoricalDistribution(each)
    if each.whole:
        return distributions.IntDistribution(int(each.low), int(each.high), log=each.log)
    return distributions.FloatDistribution(each.low, each.high, log=each.log)


def _in_words(distribution: Any) -> str:
    if hasattr(distribution, "choices"):
        return f"the list {','.join(map(str, distribution.choices))}"
    return f"a range of numbers {distribution.low:g}..{distribution.high:g}"


def _suggested(trial: Any, name: str, each: tuple[str, ...] | Range) -> str:
    if not isinstance(each, Range):
        return str(trial.suggest_categorical(name, each))
    if each.whole:
        return str(trial.suggest_int(name, int(each.low), int(each.high), log=each.log))
    return f"{trial.suggest_float(name, each.low, each.high, log=each.log):.6g}"
