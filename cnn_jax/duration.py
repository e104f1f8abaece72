"""Lengths of training: steps, epochs, examples or percent, turned into steps in one place."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

from cnn_jax.errors import UserError

Unit = Literal["steps", "epochs", "examples", "percent"]

_UNITS: dict[str, Unit] = {
    "": "epochs",
    "step": "steps",
    "steps": "steps",
    "epoch": "epochs",
    "epochs": "epochs",
    "example": "examples",
    "examples": "examples",
    "%": "percent",
    "percent": "percent",
}


@dataclass(frozen=True)
class Duration:
    """A length of training, such as `epochs(10)` or, on a command line, `10`, `500steps`, `5%`.

    Attributes:
      amount: how many units, not negative.
      unit: steps (updates), epochs (passes over the training examples), examples,
        or percent (of the whole training).
    """

    amount: float
    unit: Unit

    def __post_init__(self) -> None:
        if not (math.isfinite(self.amount) and self.amount >= 0):
            raise UserError(f"a duration is a number that is not negative, not {self.amount}")

    @classmethod
    def parse(cls, text: str) -> Duration:
        """Reads `3`, `3 epochs`, `500steps`, `1e6 examples`, `5%`; a bare number means epochs.

        Raises:
          UserError: the text is no duration.
        """
        match = re.fullmatch(r"\s*([0-9.][0-9._]*(?:e[+-]?\d+)?)\s*([a-z%]*)\s*", text.lower())
        if not match or match[2] not in _UNITS:
            raise UserError(
                f"{text!r} is no duration; valid are for instance 10, '10 epochs', 500steps, "
                "'1e6 examples', 5%"
            )
        try:
            amount = float(match[1])
        except ValueError:
            raise UserError(f"{match[1]!r} in the duration {text!r} is no number") from None
        return cls(amount, _UNITS[match[2]])

    @classmethod
    def of(cls, value: Duration | float | str) -> Duration:
        """A duration, a number of epochs, or a text as `parse` reads it.

        Raises:
          UserError: the text is no duration.
        """
        if isinstance(value, Duration):
            return value
        return cls.parse(value) if isinstance(value, str) else cls(float(value), "epochs")

    def __str__(self) -> str:
        short = f"{self.amount:g}"
        amount = short if float(short) == self.amount else repr(self.amount)
        if self.unit == "percent":
            return f"{amount}%"
        return f"{amount} {self.unit}"

    def exact_steps(
        self, *, batch_size: int, examples: int, total_steps: int | None = None
    ) -> float:
        """The duration in steps, which need not be whole.

        Args:
          batch_size: examples in the global batch of a step.
          examples: examples in an epoch.
          total_steps: length of the whole training, which percent refer to.

        Raises:
          UserError: percent where there is no whole to refer to.
        """
        match self.unit:
            case "steps":
                return self.amount
            case "epochs":
                return self.amount * examples / batch_size
            case "examples":
                return self.amount / batch_size
            case "percent":
                if total_steps is None:
                    raise UserError("the length of the whole training cannot be given in percent")
                return self.amount / 100 * total_steps

    def steps(self, *, batch_size: int, examples: int, total_steps: int | None = None) -> int:
        """The nearest whole number of steps, at least one unless the duration is zero.

        See `exact_steps` for the arguments and what is raised.
        """
        exact = self.exact_steps(batch_size=batch_size, examples=examples, total_steps=total_steps)
        return max(1, round(exact)) if exact > 0 else 0


def steps(amount: float) -> Duration:
    """A number of updates."""
    return Duration(amount, "steps")


def epochs(amount: float) -> Duration:
    """A number of passes over the training examples."""
    return Duration(amount, "epochs")


def examples(amount: float) -> Duration:
    """A number of training examples."""
    return Duration(amount, "examples")


def percent(amount: float) -> Duration:
    """A part of the whole training."""
    return Duration(amount, "percent")
