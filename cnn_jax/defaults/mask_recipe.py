"""The default recipe for images with masks, as the facts of one's own data ask for it."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import NamedTuple

from cnn_jax.defaults.facts import Chosen
from cnn_jax.duration import epochs, percent
from cnn_jax.errors import UserError
from cnn_jax.recipe import (
    Augment,
    Checkpoints,
    Data,
    Init,
    Loss,
    Model,
    Optimizer,
    Recipe,
    Schedule,
    Task,
)

LEARNS = "the class of each pixel: masks:PATH (images with their masks), or TFDS"

LARGEST = 320
"""Images whose longer side has more pixels are scaled down to it."""
_CROP = 192
"""Side of the parts that are learnt from, at most."""
_PIXELS = 440e6
"""Of the images that an average run sees, in parts of them: some 15 minutes on two cores."""
_LEAST, _MOST = 8, 300
"""Epochs."""
_FINE = 128
"""Images whose shorter side has fewer pixels are taken pixel by pixel, others by 2x2 at once."""
_LOOKED_AT = 64
TINY = 48
"""Images of fewer pixels along their shorter side are taken for no photographs."""

_ON_BODY = Model(
    "unet_on_body",
    # A few hundred steps are few for running statistics that keep 0.99 a step.
    options={"body": "efficientnet_lite0", "body_options": {"norm_momentum": 0.9}},
)


class MaskFacts(NamedTuple):
    """What the choice of a recipe depends on.

    Attributes:
      examples: to learn from, a validation part included.
      height: of the images, of different sizes the one in the middle.
      width: of the images, likewise.
      same_size: whether all have one size, as far as was looked.
      channels: 1 where every image that was looked at is stored as grey.
    """

    examples: int
    height: int
    width: int
    same_size: bool
    channels: int


def mask_facts(data: Data, kind: str = "mask", data_dir: Path | None = None) -> MaskFacts:
    """The facts of a set, from the names of its files and the heads of some.

    Args:
      data: the recipe's.
      kind: of the targets.
      data_dir: where TFDS sets lie.

    Raises:
      UserError: it is no set of images with masks.
    """
    # Reading needs JAX, which a help page need not wait for.
    import numpy as np

    from cnn_jax.data.catalog import TFDS, form_of
    from cnn_jax.data.images import stored_shape
    from cnn_jax.data.mask_folders import find_pairs
    from cnn_jax.data.recipe_data import read_data
    from cnn_jax.user_path import user_path

    form, path = form_of(data.name), data.name.partition(":")[2]
    if form not in ("masks", TFDS):
        train = read_data(data, data_dir, kind=kind).train
        height, width, channels = train.image_shape
        return MaskFacts(len(train), height, width, True, channels)
    if form == TFDS:
        from cnn_jax.data.tfds_masks import find_tfds_masks

        pairs = find_tfds_masks(data.name, data_dir).pairs.parts["train"]
    else:
        pairs = find_pairs(user_path(path), skip_bad=data.skip_bad).parts["train"]
    places = np.unique(np.linspace(0, len(pairs) - 1, _LOOKED_AT).astype(int))
    sizes = []
    for place in places.tolist():
        try:
            sizes.append(stored_shape(pairs[place].image))
        except UserError:
            continue  # one that cannot be read is told of when it is
    if not sizes:
        raise UserError(f"none of {len(places)} images of {data.name} that were looked at is read")
    height, width, _ = (int(side) for side in np.median(sizes, axis=0))
    alike = len({each[:2] for each in sizes}) == 1
    return MaskFacts(len(pairs), height, width, alike, max(each[2] for each in sizes))


def choose_for_masks(
    task: str, name: str, data: Data, facts: MaskFacts | None, weights: bool | None = None
) -> Chosen:
    """A recipe for a U-Net on images of any number and size.

    Its way down is a net that has learnt photographs in colour, unless the images are grey or tiny.

    Args:
      task: its name.
      name: of the run.
      data: what is known of them from the command line; the size is filled in.
      facts: of the data; None for a few hundred images.
      weights: whether to begin with ImageNet's; None to choose.
    """
    facts = facts or MaskFacts(400, 240, 320, True, 3)
    learnt = facts.channels == 3 and min(facts.height, facts.width) >= TINY
    learnt = learnt if weights is None else weights
    longer = max(facts.height, facts.width)
    size = min(LARGEST, longer)
    if data.image_size is not None:
        size = data.image_size
    elif longer > LARGEST or not facts.same_size:
        data = dataclasses.replace(data, image_size=size)
    part = size / longer
    height, width = round(facts.height * part), round(facts.width * part)
    crop = _rounded(min(_CROP, height)), _rounded(min(_CROP, width))
    rounds = _PIXELS / (facts.examples * crop[0] * crop[1])
    rounds = max(_LEAST, min(_MOST, round(rounds)))
    every = epochs(max(1, rounds // 20))
    batch = min(4, 2 ** int(math.log2(max(1.0, 0.35 * facts.examples))))
    fine = min(height, width) < _FINE
    recipe = Recipe(
        name=name,
        data=dataclasses.replace(data, validation=0.15),
        task=Task(task),
        augment=Augment(
            crop_size=crop,
            crop_scale=(0.6, 1.8),
            mirror="random",
            brightness=0.3,
            contrast=0.3 if facts.channels in (1, 3) else 0.0,
            saturation=0.3 if facts.channels == 3 else 0.0,
        ),
        model=_ON_BODY if learnt else _scratch(fine),
        init=Init("imagenet", body=True) if learnt else Init(),
        # What covers few pixels would be learnt last, or not at all.
        loss=Loss("cross_entropy_dice", options={"weights": "root_median_frequency"}),
        optimizer=Optimizer(
            "adamw",
            learning_rate=2e-3,
            weight_decay=0.02,
            factors=("^body/=0.2",) if learnt else (),
        ),
        schedule=Schedule("cosine", warmup=percent(5)),
        checkpoints=Checkpoints(every=every),
        batch_size=batch,
        duration=epochs(rounds),
        validate_every=every,
        ema=0.998,
    )
    return Chosen(recipe, _why(facts, recipe, (height, width), learnt, weights))


def _scratch(fine: bool) -> Model:
    return Model("unet", options={"width": 24, "patch": 1 if fine else 2})


def _rounded(side: int) -> int:
    """The side of a part: a multiple of 32, which a U-Net can halve as often as it does."""
    return max(32, side // 32 * 32)


def _why(
    facts: MaskFacts, recipe: Recipe, size: tuple[int, int], learnt: bool, weights: bool | None
) -> str:
    about = "" if facts.same_size else "about "
    start = "from random weights"
    if learnt:
        start = f"over {recipe.model.options['body']} from ImageNet's weights"
    grey = "grey " * (facts.channels == 1)
    why = (
        f"default recipe for {facts.examples:,} {grey}pictures of {about}{facts.height}x"
        f"{facts.width} pixels with masks: {recipe.model.name} {start}, {recipe.duration}"
    )
    if not learnt and weights is None:
        why += ", as ImageNet's weights are for photographs in colour"
    if recipe.data.image_size is not None:
        why += (
            f", at about {size[0]}x{size[1]} pixels (--data.image-size gives the longer side; "
            "masks are scored at their own size)"
        )
    return (
        f"{why}; learnt from parts of {recipe.augment.crop_size[0]}x"  # type: ignore[index]
        f"{recipe.augment.crop_size[1]} pixels"  # type: ignore[index]
        ", mirrored at random (--augment.mirror none where left and right differ)"
    )
