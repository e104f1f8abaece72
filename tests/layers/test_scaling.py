import math

import pytest

from cnn_jax.errors import UserError
from cnn_jax.layers.scaling import round_width, strides_for
from cnn_jax.models.mobilenet_v2 import MobileNetV2
from cnn_jax.models.mobilenet_v3 import MobileNetV3


@pytest.mark.parametrize(
    ("width", "rounded"),
    [(32, 32), (35.2, 32), (36, 40), (17.6, 16), (1, 8), (11.9, 16), (11, 16), (44.8, 48)],
)
def test_widths_are_multiples_of_eight_and_not_much_smaller(width, rounded):
    assert round_width(width) == rounded
    assert round_width(width) >= 0.9 * width


def test_the_small_stem_does_not_halve_twice():
    assert strides_for("imagenet", [2, 1, 2, 2]) == [2, 1, 2, 2]
    assert strides_for("small", [2, 1, 2, 2]) == [1, 1, 1, 2]
    assert strides_for("small", [2, 1]) == [1, 1]


@pytest.mark.parametrize("width", [0.0, -1.0, math.nan, math.inf])
def test_a_factor_is_above_zero(width):
    with pytest.raises(UserError, match=r"width=.* of MobileNetV2: must be above zero"):
        MobileNetV2(10, width=width)


@pytest.mark.parametrize("stages", [(), ((6, 16, 0, 1),), ((6, 16, 1, 1), ())])
def test_stages_are_not_empty(stages):
    with pytest.raises(UserError, match=r"stages=.* of MobileNetV2: must be above zero"):
        MobileNetV2(10, stages=stages)


def test_activations_are_known():
    with pytest.raises(UserError, match="activations are 'relu' or 'hard_swish'"):
        MobileNetV3(10, stages=(((3, 16, 16, True, "gelu", 1),),))
