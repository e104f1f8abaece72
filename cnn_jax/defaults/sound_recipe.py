"""The default recipe for sounds, as the facts of one's own data ask for it."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import NamedTuple

from cnn_jax.defaults.facts import Chosen, uneven
from cnn_jax.defaults.file_facts import (
    TARGETS,
    TASKS,
    Rounds,
    batch_of,
    fewer_told,
    last_state_told,
    learnt_of,
    rounds_of,
)
from cnn_jax.duration import epochs, percent
from cnn_jax.errors import UserError
from cnn_jax.recipe import (
    Augment,
    Checkpoints,
    Data,
    Model,
    Optimizer,
    Recipe,
    Schedule,
    Sound,
    Task,
)

LEARNS = "a class, tags or numbers for each sound: sound:PATH"

MANY = 5000
"""From so many training sounds on a part of them is held out for validation. With fewer a part
would be too small to choose by, and the last state is taken."""

_HIGHEST_RATE = 16_000
"""Sounds of more samples a second are brought to this."""
_LONGEST = 5.0
"""Seconds of a window at most."""
_FRAME, _HOP = 0.032, 0.02
_MOST_FRAMES = 160
"""Of longer windows frames lie farther apart."""
_WIDTHS = (16, 32, 64, 128)
_ROUNDS, _FEWEST_ROUNDS = 120, 8
_SEEN = 45_000
"""So many sounds at least a run sees where they are many and short."""
_PER_VALUE = 6 * 14_500
"""Operations of the net in a training step for each value of a picture."""


class SoundFacts(NamedTuple):
    """What the choice of a recipe depends on.

    Attributes:
      kind: `class`, `tags` or `number`, what is told of a sound.
      examples: to learn from, a validation part included.
      targets: how many classes, tags or numbers there are.
      seconds: that 98 of 100 sounds do not exceed.
      rate: samples a second, of most of them.
      unequal: whether some are shorter than others.
      chosen: whether the command line says that rate.
      largest: the share of the most frequent class; None where there are no classes.
      smallest: the share of the rarest class.
    """

    kind: str
    examples: int
    targets: int
    seconds: float
    rate: int
    unequal: bool
    chosen: bool = False
    largest: float | None = None
    smallest: float | None = None


def sound_facts(data: Data, kind: str = "class", data_dir: Path | None = None) -> SoundFacts:
    """Reads a set of sounds for what a recipe depends on.

    Args:
      data: the recipe's.
      kind: of the targets.
      data_dir: is not used.

    Raises:
      UserError: it is no set of sounds, or cannot be read.
    """
    # Reading needs JAX, which a help page need not wait for.
    import numpy as np

    from cnn_jax.data.sound import find_sounds, heads, usual_rate

    form, _, path = data.name.partition(":")
    if form != "sound" or not path:
        raise UserError(
            f"--data.name {data.name} is no set of sounds; give sound:PATH: a folder with a folder "
            "of WAV, FLAC or OGG files a class, or a table of file names and classes"
        )
    found = find_sounds(path, data.name, data.columns, kind)
    told, learnt = heads(found, data.name), learnt_of(found, kind)
    seconds = [each.seconds for each in told]
    return SoundFacts(
        kind,
        learnt.examples,
        len(found.class_names),
        float(np.quantile(seconds, 0.98)),
        data.rate or usual_rate(told),
        min(seconds) < max(seconds),
        data.rate is not None,
        learnt.largest,
        learnt.smallest,
    )


def choose_for_sounds(
    task: str, name: str, data: Data, facts: SoundFacts | None, weights: bool | None = None
) -> Chosen:
    """A recipe for a small net on log-mel pictures of sounds of any number and length.

    Args:
      task: the word of the command line, such as `sound`.
      name: of the run.
      data: what is known of them from the command line.
      facts: of the data; None for a set as ESC-10 is.
      weights: there are none for sounds.
    """
    known = facts is not None
    facts = facts or SoundFacts("class", 320, 10, 5.0, 44_100, False)
    # A rate that the command line gives is in the facts.
    rate = facts.rate if facts.chosen else min(facts.rate, _HIGHEST_RATE)
    window = min(_LONGEST, max(0.2, round(facts.seconds, 2)))
    hop = max(_HOP, window / _MOST_FRAMES)
    fft = 2 ** round(math.log2(_FRAME * rate))
    bands = 64 if rate > 10_000 else 40
    frames = 1 + round(window / hop)
    rounds = rounds_of(
        facts.examples,
        frames * bands * _PER_VALUE,
        least=_FEWEST_ROUNDS,
        most=_ROUNDS,
        seen=_SEEN,
    )
    held_out = 0.1 if facts.examples >= MANY else 0.0
    recipe = Recipe(
        name=name,
        data=dataclasses.replace(data, rate=rate if known else None, validation=held_out),
        task=Task(TASKS[facts.kind]),
        sound=Sound(
            window=window,
            fft=fft,
            hop=round(hop * rate),
            bands=bands,
            shift=round(0.15 * window, 3),
            stretch=0.1,
            gain=6.0,
            time_masks=2,
            time_width=max(1, frames // 8),
            band_masks=2,
            band_width=bands // 8,
        ),
        augment=Augment(mixup=0.2 if facts.kind == "class" else 0.0),
        model=Model("logmel_cnn", options={"widths": _WIDTHS}),
        optimizer=Optimizer("adamw", learning_rate=3e-3, weight_decay=0.02),
        schedule=Schedule("cosine", warmup=percent(10)),
        checkpoints=Checkpoints(every=percent(20)),
        batch_size=batch_of(facts.examples, 32),
        duration=epochs(rounds.epochs),
        validate_every=percent(10),
        log_every=percent(5),
    )
    return Chosen(recipe, _why(facts, recipe, rounds))


def _why(facts: SoundFacts, recipe: Recipe, rounds: Rounds) -> str:
    length = f"{'up to about ' * facts.unequal}{facts.seconds:.1f} seconds"
    why = (
        f"default recipe for {facts.examples:,} sounds of {length}, {facts.targets} "
        f"{TARGETS[facts.kind]}: {recipe.model.name} on log-mel pictures, {recipe.duration}"
    )
    why += fewer_told(rounds) + last_state_told(recipe.data.validation)
    return why + uneven(facts.largest, facts.smallest, "sounds")
