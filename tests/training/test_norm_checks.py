"""Layers that take statistics of too few values, without compiling anything."""

import dataclasses

import jax
import jax.numpy as jnp
import pytest
from flax import linen as nn

from cnn_jax import Model, Optimizer, Recipe, UserError
from cnn_jax.layers.basic import Conv
from cnn_jax.layers.blocks import normalise
from cnn_jax.training.norm_checks import check_norms, norms_met


class Small(nn.Module):
    """Images of 4 pixels come down to (4 / stride)^2 places of 32 maps."""

    norm: str = "batch"
    maps: int = 32
    stride: int = 4
    running: bool = False

    @nn.compact
    def __call__(self, x, *, train=False):
        x = Conv(self.maps, 3, self.stride, name="conv")(x)
        train = train and not self.running
        if self.norm == "instance":
            return nn.InstanceNorm(name="norm")(x)
        if self.norm == "flax":
            return nn.BatchNorm(name="norm")(x, use_running_average=not train)
        return normalise(x, self.norm, train=train, dtype="float32", name="norm")


def check(model, frozen=None, *, batch_size=16, accumulate=1, norm_examples=None):
    recipe = Recipe(
        name="x",
        model=Model(norm_examples=norm_examples),
        optimizer=Optimizer(accumulate=accumulate),
        batch_size=batch_size,
    )
    with norms_met() as met:
        variables = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 4, 4, 1)))
    return check_norms(
        recipe,
        model,
        variables,
        met,
        example=jax.ShapeDtypeStruct((4, 4, 1), jnp.float32),
        frozen=frozen,
    )


@pytest.mark.parametrize("norm", ["batch", "flax"])
@pytest.mark.parametrize(
    "few", [{"batch_size": 1}, {"accumulate": 16}, {"norm_examples": 1}], ids=lambda few: str(few)
)
def test_a_batch_of_one_value_is_refused(norm, few):
    said = r"norm \(BatchNorm\) takes its mean of one value, of 1 example of shape \(1, 1, 32\)"
    with pytest.raises(UserError, match=said) as refused:
        check(Small(norm), **few)
    for flag in ("--batch-size", "--optimizer.accumulate", "--model.norm-examples"):
        assert flag in str(refused.value)
    # More values, of more places or more examples, are fine.
    assert check(Small(norm, stride=1), **few) == []
    assert check(Small(norm), **dict.fromkeys(few, 4)) == []


def test_two_values_are_told():
    [said] = check(Small(), norm_examples=2)
    assert said.startswith("norm (BatchNorm) takes its mean of two values only, of 2 examples")


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        (Small("group"), "GroupNorm"),  # 32 groups of a map
        (Small("instance"), "InstanceNorm"),
        (Small("layer", maps=1), "LayerNorm"),
    ],
)
def test_one_value_of_an_example_is_refused(model, kind):
    with pytest.raises(UserError, match=rf"norm \({kind}\) takes its mean of one value"):
        check(model)
    assert check(dataclasses.replace(model, stride=1, maps=32)) == []


def test_running_statistics_need_no_batch():
    assert check(Small(running=True), batch_size=1) == []
    assert check(Small(), "^norm/", batch_size=1) == []
    with pytest.raises(UserError, match="one value"):
        check(Small(), "^norm/scale", batch_size=1)
