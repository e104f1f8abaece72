"""Checkpoints written by another Python and JAX, and read back there.

`OTHER_PYTHON=/path/to/python`, of an environment with cnn_jax and its oldest JAX, has them run;
`make faults` and continuous integration give it.
"""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import short_runs as runs

OTHER = os.environ.get("OTHER_PYTHON")

pytestmark = pytest.mark.skipif(not OTHER, reason="OTHER_PYTHON is not given")


def version(python):
    code = "import jax, platform; print(f'JAX {jax.__version__} on {platform.python_version()}')"
    return subprocess.check_output([python, "-c", code], text=True).strip()


@pytest.mark.parametrize("first_is_other", [True, False])
def test_a_run_goes_on_under_another_version(
    first_is_other, recipe, undisturbed, note, tmp_path, monkeypatch
):
    path = tmp_path / "run"
    pythons = [OTHER, sys.executable] if first_is_other else [sys.executable, OTHER]
    # The two have different optimisations of XLA, and share no compilation cache.
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    monkeypatch.setattr(runs.sys, "executable", pythons[0])
    stopped = runs.run(recipe, path, moment=f"step:22:{int(signal.SIGTERM)}:0")
    assert stopped.returncode == 75, stopped.stderr
    monkeypatch.setattr(runs.sys, "executable", pythons[1])
    done = runs.run(recipe, path)
    assert done.returncode == 0, done.stderr
    starts = [json.loads(line) for line in (path / "starts.jsonl").read_text().splitlines()]
    assert starts[0]["versions"]["jax"] != starts[1]["versions"]["jax"]
    ours, theirs = runs.metrics(path), runs.metrics(undisturbed)
    assert [(e["kind"], e["step"]) for e in ours] == [(e["kind"], e["step"]) for e in theirs]
    np.testing.assert_allclose(
        [e["loss"] for e in ours], [e["loss"] for e in theirs], rtol=2e-3, atol=1e-3
    )
    note(
        f"written by {version(pythons[0])}, gone on with by {version(pythons[1])}",
        1,
        "same examples, loss curve equal within 2e-3",
    )
