"""Preparation and random changes of images: pure functions on whole batches, on the device."""

from cnn_jax.augment.checks import check
from cnn_jax.augment.pipeline import apply, evaluation_batch, training_batch
from cnn_jax.augment.preprocessing import (
    change_size,
    denormalise,
    normalise,
    output_shape,
    preprocess,
)
from cnn_jax.augment.views import averaged, views_of

__all__ = [
    "apply",
    "averaged",
    "change_size",
    "check",
    "denormalise",
    "evaluation_batch",
    "normalise",
    "output_shape",
    "preprocess",
    "training_batch",
    "views_of",
]
