"""The default recipe for images with boxes, as the facts of one's own data ask for it."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import NamedTuple

from cnn_jax.defaults.facts import Chosen
from cnn_jax.duration import epochs, percent
from cnn_jax.recipe import (
    Augment,
    Checkpoints,
    Data,
    Init,
    Model,
    Optimizer,
    Recipe,
    Schedule,
    Task,
)

LEARNS = "boxes around objects, with their classes: coco:PATH, voc:PATH or yolo:PATH"

SIDES = (320, 416)
"""Pixels of a side of the square that images are brought to, and where objects are small."""

SMALL = 0.05
"""Objects are small where a tenth of them has a side below this part of the image's longer one:
16 pixels of 320, two of the places that tell boxes."""

_PIXELS = 12_000 * 320**2
"""Of the images that an average run sees."""
_LEAST, _MOST = 8, 60
"""Epochs."""


class BoxFacts(NamedTuple):
    """What the choice of a recipe depends on.

    Attributes:
      examples: to learn from, a validation part included.
      classes: how many there are.
      boxes: of these examples.
      small: the side, the root of the area, that a tenth of the boxes is below, as a part of the
        image's longer side.
      largest: the share of boxes of the most frequent class.
      smallest: that of the rarest.
    """

    examples: int
    classes: int
    boxes: int
    small: float
    largest: float
    smallest: float


def box_facts(data: Data, kind: str = "boxes", data_dir: Path | None = None) -> BoxFacts:
    """The facts of a set, from what its files tell.

    Args:
      data: the recipe's.
      kind: of the targets.
      data_dir: where TFDS sets lie.

    Raises:
      UserError: it is no set of images with boxes.
    """
    # Reading needs JAX, which a help page need not wait for.
    import numpy as np

    from cnn_jax.data.boxed_set import FORMS
    from cnn_jax.data.recipe_data import read_data

    form, _, path = data.name.partition(":")
    if form in FORMS and path:
        found = FORMS[form](path, data.name, skip_bad=data.skip_bad)
        told = found.parts["train"]
        labels = np.concatenate([each.classes for each in told])
        sides = []
        for each in told:
            height, width = (1, 1) if found.relative else (each.size or (math.nan, math.nan))
            shape = np.maximum(each.boxes[:, 2:] - each.boxes[:, :2], 0) / max(height, width)
            sides.append(np.sqrt(np.prod(shape, axis=1)))
        names, examples, every = found.class_names, len(told), np.concatenate(sides)
    else:
        whole = read_data(data, data_dir, kind=kind)
        targets, names, examples = whole.train.targets, whole.class_names, len(whole.train)
        boxes, there = targets["boxes"], targets["there"]
        lengths = targets["size"].max(axis=1)[:, None, None]
        shape = (boxes[..., 2:] - boxes[..., :2]) / lengths
        labels, every = targets["box_class"][there], np.sqrt(np.prod(shape, axis=-1))[there]
    every = every[np.isfinite(every) & (every > 0)]
    shares = np.bincount(labels, minlength=len(names)) / max(1, len(labels))
    small = float(np.quantile(every, 0.1)) if len(every) else 1.0
    return BoxFacts(
        examples,
        len(names),
        len(labels),
        small,
        float(shares.max()),
        float(shares[shares > 0].min(initial=1.0)),
    )


def choose_for_boxes(
    task: str, name: str, data: Data, facts: BoxFacts | None, weights: bool | None = None
) -> Chosen:
    """A recipe for FCOS on photographs of any number.

    Args:
      task: its name.
      name: of the run.
      data: what is known of them from the command line; the size is filled in.
      facts: of the data; None for a few hundred images.
      weights: whether to begin with ImageNet's; None to choose.
    """
    facts = facts or BoxFacts(400, 3, 1600, 0.1, 0.5, 0.1)
    learnt = weights is not False
    if data.image_size is None:
        data = dataclasses.replace(data, image_size=SIDES[facts.small < SMALL])
    assert data.image_size is not None
    seen = _PIXELS / data.image_size**2 * (1 if learnt else 3)
    rounds = max(_LEAST, min(_MOST if learnt else 3 * _MOST, round(seen / facts.examples)))
    every = epochs(max(1, rounds // 10))
    recipe = Recipe(
        name=name,
        data=dataclasses.replace(data, validation=0.15),
        task=Task(task),
        augment=Augment(
            mosaic=0.5,
            crop_scale=(0.6, 1.6),
            mirror="random",
            brightness=0.2,
            contrast=0.2,
            saturation=0.2,
        ),
        model=_model(learnt),
        init=Init("imagenet", body=True) if learnt else Init(),
        optimizer=Optimizer(
            "adamw",
            learning_rate=1e-3,
            weight_decay=0.02,
            factors=("^body/=0.3",) if learnt else (),
            clip_norm=10.0,
        ),
        schedule=Schedule("one_cycle", warmup=percent(10)),
        checkpoints=Checkpoints(every=every),
        batch_size=min(8, 2 ** int(math.log2(max(1.0, 0.35 * facts.examples)))),
        duration=epochs(rounds),
        validate_every=every,
        ema=0.995,
    )
    return Chosen(recipe, _why(facts, recipe, learnt, weights))


def _model(learnt: bool) -> Model:
    """FCOS with a pyramid that is narrow beside the paper's, for few images and few cores."""
    body = "efficientnet_lite0" if learnt else "resnet18"
    # A few hundred steps are few for running statistics that keep 0.99 a step.
    options = {"norm_momentum": 0.9} if learnt else {}
    return Model(
        "fcos",
        options={
            "body": body,
            "body_options": options,
            "channels": 96,
            "extra_levels": 0,
            "head_depth": 2,
            "range_scale": 4.0,
            "distance": "softplus",
        },
    )


def _why(facts: BoxFacts, recipe: Recipe, learnt: bool, weights: bool | None) -> str:
    body = recipe.model.options["body"]
    start = "from ImageNet's weights" if learnt else "from random weights"
    why = (
        f"default recipe for {facts.examples:,} pictures with {facts.boxes:,} boxes of "
        f"{facts.classes} class{'es' * (facts.classes != 1)}: {recipe.model.name} over {body} "
        f"{start} at {recipe.data.image_size} pixels (--data.image-size), {recipe.duration}; "
        "mirrored at random (--augment.mirror none where left and right differ)"
    )
    if facts.small < SMALL:
        why += f". Objects are small: a tenth is below {facts.small:.1%} of the image's side"
    if facts.largest > 5 * facts.smallest:
        why += (
            f". Classes are uneven: {facts.largest:.1%} of the boxes are of the most frequent, "
            f"{facts.smallest:.1%} of the rarest"
        )
    return why
