"""From the name of a data set to the batches of a step."""

from cnn_jax.data.catalog import load
from cnn_jax.data.dataset import Dataset, Split
from cnn_jax.data.memory import (
    InMemory,
    Order,
    check_batch,
    epoch_order,
    evaluation_batches,
)
from cnn_jax.data.splits import with_validation
from cnn_jax.data.statistics import channel_mean_std, class_counts

__all__ = [
    "Dataset",
    "InMemory",
    "Order",
    "Split",
    "channel_mean_std",
    "check_batch",
    "class_counts",
    "epoch_order",
    "evaluation_batches",
    "load",
    "with_validation",
]
