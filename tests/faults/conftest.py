"""What the tests of faults share: a short run, its end, and a table of what was tried."""

import json
import os
from pathlib import Path

import pytest
import short_runs as runs

from cnn_jax import Recipe, steps


@pytest.fixture(scope="session")
def recipe(tiny, changed) -> Recipe:
    """A short run that saves, validates and logs all the time."""
    return changed(
        tiny,
        {
            "duration": steps(48),
            "validate_every": steps(8),
            "log_every": steps(3),
            "checkpoints.every": steps(4),
            "checkpoints.keep_latest": 3,
            "early_stopping.patience": 50,
        },
    )


@pytest.fixture(scope="session")
def undisturbed(recipe, tmp_path_factory) -> Path:
    """The folder of a run that nothing happened to."""
    path = tmp_path_factory.mktemp("undisturbed") / "run"
    done = runs.run(recipe, path)
    assert done.returncode == 0, done.stderr
    return path


@pytest.fixture
def note():
    """`note(fault, tried, outcome)`: a row of the table that `make faults` prints."""

    def write(fault, tried, outcome, lost=0):
        if file := os.environ.get("FAULTS_TABLE"):
            row = {"fault": fault, "tried": tried, "outcome": outcome, "lost": lost}
            with Path(file).open("a") as table:
                table.write(json.dumps(row) + "\n")

    return write
