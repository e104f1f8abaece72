"""A set that streams on several devices and in several processes: the losses of one device."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import photos
import pytest

from cnn_jax import Augment, Data, steps
from cnn_jax.json_values import to_json

CHILD = Path(__file__).parents[1] / "faults" / "child.py"

slow = pytest.mark.slow


@pytest.fixture(scope="module")
def recipe(tiny, changed, tmp_path_factory):
    top = photos.write_folder(tmp_path_factory.mktemp("photos") / "set", 80)
    data = Data(f"folder:{top}", validation=18, image_size=8, random_crop=(0.08, 1.0))
    fields = {
        "data": data,
        "augment": Augment(mirror="random"),
        "batch_size": 16,
        "duration": steps(6),
        "validate_every": steps(3),
        "log_every": steps(1),
    }
    return changed(tiny, fields)


def run(recipe, path, words, devices=1, processes=1):
    """Metrics and summary of a run in processes of its own."""
    words = [
        str(CHILD), json.dumps(to_json(recipe)), "none",
        "--workdir", str(path), "--workers", "1", *words,
    ]  # fmt: skip
    flags = os.environ["XLA_FLAGS"]
    if processes > 1:
        count = ["--processes", str(processes), "--devices", str(devices)]
        words = ["-m", "cnn_jax", "launch", *count, "--", *words]
    else:
        flags += f" --xla_force_host_platform_device_count={devices}"
    done = subprocess.run(
        [sys.executable, *words],
        capture_output=True,
        text=True,
        env={**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    entries = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    return entries, json.loads((path / "summary.json").read_text())


@pytest.fixture(scope="module")
def one(recipe, tmp_path_factory):
    return run(recipe, tmp_path_factory.mktemp("one") / "run", [])


@pytest.mark.parametrize(
    ("devices", "processes", "words"),
    [
        # In memory eight devices are tried by tests/devices/test_devices.py.
        pytest.param(8, 1, [], marks=slow),
        pytest.param(4, 1, ["--parallel.fsdp", "2"], marks=slow),
        pytest.param(8, 1, ["--parallel.compile", "pmap"], marks=slow),
        pytest.param(2, 2, [], marks=slow),
    ],
    ids=str,
)
def test_layouts_give_the_losses_of_one_device(devices, processes, words, recipe, one, tmp_path):
    lines, summary = run(recipe, tmp_path / "run", words, devices, processes)
    expected, alone = one
    assert [(e["kind"], e["step"]) for e in lines] == [(e["kind"], e["step"]) for e in expected]
    for name in ("loss", "accuracy"):
        np.testing.assert_allclose(
            [e[name] for e in lines], [e[name] for e in expected], rtol=2e-4, atol=1e-5
        )
    assert summary["test"]["examples"] == alone["test"]["examples"] == 8
    assert summary["test"]["nll"] == pytest.approx(alone["test"]["nll"], rel=1e-4)
