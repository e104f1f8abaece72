"""Harmonic dense blocks: few of the links of a dense block, and more maps where many meet."""

from __future__ import annotations


def links(layer: int) -> list[int]:
    """The layers, counted from 1, or 0 for the input, whose maps a layer takes, the nearest first.

    Layer l takes those of l - 2^n for every 2^n that divides l (Chao et al. 2019,
    https://arxiv.org/abs/1909.00948, section 3.1).
    """
    steps = [2**n for n in range(layer.bit_length()) if layer % 2**n == 0]
    return [layer - step for step in steps]


def width_of(layer: int, growth: int, multiplier: float) -> int:
    """The maps of a layer: growth times multiplier^n where 2^n divides its number, made even.

    Rounded as by the authors.
    """
    power = (layer & -layer).bit_length() - 1
    return int(int(growth * multiplier**power + 1) / 2) * 2


def put_out(depth: int) -> list[int]:
    """The layers whose maps a block of a depth puts out: the odd ones and the last."""
    return [layer for layer in range(1, depth + 1) if layer % 2 or layer == depth]
