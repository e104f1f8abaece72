"""Sets of TFDS with boxes, such as voc and coco: `objects` beside an image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.core.decode import DeserializeMethod
from tensorflow_datasets.proto import tf_example_pb2

from cnn_jax.data.boxed_set import SIDE, held
from cnn_jax.data.boxes import FoundBoxes, Objects, objects
from cnn_jax.data.dataset import Dataset
from cnn_jax.data.fitting import Fit
from cnn_jax.data.framing import Framed, framed
from cnn_jax.data.splits import cut_test
from cnn_jax.data.tfds_reader import choose_parts, wanted_parts
from cnn_jax.data.tfds_sets import fetch_tfds
from cnn_jax.errors import UserError

_READ_AT_ONCE = 64
_CROWD, _DIFFICULT, _AREA = "is_crowd", "is_difficult", "area"


def image_and_objects(name: str, info: Any) -> tuple[str, str]:
    """The names of the features that hold a set's image and its objects.

    Raises:
      UserError: it has no such pair.
    """
    features = info.features
    flat = dict(features.items()) if isinstance(features, tfds.features.FeaturesDict) else {}
    inner = getattr(flat.get("objects"), "feature", None)
    fields = dict(inner.items()) if isinstance(inner, tfds.features.FeaturesDict) else {}
    if (
        isinstance(flat.get("image"), tfds.features.Image)
        and isinstance(fields.get("bbox"), tfds.features.BBoxFeature)
        and isinstance(fields.get("label"), tfds.features.ClassLabel)
    ):
        return "image", "objects"
    kinds = ", ".join(f"{key}: {type(value).__name__}" for key, value in flat.items())
    raise UserError(
        f"{name} has no boxes: TFDS has no objects with a bbox and a label beside an image in it "
        f"({kinds or type(features).__name__})"
    )


def load_tfds_boxes(
    name: str,
    *,
    image_size: int | None = None,
    fit: Fit = "letterbox",
    data_dir: Path | None = None,
    max_bytes: int | None = None,
    test_part: float | None = None,
) -> Dataset:
    """A TFDS set with boxes, in memory, as `cnn_jax.data.boxed_set.boxed` has them.

    Args:
      name: of the catalog, such as `voc/2007` or `coco/2017`.
      image_size: as of `load_boxes`, and so `fit` and `max_bytes`.
      fit: how images fill their square.
      data_dir: where TFDS sets lie.
      max_bytes: that the images may take.
      test_part: of train where there is no test part.

    Raises:
      UserError: as for `fetch_tfds`; the set has no boxes, or does not fit in memory.
    """
    builder, _ = fetch_tfds(name, data_dir, image_and_objects)
    info = builder.info
    counts, notes = wanted_parts(name, info)
    fields = info.features["objects"].feature
    class_names = tuple(fields["label"].names)
    parts: dict[str, list[Objects]] = {}
    contents: list[bytes] = []
    for split, n in counts.items():
        source = builder.as_data_source(split, deserialize_method=DeserializeMethod.RAW_BYTES)
        parts[split] = []
        for start in range(0, n, _READ_AT_ONCE):
            places = list(range(start, min(start + _READ_AT_ONCE, n)))
            for place, record in zip(places, source.__getitems__(places), strict=True):
                found = tf_example_pb2.Example.FromString(record).features.feature
                contents.append(found["image"].bytes_list.value[0])
                parts[split].append(_objects(found, Path(f"example {place} of {split}")))
    secret = [split for split, told in parts.items() if not any(len(each.boxes) for each in told)]
    kept = choose_parts({split: split for split in parts}, secret, notes)
    starts = dict(zip(parts, np.cumsum([0, *map(len, parts.values())]).tolist(), strict=False))
    chosen = [
        contents[starts[split] + place]
        for split in kept.values()
        for place in range(len(parts[split]))
    ]
    told = {part: parts[split] for part, split in kept.items()}
    found_boxes = FoundBoxes(class_names, told, str(builder.data_dir), tuple(notes), relative=True)

    def read(place: int, shape: tuple[int, int, int]) -> Framed:
        return framed(chosen[place], f"an image of {name}", shape, fit)

    dataset = held(found_boxes, name, image_size or SIDE, read, skip_bad=False, max_bytes=max_bytes)
    return cut_test(dataset, test_part)


def _objects(found: Any, image: Path) -> Objects:
    """The objects of a record: boxes as ymin, xmin, ymax, xmax from 0 to 1."""
    labels = list(found["objects/label"].int64_list.value)
    sides = np.array(found["objects/bbox"].float_list.value, np.float64).reshape(-1, 4)
    flags = {
        key: [bool(each) for each in found[f"objects/{key}"].int64_list.value]
        for key in (_CROWD, _DIFFICULT)
    }
    area = list(found[f"objects/{_AREA}"].int64_list.value)
    area = area or list(found[f"objects/{_AREA}"].float_list.value)
    return objects(
        image,
        sides[:, [1, 0, 3, 2]].tolist(),
        labels,
        crowd=flags[_CROWD],
        difficult=flags[_DIFFICULT],
    )._replace(areas=np.array(area or [np.nan] * len(labels), np.float64))
