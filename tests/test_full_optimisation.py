"""The code that users run: compiled at XLA's full level, in a process of its own.

All other tests have plain code compiled, see `conftest.py`.
"""

import dataclasses
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console

from cnn_jax import models, steps, train
from cnn_jax.json_values import read_json, to_json

# `.ci/run` runs this file by its name.
pytestmark = pytest.mark.slow

NETS = {
    # Batch norm, and convolutions of enough maps for Winograd's tiles.
    "tiles": ("simple_cnn", (8, 8, 3), {"widths": (32, 32), "hidden": (), "norm": "batch"}),
    "depthwise": (
        "mobilenet_v2",
        (8, 8, 3),
        {"stages": ((3, 16, 1, 2),), "width": 0.5, "stem": "small"},
    ),
    "layer norm": (
        "convnext_tiny",
        (8, 8, 3),
        {"widths": (8,), "depths": (1,), "layer_scale": 0.5, "stem": "small"},
    ),
}


def net(name):
    """A net, its images, and the gradient of a loss, which also gives logits and statistics."""
    model, shape, options = NETS[name]
    module = models.create(model, 5, **options)
    images = jax.random.normal(jax.random.key(1), (8, *shape))

    def loss(params, rest, images):
        variables = {"params": params, **rest}
        rngs = {"dropout": jax.random.key(2), "stochastic_depth": jax.random.key(3)}
        logits, changed = module.apply(
            variables, images, train=True, mutable=["batch_stats"], rngs=rngs
        )
        return jnp.sum(jnp.sin(logits)), (logits, changed)

    return module, images, jax.jit(jax.value_and_grad(loss, has_aux=True))


def fully_optimised(file, folder, recipe):
    """Run in the other process: every net's variables and results, and a short training."""
    from cnn_jax.devices.compilation import compiled
    from cnn_jax.devices.mesh import make_mesh
    from cnn_jax.layers.cpu import norm as cpu_norm

    cpu_norm.LEAST = 0  # the images of the test are small
    # Initial values are given to both sides, so that their random numbers need not be fast.
    plain = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
    found = {}
    for name in NETS:
        module, images, gradient = net(name)
        init = jax.jit(module.init, compiler_options=plain)
        rest = dict(init(jax.random.key(0), images[:1]))
        given = rest.pop("params"), rest, images
        results = compiled(make_mesh(), gradient, *given)(*given)
        found[name] = jax.tree.map(np.asarray, (given, results))
    Path(file).write_bytes(pickle.dumps(found))
    train(recipe, Path(folder), console=Console(quiet=True))


PROGRAM = """
import json, sys
from cnn_jax import Recipe
from cnn_jax.devices.compilation_cache import use_cache
from cnn_jax.json_values import from_json
sys.path.insert(0, sys.argv[4])
from test_full_optimisation import fully_optimised
use_cache()
fully_optimised(*sys.argv[1:3], from_json(json.loads(sys.argv[3]), Recipe, "arguments"))
"""


@pytest.fixture(scope="module")
def recipe(tiny):
    return dataclasses.replace(tiny, duration=steps(8), validate_every=steps(4), log_every=steps(1))


@pytest.fixture(scope="module")
def full(recipe, tmp_path_factory):
    """What the nets give, and the folder of the run."""
    top = tmp_path_factory.mktemp("full")
    environment = {k: v for k, v in os.environ.items() if k != "XLA_FLAGS"}
    # Flags are part of a program's key, but not of its name: no place for others to look in.
    cache = Path(os.environ["JAX_COMPILATION_CACHE_DIR"])
    environment["JAX_COMPILATION_CACHE_DIR"] = str(cache.with_name(cache.name + "-full"))
    words = [str(top / "nets"), str(top / "run"), json.dumps(to_json(recipe))]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *words, str(Path(__file__).parent)],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return pickle.loads((top / "nets").read_bytes()), top / "run"


@pytest.mark.parametrize("name", NETS)
def test_a_net_and_its_gradients_are_those_of_plain_flax(name, full):
    given, found = full[0][name]
    _, _, gradient = net(name)
    expected = gradient(*given)

    def close(path, ours, theirs):
        where = jax.tree_util.keystr(path)
        # Some gradients are zero but for rounding.
        scale = max(np.abs(theirs).max(), 1e-2)
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=2e-4 * scale, err_msg=where)

    jax.tree_util.tree_map_with_path(close, found, expected)


def test_a_run_learns_and_evaluates_as_at_the_plain_level(full, recipe, tmp_path):
    _, path = full
    expected = train(recipe, tmp_path / "plain", console=Console(quiet=True))
    summary = read_json(path / "summary.json")
    for name in ("best", "test"):
        assert summary[name]["examples"] == expected[name]["examples"]
        assert summary[name]["nll"] == pytest.approx(expected[name]["nll"], rel=1e-3)

    def losses(folder):
        lines = (folder / "metrics.jsonl").read_text().splitlines()
        return [entry["loss"] for entry in map(json.loads, lines) if entry["kind"] == "train"]

    assert len(losses(path)) == 8
    np.testing.assert_allclose(losses(path), losses(tmp_path / "plain"), rtol=1e-3)
