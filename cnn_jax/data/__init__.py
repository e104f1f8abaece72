"""From the name of a data set to the batches of a step."""

from cnn_jax.data.arrays import from_arrays
from cnn_jax.data.catalog import Fetched, fetch, load
from cnn_jax.data.dataset import Dataset, Split
from cnn_jax.data.description import describe
from cnn_jax.data.images import UnreadableImage, decode
from cnn_jax.data.listing import ANY_TFDS, Row, catalog
from cnn_jax.data.memory import (
    InMemory,
    Order,
    check_batch,
    epoch_order,
    evaluation_batches,
)
from cnn_jax.data.splits import with_examples, with_validation
from cnn_jax.data.statistics import channel_mean_std, class_counts

__all__ = [
    "ANY_TFDS",
    "Dataset",
    "Fetched",
    "InMemory",
    "Order",
    "Row",
    "Split",
    "UnreadableImage",
    "catalog",
    "channel_mean_std",
    "check_batch",
    "class_counts",
    "decode",
    "describe",
    "epoch_order",
    "evaluation_batches",
    "fetch",
    "from_arrays",
    "load",
    "with_examples",
    "with_validation",
]
