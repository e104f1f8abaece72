"""Sets of TFDS with masks, such as oxford_iiit_pet: an image, and the class of each pixel."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import tensorflow_datasets as tfds
from tensorflow_datasets.core.decode import DeserializeMethod
from tensorflow_datasets.proto import tf_example_pb2

from cnn_jax.data.class_table import ClassTable, read_classes
from cnn_jax.data.dataset import Dataset
from cnn_jax.data.images import Stored
from cnn_jax.data.mask_folders import FoundPairs, Pair
from cnn_jax.data.mask_set import masked, read_pairs
from cnn_jax.data.splits import cut_test
from cnn_jax.data.tfds_reader import choose_parts, wanted_parts
from cnn_jax.data.tfds_sets import fetch_tfds
from cnn_jax.errors import UserError
from cnn_jax.recipe import Masks
from cnn_jax.user_path import user_path

_READ_AT_ONCE = 64
_CALLED = ("segmentation_mask", "segmentation_label", "segmentation", "annotation", "mask", "masks")
"""Features that hold masks, the first that a set has; and any `LabeledImage`."""


class FoundMasks(NamedTuple):
    """The images and masks of a set that is on disk, as they are stored.

    Attributes:
      pairs: by part.
      table: the classes, where the set names them.
      source: where it lies.
    """

    pairs: FoundPairs
    table: ClassTable | None
    source: str


def image_and_mask(name: str, info: Any) -> tuple[str, str]:
    """The names of the features that hold a set's image and its mask.

    Raises:
      UserError: it has no such pair.
    """
    features = info.features
    flat = dict(features.items()) if isinstance(features, tfds.features.FeaturesDict) else {}
    images = [key for key, value in flat.items() if isinstance(value, tfds.features.Image)]
    masks = [key for key in images if isinstance(flat[key], tfds.features.LabeledImage)]
    masks += [key for key in _CALLED if key in images]
    pictures = [key for key in images if key not in masks]
    if masks and pictures:
        return ("image" if "image" in pictures else pictures[0]), masks[0]
    kinds = ", ".join(f"{key}: {type(value).__name__}" for key, value in flat.items())
    raise UserError(
        f"{name} has no masks: TFDS has no {_CALLED[0]} beside an image in it "
        f"({kinds or type(features).__name__})"
    )


def find_tfds_masks(name: str, data_dir: Path | None = None) -> FoundMasks:
    """The images and masks of a TFDS set, as they are stored.

    Args:
      name: of the catalog, such as `oxford_iiit_pet`.
      data_dir: where TFDS sets lie.

    Raises:
      UserError: as for `fetch_tfds`; or the set has no masks, or no training part.
    """
    builder, _ = fetch_tfds(name, data_dir, image_and_mask)
    info = builder.info
    image, mask = image_and_mask(name, info)
    counts, notes = wanted_parts(name, info)
    parts: dict[str, list[Pair]] = {}
    for split, n in counts.items():
        source = builder.as_data_source(split, deserialize_method=DeserializeMethod.RAW_BYTES)
        parts[split] = []
        for start in range(0, n, _READ_AT_ONCE):
            places = list(range(start, min(start + _READ_AT_ONCE, n)))
            for place, record in zip(places, source.__getitems__(places), strict=True):
                found = tf_example_pb2.Example.FromString(record).features.feature
                stored = (
                    Stored(found[key].bytes_list.value[0], f"the {key} of example {place}, {split}")
                    for key in (image, mask)
                )
                parts[split].append(Pair(*stored))
    chosen = choose_parts(parts, [], notes)
    told = info.features[mask]
    names = tuple(getattr(told, "names", None) or ())
    folder = Path(builder.data_dir)
    table = ClassTable(names, tuple(range(len(names))), (), folder) if names else None
    return FoundMasks(FoundPairs(chosen, (), tuple(notes)), table, str(folder))


def load_tfds_masks(
    name: str,
    config: Masks,
    *,
    image_size: int | None = None,
    data_dir: Path | None = None,
    max_bytes: int | None = None,
    test_part: float | None = None,
) -> Dataset:
    """A TFDS set with masks, in memory, as `cnn_jax.data.mask_set.load_masks` has those in folders.

    Args:
      name: of the catalog.
      config: which file names the classes, and which values are ignored.
      image_size: as of `load_masks`, and so `max_bytes`.
      data_dir: where TFDS sets lie.
      max_bytes: that images and masks may take.
      test_part: of train where there is no test part.

    Raises:
      UserError: as for `find_tfds_masks`; or as `load_masks` does.
    """
    found = find_tfds_masks(name, data_dir)
    table = found.table if config.classes is None else read_classes(user_path(config.classes))
    read = read_pairs(
        found.pairs, name, table, config.ignore, image_size=image_size, max_bytes=max_bytes
    )
    return cut_test(masked(read, name, found.source), test_part)
