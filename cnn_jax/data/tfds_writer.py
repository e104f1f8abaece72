"""Arrays written as the TFDS set they are, so that plain TFDS reads them like its own."""

from __future__ import annotations

import io
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image
from rich.console import Console
from rich.progress import Progress

from cnn_jax.data.mirrors import Arrays
from cnn_jax.terminal import live


def write(
    name: str,
    arrays: Arrays,
    data_dir: Path,
    console: Console,
    class_names: tuple[str, ...] | None = None,
) -> None:
    """Prepares a set of the TFDS catalog from arrays instead of its download.

    Version, features and description are the catalog's, since its own builder class writes;
    so are the keys of the examples, and with them their order, which TFDS takes from a hash of
    the key. TFDS writes to a folder `incomplete...` and renames it when it is whole.

    Args:
      name: a set of the catalog with features `image`, `label` and maybe `id`.
      arrays: images (n, h, w, c) uint8 and labels (n,) of each split, in the order in which
        the catalog's builder reads them.
      data_dir: where TFDS sets lie.
      console: where progress is shown.
      class_names: of the labels, where the catalog has none before the download.
    """
    catalog_builder = tfds.builder_cls(name)

    def split_generators(builder: Any, dl_manager: Any) -> dict[str, Any]:
        if class_names is not None:
            builder.info.features["label"].names = list(class_names)
        with_id = "id" in builder.info.features
        return {split: _examples(split, *pair, with_id, bar) for split, pair in arrays.items()}

    def body(namespace: dict[str, Any]) -> None:
        namespace["name"] = name
        namespace["_split_generators"] = split_generators
        # Nothing is downloaded, so there are no checksums to look for.
        namespace["url_infos"] = None

    # The catalog's name is taken in TFDS's registry, which this class stays out of.
    builder_class = types.new_class(
        catalog_builder.__name__, (catalog_builder,), {"skip_registration": True}, body
    )
    builder_class.__module__ = catalog_builder.__module__  # stored as the set's origin
    builder = builder_class(data_dir=str(data_dir), file_format="array_record")
    with Progress(console=console, transient=True, disable=not live(console)) as bar:
        builder.download_and_prepare(file_format="array_record")


def _examples(
    split: str, images: np.ndarray, labels: np.ndarray, with_id: bool, bar: Progress
) -> Iterator[tuple[int, dict[str, Any]]]:
    pairs = zip(images, labels, strict=True)
    for index, (image, label) in enumerate(bar.track(pairs, len(labels), description=split)):
        # As bytes: encoding an array, TFDS would ask for TensorFlow.
        example = {"image": _png(image), "label": int(label)}
        if with_id:
            example["id"] = f"{split}_{index:05d}"
        yield index, example


def _png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(buffer, "PNG")
    return buffer.getvalue()
