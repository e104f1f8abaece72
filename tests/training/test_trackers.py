"""What Weights & Biases and MLflow are given, with stand-ins for their packages."""

import sys
from types import SimpleNamespace

import pytest
from tiny_task import spec

from cnn_jax import MlflowLog, Recipe, RunFacts, UserError, WandbLog
from cnn_jax.training.trackers import trackers


class Recorder:
    """Writes down every call of a method, and gives what it was told to."""

    def __init__(self, **gives):
        self.calls, self.gives = [], gives

    def __getattr__(self, name):
        def call(*given, **named):
            self.calls.append((name, *given, named) if named else (name, *given))
            return self.gives.get(name)

        return call

    def of(self, name):
        return [call[1:] for call in self.calls if call[0] == name]


def play(log, folder, *, step=0, summary=None, restart=None):
    """A run of two events."""
    log.start(RunFacts(Recipe("made up", seed=4), folder, spec(), step=step, restart=restart))
    log.step(step + 10, {"loss": 0.5, "grad_norms": {"conv1": 2.0}})
    log.validation(step + 20, {"accuracy": 0.25})
    log.saving(step + 20)
    log.end(summary, "" if summary else "stopped")


SUMMARY = {"steps": 40, "test": {"accuracy": 0.125}}


@pytest.fixture
def wandb(monkeypatch):
    run = Recorder()
    run.summary = {}
    package = Recorder(init=run)
    package.run = run
    monkeypatch.setitem(sys.modules, "wandb", package)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    return package


def test_wandb_is_told_everything_and_goes_on_with_its_run(wandb, tmp_path):
    log = WandbLog()
    play(log, tmp_path)
    play(log, tmp_path, step=20, summary=SUMMARY)
    (first,), (second,) = wandb.of("init")
    assert first["mode"] == "offline" and first["project"] == "made up"
    assert first["dir"] == str(tmp_path) and first["config"]["seed"] == 4
    assert first["id"] == second["id"] and first["resume"] == "allow"
    assert [call[0] for call in wandb.run.of("log")] == [
        {"step": 10, "train/loss": 0.5, "grad_norms/conv1": 2.0},
        {"step": 20, "validation/accuracy": 0.25},
        {"step": 30, "train/loss": 0.5, "grad_norms/conv1": 2.0},
        {"step": 40, "validation/accuracy": 0.25},
    ]
    assert wandb.run.of("define_metric") == [("*", {"step_metric": "step"})] * 2
    assert wandb.run.of("finish") == [({"exit_code": 1},), ({"exit_code": 0},)]
    assert wandb.run.summary == {"test/accuracy": 0.125}


def test_wandb_sends_only_where_it_is_asked_to(wandb, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "online")
    play(WandbLog(), tmp_path)
    play(WandbLog(mode="disabled", project="digits"), tmp_path)
    assert [(call[0]["mode"], call[0]["project"]) for call in wandb.of("init")] == [
        ("online", "made up"),
        ("disabled", "digits"),
    ]


def test_going_back_after_a_failure_goes_on_with_the_same_run(wandb, tmp_path):
    log = WandbLog()
    log.start(RunFacts(Recipe("made up"), tmp_path, spec()))
    play(log, tmp_path, step=10, restart={"failed": 13, "why": "nan"})
    assert len(wandb.of("init")) == 1
    assert wandb.run.of("log")[0] == ({"step": 10, "restart/failed": 13},)


@pytest.fixture
def mlflow(monkeypatch):
    client = Recorder(
        create_experiment="7", create_run=SimpleNamespace(info=SimpleNamespace(run_id="abc"))
    )
    package = Recorder(MlflowClient=client)
    package.entities = SimpleNamespace(Metric=lambda *given: given, Param=lambda *given: given)
    package.client = client
    monkeypatch.setitem(sys.modules, "mlflow", package)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return package


def test_mlflow_is_told_everything_and_goes_on_with_its_run(mlflow, tmp_path):
    log, folder, client = MlflowLog(), tmp_path / "run", mlflow.client
    folder.mkdir()
    play(log, folder)
    play(log, folder, step=20, summary=SUMMARY)
    assert mlflow.of("MlflowClient") == [({"tracking_uri": f"sqlite:///{tmp_path}/mlflow.db"},)] * 2
    assert client.of("create_experiment") == [("made up",)]
    assert client.of("create_run") == [("7", {"run_name": "run"})]
    batches = [named for _, named in client.of("log_batch")]
    assert ("seed", "4") in [field for each in batches for field in each.get("params", ())]
    told = [metric for each in batches for metric in each.get("metrics", ())]
    assert [(name, value, step) for name, value, _, step in told] == [
        ("train/loss", 0.5, 10),
        ("grad_norms/conv1", 2.0, 10),
        ("validation/accuracy", 0.25, 20),
        ("train/loss", 0.5, 30),
        ("grad_norms/conv1", 2.0, 30),
        ("validation/accuracy", 0.25, 40),
        ("test/accuracy", 0.125, 40),
    ]
    assert client.of("set_terminated") == [("abc", "FAILED"), ("abc", "FINISHED")]


def test_mlflow_may_lie_elsewhere(mlflow, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://there")
    play(MlflowLog(), tmp_path)
    play(MlflowLog(store="file:///here"), tmp_path)
    stores = [call[0]["tracking_uri"] for call in mlflow.of("MlflowClient")]
    assert stores == ["http://there", "file:///here"]


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_what_is_not_installed_is_named_with_its_extra(name, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UserError, match=rf"--log {name} needs.*pip install 'cnn-jax\[{name}\]'"):
        trackers([name])


def test_a_folder_of_that_name_is_no_package(tmp_path, monkeypatch):
    (tmp_path / "wandb").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "wandb", raising=False)
    with pytest.raises(UserError, match="needs the package wandb"):
        WandbLog()
    del sys.modules["wandb"]


def test_each_log_is_made_once(wandb, mlflow):
    assert [type(each) for each in trackers(["wandb", "mlflow", "wandb"])] == [WandbLog, MlflowLog]
