"""What parts are cut in proportion of: strata of any kind of targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cnn_jax.data.fields import field_of
from cnn_jax.errors import UserError

_TENTHS = 10


def strata(targets: Any) -> np.ndarray:
    """A stratum of each example, (n,) int: each gives its share to every part that is cut.

    Of classes the class; of tags the rarest of those that are there in an example, so that rare
    tags come to every part (a first step of Sechidis et al. 2011,
    https://doi.org/10.1007/978-3-642-23808-6_10); of numbers the tenth of the sorted first number;
    of boxes the rarest class in an image, as of tags; of anything else one stratum.

    Args:
      targets: a tree of arrays (n, ...).
    """
    if isinstance(targets, dict) and "box_class" in targets:
        labels, there = targets["box_class"], targets["there"]
        classes = np.arange(labels[there].max(initial=0) + 1)
        return strata(((labels[..., None] == classes) & there[..., None]).any(1).astype(np.int8))
    if isinstance(targets, dict):
        return np.zeros(len(next(iter(targets.values()))), np.int64)
    kind = field_of(targets).kind
    if kind == "class":
        return targets
    if kind == "mask":
        return np.zeros(len(targets), np.int64)
    if kind == "tags":
        there = targets == 1
        counts = there.sum(axis=0)
        # None of them is a stratum of its own, after the last tag.
        rarity = np.where(there, counts, len(targets) + 1)
        return np.where(there.any(axis=1), np.argmin(rarity, axis=1), targets.shape[1])
    ranks = np.empty(len(targets), np.int64)
    ranks[np.argsort(targets[:, 0], kind="stable")] = np.arange(len(targets))
    # Fewer strata than examples, so that each can give some and keep some.
    count = max(1, min(_TENTHS, len(targets) // 2))
    return ranks * count // len(targets)


def whole_groups(groups: np.ndarray, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Places of the examples kept and of those cut, both rising, no group being in both.

    Groups are cut in a shuffled order until `count` examples or a few more are.

    Args:
      groups: (n,) int.
      count: how many examples are cut at least.
      seed: of the order.
    """
    known, member = np.unique(groups, return_inverse=True)
    bits = np.random.PCG64(seed).random_raw(len(known))
    order = np.argsort(bits, kind="stable")
    sizes = np.bincount(member)[order]
    taken = order[: 1 + int(np.searchsorted(np.cumsum(sizes), count))]
    cut = np.isin(member, taken)
    return np.flatnonzero(~cut), np.flatnonzero(cut)


def check_groups(source: Path, groups: Mapping[str, Sequence[Any] | np.ndarray], name: str) -> None:
    """Checks that no group is in two parts.

    Args:
      source: where they were read, for messages.
      groups: of each part, the group of each of its examples.
      name: what tells the groups apart, such as the title of a column.

    Raises:
      UserError: one is.
    """
    seen: dict[Any, str] = {}
    for part, each in groups.items():
        for group in dict.fromkeys(np.asarray(each).tolist()):
            if group in seen:
                raise UserError(
                    f"examples of one {name} in {source} are both in the {seen[group]} and in the "
                    f"{part} part; correct the parts, or leave out --data.columns.group"
                )
            seen[group] = part
