"""What examples hold, told apart by short digests of their content."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, Literal

import jax
import numpy as np

from cnn_jax.data.dataset import Examples, Split
from cnn_jax.data.fields import CLASS, field_of
from cnn_jax.data.images import UnreadableImage, in_threads
from cnn_jax.data.streamed import StreamedSplit

READ_BYTES = 2 * 10**9
"""Of sets that stream, so many bytes of files are read through for their content; of larger sets,
for which that would take minutes at every start, names and sizes of files stand for it."""

UNREADABLE = np.uint64(0)
"""The digest of what cannot be read."""

Kind = Literal["pixels", "files", "names"]
"""What is digested: the pixels as they are held in memory, the bytes of the image files as they
lie on disk, or only the names and sizes of files."""

_CHUNK = 1024


def kind_of(parts: Sequence[Examples]) -> Kind:
    """What is digested of the parts of a set."""
    streamed = [part for part in parts if isinstance(part, StreamedSplit)]
    if not streamed:
        return "pixels"
    # Several parts may be cut from one source.
    sources = {id(part.source): part.source for part in streamed}
    size = sum(source.bytes_on_disk() for source in sources.values())
    return "files" if size <= READ_BYTES else "names"


def digests(examples: Examples, kind: Kind) -> np.ndarray:
    """A digest (n,) uint64 of each example; what cannot be read has `UNREADABLE`."""
    found = np.empty(len(examples), np.uint64)
    starts = range(0, len(examples), _CHUNK)

    def of_chunk(start: int) -> None:
        stop = min(start + _CHUNK, len(found))
        if isinstance(examples, Split):
            for place in range(start, stop):
                found[place] = _digest(_bytes(examples.inputs, place))
            return
        assert isinstance(examples, StreamedSplit)
        for place in range(start, stop):
            found[place] = _of_one(examples, place, kind)

    if len(starts) == 1 and isinstance(examples, StreamedSplit):
        in_threads(
            lambda place: found.__setitem__(place, _of_one(examples, place, kind)),
            [(place,) for place in range(len(found))],
        )
    else:
        in_threads(of_chunk, [(start,) for start in starts])
    return found


def target_codes(targets: Any) -> np.ndarray:
    """A number (n,) int32 for each target: a class itself, of anything else a digest.

    Args:
      targets: a tree of arrays (n, ...).
    """
    if isinstance(targets, np.ndarray) and field_of(targets) == CLASS:
        return targets
    count = len(jax.tree.leaves(targets)[0])
    codes = [int(_digest(_bytes(targets, place))) & 0x7FFFFFFF for place in range(count)]
    return np.array(codes, np.int32)


def _bytes(tree: Any, place: int) -> bytes | memoryview:
    """What an example holds in a tree of arrays."""
    leaves = [np.ascontiguousarray(leaf[place]) for leaf in jax.tree.leaves(tree)]
    if len(leaves) == 1:
        return leaves[0].tobytes() if not leaves[0].ndim else leaves[0].data
    return b"".join(leaf.tobytes() for leaf in leaves)


def _of_one(examples: StreamedSplit, index: int, kind: Kind) -> np.uint64:
    place = index if examples.places is None else int(examples.places[index])
    if kind == "names":
        return _digest(examples.source.identity(place))
    try:
        content, _, name = examples.source.read(place)
        if kind == "files":
            return _digest(content)
        return _digest(examples.evaluation.image(content, name, None).tobytes())
    except UnreadableImage:
        return UNREADABLE


def _digest(content: bytes | memoryview) -> np.uint64:
    return np.uint64(int.from_bytes(blake2b(content, digest_size=8).digest(), "little"))
