"""Sources and parts of a set put together."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import numpy as np

from cnn_jax.data.dataset import Examples, Split
from cnn_jax.data.fields import Field
from cnn_jax.data.sources import Encoded, Source
from cnn_jax.data.streamed import StreamedSplit


class Joined:
    """Sources one after the other.

    Args:
      sources: those.
      renamed: (k,) int32, the class that stands for each class of theirs; None for the same.
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
        if self._renamed is None or not 0 <= found.target < len(self._renamed):
            return found
        return found._replace(target=self._renamed[found.target])

    @property
    def target(self) -> Field:
        """See `Source`."""
        return self._sources[0].target

    def targets(self) -> np.ndarray:
        """See `Source`."""
        targets = np.concatenate([source.targets() for source in self._sources])
        return targets if self._renamed is None else self._renamed[targets]

    def groups(self) -> np.ndarray | None:
        """See `Source`: none, since a group of one source is not that of another."""
        return None

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
    targets = jax.tree.map(
        lambda *leaves: np.concatenate(leaves)[places], *[part.targets for part in held]
    )

    def taken(*leaves: np.ndarray) -> np.ndarray:
        # Not by way of all of them in one array, which would take their memory twice.
        found = np.empty((len(places), *leaves[0].shape[1:]), leaves[0].dtype)
        start = 0
        for leaf in leaves:
            here = (places >= start) & (places < start + len(leaf))
            found[here] = leaf[places[here] - start]
            start += len(leaf)
        return found

    return Split(jax.tree.map(taken, *[part.inputs for part in held]), targets)


def _places(part: StreamedSplit) -> np.ndarray:
    return np.arange(len(part)) if part.places is None else part.places.astype(np.int64)
