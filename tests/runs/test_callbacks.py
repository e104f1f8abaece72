"""What callbacks are told of a run, and what becomes of a run whose callback fails."""

import contextlib
import io
import json
import sys

import jax
import numpy as np
import pytest
from rich.console import Console

from cnn_jax import Callback, UserError, main, train, train_seeds
from cnn_jax.checkpoints.checkpoints import Checkpoints
from cnn_jax.run_folder import RunFolder
from cnn_jax.training.callbacks import CallbackFailed, Callbacks
from cnn_jax.training.stop import Stopped

QUIET = Console(quiet=True)


def told(events):
    """Metrics, without what the clock says."""
    found = []
    for kind, step, values in events:
        if kind in ("step", "validation"):
            kept = {name: x for name, x in values.items() if name != "images_per_second"}
            found.append((kind, step, kept))
    return found


def test_every_event_comes_once_and_in_order(logged, logged_run):
    result, events = logged_run
    assert [event[:2] for event in events] == [
        ("start", 0),
        ("step", 10),
        ("validation", 19),
        ("saving", 19),
        ("step", 20),
        ("step", 30),
        ("step", 39),
        ("validation", 39),
        ("saving", 39),
        ("end", ""),
    ]
    facts, summary = events[0][2], events[-1][2]
    assert facts.recipe.model == logged.model and facts.folder == result.folder
    assert facts.spec.examples["validation"] == 200
    assert summary == result == json.loads((result.folder / "summary.json").read_text())


def test_the_json_lines_are_what_callbacks_are_told(logged_run):
    result, events = logged_run
    kinds = {"train": "step", "validation": "validation"}
    lines = [
        (kinds[entry.pop("kind")], entry.pop("step"), entry)
        for entry in map(json.loads, (result.folder / "metrics.jsonl").read_text().splitlines())
    ]
    assert lines == [event for event in events if event[0] in kinds.values()]


class At:
    """Asks to stop once an event has come."""

    def __init__(self, heard, kind, step):
        self.heard, self.wanted = heard, (kind, step)

    def __call__(self):
        return any(event[:2] == self.wanted for event in self.heard.events)

    def saving(self):
        return contextlib.nullcontext()


@pytest.mark.parametrize("at", [("step", 10), ("validation", 19)], ids=str)
def test_over_a_stop_and_a_resume_every_event_comes_once(
    at, logged, logged_experiment, logged_run, heard, tmp_path
):
    how = {"console": QUIET, "experiment": logged_experiment, "callbacks": [heard]}
    with pytest.raises(Stopped):
        train(logged, tmp_path / "run", stop=At(heard, *at), **how)
    assert heard.events[-1][0] == "end" and "stopped at step" in heard.events[-1][1]
    assert heard.events[-1][2] is None
    before = len(heard.events)
    train(logged, tmp_path / "run", **how)
    start = heard.events[before]
    assert start[0] == "start" and start[1] == heard.events[before - 2][1] > 0
    assert told(heard.events) == told(logged_run[1])


class Broken(Callback):
    """Divides by zero at an event."""

    def __init__(self, kind, step):
        self.kind, self.at = kind, step

    def step(self, step, values):
        self.divide("step", step)

    def validation(self, step, values):
        self.divide("validation", step)

    def saving(self, step):
        self.divide("saving", step)

    def divide(self, kind, step):
        return 1 / (1 - ((kind, step) == (self.kind, self.at)))


@pytest.mark.parametrize("kind, step", [("step", 10), ("validation", 19), ("saving", 39)])
def test_where_a_callback_fails_the_state_is_saved_and_the_run_goes_on_to_the_same(
    kind, step, logged, logged_experiment, logged_run, heard, tmp_path
):
    path = tmp_path / "run"
    how = {"console": QUIET, "experiment": logged_experiment}
    with pytest.raises(CallbackFailed) as failed:
        train(logged, path, callbacks=[Broken(kind, step), heard], **how)
    message = str(failed.value)
    assert f"the callback Broken failed in {kind}(): ZeroDivisionError" in message
    assert "test_callbacks.py, line " in message and "saved" in message
    assert isinstance(failed.value.__cause__, ZeroDivisionError)
    saved = max(RunFolder(path).steps())
    assert saved >= step
    # The others are told on, to the last step that is saved, and of the end.
    assert heard.events[-1][0] == "end" and heard.events[-1][2] is None
    again = train(logged, path, callbacks=[heard], **how)
    assert again["test"] == logged_run[0]["test"]
    assert told(heard.events) == told(logged_run[1])


def test_a_callback_that_fails_at_the_start_lets_nothing_begin(
    logged, logged_experiment, heard, tmp_path
):
    class Early(Callback):
        def start(self, run):
            raise UserError("there is no room")

    how = {"console": QUIET, "experiment": logged_experiment}
    with pytest.raises(CallbackFailed, match=r"Early failed in start\(\): there is no room"):
        train(logged, tmp_path / "run", callbacks=[Early(), heard], **how)
    assert [event[0] for event in heard.events] == ["start", "end"]
    assert not RunFolder(tmp_path / "run").steps()


def test_a_callback_that_fails_at_the_end_loses_no_result(
    logged, logged_experiment, logged_run, tmp_path
):
    class Late(Callback):
        def end(self, summary, why):
            raise OSError("no network")

    path = tmp_path / "run"
    with pytest.raises(CallbackFailed, match=r"Late failed in end\(\).*is finished"):
        train(logged, path, console=QUIET, experiment=logged_experiment, callbacks=[Late()])
    summary = json.loads((path / "summary.json").read_text())
    assert summary["test"] == logged_run[0]["test"]


def test_another_failure_is_not_hidden_by_a_callback(
    logged, logged_experiment, tmp_path, monkeypatch
):
    class Late(Callback):
        def end(self, summary, why):
            raise KeyError("why")

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Checkpoints, "save", full)
    shown = io.StringIO()
    how = {"console": Console(file=shown, width=200), "experiment": logged_experiment}
    with pytest.raises(UserError, match="No space left on device"):
        train(logged, tmp_path / "run", callbacks=[Late()], **how)
    assert "the callback Late failed in end(): KeyError" in shown.getvalue()


def test_callbacks_may_compute_and_change_what_they_are_given(heard):
    class Busy(Callback):
        def step(self, step, values):
            values["loss"] = float(jax.jit(lambda x: x + 1)(np.ones(())))

    told = Callbacks([], [Busy(), heard])
    with jax.transfer_guard("disallow"):  # as with --debug
        told.step(1, {"loss": 0.5})
    assert told.failure is None
    assert heard.events == [("step", 1, {"loss": 0.5})]


def test_a_finished_run_tells_nothing(logged, logged_run, heard):
    again = train(logged, logged_run[0].folder, console=QUIET, callbacks=[heard])
    assert again == logged_run[0] and not heard.events


@pytest.mark.parametrize(
    "given, message",
    [
        ([Broken], "the class Broken"),
        (Broken("step", 1), "must be a list"),
        ([print], "which is no callback"),
    ],
)
def test_what_is_no_callback_is_refused(given, message, logged, tmp_path):
    with pytest.raises(UserError, match=message):
        train(logged, tmp_path / "run", console=QUIET, callbacks=given)
    assert not (tmp_path / "run").exists()


def test_seeds_at_once_have_no_callbacks(logged, heard, tmp_path):
    with pytest.raises(UserError, match="one run at a time"):
        train_seeds(logged, tmp_path, 2, at_once=True, console=QUIET, callbacks=[heard])


def test_a_log_whose_package_is_missing_is_an_error_before_the_run(
    logged, tmp_path, monkeypatch, capsys
):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(SystemExit) as ended:
        main(logged, ["--log", "wandb", "--workdir", str(tmp_path / "run")])
    assert ended.value.code == 2
    assert "pip install 'cnn-jax[wandb]'" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
