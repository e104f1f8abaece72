"""The values that a sweep tries: all of some lists, or drawn from lists and ranges."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnn_jax.errors import UserError

_RANGE = re.compile(r"(log:)?(?P<low>[-+.\de]+?)\.\.(?P<high>[-+.\de]+)", re.I)

Values = dict[str, str]
"""The values of some fields, as they are given on a command line."""


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included.

    Attributes:
      low: the least.
      high: the greatest.
      whole: whether they are whole numbers.
      log: whether their logarithms are drawn evenly.
    """

    low: float
    high: float
    whole: bool = False
    log: bool = False

    def at(self, place: float) -> str:
        """The number at a place from 0 to 1, as it is given."""
        low, high = (self.low - 0.5, self.high + 0.5) if self.whole else (self.low, self.high)
        if self.log:
            low, high = math.log(max(low, 1e-300)), math.log(high)
        value = low + place * (high - low)
        value = math.exp(value) if self.log else value
        if self.whole:
            return str(int(min(max(round(value), self.low), self.high)))
        return f"{value:.4g}"


Space = Mapping[str, "tuple[str, ...] | Range"]


def parse_lists(flag: str, words: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Lists of values from words such as `batch_size=64,128`.

    Commas within brackets do not part values: `augment.erase_area=(0.1,0.2),(0.2,0.4)`.

    Raises:
      UserError: a word has no field or no value, or a field comes twice.
    """
    found: dict[str, tuple[str, ...]] = {}
    for word in words:
        field, equals, text = word.partition("=")
        values = tuple(_parted(text))
        if not equals or not field or not all(values):
            raise UserError(f"{flag} {word} is written field=value,value")
        if field in found:
            raise UserError(f"{flag} {field} is given twice")
        if len(set(values)) < len(values):
            raise UserError(f"{flag} {word} names a value twice")
        found[field] = values
    return found


def parse_space(flag: str, words: Sequence[str]) -> dict[str, tuple[str, ...] | Range]:
    """Lists and ranges from words such as `optimizer.learning_rate=log:0.001..0.1`.

    Raises:
      UserError: see `parse_lists`; or a range has its ends the wrong way round.
    """
    found: dict[str, tuple[str, ...] | Range] = {}
    for field, values in parse_lists(flag, words).items():
        text = values[0]
        if len(values) > 1 or ".." not in text:
            found[field] = values
            continue
        match = _RANGE.fullmatch(text)
        try:
            low, high = (float(match[name]) for name in ("low", "high")) if match else (0.0, 0.0)
        except ValueError:
            match = None
        if match is None:
            raise UserError(f"{flag} {field}={text} is no range, which is written 0.1..0.9")
        log = match[1] is not None
        if not low < high or (log and low <= 0):
            raise UserError(
                f"{flag} {field}={text}: the first end must be less than the second"
                + " and more than zero" * log
            )
        whole = all(re.fullmatch(r"[-+]?\d+", match[name]) for name in ("low", "high"))
        found[field] = Range(low, high, whole, log)
    return found


def all_of(lists: Mapping[str, Sequence[str]]) -> list[Values]:
    """Every combination of some lists, the last field changing first."""
    return [dict(zip(lists, each, strict=True)) for each in itertools.product(*lists.values())]


def drawn(space: Space, count: int, seed: int) -> list[Values]:
    """So many combinations drawn at random, each once; fewer where there are no more.

    The first are the same however many are drawn.
    """
    random = np.random.default_rng(seed)
    found: dict[tuple[str, ...], Values] = {}
    for _ in range(100 * count):
        values = {name: _one(each, random) for name, each in space.items()}
        found.setdefault(tuple(values.values()), values)
        if len(found) == count:
            break
    return list(found.values())


def _one(each: tuple[str, ...] | Range, random: Any) -> str:
    if isinstance(each, Range):
        return each.at(float(random.random()))
    return each[int(random.integers(len(each)))]


def _parted(text: str) -> list[str]:
    """The parts of a text between the commas that stand in no brackets."""
    parts, depth = [""], 0
    for sign in text:
        depth += (sign in "([{") - (sign in ")]}")
        if sign == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += sign
    return [part.strip() for part in parts]
