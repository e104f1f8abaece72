"""Image-classification sets of TFDS read into memory, without TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tensorflow_datasets.core.decode import DeserializeMethod
from tensorflow_datasets.proto import tf_example_pb2

from cnn_jax.data import decoded
from cnn_jax.data.dataset import Dataset, Split
from cnn_jax.data.images import decode, in_threads
from cnn_jax.data.memory_limit import check_size
from cnn_jax.data.splits import cut_test
from cnn_jax.data.tfds_sets import fetch_tfds, image_and_label
from cnn_jax.errors import UserError

_PARTS = ("train", "validation", "test")
_READ_AT_ONCE = 1024
_SMALL_BYTES = 4096


def load_tfds(
    name: str,
    *,
    image_size: int | None = None,
    data_dir: Path | None = None,
    max_bytes: int | None = None,
) -> Dataset:
    """A TFDS image-classification set, in memory.

    The parts are those named train, validation and test. Where there is a validation part but
    no test part, as in ImageNet, whose test labels are secret, the validation part is the
    test; a set with train only has a test part cut by a fixed rule.

    Args:
      name: of the catalog.
      image_size: side in pixels to resize to.
      data_dir: as for `data_folder`.
      max_bytes: as for `check_size`.

    Raises:
      UserError: as for `fetch_tfds`; or the set does not fit in memory, its images differ in
        size and `image_size` is not given, or it has no training part.
    """
    builder, _ = fetch_tfds(name, data_dir)
    info = builder.info
    reader = _Reader(builder, *image_and_label(name, info), image_size)
    available = {split: int(info.splits[split].num_examples) for split in info.splits}
    if not available.get("train"):
        raise UserError(f"{name} has no part named train but {', '.join(available)}")
    height, width, channels = reader.shape
    wanted = {split: n for split, n in available.items() if split in _PARTS}
    if height is None or width is None:
        raise UserError(
            f"the images of {name} differ in size; give the side to resize to, such as "
            "--data.image-size 64"
        )
    shape = height, width, channels
    check_size(name, sum(wanted.values()), shape, max_bytes)
    notes = []
    if left_out := sorted(set(available) - set(wanted)):
        notes.append(f"not used: {', '.join(left_out)}")
    parts = {split: reader.kept(split, n, shape) for split, n in wanted.items()}
    for split in [split for split in ("validation", "test") if split in parts]:
        if (parts[split].labels < 0).any():
            del parts[split]
            notes.append(f"not used: {split}, since its labels are secret")
    if "test" not in parts and "validation" in parts:
        parts["test"] = parts.pop("validation")
        notes.append("the catalog's validation part is the test: it has no labelled test part")
    dataset = Dataset(
        name=name,
        class_names=tuple(info.features[reader.label].names),
        train=parts["train"],
        validation=parts.get("validation"),
        test=parts.get("test"),
        source=str(builder.data_dir),
        notes=tuple(notes),
    )
    return dataset if dataset.test is not None else cut_test(dataset)


@dataclass(frozen=True)
class _Reader:
    """Reads parts of a prepared set into arrays."""

    builder: Any
    image: str
    label: str
    image_size: int | None

    @property
    def shape(self) -> tuple[int | None, int | None, int]:
        height, width, channels = self.builder.info.features[self.image].shape
        if self.image_size is not None:
            height = width = self.image_size
        return height, width, 1 if channels == 1 else 3

    def kept(self, split: str, n: int, shape: tuple[int, int, int]) -> Split:
        """The split as it was decoded before, or decoded now."""
        folder = Path(self.builder.data_dir)
        files = [Path(file) for file in self.builder.info.splits[split].filepaths]
        key = decoded.fingerprint(files, self.image, self.label, self.image_size, shape)
        return decoded.kept(
            folder / "decoded", f"{split}-{key}", n, shape, lambda: self.read(split, n, shape)
        )

    def read(self, split: str, n: int, shape: tuple[int, int, int]) -> Split:
        """The split decoded from its records."""
        # TFDS takes most of a small image's time to interpret its record; the record is a
        # tf.train.Example and takes a tenth of that to be read as one.
        source = self.builder.as_data_source(split, deserialize_method=DeserializeMethod.RAW_BYTES)
        images = np.empty((n, *shape), np.uint8)
        labels = np.empty(n, np.int32)
        channels = shape[2]

        def put(place: int, content: bytes) -> None:
            images[place] = decode(content, channels=channels, image_size=self.image_size)

        for start in range(0, n, _READ_AT_ONCE):
            places = range(start, min(start + _READ_AT_ONCE, n))
            records = source.__getitems__(list(places))
            examples = [
                tf_example_pb2.Example.FromString(record).features.feature for record in records
            ]
            labels[start : places.stop] = [
                example[self.label].int64_list.value[0] for example in examples
            ]
            contents = [example[self.image].bytes_list.value[0] for example in examples]
            if sum(map(len, contents)) < _SMALL_BYTES * len(contents):
                # Decoders of such small images leave Python's lock too shortly to gain by it.
                for place, content in zip(places, contents, strict=True):
                    put(place, content)
            else:
                in_threads(put, list(zip(places, contents, strict=True)))
        return Split(images, labels)
