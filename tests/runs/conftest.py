"""One small run that the tests of this folder look at."""

import json
import shutil
from pathlib import Path

import pytest
from rich.console import Console

from cnn_jax import Augment, Callback, steps, train
from cnn_jax.__main__ import main
from cnn_jax.json_values import to_json, write_json
from cnn_jax.runs.experiment import Experiment
from cnn_jax.tasks import resolved
from cnn_jax.training.stop import Stopped, StopRequest

HERE = Path(__file__).parent


class Heard(Callback):
    """Writes down what it is told."""

    def __init__(self):
        self.events = []

    def start(self, run):
        self.events.append(("start", run.step, run))

    def step(self, step, values):
        self.events.append(("step", step, values))

    def validation(self, step, values):
        self.events.append(("validation", step, values))

    def saving(self, step):
        self.events.append(("saving", step, None))

    def end(self, summary, why):
        self.events.append(("end", why, summary))


@pytest.fixture
def heard():
    return Heard()


@pytest.fixture(scope="session")
def logged(tiny, changed):
    """A recipe of 39 steps, of which every tenth is written; it validates after 19 and 39."""
    return changed(tiny, {"log_every": steps(10)})


@pytest.fixture(scope="session")
def logged_experiment(logged):
    return Experiment.of(logged)


@pytest.fixture(scope="session")
def logged_run(logged, logged_experiment, tmp_path_factory):
    """An undisturbed run, and what was told of it."""
    heard, path = Heard(), tmp_path_factory.mktemp("runs") / "logged"
    quiet = Console(quiet=True)
    found = train(logged, path, console=quiet, experiment=logged_experiment, callbacks=[heard])
    return found, heard.events


@pytest.fixture
def goes_on(monkeypatch):
    """`goes_on(experiment, recipe, folder, after)`: the summary of a run that was stopped after so
    many steps and then gone on with."""

    def run(experiment, recipe, folder, after):
        plain, made = experiment.program.train_step, []

        def counted(*arguments):
            made.append(arguments)
            return plain(*arguments)

        quiet = Console(quiet=True)
        with monkeypatch.context() as patched:
            patched.setattr(experiment.program, "train_step", counted)
            patched.setattr(StopRequest, "__call__", lambda self: len(made) >= after)
            with pytest.raises(Stopped):
                train(recipe, folder, console=quiet, experiment=experiment)
        return train(recipe, folder, console=quiet, experiment=experiment)

    return run


@pytest.fixture
def described():
    """`described(run)`: what a report says of a run, its page having been written."""
    from cnn_jax.report.page.described import Asked, described
    from cnn_jax.report.page.page import page

    def describe(run):
        with pytest.MonkeyPatch.context() as patch:
            # Either takes seconds, and is tested elsewhere.
            patch.setattr("cnn_jax.report.page.page.chart_script", lambda: "")
            patch.setattr("cnn_jax.report.page.results.BOOTSTRAPS", 20)
            found = described(run, Asked(examples=5, mistakes=6))
            assert page(found).endswith("</html>")
            return found

    return describe


@pytest.fixture
def stand_in(tiny, tmp_path, capsys, monkeypatch):
    """`stand_in({folder: what its trial does}, words)`: the status of a sweep `sw` whose trials
    are stood in for (see `stand_in_trials`), and what it prints."""
    write_json(tmp_path / "tiny.json", to_json(resolved(tiny)))
    (tmp_path / "first").mkdir()
    shutil.copy(HERE / "stand_in_trials.py", tmp_path / "first" / "sitecustomize.py")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'first'}:{HERE.parent.parent}")

    def run(does, words):
        monkeypatch.setenv("STAND_IN", json.dumps(does))
        status = 0
        try:
            main(["sweep", str(tmp_path / "tiny.json"), "--workdir", str(tmp_path / "sw"), *words])
        except SystemExit as stopped:
            status = stopped.code
        return status, capsys.readouterr()

    return run


@pytest.fixture(scope="module")
def idle(tiny, changed):
    """A recipe that learns nothing, and is quickly compiled. How long it is is not compiled."""
    return changed(
        tiny,
        {
            "optimizer.learning_rate": 0.0,
            "schedule.name": "constant",
            "ema": None,
            "augment": Augment(),
            "model.options": {"widths": (4,), "hidden": ()},
        },
    )


@pytest.fixture(scope="module")
def idle_experiment(idle):
    return Experiment.of(idle)


@pytest.fixture
def stop_when():
    """Lets a signal come once so many steps have been started."""

    def stop_when(experiment, step, monkeypatch):
        plain, made = experiment.program.train_step, []

        def counted(state, *rest):
            made.append(state)
            return plain(state, *rest)

        monkeypatch.setattr(experiment.program, "train_step", counted, raising=True)
        monkeypatch.setattr(StopRequest, "__call__", lambda self: len(made) >= step)

    return stop_when
