"""A task on images whose facts are made up: what steps are tested with."""

import dataclasses

from cnn_jax import Recipe
from cnn_jax.data.fields import CLASS
from cnn_jax.data.spec import DataSpec
from cnn_jax.tasks import make_task
from cnn_jax.tasks.classification import class_loss
from cnn_jax.tasks.losses import CLASS_LOSSES

CROSS_ENTROPY = class_loss(CLASS_LOSSES["cross_entropy"])


def spec(names=("a", "b", "c"), target=CLASS, image_shape=(2, 2, 1), **facts):
    """Facts of images of mean 0 and deviation 1."""
    channels = image_shape[2]
    return DataSpec(
        name="made up",
        class_names=tuple(names),
        image_shape=image_shape,
        mean=(0.0,) * channels,
        std=(1.0,) * channels,
        examples={"train": 8},
        targets={target.kind: target},
        facts=facts,
    )


def task(facts=None, **fields):
    """A task by the fields of its recipe."""
    return make_task(
        dataclasses.replace(Recipe("toy"), **fields), spec() if facts is None else facts
    )
