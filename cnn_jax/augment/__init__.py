"""Preparation and random changes of images: pure functions on whole batches, on the device."""

from cnn_jax.augment.checks import check, check_joint, check_no_crop
from cnn_jax.augment.joint import joint_batch, moved_targets
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
    "check_joint",
    "check_no_crop",
    "denormalise",
    "evaluation_batch",
    "joint_batch",
    "moved_targets",
    "normalise",
    "output_shape",
    "preprocess",
    "training_batch",
    "views_of",
]
