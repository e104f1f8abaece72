"""Sets of boxes that a model is judged by, as it takes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cnn_jax.data.boxed_set import FORMS, boxed
from cnn_jax.data.dataset import Split
from cnn_jax.data.parts import parts_of
from cnn_jax.errors import UserError
from cnn_jax.restored import Restored

_NAMED = 10


def judged_boxes(
    restored: Restored, name: str, data_dir: Path | None, skip_bad: bool
) -> tuple[dict[str, Split], list[str]]:
    """The parts of a set of boxes and notes of it, classes being those of a model.

    Args:
      restored: the model; classes are matched to its own by name.
      name: of the set, such as `voc:PATH`, or of TFDS.
      data_dir: where TFDS sets lie.
      skip_bad: leave out what cannot be read.

    Raises:
      UserError: the set cannot be read, or has boxes of classes that the model does not know.
    """
    form, _, path = name.partition(":")
    side, fit = restored.spec.evaluated_shape[0], restored.recipe.data.fit
    if form in FORMS:
        held = boxed(FORMS[form](path, name, skip_bad=skip_bad), name, side, fit, skip_bad=skip_bad)
    else:
        # Importing TFDS takes a second, which other data should not wait for.
        from cnn_jax.data.tfds_boxes import load_tfds_boxes

        held = load_tfds_boxes(name, image_size=side, fit=fit, data_dir=data_dir, test_part=0)
    known = restored.spec.class_names
    parts = {part: each for part, each in parts_of(held).items() if isinstance(each, Split)}
    renamed = np.array([known.index(each) if each in known else -1 for each in held.class_names])
    strangers = set()
    for part, each in parts.items():
        labels = renamed[each.targets["box_class"]].astype(np.int32)
        there = each.targets["there"]
        strangers |= set(each.targets["box_class"][there & (labels < 0)].tolist())
        parts[part] = Split(each.inputs, {**each.targets, "box_class": labels})
    if strangers:
        others = [held.class_names[each] for each in sorted(strangers)]
        raise UserError(
            f"{name} has classes that the model does not know: {', '.join(others[:_NAMED])}. It "
            f"was trained on the {len(known)} classes of {restored.spec.name}: "
            f"{', '.join(known[:_NAMED])}"
        )
    return parts, list(held.notes)
