"""Weights and images made from names and shapes alone, the same with every package version.

The original and our model are given the same weights without these being stored.
"""

import math
import zlib

import numpy as np


def uniform(name, shape):
    """Numbers from -1 to 1 that depend on the name and the shape only.

    Of the raw bits of Philox, since only these are promised to stay the same.
    """
    count = math.prod(shape)
    bits = np.random.Philox(key=zlib.crc32(name.encode())).random_raw((count + 1) // 2)
    numbers = (bits.astype("<u8").view("<u4")[:count] >> 8).astype(np.float32)
    return (numbers * np.float32(2**-23) - 1).reshape(shape)


def weight(name, shape):
    """A tensor of a state dict under which a signal neither vanishes nor explodes.

    Kernels are uniform with variance 2 / fan-in; factors and variances of normalisations lie
    near 1, biases and means near 0, other factors for each map near 1/2.
    """
    leaf = name.rpartition(".")[2]
    if leaf == "num_batches_tracked":
        return np.zeros(shape, np.int64)
    numbers = uniform(name, shape)
    if leaf == "running_var":
        return 1 + np.float32(0.3) * numbers
    if leaf in ("bias", "running_mean"):
        return np.float32(0.1) * numbers
    if leaf == "weight" and len(shape) >= 2:
        return np.float32(math.sqrt(6 / math.prod(shape[1:]))) * numbers
    if leaf == "weight":
        return 1 + np.float32(0.2) * numbers
    return np.float32(0.5) + np.float32(0.1) * numbers


def images(count, size):
    """Images (count, size, size, 3) of numbers with mean 0 and variance 1."""
    return np.float32(math.sqrt(3)) * uniform("images", (count, size, size, 3))


def clips(count, frames, size):
    """Clips (count, frames, size, size, 3) of such numbers."""
    return np.float32(math.sqrt(3)) * uniform("clips", (count, frames, size, size, 3))


def some(logits):
    """(b, k) as they are, and of (b, h, w, k) those of every seventh pixel along each side."""
    return logits if logits.ndim == 2 else logits[:, ::7, ::7]


def summary(array):
    """A few numbers that hardly agree by chance: mean, root mean square, and some elements.

    Args:
      array: (b, t, h, w, c), (b, h, w, c) or (b, c).
    """
    array = np.asarray(array, np.float32)
    array = array.reshape(len(array), -1, array.shape[-1])
    means = [array.mean(dtype=np.float64), np.sqrt(np.square(array, dtype=np.float64).mean())]
    middle = array.shape[1] // 2
    return np.float32([*means, *array[0, 0, :8], *array[-1, middle, -8:]])
