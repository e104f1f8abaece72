"""Runs in processes of their own, and what their folders hold."""

import json
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np

from cnn_jax.json_values import read_json, to_json
from cnn_jax.restored import restore

CHILD = str(Path(__file__).parent / "child.py")


def command(recipe, path, *words, moment="none"):
    return [
        sys.executable, CHILD, json.dumps(to_json(recipe)), moment, "--workdir", str(path),
        *words,
    ]  # fmt: skip


def start(recipe, path, *words, moment="none", **options):
    return subprocess.Popen(
        command(recipe, path, *words, moment=moment),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def run(recipe, path, *words, moment="none", **options):
    return subprocess.run(
        command(recipe, path, *words, moment=moment),
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
        **options,
    )


def state(path):
    """Parameters and statistics of the last step."""
    return jax.tree.map(np.asarray, restore(path, "latest").variables)


def metrics(path):
    """All lines of metrics but for what depends on time."""
    entries = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in entry.items() if k != "images_per_second"} for entry in entries]


def assert_same(found, expected):
    """Two runs came to the same end, to the last bit."""
    jax.tree.map(np.testing.assert_array_equal, state(found), state(expected))
    assert metrics(found) == metrics(expected)
    ours, theirs = read_json(found / "summary.json"), read_json(expected / "summary.json")
    for name in ("steps", "best", "test"):
        assert ours[name] == theirs[name]


def wait_for(condition, process, seconds=120):
    """Waits until the condition holds, while the process runs."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    raise AssertionError(f"not in {seconds} s")


def saved(path):
    return [int(p.name) for p in (path / "checkpoints").glob("*") if p.name.isdigit()]
