import dataclasses
from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
import pytest
from flax import linen as nn

from cnn_jax import models
from cnn_jax.commands.command_line import parse_options
from cnn_jax.errors import UserError
from cnn_jax.layers import options
from cnn_jax.models import registry


class Probe(nn.Module):
    num_classes: int
    depths: tuple[tuple[int, int], ...] = ((1, 2),)
    rate: float = 0.0
    bias: bool = True
    kind: Literal["a", "b"] = "a"
    act: str | Callable[[jax.Array], jax.Array] = "relu"
    limit: int | None = None
    dtype: str = "float32"


@pytest.fixture
def probe(monkeypatch):
    monkeypatch.setattr(registry, "_entries", dict(registry._entries))
    models.register("probe", Probe, input_shape=(8, 8, 3), num_classes=7, paper="none", rate=0.25)


def test_the_entry_knows_the_paper_and_all_options():
    entry = models.entry("lenet5_relu")
    assert entry.input_shape == (32, 32, 1)
    assert entry.num_classes == 10
    assert "LeCun et al. 1998" in entry.paper
    assert entry.options == {
        "widths": (6, 16),
        "hidden": (120, 84),
        "padding": None,
        "dropout": 0.0,
        "kernel_init": "he_normal",
        "bias_init": "zeros",
    }


def test_a_misspelt_model_names_the_nearest():
    with pytest.raises(UserError, match=r"unknown model 'lenet5_rel'; did you mean 'lenet5_relu'"):
        models.create("lenet5_rel", 10)


def test_a_misspelt_option_names_the_nearest_and_lists_defaults():
    with pytest.raises(UserError) as error:
        models.create("simple_cnn", 10, widhts=(8,))
    assert "did you mean 'widths' or 'whiten'?" in str(error.value)
    assert "widths=(32, 64), kernel_size=3" in str(error.value)
    assert "num_classes" not in str(error.value)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            {"widths": 32},
            "widths=32 .* must be a tuple, each a whole number, .* widths=\\(32, 64\\)",
        ),
        ({"widths": (32, 1.5)}, "must be a tuple, each a whole number"),
        ({"widths": ("a",)}, "must be a tuple, each a whole number"),
        ({"widths": (0,)}, "widths=\\(0,\\) of SimpleCNN"),
        ({"widths": ()}, "at least one stage"),
        ({"kernel_size": True}, "kernel_size=True .* must be a whole number"),
        ({"kernel_size": -3}, "kernel_size=-3"),
        ({"dropout": "0.5"}, "dropout='0.5' .* must be a number"),
        ({"dropout": 1.0}, "dropout=1.0 .* below 1"),
        ({"dropout": float("nan")}, "dropout=nan"),
        ({"norm": "bacth"}, "norm='bacth' .* must be 'none' or 'batch'"),
        ({"kernel_init": "he_nrmal"}, "unknown kernel_init 'he_nrmal'; did you mean 'he_normal'"),
        ({"kernel_init": 3}, "must be a text or a function"),
        ({"bias_init": "he_normal"}, "unknown bias_init 'he_normal'"),
    ],
)
def test_a_value_that_an_option_cannot_take_is_refused_when_the_model_is_created(value, message):
    with pytest.raises(UserError, match=message):
        models.create("simple_cnn", 10, **value)


def test_none_on_a_command_line_is_the_option_that_is_called_so():
    options = parse_options(["norm=none", "widths=8,"])
    assert models.create("simple_cnn", 10, **options).norm == "none"


@pytest.mark.parametrize("num_classes", [0, -1, 2.0, True, "10"])
def test_the_number_of_classes_is_checked(num_classes):
    with pytest.raises(UserError, match="num_classes="):
        models.create("simple_cnn", num_classes)


def test_the_dtype_is_checked():
    with pytest.raises(UserError, match="unknown model dtype 'bfloat'; did you mean 'bfloat16'"):
        models.create("simple_cnn", 10, dtype="bfloat")


def test_options_take_the_declared_types(probe):
    module = models.create("probe", 3, depths=[[3, 4], [5, 6]], rate=0, limit=4, act=nn.gelu)
    fields = {field.name: getattr(module, field.name) for field in dataclasses.fields(module)}
    assert fields["depths"] == ((3, 4), (5, 6))
    assert isinstance(fields["rate"], float) and fields["rate"] == 0
    assert fields["limit"] == 4
    assert fields["act"] is nn.gelu
    assert fields["num_classes"] == 3


@pytest.mark.parametrize(
    "value", [{"depths": ((1, 2, 3),)}, {"bias": 1}, {"kind": "c"}, {"limit": 1.5}, {"rate": True}]
)
def test_values_of_other_types_are_refused(probe, value):
    with pytest.raises(UserError, match="must be"):
        models.create("probe", 3, **value)


def test_registered_options_are_the_defaults_of_the_name(probe):
    assert models.entry("probe").options["rate"] == 0.25
    assert models.create("probe", 3).rate == 0.25
    assert models.create("probe", 3, rate=0.5).rate == 0.5
    assert "probe" in models.names()


def test_a_name_belongs_to_one_class(probe):
    with pytest.raises(UserError, match="'lenet5' is registered already"):
        models.register("lenet5", Probe, input_shape=(8, 8, 3), num_classes=7, paper="none")
    models.register("probe", Probe, input_shape=(8, 8, 3), num_classes=9, paper="none")
    assert models.entry("probe").num_classes == 9


def test_registering_checks_options(probe):
    with pytest.raises(UserError, match="did you mean 'rate'"):
        models.register("p2", Probe, input_shape=(8, 8, 3), num_classes=7, paper="none", rat=1.0)


def test_types_are_described_in_words():
    assert options.describe(tuple[int, ...]) == "a tuple, each a whole number"
    assert options.describe(int | None) == "a whole number or None"
    assert options.describe(Literal["x", "y"]) == "'x' or 'y'"


def test_images_are_checked():
    module = models.create("simple_cnn", 10, widths=(4, 4, 4))
    key = jax.random.key(0)
    with pytest.raises(UserError, match=r"4x16 pixels .* widths=\(4, 4, 4\): .* at least 8x8"):
        jax.eval_shape(module.init, key, jnp.zeros((1, 4, 16, 3)))
    with pytest.raises(
        UserError, match=r"images \(b, h, w, c\), not an array of shape \(8, 8, 3\)"
    ):
        jax.eval_shape(module.init, key, jnp.zeros((8, 8, 3)))
    with pytest.raises(UserError, match="float type, not uint8"):
        jax.eval_shape(module.init, key, jnp.zeros((1, 8, 8, 3), jnp.uint8))


def test_models_of_ones_own_find_blocks_and_layers_where_they_were():
    from cnn_jax.layers import basic, blocks
    from cnn_jax.models import blocks as old_blocks
    from cnn_jax.models import layers as old_layers

    assert old_blocks.ConvNorm is blocks.ConvNorm and old_layers.Dense is basic.Dense
