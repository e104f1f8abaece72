"""MobileNetV3, small: a class of its own since torchvision names its parts otherwise."""

from __future__ import annotations

from cnn_jax.models.mobilenet_v3 import MobileNetV3, Stages, torch_names
from cnn_jax.models.registry import register

SMALL: Stages = (
    ((3, 16, 16, True, "relu", 2),),
    (
        (3, 72, 24, False, "relu", 2),
        (3, 88, 24, False, "relu", 1),
    ),
    (
        (5, 96, 40, True, "hard_swish", 2),
        (5, 240, 40, True, "hard_swish", 1),
        (5, 240, 40, True, "hard_swish", 1),
        (5, 120, 48, True, "hard_swish", 1),
        (5, 144, 48, True, "hard_swish", 1),
    ),
    (
        (5, 288, 96, True, "hard_swish", 2),
        (5, 576, 96, True, "hard_swish", 1),
        (5, 576, 96, True, "hard_swish", 1),
    ),
)
"""The blocks of the paper's table 2, in stages of one size of maps."""


class MobileNetV3Small(MobileNetV3):
    """`MobileNetV3` with the blocks of table 2 of its paper, for 224 pixels:

        stem     3x3/2, 16, hard swish       112x112
        stage1   1 block of 16 maps, /2      56x56
        stage2   2 of 24, /2                 28x28
        stage3   3 of 40, 2 of 48, /2        14x14
        stage4   3 of 96, /2                 7x7
        last     1x1, 576, hard swish        7x7
        dense    global mean, 1024, hard swish, dropout
        head     dense

    2,542,856 parameters for 1000 classes. Attributes are those of `MobileNetV3`.
    """  # noqa: D400, D415

    stages: Stages = SMALL
    hidden: int = 1024


TORCH_NAMES: tuple[tuple[str, str], ...] = torch_names(SMALL)
"""torchvision's names of modules as ours."""

register(
    "mobilenet_v3_small",
    MobileNetV3Small,
    input_shape=(224, 224, 3),
    num_classes=1000,
    paper="Howard et al. 2019, https://arxiv.org/abs/1905.02244",
)
