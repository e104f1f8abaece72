"""The recipe that `cnn-jax new` writes for each task, to be changed by hand."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

from cnn_jax.defaults.facts import ImageFacts
from cnn_jax.defaults.mask_recipe import MaskFacts
from cnn_jax.defaults.recipes import DEFAULTS
from cnn_jax.defaults.sound_recipe import SoundFacts
from cnn_jax.defaults.video_recipe import VideoFacts
from cnn_jax.duration import Duration, epochs
from cnn_jax.recipe import Data, Recipe


class NewRecipe(NamedTuple):
    """What is written.

    Attributes:
      recipe: the default of the task, without what is seldom changed.
      notes: comments before some of its fields, by their names.
      ready: whether its data are there; a user's own have to be put in the place of others.
    """

    recipe: Recipe
    notes: dict[str, str]
    ready: bool


class Start(NamedTuple):
    """What a recipe is chosen for.

    Attributes:
      data: what is learnt from.
      note: what is said of them.
      facts: of them; None for what the default takes for usual.
      duration: in the place of the default's.
    """

    data: Data
    note: str
    facts: Any = None
    duration: Duration | None = None


STARTS = {
    "classification": Start(
        Data("digits"),
        "The digits of scikit-learn. For pictures of your own, a folder a class: "
        'Data("folder:FOLDER", image_size=64).',
        ImageFacts(1437, 10, 8, True, 1, False),
    ),
    "binary": Start(
        Data("folder:FOLDER"),
        "Put your own in the place of FOLDER: a folder with two folders of pictures, one a class.",
    ),
    "tagging": Start(
        Data("csv:FILE"),
        "Put your own in the place of FILE: a table with a column of picture files and one of "
        "tags, such as cat;sofa.",
    ),
    "regression": Start(
        Data("csv:FILE"),
        "Put your own in the place of FILE: a table with a column of picture files and columns of "
        "numbers.",
    ),
    "detection": Start(
        Data("voc:FOLDER"),
        "Put your own in the place of FOLDER: pictures with boxes as in PASCAL VOC. For other "
        "forms coco:PATH or yolo:PATH.",
    ),
    "segmentation": Start(
        Data("shapes:n=300,size=64"),
        'Drawn pictures. For your own pictures and masks: Data("masks:FOLDER", image_size=320) '
        "here, and crop_size=(192, 192) below.",
        MaskFacts(300, 64, 64, True, 3),
        epochs(12),
    ),
    "series": Start(
        Data("series:FOLDER"),
        "Put your own in the place of FOLDER: a folder with NAME_TRAIN and NAME_TEST as .ts, .tsv "
        "or .csv. All of NAME_TRAIN are learnt from; validation=0.2 holds a part out.",
    ),
    "sound": Start(
        Data("sound:FOLDER", rate=16_000),
        "Put your own in the place of FOLDER: a folder with a folder of sounds for each class. "
        "With few sounds none are held out; validation=0.2 holds a part out.",
        SoundFacts("class", 320, 10, 5.0, 16_000, False, chosen=True),
    ),
    "video": Start(
        Data("moving_digits"),
        'Drawn videos. For your own, a folder a class: Data("video:FOLDER", image_size=56, '
        "frames=32). With few videos none are held out; validation=0.2 holds a part out.",
        VideoFacts("class", 1437, 4, 8, 24, True, channels=1, files=False),
    ),
    "text": Start(
        Data("text:FILE"),
        "Put your own in the place of FILE: a table with a column of texts and one of classes.",
    ),
}
"""By the name of the task."""

_WEIGHTS = (
    "Only efficientnet_lite0 has weights of ImageNet here: leave this out for another net or "
    "body, which then begins at random."
)


def new_recipe(task: str, name: str) -> NewRecipe:
    """The recipe that is written for a task.

    Args:
      task: one of `DEFAULTS`.
      name: of the experiment.
    """
    default = DEFAULTS[task]
    start = STARTS.get(task) or Start(Data(default.data), "Put your own data here.")
    chosen = default.choose(task, name, start.data, start.facts, None).recipe
    plain = Recipe(name)
    # How often is validated and written fits a length that is changed first of all.
    recipe = dataclasses.replace(
        chosen,
        duration=start.duration or chosen.duration,
        early_stopping=plain.early_stopping,
        checkpoints=plain.checkpoints,
        validate_every=plain.validate_every,
        log_every=plain.log_every,
    )
    ready = not start.data.name.endswith((":FOLDER", ":FILE"))
    return NewRecipe(recipe, {"data": start.note, "init": _WEIGHTS}, ready)
