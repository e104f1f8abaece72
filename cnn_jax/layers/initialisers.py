"""Initial values of parameters, by name."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from cnn_jax.errors import unknown

InitFunction = Callable[..., jax.Array]
"""Maps (key, shape, dtype) to an array of that shape and dtype."""

Init = str | InitFunction
"""What a field such as `kernel_init` may hold: a name of this file, or a function."""


def _uniform(bound: Callable[[int], float], fan_in: int | None = None) -> InitFunction:
    """Uniform values in ±bound(fan_in), where the fan-in of a kernel is read off its shape."""

    def init(key: jax.Array, shape: tuple[int, ...], dtype: Any = float) -> jax.Array:
        inputs = math.prod(shape[:-1]) if fan_in is None else fan_in
        limit = bound(inputs)
        return jax.random.uniform(key, shape, dtype, -limit, limit)

    return init


def _pytorch_bound(fan_in: int) -> float:
    return 1 / math.sqrt(fan_in)


def _lecun98_bound(fan_in: int) -> float:
    return 2.4 / fan_in


_init = nn.initializers


def _dirac(key: jax.Array, shape: tuple[int, ...], dtype: Any = float) -> jax.Array:
    """An initial kernel (h, w, c, features) whose first c output maps are the input maps.

    What is further, if there are more, is drawn as PyTorch's default, and so are the kernels of
    full connections.
    """
    kernel = _uniform(_pytorch_bound)(key, shape, dtype)
    if len(shape) != 4:
        return kernel
    height, width, inputs, outputs = shape
    same = min(inputs, outputs)
    identity = jnp.zeros((height, width, inputs, same), dtype)
    identity = identity.at[height // 2, width // 2].set(jnp.eye(inputs, same, dtype=dtype))
    return kernel.at[..., :same].set(identity)


KERNELS: dict[str, InitFunction] = {
    "he_normal": _init.he_normal(),
    "he_normal_fan_out": _init.variance_scaling(2.0, "fan_out", "normal"),
    "he_uniform": _init.he_uniform(),
    "lecun_normal": _init.lecun_normal(),
    "lecun_uniform": _init.lecun_uniform(),
    "glorot_normal": _init.glorot_normal(),
    "glorot_uniform": _init.glorot_uniform(),
    "orthogonal": _init.orthogonal(),
    "pytorch": _uniform(_pytorch_bound),
    "lecun98": _uniform(_lecun98_bound),
    "dirac": _dirac,
    "normal": _init.normal(0.01),
    "truncated_normal": _init.truncated_normal(0.02),
    "zeros": _init.zeros,
    "ones": _init.ones,
}
"""Initial kernels, of shape (..., inputs, outputs).

he, lecun, glorot: variance 2/fan_in, 1/fan_in, 2/(fan_in + fan_out); he_normal_fan_out:
variance 2/(kh kw outputs), which keeps the size of gradients instead of that of activations
(https://arxiv.org/abs/1502.01852, section 2.2; LeCun et al. 1998 "Efficient BackProp", Glorot
and Bengio 2010); orthogonal: https://arxiv.org/abs/1312.6120; pytorch: uniform in
±1/sqrt(fan_in), that framework's default; lecun98: uniform in ±2.4/fan_in (LeCun et al. 1998,
appendix A); dirac: the first output maps of a convolution are its input maps, the rest is as
pytorch (https://arxiv.org/abs/1706.00388); normal: deviation 0.01 (AlexNet); truncated_normal:
deviation 0.02 before values beyond two deviations are drawn again.
"""

_BIASES: dict[str, Callable[[int], InitFunction]] = {
    "zeros": lambda fan_in: _init.zeros,
    "ones": lambda fan_in: _init.ones,
    "normal": lambda fan_in: _init.normal(0.01),
    "pytorch": lambda fan_in: _uniform(_pytorch_bound, fan_in),
    "lecun98": lambda fan_in: _uniform(_lecun98_bound, fan_in),
}


def kernel(init: Init) -> InitFunction:
    """The initialiser of a kernel called `init`, or `init` itself where it is a function.

    Raises:
      UserError: there is no such name in `KERNELS`.
    """
    if not isinstance(init, str):
        return init
    if init not in KERNELS:
        raise unknown("kernel_init", init, KERNELS)
    return KERNELS[init]


def bias(init: Init, fan_in: int) -> InitFunction:
    """The initialiser of a bias whose unit has `fan_in` inputs: zeros, ones, normal, pytorch
    or lecun98 as in `KERNELS`, or `init` itself where it is a function.

    Raises:
      UserError: there is no such name.
    """
    if not isinstance(init, str):
        return init
    if init not in _BIASES:
        raise unknown("bias_init", init, _BIASES)
    return _BIASES[init](fan_in)
