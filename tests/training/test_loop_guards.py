"""What the loop must never do, and what it does after a failure."""

import json
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from rich.console import Console

from cnn_jax import Augment, Parallel, models, steps, train
from cnn_jax.data import Order
from cnn_jax.layers.basic import Dense
from cnn_jax.runs.experiment import Experiment
from cnn_jax.training.program import Program
from cnn_jax.training.progress import NonFinite
from cnn_jax.training.stop import Stopped, StopRequest

QUIET = Console(quiet=True)


@pytest.fixture(scope="module")
def short(tiny, changed):
    return changed(
        tiny,
        {
            "augment": Augment(mirror="alternating"),
            "duration": steps(24),
            "validate_every": steps(8),
            "checkpoints.every": steps(4),
            "log_every": steps(1),
        },
    )


def test_nothing_is_compiled_after_the_first_step(short, tmp_path, monkeypatch):
    compiled = []

    def listen(event, *_, **__):
        if event.endswith("backend_compile_duration"):
            compiled.append(event)

    counts = []
    step = Program.train_step

    def counted(self, *arguments):
        counts.append(len(compiled))
        return step(self, *arguments)

    monkeypatch.setattr(Program, "train_step", counted)
    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        train(short, tmp_path / "run", experiment=Experiment.of(short), console=QUIET)
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
    assert counts[0] > 0, "the listener hears the compiler"
    # Validations, saves and the test at the end compile nothing either.
    assert counts[-1] == counts[0] == len(compiled)


def test_the_loop_copies_only_what_it_says(short, tmp_path):
    """The guard is on in the whole loop: steps, validations, saves."""
    summary = train(short, tmp_path / "run", debug=True, console=QUIET)
    with (
        pytest.raises(Exception, match="Disallowed host-to-device"),
        jax.transfer_guard("disallow"),
    ):
        jax.jit(lambda x: x + 1)(np.ones(3))
    assert summary["steps"] == 24


class Fragile(nn.Module):
    """Divides by zero at one image."""

    num_classes: int
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x, *, train=False):
        logits = Dense(self.num_classes, name="head")(x.reshape(len(x), -1))
        if not train:
            return logits
        flawed = jnp.sum(jnp.abs(x - FLAW), axis=(1, 2, 3)) < 1e-3
        return logits / (1 - flawed[:, None].astype(jnp.float32))


FLAW = jnp.zeros(())


@pytest.fixture(scope="module")
def fragile(short, changed):
    if "fragile" not in models.names():
        models.register("fragile", Fragile, input_shape=(8, 8, 1), num_classes=10, paper="none")
    return changed(
        short,
        {
            "model.name": "fragile",
            "model.options": {},
            "augment": Augment(),
            "optimizer.learning_rate": 0.01,
        },
    )


@pytest.fixture(scope="module")
def experiment(fragile):
    """With the image of the 14th batch that the model cannot stand."""
    global FLAW
    made = Experiment.of(fragile)
    indices, _ = Order(0, len(made.dataset.train), 64)(13)
    image = made.dataset.train.images[indices[5]][None]
    FLAW = made.program.task.prepared(jnp.asarray(image))[0]
    return made


@pytest.fixture(scope="module")
def calls_of_four(fragile, experiment):
    """The same, with four steps a call."""
    return Experiment.of(fragile, parallel=Parallel(steps_per_call=4))


def lines(path, kind):
    entries = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    return [entry for entry in entries if entry["kind"] == kind]


@pytest.mark.parametrize("made", ["experiment", "calls_of_four"])
def test_without_restarts_a_failure_is_an_error(made, fragile, tmp_path, request):
    """Also in the middle of a call of many steps, which goes from 12 to 16."""
    made = request.getfixturevalue(made)
    with pytest.raises(NonFinite, match="the loss of step 13 is") as failure:
        train(fragile, tmp_path / "run", experiment=made, console=QUIET)
    assert "checkpoint is that of step 12 " in str(failure.value)
    assert [entry["step"] for entry in lines(tmp_path / "run", "train")] == list(range(1, 14))


def test_a_restart_leaves_out_the_batches_to_the_failure(
    fragile, experiment, calls_of_four, tmp_path, monkeypatch
):
    path = tmp_path / "run"
    summary = train(fragile, path, restarts=2, experiment=experiment, console=QUIET)
    # The last good checkpoint is that of step 12: batches 12 and 13 are left out.
    assert (summary["restarts"], summary["skipped_batches"]) == (1, 2)
    [restart] = lines(path, "restart")
    assert (restart["step"], restart["failed"], restart["skipped"]) == (12, 13, 2)
    assert [entry["step"] for entry in lines(path, "train")] == list(range(1, 25))

    # The run is a function of recipe and seed all the same: repeated, it comes to the same.
    again = train(fragile, tmp_path / "again", restarts=2, experiment=experiment, console=QUIET)
    assert again["test"] == summary["test"]

    # So it does where a call has many steps.
    calls = train(fragile, tmp_path / "calls", restarts=2, experiment=calls_of_four, console=QUIET)
    assert calls["skipped_batches"] == 2
    assert calls["test"] == pytest.approx(summary["test"], rel=1e-4)

    # And so it does where it is interrupted after the restart, before and after the next save.
    for at in (2, 7):
        stopped = tmp_path / f"stopped-{at}"
        with pytest.raises(KeyboardInterrupt):
            _interrupted(fragile, experiment, stopped, 13 + 1 + at, monkeypatch)
        resumed = train(fragile, stopped, restarts=2, experiment=experiment, console=QUIET)
        assert resumed["test"] == summary["test"]
        assert [entry["step"] for entry in lines(stopped, "train")] == list(range(1, 25))
        assert [r["failed"] for r in lines(stopped, "restart")] == [13]


def test_a_stop_does_not_change_where_a_restart_goes_back_to(fragile, experiment, tmp_path):
    """A checkpoint that a signal has saved is not one to go back to."""
    options = {"restarts": 1, "experiment": experiment, "console": QUIET}
    whole = train(fragile, tmp_path / "whole", **options)
    path = tmp_path / "stopped"
    calls = []

    class After(StopRequest):
        def __call__(self):
            calls.append(1)
            return len(calls) > 30  # asked twice a step, and before each of four batches validated

    with pytest.raises(Stopped, match="stopped at step 13 of 24"), After() as stop:
        train(fragile, path, **options, stop=stop)
    resumed = train(fragile, path, **options)
    assert (resumed["restarts"], resumed["skipped_batches"]) == (1, 2)
    assert resumed["test"] == whole["test"]
    assert (path / "checkpoints" / "13.left").is_dir()


def test_the_time_of_a_failed_part_counts_once(fragile, experiment, tmp_path):
    began = time.perf_counter()
    summary = train(fragile, tmp_path / "run", restarts=1, experiment=experiment, console=QUIET)
    assert 0 < summary["seconds"]["total"] <= time.perf_counter() - began


def _interrupted(recipe, experiment, path, calls, monkeypatch):
    """Ends as if killed in the so manieth step."""
    step, made = Program.train_step, [0]

    def counted(self, *arguments):
        made[0] += 1
        if made[0] > calls:
            raise KeyboardInterrupt
        return step(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Program, "train_step", counted)
        train(recipe, path, restarts=2, experiment=experiment, console=QUIET)


def test_debug_names_the_operation(fragile, experiment, tmp_path):
    with pytest.raises(NonFinite) as failure:
        train(fragile, tmp_path / "run", debug=True, console=QUIET)
    _, where = str(failure.value).split("First not finite: ")
    assert "encountered in div" in where
    assert "return logits / (1 - flawed" in where
