"""The default recipe for videos, as the facts of one's own data ask for it."""

from __future__ import annotations

import dataclasses
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
    Task,
    Video,
)

LEARNS = "a class, tags or numbers for each video: video:PATH"

MANY = 2000
"""From so many training videos on a part of them is held out for validation. With fewer a part
would be too small to choose by, and the last state is taken."""

_SIDE = 56
"""Larger frames are brought to this."""
_HELD = 32
"""Of a video at most so many frames are held."""
_FRAMES = 8
_WIDTH = 16
_ROUNDS, _FEWEST_ROUNDS = 60, 6
_SEEN = 20_000
"""So many videos at least a run sees where they are many."""
_PER_VALUE = 6 * 12_700
"""Operations of the net in a training step for each pixel of each frame."""


class VideoFacts(NamedTuple):
    """What the choice of a recipe depends on.

    Attributes:
      kind: `class`, `tags` or `number`, what is told of a video.
      examples: to learn from, a validation part included.
      targets: how many classes, tags or numbers there are.
      frames: that 98 of 100 videos do not exceed; 0 where files do not say.
      side: pixels of the shorter side of most.
      same_size: whether all have one size.
      channels: 1 where all are grey, as drawn ones.
      files: whether they are read from files.
      largest: the share of the most frequent class; None where there are no classes.
      smallest: the share of the rarest class.
    """

    kind: str
    examples: int
    targets: int
    frames: int
    side: int
    same_size: bool
    channels: int = 3
    files: bool = True
    largest: float | None = None
    smallest: float | None = None


def video_facts(data: Data, kind: str = "class", data_dir: Path | None = None) -> VideoFacts:
    """Reads the heads of a set of videos for what a recipe depends on.

    Args:
      data: the recipe's.
      kind: of the targets.
      data_dir: is not used.

    Raises:
      UserError: it is no set of videos, or cannot be read.
    """
    # Reading needs JAX, which a help page need not wait for.
    import numpy as np

    from cnn_jax.data.video import find_videos, heads

    form, _, path = data.name.partition(":")
    if form == "moving_digits":
        return _of_drawn(data)
    if form != "video" or not path:
        raise UserError(
            f"--data.name {data.name} is no set of videos; give video:PATH: a folder with a folder "
            "a class, in it files of videos or folders of frames, or a table of file names and "
            "classes"
        )
    found = find_videos(path, data.name, data.columns, kind)
    told, learnt = heads(found, data.name), learnt_of(found, kind)
    sizes = [each[1:] for each in told]
    return VideoFacts(
        kind,
        learnt.examples,
        len(found.class_names),
        int(np.quantile([each[0] for each in told], 0.98)),
        int(np.median([min(each) for each in sizes])),
        len(set(sizes)) == 1,
        largest=learnt.largest,
        smallest=learnt.smallest,
    )


def _of_drawn(data: Data) -> VideoFacts:
    from cnn_jax.data.moving_digits import load_moving_digits

    drawn = load_moving_digits(data.name)
    frames, side, _, channels = drawn.train.image_shape
    classes = len(drawn.class_names)
    return VideoFacts("class", len(drawn.train), classes, frames, side, True, channels, files=False)


def choose_for_videos(
    task: str, name: str, data: Data, facts: VideoFacts | None, weights: bool | None = None
) -> Chosen:
    """A recipe for a small 3-D net on videos of any number and length.

    Args:
      task: the word of the command line, such as `video`.
      name: of the run.
      data: what is known of them from the command line.
      facts: of the data; None for a few hundred short videos.
      weights: there are none for videos.
    """
    facts = facts or VideoFacts("class", 300, 5, 64, 240, True)
    side = min(_SIDE, facts.side) if data.image_size is None else data.image_size
    resized = facts.files and (not facts.same_size or facts.side > _SIDE)
    if facts.files:
        most = _HELD if data.frames is None else data.frames
        data = dataclasses.replace(
            data, image_size=side if resized else data.image_size, frames=most
        )
    rounds = rounds_of(
        facts.examples,
        _FRAMES * side**2 * _PER_VALUE,
        least=_FEWEST_ROUNDS,
        most=_ROUNDS,
        seen=_SEEN,
    )
    held_out = 0.1 if facts.examples >= MANY else 0.0
    recipe = Recipe(
        name=name,
        data=dataclasses.replace(data, validation=held_out),
        task=Task(TASKS[facts.kind]),
        video=Video(frames=_FRAMES, clips=4 if facts.frames > _FRAMES else 1),
        # No mirror: in it a move to the left is one to the right, which may be what is told.
        augment=Augment(pad_crop=max(1, side // 10), scale=0.1, brightness=0.2, contrast=0.2),
        model=Model("r3d_18", options={"width": _WIDTH, "dropout": 0.3}),
        optimizer=Optimizer("adamw", learning_rate=2e-3, weight_decay=0.05),
        schedule=Schedule("cosine", warmup=percent(10)),
        checkpoints=Checkpoints(every=percent(20)),
        batch_size=batch_of(facts.examples, 16),
        duration=epochs(rounds.epochs),
        validate_every=percent(10),
        log_every=percent(5),
    )
    return Chosen(recipe, _why(facts, recipe, side, rounds))


def _why(facts: VideoFacts, recipe: Recipe, side: int, rounds: Rounds) -> str:
    length = f" of up to about {facts.frames} frames" if facts.frames else ""
    why = (
        f"default recipe for {facts.examples:,} videos{length}, {facts.targets} "
        f"{TARGETS[facts.kind]}: {recipe.model.name} of {_WIDTH} to {8 * _WIDTH} maps on {_FRAMES} "
        f"frames of {side} pixels, {recipe.duration}"
    )
    why += fewer_told(rounds) + (
        "; not mirrored, since left and right may be what is told (--augment.mirror random where "
        "they are not)"
    )
    why += last_state_told(recipe.data.validation)
    return why + uneven(facts.largest, facts.smallest, "videos")
