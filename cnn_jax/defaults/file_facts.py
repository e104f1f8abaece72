"""What the default recipes for sounds and for videos share, which are files with labels."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from cnn_jax.defaults.facts import FEWER, class_shares

if TYPE_CHECKING:
    from cnn_jax.data.labelled_files import LabelledFiles

TASKS = {"class": "classification", "tags": "tagging", "number": "regression"}
"""The task that learns targets of a kind."""
TARGETS = {"class": "classes", "tags": "tags", "number": "numbers"}
"""What these are called."""

_OPERATIONS = 36e12
"""Of a training: some fifteen minutes on two cores."""


class Learnt(NamedTuple):
    """What there is to learn from.

    Attributes:
      examples: a validation part included, a test part not.
      largest: the share of the most frequent class; None where there are no classes.
      smallest: the share of the rarest class.
    """

    examples: int
    largest: float | None
    smallest: float | None


def learnt_of(found: LabelledFiles, kind: str) -> Learnt:
    """How many files a run learns from, once a test part has been cut, and their classes.

    Args:
      found: the files.
      kind: of the targets.
    """
    # Reading needs JAX, which a help page need not wait for.
    from cnn_jax.data.splits import TEST_FRACTION

    train = found.parts == "train"
    largest, smallest = None, None
    if kind == "class":
        largest, smallest = class_shares(found.targets[train], len(found.class_names))
    part = 1 / len(found.fold_names) if found.fold_names else TEST_FRACTION
    cut = 0.0 if "test" in found.parts else part
    return Learnt(round((1 - cut) * int(train.sum())), largest, smallest)


class Rounds(NamedTuple):
    """How often all examples are seen.

    Attributes:
      epochs: how many.
      fewer: whether more would be better, and take too long.
    """

    epochs: int
    fewer: bool


def rounds_of(examples: int, each: float, *, least: int, most: int, seen: int) -> Rounds:
    """The epochs of a run.

    Args:
      examples: to learn from.
      each: operations of a training step for one of them.
      least: epochs.
      most: epochs.
      seen: so many examples at least a run sees where they are many.
    """
    affordable = int(_OPERATIONS / (examples * each))
    wished = min(most, max(least, math.ceil(seen / examples)))
    count = max(least, min(wished, affordable))
    return Rounds(count, count < wished)


def batch_of(examples: int, most: int) -> int:
    """A power of two, so that an epoch has four steps, where that many examples are there."""
    return min(most, 2 ** int(math.log2(max(2, examples / 4))))


def fewer_told(rounds: Rounds) -> str:
    """That there are fewer epochs than would be better; empty where there are not."""
    return f", fewer than for a smaller set, {FEWER}" if rounds.fewer else ""


def last_state_told(validation: float) -> str:
    """That the last state is taken where no part is held out; empty where one is."""
    if validation:
        return ""
    return (
        ". It learns from all of them without a validation part, and takes the last state; "
        "--data.validation 0.2 holds a part out"
    )
