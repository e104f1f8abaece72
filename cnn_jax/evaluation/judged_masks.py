"""Images with masks that a model is judged by, brought to its size and to its classes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from cnn_jax.data.class_table import ClassTable
from cnn_jax.data.dataset import Split
from cnn_jax.data.fields import VOID
from cnn_jax.data.mask_folders import FoundPairs, find_pairs
from cnn_jax.data.mask_set import read_pairs, table_of
from cnn_jax.data.spec import DataSpec
from cnn_jax.errors import UserError
from cnn_jax.recipe import Data
from cnn_jax.user_path import user_path


def judged_masks(
    config: Data, spec: DataSpec, name: str, data_dir: Path | None
) -> tuple[dict[str, Split], list[str]]:
    """The parts of `masks:PATH`, or of a TFDS set, as a model is given them, and notes.

    Classes are matched by name, and may be lacking; where no file names those of the set, its
    masks are taken to hold the values that the model learnt from.

    Args:
      config: how the data that the model was trained on are read.
      spec: facts of them.
      name: of the set.
      data_dir: where TFDS sets lie.

    Raises:
      UserError: it cannot be read, or has classes that the model does not know.
    """
    found, table = _pairs(name, data_dir, config.skip_bad)
    low, high = spec.value_range
    colour = np.array(spec.mean) * (high - low) + low
    read = read_pairs(
        found,
        name,
        table or _known(spec),
        config.masks.ignore,
        shape=spec.evaluated_shape[:2],
        fill=colour,
        channels=spec.evaluated_shape[2],
        skip_bad=config.skip_bad,
        grey_range=config.grey_range,
        full_depth=config.full_depth,
    )
    known, codes = spec.class_names, np.full(256, VOID, np.uint8)
    for place, each in enumerate(read.coding.names):
        codes[place] = known.index(each) if each in known else VOID - 1
    parts = {}
    for part, split in read.parts.items():
        targets = _recoded(split.targets, codes)
        masks = targets["mask"] if isinstance(targets, Mapping) else targets
        if (masks == VOID - 1).any():
            others = [each for each in read.coding.names if each not in known]
            raise UserError(
                f"{name} has classes that the model does not know: {', '.join(others[:10])}. It "
                f"was trained on the {len(known)} classes of {spec.name}: {', '.join(known[:10])}"
            )
        parts[part] = Split(split.inputs, targets)
    notes = list(read.notes)
    if table is None:
        pairs = zip(_known(spec).values, known, strict=True)
        told = ", ".join(f"{value} {each}" for value, each in list(pairs)[:10])
        notes.append(
            f"no file names the classes of {name}: its values are taken for those learnt from, "
            f"{told}{', ...' * (len(known) > 10)}"
        )
    return parts, notes


def _pairs(
    name: str, data_dir: Path | None, skip_bad: bool
) -> tuple[FoundPairs, ClassTable | None]:
    form, _, path = name.partition(":")
    if form == "masks":
        top = user_path(path)
        found = find_pairs(top, skip_bad=skip_bad, judged=True)
        return found, table_of(top, found, None)
    # Importing TFDS takes a second, which other data should not wait for.
    from cnn_jax.data.tfds_masks import find_tfds_masks

    stored = find_tfds_masks(name, data_dir)
    return stored.pairs, stored.table


def _recoded(targets: Any, codes: np.ndarray) -> Any:
    if isinstance(targets, Mapping):
        return {**targets, "mask": codes[targets["mask"]]}
    return codes[targets]


def _known(spec: DataSpec) -> ClassTable:
    """The classes that a model knows, with the values that stood for them."""
    values = spec.facts.get("mask_values", tuple(range(len(spec.class_names))))
    return ClassTable(spec.class_names, tuple(int(each) for each in values), (), user_path("."))


def joined_targets(parts: list[Split]) -> Any:
    """The targets of parts, one after the other."""
    return jax.tree.map(lambda *each: np.concatenate(each), *[part.targets for part in parts])
