"""From the name of a data set to the batches of a step."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cnn_jax.data.arrays import from_arrays
    from cnn_jax.data.catalog import load
    from cnn_jax.data.dataset import Dataset, Split
    from cnn_jax.data.description import describe
    from cnn_jax.data.images import UnreadableImage, decode
    from cnn_jax.data.listing import ANY_TFDS, Row
    from cnn_jax.data.memory import (
        InMemory,
        Order,
        check_batch,
        epoch_order,
        evaluation_batches,
    )
    from cnn_jax.data.places import Fetched, fetch
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

_PLACES = {
    "from_arrays": "arrays",
    "load": "catalog",
    **dict.fromkeys(("Dataset", "Split"), "dataset"),
    "describe": "description",
    **dict.fromkeys(("UnreadableImage", "decode"), "images"),
    **dict.fromkeys(("ANY_TFDS", "Row"), "listing"),
    **dict.fromkeys(
        ("InMemory", "Order", "check_batch", "epoch_order", "evaluation_batches"), "memory"
    ),
    **dict.fromkeys(("Fetched", "fetch"), "places"),
    **dict.fromkeys(("with_examples", "with_validation"), "splits"),
    **dict.fromkeys(("channel_mean_std", "class_counts"), "statistics"),
}
"""Where a name is. It is imported when it is first asked for: processes that read images need
no JAX, which takes them a second and 100 MB."""


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"cnn_jax.data.{_PLACES[name]}")
    value = globals()[name] = getattr(module, name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
