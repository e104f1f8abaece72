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

__all__ = [
    "apply",
    "change_size",
    "check",
    "denormalise",
    "evaluation_batch",
    "normalise",
    "output_shape",
    "preprocess",
    "training_batch",
]
