"""The same run on one device and on eight virtual ones, in processes of their own."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

PROGRAM = """
import sys
from pathlib import Path
from cnn_jax import Recipe, train
from cnn_jax.json_values import from_json
import json
recipe = from_json(json.loads(sys.argv[1]), Recipe, "arguments")
train(recipe, Path(sys.argv[2]))
"""


def run(recipe, path, devices):
    from cnn_jax.json_values import to_json

    environment = {
        **os.environ,
        "XLA_FLAGS": f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count={devices}",
        "JAX_PLATFORMS": "cpu",
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(to_json(recipe)), str(path)],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    entries = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    return json.loads((path / "summary.json").read_text()), entries


@pytest.fixture(scope="module")
def recipe(tiny, changed):
    from cnn_jax import steps

    # Mirrors, shifts, batch statistics, mixup and dropout must all not depend on the devices.
    return changed(
        tiny,
        {
            "augment.mixup": 0.2,
            "duration": steps(12),
            "log_every": steps(1),
            "validate_every": steps(6),
            "optimizer.accumulate": 2,
        },
    )


def test_eight_devices_give_the_losses_of_one(recipe, tmp_path):
    one, lines = run(recipe, tmp_path / "one", 1)
    eight, others = run(recipe, tmp_path / "eight", 8)
    assert len(eight["devices"]) == 8
    for name in ("loss", "accuracy"):
        np.testing.assert_allclose(
            [e[name] for e in lines], [e[name] for e in others], rtol=2e-4, atol=1e-5
        )
    assert one["test"]["examples"] == eight["test"]["examples"] == 360
    assert one["test"]["nll"] == pytest.approx(eight["test"]["nll"], rel=1e-4)


def test_a_run_of_eight_devices_is_restored_on_one(recipe, tmp_path):
    from cnn_jax.evaluation.evaluate import evaluate

    summary, _ = run(recipe, tmp_path / "eight", 8)
    found = evaluate(tmp_path / "eight")
    assert len(found["devices"]) == 1
    assert found["examples"] == 360
    assert found["nll"] == pytest.approx(summary["test"]["nll"], rel=1e-5)
    assert found["accuracy"] == summary["test"]["accuracy"]
