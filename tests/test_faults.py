"""What happens to a run from outside: real signals, a real kill, a real full disk."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cnn_jax.json_values import to_json

PROGRAM = """
import json, sys
from cnn_jax import Recipe, main
from cnn_jax.json_values import from_json
main(from_json(json.loads(sys.argv[1]), Recipe, "arguments"), sys.argv[2:])
"""


@pytest.fixture(scope="module")
def recipe(tiny, changed):
    from cnn_jax import steps

    return changed(
        tiny, {"duration": steps(4000), "validate_every": steps(50), "log_every": steps(10)}
    )


def command(recipe, path, *words):
    return [
        sys.executable, "-c", PROGRAM, json.dumps(to_json(recipe)), "--workdir", str(path), *words
    ]  # fmt: skip


def start(recipe, path, **options):
    return subprocess.Popen(
        command(recipe, path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


def wait_for_checkpoint(path: Path, process) -> int:
    """Returns once a checkpoint is whole, with its step."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        assert process.poll() is None, process.communicate()
        steps = [int(p.parent.name) for p in path.glob("checkpoints/*/commit_success.txt")]
        steps = steps or [int(p.name) for p in path.glob("checkpoints/*") if p.name.isdigit()]
        if steps:
            return max(steps)
        time.sleep(0.05)
    raise AssertionError("no checkpoint in two minutes")


def finish(recipe, path, steps):
    """Goes on with a run for a few steps more than it has."""
    import dataclasses

    from cnn_jax import steps as of

    shorter = dataclasses.replace(recipe, duration=of(steps))
    return subprocess.run(
        command(shorter, path, "--allow-recipe-change"), capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_says_so(number, recipe, tmp_path):
    path = tmp_path / "run"
    process = start(recipe, path)
    before = wait_for_checkpoint(path, process)
    process.send_signal(number)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 75, error
    assert "stopped at step" in error
    assert "The same command goes on from there" in error
    assert "Traceback" not in error
    step = int(error.split("stopped at step ")[1].split()[0])
    assert step >= before
    assert (path / "checkpoints" / str(step)).is_dir()
    done = finish(recipe, path, step + 20)
    assert done.returncode == 0, done.stderr
    assert f"going on from the checkpoint of step {step}" in done.stdout


def test_a_killed_run_goes_on_from_its_newest_checkpoint(recipe, tmp_path):
    path = tmp_path / "run"
    process = start(recipe, path)
    wait_for_checkpoint(path, process)
    time.sleep(0.3)
    process.kill()
    process.communicate()
    steps = sorted(int(p.name) for p in path.glob("checkpoints/*") if p.name.isdigit())
    done = finish(recipe, path, steps[-1] + 20)
    assert done.returncode == 0, done.stderr
    assert f"going on from the checkpoint of step {steps[-1]}" in done.stdout
    entries = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    for kind in ("train", "validation"):
        found = [entry["step"] for entry in entries if entry["kind"] == kind]
        assert found == sorted(set(found)), f"{kind} lines are doubled or out of order"


def test_a_full_disk_leaves_the_earlier_checkpoints_good(recipe, changed, tmp_path):
    """No file may grow over a limit, which the system reports as it does a full disk."""
    path = tmp_path / "run"
    process = start(recipe, path)
    wait_for_checkpoint(path, process)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    good = {p.name for p in path.glob("checkpoints/*")}

    limit = max(p.stat().st_size for p in path.rglob("metrics.jsonl"))
    full = start(
        recipe,
        path,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    _, error = full.communicate(timeout=120)
    assert full.returncode == 74, error
    assert os.strerror(27) in error  # File too large
    assert "Traceback" not in error
    assert good <= {p.name for p in path.glob("checkpoints/*")}
    done = finish(recipe, path, max(map(int, good)) + 20)
    assert done.returncode == 0, done.stderr
    assert f"going on from the checkpoint of step {max(map(int, good))}" in done.stdout
