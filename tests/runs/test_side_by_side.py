"""Trials side by side, each on devices of its own, and what becomes of them however they end."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from cnn_jax import UserError, epochs
from cnn_jax.__main__ import read_command
from cnn_jax.commands.sweep_trial import SweepTrial
from cnn_jax.devices.shares import shares
from cnn_jax.json_values import read_json, to_json, write_json
from cnn_jax.runs import trial_process
from cnn_jax.runs.sweep_record import Outcome, Record
from cnn_jax.tasks import metric_that_counts, resolved

COUNT = "--xla_force_host_platform_device_count"
ONE_EACH = ["--devices-per-trial", "1"]


@pytest.fixture(autouse=True)
def two_devices(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", f"{os.environ['XLA_FLAGS']} {COUNT}=2")
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")


def grid(*rates):
    return ["--grid", f"lr={','.join(rates)}", *ONE_EACH]


def seen(tmp_path, rate):
    """What the stand-in of a trial has seen."""
    return read_json(tmp_path / "sw" / "trials" / f"learning_rate={rate}" / "seen.json")


def when(condition, act, seconds=20):
    """Does something in another thread once a condition holds."""

    def wait():
        end = time.monotonic() + seconds
        while not condition() and time.monotonic() < end:
            time.sleep(0.01)
        act()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_each_trial_sees_its_devices_alone_and_no_more_run_than_there_are(stand_in, tmp_path):
    status, said = stand_in({}, grid("1", "2", "3"))
    assert status == 0, said.err
    found = [seen(tmp_path, rate) for rate in "123"]
    assert all(each["XLA_FLAGS"].count(COUNT) == 1 for each in found)
    assert all(f"{COUNT}=1" in each["XLA_FLAGS"].split() for each in found)
    # Two run at once, and the third once one of them has ended.
    first, second, third = sorted(found, key=lambda each: each["began"])
    assert second["began"] < first["ended"]
    assert third["began"] > min(first["ended"], second["ended"])
    assert said.out.count("validation accuracy 50.00%\n") == 3  # a line each, besides the table
    assert [each["state"] for each in read_json(tmp_path / "sw" / "sweep.json")["trials"]] == [
        "finished"
    ] * 3


def test_a_process_that_dies_is_told_and_the_others_go_on(stand_in, tmp_path):
    does = {"learning_rate=1": "die", "learning_rate=2": "late"}
    status, said = stand_in(does, grid("1", "2", "3"))
    assert status == 1
    logs = tmp_path / "sw" / "trials"
    assert f"learning_rate=1: ended with SIGKILL (see {logs}/learning_rate=1/log.txt)" in said.out
    assert "learning_rate=2: ended with status 2: nothing of the kind\nsecond line" in said.out
    assert "learning_rate=3: validation accuracy" in said.out
    assert "2 of 3 trials have no result; the same command tries them again" in said.err
    trials = read_json(tmp_path / "sw" / "sweep.json")["trials"]
    assert [each["folder"] for each in trials] == ["learning_rate=3"]
    first = seen(tmp_path, "1")["process"]
    stand_in({}, grid("1", "3"))
    assert seen(tmp_path, "1")["process"] != first
    assert len(read_json(tmp_path / "sw" / "sweep.json")["trials"]) == 2


def test_what_a_trial_is_refused_before_it_begins_ends_the_sweep(stand_in, tmp_path):
    does = {"learning_rate=1": "wait", "learning_rate=2": "refuse"}
    status, said = stand_in(does, grid("1", "2", "3"))
    assert status == 2
    assert "error: trial learning_rate=2: nothing of the kind\nsecond line" in said.err
    assert (tmp_path / "sw" / "trials" / "learning_rate=1" / "saved").exists()
    assert not (tmp_path / "sw" / "trials" / "learning_rate=3").exists()


def test_ctrl_c_lets_all_save(stand_in, tmp_path):
    folders = [tmp_path / "sw" / "trials" / f"learning_rate={rate}" for rate in "12"]
    both = when(
        lambda: all((each / "seen.json").exists() for each in folders),
        lambda: os.kill(os.getpid(), signal.SIGINT),
    )
    does = {"learning_rate=1": "wait", "learning_rate=2": "wait"}
    status, said = stand_in(does, grid("1", "2", "3"))
    both.join()
    assert status == 75
    assert "The same command goes on from there" in said.err
    assert all((each / "saved").exists() for each in folders)
    assert not (tmp_path / "sw" / "trials" / "learning_rate=3").exists()


def test_a_second_ctrl_c_waits_for_none(stand_in, tmp_path):
    file = tmp_path / "sw" / "trials" / "learning_rate=1" / "seen.json"

    def twice():
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGINT)

    act = when(file.exists, twice)
    status, said = stand_in({"learning_rate=1": "stay"}, grid("1"))
    act.join()
    assert status == 75
    assert "stopped at once, without saving" in said.err
    with pytest.raises(ProcessLookupError):
        os.kill(read_json(file)["process"], 0)


def test_what_optuna_suggests_twice_is_not_run_twice_at_once(stand_in, tmp_path):
    optuna = pytest.importorskip("optuna")
    words = ["--space", "lr=1,2", "--optuna", "4", *ONE_EACH]
    status, said = stand_in({}, words)
    assert status == 0, said.out + said.err
    journal = optuna.storages.journal.JournalFileBackend(str(tmp_path / "sw" / "optuna.log"))
    storage = optuna.storages.JournalStorage(journal)
    trials = optuna.load_study(study_name="sweep", storage=storage).trials
    assert [each.values for each in trials] == [[0.5]] * 4
    asked = {read_json(file)["number"] for file in (tmp_path / "sw").glob("trials/*/trial.json")}
    assert asked <= {0, 1, 2, 3}
    status, said = stand_in({}, words)  # all are known
    assert status == 0 and "validation accuracy 50.00%\n" not in said.out


def test_the_process_of_a_trial_is_given_words_that_are_read(tmp_path, monkeypatch):
    given = []
    monkeypatch.setattr(trial_process.subprocess, "Popen", lambda words, **_: given.append(words))
    trial_process.start_trial(tmp_path)
    assert given[0][:3] == [sys.executable, "-m", "cnn_jax"]
    assert read_command(given[0][3:]) == SweepTrial(tmp_path, ends_with_stdin=True)


def test_gpus_and_devices_of_the_cpu_are_dealt_out(monkeypatch):
    found, there = shares(2, "--x")
    assert there == 2 and [each.name for each in found] == ["CPU 0"]
    with pytest.raises(
        UserError, match=rf"--x 3: there are only 2 devices here; XLA_FLAGS={COUNT}=3"
    ):
        shares(3, "--x")
    with pytest.raises(UserError, match="--x 0 must be at least 1"):
        shares(0, "--x")
    monkeypatch.setenv("XLA_FLAGS", "--other=1")
    monkeypatch.setenv("JAX_NUM_CPU_DEVICES", "3")
    found, there = shares(1, "--x")
    assert there == 3 and len(found) == 3
    assert found[0].environment["XLA_FLAGS"] == f"--other=1 {COUNT}=1"
    assert "JAX_NUM_CPU_DEVICES" not in found[0].environment
    monkeypatch.delenv("JAX_PLATFORMS")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,GPU-a,6")
    found, there = shares(1, "--x")
    assert [each.environment["CUDA_VISIBLE_DEVICES"] for each in found] == ["4", "GPU-a", "6"]
    found, there = shares(2, "--x")
    assert there == 3 and [each.name for each in found] == ["GPU 4,GPU-a"]
    with pytest.raises(UserError, match=r"--x 4: there are only 3 devices here$"):
        shares(4, "--x")


def test_processes_that_store_outcomes_at_once_lose_none(tiny, tmp_path):
    metric = metric_that_counts(tiny)
    first, second = Record(tmp_path / "sw", metric), Record(tmp_path / "sw", metric)
    first.add(Outcome("a", {}, "finished", 1, 0.1))
    second.add(Outcome("b", {}, "finished", 1, 0.2))
    first.add(Outcome("c", {}, "finished", 1, 0.3))
    assert sorted(Record(tmp_path / "sw", metric).outcomes) == ["a", "b", "c"]


@pytest.mark.slow
def test_killed_in_every_way_trials_come_to_the_end_of_those_run_in_turn(tiny, changed, tmp_path):
    recipe = changed(tiny, {"duration": epochs(30), "model.options": {"widths": (4,)}})
    write_json(tmp_path / "tiny.json", to_json(resolved(recipe)))

    def start(name, *words, devices=2):
        environment = {**os.environ, "XLA_FLAGS": f"{COUNT}={devices}"}
        words = ["--grid", "lr=0.01,0.1", "--workdir", str(tmp_path / name), *words]
        return subprocess.Popen(
            [sys.executable, "-m", "cnn_jax", "sweep", str(tmp_path / "tiny.json"), *words],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment,
        )  # fmt: skip

    def lines(name):
        """What each run has told, but for what depends on time."""
        return {
            file.parent.name: [
                {k: v for k, v in json.loads(line).items() if k != "images_per_second"}
                for line in file.read_text().splitlines()
            ]
            for file in (tmp_path / name).glob("*/metrics.jsonl")
        }

    def further(process):
        """Waits until both trials have told more."""
        before = lines("side")
        end = time.monotonic() + 200
        while time.monotonic() < end:
            now = lines("side")
            if len(now) == 2 and all(len(now[each]) > len(before.get(each, [])) for each in now):
                return
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)
        raise AssertionError("the trials go no further")

    def children(process):
        file = f"/proc/{process.pid}/task/{process.pid}/children"
        with open(file) as listed:  # noqa: PTH123
            return [int(each) for each in listed.read().split()]

    killed = start("side", *ONE_EACH)  # a trial, and then all are stopped
    further(killed)
    os.kill(children(killed)[0], signal.SIGKILL)
    time.sleep(0.5)
    killed.send_signal(signal.SIGINT)
    printed, _ = killed.communicate(timeout=100)
    assert killed.returncode == 75 and "ended with SIGKILL" in printed, printed
    killed = start("side", *ONE_EACH)  # the sweep itself
    further(killed)
    killed.kill()
    killed.communicate()
    ended = start("side", *ONE_EACH)
    printed, _ = ended.communicate(timeout=400)
    assert ended.returncode == 0, printed
    in_turn = start("turn", devices=1)
    printed, _ = in_turn.communicate(timeout=400)
    assert in_turn.returncode == 0, printed
    assert lines("side") == lines("turn")
    side, turn = (read_json(tmp_path / name / "sweep.json") for name in ("side", "turn"))
    assert sorted(side["trials"], key=str) == sorted(turn["trials"], key=str)
