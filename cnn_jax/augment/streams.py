"""The random numbers of the changes, by name."""

from __future__ import annotations

import enum


class Stream(enum.IntEnum):
    """The random numbers of each change, named by what is folded into the key.

    They are constants, so that leaving a change out, or adding one, alters no other's draws.
    """

    PAD_CROP = 1
    MIRROR = 2
    AFFINE = 3
    BRIGHTNESS = 4
    CONTRAST = 5
    SATURATION = 6
    CUTOUT = 7
    MIXUP = 8
    CUTMIX = 9
    MIXUP_OR_CUTMIX = 10
    RAND_AUGMENT = 11
    TRIVIAL_AUGMENT = 12
    ERASE = 13
    OWN = 14
    CROP = 15
    MOSAIC = 16
    CUT = 17
    SHIFT = 18
    STRETCH = 19
    GAIN = 20
    BETWEEN_CLASS = 21
    TIME_MASKS = 22
    BAND_MASKS = 23
    FRAMES = 24
