"""Encoded images on disk, each read by its place: what a set that streams is read from."""

from __future__ import annotations

import contextlib
import functools
import os
import resource
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from cnn_jax.data import decoded
from cnn_jax.data.fields import CLASS, Field, field_of
from cnn_jax.data.images import UnreadableImage
from cnn_jax.devices.user_cache import user_cache

_READ_AT_ONCE = 256

_OTHER_FILES = 256
"""So many files a process may have open besides those of a set."""


class Encoded(NamedTuple):
    """An image as it lies on disk.

    Attributes:
      content: of the file.
      target: what is to be told of it, such as the place of its class.
      name: what an error calls it.
    """

    content: bytes
    target: np.ndarray
    name: str


class Source(Protocol):
    """Examples on disk; what it holds in memory is small, so that it can be sent to workers."""

    def __len__(self) -> int:
        """How many examples there are."""
        ...

    def read(self, place: int) -> Encoded:
        """The example at a place.

        Raises:
          UnreadableImage: its file cannot be read.
        """
        ...

    @property
    def target(self) -> Field:
        """What the target of an example is."""
        ...

    def targets(self) -> np.ndarray:
        """The targets (n, ...) of all examples."""
        ...

    def groups(self) -> np.ndarray | None:
        """The groups (n,) int32 of all examples, if there are any."""
        ...

    def bytes_on_disk(self) -> int:
        """The size of all that it reads."""
        ...

    def identity(self, place: int) -> bytes:
        """What tells an example from others without reading it: names and sizes of files."""
        ...


class ImageFiles:
    """Image files, of which the paths lie in one array of bytes.

    A path object takes some 500 bytes, which for millions of files would be gigabytes.

    Args:
      folder: the whole path of the folder they lie under.
      top: the same folder as `paths` have it.
      paths: of the n files, under `top`.
      targets: (n, ...).
      groups: (n,) int32, if there are any.
    """

    def __init__(
        self,
        folder: Path,
        top: Path,
        paths: Iterable[Path],
        targets: np.ndarray,
        groups: np.ndarray | None = None,
    ) -> None:
        names = [str(path.relative_to(top)).encode(errors="surrogateescape") for path in paths]
        self._folder = folder
        self._ends = np.cumsum([len(name) for name in names], dtype=np.int64)
        self._names = b"".join(names)
        self._targets, self._groups = targets, groups
        self._target = field_of(targets)

    def __len__(self) -> int:
        return len(self._targets)

    def path(self, place: int) -> Path:
        """The file at a place."""
        return Path(self._file(place))

    def _file(self, place: int) -> str:
        start = int(self._ends[place - 1]) if place else 0
        name = self._names[start : int(self._ends[place])]
        return f"{self._folder}{os.sep}{name.decode(errors='surrogateescape')}"

    def take(self, places: Sequence[int]) -> ImageFiles:
        """The files at the given places, in their order."""
        paths, chosen = [self.path(place) for place in places], np.array(places, int)
        groups = None if self._groups is None else self._groups[chosen]
        return ImageFiles(self._folder, self._folder, paths, self._targets[chosen], groups)

    def read(self, place: int) -> Encoded:
        """See `Source`."""
        path = self._file(place)
        try:
            with open(path, "rb", buffering=0) as file:  # noqa: PTH123 (a Path takes longer)
                return Encoded(file.read(), self._targets[place], path)
        except OSError as error:
            raise UnreadableImage(path, f"cannot be read ({error.strerror})") from error

    @property
    def target(self) -> Field:
        """See `Source`."""
        return self._target

    def targets(self) -> np.ndarray:
        """See `Source`."""
        return self._targets

    def groups(self) -> np.ndarray | None:
        """See `Source`."""
        return self._groups

    def bytes_on_disk(self) -> int:
        """See `Source`."""
        return sum(self._size(place) for place in range(len(self)))

    def identity(self, place: int) -> bytes:
        """See `Source`."""
        path = self.path(place)
        return os.fsencode(f"{path.relative_to(self._folder)} {self._size(place)}")

    def _size(self, place: int) -> int:
        # A file that has gone is told of when it is read.
        with contextlib.suppress(OSError):
            return self.path(place).stat().st_size
        return 0


class RecordFiles:
    """The ArrayRecord files of a part of a TFDS set, which hold a tf.train.Example a record.

    Args:
      files: in the order of their records.
      n: how many records they hold.
      image: name of the feature with the encoded image.
      label: name of the feature with the label.
      name: of the part, for messages.
    """

    def __init__(self, files: Sequence[Path], n: int, image: str, label: str, name: str) -> None:
        self._files, self._n = tuple(files), n
        self._image, self._label, self._name = image, label, name
        self._opened: Any = None
        self._facts: bytes | None = None

    def __len__(self) -> int:
        return self._n

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": None}

    @property
    def _records(self) -> Any:
        if self._opened is None:
            from array_record.python.array_record_data_source import ArrayRecordDataSource

            _allow_open_files(len(self._files))
            self._opened = ArrayRecordDataSource([str(file) for file in self._files])
        return self._opened

    def _examples(self, places: Sequence[int]) -> list[Any]:
        # With the rest of TFDS this takes a second to import.
        from tensorflow_datasets.proto import tf_example_pb2

        parse = tf_example_pb2.Example.FromString
        try:
            return [parse(each).features.feature for each in self._records.__getitems__(places)]
        except Exception as error:  # The reader raises what its C++ side makes of it.
            where = f"examples {places[0]} to {places[-1]} of {self._name}"
            raise UnreadableImage(where, f"cannot be read ({error})") from error

    def read(self, place: int) -> Encoded:
        """See `Source`."""
        (example,) = self._examples([place])
        content = example[self._image].bytes_list.value[0]
        label = np.array(example[self._label].int64_list.value[0], np.int32)
        return Encoded(content, label, f"example {place} of {self._name}")

    @property
    def target(self) -> Field:
        """See `Source`: a class."""
        return CLASS

    def groups(self) -> np.ndarray | None:
        """See `Source`: none."""
        return None

    def targets(self) -> np.ndarray:
        """See `Source`: reads every record the first time, and keeps what it finds on disk."""
        key = decoded.fingerprint(self._files, self._label)
        # Sets that others have prepared may lie where nothing may be written.
        beside, own = self._files[0].parent / "decoded", user_cache() / "labels"
        kept = [folder / f"labels-{key}.npy" for folder in (beside, own)]
        for file in kept:
            stored = decoded.read(functools.partial(np.load, file))
            if stored is not None and (stored.shape, stored.dtype) == ((self._n,), np.int32):
                return stored
        labels = np.empty(self._n, np.int32)
        for start in range(0, self._n, _READ_AT_ONCE):
            places = range(start, min(start + _READ_AT_ONCE, self._n))
            examples = self._examples(list(places))
            labels[start : places.stop] = [
                example[self._label].int64_list.value[0] for example in examples
            ]
        any(decoded.write(file, lambda out: np.save(out, labels)) for file in kept)
        return labels

    def bytes_on_disk(self) -> int:
        """See `Source`."""
        return sum(file.stat().st_size for file in self._files)

    def identity(self, place: int) -> bytes:
        """See `Source`."""
        if self._facts is None:
            self._facts = repr([(file.name, file.stat().st_size) for file in self._files]).encode()
        return self._facts + f" {place}".encode()


def _allow_open_files(count: int) -> None:
    """Lets this process have so many more files open, as far as it may.

    The reader keeps each file open, and many systems begin with a limit of 1,024.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = count + _OTHER_FILES
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY:
        needed = min(needed, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed), hard))
