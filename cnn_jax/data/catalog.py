"""Data sets by name."""

from __future__ import annotations

from pathlib import Path

from cnn_jax.data.dataset import Dataset
from cnn_jax.data.digits import load_digits
from cnn_jax.errors import unknown


def load(
    name: str,
    *,
    image_size: int | None = None,
    skip_bad: bool = False,
    data_dir: Path | None = None,
) -> Dataset:
    """The data set of a name."""
    if name == "digits":
        return load_digits()
    raise unknown("data set", name, ["digits"])
