"""The default recipe for texts, as the facts of one's own data ask for it."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import NamedTuple

from cnn_jax.defaults.facts import FEWER, OPERATIONS, Chosen, class_shares, uneven
from cnn_jax.defaults.file_facts import TARGETS, TASKS
from cnn_jax.duration import epochs
from cnn_jax.errors import UserError
from cnn_jax.recipe import (
    Data,
    Model,
    Optimizer,
    Recipe,
    Schedule,
    Task,
)

LEARNS = "a class, tags or numbers for each text: text:PATH"

_ROUNDS = 25
"""As in the paper."""
_FEWEST_ROUNDS = 3
_PER_WORD = 6 * 361_000
"""Operations of the net in a training step for each place of a text."""


class TextFacts(NamedTuple):
    """What the choice of a recipe depends on.

    Attributes:
      kind: `class`, `tags` or `number`, what is told of a text.
      examples: to learn from, a validation part included.
      targets: how many classes or numbers there are.
      length: words of the longest, as it is read.
      words: how many different ones there are.
      largest: the share of the most frequent class; None where there are no classes.
      smallest: the share of the rarest class.
    """

    kind: str
    examples: int
    targets: int
    length: int
    words: int
    largest: float | None = None
    smallest: float | None = None


def text_facts(data: Data, kind: str = "class", data_dir: Path | None = None) -> TextFacts:
    """Reads a set of texts for what a recipe depends on.

    Args:
      data: the recipe's.
      kind: of the targets; where a set has numbers instead of classes that is found.
      data_dir: is not used.

    Raises:
      UserError: it is no set of texts, or cannot be read.
    """
    # Reading needs JAX, which a help page need not wait for.
    from cnn_jax.data.splits import TEST_FRACTION
    from cnn_jax.data.text import text_parts

    form, _, path = data.name.partition(":")
    if form != "text" or not path:
        raise UserError(
            f"--data.name {data.name} is no set of texts; give text:PATH: a table with a text and "
            "its class a line, tables called train and test, or a folder with a file, or a folder "
            "of .txt files, for each class"
        )
    # As it is: of numbers, no part can be cut in which every class is.
    found = text_parts(path, data.text, data.columns, kind)
    if kind == "class" and _are_numbers(found.names, len(found.parts["train"])):
        kind = "number"
        found = text_parts(path, data.text, data.columns, kind)
    train = found.parts["train"]
    largest, smallest = None, None
    if kind == "class":
        largest, smallest = class_shares(train.labels, len(found.names))
    cut = 1 if "test" in found.parts else 1 - TEST_FRACTION
    return TextFacts(
        kind,
        round(cut * len(train)),
        len(found.names),
        train.inputs.shape[1],
        len(found.words),
        largest,
        smallest,
    )


def _are_numbers(names: tuple[str, ...], texts: int) -> bool:
    """Whether what was read as classes are numbers, hardly any of which comes twice."""
    try:
        for name in names:
            float(name)
    except ValueError:
        return False
    return len(names) > 20 and len(names) > 0.5 * texts


def choose_for_texts(
    task: str, name: str, data: Data, facts: TextFacts | None, weights: bool | None = None
) -> Chosen:
    """A recipe for TextCNN with random word vectors on texts of any number and length.

    Args:
      task: the word of the command line, such as `text`.
      name: of the run.
      data: what is known of them from the command line.
      facts: of the data; None for sentences as in the paper.
      weights: there are none for texts.
    """
    facts = facts or TextFacts("class", 9600, 2, 56, 18_000)
    affordable = int(OPERATIONS / (facts.examples * (facts.length + 9) * _PER_WORD))
    rounds = max(_FEWEST_ROUNDS, min(_ROUNDS, affordable))
    batch = min(50, 2 ** int(math.log2(max(2, facts.examples / 8))))
    numbers = facts.kind == "number"
    recipe = Recipe(
        name=name,
        data=dataclasses.replace(data, validation=0.1),
        task=Task(TASKS[facts.kind]),
        model=Model("text_cnn"),
        optimizer=Optimizer("adam", learning_rate=1e-3)
        if numbers
        else Optimizer(
            "adadelta",
            learning_rate=1.0,
            options={"rho": 0.95, "eps": 1e-6},
            max_norm=("^head/kernel$=1.5",),
        ),
        schedule=Schedule("cosine" if numbers else "constant"),
        batch_size=batch,
        duration=epochs(rounds),
    )
    why = (
        f"default recipe for {facts.examples:,} texts of up to {facts.length:,} words, "
        f"{facts.targets} {TARGETS[facts.kind]}: text_cnn with random vectors of {facts.words:,} "
        f"words, {recipe.duration}"
    )
    if rounds < _ROUNDS:
        why += f", fewer than for a smaller set, {FEWER}"
    return Chosen(recipe, why + uneven(facts.largest, facts.smallest, "texts"))
