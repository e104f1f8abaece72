"""Which way of computing a convolution is the fastest on a CPU, by its shapes alone.

Costs are counted in multiplications; numbers were fitted to `make bench-shapes`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import jax

from cnn_jax.layers.cpu.winograd import Pads

UNROLLED = 2**22
"""Elements up to which a kernel is written out for every pixel: what the caches hold. Beyond it
writing takes several times as long an element."""

WRITTEN = 64
"""Multiplications in the time in which one number is put into a patch or an unrolled kernel."""

PACKED = 16
"""The same for XLA's own convolutions, which put patches together in the caches."""

FEW_PIXELS = 384
"""Of all outputs of a batch. Up to so many XLA's own convolutions, and kernels in Winograd's
tiles, take most of their time to read the kernel, which a product does faster."""

FEW_FOR_KERNEL = 128
"""The same for gradients with respect to kernels, whose other form reads them less."""

FEW_FOR_MAPS = 2.5
"""As `FEW_PIXELS`, for each map that is given, for convolutions to many maps whose kernel is wide
or steps over pixels; twice as many where it is wide."""

WIDE = 5
"""Sides of a kernel from which it is wide."""

FEW_BETWEEN_STEPS = 64
"""As `FEW_PIXELS`, for each map of the output, for gradients of convolutions that step over
pixels: they are several small ones, and of a product's time putting patches together is the less
the more maps it adds up."""

FEW_MAPS = 8
"""With fewer to give XLA's own convolutions are slow, and patches small."""

MANY_FEATURES = 128
"""From so many on little of a product's time is what putting the patches together takes."""

MANY_PAIRS = 2**14
"""Of a map of the input and one of the output. From so many on XLA's own gradients with respect to
kernels larger than the image are the fastest, which skip what meets no pixel."""

FEW_IMAGES = 8
"""Up to so many XLA's own gradients with respect to wide kernels of few maps are faster."""

FEW_NUMBERS = 2**16
"""In all patches, which are put together in less time than XLA's own convolutions take to begin."""


class Shapes(NamedTuple):
    """A convolution without groups or dilation.

    Attributes:
      batch: images.
      sides: (h, w) of the input.
      outs: (h', w') of the output.
      sizes: (kh, kw) of the kernel.
      channels: maps of the input.
      features: maps of the output.
      strides: (vertical, horizontal) steps.
    """

    batch: int
    sides: tuple[int, int]
    outs: tuple[int, int]
    sizes: tuple[int, int]
    channels: int
    features: int
    strides: tuple[int, int]

    @classmethod
    def of(cls, x: jax.Array, kernel: jax.Array, strides: tuple[int, int], pads: Pads) -> Shapes:
        """Those of x (b, h, w, c) with a kernel (kh, kw, c, f)."""
        batch, height, width, _ = x.shape
        *sizes, channels, features = kernel.shape
        rows, columns = (
            (side + sum(pad) - size) // stride + 1
            for side, pad, size, stride in zip((height, width), pads, sizes, strides, strict=True)
        )
        return cls(
            batch,
            (height, width),
            (rows, columns),
            (sizes[0], sizes[1]),
            channels,
            features,
            strides,
        )

    @property
    def pixels(self) -> int:
        """Of all outputs."""
        return self.batch * math.prod(self.outs)

    @property
    def _numbers(self) -> int:
        """Of all patches."""
        return self.pixels * math.prod(self.sizes) * self.channels

    @property
    def kernel_is_larger(self) -> bool:
        """Whether it is than the image, for which XLA's convolutions have no fast code."""
        return any(size > side for size, side in zip(self.sizes, self.sides, strict=True))

    @property
    def one_patch(self) -> bool:
        """Whether images are their only patch, as they lie there."""
        return self.outs == (1, 1) and self.sizes == self.sides

    @property
    def unrolls_kernel(self) -> bool:
        """Whether the kernel is to be written out for every pixel, in all directions."""
        if self.one_patch:
            return False
        elements = math.prod(self.sides) * math.prod(self.outs) * self.channels * self.features
        written = PACKED if not self.kernel_is_larger else WRITTEN
        others = self._numbers * (self.features + written)
        return elements <= UNROLLED and elements * (self.batch + WRITTEN) < others

    @property
    def value_by_patches(self) -> bool:
        """Whether the value is to be a product of patches."""
        pays = self.features >= MANY_FEATURES or self._numbers <= FEW_NUMBERS
        few = self.pixels <= FEW_PIXELS and pays
        return self.one_patch or self.kernel_is_larger or few or self._few_for(self.features)

    @property
    def input_by_patches(self) -> bool:
        """Whether the gradient with respect to the input is to be."""
        # The kernel, of which each step has a part, meets the gradient of the output.
        larger = any(
            -(-size // stride) > out
            for size, stride, out in zip(self.sizes, self.strides, self.outs, strict=True)
        )
        if self.strides == (1, 1):
            few = self.pixels <= FEW_PIXELS or self._few_for(self.channels)
            return larger or few or self.channels < FEW_MAPS
        few = self.pixels <= FEW_BETWEEN_STEPS * self.features
        return larger or few or self.channels < FEW_MAPS

    def _few_for(self, given: int) -> bool:
        """Whether pixels are few for a product that gives so many maps, see `FEW_FOR_MAPS`."""
        wide = min(self.sizes) >= WIDE
        steps = self.strides != (1, 1) and min(self.sizes) > 1
        if given < MANY_FEATURES or not (wide or steps):
            return False
        return self.pixels <= FEW_FOR_MAPS * given * (1 + wide)

    @property
    def kernel_by_patches(self) -> bool:
        """Whether the gradient with respect to the kernel is to be."""
        # Of few maps to many the shifted gradient is more to write than patches are.
        fans_out = self.strides != (1, 1) and MANY_FEATURES <= self.channels <= self.features / 4
        few = self.pixels <= FEW_FOR_KERNEL or (fans_out and self.pixels <= 4 * self.features)
        return self.one_patch or few

    @property
    def kernel_by_xla(self) -> bool:
        """Whether XLA's own gradient with respect to the kernel is to be taken, no product."""
        if self.strides != (1, 1) or self.one_patch:
            return False
        if self.kernel_is_larger:
            return self.pixels > FEW_FOR_KERNEL / 2 and self.channels * self.features >= MANY_PAIRS
        few = self.batch <= FEW_IMAGES and self.pixels > FEW_FOR_KERNEL
        return few and self.sizes == (5, 5) and self.channels <= 16 < self.features <= 64

    @property
    def tiles_pay(self) -> bool:
        """Whether there is enough to multiply by a kernel in Winograd's tiles, of 4x4 outputs.

        It has 36 elements where the kernel has 9, which are written before they are multiplied.
        """
        tiles = self.batch * math.prod(-(-out // 4) for out in self.outs)
        return 36 * (tiles + WRITTEN) < 9 * (self.pixels + WRITTEN)


def met_by_pixels(
    side: int, size: int, stride: int, pad: tuple[int, int]
) -> tuple[range, int, tuple[int, int]]:
    """The part of a kernel that meets any pixel, along one axis, with its step and padding.

    Args:
      side: of the image.
      size: of the kernel.
      stride: its step.
      pad: pixels of zeros before and after the image.

    Returns:
      (elements of the kernel, step, pixels before and after), which give the same.
    """
    before, after = pad
    room = side + before + after - size
    last = room // stride * stride
    # The first output sees the image behind its zeros, the last one before those at the end.
    met = range(max(0, before - last), min(size, side + before))
    if room < 0 or min(pad) < 0 or not met:
        return range(size), stride, pad
    before, after = before - met.start, after - (size - met.stop)
    if last == 0 and room <= after:
        # One output: no step is taken.
        return met, 1, (before, after - room)
    return met, stride, (before, after)
