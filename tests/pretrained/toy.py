"""A net of every kind of layer, with its names and its computation in PyTorch's way."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from cnn_jax.layers.basic import Conv, Dense
from cnn_jax.models.registry import register


class Toy(nn.Module):
    """(b, 6, 6, 3) -> (b, k)."""

    num_classes: int
    dtype: str = "float32"
    auxiliary: bool = False

    @nn.compact
    def __call__(self, x, *, train=False):
        x = Conv(4, 3, strides=2, padding=1, use_bias=False, name="conv")(x)
        x = nn.BatchNorm(use_running_average=not train, epsilon=1e-3, name="norm")(x)
        x = Conv(6, (3, 1), padding=((1, 1), (0, 0)), groups=2, name="grouped")(nn.relu(x))
        x *= self.param("gamma", nn.initializers.ones, (6,))
        x = nn.LayerNorm(epsilon=1e-5, name="layer_norm")(x)
        if self.auxiliary:
            Dense(2, name="aux")(jnp.mean(x, axis=(1, 2)))
        x = nn.relu(Dense(5, name="hidden")(x.reshape(x.shape[0], -1)))
        return Dense(self.num_classes, name="head")(x)


TORCH_NAMES = (
    (r"stem\.0", "conv"),
    (r"stem\.1", "norm"),
    (r"blocks\.0\.(grouped|layer_norm)", r"\1"),
    (r"blocks\.0\.layer_scale", "gamma"),
    (r"classifier\.1", "hidden"),
    (r"classifier\.(?:3|head)", "head"),
    (r"aux\.fc", "aux"),
)
TIMM_NAMES = (
    (r"conv_stem", "conv"),
    (r"bn1", "norm"),
    (r"blocks\.0\.0\.(grouped|layer_norm)", r"\1"),
    (r"gamma", "gamma"),
    (r"fc1", "hidden"),
    (r"head\.fc", "head"),
)
TORCH_FLATTENED = {"hidden": (6, 3, 3)}
TORCH_OPTIONAL = (r"aux\..*",)

register("toy", Toy, input_shape=(6, 6, 3), num_classes=4, paper="none")

SHAPES = {
    "stem.0.weight": (4, 3, 3, 3),
    "stem.1.weight": (4,),
    "stem.1.bias": (4,),
    "stem.1.running_mean": (4,),
    "stem.1.running_var": (4,),
    "stem.1.num_batches_tracked": (),
    "blocks.0.grouped.weight": (6, 2, 3, 1),
    "blocks.0.grouped.bias": (6,),
    "blocks.0.layer_scale": (6,),
    "blocks.0.layer_norm.weight": (6,),
    "blocks.0.layer_norm.bias": (6,),
    "classifier.1.weight": (5, 54),
    "classifier.1.bias": (5,),
    "classifier.3.weight": (4, 5),
    "classifier.3.bias": (4,),
}


def state_dict():
    """Weights as PyTorch would hold them."""
    random = np.random.default_rng(3)
    return {
        name: random.uniform(0.5, 1.5, shape).astype(np.float32)
        if name.endswith("var")
        else np.array(9)
        if name.endswith("tracked")
        else random.normal(size=shape).astype(np.float32)
        for name, shape in SHAPES.items()
    }


def forward(weights, images):
    """The logits of images (b, c, h, w), layer by layer in PyTorch's layout."""
    x = convolve(images, weights["stem.0.weight"], stride=2, padding=(1, 1))
    mean, var = weights["stem.1.running_mean"], weights["stem.1.running_var"]
    x = (x - maps(mean)) / np.sqrt(maps(var) + 1e-3)
    x = np.maximum(x * maps(weights["stem.1.weight"]) + maps(weights["stem.1.bias"]), 0)
    kernel = weights["blocks.0.grouped.weight"]
    halves = [
        convolve(x[:, 2 * i : 2 * i + 2], kernel[3 * i : 3 * i + 3], stride=1, padding=(1, 0))
        for i in range(2)
    ]
    x = np.concatenate(halves, axis=1) + maps(weights["blocks.0.grouped.bias"])
    x = x * maps(weights["blocks.0.layer_scale"])
    x = (x - x.mean(axis=1, keepdims=True)) / np.sqrt(x.var(axis=1, keepdims=True) + 1e-5)
    x = x * maps(weights["blocks.0.layer_norm.weight"]) + maps(weights["blocks.0.layer_norm.bias"])
    x = x.reshape(len(x), -1)
    x = np.maximum(x @ weights["classifier.1.weight"].T + weights["classifier.1.bias"], 0)
    return x @ weights["classifier.3.weight"].T + weights["classifier.3.bias"]


def maps(values):
    """A number for each map."""
    return values[:, None, None]


def convolve(x, kernel, *, stride, padding):
    """The cross-correlation of (b, i, h, w) with (o, i, kh, kw)."""
    x = np.pad(x, ((0, 0), (0, 0), (padding[0],) * 2, (padding[1],) * 2))
    rows = range(0, x.shape[2] - kernel.shape[2] + 1, stride)
    columns = range(0, x.shape[3] - kernel.shape[3] + 1, stride)
    found = np.zeros((len(x), len(kernel), len(rows), len(columns)))
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            part = x[:, :, row : row + kernel.shape[2], column : column + kernel.shape[3]]
            found[:, :, i, j] = np.einsum("bihw,oihw->bo", part, kernel)
    return found


@functools.cache
def init_of(module):
    """Its initialisation, compiled."""
    return jax.jit(module.init)


def initial(num_classes=4, channels=3, **options):
    """Initial variables."""
    images = jnp.zeros((1, 6, 6, channels))
    found = init_of(Toy(num_classes, **options))(jax.random.key(0), images)
    return {name: found[name] for name in ("params", "batch_stats")}
