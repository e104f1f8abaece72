"""What a model tells of places in pictures, written beside them: by the kind of its targets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from cnn_jax.evaluation.predict_boxes import Placed, predict_boxes
from cnn_jax.restored import Restored

PLACED: dict[str, Callable[[Restored, Sequence[Path], Path, int], Placed]] = {
    "boxes": predict_boxes,
}
"""(model, pictures, folder, how many of the surest are listed) -> what was found and written."""


def placed_kind(restored: Restored) -> str | None:
    """The kind of places that a model tells; None where it tells of whole pictures."""
    kinds = [each.kind for each in restored.spec.targets.values()]
    return next((kind for kind in kinds if kind in PLACED), None)
