"""Training that ends early where validation brings nothing new."""

import io

import pytest
from rich.console import Console

from cnn_jax import steps, train
from cnn_jax.json_values import read_json
from cnn_jax.training.stop import Stopped

QUIET = Console(quiet=True)


def test_another_metric_starts_patience_anew(idle, idle_experiment, changed, sharing, tmp_path):
    path = tmp_path / "run"
    # Three validations that bring nothing are one too many, of whichever metric.
    fields = {"early_stopping.patience": 3, "validate_every": steps(5)}
    recipe = changed(idle, {**fields, "duration": steps(15)})
    experiment = sharing(idle_experiment, recipe)
    # The first sets the mark, and two bring nothing.
    assert train(recipe, path, console=QUIET, experiment=experiment)["stopped"] == "end"
    recipe = changed(idle, {**fields, "checkpoints.metric": "loss"})
    experiment = sharing(idle_experiment, recipe)
    summary = train(recipe, path, console=QUIET, experiment=experiment, allow_change=True)
    # By the loss the next sets the mark anew, and three bring nothing.
    assert (summary["steps"], summary["stopped"]) == (35, "early")


def test_patience_stops_early(
    idle, idle_experiment, changed, sharing, tmp_path, monkeypatch, stop_when
):
    recipe = changed(idle, {"early_stopping.patience": 2, "validate_every": steps(5)})
    shown, experiment = io.StringIO(), sharing(idle_experiment, recipe)
    console = Console(file=shown, width=300)
    summary = train(recipe, tmp_path / "run", console=console, experiment=experiment)
    assert summary["steps"] == 15  # the first validation sets the mark, two bring nothing
    assert summary["best"]["step"] == 15  # of equals the last
    assert summary["stopped"] == read_json(tmp_path / "run" / "summary.json")["stopped"] == "early"
    [said] = [line for line in shown.getvalue().splitlines() if line.startswith("stopped early")]
    assert said.startswith(
        "stopped early after step 15 of 39: the validation accuracy has not improved in "
        "2 validations (--early-stopping.patience 2); the best was "
    )

    # The validations that brought nothing are counted over a stop in their midst.
    stop_when(experiment, 12, monkeypatch)
    with pytest.raises(Stopped, match="stopped at step 12 of 39"):
        train(recipe, tmp_path / "stopped", console=QUIET, experiment=experiment)
    monkeypatch.undo()
    again = train(recipe, tmp_path / "stopped", console=QUIET, experiment=experiment)
    assert again["steps"] == 15 and again["stopped"] == "early"


@pytest.mark.parametrize(("least", "made", "best"), [(0.0, 25, 20), (0.02, 15, 15), (0.06, 10, 10)])
def test_a_change_that_is_too_small_is_none(
    least, made, best, idle, idle_experiment, changed, sharing, tmp_path, monkeypatch
):
    """The accuracy rises by 0.05, 0.01, 0.03 and then falls: patience is 1."""
    accuracies = iter([0.2, 0.25, 0.26, 0.29, 0.2, 0.2, 0.2, 0.2])
    recipe = changed(
        idle,
        {
            "early_stopping.patience": 1,
            "early_stopping.min_change": least,
            "validate_every": steps(5),
        },
    )
    experiment = sharing(idle_experiment, recipe)
    plain = experiment.program.evaluate

    def evaluate(variables, split, *stop, **choosing):
        found = plain(variables, split, *stop)
        if len(split) == 200:
            found["accuracy"] = next(accuracies)
        return found

    monkeypatch.setattr(experiment.program, "evaluate", evaluate)
    summary = train(recipe, tmp_path / "run", console=QUIET, experiment=experiment)
    assert (summary["steps"], summary["best"]["step"]) == (made, best)
