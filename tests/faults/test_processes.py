"""Several processes of one job on this machine, and devices that come and go."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import short_runs as runs

from cnn_jax.json_values import read_json, to_json


def job(recipe, path, *words, processes=2, devices=1, moment="none"):
    """The command of a job of several processes."""
    return [
        sys.executable, "-m", "cnn_jax", "launch", "--processes", str(processes),
        "--devices", str(devices), "--heartbeat", "5", "--patience", "20", "--",
        runs.CHILD, json.dumps(to_json(recipe)), moment, "--workdir", str(path), *words,
    ]  # fmt: skip


def run_job(*arguments, **options):
    return subprocess.run(
        job(*arguments, **options), capture_output=True, text=True, check=False, timeout=240
    )


def start(recipe, path, layout, *words, moment="none"):
    """Runs a recipe on so many devices, or as (processes, devices of each)."""
    if isinstance(layout, tuple):
        processes, devices = layout
        return run_job(recipe, path, *words, processes=processes, devices=devices, moment=moment)
    flags = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count={layout}"
    environment = {**os.environ, "XLA_FLAGS": flags}
    return runs.run(recipe, path, *words, moment=moment, env=environment)


def assert_close(path, expected):
    """The same examples in the same order, so the same curve but for rounding."""
    ours, theirs = runs.metrics(path), runs.metrics(expected)
    assert [(e["kind"], e["step"]) for e in ours] == [(e["kind"], e["step"]) for e in theirs]
    for name in ("loss", "accuracy"):
        np.testing.assert_allclose(
            [e[name] for e in ours], [e[name] for e in theirs], rtol=2e-3, atol=0.011
        )
    np.testing.assert_allclose(ours[0]["loss"], theirs[0]["loss"], rtol=1e-5)


slow = pytest.mark.slow


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        pytest.param(8, 1, (), marks=slow),
        pytest.param(1, 8, (), marks=slow),
        pytest.param(4, 2, (), marks=slow),
        pytest.param((2, 1), 1, (), marks=slow),
        pytest.param((2, 2), 2, ("--parallel.fsdp", "2"), marks=slow),
        pytest.param(8, 4, ("--parallel.fsdp", "4"), marks=slow),
    ],
    ids=str,
)
def test_on_other_devices_the_run_goes_on_with_the_same_examples(
    before, after, words, recipe, undisturbed, note, tmp_path
):
    path = tmp_path / "run"
    # The whole job is told to stop by one of its processes.
    stopped = start(recipe, path, before, *words, moment=f"step:22:{int(signal.SIGTERM)}:0")
    assert stopped.returncode == 75, stopped.stderr
    assert stopped.stderr.count("stopped at step") == 1
    step = int(stopped.stderr.split("stopped at step ")[1].split()[0])
    assert 21 <= step <= 25
    done = start(recipe, path, after, *words)
    assert done.returncode == 0, done.stderr
    assert f"going on from the checkpoint of step {step}" in done.stdout
    assert_close(path, undisturbed)
    name = {int: "{} devices", tuple: "{0[0]} processes of {0[1]} devices"}
    note(
        f"from {name[type(before)].format(before)} to {name[type(after)].format(after)}"
        + (" with parameters in parts" if words else ""),
        1,
        "same examples, loss curve equal within 2e-3",
    )


def pids(launcher):
    """The processes that a launcher has started, in order."""
    file = f"/proc/{launcher.pid}/task/{launcher.pid}/children"
    with open(file) as children:  # noqa: PTH123
        return [int(word) for word in children.read().split()]


@slow
def test_when_one_process_dies_the_other_ends_and_the_job_goes_on(
    recipe, undisturbed, note, tmp_path
):
    path = tmp_path / "run"
    launcher = subprocess.Popen(
        job(recipe, path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    runs.wait_for(lambda: runs.saved(path), launcher)
    os.kill(pids(launcher)[1], signal.SIGKILL)
    began = time.monotonic()
    _, error = launcher.communicate(timeout=60)
    seconds = time.monotonic() - began
    assert launcher.returncode not in (0, 75), error
    assert "process 1 has ended with SIGKILL" in error
    done = run_job(recipe, path)
    assert done.returncode == 0, done.stderr
    assert "going on from the checkpoint of step" in done.stdout
    assert_close(path, undisturbed)
    assert read_json(path / "summary.json")["processes"] == 2
    note("one of two processes killed", 1, f"the other ended after {seconds:.0f} s, same curve")


@pytest.mark.slow
def test_a_signal_in_an_evaluation_stops_all_processes_in_the_same_step(recipe, tmp_path):
    """One of them is told, in the middle of a validation that both then give up."""
    path = tmp_path / "run"
    stopped = run_job(recipe, path, moment=f"evaluation:4:{int(signal.SIGTERM)}:0")
    assert stopped.returncode == 75, stopped.stderr
    assert stopped.stderr.count("stopped at step 32 of 48; the state is saved") == 1
    assert "error" not in stopped.stderr and "Traceback" not in stopped.stderr
    validated = [e["step"] for e in runs.metrics(path) if e["kind"] == "validation"]
    assert validated == [8, 16, 24]
    assert max(runs.saved(path)) == 32


@slow
def test_a_damaged_checkpoint_is_left_out_by_all_processes(recipe, undisturbed, note, tmp_path):
    path = tmp_path / "run"
    stopped = run_job(recipe, path, moment=f"step:22:{int(signal.SIGTERM)}:0")
    assert stopped.returncode == 75, stopped.stderr
    newest = path / "checkpoints" / str(max(runs.saved(path)))
    file = max((p for p in newest.rglob("d/*") if p.is_file()), key=lambda p: p.stat().st_size)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    done = run_job(recipe, path)
    assert done.returncode == 0, done.stderr
    assert f"left out: checkpoint {newest.name}" in done.stdout
    assert_close(path, undisturbed)
    note("newest checkpoint damaged, two processes", 1, "both from the one before, same curve")


@slow
def test_an_error_of_one_process_ends_all(recipe, note, tmp_path):
    """The first cannot write its log: the other must not wait for it."""
    path = tmp_path / "run"
    path.mkdir()
    (path / "starts.jsonl").mkdir()
    (path / "recipe.json").write_text(json.dumps(to_json(recipe)))
    done = run_job(recipe, path)
    assert done.returncode == 74, done.stderr
    assert "cannot be used: Is a directory" in done.stderr
    note("one of two processes cannot write", 1, "both end with status 74")


@slow
def test_a_batch_that_does_not_divide_is_refused_before_anything_is_compiled(recipe, tmp_path):
    uneven = dataclasses.replace(recipe, batch_size=63)
    done = run_job(uneven, tmp_path / "run")
    assert done.returncode == 2
    assert "--batch-size 63 cannot be divided among 2 devices" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()
