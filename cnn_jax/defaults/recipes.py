"""The default recipe of each task, as the facts of one's own data ask for it.

They are meant for a few hundred to some thousand examples and a CPU. A task that is added gets an
entry in `DEFAULTS`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any, NamedTuple

from cnn_jax.defaults.box_recipe import LEARNS as BOXES_LEARN
from cnn_jax.defaults.box_recipe import box_facts, choose_for_boxes
from cnn_jax.defaults.facts import Chosen, ImageFacts, uneven
from cnn_jax.defaults.mask_recipe import LEARNS as MASKS_LEARN
from cnn_jax.defaults.mask_recipe import choose_for_masks, mask_facts
from cnn_jax.defaults.series_recipe import LEARNS, choose_for_series, series_facts
from cnn_jax.defaults.sound_recipe import LEARNS as SOUND_LEARNS
from cnn_jax.defaults.sound_recipe import choose_for_sounds, sound_facts
from cnn_jax.defaults.text_recipe import LEARNS as TEXT_LEARNS
from cnn_jax.defaults.text_recipe import choose_for_texts, text_facts
from cnn_jax.defaults.video_recipe import LEARNS as VIDEO_LEARNS
from cnn_jax.defaults.video_recipe import choose_for_videos, video_facts
from cnn_jax.duration import epochs, percent
from cnn_jax.recipe import (
    Augment,
    Checkpoints,
    Data,
    EarlyStopping,
    Init,
    Model,
    Optimizer,
    Preprocess,
    Recipe,
    Schedule,
    Task,
)

TINY = 48
"""Images of fewer pixels a side are taken for what no photograph is: digits, symbols, patches."""

MANY = 10_000
"""From so many tiny images on a net is trained at their own size, and not from ImageNet's weights,
for which they would be drawn up."""

_SEEN = 20_000
"""So many images an average run sees: some minutes on two cores."""

_TELLS_CLASSES = ("classification", "binary")

_CLASSES = Optimizer(
    "sgd",
    learning_rate=0.01,
    options={"momentum": 0.9, "nesterov": True},
    weight_decay=1e-4,
    factors=("^head/=10",),
)
_OTHERS = Optimizer("adamw", learning_rate=3e-4, weight_decay=0.02, factors=("^head/=3",))
"""Losses of tags and numbers are of any size, which Adam's steps do not depend on."""

_LEARNT_SIZE = 128
_DRAWN_UP_SIZE = 80
_SCRATCH_SIZE = 64


class Default(NamedTuple):
    """What a task's name stands for.

    Attributes:
      learns: what is learnt, in few words.
      facts: looks at the data: (recipe's data, kind of its targets, folder of TFDS sets) -> facts.
      data: what is given to it, as an example.
      choose: (name of the task, name of the run, data, facts, whether from weights) -> the recipe.
        Without facts it is one for photographs. Weights are None where the command line leaves
        that open.
    """

    learns: str
    facts: Callable[[Data, str, Any], Any]
    choose: Callable[[str, str, Data, Any, bool | None], Chosen]
    data: str = "folder:photos"


def _image_facts(data: Data, kind: str, data_dir: Any) -> ImageFacts:
    # Data are read with numpy and Pillow, which a help page need not wait for.
    from cnn_jax.defaults.image_facts import image_facts

    return image_facts(data, kind, data_dir)


def choose_for_images(
    task: str, name: str, data: Data, facts: ImageFacts | None, weights: bool | None = None
) -> Chosen:
    """A recipe for a task on single images.

    Args:
      task: its name.
      name: of the run.
      data: what is known of them from the command line; sizes and crops are filled in.
      facts: of the data; None for a recipe for photographs.
      weights: whether to begin with ImageNet's; None to choose.
    """
    facts = facts or ImageFacts(1000, 2, 400, False, 3, True)
    # Files that stream are read with three channels, also grey ones; arrays stay as they are.
    able = facts.files or facts.channels == 3
    tiny = facts.side < TINY
    worth = able and not (tiny and (facts.channels == 1 or facts.examples >= MANY))
    learnt = worth if weights is None else weights
    recipe = _learnt(task, name, data, facts) if learnt else _scratch(task, name, data, facts)
    size = recipe.preprocess.size or recipe.data.image_size or facts.side
    grey = "grey " * (facts.channels == 1)
    about = "" if facts.same_size else "about "
    looks = f"{facts.examples:,} {grey}pictures of {about}{facts.side} pixels a side"
    start = "from ImageNet's weights" if learnt else "from random weights"
    why = (
        f"default recipe for {looks}: {recipe.model.name} {start} at {size} pixels, "
        f"{recipe.duration}"
    )
    if recipe.augment.mirror != "none":
        why += "; mirrored at random (--augment.mirror none where left and right differ)"
    if not learnt and weights is None:
        why += (
            "; ImageNet's weights are for photographs in colour"
            + ", --init-from imagenet takes them all the same" * able
        )
    return Chosen(recipe, why + uneven(facts.largest, facts.smallest, "pictures"))


def _rounds(facts: ImageFacts, least: int, most: int, seen: int = _SEEN) -> int:
    return max(least, min(most, round(seen / max(facts.examples, 1))))


def _batch(facts: ImageFacts) -> int:
    """32 examples, or fewer where there are not many more, test and validation parts left out."""
    return min(32, 2 ** int(math.log2(max(1.0, 0.35 * facts.examples))))


def _changes(facts: ImageFacts, strong: bool) -> Augment:
    """What photographs may be changed by without another answer."""
    colour = 0.2 if strong else 0.1
    # Files are read with three channels, also grey ones.
    coloured = facts.channels == 3 or facts.files
    return Augment(
        mirror="random", brightness=colour, contrast=colour, saturation=colour * coloured
    )


def _learnt(task: str, name: str, data: Data, facts: ImageFacts) -> Recipe:
    """Fine-tuning of all layers, the new last one at ten times the rate."""
    rounds = _rounds(facts, least=5, most=40)
    tiny = facts.side < TINY
    size = _DRAWN_UP_SIZE if tiny else _LEARNT_SIZE
    augment = _changes(facts, strong=not tiny)
    if facts.files and not tiny:
        # What is told of a whole picture need not show in a small part of it.
        least = 0.35 if task in _TELLS_CLASSES else 0.6
        data = dataclasses.replace(data, image_size=size, random_crop=(least, 1.0))
        preprocess = Preprocess()
    elif facts.files:
        data = dataclasses.replace(data, image_size=size, streaming=True)
        preprocess, augment = Preprocess(), dataclasses.replace(augment, pad_crop=size // 10)
    else:
        preprocess = Preprocess(size=size)
        augment = dataclasses.replace(augment, pad_crop=max(1, facts.side // 8))
    every = epochs(max(1, rounds // 10))
    return Recipe(
        name=name,
        data=dataclasses.replace(data, validation=0.15),
        task=Task(task),
        preprocess=preprocess,
        augment=augment,
        # A few hundred steps are few for running statistics that keep 0.99 a step.
        model=Model("efficientnet_lite0", options={"norm_momentum": 0.9}),
        init=Init("imagenet", new_head=True),
        optimizer=_CLASSES if task in _TELLS_CLASSES else _OTHERS,
        schedule=Schedule("one_cycle", warmup=percent(20)),
        early_stopping=EarlyStopping(patience=5),
        checkpoints=Checkpoints(every=every),
        batch_size=_batch(facts),
        duration=epochs(rounds),
        validate_every=every,
    )


def _scratch(task: str, name: str, data: Data, facts: ImageFacts) -> Recipe:
    """A small net of one's own, at the images' own size where that is small."""
    rounds = _rounds(facts, least=10, most=60, seen=3 * _SEEN)
    small = facts.side <= _SCRATCH_SIZE and facts.same_size
    preprocess = Preprocess()
    if not small and facts.files:
        data = dataclasses.replace(data, image_size=min(facts.side, _SCRATCH_SIZE))
    elif not small:
        preprocess = Preprocess(size=_SCRATCH_SIZE)
    symbols = facts.side < TINY and facts.channels == 1
    # Digits and letters are not the same in a mirror.
    augment = dataclasses.replace(
        Augment() if symbols else _changes(facts, strong=False),
        translation=0.08,
        rotation=10.0,
        scale=0.1,
    )
    every = epochs(max(1, rounds // 20))
    return Recipe(
        name=name,
        data=dataclasses.replace(data, validation=0.15),
        task=Task(task),
        preprocess=preprocess,
        augment=augment,
        model=Model(
            "simple_cnn",
            options={
                "widths": (32, 64, 128) if facts.side < TINY else (32, 64, 128, 128),
                "norm": "batch",
                "hidden": (128,),
                "dropout": 0.3,
            },
        ),
        optimizer=Optimizer("adamw", learning_rate=2e-3, weight_decay=0.02),
        schedule=Schedule("cosine", warmup=percent(5)),
        early_stopping=EarlyStopping(patience=8),
        checkpoints=Checkpoints(every=every),
        batch_size=_batch(facts),
        duration=epochs(rounds),
        validate_every=every,
    )


DEFAULTS: dict[str, Default] = {
    "classification": Default(
        "one of several classes for each image", _image_facts, choose_for_images
    ),
    "binary": Default("one of two classes for each image", _image_facts, choose_for_images),
    "tagging": Default("any number of tags for each image", _image_facts, choose_for_images),
    "regression": Default("numbers for each image", _image_facts, choose_for_images),
    "detection": Default(BOXES_LEARN, box_facts, choose_for_boxes, "voc:FOLDER"),
    "segmentation": Default(MASKS_LEARN, mask_facts, choose_for_masks, "masks:FOLDER"),
    "series": Default(LEARNS, series_facts, choose_for_series, "series:FOLDER"),
    "sound": Default(SOUND_LEARNS, sound_facts, choose_for_sounds, "sound:FOLDER"),
    "video": Default(VIDEO_LEARNS, video_facts, choose_for_videos, "video:FOLDER"),
    "text": Default(TEXT_LEARNS, text_facts, choose_for_texts, "text:FILE"),
}
"""By the name of the task: what `cnn-jax train TASK` stands for."""
