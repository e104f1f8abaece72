"""Image-classification sets of TFDS, read into memory or found on disk, without TensorFlow."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from tensorflow_datasets.core.decode import DeserializeMethod
from tensorflow_datasets.proto import tf_example_pb2

from cnn_jax.data import decoded
from cnn_jax.data.dataset import Dataset, Split
from cnn_jax.data.images import decode, in_threads
from cnn_jax.data.memory_limit import check_size
from cnn_jax.data.sources import RecordFiles, Source
from cnn_jax.data.splits import cut_test
from cnn_jax.data.tfds_sets import fetch_tfds, image_and_label
from cnn_jax.errors import UserError

T = TypeVar("T")

_PARTS = ("train", "validation", "test")
_READ_AT_ONCE = 1024
_SMALL_BYTES = 4096


def load_tfds(
    name: str,
    *,
    image_size: int | None = None,
    data_dir: Path | None = None,
    max_bytes: int | None = None,
    test_part: float | None = None,
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
      test_part: of train where there is no test part, as of `cnn_jax.data.splits.cut_test`.

    Raises:
      UserError: as for `fetch_tfds`; or the set does not fit in memory, its images differ in
        size and `image_size` is not given, or it has no training part.
    """
    builder, _ = fetch_tfds(name, data_dir)
    info = builder.info
    reader = _Reader(builder, *image_and_label(name, info), image_size)
    wanted, notes = wanted_parts(name, info)
    height, width, channels = reader.shape
    if height is None or width is None:
        raise UserError(
            f"the images of {name} differ in size; give the side to resize to, such as "
            "--data.image-size 64"
        )
    shape = height, width, channels
    check_size(name, sum(wanted.values()), shape, max_bytes, streams=True)
    parts = {split: reader.kept(split, n, shape) for split, n in wanted.items()}
    secret = [split for split, part in parts.items() if (part.labels < 0).any()]
    parts = choose_parts(parts, secret, notes)
    class_names = tuple(info.features[reader.label].names)
    for split, part in parts.items():
        check_labels(name, split, part.labels, len(class_names))
    dataset = Dataset(
        name=name,
        class_names=class_names,
        train=parts["train"],
        validation=parts.get("validation"),
        test=parts.get("test"),
        source=str(builder.data_dir),
        notes=tuple(notes),
    )
    return cut_test(dataset, test_part)


def choose_parts(parts: dict[str, T], secret: Collection[str], notes: list[str]) -> dict[str, T]:
    """Which part is train, validation and test.

    Args:
      parts: those of the catalog.
      secret: those that have no labels.
      notes: what there is to say is added to them.
    """
    parts = dict(parts)
    for split in [split for split in ("validation", "test") if split in secret]:
        del parts[split]
        notes.append(f"not used: {split}, since its labels are secret")
    if "test" not in parts and "validation" in parts:
        parts["test"] = parts.pop("validation")
        notes.append("the catalog's validation part is the test: it has no labelled test part")
    return parts


def check_labels(name: str, split: str, labels: np.ndarray, classes: int) -> None:
    """Checks that every example of a part has a label (n,) int from 0 to below `classes`.

    Raises:
      UserError: one has not.
    """
    wrong = labels[(labels < 0) | (labels >= classes)]
    if len(wrong):
        raise UserError(
            f"{len(wrong):,} of the {len(labels):,} labels of {name}'s {split} part that were read "
            f"are none of its {classes} classes, such as {wrong[0]} (a negative label stands for "
            "none), so that it cannot be used"
        )


@dataclass(frozen=True)
class FoundRecords:
    """The parts of a prepared set, not yet read.

    Attributes:
      class_names: the k classes.
      parts: the records of train and, where there are, validation and test.
      shape: (h, w, c) of the images; None where they differ.
      source: where they lie.
      notes: what is not used, and why.
    """

    class_names: tuple[str, ...]
    parts: dict[str, Source]
    shape: tuple[int | None, int | None, int]
    source: str
    notes: tuple[str, ...]


def find_tfds(name: str, data_dir: Path | None = None) -> FoundRecords:
    """A TFDS image-classification set on disk, with parts as of `load_tfds`.

    A part is taken to have secret labels if its first example has.

    Raises:
      UserError: as for `fetch_tfds`, or it has no training part.
    """
    builder, _ = fetch_tfds(name, data_dir)
    info = builder.info
    reader = _Reader(builder, *image_and_label(name, info), None)
    wanted, notes = wanted_parts(name, info)
    parts: dict[str, Source] = {}
    for split, n in wanted.items():
        files = [Path(file) for file in info.splits[split].filepaths]
        what = f"{split} of {name} in {builder.data_dir}"
        parts[split] = RecordFiles(files, n, reader.image, reader.label, what)
    first = {split: int(part.read(0).target) for split, part in parts.items()}
    secret = [split for split, label in first.items() if label < 0]
    parts = choose_parts(parts, secret, notes)
    names = tuple(info.features[reader.label].names)
    # The other labels are looked at where they are read: reading them all takes its time.
    check_labels(name, "train", np.array([first["train"]]), len(names))
    return FoundRecords(names, parts, reader.shape, str(builder.data_dir), tuple(notes))


def wanted_parts(name: str, info: Any) -> tuple[dict[str, int], list[str]]:
    """How many examples the parts have that can be used, and a note of those that cannot."""
    available = {split: int(info.splits[split].num_examples) for split in info.splits}
    if not available.get("train"):
        raise UserError(f"{name} has no part named train but {', '.join(available)}")
    wanted = {split: n for split, n in available.items() if split in _PARTS and n}
    left_out = sorted(set(available) - set(wanted))
    return wanted, [f"not used: {', '.join(left_out)}"] if left_out else []


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
