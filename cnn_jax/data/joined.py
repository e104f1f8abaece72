"""Sources and parts of a set put together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cnn_jax.data.dataset import Examples, Split
from cnn_jax.data.sources import Encoded, Source
from cnn_jax.data.streamed import StreamedSplit


class Joined:
    """Sources one after the other.

    Args:
      sources: those.
      renamed: (k,) int32, the label that stands for each label of theirs; None for the same.
    """

    def __init__(self, sources: Sequence[Source], renamed: np.ndarray | None = None) -> None:
        self._sources = tuple(sources)
        self._ends = np.cumsum([len(source) for source in sources])
        self._renamed = renamed

    def __len__(self) -> int:
        return int(self._ends[-1])

    def _at(self, place: int) -> tuple[Source, int]:
        which = int(np.searchsorted(self._ends, place, "right"))
        return self._sources[which], place - (int(self._ends[which - 1]) if which else 0)

    def read(self, place: int) -> Encoded:
        """See `Source`."""
        source, inner = self._at(place)
        found = source.read(inner)
        if self._renamed is None or not 0 <= found.label < len(self._renamed):
            return found
        return found._replace(label=int(self._renamed[found.label]))

    def labels(self) -> np.ndarray:
        """See `Source`."""
        labels = np.concatenate([source.labels() for source in self._sources])
        return labels if self._renamed is None else self._renamed[labels]

    def bytes_on_disk(self) -> int:
        """See `Source`."""
        return sum(source.bytes_on_disk() for source in self._sources)

    def identity(self, place: int) -> bytes:
        """See `Source`."""
        source, inner = self._at(place)
        return source.identity(inner)


def gathered(parts: Sequence[Examples], places: np.ndarray) -> Examples:
    """Examples of several parts, in memory or all streamed.

    Args:
      parts: of one set.
      places: (m,) int, counted through the parts one after the other.
    """
    first = parts[0]
    if isinstance(first, StreamedSplit):
        streamed = [part for part in parts if isinstance(part, StreamedSplit)]
        inner = np.concatenate([_places(part) for part in streamed])
        starts = np.cumsum([0] + [len(part.source) for part in streamed[:-1]])
        inner += np.repeat(starts, [len(part) for part in streamed])
        source = Joined([part.source for part in streamed])
        return StreamedSplit(
            source, first.classes, first.training, first.evaluation, inner[places].astype(np.int32)
        )
    held = [part for part in parts if isinstance(part, Split)]
    images = np.empty((len(places), *held[0].images.shape[1:]), np.uint8)
    labels = np.concatenate([part.labels for part in held])[places]
    start = 0
    for part in held:
        here = (places >= start) & (places < start + len(part))
        images[here] = part.images[places[here] - start]
        start += len(part)
    return Split(images, labels)


def _places(part: StreamedSplit) -> np.ndarray:
    return np.arange(len(part)) if part.places is None else part.places.astype(np.int64)
