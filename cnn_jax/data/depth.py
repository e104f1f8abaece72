"""How deep images are; and of 16-bit grey that is read as 8 bits, which values are the ends."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cnn_jax.errors import UserError

GreyRange = tuple[int, int]
"""The values of 16-bit grey that become 0 and 255; those between become what lies between."""

WHOLE: GreyRange = (0, 65535)

_ALL_BITS = "; --data.full-depth keeps all values"


def check_range(grey_range: GreyRange | None, *, full_depth: bool = False) -> None:
    """Checks a range that a recipe gives.

    Raises:
      UserError: it is none, or nothing is scaled by it.
    """
    if grey_range is not None and full_depth:
        raise UserError(
            "--data.grey-range scales 16-bit images to 8 bits, and --data.full-depth keeps "
            "all their values; leave one of them out"
        )
    if grey_range is not None and not 0 <= grey_range[0] < grey_range[1] <= WHOLE[1]:
        low, high = grey_range
        raise UserError(
            f"--data.grey-range {low} {high} must be two values of 16 bits, from 0 to "
            f"{WHOLE[1]:,}, the one that is black before the one that is white"
        )


def eight_bit_values(values: np.ndarray, grey_range: GreyRange) -> np.ndarray:
    """Values (...) int of a range on the scale 0 to 255, rounded; those beyond it as its ends.

    Returns:
      (...) uint8.
    """
    low, high = grey_range
    above = np.clip(values.astype(np.int64), low, high) - low
    return ((510 * above + high - low) // (2 * (high - low))).astype(np.uint8)


@dataclass(frozen=True)
class Depths:
    """How deep the images of a set are.

    Attributes:
      n: how many there are.
      wide: how many of them are 16-bit grey that is read as 8 bits.
      cut: how many have 16 bits and colours or transparency, and are read as 8 bits.
      extremes: the least and the greatest value of the 16-bit grey images to learn from.
      given: the range that the recipe gives.
      rounded: how many hold values that float32 need not hold exactly.
      pages: how many have several pages.
    """

    n: int
    wide: int = 0
    cut: int = 0
    extremes: tuple[int, int] | None = None
    given: GreyRange | None = None
    rounded: int = 0
    pages: int = 0

    @property
    def _bits(self) -> int:
        """The fewest that hold every value."""
        return max(8, int(self.extremes[1]).bit_length()) if self.extremes else 16

    @property
    def grey_range(self) -> GreyRange | None:
        """What 16-bit grey is read with: what is given, or as many bits as the values need.

        None where there is no such image.
        """
        if not self.wide:
            return None
        return self.given or (0, 2**self._bits - 1)

    def how(self) -> str:
        """How 16-bit grey is read, in words."""
        which = "" if self.wide == self.n else f" ({self.wide:,} of {self.n:,})"
        held = ""
        if self.extremes is not None:
            held = f" hold values from {self.extremes[0]:,} to {self.extremes[1]:,} and"
        how = f"as {self._bits} bits"
        if self.given is not None:
            how = f"with {self.given[0]:,} as black and {self.given[1]:,} as white"
        return f"16-bit grey images{which}{held} are read {how}"

    def notes(self) -> list[str]:
        """What a user should know of it."""
        notes = []
        if self.wide:
            scaled = self.given is not None or self._bits > 8
            notes.append(self.how() + f", scaled to 8{_ALL_BITS}" * scaled)
        if self.cut:
            notes.append(
                f"of {self.cut:,} images of 16 bits with colours or transparency the upper 8 bits "
                f"are read{_ALL_BITS}"
            )
        if self.rounded:
            notes.append(f"the values of {self.rounded:,} TIFF files are rounded to float32")
        if self.pages:
            notes.append(f"of {self.pages:,} TIFF files with several pages the first is read")
        return notes
