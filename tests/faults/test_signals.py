"""Signals that come at every phase of a run: real ones, from within and from without."""

import dataclasses
import itertools
import math
import os
import random
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
import short_runs as runs
from short_runs import saved

from cnn_jax import Model, Preprocess

PHASES = {"compile": "1", "step": "22", "evaluation": "3", "save": "6"}
"""The phases, and the how manieth time each is hit."""
CASES = list(itertools.product(PHASES, (signal.SIGTERM, signal.SIGUSR1)))

# `.ci/run` runs two of these by their names.
pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("phase", "number"), CASES)
def test_a_signal_saves_and_the_run_goes_on_to_the_same_end(
    phase, number, recipe, undisturbed, note, tmp_path
):
    path = tmp_path / "run"
    moment = f"{phase}:{PHASES[phase]}:{int(number)}:0"
    stopped = runs.run(recipe, path, moment=moment)
    seconds = time.time() - float(re.search(r"at ([\d.]+)", stopped.stdout)[1])
    assert stopped.returncode == 75, stopped.stderr
    assert "The same command goes on from there" in stopped.stderr
    assert "Traceback" not in stopped.stderr
    if phase != "compile":
        step = int(stopped.stderr.split("stopped at step ")[1].split()[0])
        assert max(saved(path)) == step
    done = runs.run(recipe, path)
    assert done.returncode == 0, done.stderr
    runs.assert_same(path, undisturbed)
    note(f"{number.name} in {phase}", 1, f"status 75 after {seconds:.1f} s, same end")


def test_ctrl_c_saves_too(recipe, tmp_path):
    path = tmp_path / "run"
    stopped = runs.run(recipe, path, moment=f"step:30:{int(signal.SIGINT)}:0")
    assert stopped.returncode == 75, stopped.stderr
    assert "stopped at step 30" in stopped.stderr or "stopped at step 29" in stopped.stderr
    assert "Traceback" not in stopped.stderr


def test_after_a_second_ctrl_c_the_run_goes_on_from_what_was_saved(recipe, undisturbed, tmp_path):
    path = tmp_path / "run"
    number = int(signal.SIGINT)
    stopped = runs.run(recipe, path, moment=f"step:30:{number}+{number}:0")
    assert stopped.returncode == 75, stopped.stderr
    assert "stopped at once, without saving" in stopped.stderr
    assert "stopped at step" not in stopped.stderr
    done = runs.run(recipe, path)
    assert done.returncode == 0, done.stderr
    runs.assert_same(path, undisturbed)


def test_a_run_whose_output_goes_nowhere_comes_to_its_end(recipe, undisturbed, tmp_path):
    """The disk of its log is full, and its terminal closed."""
    path = tmp_path / "run"
    with open("/dev/full", "w") as full:  # noqa: PTH123
        words = runs.command(recipe, path)
        done = subprocess.run(
            words, stdout=full, preexec_fn=lambda: os.close(2), check=False, timeout=240
        )
    assert done.returncode == 0
    runs.assert_same(path, undisturbed)


def test_a_long_compilation_is_not_waited_for(recipe, note, tmp_path):
    """The compiler works for half a minute on this one, and hears no signal."""
    path = tmp_path / "run"
    large = dataclasses.replace(
        recipe, model=Model("densenet121"), preprocess=Preprocess(size=64), batch_size=32, ema=None
    )
    plain = {
        k: v for k, v in os.environ.items() if k not in ("XLA_FLAGS", "JAX_COMPILATION_CACHE_DIR")
    }
    stopped = runs.run(large, path, moment=f"compile:1:{int(signal.SIGTERM)}:15", env=plain)
    seconds = time.time() - float(re.search(r"at ([\d.]+)", stopped.stdout)[1])
    assert stopped.returncode == 75, stopped.stderr
    assert "stopped before the first step" in stopped.stderr
    note("SIGTERM deep in the compiler", 1, f"status 75 after {seconds:.1f} s")


def half_written(path: Path) -> bool:
    """Whether a save was under way when the process died."""
    return any("tmp" in p.name for p in (path / "checkpoints").glob("*"))


@pytest.mark.parametrize("times", [1, 20])
def test_killed_at_random_moments_the_run_comes_to_the_same_end(
    times, recipe, undisturbed, note, tmp_path
):
    path, draw = tmp_path / "run", random.Random(times)
    in_saves, kills = 0, 0
    while kills < times:
        before = saved(path)
        process = runs.start(recipe, path)
        # A quarter of them during the start, if that takes as long; the others once the run has
        # got further: a step takes milliseconds here, and a save tens of them.
        longest = draw.uniform(0, 8) if draw.random() < 0.25 else math.inf
        began = time.monotonic()
        while saved(path) == before and process.poll() is None:
            if time.monotonic() - began > longest:
                break
            time.sleep(0.02)
        else:
            time.sleep(draw.uniform(0, 0.15))
        if process.poll() is not None:
            break
        process.kill()
        process.communicate()
        kills += 1
        in_saves += half_written(path)
    done = runs.run(recipe, path)
    assert done.returncode == 0, done.stderr
    assert kills >= min(times, 3)  # of 20: the run may end before
    runs.assert_same(path, undisturbed)
    if times == 20:
        note("kill -9 at a random moment", kills, f"same end; {in_saves} during a save")
