"""What is said of gradients, of nets in which they vanish, explode, or die."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from cnn_jax.__main__ import main
from cnn_jax.batch import Batch
from cnn_jax.inside.gradient_norms import checker, verdict
from cnn_jax.layers.basic import Dense, tap
from cnn_jax.run_folder import RunFolder


class Deep(nn.Module):
    """Many dense layers whose weights are all scaled alike."""

    activation: str = "relu"

    @nn.compact
    def __call__(self, x, *, train=False):
        for place in range(12):
            x = Dense(32, name=f"dense{place}")(x)
            x = tap(self, f"relu{place}", getattr(nn, self.activation)(x))
        return Dense(2, name="head")(x)


def squares(apply, batch, key):
    return jnp.mean((apply(batch.inputs) - batch.targets) ** 2, axis=-1), {}


def batches():
    return [Batch(jax.random.normal(jax.random.key(7), (16, 8)), jnp.ones((16, 2)), jnp.ones(16))]


@pytest.fixture(scope="module")
def checked():
    """`checked(activation, scale, shift)`: the checkup of a net with such weights and biases."""
    checkers, init = {}, functools.cache(lambda activation: jax.jit(Deep(activation).init))

    def check(activation, scale=1.0, shift=0.0):
        module = Deep(activation)
        if activation not in checkers:
            checkers[activation] = checker(module, squares)
        first = init(activation)(jax.random.key(0), batches()[0].inputs)
        # By NumPy, since each shape would be a program of its own.
        variables = jax.device_get(first)
        moved = jax.tree.map(
            lambda leaf: leaf * scale if leaf.ndim == 2 else leaf + shift, variables
        )
        return checkers[activation](5, moved, batches(), jax.random.key(0))

    return check


def test_norms_are_those_of_gradients_and_weights(checked):
    found = checked("relu")
    assert [each.name for each in found.layers] == [*(f"dense{i}" for i in range(12)), "head"]
    module, batch = Deep(), batches()[0]
    variables = jax.jit(module.init)(jax.random.key(0), batch.inputs)

    def loss(params):
        return jnp.mean((module.apply({"params": params}, batch.inputs) - batch.targets) ** 2)

    slopes = jax.jit(jax.grad(loss))(variables["params"])
    for each in (found.layers[0], found.layers[-1]):
        expected = np.sqrt(np.mean(slopes[each.name]["kernel"] ** 2))
        assert each.gradient == pytest.approx(float(expected), rel=1e-4)
        kernel = variables["params"][each.name]["kernel"]
        assert each.weight == pytest.approx(float(np.sqrt(np.mean(kernel**2))), rel=1e-5)
    (said,) = verdict(found)
    assert said.startswith("healthy: gradients neither vanish nor explode")


def test_vanishing(checked):
    (said,) = verdict(checked("sigmoid"))
    assert said.startswith("vanishing: the gradients of dense0, dense1, dense2")
    assert "of those of head" in said


def test_exploding(checked):
    said = verdict(checked("relu", scale=4.0))
    assert said[0].startswith("exploding: the gradients of dense0")
    assert "times as large as the weights" in said[0]
    said = verdict(checked("relu", scale=1e6))
    assert "are no numbers any more" in said[0]


def test_dead(checked):
    found = checked("relu", shift=-30.0)
    # Behind the first layer all units are far below zero, whatever the example.
    assert found.dead["relu1"] == 1.0
    said = verdict(found)
    assert said[0] == "no gradient reaches any layer: nothing is learnt any more" or (
        said[0].startswith("vanishing")
    )
    assert any(line.startswith("dead ReLUs: of relu0") for line in said)


def test_the_command_tells_of_every_checkpoint(run, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    file = tmp_path / "g.png"
    main(["show", "gradients", str(run), "--batches", "2", "--output", str(file)])
    said = capsys.readouterr().out
    for step in RunFolder(run).steps():
        assert f"step {step}: " in said
    assert "start: " in said
    assert "conv1" in said and file.stat().st_size > 5000
