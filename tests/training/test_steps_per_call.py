"""Many steps in one call: the same run as step by step."""

import json

import jax
import numpy as np
import pytest
from rich.console import Console

from cnn_jax import Augment, Parallel, UserError, steps, train
from cnn_jax.restored import restore
from cnn_jax.runs.experiment import Experiment
from cnn_jax.training.plan import Plan
from cnn_jax.training.program import Program
from cnn_jax.training.stop import Stopped, StopRequest

QUIET = Console(quiet=True)
FOUR = Parallel(steps_per_call=4)


@pytest.fixture(scope="module")
def recipe(tiny, changed):
    """Validated after 9 and 18 of 22 steps: two calls of four steps, and one of one, at first."""
    fields = {"duration": steps(22), "validate_every": steps(9), "checkpoints.every": steps(22)}
    fields |= {"log_every": steps(2), "checkpoints.keep_latest": 5}
    return changed(tiny, fields | {"augment": Augment(mirror="alternating")})


@pytest.fixture(scope="module")
def experiment(recipe):
    return Experiment.of(recipe, parallel=FOUR)


@pytest.fixture(scope="module")
def alone(recipe, tmp_path_factory):
    path = tmp_path_factory.mktemp("alone") / "run"
    return train(recipe, path, console=QUIET), path


def lines(path):
    entries = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in e.items() if k != "images_per_second"} for e in entries]


def assert_same_run(path, other, *, saved=True):
    found, expected = lines(path), lines(other)
    assert [(e["kind"], e["step"]) for e in found] == [(e["kind"], e["step"]) for e in expected]
    for one, two in zip(found, expected, strict=True):
        del one["kind"], two["kind"]
        assert one == pytest.approx(two, rel=1e-4)
    if saved:
        there = [{p.name for p in (f / "checkpoints").glob("[0-9]*")} for f in (path, other)]
        assert there[0] == there[1]
    variables = [restore(f, "latest").variables for f in (path, other)]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), *variables)


def counted(monkeypatch):
    """The calls that are made: how many steps each has."""
    made = []
    plain = Program.train_step

    def call(self, *arguments):
        indices = arguments[3]
        made.append(indices.shape[0] if indices.ndim == 2 else 1)
        return plain(self, *arguments)

    monkeypatch.setattr(Program, "train_step", call)
    return made


def test_the_run_is_that_of_single_steps(recipe, experiment, alone, tmp_path, monkeypatch):
    made = counted(monkeypatch)
    train(recipe, tmp_path / "run", experiment=experiment, console=QUIET)
    assert made == [4, 4, 1, 4, 4, 1, 4]
    assert_same_run(tmp_path / "run", alone[1])


def test_a_stopped_run_goes_on(recipe, experiment, alone, tmp_path, monkeypatch):
    made = counted(monkeypatch)

    class After(StopRequest):
        def __call__(self):
            return len(made) >= 4

    with pytest.raises(Stopped, match="stopped at step 13 of 22"), After() as stop:
        train(recipe, tmp_path / "run", experiment=experiment, console=QUIET, stop=stop)
    train(recipe, tmp_path / "run", experiment=experiment, console=QUIET)
    assert sum(made) == 22
    assert [e["step"] for e in lines(tmp_path / "run") if e["kind"] == "validation"] == [9, 18, 22]
    assert_same_run(tmp_path / "run", alone[1], saved=False)


def test_debugging_is_step_by_step(recipe):
    assert Experiment.of(recipe, parallel=FOUR, debug=True).program.steps_per_call == 1


@pytest.mark.parametrize(
    ("parallel", "message"),
    [
        (Parallel(steps_per_call=0), "--parallel.steps-per-call 0 must be at least 1"),
        (Parallel(steps_per_call=2, compile="pmap"), "--parallel.steps-per-call 2 must be 1"),
    ],
)
def test_what_cannot_be_is_said(parallel, message, recipe):
    with pytest.raises(UserError, match=message):
        Experiment.of(recipe, parallel=parallel)


def plan(**fields):
    values = {"total": 1000, "validate": 430.0, "save": 430.0, "log": 1, "examples": 1}
    return Plan(**values | {"batch_size": 1} | fields)


@pytest.mark.parametrize("interval", [1.0, 2.5, 7.0, 19.328125, 390.625])
def test_the_next_step_whose_state_is_needed(interval):
    """Of intervals that are not whole too, as `scheduled` has it step by step."""
    made = plan(validate=interval, save=1e9)
    needed = [step for step in range(1, 1001) if made.scheduled(step)]
    for step in range(1000):
        assert made.next_scheduled(step) == next(n for n in needed if n > step)


def test_the_fewest_calls_are_taken():
    # 430, 430 and 140 steps are 10 + 10 + 14 calls with 43, of which 11 have one step.
    assert plan().together(50) == 43
    assert plan().together(10) == 10
    assert plan(total=400, validate=100.0, save=100.0).together(50) == 50
    assert plan().together(1) == 1
