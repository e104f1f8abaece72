"""The default recipe for series of numbers, as the facts of one's own data ask for it."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import NamedTuple

from cnn_jax.defaults.facts import FEWER, OPERATIONS, Chosen, class_shares, uneven
from cnn_jax.duration import percent, steps
from cnn_jax.errors import UserError
from cnn_jax.recipe import Checkpoints, Data, Model, Optimizer, Recipe, Schedule, Task

LEARNS = "a class or numbers for each series: series:PATH or ucr:NAME"

MANY = 1000
"""From so many training series on a part of them is held out for validation. Of fewer the papers
learn from all, and take the last state."""

_STEPS = 600
_FEWEST_STEPS = 500
_ROUNDS = 60
"""So often at least each series is seen, where they are many."""
_TIMES = 2**16
"""Of all series of a batch: of so many the net's maps take some 2 GB. Longer series are fewer."""
_PER_VALUE = 6 * 420_000
"""Operations of the net in a training step for each time of a series."""


class SeriesFacts(NamedTuple):
    """What the choice of a recipe depends on.

    Attributes:
      kind: `class` or `number`, what is told of a series.
      examples: to learn from, a validation part included.
      targets: how many classes or numbers there are.
      length: times of the longest.
      channels: values at each time.
      unequal: whether some end before others.
      largest: the share of the most frequent class; None where there are no classes.
      smallest: the share of the rarest class.
    """

    kind: str
    examples: int
    targets: int
    length: int
    channels: int
    unequal: bool
    largest: float | None = None
    smallest: float | None = None


def series_facts(data: Data, kind: str = "class", data_dir: Path | None = None) -> SeriesFacts:
    """Reads a set of series for what a recipe depends on.

    Args:
      data: the recipe's.
      kind: of the targets; where a set has numbers instead of classes that is found.
      data_dir: where sets lie that are brought.

    Raises:
      UserError: it is no set of series, or cannot be read.
    """
    # Reading needs JAX, which a help page need not wait for.
    import numpy as np

    from cnn_jax.data.dataset import Split
    from cnn_jax.data.recipe_data import read_data

    if data.name.partition(":")[0] not in ("series", "ucr"):
        raise UserError(
            f"--data.name {data.name} is no set of series; give series:PATH (a folder with "
            "NAME_TRAIN and NAME_TEST as .ts, .tsv or .csv, or an .npz file) or ucr:NAME"
        )
    try:
        found = read_data(data, data_dir, kind=kind)
    except UserError as error:
        try:
            kind = "number"
            found = read_data(data, data_dir, kind=kind)
        except UserError:
            raise error from None
    train = found.train
    assert isinstance(train, Split)
    largest, smallest = None, None
    if kind == "class":
        largest, smallest = class_shares(train.labels, len(found.class_names))
    return SeriesFacts(
        kind,
        len(train),
        len(found.class_names),
        train.inputs.shape[1],
        train.inputs.shape[2],
        bool(np.isnan(train.inputs).any()),
        largest,
        smallest,
    )


def choose_for_series(
    task: str, name: str, data: Data, facts: SeriesFacts | None, weights: bool | None = None
) -> Chosen:
    """A recipe for one network of InceptionTime on series of any number, length and channels.

    Args:
      task: the word of the command line, such as `series`.
      name: of the run.
      data: what is known of them from the command line.
      facts: of the data; None for a set as most of the UCR archive are.
      weights: there are none for series.
    """
    facts = facts or SeriesFacts("class", 200, 2, 200, 1, False)
    half = 2 ** int(math.log2(max(2, facts.examples / 2)))
    fitting = 2 ** int(math.log2(max(4, _TIMES / facts.length)))
    batch = min(16 if facts.examples < MANY else 64, half, fitting)
    wished = max(_STEPS, math.ceil(_ROUNDS * facts.examples / batch / 100) * 100)
    affordable = int(OPERATIONS / (batch * facts.length * _PER_VALUE))
    count = max(_FEWEST_STEPS, min(wished, affordable) // 100 * 100)
    held_out = 0.1 if facts.examples >= MANY else 0.0
    recipe = Recipe(
        name=name,
        data=dataclasses.replace(data, validation=held_out),
        task=Task("classification" if facts.kind == "class" else "regression"),
        model=Model("inception_time"),
        optimizer=Optimizer("adam", learning_rate=1e-3),
        schedule=Schedule("cosine"),
        checkpoints=Checkpoints(every=percent(20)),
        batch_size=batch,
        duration=steps(count),
        validate_every=percent(10),
        log_every=percent(10),
    )
    return Chosen(recipe, _why(facts, recipe, count < wished))


def _why(facts: SeriesFacts, recipe: Recipe, fewer: bool) -> str:
    length = f"{'up to ' * facts.unequal}{facts.length:,} times"
    channels = "one channel" if facts.channels == 1 else f"{facts.channels} channels"
    told = "classes" if facts.kind == "class" else "numbers"
    why = (
        f"default recipe for {facts.examples:,} series of {length}, {channels}, "
        f"{facts.targets} {told}: {recipe.model.name} for {recipe.duration}"
    )
    if fewer:
        why += f", fewer than for shorter series, {FEWER}"
    if recipe.data.validation == 0:
        why += (
            ". It learns from all of them without a validation part, as papers do with so few; "
            "--data.validation 0.2 holds a part out"
        )
    return why + uneven(facts.largest, facts.smallest, "series")
